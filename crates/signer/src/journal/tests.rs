use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;

use super::entry::samples;
use super::*;
use crate::testing::{DiskWatch, TempDir, TestDisk};

const NOW: UnixTime = UnixTime(1_770_000_000);

fn options(segment_bytes_max: u64) -> JournalOptions {
    JournalOptions {
        segment_bytes_max,
        lock_wait: Duration::ZERO,
    }
}

fn open(dir: &TempDir) -> Result<Journal, SignerError> {
    Journal::open(dir.path(), options(16 << 20), Box::new(SystemDisk))
}

fn entries(journal: &Journal) -> Vec<Entry> {
    journal
        .read_from(1)
        .expect("opens")
        .map(|record| record.expect("reads").entry)
        .filter(|entry| !matches!(entry, Entry::Snapshot(_)))
        .collect()
}

/// A journal of `count` intents, and where each of its entries ends in the only segment.
fn written(dir: &TempDir, count: u32) -> (Vec<Entry>, Vec<u64>, Vec<u8>) {
    let mut journal = open(dir).expect("opens");
    let (mut written, mut ends) = (Vec::new(), vec![journal.written]);
    for n in 0..count {
        let entry = samples::intent(n, 60 + 7 * usize::try_from(n).expect("small"));
        journal.append(NOW.plus(n.into()), &entry).expect("appends");
        journal.sync().expect("syncs");
        written.push(entry);
        ends.push(journal.written);
    }
    drop(journal);
    let bytes = fs::read(segment::path(dir.path(), 1)).expect("reads");
    (written, ends, bytes)
}

fn rewrite(dir: &TempDir, bytes: &[u8]) {
    fs::write(segment::path(dir.path(), 1), bytes).expect("writes");
}

#[test]
fn entries_come_back_in_order_after_a_restart_and_the_head_goes_on() {
    let dir = TempDir::new();
    let (expected, _, _) = written(&dir, 5);
    let mut journal = open(&dir).expect("opens");
    assert_eq!(journal.torn(), None);
    assert_eq!(
        (journal.head().sequence, journal.head().time),
        (6, NOW.plus(4))
    );
    assert_eq!(entries(&journal), expected);
    assert_eq!(
        journal
            .append(NOW, &samples::signature(6))
            .expect("appends"),
        7
    );
    assert_eq!(journal.head().time, NOW.plus(4), "time never goes back");
}

#[test]
fn a_journal_cut_at_any_byte_opens_with_exactly_the_whole_entries_before() {
    let dir = TempDir::new();
    let (expected, ends, bytes) = written(&dir, 4);
    let start = usize::try_from(ends[1]).expect("small");
    for length in start..=bytes.len() {
        rewrite(&dir, &bytes[..length]);
        let journal = open(&dir).expect("opens");
        let whole = ends
            .iter()
            .filter(|end| **end <= u64::try_from(length).expect("small"))
            .count();
        assert_eq!(entries(&journal), expected[..whole - 1], "cut at {length}");
        let torn = journal.torn().map(|torn| (torn.offset, torn.sequence));
        let at_end = ends.contains(&u64::try_from(length).expect("small"));
        let first_cut = u64::try_from(whole).expect("small") + 1;
        assert_eq!(
            torn,
            (!at_end).then_some((ends[whole - 1], first_cut)),
            "cut at {length}"
        );
        drop(journal);
        assert_eq!(open(&dir).expect("opens again").torn(), None);
    }
}

#[test]
fn a_changed_bit_anywhere_is_refused_at_the_entry_that_holds_it() {
    let dir = TempDir::new();
    let (_, ends, bytes) = written(&dir, 3);
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        rewrite(&dir, &changed);
        let refused = open(&dir).expect_err("does not open");
        let SignerError::JournalDamaged {
            segment,
            offset,
            sequence,
            ..
        } = refused
        else {
            panic!("{refused} for byte {at}");
        };
        let at = u64::try_from(at).expect("small");
        let before = ends.iter().filter(|end| **end <= at).count();
        let expected = match (before, at < 96) {
            (_, true) => (1, 0, 0),
            (0, false) => (1, 96, 1),
            _ => (
                1,
                ends[before - 1],
                u64::try_from(before).expect("small") + 1,
            ),
        };
        assert_eq!((segment, offset, sequence), expected, "byte {at}");
        assert_eq!(
            fs::read(segment::path(dir.path(), 1)).expect("reads"),
            changed,
            "untouched"
        );
    }
}

