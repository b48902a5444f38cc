//! A connection on which octets are written by hand: TLS below, whatever one likes above.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use chancery_tests::Authority;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A server that neither reads nor hangs up for so long holds a flood instead of ending it.
const PATIENCE: Duration = Duration::from_secs(20);

/// What begins every HTTP/2 connection (RFC 9113 §3.4), with an empty SETTINGS frame.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// Where floods go, and what they believe.
#[derive(Debug, Clone)]
pub(super) struct Door {
    addr: SocketAddr,
    config: Arc<ClientConfig>,
}

/// An open connection.
pub(super) struct Line {
    tls: StreamOwned<ClientConnection, TcpStream>,
}

/// How a flood ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// The server said why and hung up: the error code of its GOAWAY (RFC 9113 §7).
    Refused(u32),
    /// The server hung up.
    Closed,
    /// All of it was taken, and the connection is open.
    Taken,
}

impl Door {
    pub(super) fn of(authority: &Authority, protocol: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(authority.root_pem().as_bytes()) {
            roots.add(root.expect("PEM")).expect("a root");
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
        Self {
            addr: authority.public(),
            config: Arc::new(config),
        }
    }

    /// A socket without anything on it.
    pub(super) fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.addr).expect("the listener is there");
        socket.set_read_timeout(Some(PATIENCE)).expect("a time");
        socket.set_write_timeout(Some(PATIENCE)).expect("a time");
        socket.set_nodelay(true).expect("an option");
        socket
    }

    /// A connection after its handshake.
    pub(super) fn open(&self) -> Line {
        let name = ServerName::IpAddress(self.addr.ip().into());
        let session = ClientConnection::new(Arc::clone(&self.config), name).expect("a session");
        let mut tls = StreamOwned::new(session, self.socket());
        while tls.conn.is_handshaking() {
            tls.conn.complete_io(&mut tls.sock).expect("a handshake");
        }
        Line { tls }
    }

    /// The same that has begun to speak HTTP/2.
    pub(super) fn open_h2(&self) -> Line {
        let mut line = self.open();
        assert!(line.write(PREFACE), "the preface is taken");
        line
    }
}

impl Line {
    /// Writes; says whether the server took it.
    pub(super) fn write(&mut self, octets: &[u8]) -> bool {
        self.tls.write_all(octets).is_ok() && self.tls.flush().is_ok()
    }

    /// Everything until the server hangs up; none where it does not.
    pub(super) fn read_to_end(&mut self) -> Option<Vec<u8>> {
        let StreamOwned { conn, sock } = &mut self.tls;
        let mut all = Vec::new();
        loop {
            // Not through the stream, which would first write what is left: a server that has hung up takes no more, and
            // why it did so is still to be read.
            let ended = match conn.read_tls(sock) {
                Ok(count) => count == 0,
                Err(error) if is_waiting(&error) => return None,
                Err(_) => true,
            };
            let broken = conn.process_new_packets().is_err();
            // An end without close_notify is told after everything was given.
            let _ = conn.reader().read_to_end(&mut all);
            if ended || broken {
                return Some(all);
            }
        }
    }

    /// The payload of the next frame of this kind.
    pub(super) fn read_until(&mut self, kind: u8) -> Vec<u8> {
        loop {
            let mut head = [0; 9];
            self.tls.read_exact(&mut head).expect("a frame");
            let [a, b, c, found, ..] = head;
            let length = u32::from_be_bytes([0, a, b, c]);
            let mut payload = vec![0; usize::try_from(length).expect("a length")];
            self.tls.read_exact(&mut payload).expect("its payload");
            if found == kind {
                return payload;
            }
        }
    }

    /// Writes so many times, or until the server hangs up.
    pub(super) fn flood(mut self, times: usize, mut octets: impl FnMut(usize) -> Vec<u8>) -> End {
        for time in 0..times {
            if !self.write(&octets(time)) {
                return self.end();
            }
        }
        End::Taken
    }

    /// Why the server hung up.
    pub(super) fn end(&mut self) -> End {
        let Some(said) = self.read_to_end() else {
            return End::Taken;
        };
        match goaway(&said) {
            Some(code) => End::Refused(code),
            None => End::Closed,
        }
    }
}

fn is_waiting(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

/// One frame (RFC 9113 §4.1).
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    let mut octets = length.to_be_bytes()[1..].to_vec();
    octets.extend([kind, flags]);
    octets.extend(stream.to_be_bytes());
    octets.extend(payload);
    octets
}

/// The header block of a request, spelt out without a table that changes (RFC 7541 §6.1, §6.2.2, appendix A).
pub(super) fn request(post: bool, path: &str) -> Vec<u8> {
    let mut block = vec![if post { 0x83 } else { 0x82 }, 0x87];
    for (index, text) in [(0x04, path), (0x01, "127.0.0.1")] {
        block.push(index);
        block.push(u8::try_from(text.len()).expect("a short text"));
        block.extend(text.as_bytes());
    }
    if post {
        // content-type, index 31, is beyond the four bits of the prefix.
        let media = "application/jose+json";
        block.extend([0x0f, 31 - 15, u8::try_from(media.len()).expect("short")]);
        block.extend(media.as_bytes());
    }
    block
}

fn goaway(said: &[u8]) -> Option<u32> {
    let mut rest = said;
    while let [a, b, c, kind, _, _, _, _, _, after @ ..] = rest {
        let length = u32::from_be_bytes([0, *a, *b, *c]);
        let (payload, next) = after.split_at_checked(usize::try_from(length).ok()?)?;
        // RFC 9113 §6.8: the last stream, then the code.
        if *kind == GOAWAY {
            let code = payload.get(4..8)?.try_into().ok()?;
            return Some(u32::from_be_bytes(code));
        }
        rest = next;
    }
    None
}
