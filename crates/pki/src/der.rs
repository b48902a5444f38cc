//! Distinguished encoding rules (X.690): an append-only [`Writer`] and a strict, borrowing [`Reader`].
//!
//! The writer appends each value once and patches its length in place, so a list of a million entries costs
//! what its bytes cost. The reader hands out slices of what arrived, never copies, and looks only where its
//! caller looks: it descends one level per call and skips what it does not know, so no input can make it recurse.

mod reader;
mod values;
mod writer;

pub(crate) use reader::{Element, Reader};
pub(crate) use values::boolean_content;
pub(crate) use writer::Writer;

/// Tags of X.680 as they stand in the identifier octet.
pub(crate) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const ENUMERATED: u8 = 0x0a;
    pub(crate) const UTF8_STRING: u8 = 0x0c;
    pub(crate) const PRINTABLE_STRING: u8 = 0x13;
    pub(crate) const IA5_STRING: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;

    /// `[number]` around primitive content: an IMPLICIT string, integer or identifier. `number` is below 31.
    pub(crate) const fn context(number: u8) -> u8 {
        0x80 | number
    }

    /// `[number]` around constructed content: EXPLICIT anything, or an IMPLICIT SEQUENCE or SET. `number` is below 31.
    pub(crate) const fn context_constructed(number: u8) -> u8 {
        0xa0 | number
    }
}

/// The years that UTCTime can say (RFC 5280 §4.1.2.5.1).
const UTC_TIME_YEARS: std::ops::RangeInclusive<u16> = 1950..=2049;

/// Bytes are not the DER that was expected. The text says which rule they break and repeats none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DerError(pub(crate) &'static str);
