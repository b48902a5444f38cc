use crate::certificate::extension::Extensions;
use crate::certificate::signed::whole_sequence;
use crate::der::{DerError, Reader, tag};
use crate::time::UnixTime;

/// The fields of a TBSCertificate (RFC 5280 §4.1.2) over borrowed bytes, none of them judged yet.
#[derive(Debug, Clone)]
pub(crate) struct TbsView<'a> {
    /// The content octets of serialNumber, sign and all.
    pub(crate) serial: &'a [u8],
    /// The whole AlgorithmIdentifier of signature.
    pub(crate) algorithm: &'a [u8],
    /// The whole Name.
    pub(crate) issuer: &'a [u8],
    /// First second of validity.
    pub(crate) not_before: UnixTime,
    /// Last second of validity.
    pub(crate) not_after: UnixTime,
    /// The whole Name.
    pub(crate) subject: &'a [u8],
    /// The whole SubjectPublicKeyInfo.
    pub(crate) spki: &'a [u8],
    /// The extensions; none if the field is absent.
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> TbsView<'a> {
    /// Reads a whole TBSCertificate of version 3 without unique identifiers; nothing may follow it.
    pub(crate) fn read(tbs: &'a [u8]) -> Result<Self, DerError> {
        let mut fields = Reader::only(tbs, tag::SEQUENCE)?;
        read_version(&mut fields)?;
        let serial = fields.integer()?;
        let algorithm = whole_sequence(&mut fields)?;
        let issuer = whole_sequence(&mut fields)?;
        let mut validity = fields.sequence()?;
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        validity.finish()?;
        let subject = whole_sequence(&mut fields)?;
        let spki = whole_sequence(&mut fields)?;
        let extensions = if fields.is_empty() {
            Extensions::default()
        } else {
            let mut explicit = fields.enter(tag::context_constructed(3))?;
            let extensions = Extensions::read(&mut explicit)?;
            explicit.finish()?;
            extensions
        };
        fields.finish()?;
        Ok(Self {
            serial,
            algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
        })
    }
}

fn read_version(fields: &mut Reader<'_>) -> Result<(), DerError> {
    const NOT_V3: DerError = DerError("the certificate is not of version 3");
    let mut version = fields
        .enter(tag::context_constructed(0))
        .map_err(|_| NOT_V3)?;
    if version.integer_u64()? != 2 {
        return Err(NOT_V3);
    }
    version.finish()
}
