//! `kill -9` of the server or of its signer at random moments under load (failures A7, hold d).

use std::sync::Mutex;
use std::time::Duration;

use chancery_testkit::SeededEntropy;
use chancery_testkit::process::Program;
use chancery_tests::{Account, Authority, eventually, sentences};

use super::load::{Heard, Subscriber, note, nothing_is_lost, take_up, work};

const ROUNDS: u32 = 15;
/// The long form: 500 rounds. An authority of its own for each series keeps the checks after every round short.
const SERIES_LONG: u32 = 10;
const ROUNDS_LONG: u32 = 50;
const WORKERS: usize = 3;
/// Load before a kill, at most.
const LOAD_MS: u64 = 400;
/// A first start takes about this long; a kill during a start comes within it.
const START_MS: u64 = 150;
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Kills something while all workers are busy.
fn storm(
    authority: &mut Authority,
    subscribers: &[Subscriber],
    round: u32,
    chance: &SeededEntropy,
    heard: &Mutex<Heard>,
) {
    let client = authority.client();
    let accounts: Vec<Account<'_>> = subscribers.iter().map(|one| one.account(&client)).collect();
    std::thread::scope(|scope| {
        for (worker, account) in accounts.iter().enumerate() {
            scope.spawn(move || work(account, worker, round, heard));
        }
        std::thread::sleep(Duration::from_millis(chance.number() % LOAD_MS));
        if chance.number().is_multiple_of(3) {
            let told = authority.kill_signer();
            assert_eq!(told.status.code(), Some(1), "{}", told.stderr);
            let said = sentences(&told);
            assert!(
                matches!(said.as_slice(), [one] if one.contains("signer") && one.contains("start again")),
                "one sentence about the signer: {said:?} in\n{}",
                told.stderr
            );
        } else {
            authority.kill9();
        }
    });
}

/// Starts and kills again before it is up.
fn kill_while_starting(authority: &Authority, chance: &SeededEntropy) {
    let program = Program::spawn(authority.serve_command()).expect("it starts");
    let ended = program.wait(Duration::from_millis(chance.number() % START_MS));
    if ended.is_err() {
        program.kill9().expect("it can be killed");
    }
}

/// A series of rounds on one authority, each of which ends with everything checked; gives the slowest start.
fn series(rounds: u32, chance: &SeededEntropy) -> Duration {
    let mut authority = Authority::start();
    let subscribers: Vec<Subscriber> = {
        let client = authority.client();
        (0..WORKERS)
            .map(|_| Subscriber::register(&client))
            .collect()
    };
    let heard = Mutex::new(Heard::default());
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        storm(&mut authority, &subscribers, round, chance, &heard);
        if round % 5 == 4 {
            kill_while_starting(&authority, chance);
        }
        authority.serve();
        slowest = slowest.max(authority.ready_after());
        let client = authority.client();
        take_up(&client, &subscribers, &heard);
        nothing_is_lost(&authority, &heard);
    }
    let (certificates, revoked) = note(&heard, |heard| {
        (heard.certificates.len(), heard.revoked.len())
    });
    println!(
        "{rounds} kills, {certificates} certificates, {revoked} revoked, slowest start {slowest:?}"
    );
    assert!(
        certificates > rounds as usize && revoked > 0,
        "there was load"
    );
    slowest
}

#[test]
fn a7_kills_at_random_moments_break_nothing_that_was_promised() {
    let long = std::env::var_os("CHANCERY_LONG").is_some_and(|long| long == "1");
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let chance = SeededEntropy::new(seed);
    for _ in 0..if long { SERIES_LONG } else { 1 } {
        let slowest = series(if long { ROUNDS_LONG } else { ROUNDS }, &chance);
        assert!(slowest < READY_WITHIN, "restart to ready took {slowest:?}");
    }
}

#[test]
fn a_revocation_answered_before_a_crash_is_on_the_crl_after_it() {
    let mut authority = Authority::start();
    let client = authority.client();
    let issued = client.register().issue(&["a.test"]);
    assert!(
        authority
            .revoke(&issued.serial(), "keyCompromise")
            .status
            .success()
    );
    authority.kill9();
    authority.serve();
    eventually("it is on the CRL", Duration::from_secs(5), || {
        issued.crl().contains(&issued.leaf().serial()).then_some(())
    });
    authority.check_invariants();
}

#[test]
fn a_server_without_its_signer_ends_and_says_so() {
    let mut authority = Authority::start();
    let told = authority.kill_signer();
    assert_eq!(told.status.code(), Some(1));
    assert!(
        sentences(&told).concat().contains("the signer ended"),
        "{}",
        told.stderr
    );
    authority.serve();
    assert!(
        authority.ready_after() < READY_WITHIN,
        "{:?}",
        authority.ready_after()
    );
    authority.check_invariants();
}

#[test]
fn a_signer_without_its_server_ends_too() {
    let mut authority = Authority::start();
    let signer = authority.signer_pid();
    authority.kill9();
    let proc = std::path::PathBuf::from(format!("/proc/{signer}"));
    eventually("the signer has ended", Duration::from_secs(10), || {
        let state = std::fs::read_to_string(proc.join("stat")).unwrap_or_default();
        // Nobody may be there to collect it.
        (state.is_empty() || state.contains(") Z ")).then_some(())
    });
    authority.serve();
    authority.check_invariants();
}
