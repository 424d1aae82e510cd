//! Says at trace level which step of a save, a push or a rewrite is complete.
//!
//! The target is `hf_repository::step`, the message the step's name. For whoever has to find out
//! where a process was when it ended; the crash tests kill it there.

/// The step named is complete, and lasting where it writes.
pub(crate) fn step(name: &str) {
    tracing::trace!(target: "hf_repository::step", "{name}");
}
