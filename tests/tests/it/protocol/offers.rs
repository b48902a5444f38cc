//! What is offered, and what must not be (failures A3, A13, A14): only the challenges of the configuration, no proof by
//! letters or registries, no way around a proof.

use std::fs;
use std::time::Duration;

use chancery_tests::{Account, Authority, Reply, Setup, chancery, csr_for, eventually, new_key};
use serde_json::{Value, json};

/// A first attempt is refused at once where nobody listens; a busy machine takes longer.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(30);

const GATEWAYS: &str = r#"
[gateway.server]
challenges = ["http-01", "dns-01", "tls-alpn-01"]
[gateway.zone]
challenges = ["dns-01"]
[gateway.host]
challenges = ["tls-alpn-01", "http-01"]
[gateway.web]
challenges = ["http-01"]
"#;

fn order(account: &Account<'_>, kind: &str, value: &str) -> Reply {
    let asked = json!({ "identifiers": [{ "type": kind, "value": value }] });
    account.send(&account.client.url("newOrder"), &asked)
}

#[test]
fn a3_an_order_offers_what_is_configured_for_its_gateway_and_nothing_else() {
    let authority = Authority::start_with(Setup::new().configuration(GATEWAYS));
    let everything = ["http-01", "dns-01", "tls-alpn-01"];
    let table: [(&str, [&[&str]; 3]); 4] = [
        (
            "server",
            [&everything, &["dns-01"], &["http-01", "tls-alpn-01"]],
        ),
        ("zone", [&["dns-01"], &["dns-01"], &[]]),
        (
            "host",
            [
                &["tls-alpn-01", "http-01"],
                &[],
                &["tls-alpn-01", "http-01"],
            ],
        ),
        ("web", [&["http-01"], &[], &["http-01"]]),
    ];
    let names = [("dns", "a.test"), ("dns", "*.a.test"), ("ip", "10.0.0.1")];
    for (gateway, expected) in table {
        let client = authority.client_of(gateway);
        let account = client.register();
        for ((kind, value), expected) in names.iter().zip(expected) {
            let reply = order(&account, kind, value);
            if expected.is_empty() {
                assert_eq!(
                    reply.in_short(),
                    "400 rejectedIdentifier",
                    "{gateway} {value}: {}",
                    reply.text()
                );
                continue;
            }
            assert_eq!(reply.status, 201, "{gateway} {value}: {}", reply.text());
            let order = reply.json();
            let url = order["authorizations"][0].as_str().expect("a URL");
            assert_eq!(account.offered(url), expected, "{gateway} {value}");
            let all = format!("{order} {}", account.read(url).text());
            assert!(!all.contains("tls-sni"), "{gateway} {value}: {all}");
        }
    }
}

/// What can be read in a file: its octets in lower case, with a dot for each that is no letter of ASCII.
fn readable(octets: Vec<u8>) -> String {
    let letter = |octet: u8| if octet.is_ascii() { octet } else { b'.' };
    let text: Vec<u8> = octets.into_iter().map(letter).collect();
    let text = String::from_utf8(text).expect("ASCII");
    text.to_ascii_lowercase()
}

/// Words that would be there if somebody knew what nobody must know.
fn are_nowhere(text: &str, words: &[&str]) {
    for word in words {
        if let Some(at) = text.find(word) {
            let around = &text[at.saturating_sub(80)..text.len().min(at + 80)];
            panic!("{word:?} in {around:?}");
        }
    }
}

#[test]
fn a3_a13_a14_the_program_knows_no_weak_proof_and_no_way_around_one() {
    let program = readable(fs::read(chancery()).expect("the program"));
    for word in ["tls-alpn-01", "http_port", "chancery_log"] {
        assert!(program.contains(word), "{word} is found where it is");
    }
    are_nowhere(
        &program,
        &[
            "tls-sni-0",
            "email-reply",
            "whois",
            "always_valid",
            "always-valid",
            "skip_validation",
            "skip-validation",
            "validation_skip",
            "no_validation",
            "no-validation",
            "disable_validation",
            "pebble_va",
        ],
    );
}

