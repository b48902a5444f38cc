//! The server's own certificate, replaceable while connections are open.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("the server's certificate and key cannot be used for TLS: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// The certificate that new connections get.
#[derive(Debug)]
pub struct ServerIdentity {
    current: RwLock<Arc<CertifiedKey>>,
}

impl ServerIdentity {
    /// Takes a chain (leaf first, DER) and its key (PKCS#8).
    ///
    /// # Errors
    /// [`TlsError`] when they do not belong together.
    pub fn new(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Arc<Self>, TlsError> {
        Ok(Arc::new(Self {
            current: RwLock::new(certified(chain, key)?),
        }))
    }

    /// Replaces both; connections that are open keep what they have.
    ///
    /// # Errors
    /// [`TlsError`]; what was there stays.
    pub fn replace(&self, chain: Vec<Vec<u8>>, key: &[u8]) -> Result<(), TlsError> {
        let next = certified(chain, key)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    /// A TLS configuration (1.2 and 1.3; HTTP/2 and HTTP/1.1) that always serves the current certificate.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn config(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Self>::clone(self));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for ServerIdentity {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(
            &self.current.read().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

fn certified(chain: Vec<Vec<u8>>, key: &[u8]) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = chain.into_iter().map(CertificateDer::from).collect();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_vec()));
    Ok(Arc::new(CertifiedKey::from_der(
        chain,
        key,
        &aws_lc_rs::default_provider(),
    )?))
}
