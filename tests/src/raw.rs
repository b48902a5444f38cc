//! An ACME client without manners: it sends what it is told.

use std::sync::{Mutex, PoisonError};

use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_jose::{Jwk, MEDIA_TYPE, SignWith, sign};
use http_body_util::Full;
use serde_json::{Value, json};

use crate::{ExternalAccount, Http, Reply, Site};

/// A connection to one authority, with the nonces that its answers brought.
#[derive(Debug)]
pub struct Client {
    /// The client below, for requests that are not ACME's.
    pub http: Http,
    directory: Value,
    nonces: Mutex<Vec<String>>,
    pub(crate) site: Site,
}

/// An account at it, with its key.
pub struct Account<'c> {
    /// The connection it uses.
    pub client: &'c Client,
    /// Its key.
    pub key: PrivateKey,
    /// Its URL.
    pub url: String,
}

/// A fresh key on P-256.
///
/// # Panics
/// When the library makes none.
#[must_use]
pub fn new_key() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("a key on P-256")
}

impl Client {
    /// Reads the directory.
    ///
    /// # Panics
    /// When that does not work.
    #[must_use]
    pub fn connect(http: Http, directory: &str, site: Site) -> Self {
        let read = http.get(directory);
        assert_eq!(
            read.status,
            200,
            "the directory can be read: {}",
            read.text()
        );
        Self {
            directory: read.json(),
            http,
            nonces: Mutex::default(),
            site,
        }
    }

    /// What its subscriber controls.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The URL of a resource, as in `newOrder`.
    ///
    /// # Panics
    /// When the directory does not have it.
    #[must_use]
    pub fn url(&self, resource: &str) -> String {
        let url = self.directory[resource].as_str();
        url.unwrap_or_else(|| panic!("the directory has {resource}"))
            .to_owned()
    }

    /// A nonce: one that an answer brought, or a fresh one.
    ///
    /// # Panics
    /// When the server gives none.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.try_nonce()
            .unwrap_or_else(|error| panic!("newNonce: {error}"))
    }

    /// The same in which the server may vanish.
    ///
    /// # Errors
    /// What happened, where no answer came.
    pub fn try_nonce(&self) -> Result<String, String> {
        let kept = self
            .nonces
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        kept.map_or_else(|| self.try_fresh_nonce(), Ok)
    }

    /// A nonce straight from newNonce.
    ///
    /// # Panics
    /// When the server gives none.
    #[must_use]
    pub fn fresh_nonce(&self) -> String {
        self.try_fresh_nonce()
            .unwrap_or_else(|error| panic!("newNonce: {error}"))
    }

    fn try_fresh_nonce(&self) -> Result<String, String> {
        let request = http::Request::head(self.url("newNonce")).body(Full::default());
        let reply = self
            .http
            .send(request.map_err(|error| error.to_string())?)?;
        assert_eq!(reply.status, 200, "newNonce answers");
        Ok(reply.header("replay-nonce").to_owned())
    }

    /// Sends a body as a signed request.
    ///
    /// # Errors
    /// What happened, where no answer came.
    pub fn try_post(&self, url: &str, body: impl Into<bytes::Bytes>) -> Result<Reply, String> {
        let reply = self.http.post(url, MEDIA_TYPE, body)?;
        let nonce = reply.header("replay-nonce");
        if !nonce.is_empty() {
            let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            nonces.push(nonce.to_owned());
        }
        Ok(reply)
    }

    /// The same where an answer must come.
    ///
    /// # Panics
    /// When none does.
    pub fn post(&self, url: &str, body: impl Into<bytes::Bytes>) -> Reply {
        self.try_post(url, body)
            .unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    /// A well-formed request; no payload is a POST-as-GET.
    ///
    /// # Panics
    /// When the key cannot sign, or there is no nonce.
    #[must_use]
    pub fn sign(
        &self,
        key: &PrivateKey,
        signer: SignWith<'_>,
        url: &str,
        payload: Option<&Value>,
    ) -> Vec<u8> {
        signed(key, signer, &self.nonce(), url, payload)
    }

    /// Makes an account with a fresh key.
    #[must_use]
    pub fn register(&self) -> Account<'_> {
        self.register_with(new_key())
    }

    /// Asks for an account for a key, with an external account binding if one is given.
    #[must_use]
    pub fn ask_account(&self, key: &PrivateKey, binding: Option<Value>) -> Reply {
        let url = self.url("newAccount");
        let mut asked = json!({ "termsOfServiceAgreed": true });
        if let Some(binding) = binding {
            asked["externalAccountBinding"] = binding;
        }
        self.post(&url, self.sign(key, SignWith::Jwk, &url, Some(&asked)))
    }

    /// Makes an account that is bound to one elsewhere.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn register_bound(&self, to: &ExternalAccount) -> Account<'_> {
        let key = new_key();
        let reply = self.ask_account(&key, Some(to.vouch(&key, &self.url("newAccount"))));
        assert_eq!(reply.status, 201, "an account is made: {}", reply.text());
        Account {
            client: self,
            url: reply.header("location").to_owned(),
            key,
        }
    }

    /// Makes an account, or finds that of the key.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn register_with(&self, key: PrivateKey) -> Account<'_> {
        let reply = self.ask_account(&key, None);
        assert!(
            matches!(reply.status, 200 | 201),
            "an account is made: {}",
            reply.text()
        );
        Account {
            client: self,
            key,
            url: reply.header("location").to_owned(),
        }
    }
}

impl Account<'_> {
    /// A request signed for this account.
    #[must_use]
    pub fn sign(&self, url: &str, payload: Option<&Value>) -> Vec<u8> {
        self.client
            .sign(&self.key, SignWith::Kid(&self.url), url, payload)
    }

    /// Sends a request in whose course the server may vanish.
    ///
    /// # Errors
    /// What happened, where no answer came.
    pub(crate) fn try_request(&self, url: &str, payload: Option<&Value>) -> Result<Reply, String> {
        let nonce = self.client.try_nonce()?;
        let body = signed(&self.key, SignWith::Kid(&self.url), &nonce, url, payload);
        self.client.try_post(url, body)
    }

    /// POST-as-GET.
    #[must_use]
    pub fn read(&self, url: &str) -> Reply {
        self.client.post(url, self.sign(url, None))
    }

    /// POST.
    pub fn send(&self, url: &str, payload: &Value) -> Reply {
        self.client.post(url, self.sign(url, Some(payload)))
    }

    /// The key authorization of a token (RFC 8555 §8.1).
    #[must_use]
    pub fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", Jwk::from_key(self.key.public()).thumbprint())
    }

    /// Ends the account.
    ///
    /// # Panics
    /// When the server refuses.
    pub fn deactivate(&self) {
        let reply = self.send(&self.url, &json!({ "status": "deactivated" }));
        assert_eq!(reply.json()["status"], "deactivated", "{}", reply.text());
    }
}

fn signed(
    key: &PrivateKey,
    signer: SignWith<'_>,
    nonce: &str,
    url: &str,
    payload: Option<&Value>,
) -> Vec<u8> {
    let text = payload.map(Value::to_string);
    let text = text.as_deref().map(str::as_bytes);
    sign(key, url, Some(nonce), signer, text).expect("a key signs")
}
