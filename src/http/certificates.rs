//! Certificates in files and folders.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, parse_pem};

use crate::error::{Error, ErrorKind, Result};

/// Where certificates lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) named_by: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    File(PathBuf),
    Folders(Vec<PathBuf>),
}

impl Place {
    /// All that are there.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if nothing can be read there, or there is none.
    pub(super) fn certificates(&self) -> Result<Vec<Certificate<'static>>> {
        let (found, where_) = match &self.kind {
            Kind::File(path) => {
                let pem = read(path, self.named_by)?;
                (certificates(&pem), path.display().to_string())
            }
            Kind::Folders(folders) => {
                let found = folders.iter().flat_map(|folder| in_folder(folder));
                let names: Vec<_> = folders
                    .iter()
                    .map(|folder| folder.display().to_string())
                    .collect();
                (found.collect(), names.join(", "))
            }
        };
        if found.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("{where_}, named by {}, holds no certificate", self.named_by),
            )
            .with_hint(
                "certificates to trust are read as PEM: text with lines like -----BEGIN CERTIFICATE-----",
            ));
        }
        Ok(found)
    }
}

fn read(path: &Path, named_by: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| {
        let text = format!(
            "cannot read {}, which {named_by} names as certificates to trust",
            path.display()
        );
        Error::new(ErrorKind::InvalidInput, text)
            .with_hint(format!("correct {named_by}, or take it back"))
            .with_source(error)
    })
}

/// Those among whatever else the text holds.
fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    let mut store = RootCertStore::empty();
    let readable = |certificate: &Certificate<'_>| {
        let der = CertificateDer::from_slice(certificate.der()).into_owned();
        store.add(der).is_ok()
    };
    let items = parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    });
    items.filter(readable).collect()
}

/// Those in the files of a folder. Most folders hold each certificate under several names.
fn in_folder(folder: &Path) -> Vec<Certificate<'static>> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = files
        .map(|entry| entry.path())
        .filter(|path| path.is_file());
    let mut found: Vec<_> = files
        .filter_map(|path| std::fs::read(path).ok())
        .flat_map(|pem| certificates(&pem))
        .collect();
    found.sort_by(|one, other| one.der().cmp(other.der()));
    found.dedup_by(|one, other| one.der() == other.der());
    found
}

/// Characters of a line, RFC 7468.
const PEM_LINE: usize = 64;

/// Adds a certificate to a text.
pub(super) fn push_pem(pem: &mut String, der: &[u8]) {
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = &*STANDARD.encode(der);
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
}

#[cfg(test)]
mod tests {
    use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

    use super::*;

    #[test]
    fn what_is_no_certificate_is_left_out() {
        assert!(certificates(b"").is_empty());
        let broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(certificates(broken).is_empty());
        let cut = b"-----BEGIN CERTIFICATE-----\nAAAA";
        assert!(certificates(cut).is_empty());
        assert!(in_folder(Path::new("/no/such")).is_empty());
        // What is written is what was read.
        let mut pem = String::new();
        let some = &TLS_SERVER_ROOT_CERTS[..3];
        some.iter().for_each(|der| push_pem(&mut pem, der));
        let read = certificates(pem.as_bytes());
        assert!(
            read.iter()
                .map(Certificate::der)
                .eq(some.iter().map(|der| &**der))
        );
        // All that come with the library can be read.
        let store = &mut RootCertStore::empty();
        let (read, failed) = store.add_parsable_certificates(TLS_SERVER_ROOT_CERTS.iter().cloned());
        assert!(read > 50 && failed == 0);
    }
}
