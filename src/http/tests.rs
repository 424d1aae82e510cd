//! The door against servers that misbehave on the wire, scripted byte by byte.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::proxies::Proxies;
use super::{Auth, Body, Client, Given, Grant, Request, Settings};
use crate::cancel::CancelToken;
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::url::Url;

/// A server that gives each connection to `serve` in turn; returns its address.
pub(super) fn server(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    let serve = std::sync::Arc::new(serve);
    thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let serve = std::sync::Arc::clone(&serve);
            thread::spawn(move || serve(number, stream));
        }
    });
    address
}

/// Reads a request; returns all but its body.
pub(super) fn head(stream: &mut TcpStream) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|read| read == 1) {
        text.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&text).to_lowercase();
    let length = text.split("content-length: ").nth(1);
    let length = length.and_then(|rest| rest.lines().next()?.parse().ok());
    let _ = stream.read_exact(&mut vec![0; length.unwrap_or(0)]);
    text
}

pub(super) fn answer(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes());
}

pub(super) fn client(settings: Settings) -> Client {
    Client::new(settings, Vec::new()).expect("made")
}

fn get(address: &str) -> Request {
    Request::get(Url::parse(&format!("http://{address}/x")).expect("a URL"))
}

fn read_all(client: &Client, address: &str) -> Result<Vec<u8>, Error> {
    let response = client.send(get(address))?;
    let url = response.url().clone();
    let mut bytes = Vec::new();
    response
        .into_reader()
        .read_to_end(&mut bytes)
        .map_err(|error| super::Response::read_error(error, &url))?;
    Ok(bytes)
}

fn hasty() -> Settings {
    Settings {
        stall_timeout: Duration::from_millis(150),
        stall_bytes: 2,
        ..Settings::default()
    }
}

#[test]
fn silence_is_a_timeout() {
    let address = server(|number, mut stream| {
        head(&mut stream);
        if number == 1 {
            answer(
                &mut stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
            );
        }
        thread::sleep(Duration::from_secs(5));
    });
    for _ in 0..2 {
        let began = Instant::now();
        let error = read_all(&client(hasty()), &address).expect_err("silent");
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
        assert!(error.is_retryable());
        assert!(began.elapsed() < Duration::from_secs(3));
    }
}

