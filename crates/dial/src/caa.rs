use hickory_resolver::proto::rr::RData;

use crate::DialError;
use crate::answer::Chase;

/// Octets of a CAA record's value that are read; a URL of an account with its issuer takes about 150.
const VALUE_OCTETS_MAX: usize = 1024;

/// One CAA record (RFC 8659 §4.1), as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaRecord {
    /// Whether the issuer critical flag is set: the bit with the value 128, and no other.
    pub critical: bool,
    /// The property's tag: ASCII letters and digits, in the case in which they came.
    pub tag: String,
    /// The property's value.
    pub value: Vec<u8>,
}

/// The CAA records of an answer, each within its limit.
pub(crate) fn caa_records(chase: &Chase, records: &[RData]) -> Result<Vec<CaaRecord>, DialError> {
    let mut found = Vec::with_capacity(records.len());
    for record in records {
        let RData::CAA(caa) = record else { continue };
        if caa.value.len() > VALUE_OCTETS_MAX {
            return Err(chase.unusable(format!(
                "a CAA record has a value of more than {VALUE_OCTETS_MAX} octets"
            )));
        }
        found.push(CaaRecord {
            critical: caa.issuer_critical,
            tag: caa.tag.clone(),
            value: caa.value.clone(),
        });
    }
    Ok(found)
}
