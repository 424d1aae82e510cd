//! Whose certificates are believed.

use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::settings::Settings;
use crate::config;
use crate::env;
use crate::error::{Error, ErrorKind, Result};
use crate::url::Url;

/// What the caller and the environment say of certificates; git's config has its say for each URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// PEM files to trust besides all others.
    pub(crate) also: Vec<PathBuf>,
    pub(crate) verification: Verification,
    variables: Variables,
}

/// Whether a server has to prove who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Verification {
    #[default]
    On,
    /// Only because the caller said so in code.
    Off,
}

#[derive(Clone, Debug, Default)]
struct Variables {
    git_file: Option<PathBuf>,
    git_folder: Option<PathBuf>,
    file: Option<PathBuf>,
    folders: Vec<PathBuf>,
    no_verify: bool,
}

/// Whom to believe on the way to one URL.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Believed {
    /// In place of the certificates that come with the library.
    instead: Vec<Place>,
    also: Vec<Place>,
    verification: Verification,
    /// A switch that asks for no verification, and is not followed.
    pub(super) ignored: Option<&'static str>,
}

/// Where certificates lie.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    named_by: &'static str,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Kind {
    File(PathBuf),
    Folders(Vec<PathBuf>),
}

impl Trust {
    pub(super) fn from_env() -> Self {
        let path = |name| env::var(name).map(PathBuf::from);
        let variables = Variables {
            git_file: path("GIT_SSL_CAINFO"),
            git_folder: path("GIT_SSL_CAPATH"),
            file: path("SSL_CERT_FILE"),
            folders: env::var("SSL_CERT_DIR")
                .iter()
                .flat_map(|list| std::env::split_paths(list))
                .collect(),
            no_verify: env::var("GIT_SSL_NO_VERIFY").is_some(),
        };
        Self {
            variables,
            ..Self::default()
        }
    }
}

impl Settings {
    /// Whom to believe at a URL: what git would, else what OpenSSL would, else the certificates that
    /// come with the library; and whom the caller named in any case.
    pub(super) fn believed(&self, url: &Url) -> Believed {
        let Trust {
            also: _,
            verification,
            variables,
        } = &self.trust;
        let key = |name| {
            let value = self.value(name, url).filter(|value| !value.is_empty());
            value.map(env::expand)
        };
        let of_git = [
            place(variables.git_file.clone(), "GIT_SSL_CAINFO", Kind::File)
                .or_else(|| place(key("sslCAInfo"), "http.sslCAInfo", Kind::File)),
            place(variables.git_folder.clone(), "GIT_SSL_CAPATH", folder)
                .or_else(|| place(key("sslCAPath"), "http.sslCAPath", folder)),
        ];
        let folders = Some(variables.folders.clone()).filter(|folders| !folders.is_empty());
        let of_openssl = [
            place(variables.file.clone(), "SSL_CERT_FILE", Kind::File),
            place(folders, "SSL_CERT_DIR", Kind::Folders),
        ];
        let mut instead: Vec<Place> = of_git.into_iter().flatten().collect();
        if instead.is_empty() {
            instead = of_openssl.into_iter().flatten().collect();
        }
        let off = self.value("sslVerify", url).map(config::switch) == Some(Some(false));
        let ignored = if variables.no_verify {
            Some("GIT_SSL_NO_VERIFY")
        } else {
            off.then_some("http.sslVerify")
        };
        Believed {
            instead,
            also: self.also(),
            verification: *verification,
            ignored: ignored.filter(|_| *verification == Verification::On),
        }
    }

    /// What a program that reads git's own settings has to be told besides: the certificates the
    /// caller named, as PEM. Programs take one file in place of what the settings name, so the
    /// certificates that these name for `url` come along.
    ///
    /// # Errors
    /// As [`Believed::tls`].
    pub(super) fn pem_for_programs(&self, url: Option<&Url>) -> Result<Option<String>> {
        if self.trust.also.is_empty() {
            return Ok(None);
        }
        let believed = match url {
            Some(url) => self.believed(url),
            None => Believed {
                also: self.also(),
                ..Believed::default()
            },
        };
        let mut pem = String::new();
        for place in believed.instead.iter().chain(&believed.also) {
            for certificate in place.certificates()? {
                push_pem(&mut pem, certificate.der());
            }
        }
        Ok(Some(pem))
    }

    fn also(&self) -> Vec<Place> {
        let also = self.trust.also.iter().cloned();
        also.filter_map(|file| place(Some(file), "ca_file()", Kind::File))
            .collect()
    }
}

/// Characters of a line, RFC 7468.
const PEM_LINE: usize = 64;

fn push_pem(pem: &mut String, der: &[u8]) {
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    let mut rest = &*BASE64_STANDARD.encode(der);
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }
    pem.push_str("-----END CERTIFICATE-----\n");
}

