//! A proxy that opens tunnels, and remembers what was asked of it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy on this machine. Whatever host it is asked for, it leads to the same server.
pub(crate) struct Tunnel {
    pub(crate) address: String,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tunnel {
    /// Leads to `server` (`host:port`). With a `password` it asks for it, as `Basic` sends it.
    pub(crate) fn to(server: &str, password: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (log, server) = (Arc::clone(&sent), server.to_owned());
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (log, server) = (Arc::clone(&log), server.clone());
                thread::spawn(move || serve(client, &server, password, &log));
            }
        });
        Self { address, sent }
    }

    /// All that clients have sent, through the tunnels and to open them, in small letters.
    pub(crate) fn heard(&self) -> String {
        String::from_utf8_lossy(&self.sent.lock().unwrap()).to_lowercase()
    }
}

fn serve(mut client: TcpStream, server: &str, password: Option<&str>, log: &Mutex<Vec<u8>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    log.lock().unwrap().extend(&head);
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let wanted = password.map(|text| format!("proxy-authorization: basic {text}").to_lowercase());
    if wanted.is_some_and(|wanted| !text.contains(&wanted)) {
        let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
        let _ = client.write_all(answer);
        return;
    }
    let mut upstream = TcpStream::connect(server).unwrap();
    if client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").is_err() {
        return;
    }
    let (mut from, mut back) = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    let down = thread::spawn(move || {
        let _ = std::io::copy(&mut back, &mut client);
        let _ = client.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 4096];
    while let Ok(count) = from.read(&mut buffer) {
        if count == 0 || upstream.write_all(&buffer[..count]).is_err() {
            break;
        }
        log.lock().unwrap().extend(&buffer[..count]);
    }
    let _ = upstream.shutdown(Shutdown::Both);
    let _ = down.join();
}
