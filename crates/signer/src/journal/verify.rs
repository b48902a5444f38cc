//! Checking a journal offline, from its files and the public keys alone (design law 2).

mod checker;

use std::fmt;
use std::path::Path;

use chancery_crypto::Digest32;
use chancery_pki::UnixTime;
use chancery_pki::issuer::IssuerCertificate;

use super::entry::Entry;
use super::read::{SegmentReader, Step};
use super::segment;
use crate::SignerError;
use checker::Checker;

/// What a journal holds and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Segments read.
    pub segments: u32,
    /// Entries read.
    pub entries: u64,
    /// The number of the first entry read.
    pub first_sequence: u64,
    /// The number of the last entry read.
    pub last_sequence: u64,
    /// The chain value behind the last entry: it commits to the whole journal, so it is worth keeping elsewhere.
    pub head: Digest32,
    /// The time of the last entry.
    pub last_time: UnixTime,
    /// Signatures over certificates of the CA itself.
    pub ca_signatures: u64,
    /// Signatures over leaf certificates, each verified.
    pub leaf_signatures: u64,
    /// Signatures over CRLs. The journal holds only digests of CRLs, so these are counted and not verified.
    pub crl_signatures: u64,
    /// Intents without a signature: a crash came between. Their serial numbers are used, their certificates may exist.
    pub unsigned_intents: u64,
    /// Bytes at the end that a crash left; the next start of the signer cuts them off.
    pub torn_bytes: u64,
    /// What is wrong, up to the first hundred.
    pub problems: Vec<Problem>,
    /// How much is wrong in all.
    pub problems_total: u64,
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The number in the segment's file name.
    pub segment: u32,
    /// Byte in that file at which the entry begins.
    pub offset: u64,
    /// The entry's number.
    pub sequence: u64,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            offset,
            sequence,
            what,
        } = self;
        write!(
            f,
            "segment {segment:08}.log, byte {offset}, entry {sequence}: {what}"
        )
    }
}

/// So many that the kind of trouble is clear, so few that a broken journal does not fill the memory.
const PROBLEMS_MAX: usize = 100;

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.problems_total == 0
    }

    fn note(&mut self, place: &Place, what: impl Into<String>) {
        self.problems_total = self.problems_total.saturating_add(1);
        if self.problems.len() < PROBLEMS_MAX {
            let Place {
                segment,
                offset,
                sequence,
            } = *place;
            self.problems.push(Problem {
                segment,
                offset,
                sequence,
                what: what.into(),
            });
        }
    }
}

/// Where an entry begins.
struct Place {
    segment: u32,
    offset: u64,
    sequence: u64,
}

impl Place {
    fn of(reader: &SegmentReader) -> Self {
        Self {
            segment: reader.header.number,
            offset: reader.offset,
            sequence: reader.sequence,
        }
    }
}

/// Reads the whole journal in `dir` and checks every hash, every signature under the key of its issuer, that no serial
/// number was used twice, and that CRL numbers and times only go up. `issuers` are the CA's certificates, root included.
/// It may run while the signer does; then it sees the journal as it was at some moment.
///
/// # Errors
/// [`SignerError`] when there is nothing to read or a file cannot be read; what is wrong with the content is in the report.
pub fn verify(dir: &Path, issuers: &[IssuerCertificate]) -> Result<Report, SignerError> {
    let last = segment::last(dir)?;
    if last == 0 {
        return Err(SignerError::JournalGap {
            dir: dir.to_owned(),
            segment: 1,
        });
    }
    let mut checker = Checker::new(issuers);
    // What the next segment has to begin with; not known after damage.
    let mut before = Some((1, [0; 32]));
    for number in 1..=last {
        let reader = match SegmentReader::open(dir, number) {
            Ok(reader) => reader,
            Err(damage @ SignerError::JournalDamaged { .. }) => {
                let place = Place {
                    segment: number,
                    offset: 0,
                    sequence: 0,
                };
                checker.report.note(&place, damage.to_string());
                before = None;
                continue;
            }
            Err(error) => return Err(error),
        };
        let goes_on = |(sequence, chain)| {
            sequence == reader.header.first_sequence && chain == reader.header.chain
        };
        match before {
            None => checker.forget(reader.header.first_sequence),
            Some(end) if goes_on(end) => {}
            Some(_) => {
                let what = "the segment does not go on where the one before it ends";
                checker.report.note(&Place::of(&reader), what);
                checker.forget(reader.header.first_sequence);
            }
        }
        checker.report.segments = number;
        before = one_segment(reader, number == last, dir, &mut checker)?;
    }
    Ok(checker.finish())
}

/// Checks the entries of a segment; gives number and chain value that the next one begins with, unless it is damaged.
fn one_segment(
    mut reader: SegmentReader,
    is_last: bool,
    dir: &Path,
    checker: &mut Checker,
) -> Result<Option<(u64, Digest32)>, SignerError> {
    loop {
        let place = Place::of(&reader);
        match reader.step()? {
            Step::Record(record) => {
                let is_first = record.sequence == reader.header.first_sequence;
                if is_first != matches!(record.entry, Entry::Snapshot(_)) {
                    checker
                        .report
                        .note(&place, "a snapshot stands at the start of a segment only");
                }
                checker.check(&place, *record);
                checker.report.head = reader.chain;
            }
            Step::End => return Ok(Some((reader.sequence, reader.chain))),
            Step::Cut if is_last => {
                let path = segment::path(dir, place.segment);
                let length = std::fs::metadata(&path)
                    .map_err(SignerError::io("read", &path))?
                    .len();
                checker.report.torn_bytes = length.saturating_sub(place.offset);
                return Ok(None);
            }
            Step::Cut => checker
                .report
                .note(&place, "the file ends inside the entry"),
            Step::Bad(what) => checker.report.note(&place, what),
        }
        if Place::of(&reader).offset == place.offset {
            return Ok(None);
        }
    }
}

#[cfg(test)]
mod tests;
