//! What git's config says, as plain values in the order in which they count.
//!
//! | file | concern |
//! |---|---|
//! | `for_url` | keys that hold for some URLs only, `http.<url>.proxy` |
//! | `sections` | parts of a config file that get another name, or go |
//! | `rewrite` | `url.<base>.insteadOf` |
//! | `recorded` | credentials in the text of a clone's files |

mod for_url;
pub(crate) mod recorded;
mod rewrite;
mod sections;

use std::fmt;

pub(crate) use for_url::Setting;
pub(crate) use rewrite::Use;
pub(crate) use sections::with_subsection_moved;

/// Keys and values from the least important file to the most important one; the last value of a key
/// counts.
#[derive(Clone, Default)]
pub(crate) struct Config {
    entries: Vec<Entry>,
}

/// One line of a config file.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// With section and name in small letters, as git prints it.
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) writer: Writer,
}

/// Who wrote a value, and so what it may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The user or the machine's owner, in git's own files.
    User,
    /// Whoever committed it to the repository, in `.lfsconfig`.
    Repository,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Headers, proxies and URLs may hold secrets.
        write!(f, "Config({} entries)", self.entries.len())
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entry(…, {:?})", self.writer)
    }
}

impl Config {
    /// What `git config -z --list` says: each key, a line feed and the value, ended by a NUL.
    pub(crate) fn of_git(listed: &[u8]) -> Self {
        let mut config = Self::default();
        for entry in listed.split(|byte| *byte == 0) {
            if let Ok(entry) = std::str::from_utf8(entry)
                && !entry.is_empty()
            {
                // A name alone is git's way to say yes.
                let (key, value) = entry.split_once('\n').unwrap_or((entry, "true"));
                config.push(key, value, Writer::User);
            }
        }
        config
    }

    /// Adds a value that counts more than all before it.
    pub(crate) fn push(&mut self, key: &str, value: &str, writer: Writer) {
        self.entries.push(Entry {
            key: canonical(key),
            value: value.to_owned(),
            writer,
        });
    }

    /// This config with `weaker` below it: its values count where there is no other.
    pub(crate) fn above(mut self, weaker: Self) -> Self {
        let own = std::mem::replace(&mut self.entries, weaker.entries);
        self.entries.extend(own);
        self
    }

    /// Those of the values for which `keep` says so.
    pub(crate) fn retain(mut self, keep: impl FnMut(&Entry) -> bool) -> Self {
        self.entries.retain(keep);
        self
    }

    /// The value of a key that counts.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.find(key).map(|entry| &*entry.value)
    }

    /// The same, with who wrote it.
    pub(crate) fn find(&self, key: &str) -> Option<&Entry> {
        let key = canonical(key);
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// What follows `prefix` in the keys that start so, with the values, in their order.
    pub(crate) fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let below = move |entry: &'a Entry| Some((entry.key.strip_prefix(prefix)?, &*entry.value));
        self.entries.iter().filter_map(below)
    }

    /// All values of a key, in their order.
    pub(crate) fn every(&self, key: &str) -> impl Iterator<Item = &str> {
        let key = canonical(key);
        let values = self.entries.iter().filter(move |entry| entry.key == key);
        values.map(|entry| &*entry.value)
    }

    /// The first value of a list such as a remote's URLs; an empty one starts the list anew.
    pub(crate) fn first(&self, key: &str) -> Option<&str> {
        let key = canonical(key);
        let values = self.entries.iter().filter(|entry| entry.key == key);
        values.fold(None, |first, entry| match entry.value.as_str() {
            "" => None,
            value => first.or(Some(value)),
        })
    }
}

/// A key as git compares it: the subsection keeps its letters.
fn canonical(key: &str) -> String {
    match (key.find('.'), key.rfind('.')) {
        (Some(first), Some(last)) => {
            let (section, rest) = key.split_at(first);
            let (subsection, name) = rest.split_at(last - first);
            let (section, name) = (section.to_ascii_lowercase(), name.to_ascii_lowercase());
            format!("{section}{subsection}{name}")
        }
        _ => key.to_ascii_lowercase(),
    }
}

/// A switch in git's spellings; `None` if it is none of them.
pub(crate) fn switch(value: &str) -> Option<bool> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" | "" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_counts_and_subsections_keep_their_letters() {
        let mut config = Config::default();
        config.push("Remote.Origin.URL", "one", Writer::User);
        config.push("remote.Origin.url", "two", Writer::User);
        assert_eq!(config.get("remote.Origin.Url"), Some("two"));
        assert_eq!(config.first("remote.Origin.url"), Some("one"));
        assert_eq!(config.get("remote.origin.url"), None);
        config.push("remote.Origin.url", "", Writer::User);
        config.push("remote.Origin.url", "three", Writer::User);
        assert_eq!(config.first("remote.Origin.url"), Some("three"));
        assert!(!format!("{config:?} {:?}", config.find("remote.Origin.url")).contains("three"));
    }

    #[test]
    fn weaker_values_fill_gaps_only() {
        let (mut strong, mut weak) = (Config::default(), Config::default());
        strong.push("lfs.url", "mine", Writer::User);
        weak.push("lfs.url", "theirs", Writer::Repository);
        weak.push("lfs.pushurl", "theirs", Writer::Repository);
        let both = strong.above(weak);
        assert_eq!(both.get("lfs.url"), Some("mine"));
        let found = both.find("lfs.pushurl").expect("there");
        assert_eq!(
            (&*found.value, found.writer),
            ("theirs", Writer::Repository)
        );
    }
}
