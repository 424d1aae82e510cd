//! The YAML in front of a card: where its keys stand, and what they say.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_saphyr::granit_parser::{Event, Parser};

use super::{FENCE, chomp};
use crate::error::{Error, ErrorKind, Result};

/// Bytes of YAML; the Hub shows tables with thousands of results, which have some hundred thousand.
const LIMIT: usize = 1 << 20;
/// Levels of nesting; results of models have seven.
const LEVELS: usize = 64;

/// The keys of a front matter, with the lines each of them has.
pub(super) struct Keys<'a> {
    text: &'a str,
    /// In their order; comments and blank lines before a key are nobody's.
    keys: Vec<(String, Range<usize>)>,
    /// Whether each of them begins a line of its own.
    lined_up: bool,
}

impl<'a> Keys<'a> {
    pub(super) fn read(text: &'a str) -> Result<Self> {
        let mut starts: Vec<(String, usize)> = Vec::new();
        let mut depth = 0_usize;
        let mut is_key = true;
        let mut end = text.len();
        for event in Parser::new_from_str(text) {
            let (event, span) =
                event.map_err(|error| no_yaml(error.marker().line() as u64).with_source(error))?;
            let closes = matches!(event, Event::MappingEnd | Event::SequenceEnd);
            depth -= usize::from(closes && depth > 0);
            match &event {
                // A node of the mapping itself: by turns a key and a value.
                Event::Scalar(..)
                | Event::Alias(_)
                | Event::MappingStart(..)
                | Event::SequenceStart(..)
                    if depth == 1 =>
                {
                    if is_key {
                        let Event::Scalar(name, ..) = &event else {
                            return Err(unfit("a key is no plain text"));
                        };
                        starts.push((name.to_string(), span.start.byte_offset().unwrap_or(end)));
                    }
                    is_key = !is_key;
                }
                Event::Scalar(name, ..) if depth == 0 && name.is_empty() => {}
                Event::Scalar(..) | Event::Alias(_) | Event::SequenceStart(..) if depth == 0 => {
                    return Err(unfit("there are no keys"));
                }
                Event::DocumentEnd => end = end.min(span.start.byte_offset().unwrap_or(end)),
                _ => {}
            }
            depth += usize::from(matches!(
                event,
                Event::MappingStart(..) | Event::SequenceStart(..)
            ));
            if depth > LEVELS {
                return Err(unfit("it is nested too deeply"));
            }
        }
        Ok(Self::with_lines(text, starts, end))
    }

    fn with_lines(text: &'a str, starts: Vec<(String, usize)>, end: usize) -> Self {
        let lined_up = starts.iter().all(|(_, start)| {
            text.is_char_boundary(*start) && (*start == 0 || text[..*start].ends_with('\n'))
        });
        let ends = starts.iter().skip(1).map(|(_, start)| *start).chain([end]);
        let ends: Vec<usize> = ends.collect();
        let keys = starts.into_iter().zip(ends).map(|((name, start), end)| {
            let own = text.get(start..end).unwrap_or_default();
            (name, start..start + without_tail(own))
        });
        Self {
            text,
            keys: keys.collect(),
            lined_up,
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.keys.iter().map(|(name, _)| name.clone()).collect()
    }

    fn find(&self, key: &str) -> Result<Option<&Range<usize>>> {
        if !self.lined_up {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the keys in front of the model card do not stand on lines of their own",
            )
            .with_hint("write them as in \"license: mit\", one below the other, without braces"));
        }
        let found = self.keys.iter().find(|(name, _)| name == key);
        Ok(found.map(|(_, lines)| lines))
    }

    /// The text with other lines for a key, or with these behind the others.
    pub(super) fn with(&self, key: &str, lines: &str) -> Result<String> {
        let mut text = self.text.to_owned();
        match self.find(key)? {
            Some(range) => text.replace_range(range.clone(), lines),
            None => text.push_str(lines),
        }
        Ok(text)
    }

    /// The text without the lines of a key.
    pub(super) fn without(&self, key: &str) -> Result<String> {
        let mut text = self.text.to_owned();
        if let Some(range) = self.find(key)? {
            text.replace_range(range.clone(), "");
        }
        Ok(text)
    }
}

/// Bytes of a key's lines without the blank ones and comments behind them.
fn without_tail(text: &str) -> usize {
    let mut end = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        // What a key says is indented, or it is a list.
        if !line.trim().is_empty() && !line.starts_with('#') {
            end = at;
        }
    }
    end
}

