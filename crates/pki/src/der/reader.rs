use super::{DerError, tag};

/// The low five bits that announce a tag of several octets; nothing in X.509 uses them.
const HIGH_TAG: u8 = 0x1f;

/// Octets of a long-form length that are read: 4 GiB is beyond every size limit of this crate.
const LENGTH_OCTETS_MAX: usize = 4;

/// One value as it arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    /// The identifier octet.
    pub(crate) tag: u8,
    /// The content octets.
    pub(crate) content: &'a [u8],
    /// Identifier, length and content: what a signature covers.
    pub(crate) whole: &'a [u8],
}

/// Reads the values of one level, in order: one-octet tags, definite and minimal lengths, nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes`. The caller has bounded their number.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Reads the content of the single value that `bytes` must be: tag `tag`, nothing behind it.
    pub(crate) fn only(bytes: &'a [u8], tag: u8) -> Result<Self, DerError> {
        let mut outer = Self::new(bytes);
        let inner = outer.enter(tag)?;
        outer.finish()?;
        Ok(inner)
    }

    /// Whether every value has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What has not been read.
    pub(crate) fn remaining(&self) -> &'a [u8] {
        self.rest
    }

    /// The tag of the next value, if there is one.
    pub(crate) fn peek_tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value, whatever it is.
    pub(crate) fn read_any(&mut self) -> Result<Element<'a>, DerError> {
        const SHORT: DerError = DerError("a value ends before its length says");
        let (tag, after_tag) = self
            .rest
            .split_first()
            .ok_or(DerError("a value is missing"))?;
        if tag & HIGH_TAG == HIGH_TAG {
            return Err(DerError("a tag of several octets, where one was expected"));
        }
        let (first, after_length) = after_tag.split_first().ok_or(SHORT)?;
        let (length, body) = if *first < 0x80 {
            (usize::from(*first), after_length)
        } else {
            long_length(*first & 0x7f, after_length)?
        };
        let (content, rest) = body.split_at_checked(length).ok_or(SHORT)?;
        let whole_len = self.rest.len().saturating_sub(rest.len());
        let whole = self.rest.get(..whole_len).unwrap_or_default();
        self.rest = rest;
        Ok(Element {
            tag: *tag,
            content,
            whole,
        })
    }

    /// The content of the next value, which must have this tag.
    pub(crate) fn read(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        if self.peek_tag().is_some_and(|found| found != tag) {
            return Err(DerError("a value is not of the type that was expected"));
        }
        self.read_any().map(|element| element.content)
    }

    /// The content of the next value if it has this tag; otherwise nothing is read.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.peek_tag() == Some(tag) {
            self.read(tag).map(Some)
        } else {
            Ok(None)
        }
    }

    /// A reader over the content of the next value, which must have this tag.
    pub(crate) fn enter(&mut self, tag: u8) -> Result<Self, DerError> {
        self.read(tag).map(Self::new)
    }

    /// A reader over the content of a SEQUENCE.
    pub(crate) fn sequence(&mut self) -> Result<Self, DerError> {
        self.enter(tag::SEQUENCE)
    }

    /// Ends this level: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), DerError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DerError("bytes follow the last value"))
        }
    }
}

/// The length in long form (X.690 §8.1.3.5, §10.1): minimal, definite, and small enough for any limit here.
fn long_length(count: u8, rest: &[u8]) -> Result<(usize, &[u8]), DerError> {
    let count = usize::from(count);
    if count == 0 {
        return Err(DerError("an indefinite length, where DER was expected"));
    }
    if count > LENGTH_OCTETS_MAX {
        return Err(DerError("a length of more than four octets"));
    }
    let (octets, body) = rest
        .split_at_checked(count)
        .ok_or(DerError("a value ends before its length says"))?;
    let length = octets
        .iter()
        .fold(0_usize, |length, octet| (length << 8) | usize::from(*octet));
    if length < 0x80 || octets.first() == Some(&0) {
        return Err(DerError("a length is longer than it need be"));
    }
    Ok((length, body))
}

