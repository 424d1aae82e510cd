//! Servers have to prove who they are: good certificates pass, all others fail before anything is said.

use std::fs;
use std::path::PathBuf;

use hf_repository::{Error, ErrorKind, PrepareRepository};
use mini_hub::{Action, Certificate, Fault, MiniHub, Route, Tls};

use crate::support::cycle::{Try, change};
use crate::support::{World, needs_git_lfs, weights, write};

fn world(tls: Tls) -> World {
    World::with(MiniHub::temporary_with(|config| config.tls(tls)).unwrap())
}

impl World {
    fn ca(&self) -> PathBuf {
        self.hub.ca_file().unwrap()
    }

    /// The library, trusting the hub's CA.
    fn prepare_trusting(&self, id: &str, folder: &str) -> PrepareRepository {
        self.prepare(id, folder).ca_file(self.ca())
    }

    /// A model with an LFS file, put there by somebody who does not look at certificates.
    fn model_with_weights(&self, id: &str) {
        self.model(id);
        let careless = self.prepare(id, "careless");
        let repo = careless
            .danger_accept_invalid_certificates()
            .clone_repo()
            .unwrap();
        change(&repo, 1);
        repo.push().unwrap();
        self.hub.clear_requests();
    }
}

#[test]
fn the_whole_cycle_goes_over_tls() {
    let w = world(Tls::new());
    w.model("alice/m");
    let repo = w.prepare_trusting("alice/m", "ours").clone_repo().unwrap();
    change(&repo, 1);
    repo.push().unwrap();
    write(repo.workdir(), "more.bin", weights(2, 5000));
    let _ = repo.save("in the background").unwrap();
    repo.close().unwrap();
    let again = w.prepare_trusting("alice/m", "again").clone_repo().unwrap();
    assert_eq!(
        fs::read(w.path("again/more.bin")).unwrap(),
        weights(2, 5000)
    );
    // Real git and git-lfs say so too, and are understood in turn.
    if crate::support::git_lfs() {
        let theirs = w.git_clone("alice/m", "theirs");
        assert_eq!(fs::read(theirs.join("w.bin")).unwrap(), weights(1, 3000));
        write(&theirs, "w.bin", weights(3, 3000));
        w.git_push_all(&theirs, "by git");
        again.pull().unwrap();
        assert_eq!(fs::read(w.path("again/w.bin")).unwrap(), weights(3, 3000));
    }
    w.assert_sound(&w.path("again"));
    let (mut stored, storage) = (0, w.hub.storage_url());
    for request in w.hub.requests() {
        stored += usize::from(storage.ends_with(&request.host));
    }
    assert!(stored >= 4, "LFS objects went to and from the storage");
}

#[test]
fn every_setting_that_names_a_ca_is_followed() {
    let w = world(Tls::new());
    w.model_with_weights("alice/m");
    let (ca, url) = (w.ca(), w.hub.url());
    let folder = w.path("authorities");
    fs::create_dir_all(folder.join("below")).unwrap();
    fs::copy(&ca, folder.join("0123abcd.0")).unwrap();
    fs::write(folder.join("README"), "no certificate").unwrap();
    let (file, folder) = (ca.display().to_string(), folder.display().to_string());
    let look = || Try::new(&w, "look");
    Try::new(&w, &file).passes();
    look().variable("GIT_SSL_CAINFO", &file).passes();
    look().variable("GIT_SSL_CAPATH", &folder).passes();
    look().variable("SSL_CERT_FILE", &file).passes();
    let folders = format!("/no/such:{folder}");
    look().variable("SSL_CERT_DIR", folders).passes();
    let key = |name: &str, value: &str| format!("[http]\n\t{name} = {value}\n");
    look().config(&key("sslCAInfo", &file)).passes();
    look().config(&key("sslCAPath", &folder)).passes();
    // The storage has another port, and so another key.
    let storage = w.hub.storage_url();
    let of = |url: &str| format!("[http \"{url}\"]\n\tsslCAInfo = {file}\n");
    look().config(&(of(&url) + &of(&storage))).passes();
    let unknown = ["failed: ", "signed by no authority", "ca_file()"];
    look().config(&of(&url)).fails(&["127.0.0.1", unknown[1]]);
    look().config(&of("https://other.example")).fails(&unknown);
    // The one that counts more is the one that counts, and the caller's counts besides. The stranger
    // has the name of the hub's authority, as after a change of keys.
    let other = world(Tls::new());
    let stranger = other.ca();
    let shadowed = || look().config(&key("sslCAInfo", &file));
    shadowed()
        .variable("GIT_SSL_CAINFO", &stranger)
        .fails(&["another key signed it", "out of date"]);
    shadowed().variable("SSL_CERT_FILE", &stranger).passes();
    Try::new(&w, &format!("look {file}"))
        .variable("GIT_SSL_CAINFO", &stranger)
        .passes();
}

