use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::error::BenchError;

/// A request that is not answered by then has failed. Below the watchdog's limit, so that its reason is seen.
const REQUEST_TIME: Duration = Duration::from_secs(15);
/// A chain or an order is a few KiB.
const BODY_OCTETS_MAX: usize = 256 * 1024;
const HTTPS_PORT: u16 = 443;
const AGENT: &str = concat!("chancery-bench/", env!("CARGO_PKG_VERSION"));
/// RFC 8555 §6.2.
const JOSE: &str = "application/jose+json";
/// RFC 8555 §6.5.
const NONCE: &str = "replay-nonce";

/// Why a request brought nothing. Displayed as a short label that failures are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RequestError {
    /// TCP or TLS did not come to stand.
    Connect(String),
    /// The connection broke.
    Broken(String),
    /// No answer in time.
    Late,
    /// An HTTP status of failure, with the problem's type.
    Refused { status: u16, kind: String },
    /// An answer that is not what belongs there.
    Unreadable(&'static str),
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(detail) => write!(f, "no connection ({detail})"),
            Self::Broken(detail) => write!(f, "connection broke ({detail})"),
            Self::Late => f.write_str("no answer in time"),
            Self::Refused { status, kind } => write!(f, "{status} {kind}"),
            Self::Unreadable(what) => write!(f, "unreadable {what}"),
        }
    }
}

/// A server's place, as its directory URL says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    authority: String,
    name: ServerName<'static>,
    addr: SocketAddr,
}

impl Target {
    /// The host of a URL: `localhost` or a loopback address. No resolver is asked, so nothing outside is.
    ///
    /// # Errors
    /// [`BenchError::Url`]
    pub(crate) fn of(url: &str) -> Result<Self, BenchError> {
        let unusable = |detail: &str| BenchError::Url(format!("{detail} in {url:?}"));
        let uri: Uri = url.parse().map_err(|_| unusable("no URL"))?;
        let authority = uri.authority().ok_or_else(|| unusable("no host"))?;
        if uri.scheme_str() != Some("https") {
            return Err(unusable("no https"));
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']');
        let ip = match host {
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            host => host
                .parse()
                .map_err(|_| unusable("neither localhost nor a loopback address"))?,
        };
        if !ip.is_loopback() {
            return Err(unusable("an address that is no loopback address"));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|_| unusable("no host name"))?;
        let addr = SocketAddr::new(ip, authority.port_u16().unwrap_or(HTTPS_PORT));
        Ok(Self {
            authority: authority.as_str().to_owned(),
            name,
            addr,
        })
    }
}

/// Where the server is and how to know it.
pub(crate) struct Endpoint {
    target: Target,
    tls: TlsConnector,
}

impl Endpoint {
    /// The server at `target`, if its certificate leads to one of the roots.
    ///
    /// # Errors
    /// What the TLS library said.
    pub(crate) fn new(target: Target, roots: RootCertStore) -> Result<Self, String> {
        Ok(Self {
            target,
            tls: TlsConnector::from(Arc::new(tls13(roots)?)),
        })
    }
}

/// The certificates of a PEM file as trust anchors.
pub(crate) fn roots(pem: &[u8]) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in rustls::pki_types::CertificateDer::pem_slice_iter(pem).take(100) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.is_empty() {
        Err("there is no certificate in it".to_owned())
    } else {
        Ok(roots)
    }
}

fn tls13(roots: RootCertStore) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| error.to_string())?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// An answer: what of it an ACME client needs.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// The nonce for the next request.
    pub(crate) nonce: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Bytes,
    /// From the first octet sent to the last one received.
    pub(crate) took: Duration,
}

/// One keep-alive HTTP/1.1 connection, made again when the server has ended it.
pub(crate) struct Connection {
    endpoint: Arc<Endpoint>,
    open: Option<Open>,
    /// How often it was made.
    pub(crate) made: u64,
}

