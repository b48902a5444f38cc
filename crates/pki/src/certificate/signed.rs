use std::ops::Range;

use crate::der::{DerError, Reader, tag};

/// The three parts of a signed object (RFC 5280 §4.1.1 and §5.1.1), each as it arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signed<'a> {
    /// What the signature covers: a whole SEQUENCE.
    pub(crate) tbs: &'a [u8],
    /// The whole AlgorithmIdentifier beside the signature.
    pub(crate) algorithm: &'a [u8],
    /// The octets of the signature.
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// Takes the object apart; nothing may follow it.
    pub(crate) fn read(der: &'a [u8]) -> Result<Self, DerError> {
        let mut outer = Reader::only(der, tag::SEQUENCE)?;
        let tbs = whole_sequence(&mut outer)?;
        let algorithm = whole_sequence(&mut outer)?;
        let signature = outer.bit_string_octets()?;
        outer.finish()?;
        Ok(Self {
            tbs,
            algorithm,
            signature,
        })
    }
}

/// The next value with its tag and length; it must be a SEQUENCE.
pub(crate) fn whole_sequence<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DerError> {
    let element = reader.read_any()?;
    if element.tag == tag::SEQUENCE {
        Ok(element.whole)
    } else {
        Err(DerError("a value is not the SEQUENCE that was expected"))
    }
}

/// Where `part`, a slice of `whole`, lies in it, so that an owner of the bytes can find it again.
pub(crate) fn place_of(part: &[u8], whole: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(whole.as_ptr().addr());
    let range = start..start.saturating_add(part.len());
    debug_assert_eq!(
        whole.get(range.clone()),
        Some(part),
        "the part is a slice of the whole"
    );
    range
}
