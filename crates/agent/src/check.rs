//! What a CA sent, before it may take the place of something that works (failures H12).

use std::collections::BTreeSet;

use chancery_crypto::PublicKey;
use chancery_pki::{
    Certificate, CertificateError, ChainError, PemError, San, UnixTime, pem, verify_chain,
};

/// Certificates in one answer; real chains have two or three.
const CHAIN_MAX: usize = 8;
const LABEL: &str = "CERTIFICATE";
/// The CA's clock and ours may differ this much: a certificate that begins to be valid in some minutes is good, since
/// its readers go by their own clocks too.
const SKEW_SECS: u64 = 300;

/// Why a certificate was not installed. What was installed before stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateFault {
    /// Not text.
    #[error("it is not PEM text")]
    NotText,
    /// Not strict PEM with nothing but certificates (RFC 8555 §9.1).
    #[error("{0}")]
    Pem(#[from] PemError),
    /// Not a certificate that can be read.
    #[error("certificate {position} of it cannot be read: {reason}")]
    Unreadable {
        /// Its place, the leaf being 0.
        position: usize,
        /// What is wrong with it.
        reason: CertificateError,
    },
    /// It certifies another key.
    #[error("it is for another key than the one that was sent")]
    OtherKey,
    /// It is for other names.
    #[error("it is for {found}, and {wanted} was ordered")]
    OtherNames {
        /// What was ordered.
        wanted: String,
        /// What came.
        found: String,
    },
    /// It could sign others.
    #[error("it is the certificate of a CA")]
    IsCa,
    /// Not valid yet, beyond what clocks differ.
    #[error("it is valid from {}, and it is {} here; check the clock of this machine", .not_before.to_rfc3339(), .now.to_rfc3339())]
    NotYetValid {
        /// Its first second.
        not_before: UnixTime,
        /// The time here.
        now: UnixTime,
    },
    /// Its chain does not hold.
    #[error("{0}")]
    Chain(#[from] ChainError),
}

/// A certificate that may be installed, with the certificates that it came with.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    leaf: Certificate,
    issuers: Vec<Certificate>,
}

impl Checked {
    /// Checks an answer to the key that was certified, the names that were ordered, and the time.
    ///
    /// The chain is followed to whichever of `roots` issued its end, and otherwise as far as the CA sent it: the
    /// roots are those of the CA's own TLS certificate, which may be others.
    pub(crate) fn new(
        answer: &[u8],
        key: &PublicKey,
        names: &BTreeSet<San>,
        roots: &[Certificate],
        now: UnixTime,
    ) -> Result<Self, CertificateFault> {
        let text = std::str::from_utf8(answer).map_err(|_| CertificateFault::NotText)?;
        let mut certificates = read(text)?.into_iter();
        let leaf = certificates.next().ok_or(PemError::NoBlock)?;
        let issuers: Vec<Certificate> = certificates.collect();
        check_leaf(&leaf, key, names)?;
        let not_before = leaf.not_before();
        if not_before > now.plus(SKEW_SECS) {
            return Err(CertificateFault::NotYetValid { not_before, now });
        }
        check_chain(&leaf, &issuers, roots, now.max(not_before))?;
        Ok(Self { leaf, issuers })
    }

    pub(crate) fn leaf(&self) -> &Certificate {
        &self.leaf
    }

    /// The leaf as PEM of our own making: nothing of the CA's text goes to disk.
    pub(crate) fn cert_pem(&self) -> String {
        pem::encode(LABEL, self.leaf.der())
    }

    /// The issuers as PEM.
    pub(crate) fn chain_pem(&self) -> String {
        self.issuers
            .iter()
            .map(|issuer| pem::encode(LABEL, issuer.der()))
            .collect()
    }
}

/// The certificates of a trust anchor file that can be followed to. Others are good for TLS all the same.
pub(crate) fn roots(pem_text: &[u8]) -> Vec<Certificate> {
    const ROOTS_MAX: usize = 200;
    let text = std::str::from_utf8(pem_text).unwrap_or_default();
    let blocks = pem::decode(text, LABEL, ROOTS_MAX).unwrap_or_default();
    blocks
        .iter()
        .filter_map(|der| Certificate::parse(der).ok())
        .collect()
}

fn read(text: &str) -> Result<Vec<Certificate>, CertificateFault> {
    let blocks = pem::decode(text, LABEL, CHAIN_MAX)?;
    let parse = |(position, der): (usize, &Vec<u8>)| {
        Certificate::parse(der).map_err(|reason| CertificateFault::Unreadable { position, reason })
    };
    blocks.iter().enumerate().map(parse).collect()
}

fn check_leaf(
    leaf: &Certificate,
    key: &PublicKey,
    names: &BTreeSet<San>,
) -> Result<(), CertificateFault> {
    if leaf.spki().key() != key {
        return Err(CertificateFault::OtherKey);
    }
    let found: BTreeSet<San> = leaf.sans().iter().cloned().collect();
    if &found != names || leaf.has_other_sans() {
        return Err(CertificateFault::OtherNames {
            wanted: list(names),
            found: list(&found),
        });
    }
    if leaf.is_ca() {
        return Err(CertificateFault::IsCa);
    }
    Ok(())
}

