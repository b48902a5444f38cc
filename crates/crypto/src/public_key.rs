use aws_lc_rs::signature as lib;
use lib::{ParsedPublicKey, VerificationAlgorithm};

use crate::digest::sha1;
use crate::{CryptoError, rsa_policy};

/// A NIST curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// secp256r1
    P256,
    /// secp384r1
    P384,
    /// secp521r1
    P521,
}

impl Curve {
    /// Octets of one coordinate (and of each half of a fixed-form signature).
    #[must_use]
    pub fn coordinate_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }
}

/// A signature algorithm. Which curve an ECDSA signature is on follows from the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignatureAlgorithm {
    /// ECDSA with SHA-256
    EcdsaSha256,
    /// ECDSA with SHA-384
    EcdsaSha384,
    /// ECDSA with SHA-512
    EcdsaSha512,
    /// RSASSA-PKCS1-v1_5 with SHA-256
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    RsaSha512,
    /// Ed25519 (RFC 8032)
    Ed25519,
}

/// How the two numbers of an ECDSA signature are written; other algorithms have one form only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureForm {
    /// A DER SEQUENCE, as in X.509.
    Der,
    /// Both numbers at full length, one behind the other, as in JWS (RFC 7518 §3.4).
    Fixed,
}

/// A public key that passed the key policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublicKey(Parts);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Parts {
    Ec { curve: Curve, point: Vec<u8> },
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    Ed25519([u8; 32]),
}

/// The numbers of a public key, as encodings need them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyParts<'a> {
    /// A point in uncompressed form (`04 ‖ x ‖ y`).
    Ec {
        /// The curve.
        curve: Curve,
        /// `04 ‖ x ‖ y`
        point: &'a [u8],
    },
    /// Big-endian numbers without leading zeros.
    Rsa {
        /// n
        modulus: &'a [u8],
        /// e
        exponent: &'a [u8],
    },
    /// The encoded point of RFC 8032.
    Ed25519(&'a [u8; 32]),
}

impl PublicKey {
    /// An elliptic-curve key from `04 ‖ x ‖ y`.
    ///
    /// # Errors
    /// [`CryptoError::MalformedKey`] for a compressed or wrong-length point, infinity, or a point off the curve.
    pub fn ec(curve: Curve, point: &[u8]) -> Result<Self, CryptoError> {
        let malformed = CryptoError::MalformedKey {
            kind: "elliptic-curve",
        };
        if point.first() != Some(&4) || point.len() != 1 + 2 * curve.coordinate_len() {
            return Err(malformed);
        }
        let key = Self(Parts::Ec {
            curve,
            point: point.to_vec(),
        });
        // Decoding is what proves that the point lies on the curve.
        key.decode(ecdsa_der(curve, SignatureAlgorithm::EcdsaSha256).ok_or(malformed)?)?;
        Ok(key)
    }

    /// An RSA key from big-endian numbers; leading zeros are refused.
    ///
    /// # Errors
    /// The policy's variants of [`CryptoError`].
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, CryptoError> {
        rsa_policy::check(modulus, exponent)?;
        Ok(Self(Parts::Rsa {
            modulus: modulus.to_vec(),
            exponent: exponent.to_vec(),
        }))
    }

    /// An Ed25519 key.
    ///
    /// # Errors
    /// [`CryptoError::MalformedKey`] for a wrong length or an encoding that is no point, and for points of small order.
    pub fn ed25519(encoded: &[u8]) -> Result<Self, CryptoError> {
        let malformed = CryptoError::MalformedKey { kind: "Ed25519" };
        let bytes: [u8; 32] = encoded.try_into().map_err(|_| malformed.clone())?;
        if small_order(&bytes) {
            return Err(malformed);
        }
        let key = Self(Parts::Ed25519(bytes));
        key.decode(&lib::ED25519)?;
        Ok(key)
    }

    /// The numbers of the key.
    #[must_use]
    pub fn parts(&self) -> KeyParts<'_> {
        match &self.0 {
            Parts::Ec { curve, point } => KeyParts::Ec {
                curve: *curve,
                point,
            },
            Parts::Rsa { modulus, exponent } => KeyParts::Rsa { modulus, exponent },
            Parts::Ed25519(bytes) => KeyParts::Ed25519(bytes),
        }
    }

    /// The algorithm that goes with this key where nothing else is said: the hash as strong as the curve; SHA-256 for RSA.
    #[must_use]
    pub fn default_algorithm(&self) -> SignatureAlgorithm {
        match &self.0 {
            Parts::Ec {
                curve: Curve::P256, ..
            } => SignatureAlgorithm::EcdsaSha256,
            Parts::Ec {
                curve: Curve::P384, ..
            } => SignatureAlgorithm::EcdsaSha384,
            Parts::Ec {
                curve: Curve::P521, ..
            } => SignatureAlgorithm::EcdsaSha512,
            Parts::Rsa { .. } => SignatureAlgorithm::RsaSha256,
            Parts::Ed25519(_) => SignatureAlgorithm::Ed25519,
        }
    }

    /// Verifies one signature. For many signatures with one key, keep a [`Verifier`].
    ///
    /// # Errors
    /// [`CryptoError::AlgorithmMismatch`] or [`CryptoError::BadSignature`].
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        form: SignatureForm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        Verifier::new(self, algorithm, form)?.verify(message, signature)
    }

    /// The RFC 5280 §4.2.1.2 (1) key identifier of a subjectPublicKey bit string: SHA-1 as a name, not as protection.
    #[must_use]
    pub fn identifier_of(subject_public_key: &[u8]) -> [u8; 20] {
        sha1(subject_public_key)
    }

    fn decode(
        &self,
        algorithm: &'static dyn VerificationAlgorithm,
    ) -> Result<ParsedPublicKey, CryptoError> {
        let (bytes, kind) = match &self.0 {
            Parts::Ec { point, .. } => (point.as_slice(), "elliptic-curve"),
            Parts::Ed25519(bytes) => (bytes.as_slice(), "Ed25519"),
            Parts::Rsa { .. } => return Err(CryptoError::AlgorithmMismatch),
        };
        ParsedPublicKey::new(algorithm, bytes).map_err(|_| CryptoError::MalformedKey { kind })
    }
}

