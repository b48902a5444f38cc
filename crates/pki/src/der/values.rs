use super::{DerError, Reader, UTC_TIME_YEARS, tag};
use crate::time::{Civil, UnixTime};

/// The types of X.509, each as the encoding rules want its content.
impl<'a> Reader<'a> {
    /// The two's-complement octets of an INTEGER, at least one and no more than needed (X.690 §8.3.2).
    pub(crate) fn integer(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.read(tag::INTEGER)?;
        minimal_integer(content)?;
        Ok(content)
    }

    /// The big-endian octets of a positive INTEGER, without the zero octet that keeps its sign.
    pub(crate) fn positive_integer(&mut self) -> Result<&'a [u8], DerError> {
        match self.integer()? {
            [0] => Err(DerError(
                "an INTEGER is zero, where a positive one was expected",
            )),
            [0, digits @ ..] => Ok(digits),
            [first, ..] if *first >= 0x80 => Err(DerError(
                "an INTEGER is negative, where a positive one was expected",
            )),
            digits => Ok(digits),
        }
    }

    /// An INTEGER from 0 to 2^64-1.
    pub(crate) fn integer_u64(&mut self) -> Result<u64, DerError> {
        unsigned(self.integer()?)
    }

    /// An ENUMERATED from 0 to 2^64-1.
    pub(crate) fn enumerated_u64(&mut self) -> Result<u64, DerError> {
        let content = self.read(tag::ENUMERATED)?;
        minimal_integer(content)?;
        unsigned(content)
    }

    /// A BOOLEAN with DEFAULT FALSE: absent, or present and true (X.690 §11.5).
    pub(crate) fn default_false(&mut self) -> Result<bool, DerError> {
        match self
            .optional(tag::BOOLEAN)?
            .map(boolean_content)
            .transpose()?
        {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(DerError("a BOOLEAN repeats its default")),
        }
    }

    /// The octets of a BIT STRING and how many bits of the last are unused; those are zero (X.690 §11.2).
    pub(crate) fn bit_string(&mut self) -> Result<(&'a [u8], u8), DerError> {
        bit_string_content(self.read(tag::BIT_STRING)?)
    }

    /// The octets of a BIT STRING that is whole octets, as keys and signatures are.
    pub(crate) fn bit_string_octets(&mut self) -> Result<&'a [u8], DerError> {
        match self.bit_string()? {
            (octets, 0) => Ok(octets),
            _ => Err(DerError("a BIT STRING is not of whole octets")),
        }
    }

    /// The octets of an OCTET STRING.
    pub(crate) fn octet_string(&mut self) -> Result<&'a [u8], DerError> {
        self.read(tag::OCTET_STRING)
    }

    /// The content octets of an OBJECT IDENTIFIER, each arc ended and minimal (X.690 §8.19.2).
    pub(crate) fn oid(&mut self) -> Result<&'a [u8], DerError> {
        let content = self.read(tag::OID)?;
        let ended = content.last().is_some_and(|octet| *octet < 0x80);
        let mut starts = true;
        let minimal = content.iter().all(|octet| {
            let padded = starts && *octet == 0x80;
            starts = *octet < 0x80;
            !padded
        });
        if ended && minimal {
            Ok(content)
        } else {
            Err(DerError("an OBJECT IDENTIFIER is empty, cut off or padded"))
        }
    }

    /// A NULL.
    pub(crate) fn null(&mut self) -> Result<(), DerError> {
        match self.read(tag::NULL)? {
            [] => Ok(()),
            _ => Err(DerError("a NULL has content")),
        }
    }

    /// A Time of RFC 5280 §4.1.2.5: UTCTime, or GeneralizedTime from 2050 on; with seconds, in Zulu time.
    pub(crate) fn time(&mut self) -> Result<UnixTime, DerError> {
        let malformed = DerError("a time is not a date of RFC 5280 with seconds and Z");
        let element = self.read_any()?;
        let (year, rest) = match (element.tag, element.content) {
            (tag::UTC_TIME, [a, b, rest @ ..]) => {
                let year = decimal(&[*a, *b]).ok_or(malformed)?;
                (
                    if year < 50 {
                        year.saturating_add(2000)
                    } else {
                        year.saturating_add(1900)
                    },
                    rest,
                )
            }
            (tag::GENERALIZED_TIME, [a, b, c, d, rest @ ..]) => {
                let year = decimal(&[*a, *b, *c, *d]).ok_or(malformed)?;
                if year <= *UTC_TIME_YEARS.end() {
                    return Err(DerError("a GeneralizedTime is before 2050"));
                }
                (year, rest)
            }
            _ => return Err(malformed),
        };
        let [mo, n, d, e, h, o, mi, p, s, t, b'Z'] = rest else {
            return Err(malformed);
        };
        let pair = |a: &u8, b: &u8| decimal(&[*a, *b]).and_then(|n| u8::try_from(n).ok());
        let read = || {
            let (month, day) = (pair(mo, n)?, pair(d, e)?);
            let (hour, minute, second) = (pair(h, o)?, pair(mi, p)?, pair(s, t)?);
            Civil {
                year,
                month,
                day,
                hour,
                minute,
                second,
            }
            .to_unix()
        };
        read().ok_or(malformed)
    }
}

