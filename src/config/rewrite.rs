//! `url.<base>.insteadOf`: addresses that stand for others.

use super::Config;

/// What an address is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    Fetch,
    Push,
}

impl Config {
    /// The address that `text` stands for, if another is meant; the longest match counts.
    ///
    /// For pushes `pushInsteadOf` is looked at first, as by git.
    pub(crate) fn rewritten(&self, text: &str, usage: Use) -> Option<String> {
        let push = || self.replaced(text, ".pushinsteadof");
        let fetch = || self.replaced(text, ".insteadof");
        match usage {
            Use::Fetch => fetch(),
            Use::Push => push().or_else(fetch),
        }
    }

    fn replaced(&self, text: &str, suffix: &str) -> Option<String> {
        let rules = self.entries.iter().filter_map(|entry| {
            let base = entry.key.strip_prefix("url.")?.strip_suffix(suffix)?;
            let rest = text.strip_prefix(&*entry.value)?;
            (!entry.value.is_empty()).then_some((base, rest))
        });
        let (base, rest) = rules.min_by_key(|(_, rest)| rest.len())?;
        Some(format!("{base}{rest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Writer;

    #[test]
    fn the_longest_match_counts_and_pushes_have_their_own() {
        let mut config = Config::default();
        for (key, value) in [
            ("url.https://mirror/.insteadOf", "https://hub/"),
            ("url.https://team/.insteadOf", "https://hub/team/"),
            ("url.https://push/.pushInsteadOf", "https://hub/"),
            ("url.https://nothing/.insteadOf", ""),
        ] {
            config.push(key, value, Writer::User);
        }
        let fetch = |text| config.rewritten(text, Use::Fetch);
        assert_eq!(
            fetch("https://hub/a/b").as_deref(),
            Some("https://mirror/a/b")
        );
        assert_eq!(
            fetch("https://hub/team/b").as_deref(),
            Some("https://team/b")
        );
        assert_eq!(fetch("https://other/a"), None);
        let push = |text| config.rewritten(text, Use::Push);
        assert_eq!(
            push("https://hub/team/b").as_deref(),
            Some("https://push/team/b")
        );
        assert_eq!(push("https://other/a"), None);
    }
}
