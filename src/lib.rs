//! Keep a local clone of a Hugging Face Hub repository in sync from training code.
mod cancel;
mod credential;
mod env;
mod error;
mod fs;
mod git;
mod http;
mod hub;
mod id;
mod lfs;
mod name;
mod path;
mod process;
mod progress;
mod repository;
mod secret;
mod source;
mod url;
mod worktree;

pub use cancel::CancelToken;
pub use error::{Error, ErrorKind, Offence, Result};
pub use git::{FileState, Identity};
pub use hub::Visibility;
pub use id::{CommitId, Endpoint, LfsOid, RepoId, RepoType};
pub use lfs::pattern::Pattern;
pub use name::{BranchName, RemoteName, Revision, TagName};
pub use path::RepoPath;
pub use progress::{Direction, Event, Progress};
pub use repository::{
    CheckoutOptions, CheckoutReport, CommitOutcome, Content, LfsEngine, PrepareRepository,
    PullReport, PushReport, PushedRef, Repository, Status, StatusEntry, TrackReport,
};
pub use secret::Token;
pub use worktree::{AutoTrack, Skipped, StageOptions, StageReport};
