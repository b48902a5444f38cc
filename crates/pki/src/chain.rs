//! One linear chain, checked from the leaf up (RFC 5280 §6.1 without policies and name constraints).
//!
//! The agent asks this before it puts a new certificate in the place of a good one. There is no path building:
//! the chain is the one that the CA sent (RFC 8555 §9.1 fixes its order), so the work is one signature per link.
//! Names, purposes and revocation are not looked at.

use chancery_crypto::CryptoError;

use crate::certificate::{Certificate, KeyUsage};
use crate::time::UnixTime;

/// Certificates in one chain, root included. Real chains have three or four; each costs a signature check.
pub const CHAIN_CERTIFICATES_MAX: usize = 8;

/// A chain does not lead from its leaf to the root. `position` counts from the leaf, which is 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChainError {
    /// More certificates than are looked at.
    #[error("the chain has {certificates} certificates; {CHAIN_CERTIFICATES_MAX} are allowed")]
    TooLong {
        /// Certificates seen, root included.
        certificates: usize,
    },
    /// The next certificate is another CA's, by name or by key identifier.
    #[error(
        "certificate {position} of the chain was not issued by the certificate that follows it"
    )]
    OtherIssuer {
        /// The certificate that has another issuer.
        position: usize,
    },
    /// The signature does not verify with the next certificate's key.
    #[error("the signature of certificate {position} of the chain is not its issuer's: {reason}")]
    Signature {
        /// The certificate with the signature.
        position: usize,
        /// What the check said.
        reason: CryptoError,
    },
    /// A certificate that signed another is not a CA's, or its keyUsage forbids that.
    #[error("certificate {position} of the chain may not sign certificates")]
    NotCa {
        /// The certificate that is no CA's.
        position: usize,
    },
    /// More CA certificates below a CA than it allows.
    #[error(
        "certificate {position} of the chain allows {allowed} CA certificates below it, and has {below}"
    )]
    PathLength {
        /// The certificate with the limit.
        position: usize,
        /// Its pathLenConstraint.
        allowed: u8,
        /// CA certificates below it that are not self-issued.
        below: usize,
    },
    /// Not valid yet.
    #[error("certificate {position} of the chain is valid from {}, and it is {}", .not_before.to_rfc3339(), .at.to_rfc3339())]
    NotYetValid {
        /// The certificate.
        position: usize,
        /// Its first second.
        not_before: UnixTime,
        /// The time of the check.
        at: UnixTime,
    },
    /// Not valid any more.
    #[error("certificate {position} of the chain was valid until {}, and it is {}", .not_after.to_rfc3339(), .at.to_rfc3339())]
    Expired {
        /// The certificate.
        position: usize,
        /// Its last second.
        not_after: UnixTime,
        /// The time of the check.
        at: UnixTime,
    },
    /// A critical extension that this crate does not understand (RFC 5280 §4.2).
    #[error("certificate {position} of the chain has a critical extension that is not supported")]
    UnknownCriticalExtension {
        /// The certificate.
        position: usize,
    },
}

/// Checks that `intermediates`, each the issuer of the one before, lead from `leaf` to `root`, all valid at `at`.
/// A chain that ends with the root itself is accepted.
///
/// # Errors
/// [`ChainError`], the first one from the leaf up.
pub fn verify_chain(
    leaf: &Certificate,
    intermediates: &[Certificate],
    root: &Certificate,
    at: UnixTime,
) -> Result<(), ChainError> {
    let above = match intermediates.split_last() {
        Some((last, rest)) if last == root => rest,
        _ => intermediates,
    };
    let certificates = above.len().saturating_add(2);
    if certificates > CHAIN_CERTIFICATES_MAX {
        return Err(ChainError::TooLong { certificates });
    }
    check_alone(leaf, 0, at)?;
    let mut child = leaf;
    let mut cas_below = 0_usize;
    for (below, issuer) in above.iter().chain([root]).enumerate() {
        check_link(child, issuer, below)?;
        let position = below.saturating_add(1);
        check_alone(issuer, position, at)?;
        check_ca(issuer, position, cas_below)?;
        if !issuer.is_self_issued() {
            cas_below = cas_below.saturating_add(1);
        }
        child = issuer;
    }
    Ok(())
}

fn check_alone(certificate: &Certificate, position: usize, at: UnixTime) -> Result<(), ChainError> {
    let (not_before, not_after) = (certificate.not_before(), certificate.not_after());
    if at < not_before {
        return Err(ChainError::NotYetValid {
            position,
            not_before,
            at,
        });
    }
    if at > not_after {
        return Err(ChainError::Expired {
            position,
            not_after,
            at,
        });
    }
    if certificate.has_unknown_critical_extension() {
        return Err(ChainError::UnknownCriticalExtension { position });
    }
    Ok(())
}

