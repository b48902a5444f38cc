use std::fmt;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;

use crate::SimulateError;

/// Certificates in one chain; a server's own and the intermediates are two or three.
const CHAIN_MAX: usize = 10;

/// A certificate chain (leaf first) with the leaf's private key, known to belong together.
#[derive(Clone)]
pub struct Credentials(Arc<CertifiedKey>);

impl Credentials {
    /// From PEM text: the chain as certificate blocks, the key as PKCS#8, SEC1 or PKCS#1.
    ///
    /// # Errors
    /// [`SimulateError::Credentials`]
    pub fn from_pem(chain: &str, key: &str) -> Result<Self, SimulateError> {
        let chain = CertificateDer::pem_slice_iter(chain.as_bytes())
            .take(CHAIN_MAX)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| unusable(format!("chain: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
            .map_err(|error| unusable(format!("key: {error}")))?;
        Self::new(chain, key)
    }

    /// From DER: the chain's certificates, the key as PKCS#8.
    ///
    /// # Errors
    /// [`SimulateError::Credentials`]
    pub fn from_der(chain: Vec<Vec<u8>>, pkcs8: &[u8]) -> Result<Self, SimulateError> {
        let chain = chain
            .into_iter()
            .take(CHAIN_MAX)
            .map(CertificateDer::from)
            .collect();
        Self::new(chain, PrivatePkcs8KeyDer::from(pkcs8.to_vec()).into())
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, SimulateError> {
        if chain.is_empty() {
            return Err(unusable("the chain holds no certificate".to_owned()));
        }
        CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())
            .map(|certified| Self(Arc::new(certified)))
            .map_err(|error| unusable(error.to_string()))
    }

    pub(crate) fn certified_key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0)
    }
}

/// Names the chain only; the key stays unsaid.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("certificates", &self.0.cert.len())
            .finish()
    }
}

fn unusable(detail: String) -> SimulateError {
    SimulateError::Credentials { detail }
}
