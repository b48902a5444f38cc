use std::sync::{Arc, LazyLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::DialError;
use crate::error::bounded;

/// How the other end of an `https` URL is believed. TLS is 1.2 or newer in every case (failures A2).
#[derive(Debug, Clone)]
pub enum Tls {
    /// Any certificate. Only for redirects of http-01, which prove control of a name over plain HTTP already:
    /// whoever asks for a first certificate has none that could be verified (RFC 8555 §8.3).
    Unverified,
    /// A certificate of the name, by the roots of this configuration.
    Roots(Arc<ClientConfig>),
}

impl Tls {
    /// Believes certificates under the roots of these PEM texts, and no others: nothing is built in.
    ///
    /// # Errors
    /// [`DialError::BadRoots`] where a text holds no certificate or one that cannot be a root.
    pub fn with_roots<P: AsRef<[u8]>>(pems: &[P]) -> Result<Self, DialError> {
        let mut roots = RootCertStore::empty();
        for pem in pems {
            let before = roots.len();
            for certificate in CertificateDer::pem_slice_iter(pem.as_ref()) {
                let certificate =
                    certificate.map_err(|_| bad_roots("a PEM block is malformed".to_owned()))?;
                roots
                    .add(certificate)
                    .map_err(|error| bad_roots(bounded(error)))?;
            }
            if roots.len() == before {
                return Err(bad_roots("there is no CERTIFICATE block in it".to_owned()));
            }
        }
        let config = builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::Roots(Arc::new(config)))
    }

    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        match self {
            Self::Unverified => Arc::clone(&UNVERIFIED),
            Self::Roots(config) => Arc::clone(config),
        }
    }
}

/// One configuration for all redirects, without sessions: nothing is carried from one validation to another.
static UNVERIFIED: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut config = builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
        .with_no_client_auth();
    config.resumption = rustls::client::Resumption::disabled();
    Arc::new(config)
});

/// The provider is named here and never installed for the process, so that no other crate can change it.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> =
        LazyLock::new(|| Arc::new(aws_lc_rs::default_provider()));
    Arc::clone(&PROVIDER)
}

pub(crate) fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has cipher suites for TLS 1.2 and 1.3")
}

fn bad_roots(reason: String) -> DialError {
    DialError::BadRoots { reason }
}

/// Accepts what is shown; see [`Tls::Unverified`] for why that is right there.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_that_are_none_are_refused() {
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "junk",
        ] {
            let error = Tls::with_roots(&[text]).expect_err("no root");
            assert!(
                error
                    .to_string()
                    .starts_with("the root certificates cannot be used")
            );
        }
    }
}
