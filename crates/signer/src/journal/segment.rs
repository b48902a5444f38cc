//! The files of the journal: `00000001.log`, `00000002.log`, …, each with a header that says where in the journal it begins.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use chancery_crypto::{Digest32, sha256};
use chancery_pki::UnixTime;

use crate::{SignerError, files};

/// The only version of the segment format so far.
pub(crate) const FORMAT_VERSION: u32 = 1;
pub(crate) const SEGMENT_HEADER_LEN: usize = 96;
const MAGIC: [u8; 8] = *b"CHJRNL\r\n";
const CHECKED_LEN: usize = 64;
/// 100 million certificates take some 8,000 segments; a folder with more names than this is not ours.
const SEGMENTS_MAX: usize = 1_000_000;

/// What a segment says of the entries before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) number: u32,
    /// The sequence number of its first entry.
    pub(crate) first_sequence: u64,
    /// The chain value before its first entry.
    pub(crate) chain: Digest32,
    /// The time of the entry before its first one.
    pub(crate) time: UnixTime,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_LEN);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.first_sequence.to_le_bytes());
        out.extend_from_slice(&self.chain);
        out.extend_from_slice(&self.time.0.to_le_bytes());
        let check = sha256(&out);
        out.extend_from_slice(&check);
        out
    }

    /// Reads the header of segment `number`.
    ///
    /// # Errors
    /// [`SignerError::JournalDamaged`] or [`SignerError::JournalVersion`].
    pub(crate) fn parse(
        number: u32,
        bytes: &[u8; SEGMENT_HEADER_LEN],
    ) -> Result<Self, SignerError> {
        let damaged = |what| SignerError::JournalDamaged {
            segment: number,
            offset: 0,
            sequence: 0,
            what,
        };
        let fields = || {
            let (checked, check) = bytes.split_first_chunk::<CHECKED_LEN>()?;
            let (magic, rest) = checked.split_first_chunk::<8>()?;
            let (version, rest) = rest.split_first_chunk::<4>()?;
            let (own_number, rest) = rest.split_first_chunk::<4>()?;
            let (first_sequence, rest) = rest.split_first_chunk::<8>()?;
            let (chain, rest) = rest.split_first_chunk::<32>()?;
            let (time, _) = rest.split_first_chunk::<8>()?;
            let whole = *magic == MAGIC && sha256(checked).as_slice() == check;
            let header = Self {
                number: u32::from_le_bytes(*own_number),
                first_sequence: u64::from_le_bytes(*first_sequence),
                chain: *chain,
                time: UnixTime(i64::from_le_bytes(*time)),
            };
            whole.then_some((u32::from_le_bytes(*version), header))
        };
        let (version, header) = fields().ok_or_else(|| damaged("its header was changed"))?;
        if version != FORMAT_VERSION {
            return Err(SignerError::JournalVersion {
                segment: number,
                seen: version,
                known: FORMAT_VERSION,
            });
        }
        if header.number != number {
            return Err(damaged("its header belongs to a segment of another number"));
        }
        Ok(header)
    }
}

/// The file of segment `number`.
pub(crate) fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{number:08}.log"))
}

/// Creates segment `header.number` with its first entry already in it: whole or not at all, and durable.
pub(crate) fn create(
    dir: &Path,
    header: &SegmentHeader,
    first_entry: &[u8],
) -> Result<File, SignerError> {
    let mut bytes = header.encode();
    bytes.extend_from_slice(first_entry);
    let path = files::write(dir, &format!("{:08}.log", header.number), &bytes)?;
    open_for_writing(&path)
}

pub(crate) fn open_for_writing(path: &Path) -> Result<File, SignerError> {
    File::options()
        .write(true)
        .open(path)
        .map_err(SignerError::io("open", path))
}

/// The number of the last segment; 0 if there is none. All before it must be there.
///
/// # Errors
/// [`SignerError::JournalGap`] or an I/O error.
pub(crate) fn last(dir: &Path) -> Result<u32, SignerError> {
    let reading = |error| SignerError::io("read the names in", dir)(error);
    let mut numbers = Vec::new();
    for name in fs::read_dir(dir).map_err(reading)?.take(SEGMENTS_MAX) {
        let name = name.map_err(reading)?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".log"))
            .filter(|digits| {
                digits.len() == 8 && digits.bytes().all(|digit| digit.is_ascii_digit())
            })
            .and_then(|digits| digits.parse::<u32>().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    for (expected, number) in (1..).zip(&numbers) {
        if *number != expected {
            return Err(SignerError::JournalGap {
                dir: dir.to_owned(),
                segment: expected,
            });
        }
    }
    Ok(numbers.last().copied().unwrap_or(0))
}

/// Removes files that a crash left unfinished; nothing refers to them.
pub(crate) fn remove_unfinished(dir: &Path) -> Result<(), SignerError> {
    let reading = |error| SignerError::io("read the names in", dir)(error);
    for name in fs::read_dir(dir).map_err(reading)? {
        let path = name.map_err(reading)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == files::UNFINISHED)
        {
            fs::remove_file(&path).map_err(SignerError::io("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_any_bit_changed_is_damage_and_one_of_another_number_is_refused() {
        let header = SegmentHeader {
            number: 3,
            first_sequence: 40,
            chain: [8; 32],
            time: UnixTime(1_770_000_000),
        };
        let bytes: [u8; SEGMENT_HEADER_LEN] = header.encode().try_into().expect("its length");
        assert_eq!(SegmentHeader::parse(3, &bytes).expect("whole"), header);
        let is_damage = |number, bytes: &[u8; SEGMENT_HEADER_LEN]| {
            matches!(
                SegmentHeader::parse(number, bytes),
                Err(SignerError::JournalDamaged { .. })
            )
        };
        assert!(is_damage(4, &bytes));
        for bit in 0..SEGMENT_HEADER_LEN * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(is_damage(3, &changed), "bit {bit}");
        }
    }
}
