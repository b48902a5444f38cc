use std::fs;

use chancery_pki::Serial;

use super::*;
use crate::journal::{
    CrlIntent, CrlState, Entry, Intent, Journal, JournalOptions, Signature, SystemDisk,
};
use crate::protocol::{Answer, IssuerInfo, Request};
use crate::service::tests::world::{Leaf, World, parse, signed};
use crate::testing::TempDir;

/// A CA with two leaves, one of them signed by this CA's journal, and the parts to forge a journal from.
struct Forge {
    issuers: Vec<IssuerCertificate>,
    leaves: [Leaf; 2],
    signatures: [Vec<u8>; 2],
}

impl Forge {
    fn new() -> Self {
        let world = World::new();
        let (mut signer, issuer) = world.made();
        let infos: Vec<IssuerInfo> = signer.hello().issuers;
        let leaves = [world.leaf(&issuer), world.leaf(&issuer)];
        let requests = leaves
            .each_ref()
            .map(|leaf| Request::SignLeaf(leaf.request()));
        let mut answers = signer.calls(&requests).into_iter();
        let mut next = || {
            let answer: Option<Answer> = answers.next().flatten();
            signed(answer.expect("answered")).expect("signed").signature
        };
        let signatures = [next(), next()];
        Self {
            issuers: infos.iter().map(parse).collect(),
            leaves,
            signatures,
        }
    }

    fn intent(&self, leaf: usize) -> Entry {
        let leaf = &self.leaves[leaf];
        Entry::Intent(Intent {
            serial: leaf.serial,
            issuer: self.issuers[1]
                .key_identifier()
                .try_into()
                .expect("20 octets"),
            order: 1,
            account: 1,
            profile_hash: leaf.profile_hash,
            tbs: leaf.tbs.clone(),
        })
    }

    fn crl(&self, number: u64, second: i64) -> Entry {
        let at = UnixTime(1_790_000_000 + second);
        Entry::CrlIntent(CrlIntent {
            state: CrlState {
                issuer: self.issuers[1]
                    .key_identifier()
                    .try_into()
                    .expect("20 octets"),
                shard: 0,
                number,
                this_update: at,
                next_update: at.plus(60),
            },
            tbs_digest: [0; 32],
            added: Vec::new(),
        })
    }

    fn signature(&self, of: usize, intent: u64) -> Entry {
        Entry::Signature(Signature {
            intent,
            signature: self.signatures[of].clone(),
        })
    }

    /// Writes a journal with right hashes around `entries`, as a forger with write access could, and checks it.
    fn check(&self, entries: &[Entry], expected: Option<&str>) {
        let dir = TempDir::new();
        let mut journal =
            Journal::open(dir.path(), JournalOptions::default(), Box::new(SystemDisk))
                .expect("opens");
        for entry in entries {
            journal
                .append(UnixTime(1_790_000_000), entry)
                .expect("appends");
        }
        journal.sync().expect("syncs");
        let report = verify(dir.path(), &self.issuers).expect("reads");
        match expected {
            None => assert!(report.is_sound(), "{:?}", report.problems),
            Some(expected) => {
                let problem = report.problems.first().expect("a problem").to_string();
                assert!(problem.contains(expected), "{problem}");
            }
        }
    }
}

