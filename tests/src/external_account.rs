//! What an operator hands out with `eab create`, and what a client makes of it (RFC 8555 §7.3.4).

use chancery_crypto::{MacAlgorithm, MacKey, PrivateKey};
use chancery_jose::{b64, unb64};
use serde_json::{Value, json};

use crate::Authority;
use crate::jws::jwk;

/// A key identifier and its MAC key.
#[derive(Debug, Clone)]
pub struct ExternalAccount {
    /// The key identifier.
    pub kid: String,
    /// The key, in base64url.
    pub hmac_key: String,
}

impl ExternalAccount {
    /// The message that vouches for an account key.
    ///
    /// # Panics
    /// When the key is not base64url.
    #[must_use]
    pub fn vouch(&self, key: &PrivateKey, url: &str) -> Value {
        let secret = MacKey::new(&unb64(&self.hmac_key).expect("base64url"));
        let header = json!({ "alg": "HS256", "kid": self.kid, "url": url });
        let protected = b64(header.to_string().as_bytes());
        let payload = b64(jwk(key).as_bytes());
        let input = format!("{protected}.{payload}");
        let tag = secret.tag(MacAlgorithm::HmacSha256, input.as_bytes());
        json!({ "protected": protected, "payload": payload, "signature": b64(&tag) })
    }
}

impl Authority {
    /// Makes a binding for the gateway `server` with more words behind `eab create`.
    ///
    /// # Panics
    /// When the operator is refused.
    #[must_use]
    pub fn eab(&self, words: &[&str]) -> ExternalAccount {
        let create = ["eab", "create", "--gateway", "server"];
        let told = self.told(&[&create[..], words].concat());
        let [made] = told.as_slice() else {
            panic!("one object: {told:?}")
        };
        let member = |name: &str| made[name].as_str().expect("a text").to_owned();
        ExternalAccount {
            kid: member("kid"),
            hmac_key: member("hmac_key"),
        }
    }
}
