use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// The kind of a repository on the Hub.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepoType {
    /// A model; the default.
    #[default]
    Model,
    /// A dataset; its URLs start with `datasets/`.
    Dataset,
    /// A Space; its URLs start with `spaces/`.
    Space,
}

impl RepoType {
    /// What stands before the id in a web or git URL: nothing, `datasets/` or `spaces/`.
    pub(crate) fn url_prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
            Self::Space => "spaces/",
        }
    }

    /// The segment of the API's routes, as in `/api/models/…`.
    pub(crate) fn api_segment(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
            Self::Space => "spaces",
        }
    }

    /// The type that a URL's or `hf://` address's first segment names.
    pub(crate) fn from_segment(segment: &str) -> Option<Self> {
        match segment {
            "models" => Some(Self::Model),
            "datasets" => Some(Self::Dataset),
            "spaces" => Some(Self::Space),
            _ => None,
        }
    }
}

impl fmt::Display for RepoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Space => "space",
        })
    }
}

/// The id of a repository on the Hub: `namespace/name`, or `name` for the oldest models.
///
/// The rules are those of the Python client's validator: at most one `/`; letters, digits, `_`, `.`
/// and `-`; both parts start and end with a letter, digit or `_`; at most 96 characters in the name; no
/// `--`, no `..`, no `.git` at the end.
///
/// ```
/// use hf_repository::RepoId;
/// let id: RepoId = "alice/my-model".parse()?;
/// assert_eq!((id.namespace(), id.name()), (Some("alice"), "my-model"));
/// assert!("alice/../bob".parse::<RepoId>().is_err());
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RepoId(String);

impl RepoId {
    /// The user or organization, absent for canonical repositories such as `gpt2`.
    pub fn namespace(&self) -> Option<&str> {
        self.0.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The part after the namespace.
    pub fn name(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The Hub's own limit on a repository's name.
const MAX_NAME_CHARS: usize = 96;

fn complaint(text: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let word = |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let mut parts = text.rsplit('/');
    let name = parts.next().unwrap_or_default().as_bytes();
    let namespace = parts.next();
    if parts.next().is_some() {
        Some("has more than one '/'")
    } else if namespace.is_some_and(|space| space.is_empty() || !space.bytes().all(allowed))
        || !name.iter().copied().all(allowed)
    {
        Some("may hold only letters, digits, '_', '.', '-' and one '/' between two parts")
    } else if namespace
        .is_some_and(|space| !word(space.as_bytes().first()) || !word(space.as_bytes().last()))
    {
        Some("needs a namespace that starts and ends with a letter, a digit or '_'")
    } else if name.len() > MAX_NAME_CHARS {
        Some("has a name of more than 96 characters")
    } else if !word(name.first()) || !word(name.last()) {
        Some("needs a name that starts and ends with a letter, a digit or '_'")
    } else if text.contains("--") || text.contains("..") {
        Some("must not hold '--' or '..'")
    } else if text.ends_with(".git") {
        Some("must not end in '.git'")
    } else {
        None
    }
}

impl FromStr for RepoId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match complaint(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(Error::new(
                ErrorKind::InvalidSource,
                format!("the repository id {text:?} {why}"),
            )
            .with_hint("an id looks like \"user/my-model\"")),
        }
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validator_table() {
        for good in [
            "gpt2",
            "alice/m",
            "a_b/c.d-e",
            "_x",
            "httpx/model",
            &"n".repeat(96),
        ] {
            assert!(good.parse::<RepoId>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "a--b",
            "a..b",
            "a/.b",
            ".a/b",
            "a-/b",
            "a/b-",
            "a/b.git",
            "a b",
            "modèle",
            "a/b\n",
            &"n".repeat(97),
        ] {
            let error = bad.parse::<RepoId>().expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidSource);
        }
    }
}
