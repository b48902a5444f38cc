//! A CA that speaks enough ACME to finish an order, believes every challenge, and misbehaves as a test says.

mod advice;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_jose::{Jwk, b64, unb64};
use chancery_pki::{Csr, San, UnixTime};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::test_authority::{Authority, NOW};

pub(crate) use self::advice::Advice;

pub(crate) const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ";

/// How the CA misbehaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// This in the place of the certificate.
    Answer(String),
    /// A certificate for another key.
    OtherKey,
    /// A certificate for this name.
    OtherName(&'static str),
    /// A certificate issued at this time.
    IssuedAt(UnixTime),
    /// Only the first so many octets of the certificate.
    Truncated(usize),
    /// This token.
    Token(String),
    /// This URL for the named member of the directory.
    Directory(&'static str, String),
    /// This URL as the finalize URL of orders.
    FinalizeUrl(String),
    /// Every request is answered with this status and body; where `posts_only`, only those.
    Everything {
        status: u16,
        body: String,
        posts_only: bool,
    },
    /// So many nonces in a row are refused.
    BadNonces(usize),
    /// So many newOrders are answered 503 with Retry-After: 0.
    Busy(usize),
    /// The next newOrder is answered with this problem type.
    NewOrder(&'static str),
    /// Every newOrder that says what it replaces is refused with this status and problem type.
    Replaces(u16, &'static str),
    /// The same, as replaced already, and every other newOrder is answered 503.
    ReplacesThenBusy,
    /// Every newOrder is answered with this problem type.
    NewOrders(&'static str),
    /// Authorizations fail.
    NotValidated,
    /// The directory names terms.
    Terms,
}

/// What was asked, in order, and what stands in the CA.
#[derive(Default)]
struct Inner {
    fault: Fault,
    seen: Vec<String>,
    nonces: usize,
    names: Vec<Value>,
    csr: Option<Csr>,
    validated: bool,
    /// Thumbprints of the keys that registered.
    accounts: Vec<String>,
    /// Without it the directory has no `renewalInfo`.
    advice: Option<Advice>,
    /// What each newOrder said that it replaces.
    replaced: Vec<Option<String>>,
}

pub(crate) struct TestCa {
    addr: SocketAddr,
    pub(crate) authority: Arc<Authority>,
    inner: Arc<Mutex<Inner>>,
    _task: JoinSet<()>,
}

impl TestCa {
    pub(crate) async fn start() -> Self {
        let authority = Arc::new(Authority::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(tls(&authority));
        let inner = Arc::new(Mutex::new(Inner::default()));
        let shared = (Arc::clone(&inner), Arc::clone(&authority));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, shared) = (acceptor.clone(), shared.clone());
                connections.spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let service = service_fn(move |request| answer(request, addr, shared.clone()));
                    let served =
                        http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    served.await.ok();
                });
            }
        });
        Self {
            addr,
            authority,
            inner,
            _task: task,
        }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://{}/dir", self.addr)
    }

    pub(crate) fn set(&self, fault: Fault) {
        lock(&self.inner).fault = fault;
    }

    /// `POST /new-order` and so on, since the last call.
    pub(crate) fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.inner).seen)
    }

    /// Says this of every certificate from now on; `None` takes the offer back.
    pub(crate) fn advise(&self, advice: impl Into<Option<Advice>>) {
        lock(&self.inner).advice = advice.into();
    }

    /// What each newOrder since the last call said that it replaces.
    pub(crate) fn take_replaced(&self) -> Vec<Option<String>> {
        std::mem::take(&mut lock(&self.inner).replaced)
    }

    /// How many different keys registered.
    pub(crate) fn accounts(&self) -> usize {
        lock(&self.inner)
            .accounts
            .iter()
            .collect::<BTreeSet<_>>()
            .len()
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tls(authority: &Authority) -> Arc<ServerConfig> {
    let key = new_key();
    let names = BTreeSet::from([San::parse("127.0.0.1").expect("an address")]);
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    let now = UnixTime(i64::try_from(since.as_secs()).expect("soon"));
    let chain = vec![
        authority.leaf(key.public(), &names, now).into(),
        authority.intermediate_der().to_vec().into(),
    ];
    let pkcs8 = PrivatePkcs8KeyDer::from(key.to_pkcs8().expect("written").to_vec());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, pkcs8.into());
    Arc::new(config.expect("a certificate with its key"))
}

