//! The signature around each request (RFC 8555 §6.2, failures B6).

use chancery_crypto::{Curve, KeyKind, PrivateKey, sha256};
use chancery_jose::b64;
use chancery_tests::jws::{Parts, header, jwk, key_header};
use chancery_tests::{Account, Authority, Client, new_key};
use serde_json::{Value, json};

/// What any of these may be answered with.
const ANSWERS: [&str; 6] = [
    "400 malformed",
    "400 badSignatureAlgorithm",
    "400 badPublicKey",
    "400 badNonce",
    "403 unauthorized",
    "413 malformed",
];

/// One account that everything is tried with, and the object it is tried on.
struct Bench<'c> {
    client: &'c Client,
    account: Account<'c>,
}

impl Bench<'_> {
    fn header(&self) -> Value {
        header(
            &self.account.key,
            &self.account.url,
            &self.client.nonce(),
            &self.account.url,
        )
    }

    fn parts(&self) -> Parts {
        Parts::signed(&self.account.key, &self.header().to_string(), b"")
    }

    /// With the header changed and then signed.
    fn with(&self, change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
        let mut header = self.header();
        change(header.as_object_mut().expect("an object"));
        self.signed(&header.to_string())
    }

    fn signed(&self, header: &str) -> String {
        Parts::signed(&self.account.key, header, b"").flattened()
    }

    fn refused(&self, case: &str, body: String, expected: &str) {
        let reply = self.client.post(&self.account.url, body);
        assert!(
            ANSWERS.contains(&expected),
            "{expected} is one of the answers"
        );
        assert_eq!(reply.in_short(), expected, "{case}: {}", reply.detail());
        assert!(
            !reply.header("replay-nonce").is_empty(),
            "{case}: a fresh nonce comes with it"
        );
    }
}

