use chancery_jose::Jwk;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The payload of the inner message of a key change (RFC 8555 §7.3.5): signed by the new key, it names the account and the
/// key that goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyChange {
    /// The account's URL.
    pub account: String,
    /// The account's key until now, as a JWK.
    pub old_key: Value,
}

impl KeyChange {
    /// Whether `key` is the one that goes: the same key, however its JWK is written.
    #[must_use]
    pub fn replaces(&self, key: &Jwk) -> bool {
        Jwk::parse(&self.old_key).is_ok_and(|old| old.key() == key.key())
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{Curve, KeyKind, PrivateKey};

    use super::*;
    use crate::from_slice_bounded;

    fn jwk() -> Jwk {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        Jwk::from_key(key.public())
    }

    #[test]
    fn a_key_change_names_one_key() {
        let (old, other) = (jwk(), jwk());
        let json = format!(
            r#"{{"account":"https://a.test/account/1","oldKey":{}}}"#,
            old.to_json()
        );
        let change: KeyChange = from_slice_bounded(json.as_bytes()).expect("reads");
        assert!(change.replaces(&old));
        assert!(!change.replaces(&other));
        let odd = KeyChange {
            old_key: serde_json::json!({"kty": "EC"}),
            ..change
        };
        assert!(!odd.replaces(&old));
    }
}
