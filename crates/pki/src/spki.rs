//! Public keys as X.509 writes them.

use chancery_crypto::{CryptoError, Curve, KeyParts, PublicKey, sha256};

use crate::der::{DerError, Reader, Writer, tag};
use crate::oid;

/// The largest key that the policy lets through (RSA with 4096 bits) takes 550 octets; larger ones are read far
/// enough to name their size in the refusal.
const SPKI_BYTES_MAX: usize = 4096;

/// A SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) whose key passed the key policy, with the bytes it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spki {
    key: PublicKey,
    der: Vec<u8>,
    key_identifier: [u8; 20],
}

/// A SubjectPublicKeyInfo is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpkiError {
    /// Larger than any key that is accepted.
    #[error("the public key takes {octets} octets; 4096 are allowed")]
    TooLarge {
        /// Octets seen.
        octets: usize,
    },
    /// Not the DER of a SubjectPublicKeyInfo.
    #[error("the public key is malformed: {0}")]
    Malformed(#[from] DerError),
    /// A kind of key, or a curve, that is not accepted. Curves must be named, never spelled out.
    #[error(
        "the public key is not RSA, Ed25519, or on one of the curves P-256, P-384 and P-521 by name"
    )]
    Unsupported,
    /// A key of a known kind that the key policy refuses.
    #[error(transparent)]
    Key(#[from] CryptoError),
}

impl Spki {
    /// Reads one SubjectPublicKeyInfo, with nothing behind it.
    ///
    /// # Errors
    /// [`SpkiError`].
    pub fn parse(der: &[u8]) -> Result<Self, SpkiError> {
        if der.len() > SPKI_BYTES_MAX {
            return Err(SpkiError::TooLarge { octets: der.len() });
        }
        let mut info = Reader::only(der, tag::SEQUENCE)?;
        let mut algorithm = info.sequence()?;
        let bits = info.bit_string_octets()?;
        info.finish()?;
        let key = match algorithm.oid()? {
            oid::EC_PUBLIC_KEY => PublicKey::ec(named_curve(&mut algorithm)?, bits)?,
            oid::RSA_ENCRYPTION => {
                algorithm.null()?;
                rsa(bits)?
            }
            oid::ED25519 => PublicKey::ed25519(bits)?,
            _ => return Err(SpkiError::Unsupported),
        };
        algorithm.finish()?;
        Ok(Self {
            key,
            der: der.to_vec(),
            key_identifier: identifier(bits),
        })
    }

    /// The SubjectPublicKeyInfo of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        let bits = match key.parts() {
            KeyParts::Ec { point, .. } => point.to_vec(),
            KeyParts::Ed25519(point) => point.to_vec(),
            KeyParts::Rsa { modulus, exponent } => {
                let mut w = Writer::new();
                w.sequence(|w| {
                    w.integer_bytes(modulus);
                    w.integer_bytes(exponent);
                });
                w.finish()
            }
        };
        let mut w = Writer::new();
        w.sequence(|w| {
            w.sequence(|w| write_algorithm(w, key));
            w.bit_string(&bits, 0);
        });
        Self {
            key: key.clone(),
            der: w.finish(),
            key_identifier: identifier(&bits),
        }
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The whole SubjectPublicKeyInfo.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The leftmost 160 bits of SHA-256 over the key's BIT STRING without tag, length and unused bits
    /// (RFC 7093 §2 method 1): what subjectKeyIdentifier says of this key in our certificates.
    #[must_use]
    pub fn key_identifier(&self) -> [u8; 20] {
        self.key_identifier
    }
}

fn named_curve(algorithm: &mut Reader<'_>) -> Result<Curve, SpkiError> {
    if algorithm.peek_tag() != Some(tag::OID) {
        return Err(SpkiError::Unsupported);
    }
    match algorithm.oid()? {
        oid::SECP256R1 => Ok(Curve::P256),
        oid::SECP384R1 => Ok(Curve::P384),
        oid::SECP521R1 => Ok(Curve::P521),
        _ => Err(SpkiError::Unsupported),
    }
}

/// RSAPublicKey, RFC 8017 §A.1.1.
fn rsa(bits: &[u8]) -> Result<PublicKey, SpkiError> {
    let mut key = Reader::only(bits, tag::SEQUENCE)?;
    let (modulus, exponent) = (key.positive_integer()?, key.positive_integer()?);
    key.finish()?;
    Ok(PublicKey::rsa(modulus, exponent)?)
}

fn write_algorithm(w: &mut Writer, key: &PublicKey) {
    match key.parts() {
        KeyParts::Ec { curve, .. } => {
            w.oid(oid::EC_PUBLIC_KEY);
            w.oid(match curve {
                Curve::P256 => oid::SECP256R1,
                Curve::P384 => oid::SECP384R1,
                Curve::P521 => oid::SECP521R1,
            });
        }
        KeyParts::Rsa { .. } => {
            w.oid(oid::RSA_ENCRYPTION);
            w.null();
        }
        KeyParts::Ed25519(_) => w.oid(oid::ED25519),
    }
}

