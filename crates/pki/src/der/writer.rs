use super::{UTC_TIME_YEARS, tag};
use crate::time::{Civil, UnixTime};

/// Writes DER by appending. Every method adds one whole value.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// An empty writer.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An empty writer with room for `bytes`.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            out: Vec::with_capacity(bytes),
        }
    }

    /// A value whose content `content` writes: `w.tlv(tag::SET, |w| …)`.
    pub(crate) fn tlv(&mut self, tag: u8, content: impl FnOnce(&mut Self)) {
        self.out.push(tag);
        let at = self.out.len();
        self.out.push(0);
        content(self);
        let length = self.out.len().saturating_sub(at).saturating_sub(1);
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => {
                if let Some(octet) = self.out.get_mut(at) {
                    *octet = short;
                }
            }
            _ => {
                let octets = length.to_be_bytes();
                let octets = octets.iter().copied().skip_while(|octet| *octet == 0);
                let count = u8::try_from(octets.clone().count()).expect("a length has few octets");
                self.out
                    .splice(at..=at, std::iter::once(0x80 | count).chain(octets));
            }
        }
    }

    /// A value with this content.
    pub(crate) fn primitive(&mut self, tag: u8, content: &[u8]) {
        self.tlv(tag, |w| w.raw(content));
    }

    /// SEQUENCE (or SEQUENCE OF).
    pub(crate) fn sequence(&mut self, content: impl FnOnce(&mut Self)) {
        self.tlv(tag::SEQUENCE, content);
    }

    /// INTEGER from the big-endian octets of a number that is not negative; leading zeros do not matter.
    pub(crate) fn integer_bytes(&mut self, magnitude: &[u8]) {
        self.tlv(tag::INTEGER, |w| {
            let zeros = magnitude.iter().take_while(|octet| **octet == 0).count();
            let digits = magnitude.get(zeros..).unwrap_or_default();
            // Zero is one octet, and a set top bit would mean a negative number (X.690 §8.3).
            if digits.first().is_none_or(|octet| *octet >= 0x80) {
                w.out.push(0);
            }
            w.raw(digits);
        });
    }

    /// INTEGER.
    pub(crate) fn integer_u64(&mut self, number: u64) {
        self.integer_bytes(&number.to_be_bytes());
    }

    /// BOOLEAN. A component with DEFAULT FALSE must be left out instead of being written as false (X.690 §11.5).
    pub(crate) fn boolean(&mut self, value: bool) {
        self.primitive(tag::BOOLEAN, &[if value { 0xff } else { 0x00 }]);
    }

    /// OBJECT IDENTIFIER from its content octets, see `oid.rs`.
    pub(crate) fn oid(&mut self, content: &[u8]) {
        self.primitive(tag::OID, content);
    }

    /// OCTET STRING.
    pub(crate) fn octet_string(&mut self, content: &[u8]) {
        self.primitive(tag::OCTET_STRING, content);
    }

    /// BIT STRING; the last `unused_bits` (0–7) of `bytes` are no part of it and must be zero.
    pub(crate) fn bit_string(&mut self, bytes: &[u8], unused_bits: u8) {
        debug_assert!(unused_bits < 8, "an octet has eight bits");
        self.tlv(tag::BIT_STRING, |w| {
            w.out.push(unused_bits);
            w.raw(bytes);
        });
    }

    /// UTF8String.
    pub(crate) fn utf8_string(&mut self, text: &str) {
        self.primitive(tag::UTF8_STRING, text.as_bytes());
    }

    /// `[number] IMPLICIT IA5String`, as dNSName and uniformResourceIdentifier are. `text` must be ASCII.
    pub(crate) fn context_ia5(&mut self, number: u8, text: &str) {
        debug_assert!(text.is_ascii(), "an IA5String is ASCII");
        self.primitive(tag::context(number), text.as_bytes());
    }

    /// NULL.
    pub(crate) fn null(&mut self) {
        self.primitive(tag::NULL, &[]);
    }

    /// Time of RFC 5280 §4.1.2.5: UTCTime for the years 1950 to 2049, GeneralizedTime for others.
    pub(crate) fn time(&mut self, time: UnixTime) {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            second,
        } = time.civil();
        let rest = format!("{month:02}{day:02}{hour:02}{minute:02}{second:02}Z");
        if UTC_TIME_YEARS.contains(&year) {
            let text = format!("{:02}{rest}", year % 100);
            self.primitive(tag::UTC_TIME, text.as_bytes());
        } else {
            self.primitive(tag::GENERALIZED_TIME, format!("{year:04}{rest}").as_bytes());
        }
    }

    /// Bytes that are DER already, as they are.
    pub(crate) fn raw(&mut self, der: &[u8]) {
        self.out.extend_from_slice(der);
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Everything written.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(write: impl FnOnce(&mut Writer), expected: &[u8]) {
        let mut w = Writer::new();
        write(&mut w);
        assert_eq!(w.len(), expected.len());
        assert_eq!(w.finish(), expected);
    }

    #[test]
    fn lengths_take_as_many_octets_as_they_need() {
        for (length, header) in [
            (0, &[4, 0][..]),
            (127, &[4, 0x7f]),
            (128, &[4, 0x81, 0x80]),
            (255, &[4, 0x81, 0xff]),
            (256, &[4, 0x82, 0x01, 0x00]),
            (65_536, &[4, 0x83, 0x01, 0x00, 0x00]),
        ] {
            let content = vec![7; length];
            check(|w| w.octet_string(&content), &[header, &content].concat());
        }
    }

    #[test]
    fn nested_values_are_patched_from_the_inside() {
        let content = [7; 200];
        let inner = [&[4, 0x81, 200][..], &content].concat();
        let set = [&[0x31, 0x81, 203][..], &inner].concat();
        let outer = [&[0x30, 0x81, 209][..], &[2, 1, 5], &set].concat();
        check(
            |w| {
                w.sequence(|w| {
                    w.integer_u64(5);
                    w.tlv(tag::SET, |w| w.octet_string(&content));
                });
            },
            &outer,
        );
    }

    #[test]
    fn integers_are_minimal_and_not_negative() {
        check(|w| w.integer_u64(0), &[2, 1, 0]);
        check(|w| w.integer_u64(127), &[2, 1, 0x7f]);
        check(|w| w.integer_u64(128), &[2, 2, 0, 0x80]);
        check(
            |w| w.integer_u64(u64::MAX),
            &[&[2, 9, 0][..], &[0xff; 8]].concat(),
        );
        check(|w| w.integer_bytes(&[]), &[2, 1, 0]);
        check(|w| w.integer_bytes(&[0, 0, 1, 2]), &[2, 2, 1, 2]);
    }

    #[test]
    fn simple_values_have_their_known_bytes() {
        check(|w| w.boolean(true), &[1, 1, 0xff]);
        check(|w| w.boolean(false), &[1, 1, 0]);
        check(Writer::null, &[5, 0]);
        check(|w| w.oid(&[0x55, 4, 3]), &[6, 3, 0x55, 4, 3]);
        check(|w| w.bit_string(&[0x80], 7), &[3, 2, 7, 0x80]);
        check(|w| w.utf8_string("ä"), &[0x0c, 2, 0xc3, 0xa4]);
        check(|w| w.context_ia5(2, "a"), &[0x82, 1, b'a']);
        check(|w| w.raw(&[5, 0]), &[5, 0]);
    }

    #[test]
    fn times_are_utc_time_from_1950_through_2049() {
        let check = |text: &str, tag: u8, expected: &[u8]| {
            let time = UnixTime::parse_rfc3339(text).expect("a time");
            check(
                |w| w.time(time),
                &[
                    &[tag, u8::try_from(expected.len()).expect("short")],
                    expected,
                ]
                .concat(),
            );
        };
        check("2049-12-31T23:59:59Z", 0x17, b"491231235959Z");
        check("2050-01-01T00:00:00Z", 0x18, b"20500101000000Z");
        check("1950-01-01T00:00:00Z", 0x17, b"500101000000Z");
        check("1949-12-31T23:59:59Z", 0x18, b"19491231235959Z");
        check("9999-12-31T23:59:59Z", 0x18, b"99991231235959Z");
    }
}
