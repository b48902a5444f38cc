use std::borrow::Cow;

use chancery_crypto::{MacAlgorithm, MacKey};
use serde::de::MapAccess;

use crate::jws::Flattened;
use crate::object::{self, Member, Members};
use crate::sign::quoted;
use crate::{DEPTH_MAX, Jwk, JwsError, b64, nested_deeper_than};

/// Octets of a binding that are read. With an RSA key of 4096 bits it has 1,200.
const BINDING_BYTES_MAX: usize = 8 * 1024;

/// A message by which the key of an account elsewhere vouches for an account's key (RFC 8555 §7.3.4), well formed and
/// *not* yet believed.
#[derive(Debug, Clone)]
pub struct BindingJws {
    algorithm: MacAlgorithm,
    kid: String,
    url: String,
    signing_input: Vec<u8>,
    payload: Vec<u8>,
    tag: Vec<u8>,
}

/// A binding whose MAC was checked, of the account key that it was checked for. Only [`BindingJws::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedBinding {
    kid: String,
}

impl VerifiedBinding {
    /// The key identifier that was proven.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

/// Makes the value of `externalAccountBinding` for an account's key, with HS256: what every CA takes.
#[must_use]
pub fn bind(key: &MacKey, kid: &str, url: &str, account: &Jwk) -> String {
    let (kid, url) = (quoted(kid), quoted(url));
    let protected = b64(format!(r#"{{"alg":"HS256","kid":{kid},"url":{url}}}"#).as_bytes());
    let payload = b64(account.to_json().as_bytes());
    let input = format!("{protected}.{payload}");
    let tag = b64(&key.tag(MacAlgorithm::HmacSha256, input.as_bytes()));
    format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{tag}"}}"#)
}

impl BindingJws {
    /// Reads the value of `externalAccountBinding`: a flattened JWS whose header has a MAC as `alg`, a `kid` and a `url`,
    /// and no nonce.
    ///
    /// # Errors
    /// [`JwsError::TooLarge`], [`JwsError::Malformed`], [`JwsError::BadMacAlgorithm`].
    pub fn parse(json: &[u8]) -> Result<Self, JwsError> {
        if json.len() > BINDING_BYTES_MAX {
            return Err(JwsError::TooLarge {
                bytes: json.len(),
                bytes_max: BINDING_BYTES_MAX,
            });
        }
        let flattened = Flattened::read(json)?;
        if nested_deeper_than(DEPTH_MAX, &flattened.header) {
            return Err(malformed("nested too deeply"));
        }
        let mut said = BindingHeader::default();
        object::read_text(&flattened.header, &mut said)?;
        let algorithm = match needed(said.alg, "`alg` is missing")?.as_ref() {
            "HS256" => MacAlgorithm::HmacSha256,
            "HS384" => MacAlgorithm::HmacSha384,
            "HS512" => MacAlgorithm::HmacSha512,
            _ => return Err(JwsError::BadMacAlgorithm),
        };
        Ok(Self {
            algorithm,
            kid: needed(said.kid, "`kid` is missing")?.into_owned(),
            url: needed(said.url, "`url` is missing")?.into_owned(),
            signing_input: flattened.signing_input,
            payload: flattened.payload,
            tag: flattened.signature,
        })
    }

    /// Which key it claims to be by.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The URL it was made for, which must be that of the message around it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Checks the MAC with `key`, and that what it vouches for is `account`.
    ///
    /// # Errors
    /// [`JwsError::BadMac`], whichever of the two is wrong.
    pub fn verify(self, key: &MacKey, account: &Jwk) -> Result<VerifiedBinding, JwsError> {
        let genuine = key.verify(self.algorithm, &self.signing_input, &self.tag);
        let payload = std::str::from_utf8(&self.payload).map_err(|_| JwsError::BadMac)?;
        let vouched = Jwk::from_json(payload).map_err(|_| JwsError::BadMac)?;
        if genuine.is_err() || vouched.key() != account.key() {
            return Err(JwsError::BadMac);
        }
        Ok(VerifiedBinding { kid: self.kid })
    }
}

fn malformed(fault: &'static str) -> JwsError {
    JwsError::malformed(BindingHeader::PART, fault)
}

fn needed<T>(value: Option<T>, fault: &'static str) -> Result<T, JwsError> {
    value.ok_or_else(|| malformed(fault))
}

#[derive(Default)]
struct BindingHeader<'de> {
    alg: Option<Cow<'de, str>>,
    kid: Option<Cow<'de, str>>,
    url: Option<Cow<'de, str>>,
}

impl<'de> Members<'de> for BindingHeader<'de> {
    const PART: &'static str = "external account binding";

    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        member: Member<'_, A>,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "alg" => &mut self.alg,
            "kid" => &mut self.kid,
            "url" => &mut self.url,
            "nonce" => return member.refuse("`nonce` belongs into the outer message only"),
            "jwk" => return member.refuse("`jwk` does not belong here; the key is named by `kid`"),
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
    use chancery_crypto::{Curve, KeyKind, PrivateKey};

    use super::*;

    const URL: &str = "https://a.test/acme/new-account";

    fn jwk() -> Jwk {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        Jwk::from_key(key.public())
    }

    fn secret() -> MacKey {
        MacKey::new(&[7; 32])
    }

    /// A binding with any header and payload, honestly computed.
    fn made(header: &str, payload: &str, algorithm: MacAlgorithm) -> Vec<u8> {
        let (protected, payload) = (b64(header.as_bytes()), b64(payload.as_bytes()));
        let tag = secret().tag(algorithm, format!("{protected}.{payload}").as_bytes());
        let tag = b64(&tag);
        format!(r#"{{"protected":"{protected}","payload":"{payload}","signature":"{tag}"}}"#)
            .into_bytes()
    }

    fn header(alg: &str, extra: &str) -> String {
        format!(r#"{{"alg":"{alg}","kid":"k","url":"{URL}"{extra}}}"#)
    }

    fn check(json: &[u8], account: &Jwk) -> Result<VerifiedBinding, JwsError> {
        BindingJws::parse(json)?.verify(&secret(), account)
    }

    #[test]
    fn an_honest_binding_verifies_with_each_mac() {
        let account = jwk();
        for (name, algorithm) in [
            ("HS256", MacAlgorithm::HmacSha256),
            ("HS384", MacAlgorithm::HmacSha384),
            ("HS512", MacAlgorithm::HmacSha512),
        ] {
            let json = made(&header(name, ""), &account.to_json(), algorithm);
            let read = BindingJws::parse(&json).expect("well formed");
            assert_eq!((read.kid(), read.url()), ("k", URL));
            let verified = read.verify(&secret(), &account).expect("genuine");
            assert_eq!(verified.kid(), "k");
        }
    }

    #[test]
    fn what_is_bound_verifies() {
        let account = jwk();
        let text = bind(&secret(), "k\"1", URL, &account);
        let read = BindingJws::parse(text.as_bytes()).expect("well formed");
        assert_eq!((read.kid(), read.url()), ("k\"1", URL));
        assert!(read.verify(&secret(), &account).is_ok());
    }

    #[test]
    fn b6_what_is_no_mac_is_refused_by_its_name() {
        let account = jwk().to_json();
        for alg in ["none", "ES256", "RS256", "hs256", "HS1", ""] {
            let json = made(&header(alg, ""), &account, MacAlgorithm::HmacSha256);
            assert_eq!(
                BindingJws::parse(&json).map(|_| ()),
                Err(JwsError::BadMacAlgorithm),
                "{alg:?}"
            );
        }
    }

    #[test]
    fn another_secret_another_algorithm_or_another_account_is_refused_alike() {
        let account = jwk();
        let (name, algorithm) = ("HS256", MacAlgorithm::HmacSha256);
        let good = made(&header(name, ""), &account.to_json(), algorithm);
        let read = BindingJws::parse(&good).expect("well formed");
        let other = MacKey::new(&[8; 32]);
        assert_eq!(read.verify(&other, &account), Err(JwsError::BadMac));
        assert_eq!(check(&good, &jwk()), Err(JwsError::BadMac));
        let as_other = made(&header("HS384", ""), &account.to_json(), algorithm);
        assert_eq!(check(&as_other, &account), Err(JwsError::BadMac));
        let no_key = made(&header(name, ""), "{}", algorithm);
        assert_eq!(check(&no_key, &account), Err(JwsError::BadMac));
    }

    #[test]
    fn members_that_do_not_belong_and_missing_ones_are_malformed() {
        let account = jwk().to_json();
        let extras = [
            r#","nonce":"AAAA""#,
            r#","jwk":{}"#,
            r#","crit":["x"]"#,
            r#","b64":false"#,
            r#","kid":"other""#,
        ];
        let odd = extras.map(|extra| header("HS256", extra));
        let missing = [
            r#"{"kid":"k","url":"u"}"#,
            r#"{"alg":"HS256","url":"u"}"#,
            r#"{"alg":"HS256","kid":"k"}"#,
            "[]",
            "",
        ];
        for text in odd.iter().map(String::as_str).chain(missing) {
            let json = made(text, &account, MacAlgorithm::HmacSha256);
            let refused = BindingJws::parse(&json).map(|_| ());
            assert!(
                matches!(refused, Err(JwsError::Malformed { .. })),
                "{text}: {refused:?}"
            );
        }
        for text in ["{}", r#"{"protected":"e30","payload":"e30"}"#, "7"] {
            assert!(BindingJws::parse(text.as_bytes()).is_err(), "{text}");
        }
        let large = vec![b' '; BINDING_BYTES_MAX + 1];
        assert!(matches!(
            BindingJws::parse(&large),
            Err(JwsError::TooLarge { .. })
        ));
    }
}
