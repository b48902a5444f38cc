use hickory_resolver::proto::op::Message;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};

use crate::DialError;
use crate::error::bounded;

/// CNAMEs followed for one question; public resolvers stop between 8 and 16.
const ALIASES_MAX: usize = 10;
/// Records of one answer that are looked at.
const RECORDS_MAX: usize = 64;
/// Octets of one TXT record; a validation value has 43.
const TXT_OCTETS_MAX: usize = 4096;
/// Records that a trace names.
const SHOWN_MAX: usize = 8;

/// One question followed over its aliases: the pure half of a look-up.
#[derive(Debug)]
pub(crate) struct Chase {
    kind: RecordType,
    /// The name asked first and each alias after it, in order; never empty.
    names: Vec<Name>,
}

impl Chase {
    pub(crate) fn new(name: Name, kind: RecordType) -> Self {
        Self {
            kind,
            names: vec![name],
        }
    }

    /// The name that has to be asked next.
    pub(crate) fn owner(&self) -> &Name {
        self.names.last().expect("there is always the first name")
    }

    /// Follows the aliases of one answer. `Some` are the records at the end of the chain; `None` says that
    /// [`Chase::owner`] has moved on and must be asked.
    pub(crate) fn take(&mut self, answers: &[Record]) -> Result<Option<Vec<RData>>, DialError> {
        let asked = self.names.len();
        loop {
            let found: Vec<RData> = answers
                .iter()
                .filter(|record| record.record_type() == self.kind && &record.name == self.owner())
                .map(|record| record.data.clone())
                .take(RECORDS_MAX + 1)
                .collect();
            if found.len() > RECORDS_MAX {
                return Err(self.unusable(format!("it has more than {RECORDS_MAX} records")));
            }
            if !found.is_empty() {
                return Ok(Some(found));
            }
            match answers
                .iter()
                .find_map(|record| alias(record, self.owner()))
            {
                Some(target) => self.follow(target)?,
                None if self.names.len() > asked => return Ok(None),
                None => return Err(self.no_records()),
            }
        }
    }

    fn follow(&mut self, target: &Name) -> Result<(), DialError> {
        if self.names.contains(target) {
            return Err(self.unusable("its CNAMEs form a loop".to_owned()));
        }
        if self.names.len() > ALIASES_MAX {
            return Err(self.unusable(format!("more than {ALIASES_MAX} CNAMEs follow each other")));
        }
        self.names.push(target.clone());
        Ok(())
    }

    pub(crate) fn no_records(&self) -> DialError {
        DialError::NoRecords {
            name: shown(self.owner()),
            kind: kind_name(self.kind),
        }
    }

    /// An answer that cannot be used, told under the name that was asked first.
    pub(crate) fn unusable(&self, reason: String) -> DialError {
        let name = self.names.first().map(shown).unwrap_or_default();
        DialError::BadAnswer {
            name,
            kind: kind_name(self.kind),
            reason,
        }
    }
}

fn alias<'a>(record: &'a Record, owner: &Name) -> Option<&'a Name> {
    match &record.data {
        RData::CNAME(target) if &record.name == owner => Some(&target.0),
        _ => None,
    }
}

/// The contents of TXT records, each with its character-strings joined (RFC 8555 §8.4 reads them as one).
pub(crate) fn txt_contents(chase: &Chase, records: &[RData]) -> Result<Vec<Vec<u8>>, DialError> {
    let mut contents = Vec::with_capacity(records.len());
    for record in records {
        let RData::TXT(txt) = record else { continue };
        let joined = txt.txt_data.concat();
        if joined.len() > TXT_OCTETS_MAX {
            return Err(chase.unusable(format!(
                "a TXT record has more than {TXT_OCTETS_MAX} octets"
            )));
        }
        contents.push(joined);
    }
    Ok(contents)
}

/// What a trace says about an answer: addresses and aliases by value, anything else by type and length only.
pub(crate) fn summary(answers: &[Record]) -> String {
    let mut parts: Vec<String> = answers.iter().take(SHOWN_MAX).map(summary_of).collect();
    if answers.len() > SHOWN_MAX {
        parts.push(format!("and {} more", answers.len() - SHOWN_MAX));
    }
    if parts.is_empty() {
        "no records".to_owned()
    } else {
        parts.join(", ")
    }
}

fn summary_of(record: &Record) -> String {
    match &record.data {
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::CNAME(target) => format!("CNAME {}", shown(&target.0)),
        RData::TXT(txt) => {
            let octets: usize = txt.txt_data.iter().map(|part| part.len()).sum();
            format!("TXT of {octets} octets")
        }
        RData::CAA(caa) => format!("CAA {} of {} octets", caa.flags(), caa.value.len()),
        _ => format!("a {} record", record.record_type()),
    }
}

