//! Replay nonces (RFC 8555 §6.5, failures B7).

use std::sync::Barrier;

use chancery_jose::{SignWith, sign};
use chancery_tests::{Authority, Reply, jws};
use serde_json::json;

#[test]
fn b7_a_nonce_used_twice_is_refused_once() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let url = client.url("newOrder");
    let asked = json!({ "identifiers": [{ "type": "dns", "value": "a.test" }] }).to_string();
    for _ in 0..10 {
        let nonce = client.fresh_nonce();
        let body = |text: &str| {
            sign(
                &account.key,
                &url,
                Some(&nonce),
                SignWith::Kid(&account.url),
                Some(text.as_bytes()),
            )
            .expect("a key signs")
        };
        let bodies = [body(&asked), body(&asked)];
        let start = Barrier::new(2);
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let send = |body| {
                start.wait();
                client.post(&url, body)
            };
            let sending = bodies.map(|body| scope.spawn(move || send(body)));
            sending
                .map(|thread| thread.join().expect("an answer"))
                .into()
        });
        let mut told: Vec<String> = replies.iter().map(Reply::in_short).collect();
        told.sort();
        assert_eq!(told, ["201", "400 badNonce"], "taken once");
        assert!(
            replies
                .iter()
                .all(|reply| !reply.header("replay-nonce").is_empty())
        );
    }
}

#[test]
fn b7_a_restart_voids_nonces_and_clients_recover_in_one_retry() {
    let mut authority = Authority::start();
    let (nonce, key, account_url) = {
        let client = authority.client();
        let account = client.register();
        (client.fresh_nonce(), account.key, account.url)
    };
    authority.restart();
    let client = authority.client();
    let url = account_url.as_str();
    let body =
        |nonce: &str| sign(&key, url, Some(nonce), SignWith::Kid(url), None).expect("a key signs");
    let first = client.post(url, body(&nonce));
    assert_eq!(first.in_short(), "400 badNonce");
    let second = client.post(url, body(first.header("replay-nonce")));
    assert_eq!(
        (second.status, &second.json()["status"]),
        (200, &json!("valid"))
    );
}

#[test]
fn b7_what_is_no_nonce_of_ours_is_refused() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let good = client.fresh_nonce();
    let flipped = format!(
        "{}{}",
        if good.starts_with('A') { "B" } else { "A" },
        &good[1..]
    );
    let cases = [
        (flipped, "badNonce"),
        (String::new(), "malformed"),
        ("AAAAAAAAAAAAAAAAAAAAAA".to_owned(), "badNonce"),
        ("A".repeat(4000), "malformed"),
        (format!("{good}="), "malformed"),
        ("not base64url".to_owned(), "malformed"),
        ("\u{0}".to_owned(), "malformed"),
    ];
    let refused = cases.len() + 1;
    for (nonce, expected) in cases {
        let header = jws::header(&account.key, &account.url, &nonce, &account.url).to_string();
        let reply = client.post(
            &account.url,
            jws::Parts::signed(&account.key, &header, b"").flattened(),
        );
        assert_eq!(
            reply.in_short(),
            format!("400 {expected}"),
            "a nonce of {} characters",
            nonce.len()
        );
    }
    let mut header = jws::header(&account.key, &account.url, "", &account.url);
    header.as_object_mut().expect("an object").remove("nonce");
    let parts = jws::Parts::signed(&account.key, &header.to_string(), b"");
    assert_eq!(
        client.post(&account.url, parts.flattened()).in_short(),
        "400 badNonce"
    );
    calm.holds_and_counted(&authority, refused);
}

#[test]
fn b7_nonces_that_nobody_uses_cost_no_memory() {
    const ASKED: usize = 10_000;
    const BYTES_MAX: u64 = 20 << 20;
    let authority = Authority::start();
    let client = authority.client();
    let ask = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..count / 4).for_each(|_| drop(client.fresh_nonce())));
            }
        });
    };
    ask(ASKED / 10);
    let before = authority.usage().rss_bytes;
    ask(ASKED);
    let after = authority.usage().rss_bytes;
    assert!(after < before + BYTES_MAX, "from {before} to {after} bytes");
}
