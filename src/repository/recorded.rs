use super::Repository;
use crate::config::recorded::RecordedCredential;
use crate::error::Result;

/// Credentials that others wrote down.
impl Repository {
    /// The credentials that are written in the clone's own files: where they are, never what they are.
    ///
    /// This library writes none. Older tools cloned from `https://user:token@host`, which git then records
    /// as it is, and everybody who may read the folder can read the token. They are used as git would use
    /// them, and opening such a clone logs a warning.
    ///
    /// Looked at are the config, `FETCH_HEAD` and the logs in `.git`, of all work trees; not the user's
    /// files, and not submodules.
    ///
    /// # Errors
    /// If one of the files cannot be read.
    pub fn recorded_credentials(&self) -> Result<Vec<RecordedCredential>> {
        self.local.recorded_credentials()
    }

    /// Takes the credentials out of the addresses in the clone's own files, and returns where they were.
    ///
    /// `https://user:token@host/name` becomes `https://host/name`; everything else in the files stays, byte
    /// for byte, and each of them changes at once or not at all. What stands in the address of a proxy, in
    /// `http.extraHeader` or in other values is left where it is:
    /// [`recorded_credentials`](Self::recorded_credentials) still names it.
    ///
    /// This `Repository` goes on with the credentials it had. Whoever opens the clone later, git included,
    /// needs them from elsewhere: a token, the environment, or a credential helper, see
    /// [`login`](crate::login()). What was taken out may be in backups and in other clones, so a token should be
    /// replaced all the same.
    ///
    /// ```no_run
    /// use hf_repository::Repository;
    /// let repo = Repository::open("cloned-years-ago")?;
    /// for found in repo.scrub_remote_credentials()? {
    ///     eprintln!("{}:{} held one for {:?}", found.file.display(), found.line, found.origin);
    /// }
    /// # Ok::<(), hf_repository::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Locked`](crate::ErrorKind::Locked) if git is changing one of the files, and
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for one of more than 64 MiB; all the others
    /// are clean then. Links are not followed.
    pub fn scrub_remote_credentials(&self) -> Result<Vec<RecordedCredential>> {
        self.local.scrub()
    }
}
