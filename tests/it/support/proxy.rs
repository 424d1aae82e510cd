//! An HTTP proxy that opens tunnels (CONNECT), and remembers what was asked of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy on this machine; it goes when it is dropped.
pub(crate) struct Proxy {
    /// `host:port`
    pub(crate) address: String,
    shared: Arc<Shared>,
}

struct Shared {
    leads: Leads,
    /// What `Proxy-Authorization: Basic` has to say.
    password: Option<&'static str>,
    /// Answered instead of leading anywhere.
    refusal: Option<&'static str>,
    heads: Mutex<Vec<String>>,
    sent: Mutex<Vec<u8>>,
    ended: AtomicBool,
}

/// Where tunnels lead.
enum Leads {
    /// To one server, whatever host was asked for.
    To(String),
    /// To the port that was asked for, on this machine, for hosts below `.test`.
    Home,
}

/// Bytes of a request's head; more is nobody's.
const HEAD: usize = 16 << 10;

impl Proxy {
    /// Leads to `server` (`host:port`), whatever is asked for.
    pub(crate) fn to(server: &str) -> Self {
        Self::start(Leads::To(server.to_owned()), None, None)
    }

    /// The same for those who know the password, in base64 as `Basic` sends it.
    pub(crate) fn locked(server: &str, password: &'static str) -> Self {
        Self::start(Leads::To(server.to_owned()), Some(password), None)
    }

    /// Leads to hosts below `.test`, all of which are this machine.
    pub(crate) fn home() -> Self {
        Self::start(Leads::Home, None, None)
    }

    /// The same for those who know the password.
    pub(crate) fn home_locked(password: &'static str) -> Self {
        Self::start(Leads::Home, Some(password), None)
    }

    /// Answers so, and leads nowhere.
    pub(crate) fn refusing(answer: &'static str) -> Self {
        Self::start(Leads::Home, None, Some(answer))
    }

    fn start(leads: Leads, password: Option<&'static str>, refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            leads,
            password,
            refusal,
            heads: Mutex::default(),
            sent: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if own.ended.load(Ordering::Relaxed) {
                    return;
                }
                let own = Arc::clone(&own);
                // A client that breaks off is no failure of a test's.
                thread::spawn(move || own.serve(client));
            }
        });
        Self { address, shared }
    }

    /// The heads of all requests so far, as they were sent.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }

    /// The hosts and ports that were asked for, each once.
    pub(crate) fn targets(&self) -> Vec<String> {
        let heads = self.heads();
        let targets = heads.iter().filter_map(|head| head.split(' ').nth(1));
        let mut targets: Vec<_> = targets.map(str::to_owned).collect();
        targets.sort();
        targets.dedup();
        targets
    }

    /// All that clients have sent, through the tunnels and to open them, in small letters.
    pub(crate) fn heard(&self) -> String {
        let sent = self.shared.sent.lock().unwrap();
        String::from_utf8_lossy(&sent).to_lowercase()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes who waits for clients.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream) -> Option<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
            if head.len() > HEAD {
                return None;
            }
        }
        self.sent.lock().unwrap().extend(&head);
        let head = String::from_utf8_lossy(&head).into_owned();
        self.heads.lock().unwrap().push(head.clone());
        match self.target(&head) {
            Err(status) => {
                let answer =
                    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
                client.write_all(answer.as_bytes()).ok()
            }
            Ok(target) => self.tunnel(client, &target),
        }
    }

    /// The address to connect to, or the status that refuses.
    fn target(&self, head: &str) -> Result<String, &str> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        let mut words = head.split(' ');
        let (Some("CONNECT"), Some(target)) = (words.next(), words.next()) else {
            return Err("405 Method Not Allowed");
        };
        if let Some(password) = self.password {
            let wanted = format!("\r\nProxy-Authorization: Basic {password}\r\n");
            if !head.contains(&wanted) {
                return Err("407 Proxy Authentication Required\r\nProxy-Authenticate: Basic");
            }
        }
        match &self.leads {
            Leads::To(server) => Ok(server.clone()),
            Leads::Home => match target.split_once(".test:") {
                Some((_, port)) => Ok(format!("127.0.0.1:{port}")),
                None => Err("502 Bad Gateway"),
            },
        }
    }

    fn tunnel(&self, mut client: TcpStream, target: &str) -> Option<()> {
        let mut server = TcpStream::connect(target).ok()?;
        let opened = b"HTTP/1.1 200 Connection established\r\nVia: 1.1 test\r\n\r\n";
        client.write_all(opened).ok()?;
        let (mut from, mut back) = (client.try_clone().ok()?, server.try_clone().ok()?);
        let down = thread::spawn(move || {
            let _ = std::io::copy(&mut back, &mut client);
            let _ = client.shutdown(Shutdown::Both);
        });
        let mut buffer = [0; 4096];
        while let Ok(count) = from.read(&mut buffer) {
            if count == 0 || server.write_all(&buffer[..count]).is_err() {
                break;
            }
            self.sent.lock().unwrap().extend(&buffer[..count]);
        }
        let _ = server.shutdown(Shutdown::Both);
        down.join().ok()
    }
}
