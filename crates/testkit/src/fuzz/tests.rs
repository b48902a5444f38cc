use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::TempDir;

fn plan(folder: &TempDir, inputs_max: u64) -> Plan {
    let time = Duration::from_secs(3600);
    Plan {
        time,
        inputs_max,
        seed: 1,
        folder: folder.path().to_owned(),
    }
}

fn fragile(run: fn(&[u8]) -> Outcome) -> &'static Target {
    let samples = || vec![b"good".to_vec()];
    let target = Target {
        name: "fragile",
        run,
        samples,
        tokens: &[b"bad"],
        form: Form::Bytes,
        memory_base: MEMORY_BASE,
    };
    Box::leak(Box::new(target))
}

#[test]
fn every_target_reads_its_good_samples_and_differs_on_bad_ones() {
    for target in &TARGETS {
        let outcome_of_nothing = (target.run)(b"");
        for sample in (target.samples)() {
            assert_ne!((target.run)(&sample), outcome_of_nothing, "{}", target.name);
        }
    }
}

#[test]
fn samples_are_the_same_each_time() {
    for target in &TARGETS {
        assert_eq!((target.samples)(), (target.samples)(), "{}", target.name);
    }
}

#[test]
fn a_short_run_of_every_target_finds_nothing_and_grows_its_corpus() {
    let folder = TempDir::new("fuzz").expect("made");
    for target in &TARGETS {
        let report = fuzz(target, &plan(&folder, 300)).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(report.inputs, 300, "{}", target.name);
        assert!(report.corpus > (target.samples)().len(), "{}", target.name);
    }
    let left = std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(left, 0, "a run without findings leaves nothing");
}

#[test]
fn a_seed_repeats_a_run() {
    let folder = TempDir::new("fuzz").expect("made");
    let run = || {
        fuzz(&TARGETS[0], &plan(&folder, 200))
            .expect("no finding")
            .corpus
    };
    assert_eq!(run(), run());
}

#[test]
fn a_panic_is_found_saved_and_can_be_replayed() {
    let target = fragile(|input| {
        assert!(!input.windows(3).any(|three| three == b"bad"), "it broke");
        Outcome::of(input.len())
    });
    let folder = TempDir::new("fuzz").expect("made");
    let Err(FuzzError::Finding(finding)) = fuzz(target, &plan(&folder, 100_000)) else {
        panic!("the target breaks on a token");
    };
    assert!(matches!(&finding.fault, Fault::Panic { message } if message.contains("it broke")));
    assert_eq!(std::fs::read(&finding.path).expect("saved"), finding.input);
    assert!(
        finding
            .to_string()
            .starts_with("fragile: seed 1: panicked: it broke"),
        "{finding}"
    );
    assert!(replay(target, &finding.path).is_err());
    let names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn names_are_unique_and_found() {
    let names: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    assert!(names.iter().all(|name| target(name).is_some()));
    assert!(target("no such target").is_none());
}
