//! The certificate that answers a tls-alpn-01 challenge (RFC 8737 §3; for addresses RFC 8738 §6).

use std::net::IpAddr;

use chancery_crypto::{Digest32, secrets_equal};

use crate::certificate::extension::Extensions;
use crate::certificate::signed::Signed;
use crate::certificate::view::TbsView;
use crate::certificate::{Certificate, CertificateError, alt_names};
use crate::der::{DerError, Reader, tag};
use crate::name::San;
use crate::oid;
use crate::spki::Spki;

/// Choices of GeneralName, RFC 5280 §4.2.1.6.
const DNS_NAME: u8 = tag::context(2);
const IP_ADDRESS: u8 = tag::context(7);

/// A certificate does not answer the challenge. Nothing of what it holds is repeated, but what kind of thing it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChallengeCertificateError {
    /// Not a certificate that can be read here.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Another certificate, or another key, stands above it.
    #[error("the certificate is not self-signed")]
    NotSelfSigned,
    /// No subjectAltName, or one with more than one entry.
    #[error(
        "the certificate's subjectAltName has {found} entries; exactly one is expected, {expected}"
    )]
    NameCount {
        /// Entries seen.
        found: usize,
        /// The name in words.
        expected: String,
    },
    /// One name of another type, or another name.
    #[error("the one entry of the certificate's subjectAltName is not {expected}, octet for octet")]
    OtherName {
        /// The name in words.
        expected: String,
    },
    /// The extension that carries the proof is not there.
    #[error("the certificate has no extension acmeIdentifier (1.3.6.1.5.5.7.1.31)")]
    NoIdentifier,
    /// The extension of a draft stands in its place (failures A2).
    #[error(
        "the certificate has the extension 1.3.6.1.5.5.7.1.30.1 of an old draft; RFC 8737 has 1.3.6.1.5.5.7.1.31"
    )]
    IdentifierOfDraft,
    /// The extension is not marked critical.
    #[error("the extension acmeIdentifier is not critical, which RFC 8737 section 3 demands")]
    NotCritical,
    /// The extension's value is not an OCTET STRING of 32 octets.
    #[error("the extension acmeIdentifier does not hold an OCTET STRING of 32 octets")]
    IdentifierForm,
    /// The proof is for another key authorization.
    #[error(
        "the extension acmeIdentifier holds another digest than that of this challenge's key authorization"
    )]
    OtherDigest,
}

/// The key of a certificate that a server shows for a challenge. It is read as [`check_challenge_certificate`] reads it, so
/// that the handshake refuses nothing that the challenge would take.
///
/// # Errors
/// [`CertificateError`].
pub fn challenge_certificate_key(der: &[u8]) -> Result<Spki, CertificateError> {
    Certificate::parse_with_any_serial(der).map(|certificate| certificate.spki().clone())
}

/// Checks that a certificate proves control of `name`, a host or an address: self-signed, with that one name and no
/// other, and with `digest`, the SHA-256 of the key authorization, in a critical acmeIdentifier.
///
/// # Errors
/// [`ChallengeCertificateError`].
pub fn check_challenge_certificate(
    der: &[u8],
    name: &San,
    digest: &Digest32,
) -> Result<(), ChallengeCertificateError> {
    let certificate = Certificate::parse_with_any_serial(der)?;
    let self_signed = certificate.is_self_issued()
        && certificate
            .verify_signed_by(certificate.spki().key())
            .is_ok();
    if !self_signed {
        return Err(ChallengeCertificateError::NotSelfSigned);
    }
    let malformed = |reason: DerError| CertificateError::Malformed(reason);
    let signed = Signed::read(der).map_err(malformed)?;
    let view = TbsView::read(signed.tbs).map_err(malformed)?;
    check_name(&view.extensions, name)?;
    check_identifier(&view.extensions, digest)
}

fn check_name(extensions: &Extensions<'_>, name: &San) -> Result<(), ChallengeCertificateError> {
    let (kind, expected) = match name {
        San::Dns(name) | San::Wildcard(name) => (DNS_NAME, name.as_str().as_bytes().to_vec()),
        San::Ip(IpAddr::V4(address)) => (IP_ADDRESS, address.octets().to_vec()),
        San::Ip(IpAddr::V6(address)) => (IP_ADDRESS, address.octets().to_vec()),
    };
    let in_words = || match name {
        San::Dns(name) | San::Wildcard(name) => format!("the dNSName {name}"),
        San::Ip(address) => format!("the iPAddress {address}"),
    };
    let entries = match extensions.find(oid::SUBJECT_ALT_NAME) {
        Some(extension) => alt_names::read(extension.value).map_err(CertificateError::Malformed)?,
        None => Vec::new(),
    };
    match entries.as_slice() {
        [entry] if entry.tag == kind && entry.content == expected => Ok(()),
        [_] => Err(ChallengeCertificateError::OtherName {
            expected: in_words(),
        }),
        all => Err(ChallengeCertificateError::NameCount {
            found: all.len(),
            expected: in_words(),
        }),
    }
}

/// That the extension is there once was seen when the certificate was parsed.
fn check_identifier(
    extensions: &Extensions<'_>,
    digest: &Digest32,
) -> Result<(), ChallengeCertificateError> {
    let Some(extension) = extensions.find(oid::ACME_IDENTIFIER) else {
        return Err(match extensions.find(oid::ACME_IDENTIFIER_OF_DRAFTS) {
            Some(_) => ChallengeCertificateError::IdentifierOfDraft,
            None => ChallengeCertificateError::NoIdentifier,
        });
    };
    if !extension.critical {
        return Err(ChallengeCertificateError::NotCritical);
    }
    let held = Reader::only(extension.value, tag::OCTET_STRING)
        .map_err(|_| ChallengeCertificateError::IdentifierForm)?
        .remaining();
    if held.len() != digest.len() {
        return Err(ChallengeCertificateError::IdentifierForm);
    }
    if !secrets_equal(held, digest) {
        return Err(ChallengeCertificateError::OtherDigest);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
