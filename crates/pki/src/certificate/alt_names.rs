use crate::der::{DerError, Element, Reader, Writer, tag};
use crate::name::San;

/// Reads the value of subjectAltName (RFC 5280 §4.2.1.6): names of any type, at least one. Their number is bounded
/// by the size of the certificate; the work is in proportion to it.
pub(crate) fn read(value: &[u8]) -> Result<Vec<Element<'_>>, DerError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut names = Vec::new();
    while !list.is_empty() {
        names.push(list.read_any()?);
    }
    if names.is_empty() {
        return Err(DerError("subjectAltName is empty"));
    }
    Ok(names)
}

/// Writes the value of subjectAltName.
pub(crate) fn write<'a>(w: &mut Writer, names: impl IntoIterator<Item = &'a San>) {
    w.sequence(|w| {
        names
            .into_iter()
            .for_each(|name| name.write_general_name(w))
    });
}