fn minimal_integer(content: &[u8]) -> Result<(), DerError> {
    match content {
        [] => Err(DerError("an INTEGER is empty")),
        [0x00, second, ..] if *second < 0x80 => Err(DerError("an INTEGER is padded")),
        [0xff, second, ..] if *second >= 0x80 => Err(DerError("an INTEGER is padded")),
        _ => Ok(()),
    }
}

fn unsigned(content: &[u8]) -> Result<u64, DerError> {
    let digits = match content {
        [0, digits @ ..] => digits,
        [first, ..] if *first >= 0x80 => return Err(DerError("a number is negative")),
        digits => digits,
    };
    if digits.len() > 8 {
        return Err(DerError("a number is above 2^64-1"));
    }
    Ok(digits
        .iter()
        .fold(0, |number, octet| (number << 8) | u64::from(*octet)))
}

/// The content of a BOOLEAN, also of one under an IMPLICIT tag: 00 or FF (X.690 §11.1).
pub(crate) fn boolean_content(content: &[u8]) -> Result<bool, DerError> {
    match content {
        [0x00] => Ok(false),
        [0xff] => Ok(true),
        _ => Err(DerError("a BOOLEAN is neither 00 nor FF")),
    }
}

/// The content of a BIT STRING.
fn bit_string_content(content: &[u8]) -> Result<(&[u8], u8), DerError> {
    let malformed = DerError("a BIT STRING's unused bits are not 0 to 7 zero bits");
    let (unused, octets) = content.split_first().ok_or(malformed)?;
    let mask = 1_u8
        .checked_shl(u32::from(*unused))
        .ok_or(malformed)?
        .wrapping_sub(1);
    match octets.last() {
        None if *unused == 0 => Ok((octets, 0)),
        Some(last) if last & mask == 0 => Ok((octets, *unused)),
        _ => Err(malformed),
    }
}

