//! TLS in front of a server that speaks none.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Passes on what it is sent over TLS, and the answers.
pub(crate) struct TlsFront {
    /// `host:port`
    pub(crate) address: String,
    /// Its certificate, signed by itself.
    pub(crate) pem: String,
}

/// How long one side is listened to before the other has its turn.
const TURN: Duration = Duration::from_millis(1);

impl TlsFront {
    pub(crate) fn before(server: &str) -> Self {
        let names = vec!["127.0.0.1".to_owned()];
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(names).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], PrivateKeyDer::from(key))
            .unwrap();
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = server.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
                let Ok(server) = TcpStream::connect(&server) else {
                    return;
                };
                thread::spawn(move || pass(connection, client, server));
            }
        });
        Self {
            address,
            pem: cert.pem(),
        }
    }
}

/// By turns, until one side has gone: a TLS connection cannot be read and written by two threads.
fn pass(connection: ServerConnection, client: TcpStream, mut server: TcpStream) -> Option<()> {
    client.set_read_timeout(Some(TURN)).ok()?;
    server.set_read_timeout(Some(TURN)).ok()?;
    let mut client = StreamOwned::new(connection, client);
    let mut buffer = [0; 4096];
    loop {
        let count = heard(client.read(&mut buffer))?;
        server.write_all(&buffer[..count]).ok()?;
        let count = heard(server.read(&mut buffer))?;
        client.write_all(&buffer[..count]).ok()?;
        client.flush().ok()?;
    }
}

/// The bytes of a turn; `None` at the end.
fn heard(read: io::Result<usize>) -> Option<usize> {
    match read {
        Ok(0) => None,
        Ok(count) => Some(count),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(0),
        Err(_) => None,
    }
}
