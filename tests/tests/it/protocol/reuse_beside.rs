//! What was proven before, beside everything else that an order may have: the same name used on purpose (failures A10).

use chancery_jose::SignWith;
use chancery_tests::{Account, Authority, Order, Setup, csr_for, new_key};
use serde_json::{Value, json};

const CONFIGURATION: &str = r#"
[gateway.server]
reuse_authorizations = true
profiles = ["server", "short"]
[profile.short]
lifetime = "7d"
"#;

fn authority() -> Authority {
    Authority::start_with(Setup::new().configuration(CONFIGURATION))
}

/// An order for a.test that says more.
fn order_with(account: &Account<'_>, more: Value) -> Order {
    let mut asked = json!({ "identifiers": [{ "type": "dns", "value": "a.test" }] });
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    let placed = account.send(&account.client.url("newOrder"), &asked);
    assert_eq!(placed.status, 201, "{}", placed.text());
    Order {
        url: placed.header("location").to_owned(),
        object: placed.json(),
    }
}

fn life_secs(account: &Account<'_>, order: &Order) -> i64 {
    assert_eq!(order.status(), "ready");
    let key = new_key();
    let csr = csr_for(&key, &["a.test"]);
    let issued = account.try_fetch(order, key, &csr).expect("a certificate");
    let leaf = issued.leaf();
    leaf.not_after().0 - leaf.not_before().0
}

#[test]
fn a10_profile_validity_and_replacement_ask_for_no_new_proof() {
    let authority = authority();
    let client = authority.client();
    let account = client.register();
    let first = account.issue(&["a.test"]);

    let short = order_with(&account, json!({ "profile": "short" }));
    assert_eq!(short.object["profile"], "short");
    let week = 7 * 24 * 3600;
    assert!((week - 10..=week).contains(&life_secs(&account, &short)));

    let soon = chancery_pki::UnixTime(first.leaf().not_before().0 + 3 * 24 * 3600);
    let narrow = order_with(&account, json!({ "notAfter": soon.to_rfc3339() }));
    assert!(life_secs(&account, &narrow) <= 3 * 24 * 3600 + 10);

    let renewal = order_with(&account, json!({ "replaces": first.cert_id() }));
    assert_eq!(renewal.object["replaces"], first.cert_id());
    life_secs(&account, &renewal);
    authority.check_invariants();
}

#[test]
fn a10_an_address_serves_itself_again_and_nobody_else() {
    let authority = authority();
    let client = authority.client();
    let account = client.register();
    let address = [("ip", "127.0.0.1")];
    let order = account.order_typed(&address);
    assert_eq!(order.status(), "pending");
    account.try_prove(&order).expect("proven");
    assert_eq!(account.order_typed(&address).status(), "ready");
    assert_eq!(client.register().order_typed(&address).status(), "pending");
}

#[test]
fn a10_proof_stays_with_the_account_when_its_key_changes() {
    let authority = authority();
    let client = authority.client();
    let account = client.register();
    let _ = account.ready_order(&["a.test"]);
    let new = new_key();
    let url = client.url("keyChange");
    let old: Value = serde_json::from_str(&chancery_tests::jws::jwk(&account.key)).expect("JSON");
    let payload = json!({ "account": account.url, "oldKey": old }).to_string();
    let inner = chancery_jose::sign(&new, &url, None, SignWith::Jwk, Some(payload.as_bytes()));
    let inner: Value = serde_json::from_slice(&inner.expect("signs")).expect("JSON");
    assert_eq!(account.send(&url, &inner).status, 200);
    let moved = Account {
        client: &client,
        key: new,
        url: account.url,
    };
    assert_eq!(moved.order(&["a.test"]).status(), "ready");
}

#[test]
fn a10_what_was_proven_is_no_way_past_a_binding_that_was_withdrawn() {
    let authority = authority();
    let client = authority.client();
    let given = authority.eab(&["--challenge", "http-01", "--name", "a.test"]);
    let account = client.register_bound(&given);
    let _ = account.ready_order(&["a.test"]);
    let again = account.order(&["a.test"]);
    assert_eq!(again.status(), "ready", "by a challenge that it may answer");
    assert_eq!(
        client.register().order(&["a.test"]).status(),
        "pending",
        "it serves the account that proved it"
    );
    let done = authority.operator(&["eab", "revoke", &given.kid, "--yes"]);
    assert!(done.status.success(), "{}", done.stderr);
    assert_eq!(
        account.ask_order(&["a.test"]).in_short(),
        "403 unauthorized"
    );
    let csr = csr_for(&new_key(), &["a.test"]);
    let refused = account.finalize(&again, &csr);
    assert_eq!(refused.in_short(), "403 unauthorized");
    authority.check_invariants();
}
