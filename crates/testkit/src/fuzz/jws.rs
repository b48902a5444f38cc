use chancery_crypto::MacKey;
use chancery_jose::{BindingJws, Jwk, Jws, JwsKey, SignWith, SignerRef, b64, bind, sign, unb64};

use super::samples::world;
use super::{Form, MEMORY_BASE, Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "jws",
    run,
    samples,
    tokens: &[
        b"{\"",
        b"\":",
        b"\",\"",
        b"\"}",
        b"\"protected\":",
        b"\"payload\":",
        b"\"signature\":",
        b"\"header\":{}",
        b"\"alg\":\"none\"",
        b"\"alg\":\"HS256\"",
        b"\"alg\":\"ES256\"",
        b"\"crit\":[\"b64\"]",
        b"\"b64\":false",
        b"\"kid\":\"https://a.test/acct/1\"",
        b"\"jwk\":{",
        b"\"kty\":\"RSA\"",
        b"\"crv\":\"P-256\"",
        b"\"d\":\"AA\"",
        b"[[[[[[[[[[[[[[[[[",
        b"=",
    ],
    form: Form::Bytes,
    memory_base: MEMORY_BASE,
};

/// Reads the input as a request's body, as the text of a protected header inside a good body, as an external account
/// binding, and as a key.
fn run(input: &[u8]) -> Outcome {
    as_body(input)
        .and(as_header(input))
        .and(as_binding(input))
        .and(as_key(input))
}

fn as_body(input: &[u8]) -> Outcome {
    let jws = match Jws::parse(input) {
        Ok(jws) => jws,
        Err(error) => return Outcome::of(error),
    };
    let named = match &jws.header().signer {
        SignerRef::Jwk(jwk) => jwk.key().clone(),
        SignerRef::Kid(_) => world().subject_key.public().clone(),
    };
    let verified = JwsKey::new(&named).and_then(|key| jws.verify(&key));
    if let Ok(verified) = &verified {
        assert_eq!(verified.is_post_as_get(), verified.payload().is_empty());
    }
    Outcome::of("read").and(Outcome::of_result(&verified))
}

/// Mutations of a body seldom leave the base64 of its header whole; here the header is the input.
fn as_header(input: &[u8]) -> Outcome {
    let protected = b64(input);
    assert_eq!(
        unb64(&protected).as_deref(),
        Ok(input),
        "base64url reads what it wrote"
    );
    let body = format!(r#"{{"protected":"{protected}","payload":"e30","signature":"AA"}}"#);
    as_body(body.as_bytes())
}

fn as_binding(input: &[u8]) -> Outcome {
    let message = match BindingJws::parse(input) {
        Ok(message) => message,
        Err(error) => return Outcome::of(error),
    };
    let account = Jwk::from_key(world().subject_key.public());
    Outcome::of("read").and(Outcome::of_result(&message.verify(&secret(), &account)))
}

fn secret() -> MacKey {
    MacKey::new(b"a secret of the samples")
}

fn as_key(input: &[u8]) -> Outcome {
    let Ok(text) = std::str::from_utf8(input) else {
        return Outcome::of("not text");
    };
    let jwk = Jwk::from_json(text);
    if let Ok(jwk) = &jwk {
        let again = Jwk::from_json(&jwk.to_json()).expect("what we write we can read");
        assert_eq!(
            again.thumbprint(),
            jwk.thumbprint(),
            "a key has one thumbprint"
        );
    }
    Outcome::of_result(&jwk)
}

fn samples() -> Vec<Vec<u8>> {
    let key = &world().subject_key;
    let url = "https://ca.corp.test/acme/new-order";
    let kid = SignWith::Kid("https://ca.corp.test/acme/account/1");
    let order = br#"{"identifiers":[{"type":"dns","value":"www.corp.test"}]}"#;
    let signed = |nonce, signer, payload| {
        sign(key, url, nonce, signer, payload).expect("Ed25519 signs everything")
    };
    let jwk = Jwk::from_key(key.public()).to_json();
    let header = format!(r#"{{"alg":"EdDSA","nonce":"AAAA","url":"{url}","jwk":{jwk}}}"#);
    vec![
        signed(
            Some("oFvnlFP1wIhRlYS2jTaXbA"),
            SignWith::Jwk,
            Some(order.as_slice()),
        ),
        signed(Some("oFvnlFP1wIhRlYS2jTaXbA"), kid, Some(b"{}".as_slice())),
        signed(Some("oFvnlFP1wIhRlYS2jTaXbA"), kid, None),
        signed(None, SignWith::Jwk, Some(order.as_slice())),
        header.into_bytes(),
        bind(&secret(), "kid", url, &Jwk::from_key(key.public())).into_bytes(),
        jwk.into_bytes(),
    ]
}