struct Open {
    sender: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Connection {
    /// Connects with the first request.
    pub(crate) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            endpoint,
            open: None,
            made: 0,
        }
    }

    /// One request and its answer. `body` is a signed message.
    ///
    /// # Errors
    /// [`RequestError`], but not for a status of failure.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        url: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Answer, RequestError> {
        let request = self.request(method, url, body)?;
        let outcome = timeout(REQUEST_TIME, self.exchange(request))
            .await
            .unwrap_or(Err(RequestError::Late));
        if outcome.is_err() {
            self.open = None;
        }
        outcome
    }

    fn request(
        &self,
        method: Method,
        url: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Full<Bytes>>, RequestError> {
        let uri: Uri = url.parse().map_err(|_| RequestError::Unreadable("URL"))?;
        // One connection is what is measured; a server that spreads over hosts needs another load.
        if uri.authority().map(|authority| authority.as_str())
            != Some(&self.endpoint.target.authority)
        {
            return Err(RequestError::Unreadable("URL (of another host)"));
        }
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.endpoint.target.authority)
            .header(USER_AGENT, AGENT);
        if body.is_some() {
            request = request.header(CONTENT_TYPE, JOSE);
        }
        request
            .body(Full::new(Bytes::from(body.unwrap_or_default())))
            .map_err(|_| RequestError::Unreadable("URL"))
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, RequestError> {
        let (mut open, kept) = match self.open.take() {
            Some(open) if !open.sender.is_closed() => (open, true),
            _ => (self.connect().await?, false),
        };
        let mut began = Instant::now();
        let response = match open.sender.send_request(request.clone()).await {
            // The server ended the kept connection at this very moment; nothing of the request was sent.
            Err(error) if kept && error.is_canceled() => {
                open = self.connect().await?;
                began = Instant::now();
                open.sender.send_request(request).await
            }
            response => response,
        };
        let (head, body) = response
            .map_err(|error| RequestError::Broken(short(&error)))?
            .into_parts();
        let body = Limited::new(body, BODY_OCTETS_MAX);
        let body = body
            .collect()
            .await
            .map_err(|_| RequestError::Broken("in the body".to_owned()))?;
        let took = began.elapsed();
        self.open = Some(open);
        Ok(Answer {
            status: head.status,
            nonce: text(&head.headers, NONCE),
            location: text(&head.headers, LOCATION.as_str()),
            body: body.to_bytes(),
            took,
        })
    }

    async fn connect(&mut self) -> Result<Open, RequestError> {
        self.made += 1;
        connect(&self.endpoint).await
    }
}

async fn connect(endpoint: &Endpoint) -> Result<Open, RequestError> {
    let failed = |error: std::io::Error| RequestError::Connect(error.kind().to_string());
    let stream = TcpStream::connect(endpoint.target.addr)
        .await
        .map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let stream = endpoint
        .tls
        .connect(endpoint.target.name.clone(), stream)
        .await
        .map_err(|error| {
            // Unlike the kind of a TCP failure, what TLS says is the whole point.
            RequestError::Connect(error.to_string())
        })?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(|error| RequestError::Connect(short(&error)))?;
    let driver = tokio::spawn(async move {
        // What breaks here is told by the request that waits.
        connection.await.ok();
    });
    Ok(Open { sender, driver })
}

/// A label with few values: failures are counted by it.
fn short(error: &hyper::Error) -> String {
    if error.is_canceled() || error.is_closed() {
        "closed".to_owned()
    } else if error.is_incomplete_message() {
        "no whole answer".to_owned()
    } else if error.is_parse() {
        "not HTTP".to_owned()
    } else {
        "in transport".to_owned()
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_a_target() {
        let target = Target::of("https://localhost:14000/dir").expect("good");
        assert_eq!(target.authority, "localhost:14000");
        assert_eq!(target.addr, SocketAddr::from((Ipv4Addr::LOCALHOST, 14000)));
        assert!(Target::of("https://127.0.0.2/dir").is_ok());
        assert!(Target::of("https://[::1]:8443/dir").is_ok());
        for bad in [
            "",
            "/dir",
            "http://localhost/dir",
            "https://ca.example/dir",
            "https://10.0.0.1/dir",
            "https://localhost.example/dir",
        ] {
            assert!(Target::of(bad).is_err(), "{bad:?}");
        }
    }

    #[tokio::test]
    async fn a_url_of_another_host_is_not_followed() {
        let target = Target::of("https://localhost:1/dir").expect("good");
        let endpoint = Endpoint::new(target, RootCertStore::empty()).expect("made");
        let mut connection = Connection::new(Arc::new(endpoint));
        let answer = connection
            .send(Method::GET, "https://localhost:2/dir", None)
            .await;
        assert_eq!(
            answer.err(),
            Some(RequestError::Unreadable("URL (of another host)"))
        );
        assert_eq!(connection.made, 0);
    }

    #[test]
    fn roots_are_certificates() {
        assert!(roots(b"").is_err());
        assert!(roots(b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n").is_err());
    }
}
