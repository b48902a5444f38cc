//! HTTP as a client of a test sends it: any method, any header, any body; one version at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;

use crate::runtime;

/// The server answers the slowest request, a finalize, in ten seconds.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Which version is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    One,
    /// HTTP/2 and nothing else.
    Two,
}

/// A client with kept connections.
#[derive(Debug, Clone)]
pub struct Http {
    client: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    within: Duration,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The version it came by.
    pub version: http::Version,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Http {
    /// Believes servers under this root only.
    #[must_use]
    pub fn trusting(root_pem: &str) -> Self {
        Self::speaking(Version::One, root_pem)
    }

    /// For servers without TLS.
    #[must_use]
    pub fn plain() -> Self {
        Self::speaking(Version::One, "")
    }

    /// The same by this version.
    ///
    /// # Panics
    /// When the root is not a certificate.
    #[must_use]
    pub fn speaking(version: Version, root_pem: &str) -> Self {
        Self::try_speaking(version, root_pem).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same for a root that somebody else chose.
    ///
    /// # Errors
    /// What is wrong with the root.
    pub fn try_speaking(version: Version, root_pem: &str) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(root_pem.as_bytes()) {
            let root = root.map_err(|error| format!("a root in PEM: {error}"))?;
            roots
                .add(root)
                .map_err(|error| format!("a root: {error}"))?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut sockets = HttpConnector::new();
        sockets.enforce_http(false);
        sockets.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_or_http();
        let connector = match version {
            Version::One => connector.enable_http1().wrap_connector(sockets),
            Version::Two => connector.enable_http2().wrap_connector(sockets),
        };
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.http2_only(version == Version::Two);
        Ok(Self {
            client: builder.build(connector),
            within: ANSWER_WITHIN,
        })
    }

    /// Gives up on an answer earlier, or later, than usual.
    #[must_use]
    pub fn within(self, within: Duration) -> Self {
        Self { within, ..self }
    }

    /// Sends any request.
    ///
    /// # Errors
    /// What happened, where no answer came.
    pub fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, String> {
        let exchange = async {
            let answer = self
                .client
                .request(request)
                .await
                .map_err(|error| told(&error))?;
            let (head, body) = answer.into_parts();
            let body = body
                .collect()
                .await
                .map_err(|error| told(&error))?
                .to_bytes();
            let (status, version) = (head.status.as_u16(), head.version);
            Ok(Reply {
                status,
                version,
                headers: head.headers,
                body,
            })
        };
        runtime().block_on(async {
            let late = |_| Err(format!("no answer within {:?}", self.within));
            tokio::time::timeout(self.within, exchange)
                .await
                .unwrap_or_else(late)
        })
    }

    /// A request without a body.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn ask(&self, method: Method, url: &str) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(url)
            .body(Full::default());
        self.send(request.expect("a URL"))
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// GET.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn get(&self, url: &str) -> Reply {
        self.ask(Method::GET, url)
    }

    /// HEAD.
    ///
    /// # Panics
    /// When no answer comes.
    #[must_use]
    pub fn head(&self, url: &str) -> Reply {
        self.ask(Method::HEAD, url)
    }

    /// POST.
    ///
    /// # Errors
    /// What happened, where no answer came.
    pub fn post(
        &self,
        url: &str,
        media_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, String> {
        let request = Request::post(url)
            .header("content-type", media_type)
            .body(Full::new(body.into()))
            .map_err(|error| error.to_string())?;
        self.send(request)
    }
}

fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl Reply {
    /// A header field, empty where it is missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The last word of a problem's type: `malformed`. Empty where this is no problem document.
    #[must_use]
    pub fn problem(&self) -> String {
        if self.header("content-type") != "application/problem+json" {
            return String::new();
        }
        let kind = self.json()["type"].as_str().unwrap_or_default().to_owned();
        kind.strip_prefix("urn:ietf:params:acme:error:")
            .unwrap_or_default()
            .to_owned()
    }

    /// A problem's detail.
    #[must_use]
    pub fn detail(&self) -> String {
        self.json()["detail"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Status and problem type, as in `400 malformed`.
    #[must_use]
    pub fn in_short(&self) -> String {
        format!("{} {}", self.status, self.problem())
            .trim_end()
            .to_owned()
    }
}
