use std::error::Error as StdError;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{CheckoutOptions, Repository};
use crate::cancel::CancelToken;
use crate::config::Config;
use crate::credential::{CredentialRequest, Prompt};
use crate::env;
use crate::error::Result;
use crate::fs;
use crate::git::{Git, Identity, private_folder};
use crate::http::{Bandwidth, NetworkLimits, PlainHttp, Verification};
use crate::hub::Visibility;
use crate::id::{Endpoint, RepoType};
use crate::lfs::agent::AgentConfig;
use crate::lfs::builtin::Builtin;
use crate::lfs::git_lfs::GitLfs;
use crate::lfs::settings::{MOST_CONCURRENT, TransferSettings};
use crate::lfs::store::Store;
use crate::lfs::{Engine, alternates, storage};
use crate::local::{Author, Local};
use crate::name::{RemoteName, Revision};
use crate::place::{self, Place, Reading};
use crate::progress::{Progress, Settled};
use crate::push::{AutoPrune, OnConflict, OnDrop, PushPolicy, Pushes, Settings};
use crate::remote::{Connection, ImplicitToken, Logins};
use crate::secret::{Login, Provider, Secret, Token};
use crate::worktree::Content;

/// Who does the work of Git LFS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LfsEngine {
    /// This library, in process; nothing to install. Only for ssh remotes the objects are moved by
    /// the installed `git-lfs`.
    #[default]
    Builtin,
    /// The installed `git-lfs` program, version 3.0 or later. Besides the token of the clone it knows
    /// the credentials of git's own configuration.
    GitLfs,
}

/// A clone to be opened or made: options first, then one of [`open`](Self::open),
/// [`clone_repo`](Self::clone_repo) and [`open_or_clone`](Self::open_or_clone).
///
/// ```no_run
/// use hf_repository::{Content, Repository, RepoType, Visibility};
/// let repo = Repository::prepare("user/my-data", "data")
///     .repo_type(RepoType::Dataset)
///     .create_if_missing(Visibility::Private)
///     .content(Content::PointersOnly)
///     .open_or_clone()?;
/// # Ok::<(), hf_repository::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PrepareRepository {
    pub(super) source: Option<String>,
    pub(super) folder: PathBuf,
    endpoint: Option<Endpoint>,
    secret: Option<Secret>,
    implicit: ImplicitToken,
    prompt: Option<Prompt>,
    repo_type: Option<RepoType>,
    pub(super) revision: Option<Revision>,
    pub(super) missing: CheckoutOptions,
    identity: Option<Identity>,
    create: Option<Visibility>,
    engine: LfsEngine,
    pub(super) content: Option<Content>,
    pub(super) depth: Option<NonZeroU32>,
    progress: Progress,
    pub(super) cancel: CancelToken,
    background: Settings,
    limits: NetworkLimits,
    bandwidth: Bandwidth,
    plain_http: PlainHttp,
    ca_files: Vec<PathBuf>,
    verification: Verification,
}

impl PrepareRepository {
    pub(super) fn new(source: String, folder: PathBuf) -> Self {
        Self {
            source: Some(source),
            ..Self::existing(folder)
        }
    }

    /// A clone that says itself where it came from.
    pub(super) fn existing(folder: PathBuf) -> Self {
        Self {
            source: None,
            // The program may go to another folder later, and the worker is at work then as well.
            folder: std::path::absolute(&folder).unwrap_or(folder),
            endpoint: None,
            secret: None,
            implicit: ImplicitToken::default(),
            prompt: None,
            repo_type: None,
            revision: None,
            missing: CheckoutOptions::Existing,
            identity: None,
            create: None,
            engine: LfsEngine::default(),
            content: None,
            depth: None,
            progress: Progress::none(),
            cancel: CancelToken::new(),
            background: Settings::default(),
            limits: NetworkLimits::default(),
            bandwidth: Bandwidth::unlimited(),
            plain_http: PlainHttp::default(),
            ca_files: Vec::new(),
            verification: Verification::On,
        }
    }

    /// The Hub to talk to; without it `HF_ENDPOINT`, else `https://huggingface.co`.
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    /// The token; without it `HF_TOKEN`, else the token file of the Hub's tools, else what git's
    /// credential helpers know.
    ///
    /// Nothing takes its place if it is refused: it is you who chose it.
    pub fn token(mut self, token: Token) -> Self {
        self.secret = Some(Secret::Token(token));
        self
    }

