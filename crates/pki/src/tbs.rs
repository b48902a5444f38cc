//! What a CA signs: TBSCertificates (RFC 5280 §4.1.2) made from a profile and proven values, and the signed whole.
//!
//! [`leaf`] and [`ca`] write one fixed layout each; nothing of a request but its key and its names can reach it.
//! What they make goes through `lint` before it is signed. They append to one buffer of the right size.

mod ca;
mod extensions;
#[cfg(test)]
pub(crate) mod fixture;
mod leaf;

use chancery_crypto::{Digest32, SignatureAlgorithm, sha256};

use crate::algorithm;
use crate::der::{Writer, tag};
use crate::issuer::IssuerCertificate;
use crate::profile::NotNarrower;
use crate::serial::Serial;
use crate::spki::Spki;
use crate::time::UnixTime;

pub use self::ca::{CaRequest, ca};
pub use self::leaf::{LeafRequest, leaf};

/// 1950-01-01T00:00:00Z, the first second that a certificate can say (RFC 5280 §4.1.2.5.1).
const TIME_MIN: UnixTime = UnixTime(-631_152_000);
/// 9999-12-31T23:59:59Z, the last one; it stands for "no end" (RFC 5280 §4.1.2.5).
const TIME_MAX: UnixTime = UnixTime(253_402_300_799);

/// Octets of everything in a TBSCertificate that does not vary in length, with room to spare.
const FIXED_OCTETS: usize = 512;

/// A certificate cannot be made from what was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TbsError {
    /// A validity that the profile does not allow.
    #[error(transparent)]
    Asked(#[from] NotNarrower),
    /// Nothing to certify.
    #[error("there are no names to put into the certificate")]
    NoNames,
    /// More names than the profile allows.
    #[error("there are {count} names; the profile allows {allowed}")]
    TooManyNames {
        /// Names given.
        count: usize,
        /// The profile's limit.
        allowed: u16,
    },
    /// A kind of key that the profile does not allow.
    #[error("the profile does not allow {class} keys")]
    KeyClass {
        /// The kind of key given.
        class: &'static str,
    },
    /// Not one second of validity, or a date that cannot be written.
    #[error("the validity does not lie between 1950 and 9999, or ends before it begins")]
    Validity,
    /// The certificate would be valid when its issuer is not.
    #[error(
        "the validity {} to {} does not lie within the issuer's, {} to {}",
        .not_before.to_rfc3339(), .not_after.to_rfc3339(), .issuer_not_before.to_rfc3339(), .issuer_not_after.to_rfc3339()
    )]
    OutsideIssuer {
        /// The first second it would have.
        not_before: UnixTime,
        /// The last second it would have.
        not_after: UnixTime,
        /// The issuer's first second.
        issuer_not_before: UnixTime,
        /// The issuer's last second.
        issuer_not_after: UnixTime,
    },
    /// A URL that cannot go into a certificate.
    #[error("the {what} URL is not a plain http:// URL of at most 512 ASCII characters")]
    Url {
        /// What the URL is for.
        what: &'static str,
    },
    /// A common name or organisation that cannot stand in a CA's name.
    #[error("the {what} is not 1 to 64 printable characters without spaces at its ends")]
    Subject {
        /// Which part of the name.
        what: &'static str,
    },
}

/// The bytes of a TBSCertificate. That they are one, and a good one, only `lint` can say.
#[derive(Clone, PartialEq, Eq)]
pub struct Tbs(Vec<u8>);

impl Tbs {
    /// Takes bytes that came from elsewhere, such as another process; `lint` judges them.
    #[must_use]
    pub fn from_der(der: Vec<u8>) -> Self {
        Self(der)
    }

    /// The bytes.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, given away.
    #[must_use]
    pub fn into_der(self) -> Vec<u8> {
        self.0
    }

    /// SHA-256 of the bytes: the name under which an order claims them.
    #[must_use]
    pub fn digest(&self) -> Digest32 {
        sha256(&self.0)
    }
}

impl std::fmt::Debug for Tbs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tbs({} octets)", self.0.len())
    }
}

