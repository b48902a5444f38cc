//! Algorithms, keys, digests, sealing and entropy: the only crate that names the cryptographic library.
//!
//! Everything here is a pure function of its arguments; randomness comes in through [`Entropy`]. A key that
//! exists as a [`PublicKey`] has passed the key policy (RFC 8555 §11.1, CA/B BR 6.1.1.3): there is no other
//! way to make one, so no later code has to remember to ask.
//!
//! Start at [`PublicKey`] and [`PrivateKey`]; [`Verifier`] is a public key decoded once for many checks.
//!
//! What this crate never does: parse ASN.1 or JSON, open files, or pick an algorithm from what a message
//! claims — the algorithm follows from the key.

#![cfg_attr(
    not(test),
    deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)
)]

mod block;
mod digest;
mod entropy;
mod mac;
mod private_key;
mod public_key;
mod rsa_policy;
mod seal;

pub use block::{BLOCK_LEN, BlockCipher};
pub use digest::{Digest32, Sha256, sha256};
pub use entropy::{Entropy, SystemEntropy};
pub use mac::{MacAlgorithm, MacKey};
pub use private_key::{KeyKind, PrivateKey};
pub use public_key::{Curve, KeyParts, PublicKey, SignatureAlgorithm, SignatureForm, Verifier};
pub use seal::{SealingKey, derive_from_passphrase};

/// Why a key, a signature or a sealed value was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CryptoError {
    /// The bytes are not a point of the curve, or not a key of the stated kind.
    #[error("the key is not a valid {kind} public key")]
    MalformedKey {
        /// The kind that was expected.
        kind: &'static str,
    },
    /// An RSA modulus outside 2048–4096 bits.
    #[error("RSA modulus has {bits} bits; 2048 to 4096 are accepted")]
    RsaSize {
        /// Bits of the modulus seen.
        bits: usize,
    },
    /// An RSA exponent that is even, below 65537 or above 32 bits.
    #[error("RSA exponent is not an odd number from 65537 to 2^32-1")]
    RsaExponent,
    /// An RSA modulus that is even or has a small prime factor.
    #[error("RSA modulus is divisible by {factor}")]
    RsaSmallFactor {
        /// The prime that divides it.
        factor: u32,
    },
    /// The signature does not verify.
    #[error("the signature does not verify with this key")]
    BadSignature,
    /// This algorithm cannot be used with this key.
    #[error("the signature algorithm does not fit the key")]
    AlgorithmMismatch,
    /// A private key could not be read.
    #[error("the private key is not a PKCS#8 key of a supported kind")]
    MalformedPrivateKey,
    /// A private-key operation failed inside the library.
    #[error("the private-key operation failed")]
    SigningFailed,
    /// A sealed value was made with another key, or was changed.
    #[error("the sealed value does not open: wrong sealing key, or the file was changed")]
    DoesNotOpen,
}

/// Compares two secrets without telling by timing where they differ.
#[must_use]
pub fn secrets_equal(a: &[u8], b: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(a, b).is_ok()
}
