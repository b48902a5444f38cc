//! A certificate (RFC 5280 §4) as an owned view: read strictly once, asked often.
//!
//! [`Certificate::parse`] accepts any X.509 version 3 certificate whose key passes the key policy, ours or another
//! CA's: what it does not know it skips, and says whether a critical extension was among that. Judging is done by
//! `chain` and `lint`.

pub(crate) mod alt_names;
pub(crate) mod constraints;
pub(crate) mod distinguished_name;
pub(crate) mod extension;
pub(crate) mod key_id;
mod key_usage;
mod known;
pub(crate) mod name_constraints;
pub(crate) mod pointer;
pub(crate) mod purposes;
pub(crate) mod signed;
pub(crate) mod view;

use std::ops::Range;

use chancery_crypto::{CryptoError, PublicKey, SignatureAlgorithm, SignatureForm};

use crate::algorithm::{self, AlgorithmError};
use crate::der::DerError;
use crate::name::San;
use crate::profile::ExtKeyUsage;
use crate::serial::{Serial, SerialError};
use crate::spki::{Spki, SpkiError};
use crate::time::UnixTime;

use self::known::Known;
use self::signed::{Signed, place_of};
use self::view::TbsView;

pub use self::key_usage::KeyUsage;

/// The largest certificate that is read. A thousand names make about 30 KiB; TLS stacks refuse more than this.
pub const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;

