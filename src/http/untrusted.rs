//! What is wrong with a certificate.

use jiff::Timestamp;
use rustls::CertificateError;
use rustls::pki_types::UnixTime;

use crate::secret::printable;

/// Names of a certificate that fit on a line.
const NAMES: usize = 3;

/// What is wrong, and what to do.
pub(super) fn untrusted(error: &CertificateError) -> (String, String) {
    use CertificateError as E;
    let clock = "renew it on the server; is the clock of this machine right?";
    let (text, hint) = match error {
        E::UnknownIssuer => (
            "the server's certificate is signed by no authority that is trusted here".to_owned(),
            "if it is your own, or that of a proxy which reads along, name its file by ca_file(), \
             http.sslCAInfo, GIT_SSL_CAINFO or SSL_CERT_FILE; else somebody else may be answering",
        ),
        E::BadSignature => (
            "the server's certificate names an authority that is trusted here, but another key signed it"
                .to_owned(),
            "did the authority change its certificate? then the file that names it is out of date; \
             else somebody else may be answering",
        ),
        E::Expired => ("the server's certificate has expired".to_owned(), clock),
        E::ExpiredContext { not_after, .. } => (
            format!("the server's certificate expired on {}", day(*not_after)),
            clock,
        ),
        E::NotValidYet => (
            "the server's certificate is not valid yet".to_owned(),
            clock,
        ),
        E::NotValidYetContext { not_before, .. } => (
            format!(
                "the server's certificate is not valid before {}",
                day(*not_before)
            ),
            clock,
        ),
        E::NotValidForName => (
            "the server's certificate is for another host name".to_owned(),
            "is the address right? else somebody else may be answering",
        ),
        E::NotValidForNameContext { presented, .. } => (
            format!(
                "the server's certificate is for another host name ({})",
                names(presented)
            ),
            "is the address right? else somebody else may be answering",
        ),
        E::Revoked => (
            "the server's certificate was revoked".to_owned(),
            "it needs another one",
        ),
        // It has no name of its own in this version's enum.
        E::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => (
            "the server's certificate is that of an authority, and none for a server".to_owned(),
            "let it sign one for the server (with basicConstraints CA:FALSE)",
        ),
        _ => (
            format!("the server's certificate is not valid ({error})"),
            "it needs another one",
        ),
    };
    (text, hint.to_owned())
}

fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    match Timestamp::from_second(seconds) {
        Ok(time) => time.strftime("%Y-%m-%d").to_string(),
        Err(_) => "a day beyond all calendars".to_owned(),
    }
}

/// The names in rustls's notation, `DnsName("a.example")`, without it.
fn names(presented: &[String]) -> String {
    let bare = |name: &String| {
        let inner = name.split_once('(').map_or(&**name, |(_, inner)| inner);
        printable(inner.trim_matches(['(', ')', '"']))
    };
    let named: Vec<_> = presented.iter().take(NAMES).map(bare).collect();
    let more = if presented.len() > NAMES { ", …" } else { "" };
    if named.is_empty() {
        return "it names none".to_owned();
    }
    format!("{}{more}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_few_and_bare() {
        let of = |names_: &[&str]| {
            let all: Vec<_> = names_.iter().map(|name| (*name).to_owned()).collect();
            names(&all)
        };
        assert_eq!(of(&[]), "it names none");
        assert_eq!(of(&["DnsName(\"a.example\")"]), "a.example");
        assert_eq!(of(&["a", "b", "c", "d"]), "a, b, c, …");
        assert_eq!(of(&["DnsName(\"\u{1b}[31m\")"]), "[31m");
    }

    #[test]
    fn days_are_days() {
        let day_of = |seconds| {
            day(UnixTime::since_unix_epoch(std::time::Duration::from_secs(
                seconds,
            )))
        };
        assert_eq!(day_of(946_684_800), "2000-01-01");
        assert_eq!(day_of(u64::MAX), "a day beyond all calendars");
    }
}