fn new_key() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("made")
}

async fn answer(
    request: Request<Incoming>,
    addr: SocketAddr,
    (inner, authority): (Arc<Mutex<Inner>>, Arc<Authority>),
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let path = head.uri.path();
    let advice = {
        let mut inner = lock(&inner);
        inner.seen.push(format!("{} {path}", head.method));
        inner.advice.clone()
    };
    if let (Some(advice), true) = (advice, path.starts_with("/renewal-info/")) {
        return Ok(advice.response().await);
    }
    let mut inner = lock(&inner);
    let (status, location, text) = inner.answer(&head.method, path, &body, addr, &authority);
    inner.nonces += 1;
    let mut response = Response::builder()
        .status(StatusCode::from_u16(status).expect("a status"))
        .header("replay-nonce", format!("nonce{}", inner.nonces));
    if let Some(location) = location {
        response = response.header("location", location);
    }
    if status == 503 {
        response = response.header("retry-after", "0");
    }
    Ok(response.body(Full::new(text.into())).expect("a response"))
}

type Said = (u16, Option<String>, String);

impl Inner {
    fn answer(
        &mut self,
        method: &Method,
        path: &str,
        body: &[u8],
        addr: SocketAddr,
        authority: &Authority,
    ) -> Said {
        let url = |path: &str| format!("https://{addr}{path}");
        let is_post = *method == Method::POST;
        if let Fault::Everything {
            status,
            body,
            posts_only,
        } = &self.fault
            && (is_post || !posts_only)
        {
            return (*status, None, body.clone());
        }
        if let Fault::BadNonces(count) = &mut self.fault
            && is_post
            && *count > 0
        {
            *count -= 1;
            return problem(400, "badNonce", "stale");
        }
        let (header, payload) = if is_post {
            jws(body)
        } else {
            Default::default()
        };
        match path {
            "/dir" => (200, None, self.directory(&url).to_string()),
            "/new-nonce" => (200, None, String::new()),
            "/new-account" => self.new_account(&header, &url),
            "/new-order" => self.new_order(&payload, &url),
            "/order" => (200, None, self.order(&url).to_string()),
            "/challenge" => {
                self.validated = true;
                (200, None, self.challenge(&url).to_string())
            }
            "/finalize" => self.finalize(&payload, &url),
            "/certificate" => (200, None, self.certificate(authority)),
            "/revoke" => (200, None, String::new()),
            _ if path.starts_with("/authz/") => {
                (200, None, self.authorization(path, &url).to_string())
            }
            _ => problem(404, "malformed", "no such resource"),
        }
    }

    fn directory(&self, url: &impl Fn(&str) -> String) -> Value {
        let mut directory = json!({
            "newNonce": url("/new-nonce"), "newAccount": url("/new-account"), "newOrder": url("/new-order"),
            "revokeCert": url("/revoke"), "keyChange": url("/key-change"),
            "unknown": {"member": [1, 2, 3]},
        });
        if self.advice.is_some() {
            directory["renewalInfo"] = json!(url("/renewal-info"));
        }
        if let Fault::Directory(member, text) = &self.fault {
            directory[*member] = json!(text);
        }
        if self.fault == Fault::Terms {
            directory["meta"] = json!({"termsOfService": "https://ca.test/terms"});
        }
        directory
    }

    fn new_account(&mut self, header: &Value, url: &impl Fn(&str) -> String) -> Said {
        let jwk = Jwk::parse(&header["jwk"]).expect("a new account shows its key");
        self.accounts.push(jwk.thumbprint().to_string());
        let account = url(&format!("/account/{}", self.accounts.len()));
        (201, Some(account), json!({"status": "valid"}).to_string())
    }

    fn new_order(&mut self, payload: &Value, url: &impl Fn(&str) -> String) -> Said {
        let replaces = payload["replaces"].as_str().map(str::to_owned);
        self.replaced.push(replaces.clone());
        match &mut self.fault {
            Fault::Replaces(status, kind) if replaces.is_some() => {
                return problem(*status, kind, "it cannot be replaced");
            }
            Fault::ReplacesThenBusy if replaces.is_some() => {
                return problem(409, "alreadyReplaced", "it is replaced");
            }
            Fault::ReplacesThenBusy => return problem(503, "rateLimited", "later"),
            Fault::NewOrders(kind) => return problem(400, kind, "no"),
            Fault::NewOrder(kind) => {
                let said = problem(400, kind, "no");
                self.fault = Fault::None;
                return said;
            }
            Fault::Busy(count) if *count > 0 => {
                *count -= 1;
                return problem(503, "rateLimited", "later");
            }
            _ => {}
        }
        self.names = payload["identifiers"]
            .as_array()
            .expect("identifiers")
            .clone();
        self.csr = None;
        self.validated = false;
        (201, Some(url("/order")), self.order(url).to_string())
    }