#[test]
fn segments_rotate_and_opening_reads_only_the_last_one() {
    let dir = TempDir::new();
    let small = options(4_096);
    let mut journal = Journal::open(dir.path(), small, Box::new(SystemDisk)).expect("opens");
    let mut expected = Vec::new();
    for n in 1..40 {
        let entry = if n % 5 == 0 {
            samples::crl(n % 3, n.into(), 2)
        } else {
            samples::intent(n, 500)
        };
        journal.append(NOW, &entry).expect("appends");
        journal.sync().expect("syncs");
        expected.push(entry);
    }
    assert!(journal.number > 3, "rotated");
    assert_eq!(entries(&journal), expected);
    let (head, crls, number) = (journal.head(), journal.crls(), journal.number);
    let numbers: Vec<_> = crls.iter().map(|crl| (crl.shard, crl.number)).collect();
    assert_eq!(numbers, [(0, 30), (1, 25), (2, 35)]);
    drop(journal);
    // The contents of earlier segments are not looked at, their presence is.
    let first = segment::path(dir.path(), 1);
    let kept = fs::read(&first).expect("reads");
    fs::write(&first, b"").expect("empties");
    let journal = Journal::open(dir.path(), small, Box::new(SystemDisk)).expect("opens");
    assert_eq!(
        (journal.head(), journal.crls(), journal.number),
        (head, crls, number)
    );
    assert!(journal.has_issued());
    assert_eq!(journal.serial_use(&samples::serial(1)), SerialUse::Unknown);
    fs::write(&first, kept).expect("puts back");
    for from in 1..=head.sequence {
        let sequences: Vec<_> = journal
            .read_from(from)
            .expect("opens")
            .map(|record| record.expect("reads").sequence)
            .collect();
        assert_eq!(sequences, (from..=head.sequence).collect::<Vec<_>>());
    }
    drop(journal);
    fs::remove_file(&first).expect("removes");
    let refused = Journal::open(dir.path(), small, Box::new(SystemDisk)).expect_err("a gap");
    assert!(
        matches!(refused, SignerError::JournalGap { segment: 1, .. }),
        "{refused}"
    );
}

#[test]
fn a_reader_goes_on_when_the_journal_has_grown_into_the_next_segment() {
    let dir = TempDir::new();
    let mut journal =
        Journal::open(dir.path(), options(2_000), Box::new(SystemDisk)).expect("opens");
    let mut records = journal.read_from(1).expect("opens");
    assert!(
        records.next().is_some_and(|record| record.is_ok()),
        "the snapshot"
    );
    for n in 1..30 {
        assert!(records.next().is_none());
        journal
            .append(NOW, &samples::intent(n, 300))
            .expect("appends");
        assert!(records.next().is_none(), "not flushed yet");
        journal.sync().expect("syncs");
        let next = records.find(|record| {
            !matches!(
                record,
                Ok(Record {
                    entry: Entry::Snapshot(_),
                    ..
                })
            )
        });
        assert_eq!(
            next.expect("there").expect("reads").entry,
            samples::intent(n, 300)
        );
        records.by_ref().for_each(|record| assert!(record.is_ok()));
    }
    assert!(journal.number > 2);
}

#[test]
fn g3_after_a_failed_write_or_sync_the_journal_takes_nothing_more_and_a_restart_recovers() {
    for fail_at in 1..12 {
        let dir = TempDir::new();
        let watch = Arc::new(DiskWatch::default());
        watch.fail_at.store(fail_at, SeqCst);
        let disk = Box::new(TestDisk(watch));
        let Ok(mut journal) = Journal::open(dir.path(), options(16 << 20), disk) else {
            assert!(fail_at <= 2, "opening writes and syncs once");
            continue;
        };
        let mut durable = Vec::new();
        for n in 0..10 {
            let entry = samples::intent(n, 100);
            let result = journal.append(NOW, &entry).and_then(|_| journal.sync());
            if result.is_err() {
                break;
            }
            durable.push(entry);
        }
        assert!(durable.len() < 10, "the fault came");
        assert!(matches!(journal.sync(), Err(SignerError::JournalFailed)));
        let again = journal.append(NOW, &samples::signature(1));
        assert!(matches!(again, Err(SignerError::JournalFailed)));
        drop(journal);
        let recovered = entries(&open(&dir).expect("opens"));
        assert!(recovered.starts_with(&durable), "call {fail_at}");
    }
}

