//! When certificates should be renewed (RFC 9773).

use chancery_acme::CertId;
use chancery_authority::certificate::Certificate;
use chancery_authority::renewal::RenewalWindow;

use crate::{Engine, EngineError};

impl Engine {
    /// The certificate that a client names without its issuer's help.
    ///
    /// # Errors
    /// Store errors.
    pub async fn certificate_by_cert_id(
        &self,
        id: &CertId,
    ) -> Result<Option<Certificate>, EngineError> {
        let Some(serial) = id.our_serial() else {
            return Ok(None);
        };
        let key_id = id.authority_key_id.as_slice();
        let issuer = self
            .issuers()
            .into_iter()
            .find(|issuer| issuer.certificate.key_identifier() == key_id);
        match issuer {
            None => Ok(None),
            Some(issuer) => Ok(self
                .store
                .certificate_by_serial(issuer.record.id, serial)
                .await?),
        }
    }

    /// When that certificate should be renewed; nothing if it is none of ours.
    ///
    /// # Errors
    /// Store errors.
    pub async fn renewal_window(&self, id: &CertId) -> Result<Option<RenewalWindow>, EngineError> {
        let found = self.certificate_by_cert_id(id).await?;
        Ok(found.map(|certificate| RenewalWindow::of(&certificate)))
    }
}