#[cfg(test)]
mod tests {
    use der::Decode as _;
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
    fn c7_lengths_are_definite_minimal_and_present() {
        let any = |bytes: &[u8]| read(bytes, |r| r.read_any().map(|e| e.content.len()));
        let long = vec![0; 128];
        assert_eq!(any(&[&[4, 0x81, 0x80][..], &long].concat()), Ok(128));
        assert_eq!(any(&[4, 0]), Ok(0));
        for (bad, why) in [
            (&[][..], "a value is missing"),
            (&[4], "a value ends before its length says"),
            (&[4, 1], "a value ends before its length says"),
            (&[4, 0x81], "a value ends before its length says"),
            (
                &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
                "a value ends before its length says",
            ),
            (
                &[0x30, 0x80, 0, 0],
                "an indefinite length, where DER was expected",
            ),
            (
                &[4, 0x85, 0, 0, 0, 0, 1, 7],
                "a length of more than four octets",
            ),
            (&[4, 0xff], "a length of more than four octets"),
            (&[4, 0x81, 1, 7], "a length is longer than it need be"),
            (&[4, 0x82, 0, 0x80], "a length is longer than it need be"),
            (
                &[0x1f, 0x81, 1, 0],
                "a tag of several octets, where one was expected",
            ),
            (&[5, 0, 0], "bytes follow the last value"),
        ] {
            assert_eq!(any(bad), Err(why), "{bad:x?}");
        }
    }

    #[test]
    fn c7_ten_thousand_nested_values_cost_no_stack() {
        let mut bytes = Vec::new();
        for _ in 0..10_000 {
            let mut w = Writer::new();
            w.sequence(|w| w.raw(&bytes));
            bytes = w.finish();
        }
        let mut reader = Reader::new(&bytes);
        let mut depth = 0;
        while !reader.is_empty() {
            reader = reader.sequence().expect("a sequence");
            depth += 1;
        }
        assert_eq!(depth, 10_000);
    }

    #[test]
    fn reading_another_tag_is_refused_and_takes_nothing() {
        let mut reader = Reader::new(&[5, 0, 4, 1, 7]);
        assert!(reader.read(tag::OCTET_STRING).is_err());
        assert_eq!(reader.optional(tag::OCTET_STRING), Ok(None));
        assert_eq!(reader.null(), Ok(()));
        assert_eq!(reader.peek_tag(), Some(tag::OCTET_STRING));
        assert_eq!(reader.remaining(), [4, 1, 7]);
        let element = reader.read_any().expect("a value");
        assert_eq!(
            element,
            Element {
                tag: 4,
                content: &[7],
                whole: &[4, 1, 7]
            }
        );
        assert_eq!(reader.peek_tag(), None);
        assert_eq!(reader.optional(tag::NULL), Ok(None));
        assert!(Reader::only(&[0x30, 0, 0], tag::SEQUENCE).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_value_keeps_its_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            let mut seen = Vec::new();
            while let Ok(element) = reader.read_any() {
                seen.extend_from_slice(element.whole);
            }
            seen.extend_from_slice(reader.remaining());
            prop_assert_eq!(seen, bytes);
        }

        /// What another strict reader takes for one value is one value here, and the other way round.
        #[test]
        fn the_der_crate_agrees_on_what_a_value_is(
            tag in prop::sample::select(&[1_u8, 2, 3, 4, 5, 6, 0x0c, 0x17, 0x30, 0x31, 0x82, 0xa0][..]),
            rest in prop::collection::vec(any::<u8>(), 0..300), length in 0_usize..300, form in 0_u8..3,
        ) {
            let [high, low] = u16::try_from(length).expect("small").to_be_bytes();
            let header = match form {
                0 => vec![low],
                1 => vec![0x81, low],
                _ => vec![0x82, high, low],
            };
            let bytes = [&[tag][..], &header, &rest].concat();
            let ours = read(&bytes, |r| r.read_any().map(|e| e.content.to_vec())).ok();
            let theirs = der::asn1::AnyRef::from_der(&bytes).ok().map(|any| any.value().to_vec());
            prop_assert_eq!(ours, theirs);
        }
    }
}
