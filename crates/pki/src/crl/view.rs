use crate::certificate::extension::Extensions;
use crate::certificate::signed::whole_sequence;
use crate::der::{DerError, Reader, tag};
use crate::time::UnixTime;

/// The fields of a TBSCertList (RFC 5280 §5.1.2) over borrowed bytes, none of them judged yet.
#[derive(Debug, Clone)]
pub(crate) struct CrlView<'a> {
    /// The whole AlgorithmIdentifier of signature.
    pub(crate) algorithm: &'a [u8],
    /// The whole Name.
    pub(crate) issuer: &'a [u8],
    /// When the list was made.
    pub(crate) this_update: UnixTime,
    /// When the next one is out at the latest. RFC 5280 §5.1.2.5 wants it of every CA.
    pub(crate) next_update: UnixTime,
    /// The content of revokedCertificates; none if the field is absent.
    pub(crate) revoked: Option<&'a [u8]>,
    /// The extensions; none if the field is absent.
    pub(crate) extensions: Extensions<'a>,
}

impl<'a> CrlView<'a> {
    /// Reads a whole TBSCertList of version 2; nothing may follow it. The entries are left unread.
    pub(crate) fn read(tbs: &'a [u8]) -> Result<Self, DerError> {
        let mut fields = Reader::only(tbs, tag::SEQUENCE)?;
        if fields.peek_tag() != Some(tag::INTEGER) || fields.integer_u64()? != 1 {
            return Err(DerError("the CRL is not of version 2"));
        }
        let algorithm = whole_sequence(&mut fields)?;
        let issuer = whole_sequence(&mut fields)?;
        let (this_update, next_update) = (fields.time()?, fields.time()?);
        let revoked = fields.optional(tag::SEQUENCE)?;
        let extensions = if fields.is_empty() {
            Extensions::default()
        } else {
            let mut explicit = fields.enter(tag::context_constructed(0))?;
            let extensions = Extensions::read(&mut explicit)?;
            explicit.finish()?;
            extensions
        };
        fields.finish()?;
        Ok(Self {
            algorithm,
            issuer,
            this_update,
            next_update,
            revoked,
            extensions,
        })
    }
}
