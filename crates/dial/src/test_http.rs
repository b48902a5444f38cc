//! HTTP servers for tests, written on plain sockets so that they can misbehave.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What a server does about one request.
#[derive(Debug, Clone)]
pub enum Script {
    /// Sends these octets; the connection stays open for the next request.
    Send(String),
    /// Sends these octets and closes.
    Last(String),
    /// Sends the head, then one octet of body at each beat, for ever.
    Drip(String, Duration),
    /// Sends the head, then this many octets of body as fast as they are taken.
    Flood(String, usize),
    /// Reads the request and sends nothing.
    Silence,
    /// Closes without an answer.
    Close,
}

/// A running server; it ends when it is dropped.
pub struct TestHttp {
    /// Where it listens.
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

/// What a server saw.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Connections accepted.
    pub connections: usize,
    /// Heads of requests, each with its body.
    pub requests: Vec<String>,
    /// Octets of bodies written.
    pub octets_sent: usize,
}

impl TestHttp {
    /// Starts a plain server on a listener.
    pub fn on<F>(listener: TcpListener, answer: F) -> Self
    where
        F: Fn(&str) -> Script + Send + Sync + 'static,
    {
        Self::run(listener, None, answer)
    }

    /// Starts a plain server on `address`, whose answers follow from the request's text.
    pub async fn start<F>(address: &str, answer: F) -> Self
    where
        F: Fn(&str) -> Script + Send + Sync + 'static,
    {
        Self::on(TcpListener::bind(address).await.expect("binds"), answer)
    }

    /// The same through TLS, with a certificate for `name`; also gives that certificate as PEM.
    pub async fn start_tls<F>(address: &str, name: &str, answer: F) -> (Self, String)
    where
        F: Fn(&str) -> Script + Send + Sync + 'static,
    {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("makes");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("has suites")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .expect("a key and its certificate");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(address).await.expect("binds");
        (Self::run(listener, Some(acceptor), answer), made.cert.pem())
    }

    fn run<F>(listener: TcpListener, tls: Option<TlsAcceptor>, answer: F) -> Self
    where
        F: Fn(&str) -> Script + Send + Sync + 'static,
    {
        let address = listener.local_addr().expect("bound");
        let seen = Arc::<Mutex<Seen>>::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, tls, Arc::clone(&seen), Arc::new(answer)));
        Self {
            address,
            seen,
            _tasks: tasks,
        }
    }

    /// What it saw so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no test panicked").clone()
    }
}

async fn accept<F>(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    seen: Arc<Mutex<Seen>>,
    answer: Arc<F>,
) where
    F: Fn(&str) -> Script + Send + Sync + 'static,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        seen.lock().expect("no test panicked").connections += 1;
        let (tls, seen, answer) = (tls.clone(), Arc::clone(&seen), Arc::clone(&answer));
        connections.spawn(async move {
            match tls {
                None => serve(stream, &seen, &*answer).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, &seen, &*answer).await;
                    }
                }
            }
        });
    }
}

async fn serve<S, F>(mut stream: S, seen: &Mutex<Seen>, answer: &F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Fn(&str) -> Script,
{
    while let Some(request) = read_request(&mut stream).await {
        seen.lock()
            .expect("no test panicked")
            .requests
            .push(request.clone());
        let goes_on = match answer(&request) {
            Script::Send(octets) => stream.write_all(octets.as_bytes()).await.is_ok(),
            Script::Last(octets) => {
                let _ = stream.write_all(octets.as_bytes()).await;
                let _ = stream.shutdown().await;
                false
            }
            Script::Drip(head, beat) => drip(&mut stream, &head, beat).await,
            Script::Flood(head, octets) => flood(&mut stream, &head, octets, seen).await,
            Script::Silence => true,
            Script::Close => false,
        };
        if !goes_on {
            return;
        }
    }
}

async fn drip<S: AsyncWrite + Unpin>(stream: &mut S, head: &str, beat: Duration) -> bool {
    let mut beats = tokio::time::interval(beat);
    if stream.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    loop {
        beats.tick().await;
        if stream.write_all(b"x").await.is_err() || stream.flush().await.is_err() {
            return false;
        }
    }
}

async fn flood<S: AsyncWrite + Unpin>(
    stream: &mut S,
    head: &str,
    octets: usize,
    seen: &Mutex<Seen>,
) -> bool {
    let chunk = [b'x'; 4096];
    if stream.write_all(head.as_bytes()).await.is_err() {
        return false;
    }
    let mut sent = 0;
    while sent < octets {
        if stream.write_all(&chunk).await.is_err() {
            return false;
        }
        sent += chunk.len();
        seen.lock().expect("no test panicked").octets_sent = sent;
    }
    true
}

/// A request with its body by `content-length`.
async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> Option<String> {
    let mut octets = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_ascii_lowercase();
            let length = length
                .split_once("content-length: ")
                .map_or(0, |(_, rest)| {
                    rest.lines()
                        .next()
                        .and_then(|text| text.parse().ok())
                        .unwrap_or(0)
                });
            if body.len() >= length {
                return Some(text);
            }
        }
        if stream.read_buf(&mut octets).await.ok()? == 0 {
            return None;
        }
    }
}

/// Listeners on several addresses that have one port number in common.
pub async fn listeners<const N: usize>(addresses: [IpAddr; N]) -> [TcpListener; N] {
    loop {
        let mut bound = Vec::new();
        let mut port = 0;
        for address in addresses {
            // A number that is free on one address may be taken on another; then all begin anew.
            let Ok(listener) = TcpListener::bind((address, port)).await else {
                break;
            };
            port = listener.local_addr().expect("bound").port();
            bound.push(listener);
        }
        if let Ok(all) = bound.try_into() {
            return all;
        }
    }
}

/// An answer with its length.
pub fn answer(status: u16, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} Test\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
