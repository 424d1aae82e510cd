//! What is said of tags, by callers and to them.

use std::time::SystemTime;

use crate::git::{Identity, TagRef};
use crate::id::CommitId;
use crate::name::{RemoteName, Revision, TagName};
use crate::push::RefChange;

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tag {
    /// Its name.
    pub name: TagName,
    /// The commit it leads to; `None` if it is of something else.
    pub commit: Option<CommitId>,
    /// Whether it says more than that.
    pub kind: TagKind,
    /// What an annotated tag says, if it is here: a remote lists its tags without.
    pub message: Option<String>,
    /// Who made an annotated tag, if it is here and says so.
    pub tagger: Option<Identity>,
    /// When an annotated tag was made, to the second.
    pub tagged_at: Option<SystemTime>,
}

/// The two kinds of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TagKind {
    /// A name for a commit.
    Lightweight,
    /// A name with a message, a person and a date.
    Annotated,
}

/// How to create a tag; without any option it is a lightweight one of HEAD, in this clone only.
///
/// ```
/// use hf_repository::{RemoteName, TagOptions};
/// let options = TagOptions::default()
///     .message("the weights of the paper")
///     .at("main".parse()?)
///     .on(RemoteName::origin());
/// # let _ = options;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct TagOptions {
    pub(super) at: Option<Revision>,
    pub(super) message: Option<String>,
    pub(super) remote: Option<RemoteName>,
}

impl TagOptions {
    /// Tags a branch's commit, another tag's or any commit, in place of HEAD.
    pub fn at(mut self, revision: Revision) -> Self {
        self.at = Some(revision);
        self
    }

    /// Makes an annotated tag with this message, by the repository's identity, of now.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Brings the tag to a remote as well, with what that lacks of its commit.
    pub fn on(mut self, remote: RemoteName) -> Self {
        self.remote = Some(remote);
        self
    }
}

/// What became of a tag, in this clone and on the remote that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagOutcome {
    /// Its name.
    pub name: TagName,
    /// The commit it leads to; of a deleted one only if it was in this clone.
    pub commit: Option<CommitId>,
    /// What became of it in this clone.
    pub local: RefChange,
    /// What became of it on the remote.
    pub remote: RefChange,
    /// The server's `remote:` text, if it said something.
    pub server_message: Option<String>,
}

impl From<TagRef> for Tag {
    fn from(tag: TagRef) -> Self {
        Self {
            name: tag.name,
            commit: tag.commit,
            kind: match tag.is_annotated {
                true => TagKind::Annotated,
                false => TagKind::Lightweight,
            },
            message: tag.annotation.message,
            tagger: tag.annotation.tagger,
            tagged_at: tag.annotation.time,
        }
    }
}
