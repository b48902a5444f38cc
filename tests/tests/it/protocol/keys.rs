//! Whose signature it is, and by which key (RFC 8555 §6.2, failures B6).

use chancery_crypto::{Curve, KeyKind, KeyParts, PrivateKey, sha256};
use chancery_jose::b64;
use chancery_tests::jws::{Parts, jwk, key_header};
use chancery_tests::{Authority, new_key};
use serde_json::{Value, json};

use super::bench::story;

/// RFC 2104 over SHA-256, as an attacker would compute it.
fn hmac(secret: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0; 64];
    if secret.len() > block.len() {
        block[..32].copy_from_slice(&sha256(secret));
    } else {
        block[..secret.len()].copy_from_slice(secret);
    }
    let pad = |with: u8| block.map(|byte| byte ^ with);
    sha256(&[&pad(0x5c)[..], &sha256(&[&pad(0x36)[..], message].concat())].concat())
}

#[test]
fn b6_the_algorithm_is_the_keys_own() {
    story(|bench, _| {
        let algorithm = |name: &str| bench.with(|header| header["alg"] = json!(name));
        let bad = "400 badSignatureAlgorithm";
        let names = [
            "none", "HS256", "RS256", "ES384", "ES512", "PS256", "EdDSA", "es256", "ES256K", "",
        ];
        for name in names {
            bench.refused(name, algorithm(name), bad);
        }
        let mut unsigned = Parts::signed(
            &bench.account.key,
            &{
                let mut header = bench.header();
                header["alg"] = json!("none");
                header.to_string()
            },
            b"",
        );
        unsigned.signature = String::new();
        bench.refused("none without a signature", unsigned.flattened(), bad);
        let key = &bench.account.key;
        let point = match key.public().parts() {
            KeyParts::Ec { point, .. } => point.to_vec(),
            _ => panic!("a key on P-256"),
        };
        for (what, secret) in [("JWK", jwk(key).into_bytes()), ("point", point)] {
            let mut header = bench.header();
            header["alg"] = json!("HS256");
            let mut forged = Parts::signed(key, &header.to_string(), b"");
            let input = format!("{}.{}", forged.protected, forged.payload);
            forged.signature = b64(&hmac(&secret, input.as_bytes()));
            bench.refused(
                &format!("HS256 with the {what} as secret"),
                forged.flattened(),
                bad,
            );
        }
        bench.refused(
            "no alg",
            bench.with(|header| drop(header.remove("alg"))),
            "400 malformed",
        );
        bench.refused(
            "alg is a number",
            bench.with(|header| header["alg"] = json!(256)),
            "400 malformed",
        );
        names.len() + 5
    });
}

#[test]
fn b6_the_key_is_named_once_and_is_the_senders() {
    story(|bench, _| {
        let other = bench.client.register();
        let own_jwk: Value = serde_json::from_str(&jwk(&bench.account.key)).expect("JSON");
        let both = bench.with(|header| drop(header.insert("jwk".into(), own_jwk.clone())));
        bench.refused("jwk and kid", both, "400 malformed");
        bench.refused(
            "neither",
            bench.with(|header| drop(header.remove("kid"))),
            "400 malformed",
        );
        let foreign = bench.with(|header| header["kid"] = json!(other.url));
        bench.refused("kid of another account", foreign, "400 malformed");
        let only_jwk = key_header(
            &bench.account.key,
            &bench.client.nonce(),
            &bench.account.url,
        );
        bench.refused(
            "jwk where a kid belongs",
            bench.signed(&only_jwk.to_string()),
            "400 malformed",
        );
        let stranger = new_key();
        let forged = Parts::signed(&stranger, &bench.header().to_string(), b"").flattened();
        bench.refused("another key's signature", forged, "400 malformed");
        for kid in ["", "1", "https://elsewhere.test/acct/1"] {
            let reply = bench.client.post(
                &bench.account.url,
                bench.with(|header| header["kid"] = json!(kid)),
            );
            assert_eq!(reply.in_short(), "400 accountDoesNotExist", "kid {kid:?}");
        }
        bench.refused(
            "kid is an array",
            bench.with(|header| header["kid"] = json!([])),
            "400 malformed",
        );
        9
    });
}

#[test]
fn b6_account_keys_are_points_on_the_curve_of_the_right_size() {
    story(|bench, _| {
        let key = new_key();
        let url = bench.client.url("newAccount");
        let good: Value = serde_json::from_str(&jwk(&key)).expect("JSON");
        let coordinate = |byte: u8, len: usize| json!(b64(&vec![byte; len]));
        let rsa = |bits: usize, exponent: &str| {
            let mut modulus = vec![0xff; bits / 8];
            modulus[0] = 0xc1;
            json!({ "kty": "RSA", "n": b64(&modulus), "e": exponent })
        };
        let changed = |member: &str, value: Value| {
            let mut jwk = good.clone();
            jwk[member] = value;
            jwk
        };
        let cases = [
            ("off the curve", changed("y", good["x"].clone())),
            ("infinity", {
                let mut jwk = changed("x", coordinate(0, 32));
                jwk["y"] = coordinate(0, 32);
                jwk
            }),
            ("a short coordinate", changed("x", coordinate(1, 31))),
            ("a long coordinate", changed("x", coordinate(1, 33))),
            ("another curve's name", changed("crv", json!("P-384"))),
            (
                "a curve that is not offered",
                changed("crv", json!("secp256k1")),
            ),
            ("a symmetric key", json!({ "kty": "oct", "k": "AAAA" })),
            ("RSA of 1024 bits", rsa(1024, "AQAB")),
            (
                "RSA of 16,384 bits with e = 2^64+1",
                rsa(16_384, "AQAAAAAAAAAB"),
            ),
            ("RSA with e = 1", rsa(2048, "AQ")),
            ("a private key", changed("d", coordinate(1, 32))),
            ("no key", json!({})),
            ("a key that is text", json!("key")),
        ];
        let count = cases.len();
        for (case, bad) in cases {
            let mut header = key_header(&key, &bench.client.nonce(), &url);
            header["jwk"] = bad;
            let asked = br#"{"termsOfServiceAgreed":true}"#;
            let reply = bench.client.post(
                &url,
                Parts::signed(&key, &header.to_string(), asked).flattened(),
            );
            assert!(
                [
                    "400 badPublicKey",
                    "400 badSignatureAlgorithm",
                    "400 malformed"
                ]
                .contains(&reply.in_short().as_str()),
                "{case}: {} {}",
                reply.in_short(),
                reply.detail()
            );
        }
        count
    });
}

#[test]
fn every_offered_algorithm_has_an_account_that_works() {
    let authority = Authority::start();
    let client = authority.client();
    let kinds = [
        KeyKind::Ec(Curve::P256),
        KeyKind::Ec(Curve::P384),
        KeyKind::Ec(Curve::P521),
        KeyKind::Rsa2048,
        KeyKind::Ed25519,
    ];
    for kind in kinds {
        let key = PrivateKey::generate(kind).expect("a key");
        let account = client.register_with(key);
        assert_eq!(
            account.read(&account.url).json()["status"],
            "valid",
            "{kind:?}"
        );
    }
}
