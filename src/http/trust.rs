//! Whose certificates are believed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use ureq::tls::{Certificate, RootCerts, TlsConfig};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use super::certificates::{Kind, Place, push_pem};
use super::settings::Settings;
use crate::config;
use crate::env;
use crate::error::Result;
use crate::url::Url;

/// What the caller and the environment say of certificates; git's config has its say for each URL.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trust {
    /// PEM files to trust besides all others.
    pub(crate) also: Vec<PathBuf>,
    pub(crate) verification: Verification,
    variables: Variables,
    read: Read,
}

/// What was read already: a folder of authorities has hundreds of files, and there are many clients.
#[derive(Clone, Default)]
struct Read(Arc<Mutex<HashMap<Believed, RootCerts>>>);

impl std::fmt::Debug for Read {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Read(…)")
    }
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
            verification,
            variables,
            ..
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
    /// As [`Trust::tls`].
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
        for certificate in believed.named()? {
            push_pem(&mut pem, certificate.der());
        }
        Ok(Some(pem))
    }

    fn also(&self) -> Vec<Place> {
        let also = self.trust.also.iter().cloned();
        also.filter_map(|file| place(Some(file), "ca_file()", Kind::File))
            .collect()
    }
}

fn place<P>(path: Option<P>, named_by: &'static str, kind: impl Fn(P) -> Kind) -> Option<Place> {
    let kind = kind(path?);
    Some(Place { named_by, kind })
}

fn folder(path: PathBuf) -> Kind {
    Kind::Folders(vec![path])
}

impl Trust {
    /// The TLS settings that say whom to believe. Files are read once, by all clients of a repository.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::error::ErrorKind::InvalidInput) if what is named cannot be read or holds
    /// no certificate.
    pub(super) fn tls(&self, believed: &Believed) -> Result<TlsConfig> {
        let tls = TlsConfig::builder();
        if believed.verification == Verification::Off {
            tracing::warn!(
                "danger_accept_invalid_certificates() is set: anybody on the way can pose as the server, \
                 and read the token"
            );
            return Ok(tls.disable_verification(true).build());
        }
        if let Some(switch) = believed.ignored {
            tracing::warn!(
                "{switch} asks not to check certificates; it is not followed, as anybody on the way \
                 could read the token: danger_accept_invalid_certificates() is the option that is"
            );
        }
        let mut read = self.read.0.lock().unwrap_or_else(PoisonError::into_inner);
        let roots = match read.get(believed) {
            Some(roots) => roots.clone(),
            None => {
                let roots = believed.roots()?;
                read.insert(believed.clone(), roots.clone());
                roots
            }
        };
        Ok(tls.root_certs(roots).build())
    }
}

impl Believed {
    /// The certificates in all places that are named.
    ///
    /// A folder that is missing or empty matters only where nothing else is named: many systems set
    /// `SSL_CERT_DIR` to one beside the file they mean.
    fn named(&self) -> Result<Vec<Certificate<'static>>> {
        let mut all = Vec::new();
        let mut nothing = None;
        for place in &self.instead {
            match place.certificates() {
                Err(error) if matches!(place.kind, Kind::Folders(_)) => nothing = Some(error),
                found => all.extend(found?),
            }
        }
        if let Some(error) = nothing.filter(|_| all.is_empty()) {
            return Err(error);
        }
        for place in &self.also {
            all.extend(place.certificates()?);
        }
        Ok(all)
    }

    fn roots(&self) -> Result<RootCerts> {
        if self.instead.is_empty() && self.also.is_empty() {
            return Ok(RootCerts::WebPki);
        }
        let mut all = self.named()?;
        if self.instead.is_empty() {
            let bundled = TLS_SERVER_ROOT_CERTS.iter();
            all.extend(bundled.map(|der| Certificate::from_der(der)));
        }
        Ok(RootCerts::from(all))
    }
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
        let tls = on.trust.tls(&on.believed(&url)).expect("nothing to read");
        assert!(!tls.disable_verification());
        configured.trust.verification = Verification::Off;
        assert_eq!(ignored(&configured), None);
        let tls = configured
            .trust
            .tls(&configured.believed(&url))
            .expect("nothing to read");
        assert!(tls.disable_verification());
    }

    #[test]
    fn files_are_read_once_for_all_clients() {
        let folder = tempfile::tempdir().expect("temp");
        let file = folder.path().join("ca.pem");
        let mut pem = String::new();
        push_pem(&mut pem, &TLS_SERVER_ROOT_CERTS[0]);
        std::fs::write(&file, pem).expect("written");
        let fresh = || {
            let mut settings = settings(&[], Variables::default());
            settings.trust.also = vec![file.clone()];
            settings
        };
        let url = Url::parse("https://h.example").expect("valid");
        let tls = |settings: &Settings| settings.trust.tls(&settings.believed(&url));
        let (used, unused) = (fresh(), fresh());
        tls(&used).expect("read");
        std::fs::remove_file(&file).expect("removed");
        tls(&used.clone()).expect("read before");
        let error = tls(&unused).expect_err("gone");
        assert!(error.to_string().contains("ca_file()"), "{error}");
    }
}