#[test]
fn a_sync_without_new_entries_costs_nothing_and_one_sync_serves_many() {
    let dir = TempDir::new();
    let watch = Arc::new(DiskWatch::default());
    let disk = Box::new(TestDisk(watch.clone()));
    let mut journal = Journal::open(dir.path(), options(16 << 20), disk).expect("opens");
    let before = watch.syncs.load(SeqCst);
    for n in 0..50 {
        journal
            .append(NOW, &samples::intent(n, 100))
            .expect("appends");
    }
    assert!(!journal.is_durable());
    journal.sync().expect("syncs");
    journal.sync().expect("syncs");
    assert!(journal.is_durable());
    assert_eq!(watch.syncs.load(SeqCst), before + 1);
}

#[test]
fn g1_a_second_signer_on_the_folder_is_refused_until_the_first_has_ended() {
    let dir = TempDir::new();
    let first = open(&dir).expect("opens");
    let refused = open(&dir).expect_err("in use");
    assert!(
        matches!(refused, SignerError::JournalInUse { .. }),
        "{refused}"
    );
    drop(first);
    open(&dir).expect("opens");
}

#[test]
fn what_a_crash_left_of_a_new_segment_is_removed() {
    let dir = TempDir::new();
    written(&dir, 2);
    let left = dir.path().join("00000002.log.tmp");
    fs::write(&left, b"CHJR").expect("writes");
    open(&dir).expect("opens");
    assert!(!left.exists());
}

#[derive(Debug, Clone)]
enum Op {
    Append(u16),
    Crl(u8),
    Flush,
    Sync,
    /// The process is killed: what was flushed stays, what was only appended is gone.
    Kill,
    /// The power fails: of what was not synced, some prefix stays.
    PowerFails(u8),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0_u16..900).prop_map(Op::Append),
        1 => (0_u8..3).prop_map(Op::Crl),
        2 => Just(Op::Flush),
        2 => Just(Op::Sync),
        1 => Just(Op::Kill),
        1 => any::<u8>().prop_map(Op::PowerFails),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens in whatever order: all that was synced is there, nothing that was not written is, and the CRL numbers
    /// that opening reports are those of the entries.
    #[test]
    fn d8_nothing_synced_is_lost_and_nothing_is_invented(ops in prop::collection::vec(op(), 1..60)) {
        let dir = TempDir::new();
        let small = options(3_000);
        let start = || Journal::open(dir.path(), small, Box::new(SystemDisk)).expect("opens");
        let mut journal = start();
        let (mut model, mut flushed, mut durable) = (Vec::new(), 0, 0);
        for (n, op) in (0..).zip(ops) {
            match op {
                Op::Append(length) => {
                    model.push(samples::intent(n, length.into()));
                    journal.append(NOW, model.last().expect("one")).expect("appends");
                }
                Op::Crl(shard) => {
                    model.push(samples::crl(shard.into(), n.into(), 1));
                    journal.append(NOW, model.last().expect("one")).expect("appends");
                }
                Op::Flush => {
                    journal.flush().expect("flushes");
                    flushed = model.len();
                }
                Op::Sync => {
                    journal.sync().expect("syncs");
                    (flushed, durable) = (model.len(), model.len());
                }
                Op::Kill => {
                    drop(journal);
                    journal = start();
                    prop_assert_eq!(entries(&journal), model[..flushed].to_vec());
                    model.truncate(flushed);
                    durable = flushed;
                }
                Op::PowerFails(kept) => {
                    let (number, synced) = (journal.number, journal.synced);
                    let unsynced = journal.written - synced;
                    drop(journal);
                    let file = segment::open_for_writing(&segment::path(dir.path(), number)).expect("opens");
                    file.set_len(synced + unsynced * u64::from(kept) / 256).expect("cuts");
                    journal = start();
                    let found = entries(&journal);
                    prop_assert!(found.len() >= durable && found.len() <= flushed);
                    prop_assert_eq!(&found[..], &model[..found.len()]);
                    model.truncate(found.len());
                    (flushed, durable) = (model.len(), model.len());
                }
            }
        }
        journal.sync().expect("syncs");
        prop_assert_eq!(entries(&journal), model.clone());
        for crl in journal.crls() {
            let last = model.iter().rev().find_map(|entry| match entry {
                Entry::CrlIntent(intent) if intent.state.shard == crl.shard => Some(&intent.state),
                _ => None,
            });
            prop_assert_eq!(last, Some(&crl));
        }
    }
}
