use std::borrow::Cow;

use serde::de::MapAccess;

use crate::object::{self, Member, Members};
use crate::{Header, JwsError, JwsKey, SignerRef, unb64};

/// Octets of a request body that are read at all. A CSR with 100 names is 10 KiB in here.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// The Content-Type of every ACME request body (RFC 8555 §6.2).
pub const MEDIA_TYPE: &str = "application/jose+json";

/// A well-formed message whose signature has *not* been checked.
#[derive(Debug, Clone)]
pub struct Jws {
    header: Header,
    signing_input: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Jws {
    /// Reads a request body: flattened JSON serialisation with exactly the members `protected`, `payload` and
    /// `signature` (RFC 8555 §6.2, RFC 7515 §7.2.2).
    ///
    /// # Errors
    /// [`JwsError::TooLarge`] before anything is read; then [`JwsError::Malformed`] for the form,
    /// [`JwsError::BadSignatureAlgorithm`] for an unknown `alg`, and what [`Jwk::parse`](crate::Jwk::parse) says of a `jwk`.
    pub fn parse(body: &[u8]) -> Result<Self, JwsError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(JwsError::TooLarge {
                bytes: body.len(),
                bytes_max: BODY_BYTES_MAX,
            });
        }
        let flattened = Flattened::read(body)?;
        Ok(Self {
            header: Header::parse(&flattened.header)?,
            signing_input: flattened.signing_input,
            payload: flattened.payload,
            signature: flattened.signature,
        })
    }

    /// What the message claims about itself; needed to find the key.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Checks the signature with `key`, which must be the key that the header names.
    ///
    /// # Errors
    /// [`JwsError::BadSignatureAlgorithm`] if `alg` is not the one that goes with the key, [`JwsError::BadSignature`]
    /// if the signature is not its own, or if the header carries another key than this.
    pub fn verify(self, key: &JwsKey) -> Result<Verified, JwsError> {
        if self.header.alg != key.algorithm() {
            return Err(JwsError::BadSignatureAlgorithm);
        }
        if matches!(&self.header.signer, SignerRef::Jwk(jwk) if jwk.key() != key.public()) {
            return Err(JwsError::BadSignature);
        }
        key.verify(&self.signing_input, &self.signature)?;
        Ok(Verified {
            header: self.header,
            payload: self.payload,
        })
    }
}

/// A message whose signature was checked. Only [`Jws::verify`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    header: Header,
    payload: Vec<u8>,
}

impl Verified {
    /// The protected header, as signed.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The decoded payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// Whether it is a POST-as-GET: the payload is the empty string (RFC 8555 §6.3). `{}` is not.
    #[must_use]
    pub fn is_post_as_get(&self) -> bool {
        self.payload.is_empty()
    }
}

fn malformed(fault: &'static str) -> JwsError {
    JwsError::malformed(JwsMembers::PART, fault)
}

fn decode(text: &str, fault: &'static str) -> Result<Vec<u8>, JwsError> {
    unb64(text).map_err(|_| malformed(fault))
}

/// A message in flattened serialisation taken apart, its header still unread.
pub(crate) struct Flattened {
    pub(crate) header: Vec<u8>,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) signing_input: Vec<u8>,
}

impl Flattened {
    pub(crate) fn read(json: &[u8]) -> Result<Self, JwsError> {
        let mut members = JwsMembers::default();
        object::read_text(json, &mut members)?;
        let needed = |member: Option<_>, fault| member.ok_or_else(|| malformed(fault));
        let protected = needed(members.protected, "`protected` is missing")?;
        let payload = needed(members.payload, "`payload` is missing")?;
        let signature = needed(members.signature, "`signature` is missing")?;
        Ok(Self {
            header: decode(&protected, "`protected` is not base64url without padding")?,
            signing_input: [protected.as_bytes(), b".", payload.as_bytes()].concat(),
            payload: decode(&payload, "`payload` is not base64url without padding")?,
            signature: decode(&signature, "`signature` is not base64url without padding")?,
        })
    }
}

#[derive(Default)]
struct JwsMembers<'de> {
    protected: Option<Cow<'de, str>>,
    payload: Option<Cow<'de, str>>,
    signature: Option<Cow<'de, str>>,
}

