//! The server that is examined, and the world it is examined in.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use chancery_crypto::PrivateKey;
use chancery_simulate::Zone;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::Value;

use super::Web;
use super::draft::Draft;
use super::judge::short;
use super::verdict::Short;
use crate::{Http, Reply, Version};

/// A server that says nothing for so long has locked up: none of ours takes a second.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Answers with an error that are kept to be judged at the end.
const REFUSALS_MAX: usize = 10_000;

/// Where a server is, and what of the world belongs to who examines it.
pub struct Surroundings {
    /// The URL of the directory.
    pub directory: String,
    /// The certificates that its own may lead to, in PEM.
    pub root_pem: String,
    /// Where the server asks for http-01 answers.
    pub web: Web,
    /// The zone from which the server resolves names, where that is ours.
    pub zone: Option<Zone>,
    /// The domain below which names are made; the web host answers for all of them.
    pub domain: String,
    /// An external account to bind new accounts to.
    pub credential: Option<Credential>,
    /// A name that the server's policy refuses.
    pub refused_name: Option<String>,
    /// Somebody at the server's other side.
    pub operator: Option<Box<dyn Operator>>,
}

/// An external account (RFC 8555 §7.3.4).
#[derive(Clone)]
pub struct Credential {
    /// The identifier of its key.
    pub kid: String,
    /// The key, as the server gave it: base64url.
    pub key: String,
}

/// What cannot be brought about by a client alone. Each tells whether it was done.
pub trait Operator: Send + Sync {
    /// Has the terms of service change in a way that every account has to agree to.
    fn change_terms(&self) -> bool {
        false
    }

    /// A fresh external account that serves for one account only.
    fn single_use_credential(&self) -> Option<Credential> {
        None
    }

    /// How many orders of one account for the same name are accepted at once, where that is limited.
    fn orders_for_one_name_max(&self) -> Option<usize> {
        None
    }

    /// The status of the order for a name, when no client may read it any more.
    fn order_status(&self, _name: &str) -> Option<String> {
        None
    }
}

/// A server under examination.
pub struct Target {
    http: Http,
    directory_url: String,
    directory: Value,
    pub(super) web: Web,
    pub(super) zone: Option<Zone>,
    domain: String,
    label: String,
    names: AtomicU32,
    pub(super) credential: Option<Credential>,
    pub(super) refused_name: Option<String>,
    pub(super) operator: Option<Box<dyn Operator>>,
    nonces: Mutex<Vec<String>>,
    refusals: Mutex<Vec<Refusal>>,
    silent: AtomicBool,
}

/// An answer with an error, and to what.
#[derive(Clone)]
pub(super) struct Refusal {
    pub(super) asked: String,
    pub(super) reply: Reply,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.directory_url).finish()
    }
}

