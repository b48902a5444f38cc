use std::fs;
use std::os::unix::fs::PermissionsExt;

use chancery_pki::UnixTime;
use chancery_pki::chain::verify_chain;
use chancery_pki::tbs::assemble;

use super::world::{NOW, World, parse, spec};
use crate::SignerError;
use crate::journal::Entry;
use crate::protocol::Refusal;

#[test]
fn a_first_run_makes_a_ca_once_and_it_is_there_after_a_restart() {
    let world = World::new();
    let mut signer = world.start();
    assert!(signer.hello().issuers.is_empty());
    let made = signer.first_run(&spec()).expect("makes");
    let names: Vec<_> = made
        .iter()
        .map(|issuer| (issuer.name.as_str(), issuer.root))
        .collect();
    assert_eq!(names, [("root", true), ("issuer-1", false)]);
    assert_eq!(signer.first_run(&spec()), Err(Refusal::AlreadyMade));
    signer.stop().expect("ends");

    let mut signer = world.start();
    assert_eq!(signer.hello().issuers, made);
    let leaf = world.leaf(&parse(&made[1]));
    let signature = signer.sign(&leaf).expect("signs").signature;
    let certificate = assemble(&leaf.tbs, parse(&made[1]).signature_algorithm(), &signature);
    let certificate = chancery_pki::certificate::Certificate::parse(&certificate).expect("reads");
    let issuer = parse(&made[1]).certificate().clone();
    let root = parse(&made[0]).certificate().clone();
    assert_eq!(
        verify_chain(&certificate, &[issuer], &root, UnixTime(NOW)),
        Ok(())
    );
    signer.stop().expect("ends");
    let report = world.verify(&made);
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!((report.ca_signatures, report.leaf_signatures), (2, 1));
}

#[test]
fn key_files_are_sealed_private_and_useless_in_each_others_place() {
    let world = World::new();
    let (signer, _) = world.made();
    signer.stop().expect("ends");
    let keys = world.data().join("keys");
    assert_eq!(
        fs::metadata(&keys).expect("there").permissions().mode() & 0o777,
        0o700
    );
    for file in fs::read_dir(&keys).expect("reads") {
        let file = file.expect("reads");
        let mode = file.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", file.file_name());
    }
    let (root, issuer) = (keys.join("root.key"), keys.join("issuer-1.key"));
    let kept = fs::read(&issuer).expect("reads");
    fs::copy(&root, &issuer).expect("copies");
    let refused = world.start().stop().expect_err("is refused");
    assert!(matches!(refused, SignerError::KeyFile { .. }), "{refused}");
    fs::write(&issuer, kept).expect("puts back");
    fs::copy(keys.join("root.crt"), keys.join("issuer-1.crt")).expect("copies");
    let refused = world.start().stop().expect_err("is refused").to_string();
    assert!(refused.contains("not for this key"), "{refused}");
}

#[test]
fn a_first_run_that_was_interrupted_is_done_again() {
    let world = World::new();
    let (signer, _) = world.made();
    signer.stop().expect("ends");
    // As if the process had died before the last step, the rename.
    fs::rename(world.data().join("keys"), world.data().join("keys.new")).expect("renames");
    let mut signer = world.start();
    assert!(signer.hello().issuers.is_empty());
    let made = signer.first_run(&spec()).expect("makes");
    signer.sign(&world.leaf(&parse(&made[1]))).expect("signs");
    signer.stop().expect("ends");
    assert!(!world.data().join("keys.new").exists());
    let report = world.verify(&made);
    assert!(report.is_sound(), "{:?}", report.problems);
    assert_eq!(report.ca_signatures, 4);
}

#[test]
fn d8_keys_without_their_journal_and_a_journal_without_its_keys_are_refused_with_advice() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    signer.sign(&world.leaf(&issuer)).expect("signs");
    signer.stop().expect("ends");
    let (keys, journal) = (world.data().join("keys"), world.data().join("journal"));
    let away = world.dir.path().join("away");
    fs::rename(&keys, &away).expect("renames");
    let refused = world.start().stop().expect_err("is refused");
    assert!(
        matches!(refused, SignerError::KeysMissing { .. }),
        "{refused}"
    );
    fs::rename(&away, &keys).expect("renames");
    fs::rename(&journal, &away).expect("renames");
    let refused = world.start().stop().expect_err("is refused");
    assert!(
        matches!(refused, SignerError::JournalMissing { .. }),
        "{refused}"
    );
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_no_keys() {
    let world = World::new();
    let mut signer = world.start();
    let mut twice = spec();
    twice.issuers.push(twice.issuers[0].clone());
    let mut root = spec();
    root.issuers[0].name = "root".into();
    let mut outside = spec();
    outside.issuers[0].name = "../x".into();
    let mut none = spec();
    none.issuers.clear();
    let mut longer = spec();
    longer.issuers[0].ca.lifetime_secs = longer.root.lifetime_secs + 1;
    let mut empty = spec();
    empty.root.common_name.clear();
    let mut no_purpose = spec();
    no_purpose.issuers[0].ext_key_usages.clear();
    for spec in [twice, root, outside, none, longer, empty, no_purpose] {
        let refused = signer.first_run(&spec);
        assert!(
            matches!(refused, Err(Refusal::CannotMake { .. })),
            "{refused:?}"
        );
    }
    assert!(!world.data().join("keys").exists());
    signer.first_run(&spec()).expect("makes");
}

#[test]
fn the_certificates_of_the_ca_are_in_the_journal_before_their_signatures() {
    let world = World::new();
    let (mut signer, _) = world.made();
    let kinds: Vec<_> = signer
        .replay(1, 100)
        .into_iter()
        .map(|record| match record.entry {
            Entry::Snapshot(_) => "snapshot".to_owned(),
            Entry::Start(_) => "start".to_owned(),
            Entry::CaIntent(intent) => format!("{} {}", intent.name, intent.root),
            Entry::CaSignature(signature) => format!("signs {}", signature.intent),
            entry => panic!("{entry:?}"),
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "snapshot",
            "start",
            "root true",
            "signs 3",
            "issuer-1 false",
            "signs 5"
        ]
    );
}
