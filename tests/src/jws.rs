//! Signed requests by hand: every part can be another than it should be.

use chancery_crypto::{PrivateKey, SignatureForm};
use chancery_jose::{Jwk, JwsAlgorithm, b64};
use serde_json::{Value, json};

/// The three parts of a flattened JWS (RFC 7515 §7.2.2) as they stand in it: base64url, or whatever else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The protected header.
    pub protected: String,
    /// The payload.
    pub payload: String,
    /// The signature.
    pub signature: String,
}

impl Parts {
    /// Signs this header text and payload with the key, whatever the header says.
    ///
    /// # Panics
    /// When the key cannot sign.
    #[must_use]
    pub fn signed(key: &PrivateKey, protected: &str, payload: &[u8]) -> Self {
        Self::of_encoded(key, b64(protected.as_bytes()), b64(payload))
    }

    /// Signs parts that are encoded already, rightly or not.
    ///
    /// # Panics
    /// When the key cannot sign.
    #[must_use]
    pub fn of_encoded(key: &PrivateKey, protected: String, payload: String) -> Self {
        let input = format!("{protected}.{payload}");
        let signature = key
            .sign(SignatureForm::Fixed, input.as_bytes())
            .expect("a key signs");
        Self {
            protected,
            payload,
            signature: b64(&signature),
        }
    }

    /// As ACME wants it.
    #[must_use]
    pub fn flattened(&self) -> String {
        let Self {
            protected,
            payload,
            signature,
        } = self;
        format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#)
    }
}

/// The header that an honest client sends with its account.
#[must_use]
pub fn header(key: &PrivateKey, kid: &str, nonce: &str, url: &str) -> Value {
    let alg = JwsAlgorithm::of(key.public()).name();
    json!({ "alg": alg, "kid": kid, "nonce": nonce, "url": url })
}

/// The header that an honest client sends with its key.
///
/// # Panics
/// Never: what is written is JSON.
#[must_use]
pub fn key_header(key: &PrivateKey, nonce: &str, url: &str) -> Value {
    let jwk: Value = serde_json::from_str(&jwk(key)).expect("a JWK is JSON");
    let alg = JwsAlgorithm::of(key.public()).name();
    json!({ "alg": alg, "jwk": jwk, "nonce": nonce, "url": url })
}

/// The public half of a key as a JWK.
#[must_use]
pub fn jwk(key: &PrivateKey) -> String {
    Jwk::from_key(key.public()).to_json()
}