impl Target {
    /// Reads the directory.
    ///
    /// # Errors
    /// When there is none, or the root is no certificate.
    pub fn open(surroundings: Surroundings) -> Result<Self, String> {
        let http = Http::try_speaking(Version::One, &surroundings.root_pem)?.within(ANSWER_WITHIN);
        let request = Request::get(&surroundings.directory).body(Full::default());
        let request = request.map_err(|error| format!("{:?}: {error}", surroundings.directory))?;
        let reply = http
            .send(request)
            .map_err(|error| format!("{}: {error}", surroundings.directory))?;
        if reply.status != 200 || !reply.json().is_object() {
            let told = short(&reply);
            return Err(format!("{}: {told}, no directory", surroundings.directory));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            http,
            directory: reply.json(),
            directory_url: surroundings.directory,
            web: surroundings.web,
            zone: surroundings.zone,
            domain: surroundings.domain,
            label: format!("c{:x}", now.unwrap_or_default().as_millis()),
            names: AtomicU32::new(0),
            credential: surroundings.credential,
            refused_name: surroundings.refused_name,
            operator: surroundings.operator,
            nonces: Mutex::default(),
            refusals: Mutex::default(),
            silent: AtomicBool::new(false),
        })
    }

    /// Whether it stopped answering: whatever failed since then tells nothing.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    pub(super) fn directory_url(&self) -> &str {
        &self.directory_url
    }

    /// A field of the directory.
    pub(super) fn directory(&self, field: &str) -> &Value {
        self.directory.get(field).unwrap_or(&Value::Null)
    }

    /// The URL of a resource that every server has.
    pub(super) fn url(&self, resource: &str) -> Result<String, Short> {
        let url = self.directory(resource).as_str().map(str::to_owned);
        url.ok_or_else(|| Short::Fails(format!("the directory has no {resource}")))
    }

    /// A name that nobody has asked for yet.
    pub(super) fn name(&self) -> String {
        let n = self.names.fetch_add(1, Ordering::Relaxed);
        format!("{}-{n}.{}", self.label, self.domain)
    }

    /// A mail address that somebody could have.
    pub(super) fn mailbox(&self) -> String {
        format!("mailto:operator@{}", self.domain)
    }

    /// The zone, where names can be proven by DNS.
    pub(super) fn zone(&self) -> Result<&Zone, Short> {
        let none = || Short::NotOffered("the names' DNS is not in our hands here".to_owned());
        self.zone.as_ref().ok_or_else(none)
    }

    /// Sends anything.
    pub(super) fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, Short> {
        let asked = format!("{} {}", request.method(), request.uri().path());
        if self.is_silent() {
            return Err(format!("{asked}: not asked, it has stopped answering").into());
        }
        let reply = self.http.send(request).map_err(|error| {
            if error.starts_with("no answer within") {
                self.silent.store(true, Ordering::Relaxed);
            }
            format!("{asked}: {error}")
        })?;
        if reply.status >= 400 && !asked.starts_with("HEAD") {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if refusals.len() < REFUSALS_MAX {
                let reply = reply.clone();
                refusals.push(Refusal { asked, reply });
            }
        }
        Ok(reply)
    }

    /// A request without a body.
    pub(super) fn ask(&self, method: Method, url: &str) -> Result<Reply, Short> {
        self.ask_with(method, url, &[])
    }

    /// The same with more header fields.
    pub(super) fn ask_with(
        &self,
        method: Method,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<Reply, Short> {
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::default());
        self.send(request.map_err(|error| format!("{url:?}: {error}"))?)
    }

    /// Sends a body; the nonce that the answer brings is kept for the next request.
    pub(super) fn post(&self, url: &str, media_type: &str, body: Vec<u8>) -> Result<Reply, Short> {
        let request = Request::post(url)
            .header("content-type", media_type)
            .body(Full::new(Bytes::from(body)));
        let reply = self.send(request.map_err(|error| format!("{url:?}: {error}"))?)?;
        let nonce = reply.header("replay-nonce");
        if !nonce.is_empty() {
            let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            nonces.push(nonce.to_owned());
        }
        Ok(reply)
    }

    /// A nonce: one that an answer brought, or a fresh one.
    pub(super) fn nonce(&self) -> Result<String, Short> {
        let kept = self
            .nonces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        kept.map_or_else(|| self.fresh_nonce(), Ok)
    }

    /// A nonce straight from newNonce.
    pub(super) fn fresh_nonce(&self) -> Result<String, Short> {
        let reply = self.ask(Method::HEAD, &self.url("newNonce")?)?;
        let nonce = reply.header("replay-nonce");
        if nonce.is_empty() {
            return Err(format!("newNonce gives no nonce: {}", short(&reply)).into());
        }
        Ok(nonce.to_owned())
    }

    /// A request that names its key.
    pub(super) fn draft<'a>(
        &'a self,
        key: &'a PrivateKey,
        url: &str,
        payload: Option<&Value>,
    ) -> Draft<'a> {
        Draft::by_key(self, key, url, payload)
    }

    /// Every answer with an error so far.
    pub(super) fn refusals(&self) -> Vec<Refusal> {
        let refusals = self.refusals.lock();
        refusals.unwrap_or_else(PoisonError::into_inner).clone()
    }
}
