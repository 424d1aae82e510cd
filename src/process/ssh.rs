//! What ssh says when it gives up, whoever started it.

use crate::error::ErrorKind;

/// The words, what they mean, and what to do.
const MEANINGS: [(&[&str], ErrorKind, &str); 4] = [
    (
        &[
            "Host key verification failed",
            "HOST IDENTIFICATION HAS CHANGED",
        ],
        ErrorKind::Network,
        "ssh does not know the server's key: connect once with ssh by hand and compare it, \
         or put it into known_hosts",
    ),
    (
        &["Permission denied (", "Too many authentication failures"],
        ErrorKind::Unauthorized,
        "ssh found no key that the server accepts: see that `ssh -T` to this host works without \
         a question (ssh-agent, ~/.ssh/config)",
    ),
    (
        &["cannot run ssh", "ssh: command not found", "ssh: not found"],
        ErrorKind::ProgramMissing,
        "install ssh (openssh-client), or use the https URL and a token",
    ),
    (
        &[
            "Could not resolve hostname",
            "Connection refused",
            "Connection timed out",
            "Connection closed by",
            "Connection reset by",
            "No route to host",
            "Network is unreachable",
            "Broken pipe",
        ],
        ErrorKind::Network,
        "see that the host can be reached by ssh; the program's own words are in server_message()",
    ),
];

/// What kind of failure ssh's words tell of, and what to do; the first that fits counts.
pub(crate) fn meaning(words: &str) -> Option<(ErrorKind, &'static str)> {
    let mut meanings = MEANINGS.iter();
    let meant = meanings.find(|(texts, ..)| texts.iter().any(|text| words.contains(text)));
    meant.map(|(_, kind, hint)| (*kind, *hint))
}
