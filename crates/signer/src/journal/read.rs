use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use chancery_crypto::Digest32;
use chancery_pki::UnixTime;

use super::entry::Entry;
use super::frame::{self, CHAIN_LEN, HEADER_LEN, Header};
use super::segment::{self, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::SignerError;

/// One entry and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number; the first of the journal is 1.
    pub sequence: u64,
    /// When it was written; never before the record before it.
    pub time: UnixTime,
    /// What it says.
    pub entry: Entry,
}

/// What lies at the reader's place in a segment.
#[derive(Debug)]
pub(crate) enum Step {
    Record(Box<Record>),
    /// The file ends here.
    End,
    /// The file ends inside an entry that is right as far as it goes.
    Cut,
    /// Something else than the next entry.
    Bad(&'static str),
}

/// Reads one segment from its start, checking every hash.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: BufReader<File>,
    path: PathBuf,
    pub(crate) header: SegmentHeader,
    /// Where the next entry begins.
    pub(crate) offset: u64,
    /// The number of the next entry.
    pub(crate) sequence: u64,
    pub(crate) chain: Digest32,
    pub(crate) time: UnixTime,
    /// How much of this segment the last entry saw durable.
    pub(crate) synced: u32,
    bytes: Vec<u8>,
}

const READ_BUFFER_BYTES: usize = 256 << 10;

impl SegmentReader {
    /// Opens segment `number` and reads its header.
    pub(crate) fn open(dir: &Path, number: u32) -> Result<Self, SignerError> {
        let path = segment::path(dir, number);
        let file = File::open(&path).map_err(SignerError::io("open", &path))?;
        let mut file = BufReader::with_capacity(READ_BUFFER_BYTES, file);
        let mut header = [0; SEGMENT_HEADER_LEN];
        file.read_exact(&mut header)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => SignerError::JournalDamaged {
                    segment: number,
                    offset: 0,
                    sequence: 0,
                    what: "it is shorter than its header",
                },
                _ => SignerError::io("read", &path)(error),
            })?;
        let header = SegmentHeader::parse(number, &header)?;
        Ok(Self {
            file,
            path,
            offset: u64::try_from(SEGMENT_HEADER_LEN).unwrap_or_default(),
            sequence: header.first_sequence,
            chain: header.chain,
            time: header.time,
            synced: 0,
            header,
            bytes: Vec::new(),
        })
    }

    /// Reads on. After [`Step::End`] it may be called again, when the segment has grown.
    pub(crate) fn step(&mut self) -> Result<Step, SignerError> {
        let mut header = [0; HEADER_LEN];
        let got = self.fill_header(&mut header)?;
        if got == 0 {
            return Ok(Step::End);
        }
        if got < HEADER_LEN {
            let begins_like_one = header
                .iter()
                .take(got)
                .zip(frame::MAGIC)
                .all(|(a, b)| *a == b);
            return Ok(if begins_like_one {
                Step::Cut
            } else {
                Step::Bad("no entry begins here")
            });
        }
        let Some(header_fields) = Header::parse(&header) else {
            return Ok(Step::Bad("no entry begins here"));
        };
        self.bytes.clear();
        self.bytes.extend_from_slice(&header);
        let rest = header_fields.body_len + CHAIN_LEN;
        let limit = u64::try_from(rest).unwrap_or(u64::MAX);
        let got = (&mut self.file)
            .take(limit)
            .read_to_end(&mut self.bytes)
            .map_err(SignerError::io("read", &self.path))?;
        if got < rest {
            return Ok(Step::Cut);
        }
        Ok(self.check(&header_fields))
    }

    fn check(&mut self, header: &Header) -> Step {
        let Some((entry, chain)) = self.bytes.split_last_chunk::<CHAIN_LEN>() else {
            return Step::Bad("no entry begins here");
        };
        if frame::chain_after(&self.chain, &frame::leaf_hash(entry)) != *chain {
            return Step::Bad("its hash does not follow from its bytes and the entry before");
        }
        let body = entry.get(HEADER_LEN..).unwrap_or_default();
        let Some(entry) = Entry::decode_body(header.kind, header.version, body) else {
            return Step::Bad("its kind or form is unknown to this version of the program");
        };
        if header.time < self.time {
            return Step::Bad("its time is before that of the entry before");
        }
        let record = Record {
            sequence: self.sequence,
            time: header.time,
            entry,
        };
        let length = u64::try_from(header.entry_len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(length);
        self.sequence = self.sequence.saturating_add(1);
        self.chain = *chain;
        self.time = header.time;
        self.synced = header.synced;
        Step::Record(Box::new(record))
    }

    fn fill_header(&mut self, header: &mut [u8; HEADER_LEN]) -> Result<usize, SignerError> {
        let mut got = 0;
        while let Some(rest) = header.get_mut(got..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) => break,
                Ok(more) => got += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(SignerError::io("read", &self.path)(error)),
            }
        }
        Ok(got)
    }

    /// The error that says that something is wrong at the reader's place.
    pub(crate) fn damaged(&self, what: &'static str) -> SignerError {
        SignerError::JournalDamaged {
            segment: self.header.number,
            offset: self.offset,
            sequence: self.sequence,
            what,
        }
    }
}

