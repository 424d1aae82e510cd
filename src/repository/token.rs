use super::Repository;
use crate::secret::Token;

/// Credentials.
impl Repository {
    /// Uses another token from now on: for all requests that are not sent yet, on all threads, those
    /// of work under way included.
    ///
    /// It takes the place of the token, or of the
    /// [`token_provider`](crate::PrepareRepository::token_provider), that this repository was opened
    /// with, or is the first one. Like theirs, its place is the Hub that is the endpoint, and it goes
    /// nowhere else. The one exception: if the remote is another server, and a password for it was
    /// written into its URL, then that password is replaced, and the user name stays.
    ///
    /// Nothing is sent or checked by this; see
    /// [`check_write_access`](Self::check_write_access). Other repositories keep their tokens.
    /// [`LfsEngine::GitLfs`](crate::LfsEngine::GitLfs) is given the new token as well, but prefers what
    /// `~/.netrc` has for the server.
    ///
    /// ```no_run
    /// use hf_repository::{ErrorKind, Repository};
    /// let repo = Repository::open("out")?;
    /// match repo.push() {
    ///     Err(error) if error.kind() == ErrorKind::Unauthorized => {
    ///         repo.set_token(std::fs::read_to_string("new-token").expect("readable").parse()?);
    ///         repo.push()?;
    ///     }
    ///     result => drop(result?),
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    pub fn set_token(&self, token: Token) {
        self.local.remote.set_token(token);
        self.local.author.forget_owner();
        self.pushes.board.forget_refusal();
    }
}
