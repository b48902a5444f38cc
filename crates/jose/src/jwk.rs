use std::borrow::Cow;

use chancery_crypto::{CryptoError, Curve, KeyParts, PublicKey, sha256};
use serde::de::MapAccess;
use serde_json::Value;

use crate::object::{self, Member, Members};
use crate::{DEPTH_MAX, JwsAlgorithm, JwsError, Thumbprint, b64, nested_deeper_than, unb64};

/// A public key that was, or can be, written as a JSON Web Key (RFC 7517; RFC 7518 §6, RFC 8037 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Jwk(PublicKey);

impl Jwk {
    /// Reads a JWK that is part of a larger JSON value.
    ///
    /// Lengths are exact, numbers have no leading zero octet, `use` and `alg` must fit if they are there, members
    /// of a private key are refused, unknown members ignored.
    ///
    /// # Errors
    /// [`JwsError::Malformed`] for the form, [`JwsError::UnsupportedKey`] and [`JwsError::BadPublicKey`] for the key.
    pub fn parse(value: &Value) -> Result<Self, JwsError> {
        let mut members = JwkMembers::default();
        object::read(value, &mut members)?;
        members.into_jwk()
    }

    /// Reads a JWK from JSON text, by the rules of [`Jwk::parse`].
    ///
    /// # Errors
    /// As [`Jwk::parse`].
    pub fn from_json(json: &str) -> Result<Self, JwsError> {
        if nested_deeper_than(DEPTH_MAX, json.as_bytes()) {
            return Err(JwsError::malformed(JwkMembers::PART, "nested too deeply"));
        }
        let mut members = JwkMembers::default();
        object::read_text(json.as_bytes(), &mut members)?;
        members.into_jwk()
    }

    /// The JWK of a key.
    #[must_use]
    pub fn from_key(key: &PublicKey) -> Self {
        Self(key.clone())
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.0
    }

    /// The canonical JSON: the required members only, sorted by name, no white space (RFC 7638 §3.2).
    #[must_use]
    pub fn to_json(&self) -> String {
        match self.0.parts() {
            KeyParts::Ec { curve, point } => {
                let coordinates = point.get(1..).unwrap_or_default();
                let (x, y) = coordinates.split_at(coordinates.len().min(curve.coordinate_len()));
                let crv = curve_name(curve);
                format!(
                    r#"{{"crv":"{crv}","kty":"EC","x":"{}","y":"{}"}}"#,
                    b64(x),
                    b64(y)
                )
            }
            KeyParts::Rsa { modulus, exponent } => {
                format!(
                    r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#,
                    b64(exponent),
                    b64(modulus)
                )
            }
            KeyParts::Ed25519(x) => {
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, b64(x))
            }
        }
    }

    /// The thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(sha256(self.to_json().as_bytes()))
    }
}

const CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

fn curve_name(curve: Curve) -> &'static str {
    match curve {
        Curve::P256 => "P-256",
        Curve::P384 => "P-384",
        Curve::P521 => "P-521",
    }
}

/// The members of a JWK that matter, as they stand in the text.
#[derive(Default)]
pub(crate) struct JwkMembers<'de> {
    kty: Option<Cow<'de, str>>,
    crv: Option<Cow<'de, str>>,
    x: Option<Cow<'de, str>>,
    y: Option<Cow<'de, str>>,
    n: Option<Cow<'de, str>>,
    e: Option<Cow<'de, str>>,
    alg: Option<Cow<'de, str>>,
    r#use: Option<Cow<'de, str>>,
}

impl<'de> Members<'de> for JwkMembers<'de> {
    const PART: &'static str = "jwk";

    fn take<A: MapAccess<'de>>(
        &mut self,
        name: &str,
        member: Member<'_, A>,
    ) -> Result<(), A::Error> {
        let slot = match name {
            "kty" => &mut self.kty,
            "crv" => &mut self.crv,
            "x" => &mut self.x,
            "y" => &mut self.y,
            "n" => &mut self.n,
            "e" => &mut self.e,
            "alg" => &mut self.alg,
            "use" => &mut self.r#use,
            // RFC 7518 §6.2.2, §6.3.2, §6.4.1.
            "d" | "p" | "q" | "dp" | "dq" | "qi" | "oth" | "k" => {
                return member.refuse("it holds a private key; that key is no secret any more");
            }
            _ => return member.ignore(),
        };
        *slot = Some(member.text()?);
        Ok(())
    }
}

