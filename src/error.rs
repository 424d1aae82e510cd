//! The one error type of the crate: what was tried, on what, and what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::id::CommitId;
use crate::path::RepoPath;
use crate::secret::{fit_cause, fit_to_show};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is: the part a program matches on.
///
/// Kinds say what the *caller* can do about it, not which library noticed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A repository id, URL or `hf://` address that cannot be read.
    InvalidSource,
    /// A branch, tag, remote or revision name that git would refuse.
    InvalidName,
    /// A path that is empty, leaves the work tree or points into `.git`.
    InvalidPath,
    /// An option or value that makes no sense here.
    InvalidInput,
    /// A named file that neither exists nor is tracked.
    PathNotFound,
    /// A named file that the ignore rules exclude.
    PathIgnored,
    /// The folder holds no git repository.
    NotARepository,
    /// The folder belongs to another user, and is not listed as safe; the hint has the command for that.
    ForeignOwner,
    /// The target folder of a clone has files in it.
    FolderNotEmpty,
    /// The folder is a clone, but of another remote.
    RemoteMismatch,
    /// The clone has no remote of that name.
    RemoteNotFound,
    /// The remote repository does not exist, or is hidden from this token.
    RepoNotFound,
    /// The branch, tag or commit does not exist.
    RevisionNotFound,
    /// Something of that name exists already.
    AlreadyExists,
    /// The server wants credentials, or refuses those it got.
    Unauthorized,
    /// The credentials are good, but do not allow this.
    Forbidden,
    /// The branch is checked out, here or in another work tree, or is being rebased.
    BranchInUse,
    /// Commits would be lost that nothing else leads to.
    UnmergedCommits,
    /// HEAD names a commit, not a branch, and the operation needs a branch.
    DetachedHead,
    /// The branch has no commit yet, and the operation needs one.
    UnbornBranch,
    /// Another branch was checked out while work for one was under way.
    BranchChanged,
    /// The remote branch holds commits this clone does not have.
    NonFastForward,
    /// A ref of the remote is not where it was expected to be; nothing was sent.
    StaleLease,
    /// A plan was made for another state of the branch; nothing was changed.
    StalePlan,
    /// Local and remote branch both have commits of their own.
    Diverged,
    /// Both sides changed the same files, each in its own way; see [`Error::offences`].
    Conflict,
    /// The server's hook refused the push; see [`Error::server_message`].
    Rejected,
    /// Files or commits the Hub would refuse; see [`Error::offences`].
    Preflight,
    /// Local edits stand in the way; nothing was changed.
    DirtyWorktree,
    /// A merge, rebase or similar is under way, or the index has conflicts.
    UnfinishedOperation,
    /// A file changed while it was read.
    FileChanged,
    /// A Git LFS object is neither here nor on the server.
    LfsObjectMissing,
    /// A Git LFS object whose bytes do not hash to its name.
    LfsObjectCorrupt,
    /// The repository uses something this library does not support.
    Unsupported,
    /// Nobody is set up to keep a login: see [`login`](crate::login()).
    NoCredentialHelper,
    /// A program that is needed (`git-lfs`, say) is not installed.
    ProgramMissing,
    /// A program ran and failed.
    ProgramFailed,
    /// Another process or thread holds a lock.
    Locked,
    /// The network is needed, and the user turned it off (`HF_HUB_OFFLINE`).
    Offline,
    /// The connection could not be made, or broke.
    Network,
    /// The server cannot prove who it is: its certificate is by an unknown authority, out of date or
    /// for another host. Nothing was sent.
    Certificate,
    /// The proxy wants other credentials, or refuses to lead there.
    Proxy,
    /// No byte moved for longer than the stall limit, or a deadline passed.
    Timeout,
    /// The server failed (5xx).
    Server,
    /// The server asks to come back later.
    RateLimited,
    /// The server sent something that breaks the protocol.
    Protocol,
    /// The caller cancelled.
    Cancelled,
    /// Commits are saved here, but not on the remote; see [`Error::unpushed`].
    Unpushed,
    /// A record of what is still to be pushed cannot be read; it was set aside.
    JournalDamaged,
    /// Something the library relies on failed, or it has a bug.
    Internal,
    /// The disk, quota or file-size limit is used up.
    DiskFull,
    /// Any other input/output failure.
    Io,
    /// Any other failure of the git repository.
    Git,
}

/// One file that stands in the way of a push or pull, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Offence {
    /// The file, as named in the commit.
    pub path: RepoPath,
    /// The commit that brings it in; `None` when it is only staged.
    pub commit: Option<CommitId>,
    /// What is wrong with it, for people.
    pub reason: String,
}

impl Offence {
    pub(crate) fn new(path: RepoPath, commit: Option<CommitId>, reason: impl Into<String>) -> Self {
        Self {
            path,
            commit,
            reason: fit_to_show(&reason.into()),
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)?;
        if let Some(commit) = &self.commit {
            write!(f, " in {}", commit.short())?;
        }
        write!(f, " ({})", self.reason)
    }
}

/// A failure, one word wide.
///
/// `Display` is one line for people, without the cause (follow [`StdError::source`]) and without
/// secrets. [`kind`](Error::kind) is for code, [`hint`](Error::hint) says what to try next.
///
/// ```
/// use hf_repository::{ErrorKind, Repository};
/// let error = Repository::open("/no/such/folder").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotARepository);
/// assert!(error.hint().is_some());
/// ```
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    retry_after: Option<Duration>,
    request_id: Option<String>,
    server_message: Option<String>,
    offences: Vec<Offence>,
    pushed: Vec<CommitId>,
    unpushed: Vec<CommitId>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// Reading an error.
