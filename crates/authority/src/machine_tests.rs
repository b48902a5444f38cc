//! The machines under random events: whatever comes in whatever order, the laws hold.
//!
//! [`driver`] carries events out on a model of the store, as the engine would; [`laws`] judges every change before it is
//! applied and every state after it.

mod driver;
mod laws;

use proptest::prelude::*;

use crate::change::Outcome;
use driver::{Machine, Op, contested, ops};

/// Enough for a few orders from placing to revocation, with trouble in between.
const STEPS_MAX: usize = 200;

fn run(seed: u64, ops: &[Op]) -> Machine {
    let mut machine = Machine::new(seed);
    for op in ops {
        machine.step(op);
    }
    machine
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, failure_persistence: None, ..ProptestConfig::default() })]

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
            if let Some(stale) = stale {
                let mut tried = machine.model.clone();
                if tried.apply(&stale) == Outcome::Applied {
                    let fresh = fresh.as_ref().map(|change| change.writes());
                    prop_assert_eq!(Some(stale.writes()), fresh, "{:?} after {:?}", second, first);
                }
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

#[test]
fn tmp_stats() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::default();
    let mut counts = std::collections::HashMap::new();
    let (mut journal, mut unsigned) = (0, 0);
    for seed in 0..192 {
        let ops = ops(STEPS_MAX).new_tree(&mut runner).unwrap().current();
        let machine = run(seed, &ops);
        for record in &machine.model.audit {
            *counts.entry(record.kind).or_insert(0) += 1;
        }
        journal += machine.journal.len();
        unsigned += machine
            .journal
            .iter()
            .filter(|i| i.signature.is_none())
            .count();
    }
    panic!("{counts:?} {journal} {unsigned}");
}
