//! Single files, as `git lfs fetch --include` wants them named.

/// Bytes of paths named in one call: a single argument may have 128 KiB on Linux.
const PATHS_PER_CALL: usize = 96 << 10;

/// A path as a pattern of git-lfs that matches nothing else, if there is one: the list is split at
/// commas, and what escapes there differs between versions.
pub(super) fn pattern(path: &str) -> Option<String> {
    let plain = !path.contains([',', '*', '?', '[', ']', '\\', '!', '#', '"']);
    let trimmed = path.trim() == path && !path.contains(char::is_control);
    (plain && trimmed).then(|| format!("/{path}"))
}

/// The patterns, comma by comma, in as few calls as fit.
pub(super) fn joined(patterns: &[String]) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    for pattern in patterns {
        match calls.last_mut() {
            Some(call) if call.len() + pattern.len() < PATHS_PER_CALL => {
                call.push(',');
                call.push_str(pattern);
            }
            _ => calls.push(pattern.clone()),
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_one_file_or_are_not_used() {
        assert_eq!(pattern("dir/a b ü.bin").as_deref(), Some("/dir/a b ü.bin"));
        for path in ["a,b", "a*", "a?", "[a]", "a\\b", "!a", "#a", " a", "a "] {
            assert_eq!(pattern(path), None, "{path}");
        }
        let long = vec!["x".repeat(40 << 10); 5];
        let calls: Vec<usize> = joined(&long).iter().map(String::len).collect();
        assert_eq!(calls, [(80 << 10) + 1, (80 << 10) + 1, 40 << 10]);
        assert!(joined(&[]).is_empty());
    }
}
