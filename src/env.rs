//! The only reader of environment variables.

use std::path::PathBuf;

/// The value of a variable; unset, empty and non-UTF-8 are none.
pub(crate) fn var(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Names of the variables that are chosen by name and value; what is not UTF-8 in a value is replaced.
pub(crate) fn names_where(choose: impl Fn(&str, &str) -> bool) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the door")]
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, value)| choose(name, &value.to_string_lossy()))
        .map(|(name, _)| name)
        .collect()
}

/// Whether a switch is on, in the spellings the Hub's clients agree on.
pub(crate) fn flag(name: &str) -> bool {
    var(name).is_some_and(|value| {
        ["1", "ON", "YES", "TRUE"]
            .iter()
            .any(|on| value.eq_ignore_ascii_case(on))
    })
}

/// Where the Hub's clients keep their files: `HF_HOME`, else the user's cache folder.
pub(crate) fn hf_home() -> Option<PathBuf> {
    var("HF_HOME").map(|path| expand(&path)).or_else(|| {
        let cache = var("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
        Some(cache.join("huggingface"))
    })
}

/// `path` with a leading `~` and every `$NAME` or `${NAME}` replaced; unknown names stay.
pub(crate) fn expand(path: &str) -> PathBuf {
    let mut rest = path;
    let mut out = String::new();
    if let (Some(tail), Some(home)) = (path.strip_prefix('~'), var("HOME"))
        && (tail.is_empty() || tail.starts_with('/'))
    {
        out.push_str(&home);
        rest = tail;
    }
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after
            .strip_prefix('{')
            .and_then(|inner| inner.split_once('}'));
        let (name, tail) = braced.unwrap_or_else(|| {
            let end = after
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(after.len());
            after.split_at(end)
        });
        match var(name) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[before.len()..rest.len() - tail.len()]),
        }
        rest = tail;
    }
    out.push_str(rest);
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expansion_keeps_what_it_does_not_know() {
        let home = var("HOME").expect("tests have a home");
        assert_eq!(expand("~/x"), PathBuf::from(format!("{home}/x")));
        assert_eq!(
            expand("$HOME/a/${HOME}"),
            PathBuf::from(format!("{home}/a/{home}"))
        );
        assert_eq!(
            expand("a$NO_SUCH_VAR_/b$"),
            PathBuf::from("a$NO_SUCH_VAR_/b$")
        );
        assert_eq!(expand("~other"), PathBuf::from("~other"));
    }
}