/// The signed object: `tbs` as it is, the algorithm, the signature. The same for certificates and CRLs.
///
/// The signature of an elliptic-curve key is in DER form.
#[must_use]
pub fn assemble(tbs: &[u8], algorithm: SignatureAlgorithm, signature: &[u8]) -> Vec<u8> {
    const AROUND_OCTETS: usize = 64;
    let mut tail = Writer::with_capacity(signature.len().saturating_add(AROUND_OCTETS));
    algorithm::write(&mut tail, algorithm);
    tail.bit_string(signature, 0);
    let tail = tail.finish();
    // Written by hand where `Writer::sequence` would shift the whole body to make room for its length.
    let content = tbs.len().saturating_add(tail.len());
    let mut out = Vec::with_capacity(content.saturating_add(AROUND_OCTETS));
    out.extend_from_slice(&header(tag::SEQUENCE, content));
    out.extend_from_slice(tbs);
    out.extend_from_slice(&tail);
    out
}

/// Tag and length in front of a content whose size is known.
pub(crate) fn header(tag: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => vec![tag, short],
        _ => {
            let octets = length.to_be_bytes();
            let digits = octets.iter().copied().skip_while(|octet| *octet == 0);
            let count = u8::try_from(digits.clone().count()).unwrap_or(u8::MAX);
            [tag, 0x80 | count].into_iter().chain(digits).collect()
        }
    }
}

/// The fields before the extensions, which leaf and CA certificates share.
struct Head<'a> {
    serial: Serial,
    algorithm: SignatureAlgorithm,
    issuer: &'a [u8],
    validity: (UnixTime, UnixTime),
    subject: &'a [u8],
    spki: &'a Spki,
}

impl Head<'_> {
    /// Writes the whole TBSCertificate, its extensions by `extensions`.
    fn write(self, variable_octets: usize, extensions: impl FnOnce(&mut Writer)) -> Tbs {
        let octets = [
            self.issuer.len(),
            self.subject.len(),
            self.spki.as_der().len(),
            variable_octets,
        ];
        let capacity = octets.into_iter().fold(FIXED_OCTETS, usize::saturating_add);
        let mut w = Writer::with_capacity(capacity);
        w.sequence(|w| {
            w.tlv(tag::context_constructed(0), |w| w.integer_u64(2));
            w.integer_bytes(self.serial.as_bytes());
            algorithm::write(w, self.algorithm);
            w.raw(self.issuer);
            w.sequence(|w| {
                w.time(self.validity.0);
                w.time(self.validity.1);
            });
            w.raw(self.subject);
            w.raw(self.spki.as_der());
            w.tlv(tag::context_constructed(3), |w| w.sequence(extensions));
        });
        debug_assert!(w.len() <= capacity, "one allocation holds it all");
        Tbs(w.finish())
    }
}

/// Checks that a validity can be written and lies within the issuer's.
fn check_validity(
    not_before: UnixTime,
    not_after: UnixTime,
    issuer: Option<&IssuerCertificate>,
) -> Result<(), TbsError> {
    if not_before < TIME_MIN || not_after > TIME_MAX || not_before > not_after {
        return Err(TbsError::Validity);
    }
    let Some(issuer) = issuer else { return Ok(()) };
    if not_before < issuer.not_before() || not_after > issuer.not_after() {
        return Err(TbsError::OutsideIssuer {
            not_before,
            not_after,
            issuer_not_before: issuer.not_before(),
            issuer_not_after: issuer.not_after(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_object_is_its_three_parts_whatever_their_size() {
        for octets in [0, 100, 130, 200, 300, 70_000, 17_000_000] {
            let tbs = [header(tag::SEQUENCE, octets), vec![0; octets]].concat();
            let signed = assemble(&tbs, SignatureAlgorithm::Ed25519, &[7; 64]);
            let mut w = Writer::new();
            w.sequence(|w| {
                w.raw(&tbs);
                algorithm::write(w, SignatureAlgorithm::Ed25519);
                w.bit_string(&[7; 64], 0);
            });
            assert_eq!(signed, w.finish(), "{octets} octets");
        }
    }

    #[test]
    fn a_tbs_is_named_by_the_digest_of_its_bytes() {
        let tbs = Tbs::from_der(b"bytes".to_vec());
        assert_eq!(tbs.digest(), sha256(b"bytes"));
        assert_eq!(format!("{tbs:?}"), "Tbs(5 octets)");
        assert_eq!(tbs.into_der(), b"bytes");
    }
}
