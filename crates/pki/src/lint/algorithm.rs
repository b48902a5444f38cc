use crate::algorithm::to_der;
use crate::issuer::IssuerCertificate;
use crate::lint::{Finding, Subject};

/// The algorithm is the one with which the issuer's key signs, in its one encoding. A root's is its own key's.
pub(super) fn is_the_issuers(subject: &Subject<'_>) -> Finding {
    let own = || {
        subject
            .spki
            .as_ref()
            .ok()
            .map(|spki| spki.key().default_algorithm())
    };
    let expected = subject
        .issuer
        .map(IssuerCertificate::signature_algorithm)
        .or_else(own);
    // Without an issuer and without a usable key, `key_acceptable` speaks.
    match expected {
        Some(algorithm) if subject.view.algorithm != to_der(algorithm) => Err(format!(
            "the signature algorithm is not {algorithm:?}, with which the issuer's key signs"
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::SignatureAlgorithm;

    use super::*;
    use crate::lint::alter::{ca_case, leaf_case};

    #[test]
    fn an_algorithm_that_is_not_the_issuers_is_found() {
        let (leaf, ca) = (leaf_case(), ca_case());
        for algorithm in [
            SignatureAlgorithm::EcdsaSha384,
            SignatureAlgorithm::RsaSha256,
        ] {
            leaf.breaks("signature_algorithm", |parts| {
                parts.algorithm = to_der(algorithm)
            });
            ca.root_breaks("signature_algorithm", |parts| {
                parts.algorithm = to_der(algorithm)
            });
        }
        // NULL parameters, which ECDSA must not have.
        leaf.breaks("signature_algorithm", |parts| {
            parts.algorithm[1] += 2;
            parts.algorithm.extend([5, 0]);
        });
    }
}
