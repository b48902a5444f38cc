//! How many names (failures C8): as many as are allowed, no more, and in time that grows with their number only.

use std::time::{Duration, Instant};

use chancery_tests::{Account, Authority, Reply, csr_for, new_key};

/// The order's own bound.
const NAMES_MAX: usize = 100;
/// For one request, on a machine that does other things too; work that grows with the square would take longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Processor time of all refusals here together; the system counts in steps of 10 ms.
const CPU_MAX: Duration = Duration::from_secs(2);
/// Names of the longest CSR that fits into a request of 64 KiB.
const FIT: usize = 2_900;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("n{n:04}.test")).collect()
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

fn in_time(what: &str, ask: impl FnOnce() -> Reply) -> Reply {
    let started = Instant::now();
    let reply = ask();
    let taken = started.elapsed();
    assert!(taken < ANSWER_WITHIN, "{what}: {taken:?}");
    reply
}

fn order_is_refused(account: &Account<'_>, names: &[&str]) {
    let what = format!("{} names", names.len());
    let reply = in_time(&what, || account.ask_order(names));
    assert_eq!(
        reply.in_short(),
        "400 malformed",
        "{what}: {}",
        reply.text()
    );
    let detail = reply.detail();
    assert!(detail.contains("1 to 100 names"), "{what}: {detail}");
}

#[test]
fn c8_an_order_has_a_hundred_names_at_most() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let all = names(FIT / 2);
    for count in [0, NAMES_MAX + 1, 2 * NAMES_MAX, 1_000] {
        order_is_refused(&account, &borrowed(&all[..count]));
    }
    calm.holds_and_counted(&authority, 4);
    // Names are counted, not the times that they are said.
    let hundred = borrowed(&all[..NAMES_MAX]);
    let said_often = hundred.repeat(5);
    let order = in_time("a hundred names", || account.ask_order(&said_often));
    assert_eq!(order.status, 201, "{}", order.text());
    let authorizations = order.json()["authorizations"].as_array().map(Vec::len);
    assert_eq!(authorizations, Some(NAMES_MAX));
}

#[test]
fn c8_a_csr_full_of_names_is_refused_in_proportionate_time() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let order = account.ready_order(&["n0000.test"]);
    let calm = authority.calm();
    let cpu = authority.usage().cpu;
    let all = names(FIT);
    let counts = [2, NAMES_MAX, NAMES_MAX + 1, 1_000, 1_001, FIT];
    for count in counts {
        let csr = csr_for(&new_key(), &borrowed(&all[..count]));
        let what = format!("a CSR of {count} names");
        let reply = in_time(&what, || account.finalize(&order, &csr));
        assert_eq!(reply.in_short(), "400 badCSR", "{what}: {}", reply.text());
        // What is wrong is told, not each name of it.
        assert!(reply.body.len() < 4_096, "{what}: {}", reply.text());
    }
    let cpu = authority.usage().cpu - cpu;
    assert!(cpu < CPU_MAX, "{cpu:?} of processor time");
    calm.holds_and_counted(&authority, counts.len());
    // The order is none the worse for it.
    let key = new_key();
    let csr = csr_for(&key, &["n0000.test"]);
    account.try_fetch(&order, key, &csr).expect("a certificate");
}

#[test]
fn c8_a_certificate_of_a_hundred_names_is_made_in_time() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let all = names(NAMES_MAX);
    let names = borrowed(&all);
    let order = account.ready_order(&names);
    let key = new_key();
    let csr = csr_for(&key, &names);
    let reply = in_time("finalize", || account.finalize(&order, &csr));
    assert_eq!(reply.json()["status"], "valid", "{}", reply.text());
    let issued = account
        .try_fetch(&order, key, &csr)
        .expect("the same certificate");
    assert_eq!(issued.leaf().sans().len(), NAMES_MAX);
}
