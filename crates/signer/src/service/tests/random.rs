use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;

use super::world::{Leaf, World, signed};
use crate::journal::Entry;
use crate::protocol::{Answer, Request};

/// What a caller, the disk, the clock and the power do to a signer.
#[derive(Debug, Clone)]
enum Op {
    /// A batch of new leaves.
    Leaves(u8),
    /// An earlier leaf again.
    Again(u8),
    /// A CRL with the last number plus this.
    Crl(i8),
    Clock(i8),
    Restart,
    /// The how-manieth write or sync from now on fails.
    DiskFails(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => (1_u8..6).prop_map(Op::Leaves),
        2 => any::<u8>().prop_map(Op::Again),
        2 => (-1_i8..3).prop_map(Op::Crl),
        2 => (-100_i8..100).prop_map(Op::Clock),
        1 => Just(Op::Restart),
        1 => (1_u8..6).prop_map(Op::DiskFails),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 50, ..ProptestConfig::with_cases(24) })]

    /// Invariants 1, 3 and 5 of the design over any sequence: every signature that was handed out has its intent in the journal,
    /// no serial was signed twice, CRL numbers and times went up, and the journal verifies.
    #[test]
    fn whatever_happens_the_journal_holds_every_signature_once_and_verifies(
        ops in prop::collection::vec(op(), 1..30),
    ) {
        let mut world = World::new();
        world.segment_bytes_max = 6_000;
        let (mut signer, issuer) = world.made();
        let issuers = signer.hello().issuers;
        let mut leaves: Vec<Leaf> = Vec::new();
        let (mut got, mut crls) = (BTreeMap::new(), Vec::new());
        for op in ops {
            let mut ended = false;
            let before = leaves.len();
            match op {
                Op::Leaves(count) => leaves.extend((0..count).map(|_| world.leaf(&issuer))),
                Op::Clock(secs) => {
                    world.clock.fetch_add(secs.into(), SeqCst);
                }
                Op::DiskFails(calls) => world.watch.fail_in(calls.into()),
                Op::Restart => ended = true,
                Op::Again(_) | Op::Crl(_) => {}
            }
            let asked: Vec<&Leaf> = match op {
                Op::Leaves(_) => leaves[before..].iter().collect(),
                Op::Again(n) => leaves.get(usize::from(n) % leaves.len().max(1)).into_iter().collect(),
                _ => Vec::new(),
            };
            let requests: Vec<_> = asked.iter().map(|leaf| Request::SignLeaf(leaf.request())).collect();
            for (leaf, answer) in asked.iter().zip(signer.calls(&requests)) {
                ended |= answer.is_none();
                if let Some(Ok(signed)) = answer.map(signed) {
                    let earlier = got.insert(leaf.serial, signed);
                    prop_assert!(earlier.is_none(), "signed twice");
                }
            }
            if let Op::Crl(step) = op {
                let last = crls.last().map_or(10, |(number, _)| *number);
                let crl = world.crl(&issuer, u64::saturating_add_signed(last, step.into()), &[]);
                let answer = signer.calls(&[Request::SignCrl(crl.request())]).remove(0);
                ended |= answer.is_none();
                if matches!(answer, Some(Answer::Signed(_))) {
                    crls.push((crl.number, world.now()));
                }
            }
            if ended {
                let _ = signer.stop();
                world.watch.fail_at.store(0, SeqCst);
                signer = world.start();
            }
        }
        world.watch.fail_at.store(0, SeqCst);
        let _ = signer.stop();
        let mut signer = world.start();
        let records = signer.replay(1, 100);
        signer.stop().expect("ends");
        let report = world.verify(&issuers);
        prop_assert!(report.is_sound(), "{:?}", report.problems);
        let mut serials = BTreeSet::new();
        let intents: BTreeMap<_, _> = records
            .iter()
            .filter_map(|record| match &record.entry {
                Entry::Intent(intent) => Some((record.sequence, intent.serial)),
                _ => None,
            })
            .collect();
        prop_assert!(intents.values().all(|serial| serials.insert(*serial)));
        for (serial, signed) in got {
            prop_assert_eq!(intents.get(&signed.sequence), Some(&serial));
        }
        prop_assert!(crls.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
    }
}
