use crate::der::{DerError, Reader, Writer, tag};
use crate::oid;
use crate::profile::ExtKeyUsage;

/// Purposes of one certificate that are read.
const PURPOSES_MAX: usize = 32;

/// Reads the value of extKeyUsage (RFC 5280 §4.2.1.12): object identifiers, at least one.
pub(crate) fn read(value: &[u8]) -> Result<Vec<&[u8]>, DerError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut purposes = Vec::with_capacity(2);
    while !list.is_empty() {
        if purposes.len() == PURPOSES_MAX {
            return Err(DerError("more than 32 purposes"));
        }
        purposes.push(list.oid()?);
    }
    if purposes.is_empty() {
        return Err(DerError("extKeyUsage is empty"));
    }
    Ok(purposes)
}

/// Writes the value of extKeyUsage: a set, so each purpose once and in the order of the type.
pub(crate) fn write(w: &mut Writer, purposes: &[ExtKeyUsage]) {
    w.sequence(|w| in_order(purposes).for_each(|purpose| w.oid(oid_of(purpose))));
}

/// A set of purposes in the order in which certificates list them.
pub(crate) fn in_order(purposes: &[ExtKeyUsage]) -> impl Iterator<Item = ExtKeyUsage> {
    ExtKeyUsage::ALL
        .into_iter()
        .filter(|purpose| purposes.contains(purpose))
}

/// The identifier of a purpose.
pub(crate) fn oid_of(purpose: ExtKeyUsage) -> &'static [u8] {
    match purpose {
        ExtKeyUsage::ServerAuth => oid::KP_SERVER_AUTH,
        ExtKeyUsage::ClientAuth => oid::KP_CLIENT_AUTH,
    }
}

/// The purpose with this identifier, if it is one that is known here.
pub(crate) fn from_oid(found: &[u8]) -> Option<ExtKeyUsage> {
    ExtKeyUsage::ALL
        .into_iter()
        .find(|purpose| oid_of(*purpose) == found)
}
