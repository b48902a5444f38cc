use crate::der::{DerError, Reader, Writer, tag};

/// Octets of a key identifier that are read; SHA-512 gives 64.
const KEY_IDENTIFIER_OCTETS_MAX: usize = 64;

/// authorityKeyIdentifier (RFC 5280 §4.2.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AuthorityKeyId<'a> {
    /// keyIdentifier.
    pub(crate) key_identifier: Option<&'a [u8]>,
    /// Whether issuer name or serial stand there too, which ties the certificate to one of its issuer's certificates.
    pub(crate) names_certificate: bool,
}

impl<'a> AuthorityKeyId<'a> {
    /// Reads the value of the extension.
    pub(crate) fn read(value: &'a [u8]) -> Result<Self, DerError> {
        let mut inner = Reader::only(value, tag::SEQUENCE)?;
        let key_identifier = inner.optional(tag::context(0))?;
        key_identifier.map_or(Ok(()), check)?;
        let issuer = inner.optional(tag::context_constructed(1))?;
        let serial = inner.optional(tag::context(2))?;
        inner.finish()?;
        Ok(Self {
            key_identifier,
            names_certificate: issuer.is_some() || serial.is_some(),
        })
    }
}

/// Writes authorityKeyIdentifier with a keyIdentifier only.
pub(crate) fn write_authority(w: &mut Writer, key_identifier: &[u8]) {
    w.sequence(|w| w.primitive(tag::context(0), key_identifier));
}

/// Reads the value of subjectKeyIdentifier (RFC 5280 §4.2.1.2).
pub(crate) fn read_subject(value: &[u8]) -> Result<&[u8], DerError> {
    let mut reader = Reader::new(value);
    let key_identifier = reader.octet_string()?;
    reader.finish()?;
    check(key_identifier)?;
    Ok(key_identifier)
}

fn check(key_identifier: &[u8]) -> Result<(), DerError> {
    if (1..=KEY_IDENTIFIER_OCTETS_MAX).contains(&key_identifier.len()) {
        Ok(())
    } else {
        Err(DerError(
            "a key identifier is empty or longer than 64 octets",
        ))
    }
}
