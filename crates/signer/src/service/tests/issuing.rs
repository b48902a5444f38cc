use std::collections::BTreeSet;
use std::sync::atomic::Ordering::SeqCst;

use chancery_crypto::sha256;
use chancery_pki::{Profile, Serial, UnixTime};

use super::world::{NOW, World, parse, spec};
use crate::journal::Entry;
use crate::protocol::{Refusal, Request};

#[test]
fn a_leaf_is_signed_only_after_its_intent_and_both_are_in_the_journal() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let leaf = world.leaf(&issuer);
    let signed = signer.sign(&leaf).expect("signs");
    let records = signer.replay(signed.sequence, 10);
    let Entry::Intent(intent) = &records[0].entry else {
        panic!("an intent")
    };
    assert_eq!(
        (intent.order, intent.account, &intent.tbs),
        (7, 9, &leaf.tbs)
    );
    assert_eq!(
        (intent.serial, intent.profile_hash),
        (leaf.serial, world.profile.hash())
    );
    let Entry::Signature(signature) = &records[1].entry else {
        panic!("a signature")
    };
    assert_eq!(
        (signature.intent, &signature.signature),
        (signed.sequence, &signed.signature)
    );
}

/// Law 2: the signer trusts no caller. Whatever is refused leaves no trace in the journal.
#[test]
fn what_fails_a_check_is_neither_journaled_nor_signed() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let before = signer.hello().sequence;

    let good = world.leaf(&issuer);
    let other_profile = Profile {
        names_max: 7,
        ..world.profile.clone()
    };
    let mut other_hash = world.leaf(&issuer);
    other_hash.profile_hash = other_profile.hash();
    let longer = Profile {
        lifetime_secs: world.profile.lifetime_secs + 1,
        ..world.profile.clone()
    };
    let mut fails_lint = world.leaf_with(&issuer, good.serial, &longer);
    fails_lint.profile_hash = world.profile.hash();
    let mut other_digest = world.leaf(&issuer);
    other_digest.tbs_digest = [0; 32];
    let mut other_serial = world.leaf(&issuer);
    other_serial.serial = world.leaf(&issuer).serial;
    let mut no_der = world.leaf(&issuer);
    no_der.tbs = b"not a certificate".to_vec();
    no_der.tbs_digest = sha256(&no_der.tbs);
    let root = parse(&signer.hello().issuers[0]);
    let by_the_root = world.leaf(&root);

    assert_eq!(
        signer.sign(&other_hash),
        Err(Refusal::ProfileMismatch {
            profile: "server".into()
        })
    );
    let refused = signer.sign(&fails_lint).expect_err("fails lint");
    assert!(
        matches!(&refused, Refusal::LintFailed { rule, .. } if rule == "lifetime_within"),
        "{refused}"
    );
    assert_eq!(signer.sign(&other_digest), Err(Refusal::DigestMismatch));
    assert_eq!(signer.sign(&other_serial), Err(Refusal::NumberMismatch));
    let refused = signer.sign(&no_der).expect_err("no TBS");
    assert!(
        matches!(&refused, Refusal::LintFailed { rule, .. } if rule == "form"),
        "{refused}"
    );
    assert_eq!(signer.sign(&by_the_root), Err(Refusal::UnknownIssuer));
    let mut unknown = good.request();
    unknown.profile = "client";
    let refused = super::world::signed(signer.call(Request::SignLeaf(unknown)));
    assert_eq!(refused, Err(Refusal::UnknownProfile));

    assert_eq!(signer.hello().sequence, before, "nothing was journaled");
    signer
        .sign(&good)
        .expect("signs, so each refusal had its one cause");
}

#[test]
fn a_leaf_of_another_ca_with_the_same_name_is_refused() {
    let (world, other) = (World::new(), World::new());
    let (mut signer, _) = world.made();
    let (_other_signer, other_issuer) = other.made();
    assert_eq!(
        signer.sign(&world.leaf(&other_issuer)),
        Err(Refusal::UnknownIssuer)
    );
}

#[test]
fn before_the_first_run_nothing_is_signed() {
    let (world, other) = (World::new(), World::new());
    let (_other_signer, issuer) = other.made();
    let mut signer = world.start();
    assert_eq!(signer.sign(&world.leaf(&issuer)), Err(Refusal::NotMade));
    assert_eq!(
        signer.sign_crl(&world.crl(&issuer, 1, &[])),
        Err(Refusal::NotMade)
    );
}