impl Error {
    /// What kind of failure this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What to do next, when the library knows.
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Whether the same call may succeed later without anything being changed.
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{FileChanged, Locked, Network, RateLimited, Server, Timeout};
        matches!(
            self.kind(),
            Network | Timeout | Server | RateLimited | Locked | FileChanged
        )
    }

    /// How long the server asked to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The server's id of the failed request, for its support.
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// The server's own words, with control characters removed; may span lines.
    pub fn server_message(&self) -> Option<&str> {
        self.0.server_message.as_deref()
    }

    /// The commits that are saved here and not on the remote, for [`ErrorKind::Unpushed`].
    pub fn unpushed(&self) -> &[CommitId] {
        &self.0.unpushed
    }

    /// The commits that did reach the remote, for [`ErrorKind::Unpushed`].
    pub fn pushed(&self) -> &[CommitId] {
        &self.0.pushed
    }

    /// The files that stand in the way, for the kinds that name files.
    pub fn offences(&self) -> &[Offence] {
        &self.0.offences
    }
}

/// Making an error. Whatever text it is given is made fit to show here, once for all.
impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            message: one_line(&fit_to_show(&message.into())),
            hint: None,
            retry_after: None,
            request_id: None,
            server_message: None,
            offences: Vec::new(),
            pushed: Vec::new(),
            unpushed: Vec::new(),
            source: None,
        }))
    }

    /// An input/output failure: `action` completes "cannot …", as in `"read"`.
    pub(crate) fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let full = matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        );
        let kind = if full {
            ErrorKind::DiskFull
        } else {
            ErrorKind::Io
        };
        let error =
            Self::new(kind, format!("cannot {action} {}", path.display())).with_source(source);
        if full {
            error.with_hint("free some space and call again; nothing was lost")
        } else {
            error
        }
    }

    pub(crate) fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled by the caller")
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(fit_to_show(&hint.into()));
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.0.source = Some(fit_cause(source.into()));
        self
    }

    pub(crate) fn with_retry_after(mut self, after: Option<Duration>) -> Self {
        self.0.retry_after = after;
        self
    }

    pub(crate) fn with_request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id.map(|id| one_line(&fit_to_show(&id)));
        self
    }

    /// Keeps the server's words, and puts their gist on the error's one line.
    pub(crate) fn with_server_message(mut self, text: &str) -> Self {
        let clean = fit_to_show(text);
        let gist = one_line(&clean);
        if !gist.is_empty() {
            let gist: String = gist.chars().take(GIST_CHARS).collect();
            self.0.message = format!("{}: {gist}", self.0.message);
            self.0.server_message = Some(clean);
        }
        self
    }

    pub(crate) fn with_delivery(mut self, pushed: Vec<CommitId>, unpushed: Vec<CommitId>) -> Self {
        self.0.pushed = pushed;
        self.0.unpushed = unpushed;
        self
    }

    /// Keeps the files, and names the first few on the error's one line.
    pub(crate) fn with_offences(mut self, offences: Vec<Offence>) -> Self {
        let named: Vec<_> = offences
            .iter()
            .take(NAMED_OFFENCES)
            .map(Offence::to_string)
            .collect();
        if !named.is_empty() {
            let rest = offences.len() - named.len();
            let more = if rest > 0 {
                format!(" and {rest} more")
            } else {
                String::new()
            };
            self.0.message = format!("{}: {}{more}", self.0.message, named.join(", "));
        }
        self.0.offences = offences;
        self
    }
}

fn one_line(text: &str) -> String {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Characters of a server's text that fit on a line people still read.
const GIST_CHARS: usize = 400;
/// Files named on the error's line; all of them are in [`Error::offences`].
const NAMED_OFFENCES: usize = 3;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            message,
            hint,
            retry_after,
            request_id,
            server_message,
            offences,
            pushed,
            unpushed,
            source,
        } = &*self.0;
        let mut debug = f.debug_struct("Error");
        debug.field("kind", kind).field("message", message);
        if let Some(hint) = hint {
            debug.field("hint", hint);
        }
        if let Some(after) = retry_after {
            debug.field("retry_after", after);
        }
        if let Some(id) = request_id {
            debug.field("request_id", id);
        }
        if let Some(text) = server_message {
            debug.field("server_message", text);
        }
        if !offences.is_empty() {
            debug.field("offences", offences);
        }
        if !pushed.is_empty() {
            debug.field("pushed", pushed);
        }
        if !unpushed.is_empty() {
            debug.field("unpushed", unpushed);
        }
        if let Some(source) = source {
            debug.field("source", source);
        }
        debug.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn server_text_cannot_steer_a_terminal() {
        let error = Error::new(ErrorKind::Rejected, "the server refused the push")
            .with_server_message("\u{1b}[31mbad\u{7}\nfile\r\n");
        assert_eq!(
            error.to_string(),
            "the server refused the push: [31mbad file"
        );
        assert!(
            !error
                .server_message()
                .is_some_and(|text| text.contains('\u{1b}'))
        );
    }
}
