use std::net::IpAddr;

use chancery_acme::tls_alpn01_digest;
use chancery_pki::San;
use rcgen::{
    CertificateParams, CustomExtension, Issuer, KeyPair, OtherNameValue, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// The extension of RFC 8737 §6.1.
const ACME_IDENTIFIER: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 31];
/// What its drafts used.
const OF_DRAFTS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 30, 1];

/// A certificate for a challenge, right until a part of it is changed.
#[derive(Debug, Clone)]
pub struct ChallengeCertificate {
    /// The entries of subjectAltName.
    pub names: Vec<AltName>,
    /// The extensions with the proof.
    pub identifiers: Vec<Identifier>,
    /// Whose signature it carries.
    pub signed_by: SignedBy,
    /// The octets of its serial number.
    pub serial: Vec<u8>,
}

/// One entry of subjectAltName.
#[derive(Debug, Clone)]
pub enum AltName {
    /// A dNSName, whatever its text.
    Dns(String),
    /// An iPAddress.
    Ip(IpAddr),
    /// An otherName.
    Other,
}

/// An extension that carries the proof, or pretends to.
#[derive(Debug, Clone)]
pub struct Identifier {
    oid: &'static [u64],
    critical: bool,
    digest: [u8; 32],
}

/// Whose signature a certificate carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedBy {
    /// Its own key's.
    Itself,
    /// That of another key under the same name.
    Another,
}

pub(super) struct Made {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivatePkcs8KeyDer<'static>,
}

impl ChallengeCertificate {
    /// The right one for an identifier and a key authorization.
    #[must_use]
    pub fn right(identifier: &San, key_authorization: &str) -> Self {
        let name = match identifier {
            San::Dns(name) | San::Wildcard(name) => AltName::Dns(name.as_str().to_owned()),
            San::Ip(address) => AltName::Ip(*address),
        };
        Self {
            names: vec![name],
            identifiers: vec![Identifier::of(key_authorization)],
            signed_by: SignedBy::Itself,
            serial: vec![1],
        }
    }

    /// Changes a part.
    #[must_use]
    pub fn but(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// The certificate with a fresh key.
    pub(super) fn make(&self) -> Made {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from_slice(&self.serial));
        params.subject_alt_names = self.names.iter().map(AltName::to_rcgen).collect();
        params.custom_extensions = self.identifiers.iter().map(Identifier::to_rcgen).collect();
        let key = KeyPair::generate().expect("the library makes keys");
        let certificate = match self.signed_by {
            SignedBy::Itself => params.self_signed(&key),
            SignedBy::Another => {
                let above = KeyPair::generate().expect("the library makes keys");
                params.signed_by(&key, &Issuer::from_params(&params, &above))
            }
        };
        Made {
            certificate: certificate.expect("rcgen writes what it is told").into(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()),
        }
    }
}

impl AltName {
    fn to_rcgen(&self) -> SanType {
        match self {
            Self::Dns(name) => SanType::DnsName(name.as_str().try_into().expect("ASCII")),
            Self::Ip(address) => SanType::IpAddress(*address),
            Self::Other => {
                let value = OtherNameValue::Utf8String("other".to_owned());
                SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 1], value))
            }
        }
    }
}

impl Identifier {
    /// The right one.
    #[must_use]
    pub fn of(key_authorization: &str) -> Self {
        Self {
            oid: ACME_IDENTIFIER,
            critical: true,
            digest: tls_alpn01_digest(key_authorization),
        }
    }

    /// Under the identifier that drafts of the RFC had.
    #[must_use]
    pub fn of_drafts(mut self) -> Self {
        self.oid = OF_DRAFTS;
        self
    }

    /// Not marked critical.
    #[must_use]
    pub fn not_critical(mut self) -> Self {
        self.critical = false;
        self
    }

    /// With one bit of the digest turned over.
    #[must_use]
    pub fn off_by_one_bit(mut self) -> Self {
        self.digest[31] ^= 1;
        self
    }

    fn to_rcgen(&self) -> CustomExtension {
        // An OCTET STRING of 32 octets.
        let content = [&[4, 32][..], &self.digest].concat();
        let mut extension = CustomExtension::from_oid_content(self.oid, content);
        extension.set_criticality(self.critical);
        extension
    }
}
