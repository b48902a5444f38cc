//! What was proven before, and what it is good for: authorizations without an order, orders that rest on earlier proof,
//! revocation by whoever has proven all names (RFC 8555 §7.4.1, §7.6; failures A10, D10).

use std::net::{Ipv4Addr, SocketAddr};

use chancery_acme::dns01_value;
use chancery_pki::San;
use chancery_testkit::hostile_alpn::{Answer, ChallengeCertificate, HostileAlpn};
use chancery_tests::{Account, Authority, Order, Reply, Setup, csr_for, new_key, runtime};
use serde_json::{Value, json};

fn ask(account: &Account<'_>, name: &str) -> Reply {
    let url = account.client.url("newAuthz");
    account.send(
        &url,
        &json!({ "identifier": { "type": "dns", "value": name } }),
    )
}

/// Proves a name before any order.
fn prove(account: &Account<'_>, name: &str) -> String {
    let made = ask(account, name);
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.json()["status"], "pending");
    let url = made.header("location").to_owned();
    account.take_up(&url).expect("it is taken up");
    account.decided(&url, &["valid"]).expect("it is proven");
    url
}

fn kinds(authorization: &Value) -> Vec<&str> {
    let challenges = authorization["challenges"].as_array().expect("challenges");
    challenges
        .iter()
        .filter_map(|one| one["type"].as_str())
        .collect()
}

#[test]
fn a_name_that_was_proven_before_makes_an_order_ready_at_once() {
    let authority =
        Authority::start_with(Setup::new().set("gateway.server.pre_authorization", true));
    let client = authority.client();
    let (account, stranger) = (client.register(), client.register());
    let proven = prove(&account, "a.test");
    let order = account.order(&["a.test"]);
    assert_eq!(order.status(), "ready");
    assert_eq!(
        order.authorizations(),
        std::slice::from_ref(&proven),
        "what it rests on is listed"
    );
    let key = new_key();
    let csr = csr_for(&key, &["a.test"]);
    account.try_fetch(&order, key, &csr).expect("a certificate");

    // Failures A10: the same name on purpose, as another kind of name, and for another account.
    let wildcard = account.order(&["*.a.test"]);
    assert_eq!(wildcard.status(), "pending");
    let authorization = account.read(&wildcard.authorizations()[0]).json();
    assert_eq!(kinds(&authorization), ["dns-01"]);
    assert_eq!(stranger.order(&["a.test"]).status(), "pending");

    // What is given up never suffices again, also for an order that was ready.
    let ready = account.order(&["a.test"]);
    assert_eq!(ready.status(), "ready");
    assert_eq!(
        account
            .send(&proven, &json!({ "status": "deactivated" }))
            .status,
        200
    );
    let key = new_key();
    let refused = account.finalize(&ready, &csr_for(&key, &["a.test"]));
    assert_eq!(refused.in_short(), "403 unauthorized", "{}", refused.text());
    assert_eq!(account.read(&ready.url).json()["status"], "invalid");
    assert_eq!(account.order(&["a.test"]).status(), "pending");
    authority.check_invariants();
}

#[test]
fn what_cannot_be_authorized_alone_is_refused_with_its_reason() {
    let authority = Authority::start_with(
        Setup::new()
            .set("gateway.server.pre_authorization", true)
            .configuration(
                "[gateway.server]\nnames = { allow = [\"*\"], deny = [\"*.forbidden.example\"] }\n",
            ),
    );
    let client = authority.client();
    let account = client.register();
    for (name, says) in [
        ("*.a.test", "400 malformed"),
        ("x.forbidden.example", "403 rejectedIdentifier"),
        ("not a name", "400 malformed"),
    ] {
        let refused = ask(&account, name);
        assert_eq!(refused.in_short(), says, "{name}: {}", refused.text());
    }
}

