use std::io::Write;
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::SeqCst;

use super::world::{World, signed};
use crate::SignerError;
use crate::journal::Entry;
use crate::protocol::{Answer, Refusal, Replay, Request};
use crate::service::Service;
use crate::service::batch::Batch;
use crate::service::inbox::{Inbox, Woken};

/// A crash between the intent and the signature: the intent is found, its serial is never used again.
#[test]
fn a9_an_intent_without_a_signature_is_found_after_the_crash_and_stays_an_orphan() {
    let world = World::new();
    let (signer, issuer) = world.made();
    signer.stop().expect("ends");
    let leaf = world.leaf(&issuer);
    let mut service = Service::start(world.config()).expect("starts");
    let checked = service.check_leaf(world.now(), &leaf.request());
    let (mut batch, mut answers) = (Batch::default(), Vec::new());
    service
        .admit(world.now(), 1, checked, &mut batch, &mut answers)
        .expect("appends");
    service.journal.sync().expect("syncs");
    drop(service);

    let mut signer = world.start();
    let orphans: Vec<_> = signer
        .replay(1, 100)
        .into_iter()
        .filter_map(|record| match record.entry {
            Entry::Intent(intent) => Some((intent.serial, intent.order)),
            Entry::Signature(signature) => panic!("{signature:?}"),
            _ => None,
        })
        .collect();
    assert_eq!(orphans, [(leaf.serial, 7)]);
    assert_eq!(signer.sign(&leaf), Err(Refusal::SerialUsed));
    signer
        .sign_crl(&world.crl(&issuer, 1, &[leaf.serial]))
        .expect("the orphan is revocable");
    let issuers = signer.hello().issuers;
    signer.stop().expect("ends");
    let report = world.verify(&issuers);
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((report.unsigned_intents, report.crl_signatures), (1, 1));
}

/// An I/O error at any write or sync ends the signer; what it answered before is in the journal afterwards.
#[test]
fn g3_an_error_at_any_write_or_sync_ends_the_signer_and_nothing_answered_is_lost() {
    for fail_at in 1..40 {
        let world = World::new();
        let (mut signer, issuer) = world.made();
        let issuers = signer.hello().issuers;
        world.watch.fail_in(fail_at);
        let mut answered = Vec::new();
        for _ in 0..30 {
            let leaf = world.leaf(&issuer);
            let answer = signer.calls(&[Request::SignLeaf(leaf.request())]).remove(0);
            let Some(answer) = answer else { break };
            answered.push((leaf.serial, signed(answer).expect("signed").sequence));
        }
        assert!(answered.len() < 30, "the fault came");
        let ended = signer.stop().expect_err("ended by the fault");
        assert!(matches!(ended, SignerError::Io { .. }), "{ended}");
        let mut signer = world.start();
        let records = signer.replay(1, 1_000);
        for (serial, sequence) in answered {
            let record = records
                .iter()
                .find(|record| record.sequence == sequence)
                .expect("there");
            assert!(matches!(&record.entry, Entry::Intent(intent) if intent.serial == serial));
        }
        signer.sign(&world.leaf(&issuer)).expect("goes on");
        signer.stop().expect("ends");
        let report = world.verify(&issuers);
        assert!(report.is_sound(), "{:?}", report.problems);
    }
}

#[test]
fn g1_a_nearly_full_disk_stops_certificates_and_not_revocation() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    world.watch.free_percent.store(4, SeqCst);
    let refused = signer.sign(&world.leaf(&issuer));
    assert_eq!(
        refused,
        Err(Refusal::JournalDiskLow {
            available_percent: 4
        })
    );
    signer.sign_crl(&world.crl(&issuer, 1, &[])).expect("signs");
    world.watch.free_percent.store(5, SeqCst);
    signer
        .sign(&world.leaf(&issuer))
        .expect("goes on by itself");
}

#[test]
fn a_caller_that_breaks_the_framing_ends_the_connection_and_one_that_breaks_a_body_does_not() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    // A SignLeaf frame whose body is one CBOR integer.
    signer
        .socket
        .write_all(&[10, 0, 0, 0, 3, 77, 0, 0, 0, 0, 0, 0, 0, 7])
        .expect("writes");
    assert_eq!(
        signer.next(),
        Some((77, Answer::Refused(Refusal::Malformed)))
    );
    signer.sign(&world.leaf(&issuer)).expect("goes on");
    signer.socket.write_all(&[0xff; 20]).expect("writes");
    let ended = signer.stop().expect_err("ended");
    assert!(matches!(ended, SignerError::Protocol { .. }), "{ended}");
}

#[test]
fn a_caller_that_dies_within_a_frame_ends_the_signer_without_error() {
    let world = World::new();
    let (mut signer, _) = world.made();
    signer
        .socket
        .write_all(&[10, 0, 0, 0, 3, 1, 0])
        .expect("writes");
    signer.stop().expect("ends");
}

#[test]
fn signatures_become_durable_when_nothing_more_comes() {
    let (caller, signer) = UnixStream::pair().expect("a socket pair");
    let mut inbox = Inbox::new(signer);
    assert_eq!(inbox.wait(false).expect("waits"), Woken::Idle);
    drop(caller);
    assert_eq!(inbox.wait(true).expect("waits"), Woken::Closed);

    let world = World::new();
    let (mut signer, issuer) = world.made();
    signer.sign(&world.leaf(&issuer)).expect("signs");
    let before = world.watch.syncs.load(SeqCst);
    signer.stop().expect("ends");
    assert_eq!(
        world.watch.syncs.load(SeqCst),
        before + 1,
        "the end syncs the signature"
    );
}

#[test]
fn damage_in_an_earlier_segment_stops_replay_there_and_not_signing() {
    let mut world = World::new();
    world.segment_bytes_max = 2_000;
    let (mut signer, issuer) = world.made();
    for _ in 0..9 {
        signer.sign(&world.leaf(&issuer)).expect("signs");
    }
    let path = world.data().join("journal/00000002.log");
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[500] ^= 1;
    std::fs::write(&path, bytes).expect("writes");
    signer.stop().expect("ends");
    let mut signer = world.start();
    let request = Replay {
        from: 1,
        entries_max: 1_000,
    };
    let answer = signer.call(Request::Replay(request));
    let Answer::Refused(Refusal::JournalUnreadable { detail }) = answer else {
        panic!("{answer:?}")
    };
    assert!(
        detail.contains("00000002.log is damaged at byte"),
        "{detail}"
    );
    world.clock.fetch_add(1, SeqCst);
    signer.sign(&world.leaf(&issuer)).expect("signs");
    let last = signer.hello().sequence;
    assert_eq!(signer.replay(last, 10).len(), 1, "later parts can be read");
}

#[test]
fn the_journal_of_another_ca_does_not_verify_under_these_certificates() {
    let (world, other) = (World::new(), World::new());
    let (mut signer, issuer) = world.made();
    signer.sign(&world.leaf(&issuer)).expect("signs");
    signer.stop().expect("ends");
    let (mut other_signer, _) = other.made();
    let report = world.verify(&other_signer.hello().issuers);
    assert_eq!(report.problems_total, 1);
    assert!(
        report.problems[0].what.contains("not among the given"),
        "{}",
        report.problems[0]
    );
}