/// The records of a journal from some number on, over all its segments, in memory for one record.
///
/// It ends where the journal ends at the moment of the call; asked again later it goes on. A torn tail counts as not there,
/// and after it, as after an error, the records end for good.
#[derive(Debug)]
pub struct Records {
    dir: PathBuf,
    reader: SegmentReader,
    from: u64,
    ended: bool,
}

impl Records {
    /// Records from number `from` on of the journal in `dir`.
    ///
    /// # Errors
    /// [`SignerError`] when there is no journal or the segment's header is damaged.
    pub fn open(dir: &Path, from: u64) -> Result<Self, SignerError> {
        let reader = SegmentReader::open(dir, containing(dir, from)?)?;
        Ok(Self {
            dir: dir.to_owned(),
            reader,
            from,
            ended: false,
        })
    }

    /// The number of the record that comes next.
    #[must_use]
    pub fn next_sequence(&self) -> u64 {
        self.reader.sequence.max(self.from)
    }

    fn advance(&mut self) -> Result<Option<Record>, SignerError> {
        loop {
            let mut step = self.reader.step()?;
            let at_end = matches!(step, Step::End | Step::Cut);
            let next = self.reader.header.number.saturating_add(1);
            let is_last = at_end && !segment::path(&self.dir, next).exists();
            if matches!(step, Step::End) && !is_last {
                // The writer may have added to this segment before it began the next one.
                step = self.reader.step()?;
            }
            match step {
                Step::Record(record) if record.sequence < self.from => {}
                Step::Record(record) => return Ok(Some(*record)),
                Step::End if is_last => return Ok(None),
                Step::End => self.enter(next)?,
                Step::Cut if is_last => {
                    self.ended = true;
                    return Ok(None);
                }
                Step::Cut => return Err(self.reader.damaged("the file ends inside the entry")),
                Step::Bad(what) => return Err(self.reader.damaged(what)),
            }
        }
    }

    fn enter(&mut self, number: u32) -> Result<(), SignerError> {
        let next = SegmentReader::open(&self.dir, number)?;
        if next.header.first_sequence != self.reader.sequence
            || next.header.chain != self.reader.chain
        {
            return Err(next.damaged("it does not go on where the segment before it ends"));
        }
        self.reader = next;
        Ok(())
    }
}

impl Iterator for Records {
    type Item = Result<Record, SignerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.advance();
        self.ended |= next.is_err();
        next.transpose()
    }
}

/// The segment that holds record `sequence`, found by halving over the segments' headers.
fn containing(dir: &Path, sequence: u64) -> Result<u32, SignerError> {
    let (mut low, mut high) = (1, segment::last(dir)?.max(1));
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if SegmentReader::open(dir, middle)?.header.first_sequence <= sequence {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}