#[test]
fn a_gateway_that_does_not_offer_it_neither_announces_nor_answers_it() {
    let authority = Authority::start();
    let client = authority.client();
    let directory = client.http.get(authority.directory()).json();
    assert!(directory.get("newAuthz").is_none());
    let account = client.register();
    let url = client.url("newOrder").replace("new-order", "new-authz");
    let asked = json!({ "identifier": { "type": "dns", "value": "a.test" } });
    assert_eq!(account.send(&url, &asked).in_short(), "404 malformed");
    // Nor does an order rest on an earlier one.
    assert!(!account.issue(&["a.test"]).serial().is_empty());
    assert_eq!(account.order(&["a.test"]).status(), "pending");
}

#[test]
fn a_gateway_that_lets_orders_rest_on_earlier_ones_does_so_for_the_same_account_and_name() {
    let authority =
        Authority::start_with(Setup::new().set("gateway.server.reuse_authorizations", true));
    let client = authority.client();
    let (account, stranger) = (client.register(), client.register());
    let first = account.issue(&["a.test", "b.test"]);
    let again = account.order(&["b.test", "a.test"]);
    assert_eq!(again.status(), "ready");
    let mixed = account.order(&["a.test", "c.test"]);
    assert_eq!(mixed.status(), "pending");
    let shared = mixed.authorizations();
    let shared = shared
        .iter()
        .filter(|url| first.order.authorizations().contains(url));
    assert_eq!(shared.count(), 1);
    assert_eq!(account.order(&["*.a.test"]).status(), "pending");
    assert_eq!(stranger.order(&["a.test"]).status(), "pending");
    authority.check_invariants();
}

#[test]
fn d10_whoever_has_proven_every_name_may_revoke() {
    let authority = Authority::start();
    let client = authority.client();
    let (owner, other) = (client.register(), client.register());
    let issued = owner.issue(&["a.test", "b.test"]);
    assert_eq!(other.revoke(&issued, None).in_short(), "403 unauthorized");
    // Proof of one name is not enough, and a pending order is none at all.
    assert!(!other.issue(&["a.test"]).serial().is_empty());
    assert_eq!(other.order(&["b.test"]).status(), "pending");
    assert_eq!(other.revoke(&issued, None).in_short(), "403 unauthorized");
    let proof = other.ready_order(&["b.test"]);
    assert_eq!(other.revoke(&issued, None).status, 200);
    assert_eq!(owner.revoke(&issued, None).in_short(), "400 alreadyRevoked");

    let second = owner.issue(&["a.test", "b.test"]);
    for url in proof.authorizations() {
        other.send(&url, &json!({ "status": "deactivated" }));
    }
    assert_eq!(
        other.revoke(&second, None).in_short(),
        "403 unauthorized",
        "what was given up counts no more"
    );
    authority.check_invariants();
}

const KINDS: [&str; 3] = ["http-01", "dns-01", "tls-alpn-01"];

fn tls_host(authority: &Authority) -> HostileAlpn {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, authority.tls_port()));
    let started = runtime().block_on(HostileAlpn::start_on(addr));
    started.expect("the port is free")
}

/// Proves the one name of an order by this kind of challenge, and no other.
fn prove_by(account: &Account<'_>, tls: &HostileAlpn, order: &Order, kind: &str) {
    let url = order.authorizations().remove(0);
    let name = account.read(&url).json()["identifier"]["value"].clone();
    let name = name.as_str().expect("a name");
    let token = account.challenge(&url, kind)["token"].clone();
    let token = token.as_str().expect("a token");
    let proof = account.key_authorization(token);
    let site = account.client.site();
    match kind {
        "http-01" => site.tokens.put_token(token, proof),
        "dns-01" => site.add_dns01(name, &dns01_value(&proof)),
        _ => {
            let san = San::parse(name).expect("a name");
            tls.on(
                name,
                Answer::Show(ChallengeCertificate::right(&san, &proof)),
            );
        }
    }
    account.respond(&url, kind);
    let decided = account.decided(&url, &["valid", "invalid"]);
    let decided = decided.expect("an answer").json();
    assert_eq!(decided["status"], "valid", "{kind}: {decided}");
    let ready = account.look_at(order).expect("the order");
    assert_eq!(ready.status(), "ready", "{kind}");
    let key = new_key();
    let csr = csr_for(&key, &[name]);
    account.try_fetch(&ready, key, &csr).expect("a certificate");
}