fn place<P>(path: Option<P>, named_by: &'static str, kind: impl Fn(P) -> Kind) -> Option<Place> {
    let kind = kind(path?);
    Some(Place { named_by, kind })
}

fn folder(path: PathBuf) -> Kind {
    Kind::Folders(vec![path])
}

impl Believed {
    /// The TLS settings that say so.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if what is named cannot be read or holds no certificate.
    pub(super) fn tls(&self) -> Result<TlsConfig> {
        let tls = TlsConfig::builder();
        if self.verification == Verification::Off {
            tracing::warn!(
                "danger_accept_invalid_certificates() is set: anybody on the way can pose as the server, \
                 and read the token"
            );
            return Ok(tls.disable_verification(true).build());
        }
        if let Some(switch) = self.ignored {
            tracing::warn!(
                "{switch} asks not to check certificates; it is not followed, as anybody on the way \
                 could read the token: danger_accept_invalid_certificates() is the option that is"
            );
        }
        Ok(tls.root_certs(self.roots()?).build())
    }

    fn roots(&self) -> Result<RootCerts> {
        if self.instead.is_empty() && self.also.is_empty() {
            return Ok(RootCerts::WebPki);
        }
        let mut all = Vec::new();
        for place in self.instead.iter().chain(&self.also) {
            all.extend(place.certificates()?);
        }
        if self.instead.is_empty() {
            let bundled = TLS_SERVER_ROOT_CERTS.iter();
            all.extend(bundled.map(|der| Certificate::from_der(der)));
        }
        Ok(RootCerts::from(all))
    }
}

impl Place {
    fn certificates(&self) -> Result<Vec<Certificate<'static>>> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Writer};

    fn settings(lines: &[(&str, &str)], variables: Variables) -> Settings {
        let mut config = Config::default();
        for (key, value) in lines {
            config.push(key, value, Writer::User);
        }
        let trust = Trust {
            variables,
            ..Trust::default()
        };
        let settings = Settings {
            trust,
            ..Settings::default()
        };
        settings.with_config(config)
    }

    fn named(settings: &Settings, url: &str) -> Vec<&'static str> {
        let believed = settings.believed(&Url::parse(url).expect(url));
        let places = believed.instead.iter().chain(&believed.also);
        places.map(|place| place.named_by).collect()
    }

    #[test]
    fn git_counts_before_openssl_and_the_caller_in_any_case() {
        let all = || Variables {
            git_file: Some("/git.pem".into()),
            git_folder: Some("/git".into()),
            file: Some("/ssl.pem".into()),
            folders: vec!["/ssl".into()],
            no_verify: false,
        };
        let keys = [
            ("http.sslCAInfo", "/config.pem"),
            ("http.https://h.example.sslCAPath", "/config"),
        ];
        let (own, other) = ("https://h.example/x", "https://o.example");
        assert_eq!(
            named(&settings(&keys, all()), own),
            ["GIT_SSL_CAINFO", "GIT_SSL_CAPATH"]
        );
        let some = Variables {
            git_file: None,
            git_folder: None,
            ..all()
        };
        let mut configured = settings(&keys, some.clone());
        assert_eq!(
            named(&configured, own),
            ["http.sslCAInfo", "http.sslCAPath"]
        );
        assert_eq!(named(&configured, other), ["http.sslCAInfo"]);
        let plain = settings(&[("http.sslCAInfo", "")], some);
        assert_eq!(named(&plain, own), ["SSL_CERT_FILE", "SSL_CERT_DIR"]);
        assert_eq!(named(&settings(&[], Variables::default()), own), [""; 0]);
        configured.trust.also = vec!["/own.pem".into()];
        assert_eq!(named(&configured, other), ["http.sslCAInfo", "ca_file()"]);
    }

    #[test]
    fn switches_are_not_followed_but_noticed() {
        let url = Url::parse("https://h.example").expect("valid");
        let ignored = |settings: &Settings| settings.believed(&url).ignored;
        let off = [("http.sslVerify", "false")];
        assert_eq!(ignored(&settings(&[], Variables::default())), None);
        let mut configured = settings(&off, Variables::default());
        assert_eq!(ignored(&configured), Some("http.sslVerify"));
        let variables = Variables {
            no_verify: true,
            ..Variables::default()
        };
        let on = settings(&[("http.sslVerify", "true")], variables);
        assert_eq!(ignored(&on), Some("GIT_SSL_NO_VERIFY"));
        let tls = on.believed(&url).tls().expect("nothing to read");
        assert!(!tls.disable_verification());
        configured.trust.verification = Verification::Off;
        assert_eq!(ignored(&configured), None);
        let tls = configured.believed(&url).tls().expect("nothing to read");
        assert!(tls.disable_verification());
    }

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
