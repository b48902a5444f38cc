//! Bodies built to hurt a reader, and bodies that nobody thought of.

use std::time::{Duration, Instant};

use chancery_crypto::{CryptoError, Curve, KeyKind, PrivateKey};
use chancery_jose::{BODY_BYTES_MAX, Jwk, Jws, JwsError, JwsKey, SignWith, Verified, b64, sign};
use proptest::prelude::*;

const URL: &str = "https://a.test/acme/order";

fn key() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates")
}

/// A body with any text as its protected header.
fn with_header(header: &[u8]) -> Vec<u8> {
    format!(
        r#"{{"protected":"{}","payload":"e30","signature":"AA"}}"#,
        b64(header)
    )
    .into_bytes()
}

fn malformed(part: &'static str, fault: &'static str) -> JwsError {
    JwsError::Malformed { part, fault }
}

/// Row B8 allows 50 ms of processor time; wall time on a busy machine is given three tries.
fn refused_quickly(body: &[u8]) -> JwsError {
    let mut error = None;
    let quickest = (0..3).map(|_| {
        let start = Instant::now();
        error = Jws::parse(body).err();
        start.elapsed()
    });
    assert!(quickest.min() < Some(Duration::from_millis(50)));
    error.expect("must be refused")
}

#[test]
fn b8_bodies_of_brackets_are_refused_quickly() {
    let not_an_object = malformed("JWS", "a value has the wrong type");
    assert_eq!(refused_quickly(&[b'['; BODY_BYTES_MAX]), not_an_object);
    let objects = r#"{"a":"#.repeat(BODY_BYTES_MAX / 5);
    let unknown = malformed(
        "JWS",
        "a member is not `protected`, `payload` or `signature`",
    );
    assert_eq!(refused_quickly(objects.as_bytes()), unknown);
    let in_a_member = format!(r#"{{"payload":{}"#, "[".repeat(60_000));
    assert_eq!(refused_quickly(in_a_member.as_bytes()), not_an_object);
    let deep = malformed("protected header", "nested too deeply");
    assert_eq!(refused_quickly(&with_header(&[b'['; 40_000])), deep);
}

#[test]
fn b8_a_million_dots_are_too_large_and_fewer_are_no_json() {
    let too_large = JwsError::TooLarge {
        bytes: 1_000_000,
        bytes_max: BODY_BYTES_MAX,
    };
    assert_eq!(refused_quickly(&[b'.'; 1_000_000]), too_large);
    assert_eq!(
        refused_quickly(&[b'.'; BODY_BYTES_MAX]),
        malformed("JWS", "not valid JSON")
    );
}

#[test]
fn b8_compressed_bodies_are_no_json() {
    assert_eq!(
        refused_quickly(&[0x1f, 0x8b, 8, 0, 0, 0]),
        malformed("JWS", "not valid JSON")
    );
}

#[test]
fn b8_a_huge_number_in_an_ignored_member_costs_nothing() {
    let header = format!(
        r#"{{"alg":"ES256","url":"u","a":1e{}}}"#,
        "9".repeat(40_000)
    );
    let needs_key = malformed("protected header", "one of `jwk` and `kid` is needed");
    assert_eq!(refused_quickly(&with_header(header.as_bytes())), needs_key);
}

#[test]
fn b8_a_huge_rsa_key_is_refused_before_any_arithmetic() {
    let n = b64(&[0xff; 2048]);
    let e = b64(&[1, 0, 0, 0, 0, 0, 0, 0, 1]);
    let header =
        format!(r#"{{"alg":"RS256","url":"u","jwk":{{"kty":"RSA","n":"{n}","e":"{e}"}}}}"#);
    let error = refused_quickly(&with_header(header.as_bytes()));
    assert_eq!(
        error,
        JwsError::BadPublicKey(CryptoError::RsaSize { bits: 16384 })
    );
}

/// Pieces that get a random text past the first character of a reader.
const PIECES: &str = concat!(
    r#"(\{|\}|\[|\]|,|:|"|\\|"protected":|"payload":|"signature":|"alg":"ES256"|"url":"u"|"kid":"k""#,
    r#"|"jwk":\{|"kty":"EC"|"crv":"P-256"|"x":|"e30"|"\\u00|1e9|null| ){0,14}"#
);

fn check(body: &[u8], key: &PrivateKey) -> Result<Verified, JwsError> {
    Jws::parse(body)?.verify(&JwsKey::new(key.public())?)
}

fn change(bytes: &mut [u8], changes: &[(prop::sample::Index, u8)]) {
    for (at, byte) in changes {
        let at = at.index(bytes.len());
        if let Some(place) = bytes.get_mut(at) {
            *place = *byte;
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let ascii_more_often = prop_oneof![3 => 0x20_u8..0x7f, 1 => any::<u8>()];
    prop::collection::vec((any::<prop::sample::Index>(), ascii_more_often), 1..4)
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
        prop_assert!(Jws::parse(&bytes).is_err());
        prop_assert!(Jws::parse(&with_header(&bytes)).is_err());
    }

    #[test]
    fn text_that_looks_like_a_message_makes_nothing_panic(text in PIECES) {
        let _ = Jws::parse(text.as_bytes());
        let _ = Jws::parse(&with_header(text.as_bytes()));
        let _ = Jwk::from_json(&text);
    }

    /// A changed message is refused, or the change was one of spelling only.
    #[test]
    fn a_changed_message_never_says_something_else(changes in changes()) {
        let key = key();
        let kid = SignWith::Kid("https://a.test/acct/1");
        let mut body = sign(&key, URL, Some("bm9uY2U"), kid, Some(b"{}")).expect("signs");
        let original = check(&body, &key).expect("verifies");
        change(&mut body, &changes);
        if let Ok(verified) = check(&body, &key) {
            prop_assert_eq!(verified.header(), original.header());
            prop_assert_eq!(verified.payload(), original.payload());
        }
    }

    #[test]
    fn a_changed_header_makes_nothing_panic(changes in changes()) {
        let jwk = Jwk::from_key(key().public()).to_json();
        let header = format!(r#"{{"alg":"ES256","nonce":"AAAA","url":"{URL}","jwk":{jwk}}}"#);
        let mut header = header.into_bytes();
        change(&mut header, &changes);
        let _ = Jws::parse(&with_header(&header));
    }
}