    /// Looks for no token: neither in `HF_TOKEN` nor in the token file.
    ///
    /// Git's credential helpers and `~/.netrc` are still asked if a server wants a login. Of this,
    /// [`token`](Self::token) and [`token_provider`](Self::token_provider) the later call holds.
    ///
    /// ```
    /// use hf_repository::Repository;
    /// let prepared = Repository::prepare("user/public-model", "out").without_token();
    /// ```
    pub fn without_token(mut self) -> Self {
        self.secret = None;
        self.implicit = ImplicitToken::Off;
        self
    }

    /// Where the token comes from, for tokens that are renewed: `provide` is called for every request
    /// that needs it.
    ///
    /// Counts as much as [`token`](Self::token): nothing implicit is looked for, and of the two the
    /// later call holds. `provide` is called on the threads that send, perhaps on several at once,
    /// and the request waits for it; it should keep a token that is still good. What goes wrong in
    /// it is an [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized) of the work that
    /// needed the token, with its error as
    /// the source.
    ///
    /// ```
    /// use std::error::Error;
    /// use hf_repository::{Repository, Token};
    /// let prepared = Repository::prepare("user/my-model", "out").token_provider(
    ///     || -> Result<Token, Box<dyn Error + Send + Sync>> {
    ///         Ok(std::fs::read_to_string("/run/secrets/hub-token")?.parse()?)
    ///     },
    /// );
    /// ```
    pub fn token_provider<E: Into<Box<dyn StdError + Send + Sync>>>(
        mut self,
        provide: impl Fn() -> Result<Token, E> + Send + Sync + 'static,
    ) -> Self {
        self.secret = Some(Secret::Provider(Provider::new(provide)));
        self
    }

    /// Lets tokens travel without encryption: to an endpoint or remote that is `http://` and not on
    /// this machine. Everybody on the way can then read them, and use them for good.
    ///
    /// Without this, requests to such servers carry no token, and those that need one fail with
    /// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized), unless git's credential
    /// helpers have a login for that very server.
    pub fn danger_send_tokens_over_plain_http(mut self) -> Self {
        self.plain_http = PlainHttp::Anywhere;
        self
    }

    /// Asks you for a login where a server wants one and nothing else has a good one: neither the
    /// token, nor git's credential helpers, nor `~/.netrc`. Without this nobody is ever asked.
    ///
    /// `ask` is called at most once for a server, on the thread that sends, and the request waits for it;
    /// it must not use the repository. A login that the server takes is offered to git's credential
    /// helpers, as git does with what it asked for, so that the next process need not ask. One that is
    /// refused, `None`, or a panic, is the end: the work fails with
    /// [`ErrorKind::Unauthorized`](crate::ErrorKind::Unauthorized). A
    /// [`token`](Self::token) that is refused is not asked about: then that one has to be changed.
    ///
    /// ```
    /// use hf_repository::{Login, Repository};
    /// let prepared = Repository::prepare("https://git.example.org/team/model", "out")
    ///     .credential_prompt(|wanted| {
    ///         // A window, a vault, a terminal: whatever suits the program.
    ///         let password = std::env::var("TEAM_PASSWORD").ok()?;
    ///         Some(Login::new(wanted.username().unwrap_or("robot"), password))
    ///     });
    /// ```
    pub fn credential_prompt(
        mut self,
        ask: impl Fn(&CredentialRequest) -> Option<Login> + Send + Sync + 'static,
    ) -> Self {
        self.prompt = Some(Prompt::new(ask));
        self
    }

    /// The kind of repository, where the source does not say it.
    pub fn repo_type(mut self, repo_type: RepoType) -> Self {
        self.repo_type = Some(repo_type);
        self
    }

    /// What is to be checked out: a branch, a tag, a commit by its id or the beginning of it, or a pull
    /// request by its full name (`refs/pr/3`), as by [`checkout`](Repository::checkout).
    ///
    /// It must exist. A clone that exists already goes there when it is opened, unless it is there: then
    /// nothing happens, and no branch is ever pulled. Local edits in the way are an
    /// [`ErrorKind::DirtyWorktree`](crate::ErrorKind::DirtyWorktree); nothing has changed then.
    ///
    /// When cloning, only the LFS files of the revision are downloaded.
    pub fn revision(self, revision: Revision) -> Self {
        self.revision_with(revision, CheckoutOptions::Existing)
    }