#[test]
fn a7_a_serial_is_signed_once_also_within_a_batch_and_after_a_restart() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let leaf = world.leaf(&issuer);
    let request = || Request::SignLeaf(leaf.request());
    let answers = signer.calls(&[request(), request(), request()]);
    let signed = answers
        .into_iter()
        .map(|answer| super::world::signed(answer.expect("answered")))
        .collect::<Vec<_>>();
    assert!(signed[0].is_ok());
    assert_eq!(
        signed[1..],
        [Err(Refusal::SerialUsed), Err(Refusal::SerialUsed)]
    );
    signer.stop().expect("ends");
    let mut signer = world.start();
    assert_eq!(signer.sign(&leaf), Err(Refusal::SerialUsed));
    let ahead = Serial::new(world.now().plus(61), [0; 16]);
    let ahead = world.leaf_with(&issuer, ahead, &world.profile);
    assert_eq!(signer.sign(&ahead), Err(Refusal::SerialAhead));
}

#[test]
fn a7_after_a_new_segment_a_serial_of_before_is_too_old_to_be_signed() {
    let mut world = World::new();
    world.segment_bytes_max = 1;
    let (mut signer, issuer) = world.made();
    let (first, second) = (world.leaf(&issuer), world.leaf(&issuer));
    signer.sign(&second).expect("signs");
    signer.stop().expect("ends");
    let mut signer = world.start();
    assert_eq!(signer.sign(&first), Err(Refusal::SerialTooOld));
    assert_eq!(signer.sign(&second), Err(Refusal::SerialTooOld));
    world.clock.fetch_add(1, SeqCst);
    signer
        .sign(&world.leaf(&issuer))
        .expect("signs a later one");
}

/// 100 requests at once: their intents share a few syncs.
#[test]
fn many_requests_at_once_share_few_syncs() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let leaves: Vec<_> = (0..100).map(|_| world.leaf(&issuer)).collect();
    let requests: Vec<_> = leaves
        .iter()
        .map(|leaf| Request::SignLeaf(leaf.request()))
        .collect();
    let before = world.watch.syncs.load(SeqCst);
    let answers = signer.calls(&requests);
    let sequences: BTreeSet<_> = answers
        .into_iter()
        .map(|answer| {
            super::world::signed(answer.expect("answered"))
                .expect("signed")
                .sequence
        })
        .collect();
    assert_eq!(sequences.len(), 100);
    let syncs = world.watch.syncs.load(SeqCst) - before;
    assert!(syncs <= 12, "{syncs} syncs");
}

#[test]
fn the_rate_is_bounded_for_leaves_and_not_for_crls() {
    let mut world = World::new();
    world.signatures_per_second_max = 2;
    let (mut signer, issuer) = world.made();
    signer.sign(&world.leaf(&issuer)).expect("signs");
    signer.sign(&world.leaf(&issuer)).expect("signs");
    let refused = signer.sign(&world.leaf(&issuer));
    assert_eq!(refused, Err(Refusal::RateLimited { per_second_max: 2 }));
    signer.sign_crl(&world.crl(&issuer, 1, &[])).expect("signs");
    world.clock.fetch_add(1, SeqCst);
    signer
        .sign(&world.leaf(&issuer))
        .expect("signs in the next second");
}

#[test]
fn g10_a_clock_behind_the_journal_stops_signing_until_it_is_right_again() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    signer.sign(&world.leaf(&issuer)).expect("signs");
    world.clock.store(NOW - 60, SeqCst);
    signer
        .sign(&world.leaf(&issuer))
        .expect("a minute is slack");
    world.clock.store(NOW - 61, SeqCst);
    let behind = Refusal::ClockBehind { by_secs: 61 };
    assert_eq!(signer.sign(&world.leaf(&issuer)), Err(behind.clone()));
    assert_eq!(
        signer.sign_crl(&world.crl(&issuer, 1, &[])),
        Err(behind.clone())
    );
    signer.stop().expect("ends");
    let mut signer = world.start();
    assert_eq!(
        signer.sign(&world.leaf(&issuer)),
        Err(behind),
        "a restart does not help"
    );
    world.clock.store(NOW + 1, SeqCst);
    signer.sign(&world.leaf(&issuer)).expect("goes on");
}

#[test]
fn g10_what_begins_in_the_future_or_long_ago_is_refused() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let noon = NOW + 43_200;
    let at = |secs: i64| {
        world.clock.store(noon + secs, SeqCst);
        let serial = Serial::new(
            UnixTime(noon),
            [u8::try_from(secs.rem_euclid(251)).expect("small"); 16],
        );
        let made = (
            world.leaf_with(&issuer, serial, &world.profile),
            world.crl(&issuer, 1, &[]),
        );
        world.clock.store(noon, SeqCst);
        made
    };
    let not_now = |refused: Result<_, Refusal>| matches!(refused, Err(Refusal::NotNow { .. }));
    for secs in [61, 7_200, -3_601] {
        assert!(not_now(signer.sign(&at(secs).0)), "{secs}");
    }
    for secs in [1, 7_200, -3_601] {
        assert!(not_now(signer.sign_crl(&at(secs).1)), "{secs}");
    }
    for secs in [60, -3_600] {
        signer.sign(&at(secs).0).expect("signs");
    }
}

