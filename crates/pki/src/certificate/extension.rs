use crate::der::{DerError, Reader, Writer, tag};
use crate::oid;

/// Extensions of one certificate or CRL that are read. Public certificates carry about ten.
const EXTENSIONS_MAX: usize = 64;

/// One extension (RFC 5280 §4.1.2.9), its value not yet read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extension<'a> {
    /// Content octets of extnID.
    pub(crate) oid: &'a [u8],
    /// Whether a reader that does not know it must refuse the whole.
    pub(crate) critical: bool,
    /// The DER inside extnValue.
    pub(crate) value: &'a [u8],
}

impl<'a> Extension<'a> {
    /// Reads the extension that comes next.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        let mut inner = reader.sequence()?;
        let (oid, critical, value) = (inner.oid()?, inner.default_false()?, inner.octet_string()?);
        inner.finish()?;
        Ok(Self {
            oid,
            critical,
            value,
        })
    }

    /// What people call it, for messages.
    pub(crate) fn name(&self) -> &'static str {
        name_of(self.oid)
    }
}

/// The extensions of one object in the order in which they arrived.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extensions<'a>(Vec<Extension<'a>>);

impl<'a> Extensions<'a> {
    /// Reads `SEQUENCE SIZE (1..MAX) OF Extension`.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, DerError> {
        let mut list = reader.sequence()?;
        let mut extensions = Vec::with_capacity(12);
        while !list.is_empty() {
            if extensions.len() == EXTENSIONS_MAX {
                return Err(DerError("more than 64 extensions"));
            }
            extensions.push(Extension::read(&mut list)?);
        }
        if extensions.is_empty() {
            return Err(DerError("the list of extensions is empty"));
        }
        Ok(Self(extensions))
    }

    /// The first extension with this identifier.
    pub(crate) fn find(&self, oid: &[u8]) -> Option<&Extension<'a>> {
        self.0.iter().find(|extension| extension.oid == oid)
    }

    /// Every extension.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Extension<'a>> {
        self.0.iter()
    }

    /// An extension that occurs twice, which RFC 5280 §4.2 forbids. At most 64 × 64 / 2 short comparisons.
    pub(crate) fn repeated(&self) -> Option<&Extension<'a>> {
        let mut later = self.0.as_slice();
        while let Some((first, rest)) = later.split_first() {
            if rest.iter().any(|other| other.oid == first.oid) {
                return Some(first);
            }
            later = rest;
        }
        None
    }
}

/// Writes a critical extension, `value` being its inner DER.
pub(crate) fn write_critical(w: &mut Writer, oid: &[u8], value: impl FnOnce(&mut Writer)) {
    w.sequence(|w| {
        w.oid(oid);
        w.boolean(true);
        w.tlv(tag::OCTET_STRING, value);
    });
}

/// Writes an extension that is not critical.
pub(crate) fn write(w: &mut Writer, oid: &[u8], value: impl FnOnce(&mut Writer)) {
    w.sequence(|w| {
        w.oid(oid);
        w.tlv(tag::OCTET_STRING, value);
    });
}

fn name_of(found: &[u8]) -> &'static str {
    match found {
        oid::SUBJECT_KEY_IDENTIFIER => "subjectKeyIdentifier",
        oid::KEY_USAGE => "keyUsage",
        oid::SUBJECT_ALT_NAME => "subjectAltName",
        oid::BASIC_CONSTRAINTS => "basicConstraints",
        oid::CRL_NUMBER => "cRLNumber",
        oid::REASON_CODE => "reasonCode",
        oid::ISSUING_DISTRIBUTION_POINT => "issuingDistributionPoint",
        oid::NAME_CONSTRAINTS => "nameConstraints",
        oid::CRL_DISTRIBUTION_POINTS => "cRLDistributionPoints",
        oid::AUTHORITY_KEY_IDENTIFIER => "authorityKeyIdentifier",
        oid::EXT_KEY_USAGE => "extKeyUsage",
        oid::AUTHORITY_INFO_ACCESS => "authorityInfoAccess",
        oid::ACME_IDENTIFIER => "acmeIdentifier",
        _ => "an extension that is not known here",
    }
}
