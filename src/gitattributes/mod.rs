//! The language of `.gitattributes` files, read as git reads it.
//!
//! What git does is in <https://git-scm.com/docs/gitattributes>, and to the letter in its `attr.c`, `dir.c`
//! and `wildmatch.c`. Nothing here opens a file: who looks up attributes brings the bytes.
//!
//! Not by a crate: gitoxide's brings a score of others along, reads lines that git leaves out (too
//! long, with an attribute that has no valid name), and gives up on patterns with many stars.

mod glob;
mod line;
mod quote;
mod rules;
mod wildmatch;

pub(crate) use glob::{Case, Glob};
pub(crate) use line::{Assignment, LONGEST_LINE, State, assignments, split};
pub(crate) use rules::{Decided, Macros, Rules, decide};

/// Bytes of a file in which git still looks for rules.
pub(crate) const MOST_BYTES: u64 = 100 << 20;

/// Where git, and this library, look for rules in a folder.
pub(crate) const FILE_NAME: &str = ".gitattributes";