#[test]
fn a_slow_server_is_no_silent_one() {
    let address = server(|_, mut stream| {
        head(&mut stream);
        answer(&mut stream, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n");
        for _ in 0..20 {
            thread::sleep(Duration::from_millis(30));
            answer(&mut stream, "x");
        }
    });
    // 600 ms in all, but never 150 without a byte.
    let bytes = read_all(&client(hasty()), &address).expect("slow is fine");
    assert_eq!(bytes.len(), 20);
    // A byte now and then is no transfer, though it is no silence either.
    let demanding = Settings {
        stall_bytes: 1000,
        ..hasty()
    };
    let error = read_all(&client(demanding), &address).expect_err("a drip");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
}

#[test]
fn a_server_that_takes_nothing_is_a_timeout() {
    let address = server(|_, mut stream| {
        let _ = stream.read(&mut [0; 100]);
        thread::sleep(Duration::from_secs(5));
    });
    let began = Instant::now();
    let body = Body::Sized {
        length: 1 << 30,
        open: Box::new(|| Ok(Box::new(std::io::repeat(0).take(1 << 30)))),
    };
    let url = Url::parse(&format!("http://{address}/x")).expect("a URL");
    let put = Request::put(url).body(body);
    let error = client(hasty()).send(put).map(drop).expect_err("stalled");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[test]
fn what_one_request_is_told_holds_for_all() {
    let address = server(|number, mut stream| {
        head(&mut stream);
        let text = match number {
            0 => "HTTP/1.1 200 OK\r\nRateLimit: \"api\";r=0;t=200\r\nContent-Length: 2\r\n\r\nok",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        };
        answer(&mut stream, text);
    });
    assert_eq!(
        read_all(&client(Settings::default()), &address).expect("answered"),
        b"ok"
    );
    // Another client of this process knows it as well, and has less patience.
    let mut hasty = Settings::default();
    hasty.retry.longest_wish = Duration::from_secs(60);
    let error = read_all(&client(hasty), &address).expect_err("not sent");
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert!(error.retry_after() > Some(Duration::from_secs(100)));
    // The quota is the API's; git and the storage have nothing to do with it.
    let request = get(&address).bucket(super::Bucket::Storage);
    let response = client(Settings::default()).send(request);
    assert_eq!(response.expect("answered").status(), 200);
}

#[test]
fn an_upload_follows_to_where_the_server_sends_it() {
    let target = server(|_, mut stream| {
        let request = head(&mut stream);
        let status = if request.contains("content-length: 5") {
            200
        } else {
            400
        };
        answer(
            &mut stream,
            &format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"),
        );
    });
    let address = server(move |_, mut stream| {
        head(&mut stream);
        answer(
            &mut stream,
            &format!("HTTP/1.1 307 X\r\nLocation: http://{target}/y\r\nContent-Length: 0\r\n\r\n"),
        );
    });
    let opened = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&opened);
    let body = Body::Sized {
        length: 5,
        open: Box::new(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(Box::new(&b"bytes"[..]))
        }),
    };
    let url = Url::parse(&format!("http://{address}/x")).expect("a URL");
    let response = client(Settings::default()).send(Request::put(url).body(body));
    assert_eq!(response.expect("followed").status(), 200);
    assert_eq!(opened.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[test]
fn all_tries_end_at_the_deadline() {
    let address = server(|_, mut stream| {
        head(&mut stream);
        answer(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n",
        );
        for _ in 0..500 {
            thread::sleep(Duration::from_millis(20));
            answer(&mut stream, "x");
        }
    });
    let mut settings = Settings {
        stall_bytes: 0,
        ..Settings::default()
    };
    settings.retry.total = Some(Duration::from_millis(300));
    let began = Instant::now();
    let error = client(settings)
        .retrying(|client| read_all(client, &address))
        .expect_err("too slow");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_body_that_ends_early_is_an_error() {
    let address = server(|number, mut stream| {
        head(&mut stream);
        let texts = [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n",
            "HTTP/1.1 200 OK\r\nContent-Le",
            "nonsense\r\n\r\n",
        ];
        answer(&mut stream, texts[number % texts.len()]);
    });
    let client = client(Settings::default());
    for _ in 0..4 {
        let error = read_all(&client, &address).expect_err("cut off");
        assert!(
            matches!(error.kind(), ErrorKind::Network | ErrorKind::Protocol),
            "{error:?}"
        );
        assert!(error.hint().is_some());
    }
}

#[test]
fn cancelling_wakes_a_blocked_request() {
    let (tell, asked) = std::sync::mpsc::channel();
    let address = server(move |_, mut stream| {
        head(&mut stream);
        tell.send(()).expect("somebody waits");
        // Says nothing until the other side leaves.
        let _ = stream.read(&mut [0]);
    });
    let cancel = CancelToken::new();
    let client = client(Settings::default());
    let client = client.with_cancel(&cancel).expect("made");
    let request = thread::spawn(move || {
        let error = read_all(&client, &address).expect_err("cancelled");
        (error.kind(), Instant::now())
    });
    asked.recv().expect("the request arrives");
    let pulled = Instant::now();
    cancel.cancel();
    let (kind, ended) = request.join().expect("no panic");
    assert_eq!(kind, ErrorKind::Cancelled);
    assert!(ended - pulled < Duration::from_millis(500));
}

#[test]
fn nobody_there_is_said_plainly() {
    let unused = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = unused.local_addr().expect("bound").to_string();
    drop(unused);
    let error = read_all(&client(Settings::default()), &address).expect_err("closed");
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(
        error.to_string().contains("nobody listens there"),
        "{error}"
    );
}

#[test]
fn a_connection_is_used_again() {
    let address = server(|number, mut stream| {
        while !head(&mut stream).is_empty() {
            let body = number.to_string();
            let length = body.len();
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            answer(&mut stream, &text);
        }
    });
    let client = client(Settings::default());
    for _ in 0..3 {
        assert_eq!(read_all(&client, &address).expect("answered"), b"0");
    }
}

#[test]
fn a_redirect_keeps_the_method_and_drops_what_is_private() {
    let target = server(|_, mut stream| {
        let request = head(&mut stream);
        let length = request.len();
        let text = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{request}"
        );
        answer(&mut stream, &text);
    });
    let other = target.clone();
    let address = server(move |_, mut stream| {
        let request = head(&mut stream);
        let status = if request.contains("/moved") { 302 } else { 307 };
        let text = format!(
            "HTTP/1.1 {status} X\r\nLocation: http://{other}/y\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        answer(&mut stream, &text);
    });
    let origin = Url::parse(&format!("http://{address}"))
        .expect("a URL")
        .origin();
    let secret = Secret::Token("hf_secret".parse().expect("valid"));
    let grants = vec![Grant {
        origin,
        user: None,
        secret,
        given: Given::InPlace("HF_TOKEN"),
    }];
    let client = Client::new(Settings::default(), grants).expect("made");
    let request = || get(&address).auth(Auth::Bearer).header("Accept", "kept");
    let mut text = String::new();
    let response = client.send(request()).expect("followed");
    response
        .into_reader()
        .read_to_string(&mut text)
        .expect("read");
    let text = text.to_lowercase();
    assert!(
        text.starts_with("get /y ") && text.contains("accept: kept"),
        "{text}"
    );
    assert!(!text.contains("authorization"), "{text}");
    // A POST goes on with 307, and not with 302, which would drop its body.
    let url = |path: &str| Url::parse(&format!("http://{address}/{path}")).expect("a URL");
    let post = |path: &str| Request::post(url(path)).body(Body::Bytes(b"body".to_vec()));
    assert_eq!(client.send(post("x")).expect("followed").status(), 200);
    let error = client.send(post("moved")).map(drop).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Protocol);
}

#[test]
fn a_proxy_is_asked_unless_it_is_excepted() {
    // A tunnel: what it is asked to connect to is what it answers with.
    let proxy = server(|_, mut stream| {
        let request = head(&mut stream);
        answer(&mut stream, "HTTP/1.1 200 OK\r\n\r\n");
        head(&mut stream);
        let length = request.len();
        let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{request}");
        answer(&mut stream, &text);
    });
    let direct = server(|_, mut stream| {
        head(&mut stream);
        answer(
            &mut stream,
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ndirect",
        );
    });
    let with = |no_proxy: &'static str| Settings {
        proxies: Proxies::read(|name| match name {
            "http_proxy" => Some(format!("http://{proxy}")),
            "no_proxy" => Some(no_proxy.to_owned()),
            _ => None,
        }),
        ..Settings::default()
    };
    let through = read_all(&client(with("")), "hub.invalid").expect("answered");
    let through = String::from_utf8_lossy(&through).into_owned();
    assert!(through.starts_with("connect hub.invalid"), "{through}");
    let error = read_all(&client(with("hub.invalid")), "hub.invalid").expect_err("no such host");
    assert_eq!(error.kind(), ErrorKind::Network);
    // A token for this machine stays on it, whatever the proxy settings say.
    let past = read_all(&client(with("")), &direct).expect("answered");
    assert_eq!(past, b"direct");
}