/// A name as errors and traces show it: escaped, without its final dot, bounded.
pub(crate) fn shown(name: &Name) -> String {
    bounded(name.to_ascii().trim_end_matches('.'))
}

/// The types that this crate asks for.
pub(crate) fn kind_name(kind: RecordType) -> &'static str {
    match kind {
        RecordType::A => "A",
        RecordType::AAAA => "AAAA",
        RecordType::TXT => "TXT",
        RecordType::CAA => "CAA",
        _ => "record",
    }
}

/// Reads one DNS message as the answer to a TXT question: what a fuzzer drives.
///
/// # Errors
/// Where the message is not a DNS message, or its answer is beyond a limit or without an end.
#[doc(hidden)]
pub fn txt_of_message(message: &[u8], owner: &str) -> Result<Vec<Vec<u8>>, DialError> {
    let name = Name::from_ascii(owner).map_err(|_| DialError::NotAName {
        name: bounded(owner),
    })?;
    let mut chase = Chase::new(name, RecordType::TXT);
    let message = Message::from_vec(message)
        .map_err(|_| chase.unusable("it is not a DNS message".to_owned()))?;
    match chase.take(&message.answers)? {
        Some(records) => txt_contents(&chase, &records),
        None => Err(chase.no_records()),
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::rdata::{CNAME, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    fn cname(owner: &str, target: &str) -> Record {
        Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
    }

    fn txt(owner: &str, parts: &[&[u8]]) -> Record {
        Record::from_rdata(name(owner), 60, RData::TXT(TXT::from_bytes(parts.to_vec())))
    }

    fn read(answers: &[Record]) -> Result<Option<Vec<Vec<u8>>>, DialError> {
        let mut chase = Chase::new(name("_acme-challenge.a.test."), RecordType::TXT);
        chase
            .take(answers)?
            .map(|records| txt_contents(&chase, &records))
            .transpose()
    }

    #[test]
    fn g9_records_in_any_order_give_the_same_answer() {
        let mut answers = [
            cname("_acme-challenge.a.test.", "b.test."),
            cname("B.test.", "c.test."),
            txt("c.test.", &[b"one ", b"value"]),
            txt("elsewhere.test.", &[b"stray"]),
        ];
        for _ in 0..answers.len() {
            answers.rotate_left(1);
            assert_eq!(read(&answers), Ok(Some(vec![b"one value".to_vec()])));
        }
    }

    #[test]
    fn a_chain_that_ends_outside_the_answer_has_to_be_asked_on() {
        let mut chase = Chase::new(name("a.test."), RecordType::TXT);
        assert_eq!(chase.take(&[cname("a.test.", "b.test.")]), Ok(None));
        assert_eq!(chase.owner(), &name("b.test."));
        let error = chase
            .take(&[txt("a.test.", &[b"x"])])
            .expect_err("of another name");
        assert_eq!(error.to_string(), "b.test has no TXT record");
    }

    #[test]
    fn g9_loops_and_long_chains_are_refused() {
        let looped = [
            cname("_acme-challenge.a.test.", "b.test."),
            cname("b.test.", "_ACME-challenge.a.test."),
        ];
        let error = read(&looped).expect_err("a loop");
        assert!(error.to_string().contains("form a loop"), "{error}");

        let chain: Vec<Record> = std::iter::once(cname("_acme-challenge.a.test.", "n0.test."))
            .chain((0..50).map(|n| cname(&format!("n{n}.test."), &format!("n{}.test.", n + 1))))
            .collect();
        let error = read(&chain).expect_err("too long");
        assert!(error.to_string().contains("more than 10 CNAMEs"), "{error}");
    }

    #[test]
    fn g9_many_records_and_long_records_are_refused() {
        let owner = "_acme-challenge.a.test.";
        let many: Vec<Record> = (0..65).map(|_| txt(owner, &[b"x"])).collect();
        assert!(
            read(&many)
                .expect_err("too many")
                .to_string()
                .contains("more than 64 records")
        );
        assert_eq!(
            read(many.get(..64).expect("64")).map(|r| r.map(|r| r.len())),
            Ok(Some(64))
        );

        let part: &[u8] = &[b'x'; 255];
        let long = txt(owner, &[part; 17]);
        assert!(
            read(&[long])
                .expect_err("too long")
                .to_string()
                .contains("more than 4096 octets")
        );
    }

    #[test]
    fn a_trace_holds_no_txt_contents() {
        let answers = [
            txt("a.test.", &[b"SECRET-123"]),
            cname("a.test.", "b.test."),
        ];
        assert_eq!(summary(&answers), "TXT of 10 octets, CNAME b.test");
        assert_eq!(summary(&[]), "no records");
    }

    proptest::proptest! {
        #[test]
        fn no_message_makes_the_reader_panic(message: Vec<u8>) {
            let _ = txt_of_message(&message, "_acme-challenge.a.test.");
        }
    }
}
