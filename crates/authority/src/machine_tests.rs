//! The machines under random events: whatever comes in whatever order, the laws hold.
//!
//! [`events`] says what can happen; [`driver`] carries it out on a model of the store, as the engine would; [`laws`] judges
//! every change before it is applied and every state after it.

mod driver;
mod events;
mod laws;

use std::collections::HashSet;
use std::env;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::change::{ChangeKind, Outcome};
use driver::Machine;
use events::{Op, contested, ops};

/// Enough for a few orders from placing to revocation, with trouble in between.
const STEPS_MAX: usize = 200;

/// Some seconds; minutes in the long form.
fn config() -> ProptestConfig {
    let long = env::var_os("CHANCERY_LONG").is_some();
    ProptestConfig {
        cases: if long { 20_000 } else { 384 },
        // What failed becomes a test of its own; a file of seeds says nothing to a reader.
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn run(seed: u64, ops: &[Op]) -> Machine {
    let mut machine = Machine::new(seed);
    for op in ops {
        machine.step(op);
    }
    machine
}

proptest! {
    #![proptest_config(config())]

    /// RFC 8555 §7.1.6, failures A7, A12, D2: see [`laws`], which every step is held against.
    #[test]
    fn a12_no_sequence_of_events_breaks_a_law(seed: u64, ops in ops(STEPS_MAX)) {
        run(seed, &ops);
    }

    /// What two actors decide on one state is as if one had come after the other: the second conflicts and decides anew,
    /// or would have decided the same.
    #[test]
    fn a18_two_decisions_on_one_state_are_as_if_one_came_after_the_other(
        seed: u64,
        ops in ops(STEPS_MAX),
        pairs in proptest::collection::vec((contested(), contested()), 1..20),
    ) {
        let mut machine = run(seed, &ops);
        for (first, second) in &pairs {
            let stale = machine.decide(second);
            machine.step(first);
            let fresh = machine.decide(second);
            let Some(stale) = stale else { continue };
            // The first may have added to what the second picks from: then they are not the same event.
            let same = fresh.as_ref().is_none_or(|fresh| fresh.audit().object == stale.audit().object);
            if same && machine.model.clone().apply(&stale) == Outcome::Applied {
                let fresh = fresh.as_ref().map(|change| change.writes());
                prop_assert_eq!(Some(stale.writes()), fresh, "{:?} after {:?}", second, first);
            }
            machine.step(second);
        }
    }

    /// Failures A7, A9: whichever copy of the store is put back, and wherever the journal ends.
    #[test]
    fn a9_any_copy_of_the_store_and_any_prefix_of_the_journal_end_consistent(
        seed: u64,
        ops in ops(STEPS_MAX),
        copy: prop::sample::Index,
        length: prop::sample::Index,
        cut: bool,
    ) {
        let mut machine = run(seed, &ops);
        machine.put_back(copy.index(usize::MAX));
        let length = length.index(machine.journal.len() + 1);
        machine.journal.truncate(length);
        if let (true, Some(last)) = (cut, machine.journal.last_mut()) {
            last.signature = None;
        }
        machine.restart();
        let settled = machine.model.clone();
        machine.restart();
        prop_assert_eq!(&machine.model, &settled, "a second reconciliation changes nothing");
    }
}

/// A law that nothing reaches protects nothing.
#[test]
fn the_events_reach_every_change_that_can_happen_to_an_order() {
    let mut runner = TestRunner::deterministic();
    let mut reached = HashSet::new();
    for seed in 0..200 {
        let ops = ops(STEPS_MAX).new_tree(&mut runner).expect("generates");
        let machine = run(seed, &ops.current());
        reached.extend(machine.model.audit.iter().map(|record| record.kind));
    }
    for kind in [
        ChangeKind::OrderCreated,
        ChangeKind::ChallengeTaken,
        ChangeKind::ValidationRetried,
        ChangeKind::AuthorizationProved,
        ChangeKind::AuthorizationFailed,
        ChangeKind::OrderClaimed,
        ChangeKind::ClaimVoided,
        ChangeKind::OrderEnded,
        ChangeKind::CertificateRecorded,
        ChangeKind::CertificateOrphaned,
        ChangeKind::CertificateRestored,
        ChangeKind::CertificateRevoked,
    ] {
        assert!(reached.contains(&kind), "no run came to {kind:?}");
    }
}