#[test]
fn a_journal_with_right_hashes_and_wrong_content_does_not_verify() {
    let forge = Forge::new();
    let (first, second) = (forge.intent(0), forge.intent(1));
    // The snapshot is entry 1, so the first of these is entry 2.
    forge.check(
        &[
            first.clone(),
            second,
            forge.signature(1, 3),
            forge.signature(0, 2),
        ],
        None,
    );
    let check = |entries: &[Entry], expected| forge.check(entries, Some(expected));
    check(&[first.clone(), forge.signature(1, 2)], "does not verify");
    check(
        &[first.clone(), forge.signature(0, 7)],
        "entry 7 is no intent",
    );
    check(
        &[first.clone(), forge.signature(0, 2), forge.signature(0, 2)],
        "entry 2 is no intent",
    );
    check(&[first.clone(), first.clone()], "was used before");
    let Entry::Intent(mut other) = first.clone() else {
        panic!("an intent")
    };
    other.serial = Serial::new(UnixTime(1_790_000_000), [0xee; 16]);
    check(
        &[Entry::Intent(other.clone()), forge.signature(0, 2)],
        "another serial number",
    );
    other.serial = forge.leaves[0].serial;
    other.issuer = forge.issuers[0]
        .key_identifier()
        .try_into()
        .expect("20 octets");
    check(
        &[Entry::Intent(other.clone()), forge.signature(0, 2)],
        "another issuer",
    );
    other.issuer = [9; 20];
    check(
        &[Entry::Intent(other), forge.signature(0, 2)],
        "not among the given",
    );
    let Entry::Signature(signature) = forge.signature(0, 2) else {
        panic!("a signature")
    };
    check(&[first, Entry::CrlSignature(signature)], "another kind");
    forge.check(&[forge.crl(4, 0), forge.crl(5, 1)], None);
    check(
        &[forge.crl(4, 0), forge.crl(4, 1)],
        "CRL number 4 comes after 4",
    );
    check(&[forge.crl(4, 0), forge.crl(5, 0)], "comes after");
    check(
        &[Entry::Snapshot(crate::journal::Snapshot::default())],
        "at the start of a segment only",
    );
}

/// Damage in one segment is named and does not hide what is in the others.
#[test]
fn damage_in_a_segment_is_named_with_its_place_and_the_rest_is_still_checked() {
    let mut world = World::new();
    world.segment_bytes_max = 2_000;
    let (mut signer, issuer) = world.made();
    for _ in 0..12 {
        signer.sign(&world.leaf(&issuer)).expect("signs");
    }
    let issuers = signer.hello().issuers;
    signer.stop().expect("ends");
    let whole = world.verify(&issuers);
    assert!(
        whole.is_sound() && whole.segments > 3,
        "{:?}",
        whole.problems
    );
    let second = world.data().join("journal/00000002.log");
    let kept = fs::read(&second).expect("reads");
    for at in (0..kept.len()).step_by(7) {
        let mut changed = kept.clone();
        changed[at] ^= 4;
        fs::write(&second, &changed).expect("writes");
        let report = world.verify(&issuers);
        let problem = report.problems.first().expect("a problem");
        assert_eq!(
            (report.problems_total, problem.segment),
            (1, 2),
            "{:?}",
            report.problems
        );
        let at = u64::try_from(at).expect("small");
        assert!(
            problem.offset <= at && at < problem.offset + 900,
            "{at}: {problem}"
        );
        assert_eq!(
            (report.last_sequence, report.head),
            (whole.last_sequence, whole.head)
        );
    }
    fs::write(&second, &kept[..kept.len() - 5]).expect("writes");
    let report = world.verify(&issuers);
    assert_eq!(report.problems_total, 1);
    assert!(
        report.problems[0].what.contains("ends inside"),
        "{}",
        report.problems[0]
    );
}

#[test]
fn a_segment_put_back_from_an_older_copy_is_noticed() {
    let mut world = World::new();
    world.segment_bytes_max = 2_000;
    let other = World::new();
    let (mut signer, issuer) = world.made();
    let (other_signer, _) = other.made();
    for _ in 0..12 {
        signer.sign(&world.leaf(&issuer)).expect("signs");
    }
    let issuers = signer.hello().issuers;
    signer.stop().expect("ends");
    other_signer.stop().expect("ends");
    let (from, to) = (
        other.data().join("journal/00000001.log"),
        world.data().join("journal/00000001.log"),
    );
    fs::copy(from, to).expect("copies");
    let report = world.verify(&issuers);
    let problem = report.problems.first().expect("a problem");
    assert_eq!(problem.segment, 2);
    assert!(problem.what.contains("does not go on"), "{problem}");
}

#[test]
fn a_torn_tail_is_reported_and_no_problem() {
    let world = World::new();
    let (mut signer, issuer) = world.made();
    signer.sign(&world.leaf(&issuer)).expect("signs");
    let issuers = signer.hello().issuers;
    signer.stop().expect("ends");
    let path = world.data().join("journal/00000001.log");
    let bytes = fs::read(&path).expect("reads");
    fs::write(&path, &bytes[..bytes.len() - 10]).expect("cuts");
    let report = world.verify(&issuers);
    assert!(report.is_sound(), "{:?}", report.problems);
    assert!(report.torn_bytes > 0);
    assert_eq!((report.leaf_signatures, report.unsigned_intents), (0, 1));
}
