//! Requests to one CA: the directory, nonces, signed bodies, and what may be followed.
//!
//! Every URL but the directory's is one that the CA gave (RFC 8555 §7.1: none is guessed) or stands right below one
//! (RFC 9773 §4.1), and it is followed only if it is `https` and its origin is the directory's or one that the directory
//! names.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chancery_acme::{Directory, ErrorType};
use chancery_crypto::PrivateKey;
use chancery_dial::{
    Answer, Connector, HeaderMap, HeaderValue, HttpClient, HttpRequest, Limits, Method, Names,
    Policy, Tls, Url, header,
};
use chancery_jose::{MEDIA_TYPE, SignWith, sign};

use crate::AgentError;
use crate::clock::Clock;
use crate::reply::{self, Reply};

/// Who asks: the tool and the HTTP library (RFC 8555 §6.1).
const USER_AGENT: &str = concat!("chancery-agent/", env!("CARGO_PKG_VERSION"), " hyper/1");
/// One request with its answer; a CA that validates within the request takes longer than most.
const REQUEST_TIME: Duration = Duration::from_secs(60);
/// Answers of a CA: a chain of eight large certificates, or an order of a hundred names, is a tenth of it.
const BODY_OCTETS_MAX: usize = 256 * 1024;
/// Nonces kept for later requests.
const NONCES_MAX: usize = 8;
/// Fresh nonces refused in a row before the agent gives up.
const BAD_NONCES_MAX: usize = 5;
/// How often a busy CA is waited for within one request, and how long each time at most.
const BUSY_WAITS_MAX: usize = 3;
const BUSY_WAIT_MAX: Duration = Duration::from_secs(30);
/// Characters of a URL that is followed.
const URL_CHARS_MAX: usize = 2048;

/// A connection to one CA whose directory was read.
pub(crate) struct Client {
    http: HttpClient,
    directory: Directory,
    /// The origins that may be asked: the directory's own and those it names.
    origins: Vec<String>,
    /// The lock is held for a push or a pop only.
    nonces: Mutex<Vec<String>>,
    clock: Arc<dyn Clock>,
}

/// Whose request it is: the account's with its URL, or that of a key alone.
#[derive(Clone, Copy)]
pub(crate) struct Signer<'a> {
    pub(crate) key: &'a PrivateKey,
    pub(crate) account: Option<&'a str>,
}

