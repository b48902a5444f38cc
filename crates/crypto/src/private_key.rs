use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use zeroize::Zeroizing;

use crate::{CryptoError, Curve, PublicKey, SignatureAlgorithm, SignatureForm};

/// A kind of key that can be generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// ECDSA on a curve.
    Ec(Curve),
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
    /// Ed25519
    Ed25519,
}

/// A private key. It has no `Debug` output and no way to its bytes but [`PrivateKey::to_pkcs8`].
pub struct PrivateKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    /// The library ties an ECDSA pair to one form of signature, so both are kept.
    Ec {
        der: Box<EcdsaKeyPair>,
        fixed: Box<EcdsaKeyPair>,
    },
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

const CURVES: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

impl PrivateKey {
    /// Generates a key with the library's own generator.
    ///
    /// # Errors
    /// [`CryptoError::SigningFailed`] when the library cannot.
    pub fn generate(kind: KeyKind) -> Result<Self, CryptoError> {
        match kind {
            KeyKind::Ec(curve) => {
                let pair = EcdsaKeyPair::generate(signing(curve, SignatureForm::Der))
                    .and_then(|pair| pair.to_pkcs8v1())
                    .map_err(|_| CryptoError::SigningFailed)?;
                Self::from_pkcs8(pair.as_ref())
            }
            KeyKind::Rsa2048 => Self::generate_rsa(KeySize::Rsa2048),
            KeyKind::Rsa3072 => Self::generate_rsa(KeySize::Rsa3072),
            KeyKind::Rsa4096 => Self::generate_rsa(KeySize::Rsa4096),
            KeyKind::Ed25519 => {
                let pair = Ed25519KeyPair::generate().map_err(|_| CryptoError::SigningFailed)?;
                Self::from_ed25519(pair)
            }
        }
    }

    /// Reads an unencrypted PKCS#8 key (RFC 5958) of any supported kind.
    ///
    /// # Errors
    /// [`CryptoError::MalformedPrivateKey`], or what the key policy says of its public half.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, CryptoError> {
        for curve in CURVES {
            let read = |form| EcdsaKeyPair::from_pkcs8(signing(curve, form), pkcs8);
            if let (Ok(der), Ok(fixed)) = (read(SignatureForm::Der), read(SignatureForm::Fixed)) {
                let public = PublicKey::ec(curve, der.public_key().as_ref())?;
                return Ok(Self {
                    pair: Pair::Ec {
                        der: Box::new(der),
                        fixed: Box::new(fixed),
                    },
                    public,
                });
            }
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8(pkcs8) {
            return Self::from_ed25519(pair);
        }
        RsaKeyPair::from_pkcs8(pkcs8)
            .map_err(|_| CryptoError::MalformedPrivateKey)
            .and_then(Self::from_rsa)
    }

    /// The key as PKCS#8, wiped from memory when dropped.
    ///
    /// # Errors
    /// [`CryptoError::SigningFailed`] when the library cannot write it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let failed = |_| CryptoError::SigningFailed;
        let bytes = match &self.pair {
            Pair::Ec { der, .. } => der.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
            Pair::Rsa(pair) => AsDer::<Pkcs8V1Der<'_>>::as_der(pair.as_ref())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            Pair::Ed25519(pair) => pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec(),
        };
        Ok(Zeroizing::new(bytes))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The algorithm that [`PrivateKey::sign`] uses.
    #[must_use]
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.public.default_algorithm()
    }

    /// Signs `message` with the key's own algorithm.
    ///
    /// # Errors
    /// [`CryptoError::SigningFailed`] when the library cannot.
    pub fn sign(&self, form: SignatureForm, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let failed = |_| CryptoError::SigningFailed;
        let random = SystemRandom::new();
        match (&self.pair, form) {
            (Pair::Ec { der, .. }, SignatureForm::Der) => der
                .sign(&random, message)
                .map(|s| s.as_ref().to_vec())
                .map_err(failed),
            (Pair::Ec { fixed, .. }, SignatureForm::Fixed) => fixed
                .sign(&random, message)
                .map(|s| s.as_ref().to_vec())
                .map_err(failed),
            (Pair::Rsa(pair), _) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map_err(failed)?;
                Ok(signature)
            }
            (Pair::Ed25519(pair), _) => pair
                .try_sign(message)
                .map(|s| s.as_ref().to_vec())
                .map_err(failed),
        }
    }

    fn generate_rsa(size: KeySize) -> Result<Self, CryptoError> {
        RsaKeyPair::generate(size)
            .map_err(|_| CryptoError::SigningFailed)
            .and_then(Self::from_rsa)
    }

    fn from_rsa(pair: RsaKeyPair) -> Result<Self, CryptoError> {
        let (modulus, exponent) =
            rsa_numbers(pair.public_key().as_ref()).ok_or(CryptoError::MalformedPrivateKey)?;
        let public = PublicKey::rsa(modulus, exponent)?;
        Ok(Self {
            pair: Pair::Rsa(Box::new(pair)),
            public,
        })
    }

    fn from_ed25519(pair: Ed25519KeyPair) -> Result<Self, CryptoError> {
        let public = PublicKey::ed25519(pair.public_key().as_ref())?;
        Ok(Self {
            pair: Pair::Ed25519(Box::new(pair)),
            public,
        })
    }
}

