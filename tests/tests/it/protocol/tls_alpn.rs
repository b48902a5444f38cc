//! tls-alpn-01 (RFC 8737) at the front door: what is a proof, and the responders of failures A2.

use std::net::{Ipv4Addr, SocketAddr};

use chancery_pki::San;
use chancery_testkit::hostile_alpn::{
    AltName, Answer, ChallengeCertificate, HostileAlpn, Identifier,
};
use chancery_tests::{Account, Authority, csr_for, new_key, runtime};
use serde_json::Value;

const KIND: &str = "tls-alpn-01";

fn responder(authority: &Authority) -> HostileAlpn {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, authority.tls_port()));
    let started = runtime().block_on(HostileAlpn::start_on(addr));
    started.expect("the port is free")
}

fn proof(account: &Account<'_>, authorization_url: &str) -> String {
    let challenge = account.challenge(authorization_url, KIND);
    account.key_authorization(challenge["token"].as_str().expect("a token"))
}

fn outcome(account: &Account<'_>, authorization_url: &str) -> Value {
    let decided = account.decided(authorization_url, &["valid", "invalid"]);
    let object = decided.expect("an answer").json();
    let all = object["challenges"].as_array().cloned().unwrap_or_default();
    let ours = all.into_iter().find(|challenge| challenge["type"] == KIND);
    ours.expect("the challenge that was answered")
}

#[test]
fn a_host_that_shows_the_digest_gets_its_certificate() {
    let authority = Authority::start();
    let web = responder(&authority);
    let client = authority.client();
    let account = client.register();
    let order = account.order(&["a.test"]);
    let url = order.authorizations().remove(0);
    assert_eq!(account.offered(&url), ["http-01", "dns-01", KIND]);
    let name = San::parse("a.test").expect("a name");
    let shown = ChallengeCertificate::right(&name, &proof(&account, &url));
    web.on("a.test", Answer::Show(shown));
    account.respond(&url, KIND);
    assert_eq!(outcome(&account, &url)["status"], "valid");
    let order = account.look_at(&order).expect("the order");
    assert_eq!(order.status(), "ready");
    let key = new_key();
    let csr = csr_for(&key, &["a.test"]);
    let issued = account.try_fetch(&order, key, &csr).expect("a certificate");
    assert_eq!(issued.leaf().sans(), [name]);
    for seen in web.hellos() {
        assert_eq!(seen.protocols, ["acme-tls/1"]);
        assert_eq!(seen.application_octets, 0);
    }
}

#[test]
fn a10_a_wildcard_is_offered_dns_01_alone() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.order(&["*.a.test"]);
    let [url] = order.authorizations().try_into().expect("one");
    assert_eq!(account.offered(&url), ["dns-01"]);
}

/// Makes what a responder does of the right certificate and the key authorization.
type Wrong = fn(ChallengeCertificate, &str) -> Answer;

/// What is wrong with a responder, the problem that it leads to, and a word of the sentence.
const RESPONDERS: [(&str, &str, &str, Wrong); 9] = [
    ("tls-11-only", "tls", "handshake", |_, _| Answer::Tls11),
    ("old-oid", "unauthorized", "old draft", |right, proof| {
        let old = Identifier::of(proof).of_drafts();
        Answer::Show(right.but(|shown| shown.identifiers = vec![old]))
    }),
    (
        "not-critical",
        "unauthorized",
        "critical",
        |right, proof| {
            let soft = Identifier::of(proof).not_critical();
            Answer::Show(right.but(|shown| shown.identifiers = vec![soft]))
        },
    ),
    ("two-sans", "unauthorized", "2 entries", |right, _| {
        let other = AltName::Dns("b.test".to_owned());
        Answer::Show(right.but(|shown| shown.names.push(other)))
    }),
    ("other-name", "unauthorized", "2 entries", |right, _| {
        Answer::Show(right.but(|shown| shown.names.push(AltName::Other)))
    }),
    ("twice", "tls", "more than once", |right, proof| {
        let again = Identifier::of(proof);
        Answer::Show(right.but(|shown| shown.identifiers.push(again)))
    }),
    ("no-alpn", "tls", "ALPN", |right, _| {
        Answer::WithoutAlpn(right)
    }),
    ("other-alpn", "tls", "handshake", |right, _| {
        Answer::OtherProtocol(right)
    }),
    ("one-bit", "incorrectResponse", "digest", |right, proof| {
        let off = Identifier::of(proof).off_by_one_bit();
        Answer::Show(right.but(|shown| shown.identifiers = vec![off]))
    }),
];

#[test]
fn a2_no_wrong_responder_proves_anything() {
    let authority = Authority::start();
    let web = responder(&authority);
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let asked: Vec<_> = RESPONDERS
        .iter()
        .map(|(what, _, _, answer)| {
            let text = format!("{what}.test");
            let url = account.order(&[&text]).authorizations().remove(0);
            let name = San::parse(&text).expect("a name");
            let proof = proof(&account, &url);
            let right = ChallengeCertificate::right(&name, &proof);
            web.on(&text, answer(right, &proof));
            account.respond(&url, KIND);
            url
        })
        .collect();
    for (url, (what, problem, word, _)) in asked.iter().zip(RESPONDERS) {
        let challenge = outcome(&account, url);
        assert_eq!(challenge["status"], "invalid", "{what}: {challenge}");
        let kind = format!("urn:ietf:params:acme:error:{problem}");
        assert_eq!(challenge["error"]["type"], kind, "{what}: {challenge}");
        let detail = challenge["error"]["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(word), "{what}: {detail}");
    }
    calm.holds(&authority);
}
