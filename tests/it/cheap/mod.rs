//! Clones that have less than all: the newest history alone, and only the content that is wanted.

mod content;
pub(crate) mod shallow;