impl JwkMembers<'_> {
    pub(crate) fn into_jwk(self) -> Result<Jwk, JwsError> {
        let key = match required(&self.kty, "`kty` is missing")? {
            "EC" => self.ec()?,
            "RSA" => {
                let modulus = number(&self.n, "`n` is missing")?;
                let exponent = number(&self.e, "`e` is missing")?;
                PublicKey::rsa(&modulus, &exponent).map_err(JwsError::BadPublicKey)?
            }
            "OKP" => self.okp()?,
            _ => return Err(JwsError::UnsupportedKey),
        };
        if self.r#use.as_deref().is_some_and(|usage| usage != "sig") {
            return Err(JwsError::malformed(JwkMembers::PART, "`use` is not `sig`"));
        }
        let fits = |name: &str| JwsAlgorithm::parse(name) == Some(JwsAlgorithm::of(&key));
        if self.alg.as_deref().is_some_and(|name| !fits(name)) {
            return Err(JwsError::BadSignatureAlgorithm);
        }
        Ok(Jwk(key))
    }

    fn ec(&self) -> Result<PublicKey, JwsError> {
        let crv = required(&self.crv, "`crv` is missing")?;
        let curve = CURVES.into_iter().find(|curve| curve_name(*curve) == crv);
        let curve = curve.ok_or(JwsError::UnsupportedKey)?;
        let x = number(&self.x, "`x` is missing")?;
        let y = number(&self.y, "`y` is missing")?;
        // Each coordinate has its full length (RFC 7518 §6.2.1.2); the sum alone would let a short one pass.
        if x.len() != curve.coordinate_len() || y.len() != curve.coordinate_len() {
            return Err(JwsError::BadPublicKey(CryptoError::MalformedKey {
                kind: "elliptic-curve",
            }));
        }
        let point = [&[4], x.as_slice(), y.as_slice()].concat();
        PublicKey::ec(curve, &point).map_err(JwsError::BadPublicKey)
    }

    fn okp(&self) -> Result<PublicKey, JwsError> {
        if required(&self.crv, "`crv` is missing")? != "Ed25519" {
            return Err(JwsError::UnsupportedKey);
        }
        let x = number(&self.x, "`x` is missing")?;
        PublicKey::ed25519(&x).map_err(JwsError::BadPublicKey)
    }
}

fn required<'a>(
    member: &'a Option<Cow<'_, str>>,
    fault: &'static str,
) -> Result<&'a str, JwsError> {
    member
        .as_deref()
        .ok_or_else(|| JwsError::malformed(JwkMembers::PART, fault))
}

