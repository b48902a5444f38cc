use chancery_crypto::{PrivateKey, SignatureForm};

use crate::{Jwk, JwsAlgorithm, JwsError, b64};

/// How a message that is being signed names its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignWith<'a> {
    /// By the key itself: new accounts, the inner message of a key change, revocation by a certificate's key.
    Jwk,
    /// By the account's URL.
    Kid(&'a str),
}

/// Makes the body of an ACME request (RFC 8555 §6.2). `payload` is JSON text, or `None` for a POST-as-GET (§6.3).
///
/// # Errors
/// [`JwsError::Signing`].
pub fn sign(
    key: &PrivateKey,
    url: &str,
    nonce: Option<&str>,
    signer: SignWith<'_>,
    payload: Option<&[u8]>,
) -> Result<Vec<u8>, JwsError> {
    let header = protected(key, url, nonce, signer);
    let (protected, payload) = (b64(header.as_bytes()), b64(payload.unwrap_or_default()));
    let signing_input = [protected.as_bytes(), b".", payload.as_bytes()].concat();
    let signature = key
        .sign(SignatureForm::Fixed, &signing_input)
        .map_err(JwsError::Signing)?;
    let signature = b64(&signature);
    Ok(
        format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#)
            .into_bytes(),
    )
}

fn protected(key: &PrivateKey, url: &str, nonce: Option<&str>, signer: SignWith<'_>) -> String {
    let alg = JwsAlgorithm::of(key.public()).name();
    let signer = match signer {
        SignWith::Jwk => format!(r#""jwk":{}"#, Jwk::from_key(key.public()).to_json()),
        SignWith::Kid(kid) => format!(r#""kid":{}"#, quoted(kid)),
    };
    let nonce = nonce
        .map(|nonce| format!(r#""nonce":{},"#, quoted(nonce)))
        .unwrap_or_default();
    format!(r#"{{"alg":"{alg}",{signer},{nonce}"url":{}}}"#, quoted(url))
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{Curve, KeyKind};

    use super::*;
    use crate::{Jws, JwsKey, SignerRef, unb64};

    const KINDS: [(KeyKind, JwsAlgorithm); 6] = [
        (KeyKind::Ec(Curve::P256), JwsAlgorithm::ES256),
        (KeyKind::Ec(Curve::P384), JwsAlgorithm::ES384),
        (KeyKind::Ec(Curve::P521), JwsAlgorithm::ES512),
        (KeyKind::Rsa2048, JwsAlgorithm::RS256),
        (KeyKind::Rsa3072, JwsAlgorithm::RS256),
        (KeyKind::Ed25519, JwsAlgorithm::EdDSA),
    ];

    #[test]
    fn what_is_signed_verifies_for_every_algorithm() {
        for (kind, algorithm) in KINDS {
            let private = PrivateKey::generate(kind).expect("generates");
            let key = JwsKey::new(private.public()).expect("ready");
            let body = sign(
                &private,
                "https://a.test/n",
                Some("bm9uY2U"),
                SignWith::Jwk,
                Some(b"{}"),
            );
            let jws = Jws::parse(&body.expect("signs")).expect("parses");
            assert_eq!(
                jws.header().signer,
                SignerRef::Jwk(Jwk::from_key(private.public()))
            );
            let verified = jws.verify(&key).expect("verifies");
            assert_eq!(verified.header().alg, algorithm);
            assert_eq!(verified.header().url, "https://a.test/n");
            assert_eq!(verified.header().nonce.as_deref(), Some("bm9uY2U"));
            assert_eq!(verified.payload(), b"{}");
            assert!(!verified.is_post_as_get());
        }
    }

    #[test]
    fn a_post_as_get_names_the_account_and_has_an_empty_payload() {
        let private = PrivateKey::generate(KeyKind::Ed25519).expect("generates");
        let body = sign(
            &private,
            "https://a.test/o",
            Some("AAAA"),
            SignWith::Kid("https://a.test/\"k"),
            None,
        );
        let body = String::from_utf8(body.expect("signs")).expect("text");
        assert!(body.contains(r#","payload":"","signature":""#), "{body}");
        let key = JwsKey::new(private.public()).expect("ready");
        let verified = Jws::parse(body.as_bytes())
            .and_then(|jws| jws.verify(&key))
            .expect("verifies");
        assert!(verified.is_post_as_get());
        assert_eq!(
            verified.header().signer,
            SignerRef::Kid("https://a.test/\"k".into())
        );
    }

    #[test]
    fn the_protected_header_is_what_rfc_8555_prints() {
        let private = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        let body = sign(
            &private,
            "https://a.test/o",
            None,
            SignWith::Kid("https://a.test/acct/1"),
            None,
        );
        let value: serde_json::Value = serde_json::from_slice(&body.expect("signs")).expect("JSON");
        let protected = value
            .get("protected")
            .and_then(serde_json::Value::as_str)
            .expect("text");
        assert_eq!(
            String::from_utf8(unb64(protected).expect("base64url")).expect("text"),
            r#"{"alg":"ES256","kid":"https://a.test/acct/1","url":"https://a.test/o"}"#
        );
    }
}