/// Bytes are not a certificate that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// Too large to be looked at.
    #[error("the certificate has {octets} octets; {CERTIFICATE_BYTES_MAX} are allowed")]
    TooLarge {
        /// Octets seen.
        octets: usize,
    },
    /// Not the DER of an X.509 version 3 certificate.
    #[error("the certificate is malformed: {0}")]
    Malformed(#[from] DerError),
    /// An extension whose value is not what its identifier says.
    #[error("{extension} of the certificate is malformed: {reason}")]
    Extension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
        /// What is wrong with it.
        reason: DerError,
    },
    /// An extension that stands there twice (RFC 5280 §4.2).
    #[error("the certificate has {extension} more than once")]
    RepeatedExtension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
    },
    /// The algorithm beside the signature is not the one under it (RFC 5280 §4.1.1.2).
    #[error("the certificate names two different signature algorithms")]
    AlgorithmsDiffer,
    /// A serial number that is not positive, or too long.
    #[error(transparent)]
    Serial(#[from] SerialError),
    /// A signature algorithm that is not accepted.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// A key that is not accepted.
    #[error(transparent)]
    Key(#[from] SpkiError),
}

/// A certificate that was read whole; its signature has not been checked.
#[derive(Clone)]
pub struct Certificate {
    der: Vec<u8>,
    tbs: Range<usize>,
    issuer: Range<usize>,
    subject: Range<usize>,
    signature: Range<usize>,
    signature_algorithm: SignatureAlgorithm,
    serial: Serial,
    not_before: UnixTime,
    not_after: UnixTime,
    spki: Spki,
    known: Known,
}

impl Certificate {
    /// Reads one DER certificate of at most 64 KiB, with nothing behind it.
    ///
    /// # Errors
    /// [`CertificateError`].
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        Self::parse_by(der, Serial::from_bytes)
    }

    /// The same for a certificate that nobody will look up by its number: clients make those of tls-alpn-01 with any serial,
    /// Apache's with one of 21 octets in every second case.
    pub(crate) fn parse_with_any_serial(der: &[u8]) -> Result<Self, CertificateError> {
        let placeholder = Serial::new(UnixTime(0), [0; 16]);
        Self::parse_by(der, |bytes| {
            Ok(Serial::from_bytes(bytes).unwrap_or(placeholder))
        })
    }

    fn parse_by(
        der: &[u8],
        serial: impl Fn(&[u8]) -> Result<Serial, SerialError>,
    ) -> Result<Self, CertificateError> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            return Err(CertificateError::TooLarge { octets: der.len() });
        }
        let signed = Signed::read(der)?;
        let view = TbsView::read(signed.tbs)?;
        if signed.algorithm != view.algorithm {
            return Err(CertificateError::AlgorithmsDiffer);
        }
        distinguished_name::read(view.issuer)?;
        distinguished_name::read(view.subject)?;
        let known = Known::read(&view.extensions)?;
        Ok(Self {
            tbs: place_of(signed.tbs, der),
            issuer: place_of(view.issuer, der),
            subject: place_of(view.subject, der),
            signature: place_of(signed.signature, der),
            signature_algorithm: algorithm::parse(view.algorithm)?,
            serial: serial(view.serial)?,
            not_before: view.not_before,
            not_after: view.not_after,
            spki: Spki::parse(view.spki)?,
            known,
            der: der.to_vec(),
        })
    }

    /// The whole certificate.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The whole TBSCertificate: what the signature covers.
    #[must_use]
    pub fn tbs_der(&self) -> &[u8] {
        self.part(&self.tbs)
    }

    /// The serial number.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The whole Name of the issuer.
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.issuer)
    }

    /// The whole Name of the subject.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        self.part(&self.subject)
    }

    /// Whether issuer and subject are the same Name, as in a root.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer_der() == self.subject_der()
    }

    /// The first second of validity.
    #[must_use]
    pub fn not_before(&self) -> UnixTime {
        self.not_before
    }

    /// The last second of validity.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.not_after
    }

    /// The subject's key.
    #[must_use]
    pub fn spki(&self) -> &Spki {
        &self.spki
    }

    /// The host names, wildcards and addresses in subjectAltName, in the order of the certificate.
    #[must_use]
    pub fn sans(&self) -> &[San] {
        &self.known.sans
    }

    /// Whether subjectAltName also holds something that [`Certificate::sans`] cannot show: another type of name, or
    /// a host name that is not accepted here.
    #[must_use]
    pub fn has_other_sans(&self) -> bool {
        self.known.has_other_sans
    }

    /// Whether basicConstraints says that the subject is a CA.
    #[must_use]
    pub fn is_ca(&self) -> bool {
        self.known
            .constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// How many CA certificates may follow on a path, if that is limited (RFC 5280 §4.2.1.9).
    #[must_use]
    pub fn path_len(&self) -> Option<u8> {
        self.known
            .constraints
            .and_then(|constraints| constraints.path_len)
    }

    /// The uses of the key, if they are limited.
    #[must_use]
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.known.key_usage
    }

    /// The purposes that are known here, if purposes are limited; others are left out.
    #[must_use]
    pub fn ext_key_usages(&self) -> Option<&[ExtKeyUsage]> {
        self.known.ext_key_usages.as_deref()
    }

    /// keyIdentifier of authorityKeyIdentifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.known.authority_key_id.as_deref()
    }

    /// subjectKeyIdentifier.
    #[must_use]
    pub fn subject_key_id(&self) -> Option<&[u8]> {
        self.known.subject_key_id.as_deref()
    }

    /// The URLs of cRLDistributionPoints where the whole status is found.
    #[must_use]
    pub fn crl_urls(&self) -> &[String] {
        &self.known.crl_urls
    }

    /// The caIssuers URLs of authorityInfoAccess.
    #[must_use]
    pub fn ca_issuers_urls(&self) -> &[String] {
        &self.known.ca_issuers_urls
    }

    /// Whether there is a critical extension that this crate does not understand: RFC 5280 §4.2 says that such a
    /// certificate must not be trusted.
    #[must_use]
    pub fn has_unknown_critical_extension(&self) -> bool {
        let constrained = self.known.name_constraints.as_ref();
        self.known.has_unknown_critical || constrained.is_some_and(|found| found.critical)
    }

    /// The same for those who keep name constraints.
    pub(crate) fn has_critical_extension_besides_name_constraints(&self) -> bool {
        self.known.has_unknown_critical
    }

    /// The value of nameConstraints, which only an issuer reads.
    pub(crate) fn name_constraints(&self) -> Option<&[u8]> {
        let found = self.known.name_constraints.as_ref();
        found.map(|found| &*found.value)
    }

    /// The algorithm of the signature.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// The octets of the signature.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        self.part(&self.signature)
    }

    /// Checks the signature with the issuer's key, over the bytes that arrived.
    ///
    /// # Errors
    /// [`CryptoError::AlgorithmMismatch`] or [`CryptoError::BadSignature`].
    pub fn verify_signed_by(&self, key: &PublicKey) -> Result<(), CryptoError> {
        let form = SignatureForm::Der;
        key.verify(
            self.signature_algorithm,
            form,
            self.tbs_der(),
            self.signature(),
        )
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificate({})", self.serial)
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::PrivateKey;
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, DnType, IsCa, KeyPair};
    use x509_parser::prelude::{FromDer, X509Certificate};

    use super::*;
    use crate::der::tag;
    use crate::tbs::assemble;
    use crate::tbs::fixture::{CA_URL, CRL_URL, P256, TestCa, names, serial};

    fn issued() -> (TestCa, Certificate) {
        let ca = TestCa::root(P256);
        let der = ca.sign(ca.leaf_tbs(&["a.test", "*.b.test", "10.0.0.1"]).as_der());
        let certificate = Certificate::parse(&der).expect("reads");
        (ca, certificate)
    }

    fn rcgen(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("parameters");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signs").der().to_vec()
    }

    #[test]
    fn every_part_of_a_certificate_is_found_as_an_oracle_finds_it() {
        let (ca, certificate) = issued();
        let (_, oracle) = X509Certificate::from_der(certificate.der()).expect("reads");
        assert_eq!(certificate.tbs_der(), oracle.tbs_certificate.as_ref());
        assert_eq!(certificate.serial(), serial(7));
        assert_eq!(certificate.serial().as_bytes(), oracle.raw_serial());
        assert_eq!(certificate.issuer_der(), oracle.issuer().as_raw());
        assert_eq!(certificate.subject_der(), oracle.subject().as_raw());
        assert_eq!(
            certificate.not_before().0,
            oracle.validity().not_before.timestamp()
        );
        assert_eq!(
            certificate.not_after().0,
            oracle.validity().not_after.timestamp()
        );
        assert_eq!(certificate.spki().as_der(), oracle.public_key().raw);
        assert_eq!(certificate.signature(), &*oracle.signature_value.data);
        assert_eq!(
            certificate.signature_algorithm(),
            SignatureAlgorithm::EcdsaSha256
        );
        assert!(
            certificate
                .sans()
                .iter()
                .eq(&names(&["a.test", "*.b.test", "10.0.0.1"]))
        );
        assert!(!certificate.has_other_sans());
        assert_eq!((certificate.is_ca(), certificate.path_len()), (false, None));
        assert_eq!(certificate.key_usage(), Some(KeyUsage::DIGITAL_SIGNATURE));
        assert_eq!(
            certificate.ext_key_usages(),
            Some(&[ExtKeyUsage::ServerAuth][..])
        );
        assert_eq!(
            certificate.authority_key_id(),
            Some(ca.certificate.key_identifier())
        );
        let own = certificate.spki().key_identifier();
        assert_eq!(certificate.subject_key_id(), Some(&own[..]));
        assert_eq!(certificate.crl_urls(), [CRL_URL]);
        assert_eq!(certificate.ca_issuers_urls(), [CA_URL]);
        assert!(!certificate.has_unknown_critical_extension() && !certificate.is_self_issued());
        assert_eq!(certificate.verify_signed_by(ca.key.public()), Ok(()));
        let other = PrivateKey::generate(P256).expect("generates");
        let bad = certificate.verify_signed_by(other.public());
        assert_eq!(bad, Err(CryptoError::BadSignature));
    }

    #[test]
    fn certificates_of_another_maker_are_read() {
        let der = rcgen(|params| {
            params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Constrained(3));
            params
                .distinguished_name
                .push(DnType::CommonName, "rcgen CA");
            params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
            params.extended_key_usages = vec![
                rcgen::ExtendedKeyUsagePurpose::CodeSigning,
                rcgen::ExtendedKeyUsagePurpose::ClientAuth,
            ];
            let points = vec![rcgen::CrlDistributionPoint {
                uris: vec![CRL_URL.to_owned()],
            }];
            params.crl_distribution_points = points;
        });
        let certificate = Certificate::parse(&der).expect("reads");
        assert!(certificate.is_ca() && certificate.is_self_issued());
        assert_eq!(certificate.path_len(), Some(3));
        assert_eq!(certificate.key_usage(), Some(KeyUsage::KEY_CERT_SIGN));
        assert_eq!(
            certificate.ext_key_usages(),
            Some(&[ExtKeyUsage::ClientAuth][..])
        );
        assert_eq!(certificate.crl_urls(), [CRL_URL]);
        assert_eq!(
            certificate.verify_signed_by(certificate.spki().key()),
            Ok(())
        );
    }

    #[test]
    fn an_extension_twice_and_two_algorithms_are_refused() {
        let der = rcgen(|params| {
            let twice = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            params.custom_extensions = vec![twice.clone(), twice];
        });
        let extension = "an extension that is not known here";
        let expected = Err(CertificateError::RepeatedExtension { extension });
        assert_eq!(Certificate::parse(&der), expected);

        let (_, certificate) = issued();
        let (tbs, signature) = (certificate.tbs_der(), certificate.signature());
        let other = assemble(tbs, SignatureAlgorithm::EcdsaSha384, signature);
        assert_eq!(
            Certificate::parse(&other),
            Err(CertificateError::AlgorithmsDiffer)
        );
    }

    #[test]
    fn c7_hostile_encodings_are_errors_in_bounded_time() {
        let (_, certificate) = issued();
        let good = certificate.der();
        let deep = [0x30, 0x80].repeat(10_000);
        let mut sequences = vec![5, 0];
        for _ in 0..10_000 {
            let header = crate::tbs::header(tag::SEQUENCE, sequences.len());
            sequences.splice(0..0, header);
        }
        let year_zero = {
            let mut der = good.to_vec();
            let at = der
                .windows(2)
                .position(|pair| pair == [tag::UTC_TIME, 13])
                .expect("a time");
            der.splice(
                at..at + 15,
                [&[tag::GENERALIZED_TIME, 15], &b"00000101000000Z"[..]].concat(),
            );
            der
        };
        for bad in [
            deep,
            sequences,
            year_zero,
            vec![],
            vec![0x30],
            vec![0x30, 0x80, 0, 0],
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            vec![0x30, 0x85, 1, 0, 0, 0, 0],
            [good, &[0]].concat(),
            good[..good.len() - 1].to_vec(),
        ] {
            assert!(Certificate::parse(&bad).is_err(), "{} octets", bad.len());
        }
        let large = vec![0x30; CERTIFICATE_BYTES_MAX + 1];
        let octets = large.len();
        assert_eq!(
            Certificate::parse(&large),
            Err(CertificateError::TooLarge { octets })
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Certificate::parse(&bytes);
        }

        #[test]
        fn a_changed_certificate_is_refused_or_does_not_verify(
            at in any::<prop::sample::Index>(), bit in 0..8, cut in any::<bool>(),
        ) {
            let (ca, certificate) = issued();
            let mut der = certificate.der().to_vec();
            let at = at.index(der.len());
            if cut {
                der.truncate(at);
            } else {
                der[at] ^= 1_u8 << bit;
            }
            if let Ok(changed) = Certificate::parse(&der) {
                prop_assert!(changed.verify_signed_by(ca.key.public()).is_err());
            }
        }
    }
}