    /// The same; with [`CheckoutOptions::Create`] a branch that neither the clone nor the remote has is
    /// created: at HEAD, when cloning at the remote's default branch.
    ///
    /// ```no_run
    /// use hf_repository::{CheckoutOptions, Repository};
    /// // The same call starts the experiment, and goes on with it in the next run.
    /// let repo = Repository::prepare("user/my-model", "out")
    ///     .revision_with("experiments/lr-3e-4".parse()?, CheckoutOptions::Create)
    ///     .open_or_clone()?;
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    pub fn revision_with(mut self, revision: Revision, options: CheckoutOptions) -> Self {
        self.revision = Some(revision);
        self.missing = options;
        self
    }

    /// Who commits are by.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Creates the repository on the Hub before cloning, if it does not exist.
    pub fn create_if_missing(mut self, visibility: Visibility) -> Self {
        self.create = Some(visibility);
        self
    }

    /// Who does the work of Git LFS.
    pub fn lfs_engine(mut self, engine: LfsEngine) -> Self {
        self.engine = engine;
        self
    }

    /// Which LFS files get their content when cloning; kept for later pulls and checkouts, where
    /// [`Repository::set_content`] changes it.
    pub fn content(mut self, content: Content) -> Self {
        self.content = Some(content);
        self
    }

    /// Reports what long work is doing.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Lets `cancel` stop all work of the repository, this one included.
    pub fn cancel_token(mut self, cancel: CancelToken) -> Self {
        self.cancel = cancel;
        self
    }

    /// How long to wait for servers, and how hard to try.
    pub fn network_limits(mut self, limits: NetworkLimits) -> Self {
        self.limits = limits;
        self
    }

    /// How many bytes per second the repository may move; may be changed at any time.
    pub fn bandwidth(mut self, bandwidth: Bandwidth) -> Self {
        self.bandwidth = bandwidth;
        self
    }