/// That a wildcard gets an authorization of its own, which only DNS can prove.
fn wildcard_begins_anew(account: &Account<'_>, base: &str, proven: &[String]) {
    let wildcard = account.order(&[&format!("*.{base}")]);
    assert_eq!(wildcard.status(), "pending");
    let [url] = wildcard.authorizations().try_into().expect("one");
    assert!(!proven.contains(&url), "{url} is new");
    let authorization = account.read(&url).json();
    assert_eq!(authorization["status"], "pending");
    assert_eq!(authorization["wildcard"], true);
    assert_eq!(kinds(&authorization), ["dns-01"]);
}

#[test]
fn a10_a_name_proven_by_any_challenge_serves_itself_again_and_never_its_wildcard() {
    let authority =
        Authority::start_with(Setup::new().set("gateway.server.reuse_authorizations", true));
    let tls = tls_host(&authority);
    let client = authority.client();
    for kind in KINDS {
        let account = client.register();
        let first = account.order(&["a.test"]);
        assert_eq!(first.status(), "pending", "{kind}: nobody else's proof");
        prove_by(&account, &tls, &first, kind);
        let again = account.order(&["a.test"]);
        assert_eq!(again.status(), "ready", "{kind}");
        assert_eq!(again.authorizations(), first.authorizations(), "{kind}");
        wildcard_begins_anew(&account, "a.test", &first.authorizations());
        // Together with what was proven, it is still the wildcard that has to be.
        let both = account.order(&["a.test", "*.a.test"]);
        assert_eq!(both.status(), "pending", "{kind}");
        // And the wildcard, once proven, does not prove names below its base, nor the base for others.
        assert_eq!(account.order(&["x.a.test"]).status(), "pending", "{kind}");
    }
    authority.check_invariants();
}

#[test]
fn a10_what_is_not_reused_is_proven_each_time_anew() {
    let authority = Authority::start();
    let tls = tls_host(&authority);
    let client = authority.client();
    let account = client.register();
    let mut seen = Vec::new();
    for kind in KINDS {
        for _ in 0..2 {
            let order = account.order(&["a.test"]);
            assert_eq!(order.status(), "pending", "{kind}");
            let url = order.authorizations().remove(0);
            let token = account.challenge(&url, kind)["token"].clone();
            assert!(!seen.contains(&token), "{kind}: {token} is fresh");
            seen.push(token);
            prove_by(&account, &tls, &order, kind);
        }
        wildcard_begins_anew(&account, "a.test", &[]);
    }
    authority.check_invariants();
}

#[test]
fn a10_a_proof_by_a_challenge_that_is_no_longer_offered_serves_nothing() {
    let mut authority =
        Authority::start_with(Setup::new().set("gateway.server.reuse_authorizations", true));
    let tls = tls_host(&authority);
    let client = authority.client();
    let account = client.register();
    let first = account.order(&["a.test"]);
    prove_by(&account, &tls, &first, "http-01");
    assert_eq!(account.order(&["a.test"]).status(), "ready");
    authority.set("gateway.server.challenges", "dns-01,tls-alpn-01");
    authority.restart();
    // The nonces of before are void.
    let client = authority.client();
    let account = Account {
        client: &client,
        ..account
    };
    let now = account.order(&["a.test"]);
    assert_eq!(now.status(), "pending");
    let [url] = now.authorizations().try_into().expect("one");
    assert!(!first.authorizations().contains(&url), "{url} is new");
    assert_eq!(account.offered(&url), ["dns-01", "tls-alpn-01"]);
}
