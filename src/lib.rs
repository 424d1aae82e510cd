//! Keep a local clone of a Hugging Face Hub repository in sync from training code.
#![deny(unsafe_code)]
mod cancel;
mod env;
mod error;
mod fs;
mod id;
mod lfs;
mod name;
mod path;
mod progress;
mod secret;
mod source;
mod url;

pub use cancel::CancelToken;
pub use error::{Error, ErrorKind, Offence, Result};
pub use id::{CommitId, Endpoint, LfsOid, RepoId, RepoType};
pub use name::{BranchName, RemoteName, Revision, TagName};
pub use path::RepoPath;
pub use progress::{Direction, Event, Progress};
pub use secret::Token;