/// The eight points of order 1, 2, 4 and 8 with their encodings (sign bit cleared); a key among them verifies anything.
fn small_order(encoded: &[u8; 32]) -> bool {
    const ORDER_EIGHT_A: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    const ORDER_EIGHT_B: [u8; 32] = [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ];
    // p = 2^255 - 19 in little-endian order; 0, 1, p-1, p and p+1 stand for y = 0, 1 and -1.
    let near_p = |low: u8| {
        let mut bytes = [0xff; 32];
        bytes[0] = low;
        bytes[31] = 0x7f;
        bytes
    };
    let mut y = *encoded;
    y[31] &= 0x7f;
    let mut one = [0; 32];
    one[0] = 1;
    [
        [0; 32],
        one,
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
        ORDER_EIGHT_A,
        ORDER_EIGHT_B,
    ]
    .contains(&y)
}

/// A public key decoded for one algorithm: the work of decoding is paid once.
#[derive(Clone)]
pub struct Verifier(ParsedPublicKey);

impl Verifier {
    /// Decodes `key` for signatures of `algorithm` written in `form`.
    ///
    /// # Errors
    /// [`CryptoError::AlgorithmMismatch`] when the key cannot make such signatures.
    pub fn new(
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        form: SignatureForm,
    ) -> Result<Self, CryptoError> {
        let parsed = match &key.0 {
            Parts::Ec { curve, .. } => {
                let ecdsa = match form {
                    SignatureForm::Der => ecdsa_der(*curve, algorithm),
                    SignatureForm::Fixed => ecdsa_fixed(*curve, algorithm),
                };
                key.decode(ecdsa.ok_or(CryptoError::AlgorithmMismatch)?)?
            }
            Parts::Rsa { modulus, exponent } => {
                let parameters = match algorithm {
                    SignatureAlgorithm::RsaSha256 => &lib::RSA_PKCS1_2048_8192_SHA256,
                    SignatureAlgorithm::RsaSha384 => &lib::RSA_PKCS1_2048_8192_SHA384,
                    SignatureAlgorithm::RsaSha512 => &lib::RSA_PKCS1_2048_8192_SHA512,
                    _ => return Err(CryptoError::AlgorithmMismatch),
                };
                lib::RsaPublicKeyComponents {
                    n: modulus,
                    e: exponent,
                }
                .to_parsed_public_key(parameters)
                .map_err(|_| CryptoError::MalformedKey { kind: "RSA" })?
            }
            Parts::Ed25519(_) => match algorithm {
                SignatureAlgorithm::Ed25519 => key.decode(&lib::ED25519)?,
                _ => return Err(CryptoError::AlgorithmMismatch),
            },
        };
        Ok(Self(parsed))
    }

    /// Verifies one signature.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`].
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        self.0
            .verify_sig(message, signature)
            .map_err(|_| CryptoError::BadSignature)
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Verifier(..)")
    }
}

fn ecdsa_der(
    curve: Curve,
    algorithm: SignatureAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use SignatureAlgorithm::{EcdsaSha256, EcdsaSha384, EcdsaSha512};
    Some(match (curve, algorithm) {
        (Curve::P256, EcdsaSha256) => &lib::ECDSA_P256_SHA256_ASN1,
        (Curve::P256, EcdsaSha384) => &lib::ECDSA_P256_SHA384_ASN1,
        (Curve::P256, EcdsaSha512) => &lib::ECDSA_P256_SHA512_ASN1,
        (Curve::P384, EcdsaSha256) => &lib::ECDSA_P384_SHA256_ASN1,
        (Curve::P384, EcdsaSha384) => &lib::ECDSA_P384_SHA384_ASN1,
        (Curve::P384, EcdsaSha512) => &lib::ECDSA_P384_SHA512_ASN1,
        (Curve::P521, EcdsaSha256) => &lib::ECDSA_P521_SHA256_ASN1,
        (Curve::P521, EcdsaSha384) => &lib::ECDSA_P521_SHA384_ASN1,
        (Curve::P521, EcdsaSha512) => &lib::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

/// JWS binds each curve to one hash (RFC 7518 §3.4).
fn ecdsa_fixed(
    curve: Curve,
    algorithm: SignatureAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (curve, algorithm) {
        (Curve::P256, SignatureAlgorithm::EcdsaSha256) => &lib::ECDSA_P256_SHA256_FIXED,
        (Curve::P384, SignatureAlgorithm::EcdsaSha384) => &lib::ECDSA_P384_SHA384_FIXED,
        (Curve::P521, SignatureAlgorithm::EcdsaSha512) => &lib::ECDSA_P521_SHA512_FIXED,
        _ => return None,
    })
}
