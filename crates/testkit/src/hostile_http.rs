//! An HTTP server that answers as a test's script says: redirects anywhere, loops, dribbles, floods, breaks the
//! protocol or never answers.
//!
//! It listens on one loopback port, in the clear or with a self-signed certificate, follows a rule per path and
//! keeps a record of everything it was asked. A rule is a sequence of [`Reply`]s, one for each time the path
//! is asked for; the last one repeats. Every connection carries one request.

mod reply;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use reply::Reply;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::task::Task;

/// Longer than any client that holds its own limits stays.
const CONNECTION_TIME: Duration = Duration::from_secs(120);
const HEAD_OCTETS_MAX: usize = 64 * 1024;
/// A test that is asked more than this has found what it looked for.
const REQUESTS_MAX: usize = 100_000;

/// One request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSeen {
    /// The method.
    pub method: String,
    /// What was asked for: path and query.
    pub target: String,
    /// The headers in order, names lower-cased.
    pub headers: Vec<(String, String)>,
}

impl RequestSeen {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// The running server; dropping it ends it with all its connections.
#[derive(Debug)]
pub struct HostileHttp {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _task: Task,
}

#[derive(Debug)]
struct Shared {
    rules: Mutex<Vec<Rule>>,
    requests: Mutex<Vec<RequestSeen>>,
    connections: AtomicUsize,
}

#[derive(Debug)]
struct Rule {
    /// `None` fits every path.
    path: Option<String>,
    sequence: Vec<Reply>,
    asked: usize,
}

impl HostileHttp {
    /// Starts in the clear on a free port of 127.0.0.1; until told otherwise it answers 404. Needs a running
    /// tokio runtime.
    ///
    /// # Errors
    /// When no socket can be opened.
    pub async fn start() -> io::Result<Self> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// The same on this address; port 0 picks a free one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn start_on(addr: SocketAddr) -> io::Result<Self> {
        Self::listen(addr, None).await
    }

    /// The same over TLS, with a certificate that it signed itself for `hostile.test`.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn start_tls(addr: SocketAddr) -> io::Result<Self> {
        Self::listen(addr, Some(self_signed()?)).await
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers requests for `path` (without the query) by this sequence from now on, whatever was said of it
    /// before.
    ///
    /// # Panics
    /// When the sequence is empty.
    pub fn on(&self, path: &str, sequence: impl IntoIterator<Item = Reply>) -> &Self {
        self.rule(Some(path.to_owned()), sequence)
    }

    /// Answers requests for every path without a rule by this sequence from now on.
    ///
    /// # Panics
    /// When the sequence is empty.
    pub fn otherwise(&self, sequence: impl IntoIterator<Item = Reply>) -> &Self {
        self.rule(None, sequence)
    }

    /// Leads from `path` over `count` redirects with this status to `end`.
    pub fn hops(&self, path: &str, status: u16, count: usize, end: Reply) -> &Self {
        let mut from = path.to_owned();
        for hop in 1..=count {
            let to = format!("/hop{path}/{hop}");
            self.on(&from, [Reply::redirect(status, &to)]);
            from = to;
        }
        self.on(&from, [end])
    }

    /// Connections accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Every request so far, in order.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestSeen> {
        self.shared
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn rule(&self, path: Option<String>, sequence: impl IntoIterator<Item = Reply>) -> &Self {
        let sequence: Vec<Reply> = sequence.into_iter().collect();
        assert!(!sequence.is_empty(), "a rule without replies says nothing");
        let mut rules = self
            .shared
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rules.retain(|old| old.path != path);
        rules.push(Rule {
            path,
            sequence,
            asked: 0,
        });
        drop(rules);
        self
    }

    async fn listen(addr: SocketAddr, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            rules: Mutex::new(Vec::new()),
            requests: Mutex::new(Vec::new()),
            connections: AtomicUsize::new(0),
        });
        let task = Task::spawn(accept(listener, Arc::clone(&shared), tls));
        Ok(Self {
            addr,
            shared,
            _task: task,
        })
    }
}

impl Shared {
    fn reply_to(&self, request: RequestSeen) -> Reply {
        let path = request.target.split('?').next().unwrap_or_default();
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let exact = rules
            .iter()
            .position(|rule| rule.path.as_deref() == Some(path));
        let index = exact.or_else(|| rules.iter().position(|rule| rule.path.is_none()));
        let rule = index.and_then(|index| rules.get_mut(index));
        let reply = rule.map_or_else(|| Reply::page(404, "no such page\n"), Rule::next);
        drop(rules);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if requests.len() < REQUESTS_MAX {
            requests.push(request);
        }
        reply
    }
}

impl Rule {
    fn next(&mut self) -> Reply {
        let index = self.asked.min(self.sequence.len() - 1);
        self.asked += 1;
        self.sequence[index].clone()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        let serving = serve(stream, Arc::clone(&shared), tls.clone());
        connections.spawn(timeout(CONNECTION_TIME, serving));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>, tls: Option<TlsAcceptor>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match tls {
        None => answer(stream, &shared).await,
        Some(acceptor) => answer(acceptor.accept(stream).await?, &shared).await,
    }
}

async fn answer<S>(mut stream: S, shared: &Shared) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Some(request) = read_request(&mut stream).await? else {
        return Ok(());
    };
    let target = request.target.clone();
    shared.reply_to(request).send(&target, &mut stream).await
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<RequestSeen>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // One octet at a time: nothing of a body may be taken, and speed is not what this server is for.
        match stream.read_u8().await {
            Ok(octet) if head.len() < HEAD_OCTETS_MAX => head.push(octet),
            _ => return Ok(None),
        }
    }
    Ok(parse_request(&String::from_utf8_lossy(&head)))
}

fn parse_request(head: &str) -> Option<RequestSeen> {
    let (first, rest) = head.split_once("\r\n")?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers = rest.split("\r\n").filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Some(RequestSeen {
        method,
        target,
        headers: headers.collect(),
    })
}

fn self_signed() -> io::Result<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(vec!["hostile.test".to_owned()]);
    let rcgen::CertifiedKey { cert, signing_key } = made.map_err(io::Error::other)?;
    let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![cert.der().clone()], key.into())
        })
        .map_err(io::Error::other)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;