fn story(tries: impl FnOnce(&Bench<'_>, &Authority) -> usize) {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let bench = Bench {
        client: &client,
        account,
    };
    let honest = || {
        bench
            .client
            .post(&bench.account.url, bench.parts().flattened())
    };
    assert_eq!(
        honest().status,
        200,
        "what is tried differs from this in one thing"
    );
    let calm = authority.calm();
    let refused = tries(&bench, &authority);
    calm.holds_and_counted(&authority, refused);
    assert_eq!(honest().status, 200, "the account is none the worse for it");
}

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
            chancery_crypto::KeyParts::Ec { point, .. } => point.to_vec(),
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
fn b6_there_is_one_signature_in_one_form() {
    story(|bench, _| {
        let malformed = |case: &str, body: String| bench.refused(case, body, "400 malformed");
        let Parts {
            protected,
            payload,
            signature,
        } = bench.parts();
        let general = format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#
        );
        malformed("the general form", general);
        let Parts {
            protected,
            payload,
            signature,
        } = bench.parts();
        let two = format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}},{{"protected":"{protected}","signature":"{signature}"}}]}}"#
        );
        malformed("two signatures", two);
        let with_more = |more: &str| {
            let flattened = bench.parts().flattened();
            format!("{},{more}}}", flattened.trim_end_matches('}'))
        };
        malformed(
            "signatures beside signature",
            with_more(r#""signatures":[]"#),
        );
        malformed("an unprotected header", with_more(r#""header":{}"#));
        malformed(
            "an unprotected header with alg",
            with_more(r#""header":{"alg":"none"}"#),
        );
        malformed("an unknown member", with_more(r#""extra":1"#));
        let Parts {
            protected,
            payload,
            signature,
        } = bench.parts();
        malformed(
            "the compact form",
            format!("{protected}.{payload}.{signature}"),
        );
        malformed("an array", format!("[{}]", bench.parts().flattened()));
        malformed("two objects", format!("{0}{0}", bench.parts().flattened()));
        malformed("nothing", String::new());
        malformed("null", "null".to_owned());
        malformed(
            "not UTF-8 is not tried as text",
            "{\"protected\":\"\u{fffd}\"}".to_owned(),
        );
        let raw = [b"{\"protected\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat();
        let reply = bench.client.post(&bench.account.url, raw);
        assert_eq!(
            reply.in_short(),
            "400 malformed",
            "octets that are no UTF-8"
        );
        let mut without = bench.parts();
        without.signature = String::new();
        malformed("an empty signature", without.flattened());
        14
    });
}

#[test]
fn b6_critical_extensions_are_not_skipped() {
    story(|bench, _| {
        let add = |name: &str, value: Value| {
            bench.with(|header| drop(header.insert(name.to_owned(), value)))
        };
        let cases = [
            ("crit", add("crit", json!(["exp"]))),
            ("an empty crit", add("crit", json!([]))),
            ("b64 false", add("b64", json!(false))),
            ("b64 true", add("b64", json!(true))),
            (
                "b64 false and critical",
                bench.with(|header| {
                    header.insert("crit".into(), json!(["b64"]));
                    header.insert("b64".into(), json!(false));
                }),
            ),
        ];
        let count = cases.len();
        for (case, body) in cases {
            bench.refused(case, body, "400 malformed");
        }
        count
    });
}

#[test]
fn b6_nothing_is_said_twice_and_base64url_has_one_spelling() {
    story(|bench, _| {
        let malformed = |case: &str, body: String| bench.refused(case, body, "400 malformed");
        for member in ["protected", "payload", "signature"] {
            let flattened = bench.parts().flattened();
            let twice = format!(r#"{},"{member}":""}}"#, flattened.trim_end_matches('}'));
            malformed(&format!("{member} twice"), twice);
        }
        for member in ["alg", "kid", "url", "nonce"] {
            let header = bench.header();
            let value = header[member].clone();
            let text = header.to_string();
            let twice = format!(r#"{},"{member}":{value}}}"#, text.trim_end_matches('}'));
            malformed(
                &format!("{member} twice in the header"),
                bench.signed(&twice),
            );
        }
        // Each is signed as it stands, so that only its form is wrong.
        let key = &bench.account.key;
        let padded = |text: &str| format!("{text}=");
        let parts = bench.parts();
        malformed(
            "padding in the header",
            Parts::of_encoded(key, padded(&parts.protected), String::new()).flattened(),
        );
        let parts = bench.parts();
        malformed(
            "padding in the payload",
            Parts::of_encoded(key, parts.protected, "e30=".to_owned()).flattened(),
        );
        let mut parts = bench.parts();
        parts.signature.push_str("==");
        malformed("padding in the signature", parts.flattened());
        let parts = bench.parts();
        malformed(
            "bits beside the last octet",
            Parts::of_encoded(key, parts.protected, "e31".to_owned()).flattened(),
        );
        let mut parts = bench.parts();
        parts.signature = parts.signature.replace(['-', '_'], "+");
        parts.signature.replace_range(0..1, "+");
        malformed("the other alphabet", parts.flattened());
        let parts = bench.parts();
        malformed(
            "a line break",
            Parts::of_encoded(key, format!("{}\\n", parts.protected), String::new()).flattened(),
        );
        13
    });
}

#[test]
fn b6_the_url_is_that_of_the_request_to_the_letter() {
    story(|bench, authority| {
        let url = bench.account.url.clone();
        let port = authority.public().port();
        let status_port = authority.status_listener().port();
        let cases = [
            url.replace("127.0.0.1", "localhost"),
            url.replace("127.0.0.1", "ca.test"),
            url.replace(&port.to_string(), &status_port.to_string()),
            url.replace("https://", "http://"),
            url.replace("https://", "HTTPS://"),
            url.replace("/acme/", "/Acme/"),
            format!("{url}?x=1"),
            format!("{url}#x"),
            format!("{url}/"),
            format!(" {url}"),
            bench.client.url("newOrder"),
            String::new(),
        ];
        for other in &cases {
            let body = bench.with(|header| header["url"] = json!(other));
            bench.refused(other, body, "403 unauthorized");
        }
        bench.refused(
            "no url",
            bench.with(|header| drop(header.remove("url"))),
            "400 malformed",
        );
        // The same where the request itself goes to another spelling.
        let reply = bench
            .client
            .post(&format!("{url}?x=1"), bench.parts().flattened());
        assert_eq!(
            reply.status,
            400,
            "a query in the request: {}",
            reply.text()
        );
        cases.len() + 2
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
