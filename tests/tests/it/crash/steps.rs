//! Death at each named step of an order (design §1): before and after each commit of the server, and at each step of a
//! signature in the signer (failures A7, hold d).

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::Duration;

use chancery_tests::{Account, Authority};

use super::load::{Heard, Subscriber, note, nothing_is_lost, take_up, work};

/// What becomes durable on the way from a new order to a certificate, and to its end on a CRL.
const COMMITS: [&str; 7] = [
    "OrderCreated",
    "ChallengeTaken",
    "AuthorizationProved",
    "OrderClaimed",
    "CertificateRecorded",
    "CertificateRevoked",
    "CrlPublished",
];

/// The steps of a signature.
const SIGNATURE: [&str; 6] = [
    "before-intent",
    "after-intent-appended",
    "after-intent-synced",
    "after-signed",
    "after-signature-appended",
    "after-answer",
];

/// The first time a place is passed, and one in the middle of other work.
const TIMES: [u32; 2] = [1, 5];

fn places() -> Vec<String> {
    let commits = COMMITS
        .iter()
        .flat_map(|kind| [format!("before-{kind}"), format!("after-{kind}")]);
    let places: Vec<String> = commits.chain(SIGNATURE.map(str::to_owned)).collect();
    let each = |place: &String| TIMES.map(|times| format!("{place}@{times}"));
    places.iter().flat_map(each).collect()
}

#[test]
fn a7_death_at_each_named_step_breaks_nothing_that_was_promised() {
    let mut authority = Authority::start();
    let subscribers: Vec<Subscriber> = {
        let client = authority.client();
        (0..3).map(|_| Subscriber::register(&client)).collect()
    };
    let heard = Mutex::new(Heard::default());
    let mut slowest = Duration::ZERO;
    for (round, place) in (0..).zip(places()) {
        println!("{place}");
        authority.stop();
        authority.die_at(Some(&place));
        // The signer's first answers are asked for by the start itself, which then ends too.
        if authority.try_serve().is_ok() {
            die_under_load(&mut authority, &subscribers, round, &heard);
        } else {
            assert_eq!(place, "after-answer@1");
        }
        authority.die_at(None);
        authority.serve();
        slowest = slowest.max(authority.ready_after());
        take_up(&authority.client(), &subscribers, &heard);
        nothing_is_lost(&authority, &heard);
    }
    let certificates: BTreeSet<String> = note(&heard, |heard| heard.certificates.clone());
    println!(
        "{} certificates, slowest start {slowest:?}",
        certificates.len()
    );
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

fn die_under_load(
    authority: &mut Authority,
    subscribers: &[Subscriber],
    round: u32,
    heard: &Mutex<Heard>,
) {
    let client = authority.client();
    let accounts: Vec<Account<'_>> = subscribers.iter().map(|one| one.account(&client)).collect();
    std::thread::scope(|scope| {
        for (worker, account) in accounts.iter().enumerate() {
            scope.spawn(move || work(account, worker, round, heard));
        }
        authority.wait_for_death();
    });
}