#[test]
fn a13_nothing_is_proven_by_mail_or_by_registries() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let directory = client.http.get(authority.directory()).text();
    are_nowhere(&directory.to_ascii_lowercase(), &["mail", "whois"]);
    let calm = authority.calm();
    let mut refused = 0;
    for (kind, value) in [
        ("email", "admin@a.test"),
        ("mail", "admin@a.test"),
        ("whois", "a.test"),
        ("dns-email", "a.test"),
    ] {
        let reply = order(&account, kind, value);
        assert_eq!(reply.in_short(), "400 unsupportedIdentifier", "{kind}");
        refused += 1;
    }
    for value in ["admin@a.test", "mailto:admin@a.test", "whois:a.test"] {
        assert_eq!(order(&account, "dns", value).in_short(), "400 malformed");
        refused += 1;
    }
    // There is no challenge beyond those that were offered, whatever its answer says.
    let made = account.order(&["a.test"]);
    let url = made.authorizations().remove(0);
    let first = account.challenge(&url, "http-01")["url"].clone();
    let first = first.as_str().expect("a URL");
    let (rest, last) = first.rsplit_once('/').expect("a path");
    let beyond = ["email-reply-00", "email", "whois", "3", "255"];
    for word in beyond {
        let asked = json!({ "type": word, "token": "x" });
        let below = account.send(&format!("{first}/{word}"), &asked);
        assert_eq!(below.in_short(), "404 malformed", "{word}");
        let beside = account.send(&format!("{rest}/{last}{word}"), &asked);
        assert_eq!(beside.in_short(), "403 unauthorized", "{word}");
        refused += 1;
    }
    assert_eq!(account.read(&url).json()["status"], "pending");
    calm.holds_and_counted(&authority, refused);
}

/// What operators and developers read. The reading of the RFC quotes what others do, so it is not looked at.
#[test]
fn a13_no_page_promises_proof_by_mail_or_by_registries() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    for page in ["README.md", "docs/operating.md", "docs/design.md"] {
        let text =
            fs::read(format!("{root}/{page}")).unwrap_or_else(|error| panic!("{page}: {error}"));
        are_nowhere(&readable(text), &["whois", "email", "e-mail", "tls-sni"]);
    }
}

#[test]
fn a14_what_others_call_always_valid_makes_nothing_valid() {
    let authority = Authority::start_with(
        Setup::new()
            .without_web_host()
            .environment("PEBBLE_VA_ALWAYS_VALID", "1")
            .environment("PEBBLE_VA_NOSLEEP", "1")
            .environment("PEBBLE_AUTHZREUSE", "100")
            .environment("VA_ALWAYS_VALID", "1")
            .environment("SKIP_VALIDATION", "1")
            .environment("ALWAYS_VALID", "true"),
    );
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    for kind in ["http-01", "dns-01", "tls-alpn-01"] {
        let made = account.order(&["a.test"]);
        let url = made.authorizations().remove(0);
        account.respond(&url, kind);
        let error = eventually("an attempt fails", ATTEMPT_WITHIN, || {
            let challenge = account.challenge(&url, kind);
            assert_ne!(challenge["status"], "valid", "{kind}: {challenge}");
            let error = challenge["error"].clone();
            error.is_object().then_some(error)
        });
        assert_ne!(error["type"], Value::Null, "{kind}: {error}");
        assert_ne!(account.read(&url).json()["status"], "valid", "{kind}");
        let refused = account.finalize(&made, &csr_for(&new_key(), &["a.test"]));
        assert_eq!(refused.in_short(), "403 orderNotReady", "{kind}");
        let seen = account.look_at(&made).expect("the order");
        assert!(["pending", "invalid"].contains(&seen.status()), "{kind}");
    }
    calm.holds(&authority);
}