fn check_chain(
    leaf: &Certificate,
    issuers: &[Certificate],
    roots: &[Certificate],
    at: UnixTime,
) -> Result<(), CertificateFault> {
    let end = issuers.last().unwrap_or(leaf);
    let anchors = roots
        .iter()
        .filter(|root| end.issuer_der() == root.subject_der());
    let mut result = None;
    for anchor in anchors {
        match verify_chain(leaf, issuers, anchor, at) {
            Ok(()) => return Ok(()),
            failed => result = Some(failed),
        }
    }
    match (result, issuers.split_last()) {
        (Some(failed), _) => Ok(failed?),
        (None, Some((last, between))) => Ok(verify_chain(leaf, between, last, at)?),
        (None, None) => check_alone(leaf, at),
    }
}

/// A leaf that came alone and from nobody who is known: its dates are all that can be held against anything.
fn check_alone(leaf: &Certificate, at: UnixTime) -> Result<(), CertificateFault> {
    if leaf.not_after() < at {
        return Err(CertificateFault::Chain(ChainError::Expired {
            position: 0,
            not_after: leaf.not_after(),
            at,
        }));
    }
    tracing::warn!(
        "the CA sent no issuer, and the root file does not hold it: the chain was not checked"
    );
    Ok(())
}

fn list(names: &BTreeSet<San>) -> String {
    const SHOWN_MAX: usize = 10;
    let shown: Vec<String> = names
        .iter()
        .take(SHOWN_MAX)
        .map(ToString::to_string)
        .collect();
    match names.len().checked_sub(SHOWN_MAX) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ if shown.is_empty() => "no name".to_owned(),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{Curve, KeyKind, PrivateKey};

    use super::*;
    use crate::test_authority::{Authority, NOW};

    fn key() -> PrivateKey {
        PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("made")
    }

    fn names(names: &[&str]) -> BTreeSet<San> {
        names
            .iter()
            .map(|name| San::parse(name).expect("a name"))
            .collect()
    }

    struct World {
        authority: Authority,
        key: PrivateKey,
        names: BTreeSet<San>,
    }

    impl World {
        fn new() -> Self {
            Self {
                authority: Authority::new(),
                key: key(),
                names: names(&["a.test", "b.test"]),
            }
        }

        fn chain(&self) -> String {
            self.authority.chain(self.key.public(), &self.names, NOW)
        }

        fn check(
            &self,
            answer: &str,
            roots: &[Certificate],
            now: UnixTime,
        ) -> Result<Checked, CertificateFault> {
            Checked::new(
                answer.as_bytes(),
                self.key.public(),
                &self.names,
                roots,
                now,
            )
        }

        fn refused(&self, answer: &str, now: UnixTime, told: &str) {
            let roots = self.authority.roots();
            let fault = self
                .check(answer, &roots, now)
                .expect_err("refused")
                .to_string();
            assert!(fault.contains(told), "{fault}");
        }
    }

    #[test]
    fn a_good_answer_is_taken_apart_into_our_own_pem() {
        let world = World::new();
        let chain = world.chain();
        for roots in [world.authority.roots(), Vec::new()] {
            let checked = world.check(&chain, &roots, NOW).expect("good");
            assert_eq!(checked.cert_pem() + &checked.chain_pem(), chain);
        }
        let with_root = chain + &world.authority.root_pem();
        world
            .check(&with_root, &world.authority.roots(), NOW)
            .expect("a root at the end is harmless");
    }

    #[test]
    fn h12_what_is_not_whole_is_refused() {
        let world = World::new();
        let chain = world.chain();
        world.refused("", NOW, "no block");
        world.refused(&chain[..chain.len() / 3], NOW, "no end");
        world.refused(&chain[..chain.len() - 30], NOW, "no end");
        world.refused(&format!("Subject: a.test\n{chain}"), NOW, "line 1");
        world.refused(
            &format!("{chain}{}", pem::encode("PRIVATE KEY", b"x")),
            NOW,
            "expected label",
        );
        world.refused(&pem::encode(LABEL, b"nonsense"), NOW, "cannot be read");
        world.refused(&chain.repeat(20), NOW, "more than 8");
    }

    #[test]
    fn h12_another_key_or_other_names_are_refused() {
        let world = World::new();
        let other_key = world.authority.chain(key().public(), &world.names, NOW);
        world.refused(&other_key, NOW, "another key");
        for other in [
            &["a.test"][..],
            &["a.test", "b.test", "c.test"],
            &["a.test", "x.test"],
        ] {
            let chain = world
                .authority
                .chain(world.key.public(), &names(other), NOW);
            world.refused(&chain, NOW, "a.test, b.test was ordered");
        }
    }

    #[test]
    fn h12_what_is_not_valid_now_is_refused_and_clocks_may_differ_a_little() {
        let world = World::new();
        let chain = world.chain();
        world.refused(&chain, NOW.plus(48 * 86_400), "valid until");
        world.refused(&chain, NOW.minus(3_600), "clock of this machine");
        world
            .check(&chain, &world.authority.roots(), NOW.minus(200))
            .expect("within the skew");
    }

    #[test]
    fn h12_a_chain_that_does_not_hold_is_refused() {
        let world = World::new();
        let stranger = Authority::new();
        let leaf = pem::encode(
            LABEL,
            world
                .check(&world.chain(), &[], NOW)
                .expect("good")
                .leaf()
                .der(),
        );
        let strange = leaf.clone() + &stranger.intermediate_pem();
        world.refused(&strange, NOW, "certificate 0 of the chain");
        // Without its intermediate the leaf does not lead to the root, and there is nothing else to follow.
        world
            .check(&leaf, &world.authority.roots(), NOW)
            .expect("as far as issuers are given");
    }
}
