//! A server of an attacker's: it hears a request on each connection, and answers as a script says.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// Method, path and headers, as they came.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Heard {
    /// The values of a header, in lower case.
    pub(super) fn header(&self, name: &str) -> Vec<String> {
        let lines = self.head.lines().filter_map(|line| line.split_once(':'));
        lines
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_lowercase())
            .collect()
    }
}

/// What comes back; then the connection is closed.
pub(super) enum Answer {
    Bytes(Vec<u8>),
    /// The first bytes, and then the others again and again.
    Endless(Vec<u8>, Vec<u8>),
}

pub(super) struct Peer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    script: Box<dyn Fn(&Heard) -> Answer + Send + Sync>,
    heard: Mutex<Vec<Heard>>,
    sent: AtomicU64,
    over: AtomicBool,
}

/// Bytes after which an endless answer ends all the same: whoever took them is at fault.
const ENOUGH: u64 = 1 << 30;

impl Peer {
    pub(super) fn new(script: impl Fn(&Heard) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            heard: Mutex::default(),
            sent: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if served.over.load(Ordering::Relaxed) {
                    return;
                }
                let served = Arc::clone(&served);
                std::thread::spawn(move || drop(served.serve(stream)));
            }
        });
        Self { address, shared }
    }

    /// One that says the same to everybody.
    pub(super) fn saying(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::new(move |_| Answer::Bytes(answer.clone()))
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn heard(&self) -> Vec<Heard> {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Bytes of answers that were taken.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let Some(heard) = hear(&mut stream)? else {
            return Ok(());
        };
        let answer = (self.script)(&heard);
        self.heard.lock().unwrap().push(heard);
        let mut send = |bytes: &[u8]| {
            stream.write_all(bytes)?;
            self.sent.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            std::io::Result::Ok(())
        };
        match answer {
            Answer::Bytes(bytes) => send(&bytes)?,
            Answer::Endless(first, again) => {
                send(&first)?;
                let mut sent = 0;
                while sent < ENOUGH && !self.over.load(Ordering::Relaxed) {
                    send(&again)?;
                    sent += again.len() as u64;
                }
            }
        }
        // What was not read would turn the close into a reset, and the answer might be lost.
        stream.shutdown(std::net::Shutdown::Write)?;
        let _ = stream.read(&mut [0; 1]);
        Ok(())
    }
}

fn hear(stream: &mut TcpStream) -> std::io::Result<Option<Heard>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 64 << 10];
    let mut more = |bytes: &mut Vec<u8>| -> std::io::Result<bool> {
        let count = stream.read(&mut buffer)?;
        bytes.extend_from_slice(&buffer[..count]);
        Ok(count > 0)
    };
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if !more(&mut bytes)? {
            return Ok(None);
        }
    };
    let mut heard = Heard {
        head: String::from_utf8_lossy(&bytes[..end]).into_owned(),
        body: bytes.split_off(end),
    };
    let length = heard.header("content-length");
    let chunked = !heard.header("transfer-encoding").is_empty();
    let whole = |body: &[u8]| match length.first() {
        Some(length) => body.len() >= length.parse().unwrap(),
        None => !chunked || body.ends_with(b"0\r\n\r\n"),
    };
    while !whole(&heard.body) && more(&mut heard.body)? {}
    Ok(Some(heard))
}

/// An answer with a status, headers and a body of the length it says.
pub(super) fn answer(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}
