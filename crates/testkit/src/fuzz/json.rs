use chancery_acme::{
    Account, AccountUpdate, Authorization, AuthorizationUpdate, Challenge, ChallengeAnswer,
    Directory, Finalize, NewAccount, NewOrder, Order, Problem, RevokeRequest, Token, check_contact,
    from_slice_bounded,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Form, MEMORY_BASE, Outcome, Target};

pub(super) const TARGET: Target = Target {
    name: "json",
    run,
    samples,
    tokens: &[
        b"{\"",
        b"\":",
        b"\",",
        b"[[[[[[[[",
        b"]",
        b"null",
        b"true",
        b"1e999",
        b"-1",
        b"99999999999999999999",
        b"\\u0000",
        b"\\ud800",
        b"\"identifiers\":[",
        b"\"status\":",
        b"\"detail\":",
        b"\"subproblems\":[",
        b"\"contact\":[\"mailto:a@b.test\"]",
        b"\"notBefore\":\"2026-01-01T00:00:00Z\"",
        b"\"type\":\"dns\"",
        b"\"value\":\"*.a.test\"",
        b"urn:ietf:params:acme:error:",
    ],
    form: Form::Bytes,
    memory_base: MEMORY_BASE,
};

/// Reads the input as every message of RFC 8555; what was read and written again reads as the same.
fn run(input: &[u8]) -> Outcome {
    let outcomes = [
        requests(input),
        again::<Directory>(input),
        again::<Account>(input),
        again::<Order>(input),
        again::<Authorization>(input),
        again::<Challenge>(input),
        again::<Problem>(input),
    ];
    outcomes
        .into_iter()
        .reduce(Outcome::and)
        .expect("there are seven")
}

fn requests(input: &[u8]) -> Outcome {
    if let Ok(account) = from_slice_bounded::<NewAccount>(input) {
        for contact in &account.contact {
            check_contact(contact).ok();
        }
    }
    if let Ok(order) = from_slice_bounded::<NewOrder>(input) {
        for identifier in &order.identifiers {
            identifier.to_san().ok();
        }
    }
    if let Ok(challenge) = from_slice_bounded::<Challenge>(input) {
        challenge.token.as_deref().and_then(Token::parse);
    }
    again::<NewAccount>(input)
        .and(again::<AccountUpdate>(input))
        .and(again::<NewOrder>(input))
        .and(again::<Finalize>(input))
        .and(again::<AuthorizationUpdate>(input))
        .and(again::<RevokeRequest>(input))
        .and(again::<ChallengeAnswer>(input))
}

fn again<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(input: &[u8]) -> Outcome {
    let read = from_slice_bounded::<T>(input);
    if let Ok(value) = &read {
        let written = serde_json::to_vec(value).expect("a message can be written");
        let second = from_slice_bounded::<T>(&written).expect("what we write we can read");
        assert_eq!(&second, value, "a message reads as it was written");
    }
    match read {
        Ok(_) => Outcome::of("accepted"),
        // What follows is the variant that the input has instead, another one for each input.
        Err(error) => Outcome::of(
            error
                .to_string()
                .split("unknown variant")
                .next()
                .unwrap_or(""),
        ),
    }
}

fn samples() -> Vec<Vec<u8>> {
    let texts = [
        r#"{"contact":["mailto:admin@corp.test"],"termsOfServiceAgreed":true,"onlyReturnExisting":false,"externalAccountBinding":{"protected":"e30","payload":"e30","signature":"AA"}}"#,
        r#"{"status":"deactivated"}"#,
        r#"{"identifiers":[{"type":"dns","value":"*.corp.test"},{"type":"ip","value":"192.0.2.1"}],"notBefore":"2026-01-01T00:00:00Z","notAfter":"2026-02-01T00:00:00.5+01:00","profile":"server","replaces":"AA.BB"}"#,
        r#"{"csr":"MIIB"}"#,
        r#"{"certificate":"MIIB","reason":1}"#,
        "{}",
        r#"{"newNonce":"https://a.test/n","newAccount":"https://a.test/a","newOrder":"https://a.test/o","revokeCert":"https://a.test/r","keyChange":"https://a.test/k","meta":{"termsOfService":"https://a.test/t","caaIdentities":["a.test"],"externalAccountRequired":true,"profiles":{"server":"TLS"}}}"#,
        r#"{"status":"valid","contact":["mailto:a@b.test"],"termsOfServiceAgreed":true,"orders":"https://a.test/orders"}"#,
        r#"{"status":"invalid","expires":"2026-01-01T00:00:00Z","identifiers":[{"type":"dns","value":"a.test"}],"authorizations":["https://a.test/z"],"finalize":"https://a.test/f","certificate":"https://a.test/c","error":{"type":"urn:ietf:params:acme:error:unauthorized","detail":"no","status":403,"subproblems":[{"type":"about:blank","detail":"x","identifier":{"type":"dns","value":"a.test"}}]}}"#,
        r#"{"identifier":{"type":"dns","value":"a.test"},"status":"pending","expires":"2026-01-01T00:00:00Z","wildcard":true,"challenges":[{"type":"http-01","url":"https://a.test/c","status":"pending","token":"0123456789abcdef0123456789"},{"type":"unknown-01","url":"https://a.test/d","status":"valid","validated":"2026-01-01T00:00:00Z"}]}"#,
        r#"{"type":"http-01","url":"https://a.test/c","status":"invalid","token":"0123456789abcdef0123456789","error":{"type":"urn:ietf:params:acme:error:dns","detail":"no such name"}}"#,
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}
