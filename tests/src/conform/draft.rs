//! A request that is honest until it is told otherwise: its header, payload, signature and form can each be changed.

use chancery_crypto::PrivateKey;
use chancery_jose::{JwsAlgorithm, MEDIA_TYPE, b64};
use serde_json::{Map, Value};

use super::Target;
use super::judge::kind;
use super::verdict::Short;
use crate::Reply;
use crate::jws::{Parts, jwk};

/// A server may refuse a good nonce now and then; who asks again with the next one gets through.
const NONCE_TRIES: usize = 5;

/// Which nonce a request carries.
pub(super) enum Nonce {
    /// A good one; another where that is refused.
    Good,
    /// This one, whatever it is.
    Is(String),
    /// None.
    Missing,
}

/// The last step from the three parts to a body.
type Shape<'a> = Box<dyn Fn(&Parts) -> Vec<u8> + 'a>;

/// A request before it is signed.
pub(super) struct Draft<'a> {
    target: &'a Target,
    key: &'a PrivateKey,
    url: String,
    header: Map<String, Value>,
    payload: Vec<u8>,
    nonce: Nonce,
    media_type: &'a str,
    shape: Shape<'a>,
}

impl<'a> Draft<'a> {
    /// Signed with a key that the request itself brings; no payload is a POST-as-GET.
    pub(super) fn by_key(
        target: &'a Target,
        key: &'a PrivateKey,
        url: &str,
        payload: Option<&Value>,
    ) -> Self {
        let jwk = serde_json::from_str(&jwk(key)).unwrap_or_default();
        Self::new(target, key, url, payload).with("jwk", jwk)
    }

    /// Signed for an account.
    pub(super) fn by_account(
        target: &'a Target,
        key: &'a PrivateKey,
        kid: &str,
        url: &str,
        payload: Option<&Value>,
    ) -> Self {
        Self::new(target, key, url, payload).with("kid", Value::from(kid))
    }

    fn new(target: &'a Target, key: &'a PrivateKey, url: &str, payload: Option<&Value>) -> Self {
        let algorithm = JwsAlgorithm::of(key.public()).name();
        let payload = payload.map(Value::to_string).unwrap_or_default();
        let draft = Self {
            target,
            key,
            url: url.to_owned(),
            header: Map::new(),
            payload: payload.into_bytes(),
            nonce: Nonce::Good,
            media_type: MEDIA_TYPE,
            shape: Box::new(|parts| parts.flattened().into_bytes()),
        };
        draft
            .with("alg", Value::from(algorithm))
            .with("url", Value::from(url))
    }

    /// Sets a member of the protected header.
    pub(super) fn with(mut self, member: &str, value: Value) -> Self {
        self.header.insert(member.to_owned(), value);
        self
    }

    /// Leaves a member of the protected header out.
    pub(super) fn without(mut self, member: &str) -> Self {
        self.header.remove(member);
        self
    }

    /// Another payload, JSON or not.
    pub(super) fn saying(mut self, payload: &[u8]) -> Self {
        self.payload = payload.to_vec();
        self
    }

    pub(super) fn nonce(mut self, nonce: Nonce) -> Self {
        self.nonce = nonce;
        self
    }

    /// Signs with another key than the header says.
    pub(super) fn forged_by(mut self, key: &'a PrivateKey) -> Self {
        self.key = key;
        self
    }

    pub(super) fn typed(mut self, media_type: &'a str) -> Self {
        self.media_type = media_type;
        self
    }

    /// Makes another body of the signed parts.
    pub(super) fn shaped(mut self, shape: impl Fn(&Parts) -> Vec<u8> + 'a) -> Self {
        self.shape = Box::new(shape);
        self
    }

    /// Makes another body of the signed parts, which is text.
    pub(super) fn written(self, shape: impl Fn(&Parts) -> String + 'a) -> Self {
        self.shaped(move |parts| shape(parts).into_bytes())
    }

    /// Signs the parts with their encodings changed.
    pub(super) fn encoded(self, change: impl Fn(&mut String, &mut String) + 'a) -> Self {
        let key = self.key;
        self.shaped(move |parts| {
            let mut parts = parts.clone();
            change(&mut parts.protected, &mut parts.payload);
            let signed = Parts::of_encoded(key, parts.protected, parts.payload);
            signed.flattened().into_bytes()
        })
    }

    /// Signs and sends it.
    pub(super) fn send(&self) -> Result<Reply, Short> {
        let mut tries = 1;
        loop {
            let reply = self.target.post(&self.url, self.media_type, self.body()?)?;
            let again = matches!(self.nonce, Nonce::Good) && kind(&reply) == "badNonce";
            if !again || tries == NONCE_TRIES {
                return Ok(reply);
            }
            tries += 1;
        }
    }

    fn body(&self) -> Result<Vec<u8>, Short> {
        let mut header = self.header.clone();
        let nonce = match &self.nonce {
            Nonce::Good => Some(self.target.nonce()?),
            Nonce::Is(nonce) => Some(nonce.clone()),
            Nonce::Missing => None,
        };
        if let Some(nonce) = nonce {
            header.insert("nonce".to_owned(), Value::from(nonce));
        }
        let header = Value::from(header).to_string();
        let parts = Parts::of_encoded(self.key, b64(header.as_bytes()), b64(&self.payload));
        Ok((self.shape)(&parts))
    }
}
