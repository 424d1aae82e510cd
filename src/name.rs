//! Names of branches, tags and remotes, and revisions; checked once, where they enter.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// Why git would refuse `name` as a branch or tag, after the rules of `git check-ref-format`.
///
/// Nor is any taken that steers a terminal or reads in another order than it is: names come from servers,
/// and are shown to people.
fn complaint(name: &str) -> Option<&'static str> {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let forbidden = |c: char| steers(c) || " ~^:?*[\\".contains(c);
    if name.is_empty() {
        Some("is empty")
    } else if name.starts_with('-') {
        Some("starts with '-'")
    } else if name == "@" || name == "HEAD" {
        Some("is a name git keeps for itself")
    } else if name.contains(forbidden) {
        Some("holds a space, a control character or one of ~^:?*[\\")
    } else if name.contains("..") || name.contains("@{") {
        Some("holds '..' or '@{'")
    } else if name.ends_with('.') {
        Some("ends with '.'")
    } else if name
        .split('/')
        .any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"))
    {
        Some("has a part that is empty, starts with '.' or ends with '.lock'")
    } else {
        None
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $example:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// The name alone, without `refs/…`.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match complaint(text) {
                    None => Ok(Self(text.to_owned())),
                    Some(why) => Err(Error::new(
                        ErrorKind::InvalidName,
                        format!(concat!("the ", $what, " name {:?} {}"), text, why),
                    )
                    .with_hint(concat!("a ", $what, " name looks like \"", $example, "\""))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// The name of a branch, as in `main` or `experiments/lr-3e-4`.
    ///
    /// ```
    /// use hf_repository::BranchName;
    /// assert!("experiments/lr-3e-4".parse::<BranchName>().is_ok());
    /// assert!("two words".parse::<BranchName>().is_err());
    /// ```
    BranchName, "branch", "main"
}
name! {
    /// The name of a tag, as in `v1.0`.
    TagName, "tag", "v1.0"
}
name! {
    /// The name of a remote, as in `origin`.
    RemoteName, "remote", "origin"
}

impl BranchName {
    /// The full name of the local branch.
    pub(crate) fn local_ref(&self) -> String {
        format!("refs/heads/{self}")
    }

    /// The full name of its tracking ref.
    pub(crate) fn tracking_ref(&self, remote: &RemoteName) -> String {
        format!("refs/remotes/{remote}/{self}")
    }

    /// `main`, what the Hub gives every repository.
    pub(crate) fn main() -> Self {
        Self("main".to_owned())
    }
}

impl TagName {
    /// The full name of the tag's ref.
    pub(crate) fn full_ref(&self) -> String {
        format!("refs/tags/{self}")
    }
}

impl RemoteName {
    /// `origin`, what a clone calls the place it came from.
    pub fn origin() -> Self {
        Self("origin".to_owned())
    }
}

/// The full name of a ref, as in `refs/heads/main`, or `refs/pr/3` for a pull request of the Hub.
///
/// ```
/// use hf_repository::RefName;
/// assert!("refs/pr/3".parse::<RefName>().is_ok());
/// assert!("main".parse::<RefName>().is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefName(String);

impl RefName {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The branch it is, if it is one.
    pub fn branch(&self) -> Option<BranchName> {
        self.0.strip_prefix("refs/heads/")?.parse().ok()
    }

    /// The local branch for it, if it is a pull request: `pr/3` for `refs/pr/3`.
    pub(crate) fn pull_request(&self) -> Option<BranchName> {
        let number = self.0.strip_prefix("refs/pr/")?;
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| format!("pr/{number}").parse().ok())?
    }

    /// Whether it is none of those that every clone has or makes: branches, tags and what keeps track of
    /// them.
    pub(crate) fn is_other(&self) -> bool {
        let usual = ["heads/", "tags/", "remotes/", "hf-repository/"];
        let rest = &self.0["refs/".len()..];
        !usual.iter().any(|kind| rest.starts_with(kind))
    }

    /// The name of its tracking ref.
    ///
    /// What is no branch is not tracked where branches are: `git fetch --prune` deletes there what is
    /// no branch of the remote.
    pub(crate) fn tracking_ref(&self, remote: &RemoteName) -> String {
        let rest = &self.0["refs/".len()..];
        match self.branch() {
            Some(branch) => branch.tracking_ref(remote),
            None => format!("{}{rest}", other_tracking(remote)),
        }
    }
}

/// The folder of the tracking refs of what is no branch.
pub(crate) fn other_tracking(remote: &RemoteName) -> String {
    format!("refs/hf-repository/remotes/{remote}/")
}

impl From<&BranchName> for RefName {
    fn from(branch: &BranchName) -> Self {
        Self(branch.local_ref())
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let why = match text.strip_prefix("refs/") {
            None => Some("does not start with 'refs/'"),
            Some(rest) if !rest.contains('/') => Some("says nothing of which kind it is"),
            Some(_) => complaint(text),
        };
        match why {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(Error::new(
                ErrorKind::InvalidName,
                format!("the ref name {text:?} {why}"),
            )
            .with_hint("the full name of a ref looks like \"refs/pr/3\"")),
        }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A branch, a tag or a commit id, as the user wrote it.
///
/// It is never taken for a file name, and never for an option.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Revision(String);

impl Revision {
    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Revision {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match complaint(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(Error::new(
                ErrorKind::InvalidName,
                format!("the revision {text:?} {why}"),
            )
            .with_hint("name a branch, a tag or a full commit id")),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What git takes away at the ends of people's names and addresses.
pub(crate) fn is_trimmed_by_git(c: char) -> bool {
    c <= ' ' || ".,:;\"\\'".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_names_say_what_they_name() {
        let origin = RemoteName::origin();
        for (text, branch, tracking) in [
            ("refs/heads/a/b", Some("a/b"), "refs/remotes/origin/a/b"),
            ("refs/pr/3", None, "refs/hf-repository/remotes/origin/pr/3"),
            (
                "refs/convert/parquet",
                None,
                "refs/hf-repository/remotes/origin/convert/parquet",
            ),
        ] {
            let name: RefName = text.parse().expect(text);
            assert_eq!(name.branch().as_ref().map(BranchName::as_str), branch);
            assert_eq!(name.tracking_ref(&origin), tracking);
        }
        for bad in [
            "",
            "refs",
            "refs/",
            "refs/x",
            "pr/3",
            "refs/pr/",
            "refs/pr/..",
            "-refs/pr/3",
        ] {
            let error = bad.parse::<RefName>().expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::InvalidName);
        }
    }

    #[test]
    fn names_follow_check_ref_format() {
        for good in ["main", "a/b", "v1.0", "ünï", "a@b", "x-y_z", "refs/pr/1"] {
            assert!(good.parse::<BranchName>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "a b",
            "a..b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[b",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.lock/b",
            "a.",
            "@",
            "a@{1}",
            "HEAD",
            "a\u{7f}b",
            "a\nb",
            "a\u{9b}b",
            "a\u{202e}b",
        ] {
            assert!(bad.parse::<BranchName>().is_err(), "{bad:?}");
        }
    }
}