    fn order(&self, url: &impl Fn(&str) -> String) -> Value {
        let status = match (&self.csr, self.validated) {
            (Some(_), _) => "valid",
            (None, true) if self.fault == Fault::NotValidated => "invalid",
            (None, true) => "ready",
            (None, false) => "pending",
        };
        let authorizations: Vec<String> = (0..self.names.len())
            .map(|number| url(&format!("/authz/{number}")))
            .collect();
        let finalize = match &self.fault {
            Fault::FinalizeUrl(text) => text.clone(),
            _ => url("/finalize"),
        };
        let mut order = json!({
            "status": status, "identifiers": self.names, "authorizations": authorizations, "finalize": finalize,
            "expires": NOW.plus(86_400).to_rfc3339(),
        });
        if self.csr.is_some() {
            order["certificate"] = json!(url("/certificate"));
        }
        order
    }

    fn authorization(&self, path: &str, url: &impl Fn(&str) -> String) -> Value {
        let number: usize = path
            .trim_start_matches("/authz/")
            .parse()
            .expect("a number");
        let status = match (self.validated, &self.fault) {
            (true, Fault::NotValidated) => "invalid",
            (true, _) => "valid",
            (false, _) => "pending",
        };
        json!({"status": status, "identifier": self.names[number], "challenges": [
            {"type": "dns-01", "status": "pending", "url": url("/other"), "token": "x"},
            self.challenge(url),
        ]})
    }

    fn challenge(&self, url: &impl Fn(&str) -> String) -> Value {
        let token = match &self.fault {
            Fault::Token(token) => token,
            _ => TOKEN,
        };
        let mut challenge = json!({"type": "http-01", "status": "pending", "url": url("/challenge"), "token": token});
        if self.validated {
            challenge["status"] = json!("valid");
        }
        if self.validated && self.fault == Fault::NotValidated {
            challenge["status"] = json!("invalid");
            challenge["error"] =
                json!({"type": "urn:ietf:params:acme:error:connection", "detail": "refused"});
        }
        challenge
    }

    fn finalize(&mut self, payload: &Value, url: &impl Fn(&str) -> String) -> Said {
        let der = unb64(payload["csr"].as_str().expect("a CSR")).expect("base64url");
        self.csr = Some(Csr::parse(&der).expect("a good CSR"));
        (200, None, self.order(url).to_string())
    }

    fn certificate(&self, authority: &Authority) -> String {
        let csr = self.csr.as_ref().expect("finalized");
        let (key, names) = (csr.spki().key(), csr.names());
        match &self.fault {
            Fault::Answer(text) => text.clone(),
            Fault::OtherKey => authority.chain(new_key().public(), names, NOW),
            Fault::OtherName(name) => {
                let names = BTreeSet::from([San::parse(name).expect("a name")]);
                authority.chain(key, &names, NOW)
            }
            Fault::IssuedAt(at) => authority.chain(key, names, *at),
            Fault::Truncated(octets) => authority
                .chain(key, names, NOW)
                .chars()
                .take(*octets)
                .collect(),
            _ => authority.chain(key, names, NOW),
        }
    }
}

/// Header and payload of a request; signatures are other tests' business.
fn jws(body: &[u8]) -> (Value, Value) {
    let outer: Value = serde_json::from_slice(body).expect("JSON");
    let part = |name: &str| unb64(outer[name].as_str().expect("text")).expect("base64url");
    let header: Value = serde_json::from_slice(&part("protected")).expect("JSON");
    assert!(header["nonce"].is_string() && header["url"].is_string());
    let payload = serde_json::from_slice(&part("payload")).unwrap_or_default();
    assert_eq!(
        b64(&part("protected")),
        outer["protected"].as_str().expect("text")
    );
    (header, payload)
}

fn problem(status: u16, kind: &str, detail: &str) -> Said {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    (
        status,
        None,
        json!({"type": kind, "detail": detail, "status": status}).to_string(),
    )
}
