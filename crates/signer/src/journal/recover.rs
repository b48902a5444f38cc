//! Opening the last segment after whatever happened: a torn tail is cut, damage is refused.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::entry::Entry;
use super::frame::{HEADER_LEN, Header, MAGIC};
use super::read::{SegmentReader, Step};
use super::segment;
use super::state::State;
use crate::SignerError;

/// What a crash left at the end of the journal and start has cut off. Nothing that was promised can be in it:
/// promises are made after a sync, and these bytes had never been synced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// The segment's file.
    pub path: PathBuf,
    /// The byte from which it was cut.
    pub offset: u64,
    /// How many bytes were cut.
    pub bytes: u64,
    /// The number of the first entry that was cut.
    pub sequence: u64,
}

/// The last segment, read to its end.
#[derive(Debug)]
pub(crate) struct LastSegment {
    pub(crate) file: File,
    pub(crate) reader: SegmentReader,
    pub(crate) state: State,
    pub(crate) torn: Option<TornTail>,
}

/// Reads segment `number`, cuts a torn tail and makes what remains durable.
pub(crate) fn last_segment(
    dir: &Path,
    number: u32,
    disk: &mut dyn Disk,
) -> Result<LastSegment, SignerError> {
    let mut reader = SegmentReader::open(dir, number)?;
    let mut state = State::default();
    let mut synced = 0;
    let fault = loop {
        match reader.step()? {
            Step::Record(record) => {
                match &record.entry {
                    Entry::Snapshot(snapshot) => state = State::from_snapshot(snapshot),
                    _ if record.sequence == reader.header.first_sequence => {
                        return Err(reader.damaged("the segment does not begin with a snapshot"));
                    }
                    entry => state.apply(entry),
                }
                synced = synced.max(reader.synced);
            }
            Step::End => break None,
            Step::Cut => break Some("the file ends inside the entry"),
            Step::Bad(what) => break Some(what),
        }
    };
    if reader.sequence == reader.header.first_sequence {
        return Err(reader.damaged("the segment does not begin with a snapshot"));
    }
    let path = segment::path(dir, number);
    let file = File::options()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(SignerError::io("open", &path))?;
    let torn = match fault {
        None => None,
        Some(what) => Some(cut(&file, &path, &reader, what)?),
    };
    renew(&file, &path, u64::from(synced), reader.offset, disk)?;
    Ok(LastSegment {
        file,
        reader,
        state,
        torn,
    })
}

/// Cuts the segment where `reader` stopped, if what lies there is what an interrupted write leaves.
fn cut(
    mut file: &File,
    path: &Path,
    reader: &SegmentReader,
    what: &'static str,
) -> Result<TornTail, SignerError> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(reader.offset))
        .and_then(|_| file.read_to_end(&mut tail))
        .map_err(SignerError::io("read", path))?;
    if !is_torn(&tail, reader.offset) {
        return Err(reader.damaged(what));
    }
    file.set_len(reader.offset)
        .map_err(SignerError::io("shorten", path))?;
    Ok(TornTail {
        path: path.to_owned(),
        offset: reader.offset,
        bytes: u64::try_from(tail.len()).unwrap_or(u64::MAX),
        sequence: reader.sequence,
    })
}

/// Whether `tail`, which lies at `offset` and does not begin with a whole entry, can be what a crash left of a write that was
/// never synced: the beginning of an entry, or entries with holes where a block did not reach the disk.
fn is_torn(tail: &[u8], offset: u64) -> bool {
    let was_durable = headers(tail).any(|(at, header)| at > 0 && u64::from(header.synced) > offset);
    if was_durable {
        return false;
    }
    let begun = tail.first_chunk::<HEADER_LEN>().map_or_else(
        || MAGIC.iter().zip(tail).all(|(magic, byte)| magic == byte),
        |header| Header::parse(header).is_some_and(|header| tail.len() < header.entry_len()),
    );
    begun || has_hole(tail, offset)
}