fn no_yaml(line: u64) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!(
            "what stands in front of the model card is no YAML that can be read (its line {line})"
        ),
    )
    .with_hint("a value with ': ' or '#' in it needs quotes; no key may be there twice")
}

fn unfit(why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("what stands in front of the model card cannot be read: {why}"),
    )
    .with_hint("it has to be keys with values, as in \"license: mit\"")
}

/// Whether this can be read: no tag, anchor or alias makes more of it than it is.
pub(super) fn check(text: &str) -> Result<()> {
    values(text).map(drop)
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: LEVELS,
            max_documents: 1,
            max_anchors: 1000,
            max_aliases: 1000,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 100_000,
            max_replay_stack_depth: 8,
        },
        with_snippet: false,
    }
}

fn failed(error: serde_saphyr::Error) -> Error {
    let line = error.location().map_or(0, |place| place.line());
    no_yaml(line).with_source(error)
}

fn values(text: &str) -> Result<BTreeMap<String, Value>> {
    if text.len() > LIMIT {
        return Err(unfit("it has more than 1 MiB"));
    }
    if Keys::read(text)?.keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    serde_saphyr::from_str_with_options(text, options()).map_err(failed)
}

pub(super) fn get<T: DeserializeOwned>(text: &str, key: &str) -> Result<Option<T>> {
    if !Keys::read(text)?.names().iter().any(|name| name == key) {
        return Ok(None);
    }
    let pick = Pick {
        key,
        kind: PhantomData,
    };
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |yaml| {
        pick.deserialize(yaml)
    })
    .map_err(|error| {
        let line = error.location().map_or(0, |place| place.line());
        Error::new(
            ErrorKind::InvalidInput,
            format!("{key:?} in front of the model card is of another kind (its line {line})"),
        )
        .with_hint("ask for another type")
        .with_source(error)
    })
}

/// Reads the value of one key, and passes over the others.
struct Pick<'k, T> {
    key: &'k str,
    kind: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Pick<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<Self::Value, D::Error> {
        yaml.deserialize_map(self)
    }
}

impl<'de, T: DeserializeOwned> Visitor<'de> for Pick<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// The lines that say a key and its value.
pub(super) fn lines(key: &str, value: &impl Serialize) -> Result<String> {
    let options = serde_saphyr::ser_options! {
        // Words are not wrapped: a change of one would move all.
        folded_wrap_chars: usize::MAX,
        // Of a block, blank lines behind it may be a part.
        prefer_block_scalars: false,
    };
    let lines = serde_saphyr::to_string_with_options(&BTreeMap::from([(key, value)]), options);
    let mut lines = lines.map_err(|error| cannot_write(key).with_source(error))?;
    if !lines.ends_with('\n') {
        lines.push('\n');
    }
    // Numbers that JSON does not know, say, are not what they were.
    let same = serde_json::to_value(value).is_ok_and(|value| {
        values(&lines).is_ok_and(|mut written| written.remove(key) == Some(value))
    });
    if same {
        Ok(lines)
    } else {
        Err(cannot_write(key))
    }
}

fn cannot_write(key: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("{key:?} in front of the model card cannot be written: YAML would read it as something else"),
    )
    .with_hint("use texts, numbers, true or false, and lists and maps of them")
}

/// Makes sure that a change of one key, to what `lines` say, changed no other.
pub(super) fn check_change(before: &str, after: &str, key: &str, lines: &str) -> Result<()> {
    let entangled = || {
        let text = format!(
            "{key:?} in front of the model card cannot be changed alone: other keys depend on it"
        );
        Error::new(ErrorKind::Unsupported, text).with_hint("change the file by hand")
    };
    if after.len() > LIMIT {
        let text = format!(
            "the YAML with the new {key:?} has more than {} KiB",
            LIMIT >> 10
        );
        return Err(Error::new(ErrorKind::InvalidInput, text)
            .with_hint("put what is long into the body of the card, or into a file of its own"));
    }
    let mut wanted = values(before)?;
    let found = values(after).map_err(|error| entangled().with_source(error))?;
    wanted.remove(key);
    wanted.extend(values(lines)?);
    let ends = after.split('\n').any(|line| chomp(line) == FENCE);
    if found == wanted && !ends {
        Ok(())
    } else {
        Err(entangled())
    }
}