#[test]
fn d8_crl_numbers_and_times_only_go_up_also_after_a_restart() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let revoked = world.leaf(&issuer).serial;
    signer
        .sign_crl(&world.crl(&issuer, 5, &[revoked]))
        .expect("signs");
    let up = |number| {
        Err(Refusal::NumberNotIncreasing {
            shard: 0,
            last: 5,
            asked: number,
        })
    };
    for _ in 0..2 {
        for number in [1, 5] {
            world.clock.fetch_add(1, SeqCst);
            assert_eq!(
                signer.sign_crl(&world.crl(&issuer, number, &[])),
                up(number)
            );
        }
        signer.stop().expect("ends");
        signer = world.start();
    }
    let last = UnixTime(NOW);
    let mut same_time = world.crl(&issuer, 6, &[]);
    world.clock.store(NOW, SeqCst);
    same_time.tbs = world.crl(&issuer, 6, &[]).tbs;
    let refused = signer.sign_crl(&same_time);
    assert_eq!(
        refused,
        Err(Refusal::TimeNotIncreasing {
            shard: 0,
            last,
            asked: last
        })
    );
    world.clock.fetch_add(10, SeqCst);
    let crls = &signer.hello().crls;
    assert_eq!((crls[0].number, crls[0].this_update), (5, last));
    signer.sign_crl(&world.crl(&issuer, 6, &[])).expect("signs");
    let added = signer
        .replay(1, 100)
        .into_iter()
        .find_map(|record| match record.entry {
            Entry::CrlIntent(intent) => Some(intent.added),
            _ => None,
        });
    assert_eq!(
        added.expect("a CRL")[0].serial,
        revoked,
        "the revocation is in the journal"
    );
}

#[test]
fn a_crl_that_fails_lint_or_is_not_what_the_request_says_is_refused() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    let before = signer.hello().sequence;
    let mut other_number = world.crl(&issuer, 3, &[]);
    other_number.number = 4;
    assert_eq!(signer.sign_crl(&other_number), Err(Refusal::NumberMismatch));
    let mut more_added = world.crl(&issuer, 3, &[world.leaf(&issuer).serial]);
    more_added.added.push(more_added.added[0]);
    assert_eq!(signer.sign_crl(&more_added), Err(Refusal::NumberMismatch));
    let mut changed = world.crl(&issuer, 3, &[]);
    changed.tbs.truncate(changed.tbs.len() - 1);
    let refused = signer.sign_crl(&changed).expect_err("fails lint");
    assert!(matches!(&refused, Refusal::LintFailed { .. }), "{refused}");
    let mut other_issuer = world.crl(&issuer, 3, &[]);
    other_issuer.issuer = [0; 20];
    assert_eq!(signer.sign_crl(&other_issuer), Err(Refusal::UnknownIssuer));
    let root = parse(&signer.hello().issuers[0]);
    let mut of_the_root = world.crl(&issuer, 3, &[]);
    of_the_root.issuer = root.key_identifier().try_into().expect("20 octets");
    let refused = signer.sign_crl(&of_the_root).expect_err("another issuer's");
    assert!(matches!(&refused, Refusal::LintFailed { .. }), "{refused}");
    assert_eq!(signer.hello().sequence, before, "nothing was journaled");
    signer
        .sign_crl(&world.crl(&root, 1, &[]))
        .expect("a root signs CRLs");
}

#[test]
fn a_full_first_run_is_followed_by_replay_in_parts_of_any_size() {
    let mut world = World::new();
    world.segment_bytes_max = 4_000;
    let (mut signer, issuer) = world.made();
    for _ in 0..20 {
        signer.sign(&world.leaf(&issuer)).expect("signs");
    }
    let all = signer.replay(1, 5_000);
    assert_eq!(
        all.iter()
            .filter(|record| matches!(record.entry, Entry::Intent(_)))
            .count(),
        20
    );
    for part in [1, 2, 7] {
        assert_eq!(signer.replay(1, part), all, "{part}");
    }
    assert_eq!(signer.replay(9, 3), all[8..]);
    let last = signer.hello().sequence;
    assert_eq!(signer.replay(last + 1, 3), []);
    signer.sign(&world.leaf(&issuer)).expect("signs");
    assert!(
        !signer.replay(last + 1, 3).is_empty(),
        "replay goes on where it stopped"
    );
    assert_eq!(signer.first_run(&spec()), Err(Refusal::AlreadyMade));
}
