//! Finalizing (RFC 8555 §7.4): however often it is asked for, an order gives one certificate.

use std::collections::BTreeSet;
use std::sync::Barrier;

use chancery_jose::b64;
use chancery_tests::{Account, Authority, Order, Reply, csr_for, new_key};
use serde_json::json;

const AT_ONCE: usize = 100;

/// Sends the bodies at the same moment, each on a connection of its own.
fn all_at_once(account: &Account<'_>, order: &Order, bodies: Vec<Vec<u8>>) -> Vec<Reply> {
    let start = Barrier::new(bodies.len());
    std::thread::scope(|scope| {
        let send = |body| {
            start.wait();
            account.client.post(order.finalize_url(), body)
        };
        let sending: Vec<_> = bodies
            .into_iter()
            .map(|body| scope.spawn(move || send(body)))
            .collect();
        sending
            .into_iter()
            .map(|thread| thread.join().expect("an answer"))
            .collect()
    })
}

#[test]
fn a18_a_hundred_finalizes_at_once_give_one_certificate() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test", "b.test"]);
    let before = authority.certificates().len();
    let csr = csr_for(&new_key(), &["a.test", "b.test"]);
    let asked = json!({ "csr": b64(&csr) });
    let bodies = (0..AT_ONCE)
        .map(|_| account.sign(order.finalize_url(), Some(&asked)))
        .collect();

    let replies = all_at_once(&account, &order, bodies);

    for reply in &replies {
        assert!(
            reply.status == 200 || reply.in_short() == "403 orderNotReady",
            "the order, or that it is taken: {} {}",
            reply.in_short(),
            reply.detail()
        );
    }
    let urls: BTreeSet<String> = replies
        .iter()
        .filter_map(|reply| reply.json()["certificate"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(urls.len(), 1, "one certificate: {urls:?}");
    assert_eq!(authority.certificates().len(), before + 1);
    assert_eq!(
        account.look_at(&order).expect("the order").status(),
        "valid"
    );
    // The account is none the worse for it.
    assert_eq!(account.issue(&["c.test"]).order.status(), "valid");
    authority.check_invariants();
}

#[test]
fn a18_of_two_csrs_one_wins_and_the_other_is_told_so() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["a.test"]);
    let before = authority.certificates().len();
    let csrs = [
        csr_for(&new_key(), &["a.test"]),
        csr_for(&new_key(), &["a.test"]),
    ];
    let sign = |n: usize| {
        account.sign(
            order.finalize_url(),
            Some(&json!({ "csr": b64(&csrs[n % 2]) })),
        )
    };
    let replies = all_at_once(&account, &order, (0..20).map(sign).collect());

    let told: Vec<BTreeSet<String>> = (0..2)
        .map(|n| {
            replies
                .iter()
                .skip(n)
                .step_by(2)
                .map(Reply::in_short)
                .collect()
        })
        .collect();
    let (won, lost) = if told[0].contains("200") {
        (0, 1)
    } else {
        (1, 0)
    };
    assert_eq!(told[won], BTreeSet::from(["200".to_owned()]));
    assert_eq!(told[lost], BTreeSet::from(["403 orderNotReady".to_owned()]));
    assert_eq!(authority.certificates().len(), before + 1);
    // Later too, the winner's CSR is answered with the order, and no other is.
    assert_eq!(account.finalize(&order, &csrs[won]).in_short(), "200");
    assert_eq!(
        account.finalize(&order, &csrs[lost]).in_short(),
        "403 orderNotReady"
    );
}

#[test]
fn an_order_that_is_not_proven_is_not_finalized() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let order = account.order(&["a.test"]);
    let reply = account.finalize(&order, &csr_for(&new_key(), &["a.test"]));
    assert_eq!(reply.in_short(), "403 orderNotReady");
    calm.holds_and_counted(&authority, 1);
}