#[test]
fn nothing_but_the_option_turns_the_check_off() {
    let w = world(
        Tls::new()
            .main(Certificate::OtherCa)
            .storage(Certificate::Expired),
    );
    w.model_with_weights("alice/m");
    let off = "[http]\n\tsslVerify = false\n";
    let unknown = |switch| {
        [
            "failed: ",
            "signed by no authority",
            switch,
            "danger_accept_invalid_certificates()",
        ]
    };
    let log = w.path("log");
    let logging = |options: &str| format!("{options} log={}", log.display());
    let logged = || fs::read_to_string(&log).unwrap();
    Try::new(&w, &logging(""))
        .config(off)
        .fails(&unknown("http.sslVerify is not followed"));
    assert!(logged().contains("http.sslVerify asks not to check certificates; it is not followed"));
    assert!(!logged().contains("certificates() is set"));
    let variable = |options| Try::new(&w, options).variable("GIT_SSL_NO_VERIFY", "1");
    variable("").fails(&unknown("GIT_SSL_NO_VERIFY is not followed"));
    assert!(
        w.hub.requests().is_empty(),
        "nothing was said to the server"
    );
    Try::new(&w, &logging("danger")).passes();
    assert!(logged().contains("danger_accept_invalid_certificates() is set: anybody on the way"));
}

/// Each certificate that must be refused, with words of the error and of the hint.
const BAD: [(Certificate, &str, &str); 4] = [
    (Certificate::Expired, "expired on 2000-01-01", "clock"),
    (
        Certificate::NotYetValid,
        "not valid before 3000-01-01",
        "clock",
    ),
    (
        Certificate::WrongHost,
        "for another host name (wrong.test)",
        "address",
    ),
    (
        Certificate::OtherCa,
        "signed by no authority that is trusted here",
        "ca_file()",
    ),
];

#[track_caller]
fn assert_refused(error: &Error, url: &str, text: &str, hint: &str) {
    assert_eq!(error.kind(), ErrorKind::Certificate, "{error:?}");
    assert!(!error.is_retryable());
    let told = error.to_string();
    assert!(told.contains(text) && told.contains(url), "{told}");
    assert!(error.hint().unwrap().contains(hint), "{error:?}");
    assert!(!told.contains('\n') && !told.contains("hf_"), "{told}");
}

#[test]
fn a_hub_with_a_bad_certificate_hears_nothing() {
    for (certificate, text, hint) in BAD {
        let w = world(Tls::new().main(certificate));
        w.model_with_weights("alice/m");
        let error = w
            .prepare_trusting("alice/m", "ours")
            .clone_repo()
            .unwrap_err();
        assert_refused(&error, &w.hub.url(), text, hint);
        assert!(!w.path("ours").exists());
        // Nor when something is to be pushed, in the foreground or behind it.
        let repo = w.prepare_trusting("alice/m", "careless").open().unwrap();
        change(&repo, 2);
        assert_refused(&repo.push().unwrap_err(), &w.hub.url(), text, hint);
        if certificate == Certificate::OtherCa {
            write(repo.workdir(), "w.bin", weights(3, 3000));
            let _ = repo.save("in the background").unwrap();
            assert_eq!(repo.close().unwrap_err().kind(), ErrorKind::Unpushed);
        }
        assert!(w.hub.requests().is_empty());
    }
}

#[test]
fn a_storage_with_a_bad_certificate_gets_and_gives_nothing() {
    for (certificate, text, hint) in BAD {
        let w = world(Tls::new().storage(certificate));
        w.model_with_weights("alice/m");
        let storage = w.hub.storage_url();
        let tip = w.remote_tip("alice/m", "main");
        let error = w
            .prepare_trusting("alice/m", "ours")
            .clone_repo()
            .unwrap_err();
        assert_refused(&error, &storage, text, hint);
        let repo = w.prepare_trusting("alice/m", "careless").open().unwrap();
        change(&repo, 2);
        assert_refused(&repo.push().unwrap_err(), &storage, text, hint);
        assert_eq!(w.remote_tip("alice/m", "main"), tip);
        for request in w.hub.requests() {
            assert!(!storage.ends_with(&request.host), "{request:?}");
        }
    }
}

#[test]
fn the_bundled_authorities_are_no_friends_of_the_test_ca() {
    let w = world(Tls::new());
    w.model("alice/m");
    Try::new(&w, "").fails(&["signed by no authority that is trusted here"]);
    assert!(w.hub.requests().is_empty());
}

#[test]
fn a_file_without_certificates_is_named_before_anything_is_sent() {
    let w = world(Tls::new());
    w.model("alice/m");
    let file = |name: &str, content: &str| {
        fs::write(w.path(name), content).unwrap();
        w.path(name).display().to_string()
    };
    let missing = w.path("missing.pem").display().to_string();
    let empty = file("empty.pem", "");
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    let key = file("key.pem", key);
    let none = "holds no certificate";
    Try::new(&w, &missing).fails(&["InvalidInput", &missing, "cannot read", "ca_file()"]);
    Try::new(&w, &empty).fails(&["InvalidInput", &empty, none, "ca_file()"]);
    Try::new(&w, &key).fails(&[&key, none]);
    Try::new(&w, &format!("{} {empty}", w.ca().display())).fails(&[&empty, none]);
    for name in ["GIT_SSL_CAINFO", "SSL_CERT_FILE"] {
        let named = Try::new(&w, "").variable(name, &missing);
        named.fails(&["InvalidInput", &missing, "cannot read", name]);
    }
    for (name, value) in [("sslCAInfo", &empty), ("sslCAPath", &missing)] {
        let named = Try::new(&w, "").config(&format!("[http]\n\t{name} = {value}\n"));
        named.fails(&["InvalidInput", value, none, &format!("http.{name}")]);
    }
    assert!(w.hub.requests().is_empty());
}

