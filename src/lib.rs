//! Keep a local clone of a Hugging Face Hub repository in sync from training code.
//!
//! A [`Repository`] is a clone on disk: a work tree, an index and a history that git understands,
//! and Git LFS files with their content. Everything is done in process; no git, no git-lfs and no
//! OpenSSL is needed on the machine.
//!
//! ```no_run
//! use hf_repository::{Repository, Visibility};
//! let repo = Repository::prepare("user/my-model", "out")
//!     .create_if_missing(Visibility::Private)
//!     .open_or_clone()?;
//! for epoch in 0..3 {
//!     std::fs::write("out/model.safetensors", [epoch; 1024]).expect("writable");
//!     let report = repo.save(format!("epoch {epoch}"))?; // committed here; pushed meanwhile
//!     for failure in &report.failures {
//!         eprintln!("not pushed yet: {}", failure.error);
//!     }
//! }
//! repo.close()?; // waits; an error names every commit that is not on the Hub
//! # Ok::<(), hf_repository::Error>(())
//! ```
//!
//! # How to think of it
//!
//! * [`Repository::prepare`] says what to clone and how; [`open_or_clone`] is what a training script
//!   wants: it clones, opens what is there, or finishes a clone that was interrupted.
//! * [`stage`] turns the work tree into index entries, [`commit`] turns those into a commit. Neither
//!   needs the network. [`push`], [`pull`] and [`checkout`] do, and none of them leaves a file
//!   half written: all content is at hand before the first file changes.
//! * [`save`] does all three: it stages and commits, writes down the promise that the commit will be
//!   pushed, and returns. A worker thread keeps the promise, a [`PushHandle`] tells how far it is.
//!   What is written down is pushed even after `kill -9`: by the next run's first save, or its
//!   [`resume_pushes`]. [`close`] waits for the rest, [`close_within`] as long as there is time.
//! * [`begin`] is for work that is to become one commit, or none if it fails. [`open_or_adopt`] makes a folder a
//!   clone that had files before there was one.
//! * Calls that change the clone wait for one another, across threads and processes. A killed
//!   process leaves nothing that the next call does not clean up.
//! * Every failure is an [`Error`] with a [`kind`](Error::kind) for code, one line for people and,
//!   where the library knows, a [`hint`](Error::hint). Partial success is a value in a report.
//! * Long work reports to a [`Progress`] and ends when its [`CancelToken`] is pulled.
//!
//! Users of Python's `huggingface_hub.Repository` find each of its names in the
//! [migration guide](_migrating_from_python).
//!
//! # Who you are
//!
//! The token you pass, else `HF_TOKEN` and what else the Hub's tools know, goes to the Hub and nowhere else. Where
//! there is none, or another server wants a login, git's credential helpers and `~/.netrc` are asked, and
//! last your own function, if you pass one ([`credential_prompt`]). Nobody is ever prompted otherwise. [`login()`]
//! has the user's helpers keep a token for good. `docs/credentials.md` in the repository has the details.
//!
//! # What it reads
//!
//! `HF_ENDPOINT` is the Hub; `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_TOKEN_PATH`, `HF_HOME` and
//! `HF_HUB_DISABLE_IMPLICIT_TOKEN` decide the token as they do for the Hub's other tools;
//! `HF_HUB_OFFLINE` turns the network off: what needs it is [`ErrorKind::Offline`], and saves are kept.
//! `http_proxy`, `https_proxy`, `all_proxy`, `no_proxy` how servers are reached, and `SSL_CERT_FILE`,
//! `SSL_CERT_DIR`, `GIT_SSL_CAINFO` and `GIT_SSL_CAPATH` whose certificates are believed.
//! git's configuration gives the identity, ignore rules and attributes, and says where remotes and
//! LFS servers are and how to reach them, as for git and git-lfs; `docs/configuration.md` in the
//! repository lists the keys.
//!
//! [`credential_prompt`]: PrepareRepository::credential_prompt
//! [`begin`]: Repository::begin
//! [`open_or_adopt`]: PrepareRepository::open_or_adopt
//! [`open_or_clone`]: PrepareRepository::open_or_clone
//! [`stage`]: Repository::stage
//! [`commit`]: Repository::commit
//! [`push`]: Repository::push
//! [`pull`]: Repository::pull
//! [`checkout`]: Repository::checkout
//! [`save`]: Repository::save
//! [`resume_pushes`]: Repository::resume_pushes
//! [`close`]: Repository::close
//! [`close_within`]: Repository::close_within

mod cancel;
mod card;
mod config;
mod credential;
mod env;
mod error;
mod fs;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod git;
mod gitattributes;
mod gitignore;
mod http;
mod hub;
mod id;
mod lfs;
mod local;
mod login;
mod name;
mod parallel;
mod path;
mod place;
#[cfg(any(test, fuzzing))]
mod probe;
mod process;
mod progress;
mod push;
mod remote;
mod repository;
mod secret;
mod source;
mod step;
mod url;
mod worktree;

pub use cancel::CancelToken;
pub use card::ModelCard;
pub use config::recorded::{RecordedCredential, RecordedKind};
pub use credential::CredentialRequest;
pub use error::{Error, ErrorKind, Offence, Result};
pub use git::{FileState, Identity, Upstream};
pub use http::{Bandwidth, NetworkLimits};
pub use hub::Visibility;
pub use id::{CommitId, Endpoint, LfsOid, RepoId, RepoType};
pub use lfs::pattern::Pattern;
pub use lfs::pruning::{KeepRecent, VerifyRemote};
pub use lfs::rule::Lockable;
pub use login::{KeepIn, LoginOptions, login, logout};
pub use name::{BranchName, RefName, RemoteName, Revision, TagName};
pub use path::RepoPath;
pub use progress::{Direction, Event, Events, Progress, PushState};
pub use push::{
    AutoPrune, Delivery, FlushReport, Integration, Keeper, OnConflict, OnDrop, PendingPush,
    PushFailure, PushHandle, PushPolicy, PushProgress, PushReport, PushedRef, RefChange,
    SaveOptions, SaveReport, Saved,
};
pub use repository::{Branch, BranchOptions, BranchOutcome, CheckedOut, Unmerged};
pub use repository::{
    CheckoutOptions, CheckoutReport, CleanupPlan, CommitOutcome, CommitScope, EarlierChanges,
    FsckOptions, HistoryReport, LfsEngine, PrepareRepository, PruneOptions, PruneReport,
    PullReport, PullStrategy, PushOptions, Repository, Retention, RewriteOptions, RewriteReport,
    ScopeOptions, ScopeOutcome, ScopePush, ScopeReport, Status, StatusEntry, Tag, TagKind,
    TagOptions, TagOutcome, TrackOptions, TrackReport, UnreferencedObject, Where,
};
pub use secret::{Login, Token};
pub use worktree::{
    AutoTrack, AutoTrackPreview, BadPointer, Content, Damage, DamagedObject, FsckChecks,
    FsckReport, OnChanging, PointerProblem, Repair, SharedStore, Skipped, StageOptions,
    StageReport, TrackReason,
};

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// How to do with this crate what Python's `huggingface_hub.Repository` did.
#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/migrating-from-python.md")]
pub mod _migrating_from_python {}
