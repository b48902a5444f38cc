use std::borrow::Cow;

use serde::de::MapAccess;

use crate::jwk::JwkMembers;
use crate::object::{self, Member, Members};
use crate::{DEPTH_MAX, Jwk, JwsAlgorithm, JwsError, nested_deeper_than};

/// Characters of a nonce. Ours have 43; what is longer came from nobody's server.
const NONCE_CHARS_MAX: usize = 128;

/// The protected header of a request (RFC 8555 §6.2).
///
/// Before [`Jws::verify`](crate::Jws::verify) it is a claim: good for finding the key, for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The claimed algorithm; verification compares it with the key's.
    pub alg: JwsAlgorithm,
    /// The URL the client meant, as it wrote it.
    pub url: String,
    /// The anti-replay nonce: base64url text. Inner messages (key change) have none, so the caller asks for it.
    pub nonce: Option<String>,
    /// Whose signature it should be.
    pub signer: SignerRef,
}

/// How a header names the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerRef {
    /// The key itself: new accounts, and revocation by a certificate's key.
    Jwk(Jwk),
    /// The URL of an account.
    Kid(String),
}

impl Header {
    /// Reads the decoded text of a protected header.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, JwsError> {
        if nested_deeper_than(DEPTH_MAX, json) {
            return Err(malformed("nested too deeply"));
        }
        let mut members = HeaderMembers::default();
        object::read_text(json, &mut members)?;
        let HeaderMembers {
            alg,
            url,
            nonce,
            kid,
            jwk,
        } = members;
        // Before the key: a key of a kind we do not know comes with an algorithm that we do not know.
        let alg = alg.ok_or_else(|| malformed("`alg` is missing"))?;
        let alg = JwsAlgorithm::parse(&alg).ok_or(JwsError::BadSignatureAlgorithm)?;
        let url = url.ok_or_else(|| malformed("`url` is missing"))?;
        if nonce.as_deref().is_some_and(|nonce| !is_nonce(nonce)) {
            return Err(malformed("`nonce` is not base64url"));
        }
        let signer = match (jwk, kid) {
            (Some(jwk), None) => SignerRef::Jwk(jwk.into_jwk()?),
            (None, Some(kid)) => SignerRef::Kid(kid.into_owned()),
            (Some(_), Some(_)) => return Err(malformed("`jwk` and `kid` exclude each other")),
            (None, None) => return Err(malformed("one of `jwk` and `kid` is needed")),
        };
        Ok(Self {
            alg,
            url: url.into_owned(),
            nonce: nonce.map(Cow::into_owned),
            signer,
        })
    }
}

fn malformed(fault: &'static str) -> JwsError {
    JwsError::malformed(HeaderMembers::PART, fault)
}

/// RFC 8555 §6.5.2: an octet string in base64url.
fn is_nonce(text: &str) -> bool {
    let alphabet = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !text.is_empty()
        && text.len() <= NONCE_CHARS_MAX
        && text.len() % 4 != 1
        && text.bytes().all(alphabet)
}

#[derive(Default)]
struct HeaderMembers<'de> {
    alg: Option<Cow<'de, str>>,
    url: Option<Cow<'de, str>>,
    nonce: Option<Cow<'de, str>>,
    kid: Option<Cow<'de, str>>,
    jwk: Option<JwkMembers<'de>>,
}

