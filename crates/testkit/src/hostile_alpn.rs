//! A TLS server that answers tls-alpn-01 (RFC 8737) as a test's script says: rightly, with a certificate that is wrong
//! in one way, with another protocol, with TLS of yesterday, or not at all.
//!
//! It listens on one address, follows a rule per name asked for by SNI, and keeps a record of what it was asked.

mod certificate;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use certificate::{AltName, ChallengeCertificate, Identifier, SignedBy};

use rustls::crypto::aws_lc_rs;
use rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::task::Task;

/// The protocol of RFC 8737 §6.2.
pub const ACME_TLS: &str = "acme-tls/1";

/// Longer than any client that holds its own limits stays.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
/// A first message of TLS with all its extensions.
const HELLO_OCTETS_MAX: usize = 16 * 1024;

/// What the server does with one client.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Shows this certificate and selects `acme-tls/1`.
    Show(ChallengeCertificate),
    /// The same in TLS 1.2.
    ShowByTls12(ChallengeCertificate),
    /// Shows it and says nothing about protocols.
    WithoutAlpn(ChallengeCertificate),
    /// Knows another protocol only.
    OtherProtocol(ChallengeCertificate),
    /// Shows it and signs the handshake with another key.
    WithoutItsKey(ChallengeCertificate),
    /// Speaks TLS 1.1 and nothing newer.
    Tls11,
    /// These octets, whatever was asked.
    Plain(Vec<u8>),
    /// Nothing, until the client gives up.
    Silence,
    /// Hangs up.
    Close,
}

/// What a client said first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelloSeen {
    /// The name asked for by SNI.
    pub server_name: Option<String>,
    /// The protocols offered by ALPN.
    pub protocols: Vec<String>,
    /// Octets of application data that followed.
    pub application_octets: usize,
}

/// The running server; dropping it ends it with all its connections.
#[derive(Debug)]
pub struct HostileAlpn {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _task: Task,
}

#[derive(Debug, Default)]
struct Shared {
    rules: Mutex<Vec<(String, Answer)>>,
    hellos: Mutex<Vec<HelloSeen>>,
}

impl HostileAlpn {
    /// Starts on this address; port 0 picks a free one. Until told otherwise it hangs up. Needs a running tokio runtime.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let task = Task::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self {
            addr,
            shared,
            _task: task,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers clients that ask for this name in this way from now on.
    pub fn on(&self, server_name: &str, answer: Answer) -> &Self {
        let mut rules = self
            .shared
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rules.retain(|(name, _)| name != server_name);
        rules.push((server_name.to_owned(), answer));
        drop(rules);
        self
    }

    /// What clients said first, in order of their ends.
    #[must_use]
    pub fn hellos(&self) -> Vec<HelloSeen> {
        let hellos = self.shared.hellos.lock();
        hellos.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn answer(&self, server_name: Option<&str>) -> Answer {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let found = rules
            .iter()
            .find(|(name, _)| Some(name.as_str()) == server_name);
        found.map_or(Answer::Close, |(_, answer)| answer.clone())
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let serving = serve(stream, Arc::clone(&shared));
        connections.spawn(timeout(CONNECTION_TIME, serving));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut hello = read_hello(&stream).await?;
    let answer = shared.answer(hello.server_name.as_deref());
    let keep = |hello: HelloSeen| {
        let mut hellos = shared.hellos.lock().unwrap_or_else(PoisonError::into_inner);
        hellos.push(hello);
    };
    let config = match answer {
        Answer::Close => None,
        Answer::Silence => {
            keep(hello);
            sleep(CONNECTION_TIME).await;
            return Ok(());
        }
        Answer::Plain(octets) => {
            keep(hello);
            return last_words(stream, &octets).await;
        }
        Answer::Tls11 => {
            keep(hello);
            return last_words(stream, &tls11_hello()).await;
        }
        Answer::Show(shown) => Some(config(&shown, &[ACME_TLS], rustls::ALL_VERSIONS, Key::Its)?),
        Answer::ShowByTls12(shown) => {
            let versions: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
            Some(config(&shown, &[ACME_TLS], versions, Key::Its)?)
        }
        Answer::WithoutAlpn(shown) => Some(config(&shown, &[], rustls::ALL_VERSIONS, Key::Its)?),
        Answer::OtherProtocol(shown) => Some(config(
            &shown,
            &["http/1.1"],
            rustls::ALL_VERSIONS,
            Key::Its,
        )?),
        Answer::WithoutItsKey(shown) => Some(config(
            &shown,
            &[ACME_TLS],
            rustls::ALL_VERSIONS,
            Key::Another,
        )?),
    };
    let Some(config) = config else {
        keep(hello);
        return stream.shutdown().await;
    };
    if let Ok(mut tls) = TlsAcceptor::from(Arc::new(config)).accept(stream).await {
        let mut octets = [0; 1024];
        while let Ok(read @ 1..) = tls.read(&mut octets).await {
            hello.application_octets += read;
        }
    }
    keep(hello);
    Ok(())
}

/// Looks at the first message without taking it from the connection.
async fn read_hello(stream: &TcpStream) -> io::Result<HelloSeen> {
    let mut octets = vec![0; HELLO_OCTETS_MAX];
    loop {
        let read = stream.peek(&mut octets).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut acceptor = Acceptor::default();
        acceptor.read_tls(&mut &octets[..read])?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(seen(&accepted.client_hello())),
            Ok(None) => sleep(Duration::from_millis(1)).await,
            Err((error, _)) => return Err(io::Error::other(error)),
        }
    }
}

fn seen(hello: &ClientHello<'_>) -> HelloSeen {
    let protocols = hello.alpn().into_iter().flatten();
    HelloSeen {
        server_name: hello.server_name().map(str::to_owned),
        protocols: protocols
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect(),
        application_octets: 0,
    }
}

async fn last_words(mut stream: TcpStream, octets: &[u8]) -> io::Result<()> {
    stream.write_all(octets).await?;
    stream.shutdown().await?;
    // What the client has to say is read, so that our words are not lost by a reset.
    tokio::io::copy(&mut stream, &mut tokio::io::sink())
        .await
        .map(drop)
}

/// A record with a ServerHello of TLS 1.1 (RFC 4346 §7.4.1.3): no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA.
fn tls11_hello() -> Vec<u8> {
    const BODY: usize = 2 + 32 + 1 + 2 + 1;
    let mut record = vec![22, 3, 2, 0, 4 + BODY as u8, 2, 0, 0, BODY as u8, 3, 2];
    record.extend([7; 32]);
    record.extend([0, 0xc0, 0x13, 0]);
    record
}

/// Which key signs the handshake.
enum Key {
    Its,
    Another,
}

fn config(
    shown: &ChallengeCertificate,
    protocols: &[&str],
    versions: &[&'static SupportedProtocolVersion],
    key: Key,
) -> io::Result<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let made = shown.make();
    let pkcs8 = match key {
        Key::Its => made.key,
        Key::Another => shown.make().key,
    };
    let key = provider
        .key_provider
        .load_private_key(pkcs8.into())
        .map_err(io::Error::other)?;
    let resolver = Always(Arc::new(CertifiedKey::new(vec![made.certificate], key)));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(resolver));
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    Ok(config)
}

/// The library looks into certificates that it is given outright, and refuses some that tests need.
#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}