fn identifier(bits: &[u8]) -> [u8; 20] {
    let digest = sha256(bits);
    *digest
        .first_chunk()
        .expect("a SHA-256 digest has 32 octets")
}

#[cfg(test)]
mod tests {
    use chancery_crypto::{KeyKind, PrivateKey};
    use proptest::prelude::*;
    use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

    use super::*;

    const KINDS: [KeyKind; 5] = [
        KeyKind::Ec(Curve::P256),
        KeyKind::Ec(Curve::P384),
        KeyKind::Ec(Curve::P521),
        KeyKind::Rsa2048,
        KeyKind::Ed25519,
    ];

    fn info(algorithm: impl FnOnce(&mut Writer), bits: &[u8]) -> Vec<u8> {
        let mut w = Writer::new();
        w.sequence(|w| {
            w.sequence(algorithm);
            w.bit_string(bits, 0);
        });
        w.finish()
    }

    #[test]
    fn every_kind_comes_back_with_its_bytes_and_an_oracle_agrees() {
        for kind in KINDS {
            let key = PrivateKey::generate(kind).expect("generates");
            let spki = Spki::of(key.public());
            assert_eq!(Spki::parse(spki.as_der()), Ok(spki.clone()), "{kind:?}");
            assert_eq!(spki.key(), key.public());
            let (rest, oracle) = SubjectPublicKeyInfo::from_der(spki.as_der()).expect("parses");
            assert!(rest.is_empty());
            let expected = sha256(&oracle.subject_public_key.data);
            assert_eq!(spki.key_identifier(), expected[..20]);
            assert!(oracle.parsed().is_ok());
        }
    }

    #[test]
    fn keys_of_other_libraries_are_read() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ] {
            let pair = rcgen::KeyPair::generate_for(algorithm).expect("generates");
            let der = rcgen::PublicKeyData::subject_public_key_info(&pair);
            assert_eq!(Spki::parse(&der).expect("parses").as_der(), der);
        }
    }

    #[test]
    fn parameters_are_exactly_those_of_the_kind() {
        let ed = PrivateKey::generate(KeyKind::Ed25519).expect("generates");
        let KeyParts::Ed25519(point) = ed.public().parts() else {
            panic!("an Ed25519 key")
        };
        let null = info(
            |w| {
                w.oid(oid::ED25519);
                w.null();
            },
            point,
        );
        assert!(matches!(Spki::parse(&null), Err(SpkiError::Malformed(_))));

        let ec = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        let KeyParts::Ec { point, .. } = ec.public().parts() else {
            panic!("an EC key")
        };
        let explicit = info(
            |w| {
                w.oid(oid::EC_PUBLIC_KEY);
                w.sequence(|w| w.integer_u64(1));
            },
            point,
        );
        assert_eq!(Spki::parse(&explicit), Err(SpkiError::Unsupported));
        let absent = info(|w| w.oid(oid::EC_PUBLIC_KEY), point);
        assert_eq!(Spki::parse(&absent), Err(SpkiError::Unsupported));
        let other_curve = info(
            |w| {
                w.oid(oid::EC_PUBLIC_KEY);
                w.oid(oid::SECP384R1);
            },
            point,
        );
        assert!(matches!(Spki::parse(&other_curve), Err(SpkiError::Key(_))));

        let rsa = info(|w| w.oid(oid::RSA_ENCRYPTION), &[0x30, 0x00]);
        assert!(
            matches!(Spki::parse(&rsa), Err(SpkiError::Malformed(_))),
            "NULL is missing"
        );
    }

    #[test]
    fn weak_and_oversized_keys_are_refused() {
        let rsa = |modulus: &[u8], exponent: &[u8]| {
            let mut w = Writer::new();
            w.sequence(|w| {
                w.integer_bytes(modulus);
                w.integer_bytes(exponent);
            });
            info(
                |w| {
                    w.oid(oid::RSA_ENCRYPTION);
                    w.null();
                },
                &w.finish(),
            )
        };
        let short = rsa(&[0xff; 128], &[1, 0, 1]);
        assert_eq!(
            Spki::parse(&short),
            Err(SpkiError::Key(CryptoError::RsaSize { bits: 1024 }))
        );
        let long = rsa(&[0xff; 2048], &[1, 0, 1]);
        assert_eq!(
            Spki::parse(&long),
            Err(SpkiError::Key(CryptoError::RsaSize { bits: 16384 }))
        );
        let huge = rsa(&[0xff; 8192], &[1, 0, 1]);
        assert!(matches!(
            Spki::parse(&huge),
            Err(SpkiError::TooLarge { .. })
        ));
    }

    proptest! {
        #[test]
        fn one_changed_byte_never_panics_and_never_hides(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
            let mut der = Spki::of(key.public()).as_der().to_vec();
            let at = at.index(der.len());
            der[at] ^= flip;
            if let Ok(spki) = Spki::parse(&der) {
                let again = Spki::of(spki.key());
                prop_assert_eq!(again.as_der(), &der);
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Spki::parse(&bytes);
        }
    }
}
