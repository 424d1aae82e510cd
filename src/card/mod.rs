//! Model cards: a README with YAML in front.
//!
//! | file | concern |
//! |---|---|
//! | `front` | the YAML: where its keys stand, and what they say |
//!
//! The YAML stands between two lines `---`, as in <https://huggingface.co/docs/hub/model-cards>. A card
//! keeps the text it was read from: what is not changed stays to the byte.

mod front;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// Bytes of a card; the longest on the Hub have some hundred thousand.
pub(crate) const LIMIT: u64 = 16 << 20;
/// What the YAML stands between.
const FENCE: &str = "---";
/// What some editors put before everything.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A model card (or the card of a dataset or Space): YAML in front, then Markdown.
///
/// The YAML is changed line by line: comments, the order of the keys, the quotes and line ends of all
/// other keys stay as they are.
///
/// ```
/// use hf_repository::ModelCard;
/// let mut card = ModelCard::parse("---\nlicense: mit # ours\ntags:\n- x\n---\n# Title\n")?;
/// assert_eq!(card.get::<String>("license")?.as_deref(), Some("mit"));
/// card.set("tags", ["x", "no"])?;
/// assert_eq!(card.to_string(), "---\nlicense: mit # ours\ntags:\n- x\n- \"no\"\n---\n# Title\n");
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelCard {
    /// All before the YAML, the line `---` included; empty if there is none.
    opening: String,
    /// Whole lines.
    front: String,
    /// The line `---` behind the YAML; empty if there is none.
    closing: String,
    body: String,
}

impl ModelCard {
    /// Reads a card. A text without YAML in front is one, too.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if what stands in front is not YAML with keys and values, names a key
    /// twice, is nested too deeply or grows without bounds (64 levels, 1 MiB), or if the text has more
    /// than 16 MiB.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() as u64 > LIMIT {
            return Err(too_long());
        }
        let card = Self::split(text);
        front::check(&card.front)?;
        Ok(card)
    }

    fn split(text: &str) -> Self {
        let none = || Self {
            opening: String::new(),
            front: String::new(),
            closing: String::new(),
            body: text.to_owned(),
        };
        let is_fence = |line: &str| line.strip_suffix('\n').map_or(line, chomp) == FENCE;
        let mark = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let mut at = text.len() - mark.len();
        // Blank lines may come first, as for the Hub's own tools.
        let mut opened = None;
        for line in mark.split_inclusive('\n') {
            let (start, end) = (at, at + line.len());
            at = end;
            match opened {
                None if is_fence(line) && line.ends_with('\n') => opened = Some(end),
                None if line.trim().is_empty() => {}
                None => return none(),
                Some(opened) if is_fence(line) => {
                    return Self {
                        opening: text[..opened].to_owned(),
                        front: text[opened..start].to_owned(),
                        closing: text[start..end].to_owned(),
                        body: text[end..].to_owned(),
                    };
                }
                Some(_) => {}
            }
        }
        none()
    }

    /// The names of the keys in front, in their order.
    pub fn keys(&self) -> Vec<String> {
        let keys = front::Keys::read(&self.front);
        keys.map(|keys| keys.names()).unwrap_or_default()
    }

    /// What a key in front says; `None` if it is not there.
    ///
    /// Plain words are read as the Hub's tools read them: `yes` is true, `"yes"` a text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        front::get(&self.front, key)
    }

    /// Writes a key in front: in the place of the old value, else behind the others. A comment behind the
    /// old value goes with it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for what YAML cannot say, [`ErrorKind::Unsupported`] if the YAML is
    /// written so that its keys do not stand on lines of their own. Nothing has changed then.
    pub fn set(&mut self, key: &str, value: impl Serialize) -> Result<()> {
        let lines = front::lines(key, &value)?;
        let front = front::Keys::read(&self.front)?.with(key, &self.with_line_ends(&lines))?;
        front::check_change(&self.front, &front, key, &lines)?;
        if self.opening.is_empty() {
            let mark = self.body.starts_with(BYTE_ORDER_MARK);
            let body = self.body.trim_start_matches(BYTE_ORDER_MARK).to_owned();
            let fence = self.with_line_ends(&format!("{FENCE}\n"));
            let mark = if mark { "\u{feff}" } else { "" };
            (self.opening, self.closing, self.body) = (format!("{mark}{fence}"), fence, body);
        }
        self.front = front;
        Ok(())
    }

    /// Takes a key in front away, with its value; one that is not there is no error.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] as for [`set`](Self::set), and if other keys refer to this one.
    pub fn remove(&mut self, key: &str) -> Result<()> {
        let front = front::Keys::read(&self.front)?.without(key)?;
        front::check_change(&self.front, &front, key, "")?;
        self.front = front;
        Ok(())
    }

    /// The Markdown behind the YAML.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Replaces the Markdown.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a text that would make the card longer than 16 MiB, or that begins
    /// like YAML in front where the card has none.
    pub fn set_body(&mut self, body: &str) -> Result<()> {
        let mut card = self.clone();
        body.clone_into(&mut card.body);
        if !card.closing.is_empty() && !card.closing.ends_with('\n') {
            card.closing = card.with_line_ends("---\n");
        }
        let text = card.to_string();
        if text.len() as u64 > LIMIT {
            return Err(too_long());
        }
        if Self::split(&text) != card {
            let text = "the text begins like YAML in front of a card";
            return Err(Error::new(ErrorKind::InvalidInput, text)
                .with_hint("read it with ModelCard::parse"));
        }
        *self = card;
        Ok(())
    }

    /// `lines` with the line ends of this card: those of its first line.
    fn with_line_ends(&self, lines: &str) -> String {
        let first = [&self.opening, &self.body]
            .into_iter()
            .find(|part| !part.is_empty());
        let first = first.and_then(|part| part.split_inclusive('\n').next());
        if first.is_some_and(|line| line.ends_with("\r\n")) {
            lines.replace('\n', "\r\n")
        } else {
            lines.to_owned()
        }
    }
}

/// A line without the carriage return at its end.
fn chomp(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

pub(crate) fn too_long() -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("the model card has more than {} MiB", LIMIT >> 20),
    )
    .with_hint("move the long part into a file of its own, and link it")
}

impl fmt::Display for ModelCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            opening,
            front,
            closing,
            body,
        } = self;
        write!(f, "{opening}{front}{closing}{body}")
    }
}

impl FromStr for ModelCard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}