impl Client {
    /// Reads the directory of the CA.
    pub(crate) async fn connect(
        directory: &str,
        roots: &[u8],
        root_file: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AgentError> {
        let tls = Tls::with_roots(&[roots]).map_err(|error| AgentError::BadRoot {
            path: root_file.to_owned(),
            reason: error.to_string(),
        })?;
        let connector = Connector::new(Names::System, Policy::anywhere());
        let limits = Limits {
            body_octets_max: BODY_OCTETS_MAX,
            ..HttpClient::LIMITS
        };
        let mut client = Self {
            http: HttpClient::new(connector, tls, limits, REQUEST_TIME),
            directory: Directory::default(),
            origins: Vec::new(),
            nonces: Mutex::default(),
            clock,
        };
        client.read_directory(directory).await?;
        Ok(client)
    }

    pub(crate) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// POST-as-GET (RFC 8555 §6.3).
    pub(crate) async fn read(
        &self,
        what: &'static str,
        url: &str,
        signer: Signer<'_>,
    ) -> Result<Reply, AgentError> {
        self.send(what, url, signer, None).await
    }

    /// POST of a message.
    pub(crate) async fn post<T: serde::Serialize + Sync>(
        &self,
        what: &'static str,
        url: &str,
        signer: Signer<'_>,
        message: &T,
    ) -> Result<Reply, AgentError> {
        let payload = serde_json::to_vec(message).map_err(|error| AgentError::System {
            reason: format!("{what} could not be written: {error}"),
        })?;
        self.send(what, url, signer, Some(&payload)).await
    }

    /// The answer about the renewal of a certificate, named as in RFC 9773 §4.1; `None` if the CA gives none to anybody.
    /// Anybody may ask, so nothing is signed.
    pub(crate) async fn renewal_info(
        &self,
        certificate: &str,
    ) -> Result<Option<Reply>, AgentError> {
        const WHAT: &str = "renewalInfo";
        let Some(base) = &self.directory.renewal_info else {
            return Ok(None);
        };
        let url = self.checked(WHAT, &format!("{base}/{certificate}"))?;
        let request = HttpRequest::new(Method::GET, &url);
        let answer = self.exchange(WHAT, request).await?;
        Reply::of(WHAT, answer, self.clock.now()).map(Some)
    }

    async fn read_directory(&mut self, url: &str) -> Result<(), AgentError> {
        const WHAT: &str = "the directory";
        let parsed = https(WHAT, url)?;
        let answer = self
            .exchange(WHAT, HttpRequest::new(Method::GET, &parsed))
            .await?;
        let directory: Directory = Reply::of(WHAT, answer, self.clock.now())?.json(WHAT)?;
        self.origins = vec![origin(&parsed)];
        for (what, url) in resources(&directory) {
            self.origins.push(origin(&https(what, url)?));
        }
        self.directory = directory;
        Ok(())
    }

    /// One signed request, repeated where the CA asks for it and for no other reason: with the nonce of the very
    /// answer that refused one (RFC 8555 §6.5), and after Retry-After where it is busy (§6.6).
    async fn send(
        &self,
        what: &'static str,
        url: &str,
        signer: Signer<'_>,
        payload: Option<&[u8]>,
    ) -> Result<Reply, AgentError> {
        let target = self.checked(what, url)?;
        let mut fresh = None;
        let (mut refused, mut waits) = (0, 0);
        loop {
            let nonce = match fresh.take().or_else(|| self.kept_nonce()) {
                Some(nonce) => nonce,
                None => self.new_nonce().await?,
            };
            let answer = self
                .post_once(what, url, &target, signer, &nonce, payload)
                .await?;
            let (status, nonce) = (answer.status, reply::nonce(&answer.headers));
            match Reply::of(what, answer, self.clock.now()) {
                Err(AgentError::Refused { problem, .. }) if problem.is(ErrorType::BadNonce) => {
                    refused += 1;
                    if refused == BAD_NONCES_MAX {
                        return Err(AgentError::NoncesRefused { count: refused });
                    }
                    tracing::debug!("the CA refused a nonce; trying again with its new one");
                    fresh = nonce;
                }
                Err(error) if reply::is_busy(status) && waits < BUSY_WAITS_MAX => {
                    self.keep(nonce);
                    let wait = error.retry_after().filter(|wait| *wait <= BUSY_WAIT_MAX);
                    let Some(wait) = wait else { return Err(error) };
                    waits += 1;
                    tracing::info!("the CA is busy; asking again in {} s", wait.as_secs());
                    tokio::time::sleep(wait).await;
                }
                sorted => {
                    self.keep(nonce);
                    return sorted;
                }
            }
        }
    }

    async fn post_once(
        &self,
        what: &'static str,
        url: &str,
        target: &Url,
        signer: Signer<'_>,
        nonce: &str,
        payload: Option<&[u8]>,
    ) -> Result<Answer, AgentError> {
        let with = signer.account.map_or(SignWith::Jwk, SignWith::Kid);
        // The signed URL is the very text that the CA handed out (RFC 8555 §6.4).
        let body = sign(signer.key, url, Some(nonce), with, payload)?;
        let mut request = HttpRequest::new(Method::POST, target);
        request
            .headers
            .insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        request.body = Bytes::from(body);
        self.exchange(what, request).await
    }

    async fn new_nonce(&self) -> Result<String, AgentError> {
        const WHAT: &str = "newNonce";
        let url = self.checked(WHAT, &self.directory.new_nonce)?;
        let answer = self
            .exchange(WHAT, HttpRequest::new(Method::HEAD, &url))
            .await?;
        let nonce = reply::nonce(&answer.headers);
        Reply::of(WHAT, answer, self.clock.now())?;
        nonce.ok_or_else(|| AgentError::BadAnswer {
            what: WHAT,
            reason: "it has no Replay-Nonce in base64url".to_owned(),
        })
    }

    async fn exchange(
        &self,
        what: &'static str,
        mut request: HttpRequest,
    ) -> Result<Answer, AgentError> {
        add_fields(&mut request.headers);
        tracing::debug!("{} {}", request.method, request.url);
        let answer = self.http.send(&request).await;
        answer.map_err(|source| AgentError::Unreachable { what, source })
    }

    /// A URL that the CA gave, if it may be followed.
    fn checked(&self, what: &'static str, url: &str) -> Result<Url, AgentError> {
        let parsed = https(what, url)?;
        if self.origins.contains(&origin(&parsed)) {
            return Ok(parsed);
        }
        Err(AgentError::UnsafeUrl {
            what,
            reason: format!(
                "{} is no host that the CA's directory names",
                origin(&parsed)
            ),
        })
    }

    fn kept_nonce(&self) -> Option<String> {
        self.nonces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop()
    }

    fn keep(&self, nonce: Option<String>) {
        let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        nonces.extend(nonce);
        // Old ones are the first to be forgotten by the CA.
        let surplus = nonces.len().saturating_sub(NONCES_MAX);
        nonces.drain(..surplus);
    }
}

fn add_fields(headers: &mut HeaderMap) {
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    // `detail` texts are for whoever reads the agent's messages, which are in English.
    headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static("en"));
}