impl<'de> Members<'de> for HeaderMembers<'de> {
    const PART: &'static str = "protected header";

    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        member: Member<'_, A>,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "alg" => &mut self.alg,
            "url" => &mut self.url,
            "nonce" => &mut self.nonce,
            "kid" => &mut self.kid,
            "jwk" => return member.object(self.jwk.insert(JwkMembers::default())),
            // RFC 7515 §4.1.11: whoever does not understand what `crit` lists must refuse, and we understand nothing more.
            "crit" => return member.refuse("`crit` is not accepted"),
            "b64" => return member.refuse("`b64` is not accepted"),
            _ => return member.ignore(),
        };
        *slot = Some(member.text()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JWK: &str =
        r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;

    /// A header with a kid, and `extra` members behind it.
    fn read(extra: &str) -> Result<Header, JwsError> {
        Header::parse(
            format!(r#"{{"alg":"ES256","url":"https://a.test/x","kid":"k"{extra}}}"#).as_bytes(),
        )
    }

    #[test]
    fn both_ways_to_name_the_key_are_read() {
        let header = read(r#", "nonce":"AbC-_9" "#).expect("good");
        assert_eq!(header.alg, JwsAlgorithm::ES256);
        assert_eq!(header.url, "https://a.test/x");
        assert_eq!(header.nonce.as_deref(), Some("AbC-_9"));
        assert_eq!(header.signer, SignerRef::Kid("k".into()));
        let json = format!(r#"{{"alg":"Ed25519","jwk":{JWK},"url":"https:\/\/a.test"}}"#);
        let header = Header::parse(json.as_bytes()).expect("good");
        assert_eq!(header.url, "https://a.test");
        assert_eq!(header.nonce, None);
        assert!(
            matches!(header.signer, SignerRef::Jwk(jwk) if jwk.thumbprint().to_string().starts_with("kPrK"))
        );
    }

    #[test]
    fn b6_jwk_and_kid_together_or_neither_are_malformed() {
        assert_eq!(
            read(&format!(r#","jwk":{JWK}"#)),
            Err(malformed("`jwk` and `kid` exclude each other"))
        );
        let neither = Header::parse(br#"{"alg":"ES256","url":"u"}"#);
        assert_eq!(neither, Err(malformed("one of `jwk` and `kid` is needed")));
    }

    #[test]
    fn b6_crit_and_b64_are_refused_whatever_they_say() {
        for value in [r#"["exp"]"#, "[]", "null"] {
            assert_eq!(
                read(&format!(r#","crit":{value}"#)),
                Err(malformed("`crit` is not accepted"))
            );
        }
        for value in ["false", "true"] {
            assert_eq!(
                read(&format!(r#","b64":{value}"#)),
                Err(malformed("`b64` is not accepted"))
            );
        }
    }

    #[test]
    fn b6_duplicate_members_are_refused_known_or_not_and_however_spelt() {
        let twice = Err(malformed("a member occurs twice"));
        assert_eq!(read(r#","alg":"none""#), twice);
        assert_eq!(read(r#","\u0061lg":"none""#), twice);
        assert_eq!(read(r#","url":"https://b.test/x""#), twice);
        assert_eq!(read(r#","typ":"a","typ":"b""#), twice);
        let in_jwk = JWK.replace('}', r#","x":"AA"}"#);
        let json = format!(r#"{{"alg":"EdDSA","url":"u","jwk":{in_jwk}}}"#);
        let refused = Header::parse(json.as_bytes());
        assert_eq!(
            refused,
            Err(JwsError::malformed("jwk", "a member occurs twice"))
        );
    }

    #[test]
    fn b6_an_algorithm_that_is_none_a_mac_or_unknown_is_named_as_such() {
        for alg in ["none", "HS256", "HS512", "PS256", "ES256K", "es256", ""] {
            let json = format!(r#"{{"alg":"{alg}","url":"u","kid":"k"}}"#);
            assert_eq!(
                Header::parse(json.as_bytes()),
                Err(JwsError::BadSignatureAlgorithm),
                "{alg}"
            );
        }
        // The answer speaks of the algorithm even when the key is of a kind nobody knows.
        let json = r#"{"alg":"HS256","url":"u","jwk":{"kty":"oct"}}"#;
        assert_eq!(
            Header::parse(json.as_bytes()),
            Err(JwsError::BadSignatureAlgorithm)
        );
    }

    #[test]
    fn members_that_only_a_trusting_reader_would_follow_are_ignored() {
        let header = read(
            r#","jku":"https://evil.test/keys","x5u":"https://evil.test","x5c":["AA"],"typ":7"#,
        );
        assert_eq!(
            header.map(|header| header.signer),
            Ok(SignerRef::Kid("k".into()))
        );
    }

    #[test]
    fn a_nonce_outside_its_alphabet_is_malformed() {
        let long = "A".repeat(NONCE_CHARS_MAX + 4);
        for nonce in ["", "AAA=", "AAAA+", "A", "AA AA", "\u{e9}", long.as_str()] {
            let refused = read(&format!(r#","nonce":"{nonce}""#));
            assert_eq!(
                refused,
                Err(malformed("`nonce` is not base64url")),
                "{nonce:?}"
            );
        }
        assert_eq!(
            read(r#","nonce":null"#),
            Err(malformed("a value has the wrong type"))
        );
    }

    #[test]
    fn alg_and_url_are_needed() {
        assert_eq!(
            Header::parse(br#"{"url":"u","kid":"k"}"#),
            Err(malformed("`alg` is missing"))
        );
        assert_eq!(
            Header::parse(br#"{"alg":"ES256","kid":"k"}"#),
            Err(malformed("`url` is missing"))
        );
    }

    #[test]
    fn b8_depth_and_member_count_are_bounded() {
        let nested = |depth: usize| {
            read(&format!(
                r#","a":{}{}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            ))
        };
        assert!(nested(DEPTH_MAX - 1).is_ok());
        assert_eq!(nested(DEPTH_MAX), Err(malformed("nested too deeply")));
        let members: String = (0..40).map(|n| format!(r#","m{n}":0"#)).collect();
        assert_eq!(read(&members), Err(malformed("too many members")));
    }
}
