use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::listen::{self, Task};
use crate::web::{is_read, reply, serve};
use crate::{Credentials, SimulateError};

const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
const PAGE: &str = "This page came over TLS from a simulated host.\n";

/// A host that serves one small page over TLS, with credentials that can be replaced while it runs.
///
/// Sessions are not resumed: each connection shows the certificate that is current.
#[derive(Debug)]
pub struct TlsSite {
    addr: SocketAddr,
    current: Arc<Current>,
    _task: Task,
}

/// What the next handshake shows.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.0.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl TlsSite {
    /// Starts serving on `addr`; port 0 picks a free one. Needs a running tokio runtime.
    ///
    /// # Errors
    /// [`SimulateError::Listen`]
    pub async fn start(addr: SocketAddr, shown: &Credentials) -> Result<Self, SimulateError> {
        let (listener, addr) = listen::bind(addr).await?;
        let current = Arc::new(Current(RwLock::new(shown.certified_key())));
        let acceptor = TlsAcceptor::from(Arc::new(configuration(Arc::clone(&current))?));
        let task = listen::accept(listener, move |stream| serve_tls(stream, acceptor.clone()));
        Ok(Self {
            addr,
            current,
            _task: task,
        })
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Shows other credentials from the next handshake on; open connections stay.
    pub fn replace(&self, shown: &Credentials) {
        *self
            .current
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = shown.certified_key();
    }
}

fn configuration(current: Arc<Current>) -> Result<ServerConfig, SimulateError> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| SimulateError::Credentials {
            detail: error.to_string(),
        })?
        .with_no_client_auth()
        .with_cert_resolver(current);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

async fn serve_tls(stream: TcpStream, acceptor: TlsAcceptor) {
    match timeout(HANDSHAKE_TIME, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => serve(stream, page).await,
        Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake with the simulated site failed"),
        Err(_) => tracing::debug!("a client of the simulated site never finished its handshake"),
    }
}

fn page(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if is_read(request.method()) {
        reply(StatusCode::OK, PAGE)
    } else {
        reply(
            StatusCode::METHOD_NOT_ALLOWED,
            "only GET is answered here\n",
        )
    }
}