/// The URLs of a directory that a request may go to. Pages for people are not among them.
fn resources(directory: &Directory) -> impl Iterator<Item = (&'static str, &str)> {
    let required = [
        ("newNonce", directory.new_nonce.as_str()),
        ("newAccount", &directory.new_account),
        ("newOrder", &directory.new_order),
        ("revokeCert", &directory.revoke_cert),
    ];
    let optional = [
        ("newAuthz", &directory.new_authz),
        ("keyChange", &directory.key_change),
        ("renewalInfo", &directory.renewal_info),
    ];
    let optional = optional
        .into_iter()
        .filter_map(|(what, url)| Some((what, url.as_deref()?)));
    required.into_iter().chain(optional)
}

/// A URL that a CA gave, if it is one to ask.
fn https(what: &'static str, text: &str) -> Result<Url, AgentError> {
    read_https(text).map_err(|reason| AgentError::UnsafeUrl { what, reason })
}

/// Reads a URL that is `https` and nothing more: no credentials, printable ASCII, bounded.
pub(crate) fn read_https(text: &str) -> Result<Url, String> {
    let refused = str::to_owned;
    if text.len() > URL_CHARS_MAX {
        return Err(refused("it has more than 2048 characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(
            "it holds something else than printable ASCII characters",
        ));
    }
    let url = Url::parse(text).map_err(|error| refused(&error.to_string()))?;
    if url.scheme() != "https" {
        return Err(refused(
            "it is not https; nothing is asked of a CA in the clear",
        ));
    }
    if url.host().is_none() || !url.username().is_empty() || url.password().is_some() {
        return Err(refused("it has no host, or it carries credentials"));
    }
    Ok(url)
}

fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn h11_only_https_is_followed() {
        for good in ["https://ca.test/dir", "https://127.0.0.1:14000/dir?x=1"] {
            assert_eq!(https("x", good).expect("good").as_str(), good);
        }
        for (bad, told) in [
            ("http://ca.test/dir", "not https"),
            ("file:///etc/passwd", "not https"),
            ("ca.test/dir", "relative URL"),
            ("https://user:pw@ca.test/", "credentials"),
            ("https://ca.test/\u{1b}[2J", "printable"),
            ("https://ca.test/a b", "printable"),
            ("https://ca.test/$(reboot)\n", "printable"),
            (&format!("https://ca.test/{}", "a".repeat(3000)), "2048"),
        ] {
            let error = https("x", bad).expect_err("refused").to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn the_user_agent_names_the_tool_and_the_library() {
        let mut headers = HeaderMap::new();
        add_fields(&mut headers);
        let agent = headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok());
        assert!(agent.is_some_and(|agent| agent.starts_with("chancery-agent/")));
    }
}