    /// Trusts the authorities in a PEM file, besides those that are trusted anyway: the bundled ones,
    /// or those that git's config or the environment names in their place. May be called more than
    /// once.
    ///
    /// Holds for git, LFS and the Hub's API, and for the `git-lfs` of [`LfsEngine::GitLfs`]. Text
    /// around the certificates does no harm. The file is read once, for the first connection; one that
    /// is not there or holds no certificate is an
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) then.
    ///
    /// ```
    /// use hf_repository::Repository;
    /// let prepared = Repository::prepare("https://hub.corp.example/user/my-model", "out")
    ///     .ca_file("/etc/ssl/corp-ca.pem");
    /// ```
    pub fn ca_file(mut self, file: impl Into<PathBuf>) -> Self {
        let file = file.into();
        // It is read later, and the program may have gone to another folder by then.
        self.ca_files
            .push(std::path::absolute(&file).unwrap_or(file));
        self
    }

    /// Believes every server to be who it says it is, whatever its certificate. Anybody on the way
    /// can then read the token and what is moved, and change what is downloaded.
    ///
    /// There is no other way to it: `http.sslVerify=false` and `GIT_SSL_NO_VERIFY` are not followed.
    /// For servers with certificates of their own [`ca_file`](Self::ca_file) is the safe way. Each
    /// time connections are prepared under this option a warning is logged.
    pub fn danger_accept_invalid_certificates(mut self) -> Self {
        self.verification = Verification::Off;
        self
    }

    /// Which saved commits reach the remote when pushes are slower than saves.
    pub fn push_policy(mut self, policy: PushPolicy) -> Self {
        self.background.policy = policy;
        self
    }

    /// What a background push does when the remote's branch has moved.
    pub fn on_conflict(mut self, on_conflict: OnConflict) -> Self {
        self.background.on_conflict = on_conflict;
        self
    }

    /// Whether local LFS objects go once the remote has them and nothing here needs them.
    pub fn auto_prune(mut self, auto_prune: AutoPrune) -> Self {
        self.background.auto_prune = auto_prune;
        self
    }

    /// What dropping the repository does with pushes under way.
    pub fn on_drop(mut self, on_drop: OnDrop) -> Self {
        self.background.on_drop = on_drop;
        self
    }

    pub(super) fn resolve_endpoint(&self) -> Result<Endpoint> {
        place::endpoint(self.endpoint.as_ref())
    }

    /// The place the source names.
    pub(super) fn place(&self, endpoint: &Endpoint, config: &Config) -> Result<Place> {
        let reading = Reading {
            endpoint,
            config,
            base: Path::new(""),
            repo_type: self.repo_type,
        };
        reading.place(self.source.as_deref().unwrap_or_default())
    }

    /// Everything but the work tree: for cloning, before there is one.
    pub(super) fn connect(
        &self,
        endpoint: &Endpoint,
        place: Place,
        config: Config,
    ) -> Result<Connection> {
        Connection::new(
            RemoteName::origin(),
            endpoint.clone(),
            place,
            self.logins(&self.folder),
            self.http_settings(config),
            &self.cancel,
        )
    }

    pub(super) fn logins(&self, workdir: &Path) -> Logins {
        Logins {
            secret: self.secret.clone(),
            implicit: self.implicit,
            prompt: self.prompt.clone(),
            workdir: std::path::absolute(workdir).ok(),
        }
    }

    /// How objects are moved: as configured, unless the caller said otherwise.
    fn transfer_settings(&self, git: &Git) -> TransferSettings {
        let configured = TransferSettings::read(|key| git.config(key));
        let NetworkLimits {
            retries,
            concurrent,
            ..
        } = self.limits;
        TransferSettings {
            max_retries: retries.unwrap_or(configured.max_retries),
            concurrent: concurrent.map_or(configured.concurrent, |wanted| {
                wanted.clamp(1, MOST_CONCURRENT)
            }),
            ..configured
        }
    }

    /// How servers are reached: as the environment and git's config say, unless the caller said
    /// otherwise.
    pub(super) fn http_settings(&self, config: Config) -> crate::http::Settings {
        let mut settings = crate::http::Settings {
            bandwidth: self.bandwidth.clone(),
            plain_http: self.plain_http,
            ..crate::http::Settings::from_env().with_config(config)
        };
        settings.trust.also.clone_from(&self.ca_files);
        settings.trust.verification = self.verification;
        self.limits.apply(&mut settings);
        settings
    }

    pub(super) fn settled(&self) -> Settled {
        self.progress.settled()
    }

    pub(super) fn visibility(&self) -> Option<Visibility> {
        self.create
    }

    /// Puts the parts together.
    pub(super) fn finish(self, git: &Git, connection: Connection) -> Result<Repository> {
        fs::create_dir_all(&private_folder(git.git_dir()))?;
        let root = storage::root(git.common_dir(), git.config("lfs.storage").as_deref());
        let variable = env::var("GIT_ALTERNATE_OBJECT_DIRECTORIES");
        let others = alternates::find(git.common_dir(), variable.as_deref());
        let store = Store::new(root).borrowing(others);
        store.remove_orphans();
        let engine: Box<dyn Engine> = match self.engine {
            LfsEngine::Builtin => {
                let client = connection.client().clone();
                let journals = private_folder(git.common_dir()).join("uploads");
                let agents = AgentConfig::read(git.whole_config()?, git.workdir());
                let ssh = GitLfs::for_ssh(git.workdir(), store.clone(), client.clone());
                Box::new(Builtin::new(
                    store.clone(),
                    client,
                    self.transfer_settings(git),
                    journals,
                    agents,
                    ssh,
                ))
            }
            LfsEngine::GitLfs => {
                let client = connection.client().clone();
                Box::new(GitLfs::new(git.workdir(), store.clone(), client)?)
            }
        };
        let local = Local {
            workdir: git.workdir().to_path_buf(),
            git_dir: git.git_dir().to_path_buf(),
            common_dir: git.common_dir().to_path_buf(),
            sharing: git.sharing(),
            store,
            engine,
            remote: connection,
            author: Author::new(self.identity),
            progress: self.progress,
            cancel: self.cancel,
        };
        let local = Arc::new(local);
        let pushes = Pushes::new(Arc::clone(&local), self.background);
        Ok(Repository { local, pushes })
    }
}