impl<'de> Members<'de> for JwsMembers<'de> {
    const PART: &'static str = "JWS";

    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        member: Member<'_, A>,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "protected" => &mut self.protected,
            "payload" => &mut self.payload,
            "signature" => &mut self.signature,
            "header" => return member.refuse("an unprotected `header` is not accepted"),
            "signatures" => return member.refuse("only one signature is accepted"),
            _ => return member.refuse("a member is not `protected`, `payload` or `signature`"),
        };
        *slot = Some(member.text()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{CryptoError, Curve, KeyKind, PrivateKey, SignatureForm};

    use super::*;
    use crate::{Jwk, SignWith, b64, sign};

    const URL: &str = "https://a.test/acme/order";
    const NO_ALGORITHM: JwsError = JwsError::BadSignatureAlgorithm;

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates")
    }

    fn good(key: &PrivateKey) -> String {
        let body = sign(
            key,
            URL,
            Some("bm9uY2U"),
            SignWith::Kid("https://a.test/acct/1"),
            Some(b"{}"),
        );
        String::from_utf8(body.expect("signs")).expect("text")
    }

    /// A body with any protected header, honestly signed over it.
    fn signed(key: &PrivateKey, header: &str) -> Vec<u8> {
        let (protected, payload) = (b64(header.as_bytes()), b64(b"{}"));
        let input = format!("{protected}.{payload}");
        let signature = key
            .sign(SignatureForm::Fixed, input.as_bytes())
            .expect("signs");
        body(&protected, &payload, &b64(&signature))
    }

    fn body(protected: &str, payload: &str, signature: &str) -> Vec<u8> {
        format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{signature}"}}"#)
            .into_bytes()
    }

    fn check(body: &[u8], key: &PrivateKey) -> Result<Verified, JwsError> {
        Jws::parse(body)?.verify(&JwsKey::new(key.public())?)
    }

    fn refusal(body: &[u8]) -> JwsError {
        Jws::parse(body).expect_err("must be refused")
    }

    #[test]
    fn b6_alg_none_with_an_empty_signature_is_refused() {
        let header = format!(r#"{{"alg":"none","url":"{URL}","kid":"k"}}"#);
        assert_eq!(
            refusal(&body(&b64(header.as_bytes()), "", "")),
            NO_ALGORITHM
        );
    }

    #[test]
    fn b6_hs256_with_the_public_key_as_secret_is_refused() {
        let key = key();
        let jwk = Jwk::from_key(key.public()).to_json();
        let header = format!(r#"{{"alg":"HS256","url":"{URL}","jwk":{jwk}}}"#);
        // The signature does not matter: no code computes a MAC here.
        assert_eq!(
            refusal(&body(&b64(header.as_bytes()), "e30", &b64(&[0; 32]))),
            NO_ALGORITHM
        );
    }

    #[test]
    fn b6_an_algorithm_that_is_not_the_keys_own_is_refused_even_if_known() {
        let key = key();
        for alg in ["ES384", "ES512", "RS256", "EdDSA"] {
            let body = signed(
                &key,
                &format!(r#"{{"alg":"{alg}","url":"{URL}","kid":"k"}}"#),
            );
            assert_eq!(check(&body, &key).map(|_| ()), Err(NO_ALGORITHM), "{alg}");
        }
        let body = signed(
            &key,
            &format!(r#"{{"alg":"ES256","url":"{URL}","kid":"k"}}"#),
        );
        assert!(check(&body, &key).is_ok());
    }

    #[test]
    fn b6_the_key_of_another_account_does_not_verify() {
        let (mine, other) = (key(), key());
        assert_eq!(
            check(good(&mine).as_bytes(), &other).map(|_| ()),
            Err(JwsError::BadSignature)
        );
    }

    #[test]
    fn b6_a_message_that_carries_another_key_than_the_one_checked_is_refused() {
        let (mine, other) = (key(), key());
        let jwk = Jwk::from_key(other.public()).to_json();
        let body = signed(
            &mine,
            &format!(r#"{{"alg":"ES256","url":"{URL}","jwk":{jwk}}}"#),
        );
        assert_eq!(check(&body, &mine).map(|_| ()), Err(JwsError::BadSignature));
        assert_eq!(
            check(&body, &other).map(|_| ()),
            Err(JwsError::BadSignature)
        );
    }

    #[test]
    fn b6_a_der_signature_is_not_a_jws_signature() {
        let key = key();
        let protected = b64(format!(r#"{{"alg":"ES256","url":"{URL}","kid":"k"}}"#).as_bytes());
        let input = format!("{protected}.e30");
        let signature = key
            .sign(SignatureForm::Der, input.as_bytes())
            .expect("signs");
        let body = body(&protected, "e30", &b64(&signature));
        assert_eq!(check(&body, &key).map(|_| ()), Err(JwsError::BadSignature));
    }

    #[test]
    fn b6_a_point_off_its_curve_is_a_bad_public_key() {
        let jwk = format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}"#,
            b64(&[7; 32])
        );
        let header = format!(r#"{{"alg":"ES256","url":"{URL}","jwk":{jwk}}}"#);
        assert_eq!(
            refusal(&signed(&key(), &header)),
            JwsError::BadPublicKey(CryptoError::MalformedKey {
                kind: "elliptic-curve"
            })
        );
    }

    #[test]
    fn b6_exactly_one_signature_in_the_flattened_form() {
        let good = good(&key());
        let with =
            |member: &str| refusal(good.replacen('{', &format!("{{{member},"), 1).as_bytes());
        assert_eq!(
            with(r#""signatures":[]"#),
            malformed("only one signature is accepted")
        );
        assert_eq!(
            with(r#""header":{}"#),
            malformed("an unprotected `header` is not accepted")
        );
        let unknown = malformed("a member is not `protected`, `payload` or `signature`");
        assert_eq!(with(r#""Header":{}"#), unknown);
        assert_eq!(
            with(r#""signature":"AA""#),
            malformed("a member occurs twice")
        );
        assert_eq!(
            with(r#""pay\u006coad":"e30""#),
            malformed("a member occurs twice")
        );
        assert_eq!(refusal(b"e30.e30.AA"), malformed("not valid JSON"));
        assert_eq!(
            refusal(format!("[{good}]").as_bytes()),
            malformed("a value has the wrong type")
        );
        assert_eq!(
            refusal(br#"["e30","e30","AA"]"#),
            malformed("a value has the wrong type")
        );
        assert_eq!(
            refusal(format!("{good}{good}").as_bytes()),
            malformed("not valid JSON")
        );
    }

    #[test]
    fn b6_each_member_is_there_once_and_is_a_string() {
        let good = good(&key());
        for name in ["protected", "payload", "signature"] {
            let renamed = good.replace(&format!(r#""{name}":"#), r#""x":"#);
            assert!(matches!(
                refusal(renamed.as_bytes()),
                JwsError::Malformed { part: "JWS", .. }
            ));
            let (start, rest) = good.split_once(&format!(r#""{name}":""#)).expect("there");
            let end = rest.split_once('"').map_or("", |(_, end)| end);
            let missing = format!("{start}{}", end.trim_start_matches(',')).replace(",}", "}");
            assert_eq!(
                refusal(missing.as_bytes()).to_string(),
                format!("malformed JWS: `{name}` is missing")
            );
            for value in ["null", "7", "[]", "{}", "true"] {
                let other = format!(r#"{start}"{name}":{value}{end}"#);
                assert_eq!(
                    refusal(other.as_bytes()),
                    malformed("a value has the wrong type")
                );
            }
        }
    }

    #[test]
    fn b6_padding_and_unused_bits_in_base64url_are_refused() {
        let protected = b64(format!(r#"{{"alg":"ES256","url":"{URL}","kid":"k"}}"#).as_bytes());
        let fault =
            |name: &str| format!("malformed JWS: `{name}` is not base64url without padding");
        let text = |body: Vec<u8>| refusal(&body).to_string();
        assert_eq!(
            text(body(&format!("{protected}="), "e30", "AA")),
            fault("protected")
        );
        assert_eq!(text(body(&protected, "e30=", "AA")), fault("payload"));
        assert_eq!(text(body(&protected, "e31", "AA")), fault("payload"));
        assert_eq!(text(body(&protected, "e30", "AA==")), fault("signature"));
        assert_eq!(text(body(&protected, "e30", "+/")), fault("signature"));
        assert_eq!(text(body(&protected, "e 30", "AA")), fault("payload"));
    }

    #[test]
    fn b6_the_url_comes_out_byte_for_byte_so_that_it_can_be_compared() {
        let key = key();
        for url in [
            "https://a.test:8443/x",
            "HTTPS://A.test/x",
            "https://a.test/x?q=1",
            "https://a.test/%78",
            "",
        ] {
            let body = signed(
                &key,
                &format!(r#"{{"alg":"ES256","url":"{url}","kid":"k"}}"#),
            );
            assert_eq!(
                check(&body, &key).map(|verified| verified.header.url),
                Ok(url.to_owned())
            );
        }
    }

    #[test]
    fn an_escape_in_the_outer_object_changes_nothing() {
        let key = key();
        let escaped = good(&key).replacen(r#""protected":"e"#, r#""protected":"\u0065"#, 1);
        assert!(check(escaped.as_bytes(), &key).is_ok());
    }

    #[test]
    fn nothing_of_the_message_is_repeated_in_an_error() {
        let header = format!(r#"{{"SECRET":1,"SECRET":2,"alg":"ES256","url":"{URL}","kid":"k"}}"#);
        for bad in [
            br#"{"SECRET":1}"#.to_vec(),
            br#"{"protected":"SECRET"}"#.to_vec(),
            br#"{"payload":["SECRET"]}"#.to_vec(),
            signed(&key(), &header),
        ] {
            assert!(!refusal(&bad).to_string().contains("SECRET"));
        }
    }
}
