//! What git-lfs means by its words when it fails.

use super::super::{Job, Remote, api};
use super::GitLfs;
use crate::error::{Error, ErrorKind};
use crate::process::ssh;
use crate::progress::Direction;
use crate::url::Url;

impl GitLfs {
    /// git-lfs fails with words that are mostly the server's. What kind of failure it is, the server
    /// tells when it is asked in process, unless it has recovered; ssh has words of its own.
    pub(super) fn explain(
        &self,
        error: Error,
        words: &str,
        job: &Job<'_>,
        direction: Direction,
    ) -> Error {
        let ask = |lfs: &Url| {
            let client = self.client.with_cancel(job.cancel)?;
            match direction {
                Direction::Upload => api::check_upload(&client, lfs),
                Direction::Download => api::there(&client, lfs, &job.objects[..1]).map(drop),
            }
        };
        let meant = match job.remote {
            Remote::Http(lfs) => match ask(lfs) {
                Err(reason) => return reason.with_source(error),
                Ok(()) => meaning(words),
            },
            Remote::Ssh(_) => ssh::meaning(words).or_else(|| meaning(words)),
            Remote::Folder(_) => None,
        };
        match meant {
            Some((kind, hint)) => Error::new(kind, error.to_string())
                .with_hint(hint)
                .with_source(error),
            None => error,
        }
    }
}

/// What is not the server's business, in git-lfs's own words: a server's failure is a "Fatal error", the others are
/// those of Go's network library.
fn meaning(words: &str) -> Option<(ErrorKind, &'static str)> {
    let says = |texts: &[&str]| texts.iter().any(|text| words.contains(text));
    if says(&["x509: "]) {
        // A storage's: that of the LFS server was met when it was asked.
        Some((
            ErrorKind::Certificate,
            "if its authority is your own, name the file by ca_file(), http.sslCAInfo, GIT_SSL_CAINFO \
             or SSL_CERT_FILE",
        ))
    } else if says(&["Fatal error: "]) {
        Some((ErrorKind::Server, "the server failed; call again later"))
    } else if says(&[
        "connection refused",
        "connection reset",
        "no such host",
        "i/o timeout",
        "unexpected EOF",
        ": EOF",
    ]) {
        Some((ErrorKind::Network, "see that the LFS server can be reached"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_work_later_is_told_from_the_rest() {
        for (words, kind) in [
            ("batch response: Fatal error: no", Some(ErrorKind::Server)),
            (
                "batch request: dial tcp 127.0.0.1:1: connect: connection refused",
                Some(ErrorKind::Network),
            ),
            ("batch response: words of the server", None),
            ("", None),
        ] {
            assert_eq!(meaning(words).map(|(kind, _)| kind), kind, "{words}");
        }
    }
}
