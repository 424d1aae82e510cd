//! Servers and proxies that misbehave before a request is sent.

use std::io::Read;
use std::time::{Duration, Instant};

use super::proxies::Proxies;
use super::tests::{answer, client, head, server};
use super::{Client, Request, Settings};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind};
use crate::url::Url;

/// Longer than anything here may take.
const SOON: Duration = Duration::from_secs(5);

fn impatient() -> Settings {
    Settings {
        connect_timeout: Duration::from_millis(200),
        ..Settings::default()
    }
}

fn through(proxy: &str, settings: Settings) -> Settings {
    let proxy = format!("http://user:s3cret@{proxy}");
    Settings {
        proxies: Proxies::read(|name| (name == "all_proxy").then(|| proxy.clone())),
        ..settings
    }
}

fn ask(client: &Client, url: &str) -> Error {
    let request = Request::get(Url::parse(url).expect(url));
    let asked = Instant::now();
    let error = client.send(request).map(drop).expect_err("no answer");
    assert!(asked.elapsed() < SOON, "{error:?}");
    let told = format!("{error} {error:?}");
    assert!(!told.contains("s3cret"), "{told}");
    error
}

/// Accepts, reads and says nothing until the other side leaves.
fn silent() -> String {
    silent_but_for(|| {})
}

/// The same; it calls `heard` with every piece that it was told.
fn silent_but_for(heard: impl Fn() + Send + Sync + 'static) -> String {
    server(move |_, mut stream| {
        let mut bytes = [0; 1024];
        while stream.read(&mut bytes).is_ok_and(|count| count > 0) {
            heard();
        }
    })
}

#[test]
fn a_handshake_that_stalls_is_a_timeout() {
    let url = format!("https://{}", silent());
    let error = ask(&client(impatient()), &url);
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
}

#[test]
fn a_proxy_that_says_nothing_is_a_timeout() {
    let settings = through(&silent(), impatient());
    for url in ["https://hub.test", "http://hub.test"] {
        let error = ask(&client(settings.clone()), url);
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    }
}

#[test]
fn cancelling_ends_a_handshake_and_the_wait_for_a_proxy() {
    for by_proxy in [false, true] {
        let cancel = CancelToken::new();
        let pulled = cancel.clone();
        // The client has begun to speak, and waits for an answer.
        let address = silent_but_for(move || pulled.cancel());
        let (settings, url) = match by_proxy {
            false => (Settings::default(), format!("https://{address}")),
            true => (
                through(&address, Settings::default()),
                "https://hub.test".to_owned(),
            ),
        };
        let client = client(settings).with_cancel(&cancel).expect("made");
        assert_eq!(ask(&client, &url).kind(), ErrorKind::Cancelled);
    }
}

#[test]
fn a_proxy_that_talks_nonsense_is_left() {
    let endless = server(|_, mut stream| {
        head(&mut stream);
        answer(&mut stream, "HTTP/1.1 200 OK\r\nX: ");
        let much = "x".repeat(1 << 20);
        for _ in 0..64 {
            answer(&mut stream, &much);
        }
    });
    let many = server(|_, mut stream| {
        head(&mut stream);
        answer(&mut stream, "HTTP/1.1 200 OK\r\n");
        answer(&mut stream, &"X: y\r\n".repeat(1000));
        answer(&mut stream, "\r\n");
    });
    let nonsense = server(|_, mut stream| {
        head(&mut stream);
        answer(&mut stream, "\u{1b}[31mSSH-2.0-nonsense\r\n\r\n");
    });
    let gone = server(|_, mut stream| drop(head(&mut stream)));
    // It opens the tunnel, and then speaks itself.
    let speaks = server(|_, mut stream| {
        head(&mut stream);
        answer(&mut stream, "HTTP/1.1 200 OK\r\n\r\n");
        answer(&mut stream, "HTTP/1.1 403 Forbidden\r\n\r\n");
    });
    for proxy in [endless, many, nonsense, gone, speaks] {
        let error = ask(&client(through(&proxy, impatient())), "https://hub.test");
        assert!(
            matches!(error.kind(), ErrorKind::Network | ErrorKind::Protocol),
            "{error:?}"
        );
        assert!(error.hint().is_some() && !error.to_string().contains('\u{1b}'));
    }
}
