use std::sync::Arc;

use chancery_pki::challenge_certificate_key;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, SignatureScheme,
};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::DialError;
use crate::connect::Connector;
use crate::deadline::Deadline;
use crate::error::{bounded, io_cause};
use crate::http::late;
use crate::tls::{builder, provider};
use crate::trace::Trace;

/// A TLS handshake, 1.2 or newer, that offers one protocol by ALPN and no other.
#[derive(Debug, Clone)]
pub struct Handshake<'a> {
    /// Who is dialled.
    pub host: Host<&'a str>,
    /// At which port.
    pub port: u16,
    /// What the client asks for by SNI; it need not be the host's name.
    pub server_name: &'a str,
    /// The protocol, which the server must select.
    pub protocol: &'a str,
    /// When all of it must be over.
    pub deadline: Deadline,
}

impl Connector {
    /// Shakes hands and gives the certificate that the server showed, whoever issued it, in DER: the server has
    /// proven that it has the certificate's key, and nothing else is looked at. No application data is sent or read.
    ///
    /// # Errors
    /// [`DialError::Tls`] where the handshake fails or the protocol was not selected, and those of
    /// [`Connector::connect`].
    pub async fn certificate_shown(
        &self,
        handshake: &Handshake<'_>,
        trace: &mut Trace,
    ) -> Result<Vec<u8>, DialError> {
        let (port, deadline) = (handshake.port, handshake.deadline);
        let failed = |cause: String| DialError::Tls {
            host: bounded(&handshake.host),
            cause,
        };
        let name = ServerName::try_from(handshake.server_name.to_owned())
            .map_err(|_| failed("it is not a name that TLS can ask for".to_owned()))?;
        let stream = self.connect(&handshake.host, port, deadline, trace).await?;
        let connector = TlsConnector::from(Arc::new(config(handshake.protocol)));
        let mut stream = match deadline.bound(connector.connect(name, stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(failed(cause(&error))),
            Err(after) => return Err(failed(late(after))),
        };
        let (_, session) = stream.get_ref();
        let selected = session.alpn_protocol() == Some(handshake.protocol.as_bytes());
        let certificate = session
            .peer_certificates()
            .and_then(<[_]>::first)
            .map(|certificate| certificate.to_vec());
        // A goodbye is polite; whether it arrives does not matter.
        let _ = deadline.bound(stream.shutdown()).await;
        if !selected {
            let protocol = handshake.protocol;
            return Err(failed(format!(
                "the server did not select {protocol} by ALPN, so it does not answer for that protocol"
            )));
        }
        certificate.ok_or_else(|| failed("the server showed no certificate".to_owned()))
    }
}

/// What ended the handshake; what our own parser says of a certificate goes before the library's wrapping of it.
fn cause(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(Error::InvalidCertificate(CertificateError::Other(OtherError(ours)))) => bounded(ours),
        _ => io_cause(error),
    }
}

/// A configuration of its own for each handshake: nothing is carried from one to another.
fn config(protocol: &str) -> ClientConfig {
    let mut config = builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyIssuer(provider())))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    config
}

/// Accepts a certificate whoever issued it, from a server that signs the handshake with the certificate's key.
///
/// The library's own check of that signature refuses critical extensions that it does not know, and the certificate
/// of RFC 8737 has one: so the key is read by our own parser.
#[derive(Debug)]
struct AnyIssuer(Arc<CryptoProvider>);

impl AnyIssuer {
    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let spki = challenge_certificate_key(certificate).map_err(|error| {
            Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
        })?;
        let refused = Error::InvalidCertificate(CertificateError::BadSignature);
        let key = SubjectPublicKeyInfoDer::from(spki.as_der());
        let key = webpki::RawPublicKeyEntity::try_from(&key).map_err(|_| refused.clone())?;
        let known = self.0.signature_verification_algorithms.mapping;
        known
            .iter()
            .filter(|(scheme, _)| *scheme == signed.scheme)
            .flat_map(|(_, algorithms)| *algorithms)
            .any(|algorithm| {
                key.verify_signature(*algorithm, message, signed.signature())
                    .is_ok()
            })
            .then(HandshakeSignatureValid::assertion)
            .ok_or(refused)
    }
}

impl ServerCertVerifier for AnyIssuer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // TLS 1.3 has schemes of its own; RSA PKCS#1 and hashes of another curve's size are not among them.
        match signed.scheme {
            SignatureScheme::ECDSA_NISTP256_SHA256
            | SignatureScheme::ECDSA_NISTP384_SHA384
            | SignatureScheme::ECDSA_NISTP521_SHA512
            | SignatureScheme::RSA_PSS_SHA256
            | SignatureScheme::RSA_PSS_SHA384
            | SignatureScheme::RSA_PSS_SHA512
            | SignatureScheme::ED25519 => self.verify(message, certificate, signed),
            _ => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
