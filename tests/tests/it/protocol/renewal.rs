//! Renewal as the server steers it: renewal information, replacement, validity (RFC 9773, RFC 8555 §7.4).

use chancery_pki::UnixTime;
use chancery_tests::{Account, Authority, Client, Reply, csr_for, new_key};
use serde_json::{Value, json};

fn renewal_info(client: &Client, cert_id: &str) -> Reply {
    client
        .http
        .get(&format!("{}/{cert_id}", client.url("renewalInfo")))
}

fn time(value: &Value) -> UnixTime {
    UnixTime::parse_rfc3339(value.as_str().expect("a time")).expect("a time")
}

fn place(account: &Account<'_>, name: &str, more: &Value) -> Reply {
    let mut asked = json!({ "identifiers": [{ "type": "dns", "value": name }] });
    for (key, value) in more.as_object().expect("members") {
        asked[key] = value.clone();
    }
    account.send(&account.client.url("newOrder"), &asked)
}

#[test]
fn the_window_is_told_to_whoever_knows_the_certificate_and_passes_with_its_revocation() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let told = renewal_info(&client, &issued.cert_id());
    assert_eq!(told.status, 200, "{}", told.text());
    let again: u64 = told.header("retry-after").parse().expect("seconds");
    assert!((60..=21_600).contains(&again), "{again}");
    let window = told.json()["suggestedWindow"].clone();
    let (start, end) = (time(&window["start"]), time(&window["end"]));
    let leaf = issued.leaf();
    assert!(leaf.not_before() < start && start < end && end < leaf.not_after());

    assert_eq!(account.revoke(&issued, Some(1)).status, 200);
    let window = renewal_info(&client, &issued.cert_id()).json()["suggestedWindow"].clone();
    assert!(
        time(&window["end"]) < start,
        "it should have been replaced already"
    );
    for (odd, says) in [
        ("AAAA.AAAA", "404 malformed"),
        ("AAAA", "400 malformed"),
        ("a.b.c", "400 malformed"),
    ] {
        let refused = renewal_info(&client, odd);
        assert_eq!(refused.in_short(), says, "{odd}: {}", refused.text());
    }
}

#[test]
fn a_certificate_is_replaced_by_one_order_at_a_time() {
    let authority = Authority::start();
    let client = authority.client();
    let (account, stranger) = (client.register(), client.register());
    let issued = account.issue(&["a.test"]);
    let replaces = json!({ "replaces": issued.cert_id() });
    let refused = place(&stranger, "a.test", &replaces);
    assert_eq!(refused.in_short(), "400 malformed", "{}", refused.text());
    let refused = place(&account, "b.test", &replaces);
    assert_eq!(refused.in_short(), "400 malformed", "{}", refused.text());

    // Of many at once, one.
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| place(&account, "a.test", &replaces)))
            .collect();
        running
            .into_iter()
            .map(|one| one.join().expect("it answers"))
            .collect()
    });
    let (placed, others): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert_eq!(placed.len(), 1);
    for other in others {
        assert_eq!(other.in_short(), "409 alreadyReplaced", "{}", other.text());
    }
    assert_eq!(placed[0].json()["replaces"], replaces["replaces"]);

    // An order that came to nothing has replaced nothing.
    let order = placed[0].json();
    let authorization = order["authorizations"][0].as_str().expect("one");
    account.send(authorization, &json!({ "status": "deactivated" }));
    assert_eq!(place(&account, "a.test", &replaces).status, 201);
    assert_eq!(
        place(&account, "a.test", &replaces).in_short(),
        "409 alreadyReplaced"
    );
    authority.check_invariants();
}

#[test]
fn a_certificate_has_the_validity_that_was_asked_for_or_is_not_made() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let natural = account.issue(&["a.test"]).leaf();
    let end = natural.not_after().minus(86_400).to_rfc3339();
    let placed = place(&account, "b.test", &json!({ "notAfter": end }));
    assert_eq!(placed.status, 201, "{}", placed.text());
    assert_eq!(placed.json()["notAfter"], end.as_str());
    assert_eq!(
        placed.json()["profile"],
        "server",
        "the profile that was chosen is told"
    );
    let order = chancery_tests::Order {
        url: placed.header("location").to_owned(),
        object: placed.json(),
    };
    let ready = account.try_prove(&order).expect("it is proven");
    let key = new_key();
    let csr = csr_for(&key, &["b.test"]);
    let narrow = account
        .try_fetch(&ready, key, &csr)
        .expect("a certificate")
        .leaf();
    assert_eq!(narrow.not_after().to_rfc3339(), end);

    let late = natural.not_after().plus(86_400).to_rfc3339();
    let early = natural.not_before().minus(86_400).to_rfc3339();
    for asked in [
        json!({ "notAfter": late }),
        json!({ "notBefore": early, "notAfter": end }),
        json!({ "notBefore": end, "notAfter": end }),
        json!({ "notBefore": late }),
    ] {
        let refused = place(&account, "c.test", &asked);
        assert_eq!(
            refused.in_short(),
            "400 malformed",
            "{asked}: {}",
            refused.text()
        );
    }
    authority.check_invariants();
}