/// The value of at most four decimal digits.
fn decimal(digits: &[u8]) -> Option<u16> {
    debug_assert!(digits.len() <= 4, "five digits overflow");
    digits.iter().try_fold(0_u16, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit & 0x0f))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::der::Writer;

    fn read<'a, T>(
        bytes: &'a [u8],
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DerError>,
    ) -> Result<T, &'static str> {
        let mut reader = Reader::new(bytes);
        let value = read(&mut reader).map_err(|error| error.0)?;
        reader.finish().map_err(|error| error.0)?;
        Ok(value)
    }

    #[test]
    fn integers_are_minimal_and_in_range() {
        assert_eq!(read(&[2, 1, 0], Reader::integer_u64), Ok(0));
        assert_eq!(read(&[2, 2, 0, 0x80], Reader::integer_u64), Ok(128));
        assert_eq!(
            read(&[&[2, 9, 0][..], &[0xff; 8]].concat(), Reader::integer_u64),
            Ok(u64::MAX)
        );
        assert_eq!(read(&[10, 1, 4], Reader::enumerated_u64), Ok(4));
        assert_eq!(
            read(&[2, 2, 0, 0x80], Reader::positive_integer),
            Ok(&[0x80][..])
        );
        assert_eq!(read(&[2, 1, 0xff], Reader::integer), Ok(&[0xff][..]));
        for bad in [&[2, 0][..], &[2, 2, 0, 0x7f], &[2, 2, 0xff, 0x80]] {
            assert!(read(bad, Reader::integer).is_err(), "{bad:x?}");
        }
        for bad in [&[2, 1, 0][..], &[2, 1, 0x80]] {
            assert!(read(bad, Reader::positive_integer).is_err(), "{bad:x?}");
        }
        assert!(read(&[2, 1, 0xff], Reader::integer_u64).is_err());
        assert!(read(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0], Reader::integer_u64).is_err());
    }

    #[test]
    fn booleans_are_00_or_ff_and_never_their_default() {
        assert_eq!(boolean_content(&[0xff]), Ok(true));
        assert_eq!(boolean_content(&[0]), Ok(false));
        assert!(boolean_content(&[1]).is_err());
        assert!(boolean_content(&[]).is_err());
        assert!(boolean_content(&[0xff, 0xff]).is_err());
        assert_eq!(read(&[], Reader::default_false), Ok(false));
        assert_eq!(read(&[1, 1, 0xff], Reader::default_false), Ok(true));
        assert!(read(&[1, 1, 0], Reader::default_false).is_err());
        assert!(read(&[1, 1, 1], Reader::default_false).is_err());
    }

    #[test]
    fn c7_bit_strings_have_zero_unused_bits() {
        assert_eq!(read(&[3, 1, 0], Reader::bit_string), Ok((&[][..], 0)));
        assert_eq!(
            read(&[3, 2, 7, 0x80], Reader::bit_string),
            Ok((&[0x80][..], 7))
        );
        for bad in [
            &[3, 0][..],
            &[3, 1, 1],
            &[3, 2, 7, 0xc0],
            &[3, 2, 8, 0],
            &[3, 2, 0xff, 0],
        ] {
            assert!(read(bad, Reader::bit_string).is_err(), "{bad:x?}");
        }
        assert_eq!(
            read(&[3, 2, 0, 0x81], Reader::bit_string_octets),
            Ok(&[0x81][..])
        );
        assert!(read(&[3, 2, 1, 0x80], Reader::bit_string_octets).is_err());
    }

    #[test]
    fn object_identifiers_end_and_are_minimal() {
        assert_eq!(
            read(&[6, 3, 0x55, 4, 3], Reader::oid),
            Ok(&[0x55, 4, 3][..])
        );
        assert_eq!(
            read(&[6, 2, 0x81, 0x00], Reader::oid),
            Ok(&[0x81, 0x00][..])
        );
        for bad in [
            &[6, 0][..],
            &[6, 2, 0x55, 0x84],
            &[6, 3, 0x55, 0x80, 1],
            &[6, 2, 0x80, 1],
        ] {
            assert!(read(bad, Reader::oid).is_err(), "{bad:x?}");
        }
    }

    #[test]
    fn c7_times_are_whole_dates_in_zulu_time() {
        let check = |tag: u8, text: &str, expected: Option<&str>| {
            let mut w = Writer::new();
            w.primitive(tag, text.as_bytes());
            let seen = read(&w.finish(), Reader::time)
                .ok()
                .map(UnixTime::to_rfc3339);
            assert_eq!(seen.as_deref(), expected, "{text}");
        };
        check(0x17, "491231235959Z", Some("2049-12-31T23:59:59Z"));
        check(0x17, "500101000000Z", Some("1950-01-01T00:00:00Z"));
        check(0x18, "20500101000000Z", Some("2050-01-01T00:00:00Z"));
        check(0x18, "99991231235959Z", Some("9999-12-31T23:59:59Z"));
        for bad in [
            "",
            "4912312359Z",
            "491231235959",
            "491231235959+0000",
            "490231235959Z",
            "4912312359.5Z",
        ] {
            check(0x17, bad, None);
        }
        for bad in [
            "00000101000000Z",
            "20490101000000Z",
            "2050010100000Z",
            "20500101000000.5Z",
            "+0500101000000Z",
        ] {
            check(0x18, bad, None);
        }
        check(0x0c, "491231235959Z", None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(content in prop::collection::vec(any::<u8>(), 0..40)) {
            let read = |tag: u8| {
                let mut w = Writer::new();
                w.primitive(tag, &content);
                let der = w.finish();
                let _ = Reader::new(&der).integer_u64();
                let _ = Reader::new(&der).positive_integer();
                let _ = Reader::new(&der).enumerated_u64();
                let _ = Reader::new(&der).default_false();
                let _ = Reader::new(&der).bit_string();
                let _ = Reader::new(&der).oid();
                let _ = Reader::new(&der).null();
                let _ = Reader::new(&der).time();
            };
            (0x01..0x20).for_each(read);
        }

        #[test]
        fn no_text_is_a_time_by_accident(text in "[0-9]{10,16}Z?") {
            for tag in [tag::UTC_TIME, tag::GENERALIZED_TIME] {
                let mut w = Writer::new();
                w.primitive(tag, text.as_bytes());
                let der = w.finish();
                if let Ok(time) = Reader::new(&der).time() {
                    let mut w = Writer::new();
                    w.time(time);
                    prop_assert_eq!(w.finish(), der);
                }
            }
        }

        #[test]
        fn what_is_written_is_read(number in any::<u64>(), digits in prop::collection::vec(any::<u8>(), 1..30), secs in -631_152_000_i64..253_402_300_799) {
            let mut w = Writer::new();
            w.sequence(|w| {
                w.integer_u64(number);
                w.integer_bytes(&digits);
                w.time(UnixTime(secs));
                w.bit_string(&digits, 0);
            });
            let der = w.finish();
            let mut r = Reader::only(&der, tag::SEQUENCE).expect("a sequence");
            prop_assert_eq!(r.integer_u64(), Ok(number));
            let written: Vec<u8> = digits.iter().copied().skip_while(|octet| *octet == 0).collect();
            match r.positive_integer() {
                Ok(read) => prop_assert_eq!(read, written),
                Err(_) => prop_assert!(written.is_empty()),
            }
            prop_assert_eq!(r.time(), Ok(UnixTime(secs)));
            prop_assert_eq!(r.bit_string_octets(), Ok(&digits[..]));
            prop_assert!(r.finish().is_ok());
        }
    }
}