impl std::fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

fn signing(curve: Curve, form: SignatureForm) -> &'static EcdsaSigningAlgorithm {
    match (curve, form) {
        (Curve::P256, SignatureForm::Der) => &ECDSA_P256_SHA256_ASN1_SIGNING,
        (Curve::P256, SignatureForm::Fixed) => &ECDSA_P256_SHA256_FIXED_SIGNING,
        (Curve::P384, SignatureForm::Der) => &ECDSA_P384_SHA384_ASN1_SIGNING,
        (Curve::P384, SignatureForm::Fixed) => &ECDSA_P384_SHA384_FIXED_SIGNING,
        (Curve::P521, SignatureForm::Der) => &ECDSA_P521_SHA512_ASN1_SIGNING,
        (Curve::P521, SignatureForm::Fixed) => &ECDSA_P521_SHA512_FIXED_SIGNING,
    }
}

/// The two INTEGERs of the RSAPublicKey (RFC 8017 §A.1.1) that the library itself has just written for a key of its own.
fn rsa_numbers(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, _) = element(der, 0x30)?;
    let (modulus, rest) = element(sequence, 0x02)?;
    let (exponent, _) = element(rest, 0x02)?;
    let unsigned = |number: &'_ [u8]| number.iter().take_while(|byte| **byte == 0).count();
    Some((
        modulus.get(unsigned(modulus)..)?,
        exponent.get(unsigned(exponent)..)?,
    ))
}

fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let length_octets = usize::from(first & 0x7f);
    let (length, rest) = if *first < 0x80 {
        (length_octets, rest)
    } else {
        let (octets, rest) = rest.split_at_checked(length_octets)?;
        (
            octets
                .iter()
                .fold(0_usize, |length, octet| (length << 8) | usize::from(*octet)),
            rest,
        )
    };
    (*found == tag).then_some(())?;
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [KeyKind; 5] = [
        KeyKind::Ec(Curve::P256),
        KeyKind::Ec(Curve::P384),
        KeyKind::Ec(Curve::P521),
        KeyKind::Rsa2048,
        KeyKind::Ed25519,
    ];

    #[test]
    fn every_kind_signs_what_its_public_half_verifies_and_nothing_else() {
        for kind in KINDS {
            let key = PrivateKey::generate(kind).expect("generates");
            let copy = PrivateKey::from_pkcs8(&key.to_pkcs8().expect("writes")).expect("reads");
            assert_eq!(copy.public(), key.public());
            for form in [SignatureForm::Der, SignatureForm::Fixed] {
                let signature = copy.sign(form, b"message").expect("signs");
                let check = |message: &[u8], signature: &[u8]| {
                    key.public()
                        .verify(key.algorithm(), form, message, signature)
                };
                assert_eq!(check(b"message", &signature), Ok(()), "{kind:?} {form:?}");
                assert_eq!(
                    check(b"massage", &signature),
                    Err(CryptoError::BadSignature)
                );
                assert_eq!(check(b"message", &[]), Err(CryptoError::BadSignature));
            }
        }
    }

    #[test]
    fn a_key_never_verifies_under_an_algorithm_of_another_kind() {
        use SignatureAlgorithm::{EcdsaSha256, Ed25519, RsaSha256};
        let form = SignatureForm::Fixed;
        for (kind, wrong) in [
            (KeyKind::Ec(Curve::P256), RsaSha256),
            (KeyKind::Ec(Curve::P384), EcdsaSha256),
            (KeyKind::Rsa2048, EcdsaSha256),
            (KeyKind::Ed25519, RsaSha256),
            (KeyKind::Ec(Curve::P256), Ed25519),
        ] {
            let key = PrivateKey::generate(kind).expect("generates");
            let signature = key.sign(form, b"m").expect("signs");
            let answer = key.public().verify(wrong, form, b"m", &signature);
            assert_eq!(answer, Err(CryptoError::AlgorithmMismatch), "{kind:?}");
        }
    }

    #[test]
    fn points_off_the_curve_at_infinity_and_compressed_are_refused() {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        let KeyParts::Ec { point, .. } = key.public().parts() else {
            panic!("an EC key")
        };
        let malformed = Err(CryptoError::MalformedKey {
            kind: "elliptic-curve",
        });
        let mut off_curve = point.to_vec();
        *off_curve.last_mut().expect("not empty") ^= 1;
        assert_eq!(PublicKey::ec(Curve::P256, &off_curve), malformed);
        assert_eq!(PublicKey::ec(Curve::P256, &[0]), malformed);
        assert_eq!(
            PublicKey::ec(Curve::P256, &[&[2], &point[1..33]].concat()),
            malformed
        );
        assert_eq!(PublicKey::ec(Curve::P384, point), malformed);
    }

    #[test]
    fn ed25519_points_of_small_order_are_refused() {
        for first in [0, 1] {
            let mut encoded = [0; 32];
            encoded[0] = first;
            let malformed = Err(CryptoError::MalformedKey { kind: "Ed25519" });
            assert_eq!(PublicKey::ed25519(&encoded), malformed);
            encoded[31] = 0x80;
            assert_eq!(PublicKey::ed25519(&encoded), malformed);
        }
        assert!(PublicKey::ed25519(&[1; 31]).is_err());
    }

    use crate::KeyParts;
}
