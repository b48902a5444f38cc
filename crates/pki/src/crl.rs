//! Certificate revocation lists (RFC 5280 §5): written entry by entry, read strictly.
//!
//! [`CrlWriter`] makes the TBSCertList of one shard, [`Crl`] reads a signed list. A shard is tied to its
//! certificates by its issuingDistributionPoint, whose URL is byte for byte the one in their cRLDistributionPoints.
//! A root has one list for all that it signed, itself included, and no issuingDistributionPoint in it.
//! There are no delta lists, no indirect lists, and no reasons that could be taken back.

pub(crate) mod entry;
mod list;
mod reason;
pub(crate) mod view;
mod writer;

use crate::algorithm::AlgorithmError;
use crate::der::DerError;
use crate::serial::{Serial, SerialError};
use crate::time::UnixTime;

pub use self::list::Crl;
pub(crate) use self::list::read_number;
pub use self::reason::RevocationReason;
pub use self::writer::{CrlRequest, CrlWriter};

/// The largest list that is read or written: 1.2 million entries with reasons.
pub const CRL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A list cannot be made, or bytes are not a list that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Too large to be looked at or to be made.
    #[error("the CRL has {octets} octets; {CRL_BYTES_MAX} are allowed")]
    TooLarge {
        /// Octets seen.
        octets: usize,
    },
    /// Not the DER of a version 2 CRL.
    #[error("the CRL is malformed: {0}")]
    Malformed(#[from] DerError),
    /// An extension whose value is not what its identifier says, or says what is not supported.
    #[error("{extension} of the CRL is malformed or not supported: {reason}")]
    Extension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
        /// What is wrong with it.
        reason: DerError,
    },
    /// An extension that stands there twice.
    #[error("the CRL has {extension} more than once")]
    RepeatedExtension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
    },
    /// A critical extension that is not understood; such a list must not be used (RFC 5280 §5.2).
    #[error("the CRL has a critical extension that is not supported")]
    UnknownCriticalExtension,
    /// An extension that every list of version 2 must have (RFC 5280 §5.2).
    #[error("the CRL has no {extension}")]
    MissingExtension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
    },
    /// The algorithm beside the signature is not the one under it.
    #[error("the CRL names two different signature algorithms")]
    AlgorithmsDiffer,
    /// A signature algorithm that is not accepted.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// A serial number that cannot be one.
    #[error(transparent)]
    Serial(#[from] SerialError),
    /// A reason outside the closed set of [`RevocationReason`].
    #[error("an entry of the CRL has reason {code}, which is not supported")]
    Reason {
        /// The code seen.
        code: u64,
    },
    /// An entry that does not come behind the one before it.
    #[error(
        "serial {serial} comes after {previous} in the list; entries must ascend and be unique"
    )]
    NotAscending {
        /// The serial that came too late.
        serial: Serial,
        /// The one before it.
        previous: Serial,
    },
    /// A list that would be out of date before it is made.
    #[error("thisUpdate {} is not before nextUpdate {}", .this_update.to_rfc3339(), .next_update.to_rfc3339())]
    Window {
        /// thisUpdate
        this_update: UnixTime,
        /// nextUpdate
        next_update: UnixTime,
    },
    /// A URL that cannot stand in certificates.
    #[error("the distribution point is not a plain http:// URL of at most 512 ASCII characters")]
    DistributionPoint,
    /// A list without distribution point speaks for all certificates of its issuer; a sharded issuer has no such list.
    #[error("the CRL of a CA that is not a root has no distribution point")]
    NoDistributionPoint,
}

/// One revoked certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Its serial number.
    pub serial: Serial,
    /// When it was revoked.
    pub at: UnixTime,
    /// Why, if that is said. `None` and [`RevocationReason::Unspecified`] are written alike: not at all.
    pub reason: Option<RevocationReason>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Certificate;
    use crate::tbs::fixture::{
        CRL_URL, NOW, P256, TestCa, crl_request, crl_tbs, revoked, signed_crl, webpki_verdict,
    };

    #[test]
    fn d7_the_list_of_a_certificates_own_distribution_point_decides_and_no_other() {
        let root = TestCa::root(P256);
        let ca = root.issuing(P256);
        let leaf = ca.sign(ca.leaf_tbs(&["a.test"]).as_der());
        let parsed = Certificate::parse(&leaf).expect("reads");
        let here = crl_request(&ca);
        assert_eq!(parsed.crl_urls(), [CRL_URL]);
        let of_root = CrlRequest {
            distribution_point: None,
            ..crl_request(&root)
        };
        let of_root = root.sign(&crl_tbs(&of_root, &[]));
        let verdict = |crl: Vec<u8>| {
            let crls = [crl, of_root.clone()];
            webpki_verdict(
                &leaf,
                &[ca.certificate.der()],
                root.certificate.der(),
                &crls,
            )
        };
        let entry = RevokedEntry {
            serial: parsed.serial(),
            at: NOW,
            reason: None,
        };
        let revoked_here = ca.sign(&crl_tbs(&here, &[entry]));
        assert_eq!(verdict(revoked_here), Err(webpki::Error::CertRevoked));
        assert_eq!(verdict(ca.sign(&crl_tbs(&here, &[]))), Ok(()));
        let elsewhere = CrlRequest {
            distribution_point: Some("http://ca.test/crl/1/1.crl"),
            ..here
        };
        for entries in [&[entry][..], &[]] {
            let other_shard = ca.sign(&crl_tbs(&elsewhere, entries));
            assert_eq!(
                verdict(other_shard),
                Err(webpki::Error::UnknownRevocationStatus)
            );
        }
    }

    #[test]
    fn a_ca_that_its_roots_whole_list_names_is_revoked() {
        let root = TestCa::root(P256);
        let ca = root.issuing(P256);
        let leaf = ca.sign(ca.leaf_tbs(&["a.test"]).as_der());
        let whole = CrlRequest {
            distribution_point: None,
            ..crl_request(&root)
        };
        let crls = [
            signed_crl(&ca, &[]),
            root.sign(&crl_tbs(&whole, &[revoked(2, None)])),
        ];
        let verdict = webpki_verdict(
            &leaf,
            &[ca.certificate.der()],
            root.certificate.der(),
            &crls,
        );
        assert_eq!(verdict, Err(webpki::Error::CertRevoked));
        assert_eq!(Crl::parse(&crls[1][..]).expect("reads").idp_uri(), None);
    }
}