#[test]
fn a_folder_without_certificates_beside_a_good_file_hurts_nobody() {
    let w = world(Tls::new());
    w.model("alice/m");
    let ca = w.ca().display().to_string();
    let missing = w.path("missing").display().to_string();
    for (file, folder) in [
        ("SSL_CERT_FILE", "SSL_CERT_DIR"),
        ("GIT_SSL_CAINFO", "GIT_SSL_CAPATH"),
    ] {
        let both = Try::new(&w, "").variable(file, &ca);
        both.variable(folder, &missing).passes();
        let alone = Try::new(&w, "").variable(folder, &missing);
        alone.fails(&["InvalidInput", &missing, "holds no certificate", folder]);
    }
}

#[test]
fn certificates_are_found_among_other_text() {
    let w = world(Tls::new());
    w.model("alice/m");
    let other = world(Tls::new());
    let (own, stranger) = (w.hub.ca_pem().unwrap(), other.hub.ca_pem().unwrap());
    let text = format!(
        "# Our authorities\nsubject=CN = somebody\n{stranger}\n\
         -----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n\
         -----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n\u{e4}\u{0}\n{}tail",
        own.replace('\n', "\r\n")
    );
    fs::write(w.path("all.pem"), text).unwrap();
    let prepared = w.prepare("alice/m", "ours").ca_file(w.path("all.pem"));
    prepared.clone_repo().unwrap();
}

#[test]
fn nobody_is_sent_from_tls_to_plain_http() {
    let w = world(Tls::new());
    w.model_with_weights("alice/m");
    let open = World::new();
    let url = open.hub.url();
    for route in [Route::InfoRefsUpload, Route::LfsBatch, Route::LfsGet] {
        let redirect = Action::redirect(&format!("{url}/alice/m"));
        w.hub.faults().clear();
        w.hub.faults().add(Fault::on(route).act(redirect).always());
        let error = w
            .prepare_trusting("alice/m", "ours")
            .clone_repo()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{route:?}: {error:?}");
        assert!(error.to_string().contains("from https to"), "{error}");
    }
    assert!(open.hub.requests().is_empty());
}

#[test]
fn plain_http_is_not_taken_for_tls() {
    let w = World::new();
    w.model("alice/m");
    let url = w.hub.url().replace("http://", "https://");
    let prepared = w.prepare("alice/m", "ours").endpoint(url.parse().unwrap());
    let error = prepared.clone_repo().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error:?}");
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
}

#[test]
fn git_lfs_trusts_whom_the_caller_trusts() {
    needs_git_lfs!();
    let w = world(Tls::new());
    w.model_with_weights("alice/m");
    let ca = w.ca().display().to_string();
    let other = world(Tls::new());
    let engine = |options: &str| Try::new(&w, &format!("git-lfs {options}"));
    engine(&ca).passes();
    // What git's own settings name is trusted as well.
    let config = format!("[http]\n\tsslCAInfo = {ca}\n");
    engine("").config(&config).passes();
    engine(&other.ca().display().to_string())
        .config(&config)
        .passes();
    let folder = w.path("authorities");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&ca, folder.join("0123abcd.0")).unwrap();
    let both = engine(&other.ca().display().to_string());
    both.variable("GIT_SSL_CAPATH", folder).passes();
    // It is not told to be careless.
    let off = "[http]\n\tsslVerify = false\n";
    let careful = || Try::new(&w, "git-lfs").config(off);
    careful().fails(&["Certificate", "signed by no authority"]);
    let host = format!("[http \"{}/\"]\n\tsslVerify = false\n", w.hub.url());
    engine("")
        .config(&host)
        .fails(&["Certificate", "signed by no authority"]);
    engine("danger").passes();
    // The storage alone is bad: git-lfs finds that out.
    let w = world(Tls::new().storage(Certificate::OtherCa));
    w.model_with_weights("alice/m");
    let ca = w.ca().display().to_string();
    let once = "[lfs \"transfer\"]\n\tmaxretries = 1\n";
    let storage = w.hub.storage_url();
    let host = format!("[http \"{storage}/\"]\n\tsslVerify = false\n");
    for careless in [off, &host] {
        let bad = Try::new(&w, &format!("git-lfs {ca}")).config(&format!("{careless}{once}"));
        bad.fails(&["failed: ", "Certificate", "x509"]);
    }
    for request in w.hub.requests() {
        assert!(!storage.ends_with(&request.host), "{request:?}");
    }
}
