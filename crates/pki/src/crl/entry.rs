use crate::certificate::extension::Extension;
use crate::der::{DerError, Reader};
use crate::oid;
use crate::time::UnixTime;

/// Extensions of one entry that are read; RFC 5280 §5.3 has three.
const EXTENSIONS_MAX: usize = 8;

/// One entry of revokedCertificates (RFC 5280 §5.1.2.6) over borrowed bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// The content octets of the serial number.
    pub(crate) serial: &'a [u8],
    /// revocationDate.
    pub(crate) at: UnixTime,
    /// The code in reasonCode.
    pub(crate) reason: Option<u64>,
    /// Whether it has extensions beside a reasonCode that is not critical. Critical ones are errors.
    pub(crate) has_other_extensions: bool,
}

/// The entries of a list, read one at a time; an error ends them.
#[derive(Debug, Clone)]
pub(crate) struct Entries<'a>(Reader<'a>);

impl<'a> Entries<'a> {
    /// Over the content of revokedCertificates.
    pub(crate) fn over(revoked: &'a [u8]) -> Self {
        Self(Reader::new(revoked))
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, DerError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let entry = read(&mut self.0);
        if entry.is_err() {
            self.0 = Reader::new(&[]);
        }
        Some(entry)
    }
}

fn read<'a>(list: &mut Reader<'a>) -> Result<Entry<'a>, DerError> {
    let mut inner = list.sequence()?;
    let (serial, at) = (inner.integer()?, inner.time()?);
    let mut entry = Entry {
        serial,
        at,
        reason: None,
        has_other_extensions: false,
    };
    if !inner.is_empty() {
        read_extensions(inner.sequence()?, &mut entry)?;
        inner.finish()?;
    }
    Ok(entry)
}

fn read_extensions(mut list: Reader<'_>, entry: &mut Entry<'_>) -> Result<(), DerError> {
    if list.is_empty() {
        return Err(DerError("an entry's list of extensions is empty"));
    }
    for _ in 0..EXTENSIONS_MAX {
        if list.is_empty() {
            return Ok(());
        }
        let extension = Extension::read(&mut list)?;
        if extension.critical {
            return Err(DerError("an entry has a critical extension"));
        }
        if extension.oid != oid::REASON_CODE {
            entry.has_other_extensions = true;
            continue;
        }
        if entry.reason.is_some() {
            return Err(DerError("an entry has two reasons"));
        }
        let mut value = Reader::new(extension.value);
        entry.reason = Some(value.enumerated_u64()?);
        value.finish()?;
    }
    list.finish()
        .map_err(|_| DerError("an entry has more than 8 extensions"))
}