/// The smallest unit that a disk writes whole.
const SECTOR_BYTES: u64 = 512;

/// Whether the first entry of `tail` misses a sector: one, as far as it lies in the entry, is all zeros.
fn has_hole(tail: &[u8], offset: u64) -> bool {
    let entry_len = tail
        .first_chunk::<HEADER_LEN>()
        .and_then(Header::parse)
        .map_or(HEADER_LEN, |header| header.entry_len());
    let mut entry = tail.get(..entry_len).unwrap_or(tail);
    let mut room = usize::try_from(SECTOR_BYTES - offset % SECTOR_BYTES).unwrap_or(1);
    while !entry.is_empty() {
        let (piece, rest) = entry.split_at(room.min(entry.len()));
        if piece.iter().all(|byte| *byte == 0) {
            return true;
        }
        (entry, room) = (rest, usize::try_from(SECTOR_BYTES).unwrap_or(1));
    }
    false
}

/// Everything in `bytes` that was written as the header of an entry.
fn headers(bytes: &[u8]) -> impl Iterator<Item = (usize, Header)> {
    bytes
        .windows(HEADER_LEN)
        .enumerate()
        .filter_map(|(at, window)| {
            let header = window.first_chunk::<HEADER_LEN>()?;
            header
                .starts_with(&MAGIC)
                .then(|| Header::parse(header))?
                .map(|header| (at, header))
        })
}

/// Writes again what no entry proves durable, then syncs. After a failed sync the system may hold such bytes as clean though
/// they never reached the disk; only bytes written anew are sure to be written out.
fn renew(
    mut file: &File,
    path: &Path,
    synced: u64,
    end: u64,
    disk: &mut dyn Disk,
) -> Result<(), SignerError> {
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(synced))
        .and_then(|_| file.take(end.saturating_sub(synced)).read_to_end(&mut tail))
        .map_err(SignerError::io("read", path))?;
    disk.write(file, synced, &tail)
        .and_then(|()| disk.sync(file))
        .map_err(SignerError::io("make durable", path))
}

#[cfg(test)]
mod tests {
    use chancery_pki::UnixTime;

    use super::*;
    use crate::journal::{entry::samples, frame};

    fn entries(offset: usize, synced: &[u32]) -> Vec<u8> {
        let mut bytes = vec![0xff; offset];
        for (n, synced) in (0..).zip(synced) {
            let entry = samples::intent(n, 700);
            frame::write(&mut bytes, &entry, UnixTime(0), *synced, &[0; 32]).expect("fits");
        }
        bytes.split_off(offset)
    }

    #[test]
    fn the_beginning_of_an_entry_is_torn_and_a_changed_entry_is_not() {
        let one = entries(1_000, &[0]);
        for length in 1..one.len() {
            assert!(is_torn(&one[..length], 1_000), "{length}");
        }
        for at in 0..one.len() {
            let mut changed = one.clone();
            changed[at] ^= 0x40;
            assert!(!is_torn(&changed, 1_000), "{at}");
        }
    }

    #[test]
    fn a_sector_of_zeros_is_torn_unless_a_later_entry_saw_it_durable() {
        for (synced, torn) in [(0, true), (1_000, true), (1_001, false), (1_500, false)] {
            let mut two = entries(1_000, &[0, synced]);
            two[1_024 - 1_000..1_536 - 1_000].fill(0);
            assert_eq!(is_torn(&two, 1_000), torn, "{synced}");
        }
        assert!(is_torn(&[0; 5_000], 1_000));
    }

    #[test]
    fn damage_that_a_later_entry_saw_durable_is_never_cut_even_where_it_looks_like_a_short_write() {
        let mut two = entries(1_000, &[0, 1_400]);
        two[..HEADER_LEN].fill(0);
        assert!(!is_torn(&two, 1_000));
    }
}
