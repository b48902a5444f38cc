//! Signature algorithms as X.509 writes them (AlgorithmIdentifier, RFC 5280 §4.1.1.2).

use chancery_crypto::SignatureAlgorithm;

use crate::der::{DerError, Reader, Writer, tag};
use crate::oid;

/// The algorithms that signatures in certificates, requests and CRLs may have. SHA-1 and RSASSA-PSS are not among them.
const ALGORITHMS: [SignatureAlgorithm; 7] = [
    SignatureAlgorithm::EcdsaSha256,
    SignatureAlgorithm::EcdsaSha384,
    SignatureAlgorithm::EcdsaSha512,
    SignatureAlgorithm::RsaSha256,
    SignatureAlgorithm::RsaSha384,
    SignatureAlgorithm::RsaSha512,
    SignatureAlgorithm::Ed25519,
];

/// An AlgorithmIdentifier does not name a signature algorithm that is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AlgorithmError {
    /// Not an AlgorithmIdentifier at all.
    #[error("the signature algorithm is malformed: {0}")]
    Malformed(#[from] DerError),
    /// An algorithm that is weak, or that is not known here.
    #[error("the signature algorithm is not ECDSA or RSA (PKCS #1 v1.5) with SHA-2, nor Ed25519")]
    Unsupported,
    /// Parameters that the algorithm does not have.
    #[error("the signature algorithm has parameters that it must not have")]
    Parameters,
}

/// The AlgorithmIdentifier of `algorithm` as DER: NULL parameters for RSA (RFC 4055 §5), none for the others
/// (RFC 5758 §3.2, RFC 8410 §3).
#[must_use]
pub fn to_der(algorithm: SignatureAlgorithm) -> Vec<u8> {
    let mut w = Writer::new();
    write(&mut w, algorithm);
    w.finish()
}

/// Reads one AlgorithmIdentifier, with nothing behind it.
///
/// # Errors
/// [`AlgorithmError`].
pub fn parse(der: &[u8]) -> Result<SignatureAlgorithm, AlgorithmError> {
    let mut outer = Reader::new(der);
    let algorithm = read(&mut outer)?;
    outer.finish()?;
    Ok(algorithm)
}

/// Appends the AlgorithmIdentifier.
pub(crate) fn write(w: &mut Writer, algorithm: SignatureAlgorithm) {
    w.sequence(|w| {
        w.oid(oid_of(algorithm));
        if is_rsa(algorithm) {
            w.null();
        }
    });
}

/// Reads the AlgorithmIdentifier that comes next.
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<SignatureAlgorithm, AlgorithmError> {
    let mut inner = reader.sequence()?;
    let found = inner.oid()?;
    let algorithm = ALGORITHMS.into_iter().find(|known| oid_of(*known) == found);
    let algorithm = algorithm.ok_or(AlgorithmError::Unsupported)?;
    // RFC 4055 §5: for RSA absent parameters must be accepted like NULL.
    if is_rsa(algorithm) && inner.peek_tag() == Some(tag::NULL) {
        inner.null()?;
    }
    if inner.is_empty() {
        Ok(algorithm)
    } else {
        Err(AlgorithmError::Parameters)
    }
}

fn oid_of(algorithm: SignatureAlgorithm) -> &'static [u8] {
    match algorithm {
        SignatureAlgorithm::EcdsaSha256 => oid::ECDSA_SHA256,
        SignatureAlgorithm::EcdsaSha384 => oid::ECDSA_SHA384,
        SignatureAlgorithm::EcdsaSha512 => oid::ECDSA_SHA512,
        SignatureAlgorithm::RsaSha256 => oid::RSA_SHA256,
        SignatureAlgorithm::RsaSha384 => oid::RSA_SHA384,
        SignatureAlgorithm::RsaSha512 => oid::RSA_SHA512,
        SignatureAlgorithm::Ed25519 => oid::ED25519,
    }
}

fn is_rsa(algorithm: SignatureAlgorithm) -> bool {
    use SignatureAlgorithm::{RsaSha256, RsaSha384, RsaSha512};
    matches!(algorithm, RsaSha256 | RsaSha384 | RsaSha512)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identifier(content: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut w = Writer::new();
        w.sequence(content);
        w.finish()
    }

    #[test]
    fn every_algorithm_comes_back() {
        for algorithm in ALGORITHMS {
            assert_eq!(parse(&to_der(algorithm)), Ok(algorithm));
        }
        assert_eq!(
            to_der(SignatureAlgorithm::Ed25519),
            [0x30, 5, 6, 3, 0x2b, 0x65, 0x70]
        );
    }

    #[test]
    fn rsa_parameters_may_be_absent_and_others_must_be() {
        let absent = identifier(|w| w.oid(oid::RSA_SHA256));
        assert_eq!(parse(&absent), Ok(SignatureAlgorithm::RsaSha256));
        for known in [oid::ECDSA_SHA256, oid::ED25519] {
            let null = identifier(|w| {
                w.oid(known);
                w.null();
            });
            assert_eq!(parse(&null), Err(AlgorithmError::Parameters));
        }
        let sequence = identifier(|w| {
            w.oid(oid::RSA_SHA256);
            w.sequence(|_| {});
        });
        assert_eq!(parse(&sequence), Err(AlgorithmError::Parameters));
    }

    #[test]
    fn sha1_and_trailing_bytes_are_refused() {
        // sha1WithRSAEncryption
        let sha1 = identifier(|w| w.oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05]));
        assert_eq!(parse(&sha1), Err(AlgorithmError::Unsupported));
        let mut trailing = to_der(SignatureAlgorithm::Ed25519);
        trailing.push(0);
        assert!(matches!(
            parse(&trailing),
            Err(AlgorithmError::Malformed(_))
        ));
        assert!(matches!(parse(&[]), Err(AlgorithmError::Malformed(_))));
    }
}
