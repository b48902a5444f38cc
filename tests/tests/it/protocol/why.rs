//! "Why?": one order, one story (law 11; failures B5).

use chancery_tests::{Authority, Order, csr_for, new_key};
use serde_json::Value;

fn story(authority: &Authority, id: &str) -> Value {
    let mut told = authority.told(&["order", "why", id]);
    assert_eq!(told.len(), 1);
    told.remove(0)
}

fn number_of(authority: &Authority, name: &str) -> String {
    let orders = authority.told(&["order", "list"]);
    let found = orders.iter().find(|order| order["names"][0] == name);
    let id = found.expect("it is listed")["id"].as_str();
    id.expect("a number").to_owned()
}

/// What happened, in order.
fn happened(story: &Value) -> Vec<&str> {
    let events = story["timeline"].as_array().expect("a timeline");
    events.iter().filter_map(|it| it["what"].as_str()).collect()
}

/// What was seen at one event.
fn seen<'s>(story: &'s Value, what: &str) -> Vec<&'s str> {
    let events = story["timeline"].as_array().expect("a timeline");
    let event = events.iter().find(|it| it["what"] == what);
    let seen = event.expect("it happened")["seen"].as_array();
    let all = seen.expect("a list");
    for one in all {
        let after = one["after_ms"].as_u64().expect("each has its time");
        assert!(after < 30_000, "{one}");
    }
    all.iter().filter_map(|it| it["what"].as_str()).collect()
}

#[test]
fn an_order_that_went_well_is_told_from_end_to_end() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let told = story(&authority, &number_of(&authority, "a.test"));
    assert_eq!(told["status"], "valid");
    assert_eq!(told["serial"], issued.serial());
    assert_eq!(
        happened(&told),
        [
            "placed",
            "http-01 taken up",
            "proven by http-01",
            "finalized; lint passed, serial fixed",
            "certificate signed and recorded",
        ]
    );
    let seen = seen(&told, "proven by http-01");
    assert!(seen.contains(&"asked a.test A: 127.0.0.1"), "{seen:?}");
    let connected = format!("dialled 127.0.0.1:{}: connected", authority.http_port());
    assert!(seen.contains(&connected.as_str()), "{seen:?}");
    assert!(seen.iter().any(|it| it.contains("status 200")), "{seen:?}");

    assert_eq!(account.revoke(&issued, None).status, 200);
    let told = story(&authority, &issued.order.url);
    assert_eq!(happened(&told).last(), Some(&"certificate revoked"));
}

#[test]
fn b5_an_order_that_failed_says_what_was_seen_and_repeats_nothing_that_was_fetched() {
    const SECRET: &str = "SECRET-canary-123";
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.order(&["a.test", "b.test"]);
    let failing = &order.authorizations()[0];
    let challenge = account.challenge(failing, "http-01");
    let token = challenge["token"].as_str().expect("a token");
    authority.site().tokens.put_token(token, SECRET);
    account.respond(failing, "http-01");
    let invalid = account.decided(failing, &["invalid"]).expect("it fails");
    assert!(!invalid.text().contains(SECRET));

    // A client has the URL of the order, and of its finalization.
    for named in [order.url.as_str(), order.finalize_url()] {
        let told = story(&authority, named);
        assert_eq!(told["status"], "invalid");
        let error = told["error"].as_str().expect("a sentence");
        assert!(invalid.text().contains(error), "the client reads the same");
        assert_eq!(
            happened(&told),
            ["placed", "http-01 taken up", "http-01 failed for good"]
        );
        let seen = seen(&told, "http-01 failed for good");
        assert!(seen.contains(&"asked a.test A: 127.0.0.1"), "{seen:?}");
        let fetched = seen.iter().find(|it| it.starts_with("fetched "));
        let octets = format!("status 200, {} octets", SECRET.len());
        assert!(fetched.is_some_and(|it| it.ends_with(&octets)), "{seen:?}");
    }
    let text = authority.operator(&["order", "why", &order.url]);
    assert!(
        text.stdout.contains("a.test: http-01 failed for good"),
        "{}",
        text.stdout
    );
    let show = authority.operator(&["order", "show", &order.url, "--json"]);
    for printed in [text.stdout, show.stdout, authority.output()] {
        assert!(!printed.contains(SECRET), "{printed}");
    }
}

#[test]
fn refusals_and_attempts_stand_in_the_story_too() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let ready: Order = account.ready_order(&["a.test"]);
    let refused = account.finalize(&ready, &csr_for(&new_key(), &["b.test"]));
    assert_eq!(refused.in_short(), "400 badCSR");
    let told = story(&authority, &ready.url);
    assert_eq!(told["status"], "ready");
    let events = told["timeline"].as_array().expect("a timeline");
    let refusal = events.iter().find(|it| it["what"] == "refused");
    let refusal = refusal.expect("it is remembered");
    assert!(
        refusal["detail"]
            .as_str()
            .is_some_and(|it| it.contains("b.test")),
        "{refusal}"
    );
    assert_eq!(
        refusal["who"],
        format!("account {}", told["account"].as_str().expect("a number"))
    );

    // Nothing listens there: three attempts, two of which were to be followed by another.
    let order = account.order(&["refused.test"]);
    let nowhere = [127, 0, 0, 77].into();
    let zone = &authority.site().zone;
    zone.set_a("refused.test", nowhere).expect("a name");
    account.respond(&order.authorizations()[0], "http-01");
    account
        .decided(&order.authorizations()[0], &["invalid"])
        .expect("it fails");
    let told = story(&authority, &order.url);
    let attempts = happened(&told);
    assert_eq!(
        attempts,
        [
            "placed",
            "http-01 taken up",
            "http-01 failed; it is tried again",
            "http-01 failed; it is tried again",
            "http-01 failed for good",
        ]
    );
    authority.check_invariants();
}

#[test]
fn what_is_no_order_is_refused_in_words() {
    let authority = Authority::start();
    for (named, code, says) in [
        ("17", 1, "no such order"),
        (
            "https://ca.test/acme/server/order/AAAA",
            1,
            "its number or its URL",
        ),
        ("a b", 2, "order list"),
    ] {
        let refused = authority.operator(&["order", "why", named]);
        assert_eq!(refused.status.code(), Some(code), "{named}");
        assert!(refused.stderr.contains(says), "{named}: {}", refused.stderr);
    }
    let help = authority_help();
    assert!(help.contains("or its URL, from the client"), "{help}");
}

fn authority_help() -> String {
    let mut command = std::process::Command::new(chancery_tests::chancery());
    command.args(["order", "why", "--help"]);
    let output = command.output().expect("it runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
