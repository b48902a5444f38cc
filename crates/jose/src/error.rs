use chancery_crypto::CryptoError;

/// Why a JWS, a JWK or a piece of base64url was refused.
///
/// The texts are fixed sentences: nothing of the message is repeated in them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JwsError {
    /// More bytes than are read at all.
    #[error("the message has {bytes} bytes; at most {bytes_max} are read")]
    TooLarge {
        /// Bytes seen.
        bytes: usize,
        /// Bytes accepted.
        bytes_max: usize,
    },
    /// Not the form that RFC 8555 §6.2 asks for. An ACME server answers `malformed`.
    #[error("malformed {part}: {fault}")]
    Malformed {
        /// Which part: `JWS`, `protected header`, `jwk`.
        part: &'static str,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// Not base64url without padding and with zero unused bits (RFC 7515 §2).
    #[error("the value is not base64url without padding")]
    Base64Url,
    /// `alg` is unknown, `none`, a MAC, or not the one that goes with the key. An ACME server answers
    /// `badSignatureAlgorithm`, with [`JwsAlgorithm::NAMES`](crate::JwsAlgorithm::NAMES).
    #[error(
        "the signature algorithm is not one that goes with the key; ES256, ES384, ES512, RS256 and EdDSA are accepted"
    )]
    BadSignatureAlgorithm,
    /// The algorithm of a binding is no MAC that is accepted (RFC 8555 §7.3.4).
    #[error("the binding's algorithm is not HS256, HS384 or HS512")]
    BadMacAlgorithm,
    /// The MAC of a binding is not its key's over this message, or the message is about another account's key.
    #[error("the binding does not verify with the key that its kid names")]
    BadMac,
    /// A key type or curve that is not supported. An ACME server answers `badPublicKey`.
    #[error("the key type is not supported; EC on P-256, P-384 or P-521, RSA and Ed25519 are")]
    UnsupportedKey,
    /// The key policy refused the key. An ACME server answers `badPublicKey`.
    #[error("the public key is refused: {0}")]
    BadPublicKey(CryptoError),
    /// The signature is not this key's over this message. An ACME server answers `malformed`.
    #[error("the signature does not verify with the signer's key")]
    BadSignature,
    /// A private key could not sign.
    #[error("the message could not be signed: {0}")]
    Signing(CryptoError),
}

impl JwsError {
    pub(crate) const fn malformed(part: &'static str, fault: &'static str) -> Self {
        Self::Malformed { part, fault }
    }
}