fn number(member: &Option<Cow<'_, str>>, fault: &'static str) -> Result<Vec<u8>, JwsError> {
    let text = required(member, fault)?;
    unb64(text).map_err(|_| {
        JwsError::malformed(
            JwkMembers::PART,
            "a number is not base64url without padding",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7638 §3.1.
    const RSA: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP\
        ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8\
        KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw\
        0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    // RFC 7515 §A.3.1.
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    fn ec(x: &str, y: &str) -> String {
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#)
    }

    fn rsa(n: &str, e: &str) -> String {
        format!(r#"{{"kty":"RSA","n":"{n}","e":"{e}"}}"#)
    }

    /// Both ways in must agree, so every case is read by both.
    fn read(json: &str) -> Result<Jwk, JwsError> {
        let from_text = Jwk::from_json(json);
        if let Ok(value) = serde_json::from_str(json) {
            assert_eq!(Jwk::parse(&value), from_text, "{json}");
        }
        from_text
    }

    fn malformed(fault: &'static str) -> Result<Jwk, JwsError> {
        Err(JwsError::malformed("jwk", fault))
    }

    fn bad_point() -> Result<Jwk, JwsError> {
        Err(JwsError::BadPublicKey(CryptoError::MalformedKey {
            kind: "elliptic-curve",
        }))
    }

    #[test]
    fn the_rsa_thumbprint_is_that_of_rfc_7638() {
        let json =
            format!(r#"{{"kty":"RSA","n":"{RSA}","e":"AQAB","alg":"RS256","kid":"2011-04-29"}}"#);
        let jwk = read(&json).expect("a good key");
        assert_eq!(
            jwk.to_json(),
            format!(r#"{{"e":"AQAB","kty":"RSA","n":"{RSA}"}}"#)
        );
        assert_eq!(
            jwk.thumbprint().to_string(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn the_ed25519_thumbprint_is_that_of_rfc_8037() {
        let canonical =
            r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let jwk = read(canonical).expect("a good key");
        assert_eq!(jwk.to_json(), canonical);
        assert_eq!(
            jwk.thumbprint().to_string(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn a_key_comes_back_from_its_canonical_json_whatever_else_stood_beside_it() {
        let noisy = format!(
            r#"{{ "y":"{Y}", "key_ops":["verify"], "x5c":[["deep"],{{"a":1}}], "x":"{X}", "use":"sig",
               "crv":"P-256", "alg":"ES256", "k\u0074y":"EC" }}"#
        );
        let jwk = read(&noisy).expect("unknown members are ignored");
        assert_eq!(
            jwk.to_json(),
            format!(r#"{{"crv":"P-256","kty":"EC","x":"{X}","y":"{Y}"}}"#)
        );
        assert_eq!(read(&jwk.to_json()), Ok(jwk));
    }

    #[test]
    fn b6_a_key_off_its_curve_or_at_infinity_is_refused() {
        let zeros = b64(&[0; 32]);
        assert_eq!(read(&ec(X, X)), bad_point());
        assert_eq!(read(&ec(&zeros, &zeros)), bad_point());
        assert_eq!(read(&ec(&b64(&[0xff; 32]), Y)), bad_point());
        assert_eq!(read(&ec("", "")), bad_point());
    }

    #[test]
    fn c6_coordinates_have_their_full_length() {
        let (x, y) = (unb64(X).expect("base64url"), unb64(Y).expect("base64url"));
        let shifted = [&[0], x.as_slice()].concat();
        assert_eq!(read(&ec(&b64(&shifted), Y)), bad_point());
        // Together as long as they must be, each of them not.
        assert_eq!(
            read(&ec(&b64(&shifted), &b64(y.get(1..).unwrap_or_default()))),
            bad_point()
        );
        assert_eq!(read(&ec(X, Y).replace("P-256", "P-384")), bad_point());
    }

    #[test]
    fn c6_weak_keys_are_bad_public_keys() {
        let weak = |json: String| match read(&json) {
            Err(JwsError::BadPublicKey(why)) => why,
            other => panic!("{json}: {other:?}"),
        };
        let small = unb64(RSA).expect("base64url");
        assert_eq!(
            weak(rsa(&b64(small.get(..128).unwrap_or_default()), "AQAB")),
            CryptoError::RsaSize { bits: 1024 }
        );
        assert_eq!(weak(rsa(RSA, "AQ")), CryptoError::RsaExponent);
        assert_eq!(weak(rsa(RSA, "Aw")), CryptoError::RsaExponent);
        let padded = b64(&[&[0], small.as_slice()].concat());
        assert_eq!(
            weak(rsa(&padded, "AQAB")),
            CryptoError::MalformedKey { kind: "RSA" }
        );
        assert_eq!(
            weak(rsa(RSA, "AAEAAQ")),
            CryptoError::MalformedKey { kind: "RSA" }
        );
        let small_order = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{}"}}"#, b64(&[0; 32]));
        assert_eq!(
            weak(small_order),
            CryptoError::MalformedKey { kind: "Ed25519" }
        );
    }

    #[test]
    fn other_key_types_and_curves_are_unsupported() {
        for json in [
            r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(),
            r#"{"kty":"oct"}"#.to_owned(),
            r#"{"kty":"ec"}"#.to_owned(),
            ec(X, Y).replace("P-256", "secp256k1"),
        ] {
            assert_eq!(read(&json), Err(JwsError::UnsupportedKey), "{json}");
        }
    }

    #[test]
    fn b6_private_members_are_refused_and_not_repeated() {
        for name in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
            let json = ec(X, Y)
                .replace('{', &format!(r#"{{"{name}":"SECRET",""#))
                .replace(r#""""#, r#"""#);
            assert_eq!(
                read(&json),
                malformed("it holds a private key; that key is no secret any more"),
                "{json}"
            );
        }
    }

    #[test]
    fn b6_use_and_alg_must_fit_where_they_are_given() {
        let with = |member: &str| read(&ec(X, Y).replace('}', &format!(",{member}}}")));
        assert_eq!(with(r#""use":"enc""#), malformed("`use` is not `sig`"));
        assert_eq!(
            with(r#""alg":"RS256""#),
            Err(JwsError::BadSignatureAlgorithm)
        );
        assert_eq!(
            with(r#""alg":"HS256""#),
            Err(JwsError::BadSignatureAlgorithm)
        );
        assert!(with(r#""alg":"ES256""#).is_ok());
    }

    #[test]
    fn b6_what_is_not_exactly_a_jwk_is_malformed() {
        assert_eq!(
            read(&ec(&format!("{X}="), Y)),
            malformed("a number is not base64url without padding")
        );
        assert_eq!(
            read(&ec(X, Y).replace("\"kty\":\"EC\",", "")),
            malformed("`kty` is missing")
        );
        assert_eq!(
            read(&ec(X, Y).replace("\"crv\":\"P-256\",", "")),
            malformed("`crv` is missing")
        );
        assert_eq!(
            read(r#"{"kty":"RSA","n":"AQAB"}"#),
            malformed("`e` is missing")
        );
        assert_eq!(
            read(r#"{"kty":7}"#),
            malformed("a value has the wrong type")
        );
        assert_eq!(
            read(r#"["EC","P-256"]"#),
            malformed("a value has the wrong type")
        );
        assert_eq!(read(r#"{"kty":"EC"} {}"#), malformed("not valid JSON"));
        assert_eq!(read(""), malformed("not valid JSON"));
        let twice = Jwk::from_json(&ec(X, Y).replace('}', r#","x":"AA"}"#));
        assert_eq!(twice, malformed("a member occurs twice"));
        assert_eq!(read(&"[".repeat(65536)), malformed("nested too deeply"));
    }
}