fn check_link(
    child: &Certificate,
    issuer: &Certificate,
    position: usize,
) -> Result<(), ChainError> {
    let named = child.issuer_der() == issuer.subject_der();
    let keys_differ = match (child.authority_key_id(), issuer.subject_key_id()) {
        (Some(wanted), Some(found)) => wanted != found,
        _ => false,
    };
    if !named || keys_differ {
        return Err(ChainError::OtherIssuer { position });
    }
    let checked = child.verify_signed_by(issuer.spki().key());
    checked.map_err(|reason| ChainError::Signature { position, reason })
}

fn check_ca(issuer: &Certificate, position: usize, below: usize) -> Result<(), ChainError> {
    let may_sign = issuer
        .key_usage()
        .is_none_or(|usage| usage.contains(KeyUsage::KEY_CERT_SIGN));
    if !issuer.is_ca() || !may_sign {
        return Err(ChainError::NotCa { position });
    }
    match issuer.path_len() {
        Some(allowed) if below > usize::from(allowed) => Err(ChainError::PathLength {
            position,
            allowed,
            below,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::ExtKeyUsage;
    use crate::tbs::fixture::{
        DAY, NOW, P256, TestCa, issuing_request, new_key, spki, webpki_verdict,
    };
    use crate::tbs::{CaRequest, Tbs, ca};

    struct Chain {
        root: TestCa,
        issuing: TestCa,
        leaf: Certificate,
    }

    fn chain() -> Chain {
        let root = TestCa::root(P256);
        let issuing = root.issuing(P256);
        let leaf = leaf_of(&issuing);
        Chain {
            root,
            issuing,
            leaf,
        }
    }

    fn leaf_of(issuer: &TestCa) -> Certificate {
        let der = issuer.sign(issuer.leaf_tbs(&["a.test"]).as_der());
        Certificate::parse(&der).expect("reads")
    }

    fn certificate(ca: &TestCa) -> Certificate {
        ca.certificate.certificate().clone()
    }

    /// A CA below `above` with this name and path length.
    fn below(above: &TestCa, subject_cn: &str, path_len: Option<u8>) -> TestCa {
        let key = new_key(P256);
        let info = spki(&key);
        let request = issuing_request(&info, &above.certificate);
        let tbs = ca(&CaRequest {
            subject_cn,
            path_len,
            ..request
        })
        .expect("a CA");
        TestCa::signed(&tbs, &above.key, key)
    }

    #[test]
    fn a_good_chain_verifies_with_and_without_the_root_at_its_end() {
        let Chain {
            root,
            issuing,
            leaf,
        } = chain();
        let (root, issuing) = (certificate(&root), certificate(&issuing));
        let between = [issuing.clone(), root.clone()];
        assert_eq!(verify_chain(&leaf, &between[..1], &root, NOW), Ok(()));
        assert_eq!(verify_chain(&leaf, &between, &root, NOW), Ok(()));
        assert_eq!(
            webpki_verdict(leaf.der(), &[issuing.der()], root.der(), &[]),
            Ok(())
        );
    }

    #[test]
    fn a_missing_strange_or_disordered_certificate_is_found() {
        let Chain {
            root,
            issuing,
            leaf,
        } = chain();
        let (anchor, issuing) = (certificate(&root), certificate(&issuing));
        let other = certificate(&root.issuing(P256));
        let namesake = certificate(&TestCa::root(P256));
        let check = |between: &[Certificate], root: &Certificate, position| {
            let expected = Err(ChainError::OtherIssuer { position });
            assert_eq!(verify_chain(&leaf, between, root, NOW), expected);
        };
        check(&[], &anchor, 0);
        check(&[other], &anchor, 0);
        check(std::slice::from_ref(&issuing), &namesake, 1);
        check(&[issuing.clone(), issuing.clone()], &anchor, 1);
        check(&[anchor.clone(), issuing], &anchor, 0);
    }

    #[test]
    fn a_signature_that_is_not_the_issuers_is_found() {
        let Chain { root, issuing, .. } = chain();
        let forger = new_key(P256);
        let tbs = issuing.leaf_tbs(&["a.test"]);
        let forged = crate::tbs::fixture::sign(tbs.as_der(), &forger);
        let forged = Certificate::parse(&forged).expect("reads");
        let answer = verify_chain(&forged, &[certificate(&issuing)], &certificate(&root), NOW);
        let reason = CryptoError::BadSignature;
        assert_eq!(
            answer,
            Err(ChainError::Signature {
                position: 0,
                reason
            })
        );
    }

    #[test]
    fn every_certificate_must_be_valid_at_the_time_both_ends_counted() {
        let Chain {
            root,
            issuing,
            leaf,
        } = chain();
        let (root, between) = (certificate(&root), [certificate(&issuing)]);
        let at = |at| verify_chain(&leaf, &between, &root, at);
        let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
        assert_eq!((at(not_before), at(not_after)), (Ok(()), Ok(())));
        let early = not_before.minus(1);
        let expected = ChainError::NotYetValid {
            position: 0,
            not_before,
            at: early,
        };
        assert_eq!(at(early), Err(expected));
        let late = not_after.plus(1);
        assert_eq!(
            at(late),
            Err(ChainError::Expired {
                position: 0,
                not_after,
                at: late
            })
        );
        // A leaf that outlives its CA, which is not made here.
        let answer = verify_chain(&between[0], &[], &root, root.not_after().plus(DAY));
        assert!(
            matches!(answer, Err(ChainError::Expired { position: 0, .. })),
            "{answer:?}"
        );
    }

    #[test]
    fn a_leaf_is_no_issuer() {
        let Chain {
            root,
            issuing,
            leaf,
        } = chain();
        // The leaf's name is empty and its key identifier is its own, so forge both.
        let key = new_key(P256);
        let parsed = issuing.leaf_tbs(&["evil.test"]);
        let not_ca = crate::tbs::fixture::sign(parsed.as_der(), &issuing.key);
        let not_ca = Certificate::parse(&not_ca).expect("reads");
        let renamed = rename_issuer(&leaf, &not_ca);
        let evil = crate::tbs::fixture::sign(renamed.as_der(), &key);
        let evil = Certificate::parse(&evil).expect("reads");
        let answer = check_ca(&not_ca, 1, 0);
        assert_eq!(answer, Err(ChainError::NotCa { position: 1 }));
        let between = [not_ca, certificate(&issuing)];
        assert!(verify_chain(&evil, &between, &certificate(&root), NOW).is_err());
    }

    /// The TBSCertificate of `child` with the subject of `issuer` as its issuer.
    fn rename_issuer(child: &Certificate, issuer: &Certificate) -> Tbs {
        let tbs = child.tbs_der();
        let name = child.issuer_der();
        let at = tbs
            .windows(name.len())
            .position(|part| part == name)
            .expect("there");
        let mut content = tbs[4..].to_vec();
        content.splice(
            at - 4..at - 4 + name.len(),
            issuer.subject_der().iter().copied(),
        );
        let header = crate::tbs::header(0x30, content.len());
        Tbs::from_der([header, content].concat())
    }

    #[test]
    fn path_lengths_count_the_cas_below() {
        let root = TestCa::root(P256);
        let upper = below(&root, "Upper", Some(0));
        let lower = below(&upper, "Lower", None);
        let leaf = leaf_of(&lower);
        let between = [certificate(&lower), certificate(&upper)];
        let expected = ChainError::PathLength {
            position: 2,
            allowed: 0,
            below: 1,
        };
        assert_eq!(
            verify_chain(&leaf, &between, &certificate(&root), NOW),
            Err(expected)
        );

        // RFC 5280 §4.2.1.9: a CA that carries its issuer's own name, as after a change of key, does not count.
        let self_issued = below(&upper, "Upper", None);
        let leaf = leaf_of(&self_issued);
        let between = [certificate(&self_issued), certificate(&upper)];
        assert_eq!(
            verify_chain(&leaf, &between, &certificate(&root), NOW),
            Ok(())
        );

        let upper = below(&root, "Upper", Some(1));
        let lower = below(&upper, "Lower", Some(0));
        let leaf = leaf_of(&lower);
        let between = [certificate(&lower), certificate(&upper)];
        let root = certificate(&root);
        assert_eq!(verify_chain(&leaf, &between, &root, NOW), Ok(()));
        let ders = [between[0].der(), between[1].der()];
        assert_eq!(webpki_verdict(leaf.der(), &ders, root.der(), &[]), Ok(()));
    }

    /// RUSTSEC-2023-0053: path building among cross-signed CAs of one name took exponential time. There is none here.
    #[test]
    fn c8_fifty_cas_of_one_name_are_refused_at_once() {
        let Chain {
            root,
            issuing,
            leaf,
        } = chain();
        let many = vec![certificate(&issuing); 50];
        let answer = verify_chain(&leaf, &many, &certificate(&root), NOW);
        assert_eq!(answer, Err(ChainError::TooLong { certificates: 52 }));
        let most = vec![certificate(&issuing); CHAIN_CERTIFICATES_MAX - 2];
        let answer = verify_chain(&leaf, &most, &certificate(&root), NOW);
        assert_eq!(answer, Err(ChainError::OtherIssuer { position: 1 }));
    }

    #[test]
    fn purposes_are_not_looked_at() {
        let root = TestCa::root(P256);
        let key = new_key(P256);
        let info = spki(&key);
        let request = issuing_request(&info, &root.certificate);
        let clients = vec![ExtKeyUsage::ClientAuth];
        let tbs = ca(&CaRequest {
            ext_key_usages: clients,
            ..request
        })
        .expect("a CA");
        let issuing = TestCa::signed(&tbs, &root.key, key);
        let leaf = leaf_of(&issuing);
        let between = [certificate(&issuing)];
        assert_eq!(
            verify_chain(&leaf, &between, &certificate(&root), NOW),
            Ok(())
        );
    }
}
