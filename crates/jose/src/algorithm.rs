use chancery_crypto::{Curve, KeyParts, PublicKey};

/// The signature algorithms of JWS that are accepted (RFC 7518 §3.1, RFC 8037 §3.1). Each goes with one kind of key,
/// each kind of key with one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JwsAlgorithm {
    /// ECDSA on P-256 with SHA-256; RFC 8555 §6.2 asks every server for it.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// ECDSA on P-521 with SHA-512.
    ES512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// Ed25519, also under its newer name `Ed25519` (RFC 9864 §2.2).
    EdDSA,
}

impl JwsAlgorithm {
    /// Every accepted name, for the member `algorithms` of a `badSignatureAlgorithm` problem (RFC 8555 §6.2).
    pub const NAMES: [&'static str; 6] = ["ES256", "ES384", "ES512", "RS256", "EdDSA", "Ed25519"];

    /// The algorithm that goes with a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        match key.parts() {
            KeyParts::Ec {
                curve: Curve::P256, ..
            } => Self::ES256,
            KeyParts::Ec {
                curve: Curve::P384, ..
            } => Self::ES384,
            KeyParts::Ec {
                curve: Curve::P521, ..
            } => Self::ES512,
            KeyParts::Rsa { .. } => Self::RS256,
            KeyParts::Ed25519(_) => Self::EdDSA,
        }
    }

    /// Reads an `alg`; `None` for everything that is not accepted, `none` and all MACs among it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "ES256" => Self::ES256,
            "ES384" => Self::ES384,
            "ES512" => Self::ES512,
            "RS256" => Self::RS256,
            "EdDSA" | "Ed25519" => Self::EdDSA,
            _ => return None,
        })
    }

    /// The registered name, as [`sign`](crate::sign()) writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::RS256 => "RS256",
            Self::EdDSA => "EdDSA",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_name_is_read_and_every_algorithm_listed() {
        for name in JwsAlgorithm::NAMES {
            let algorithm = JwsAlgorithm::parse(name).expect("listed");
            assert!(JwsAlgorithm::NAMES.contains(&algorithm.name()));
        }
    }

    #[test]
    fn b6_none_macs_and_other_spellings_are_no_algorithm() {
        for name in [
            "none", "None", "HS256", "HS384", "HS512", "es256", "ES256 ", "", "PS256", "RS1",
            "ES256K",
        ] {
            assert_eq!(JwsAlgorithm::parse(name), None, "{name:?}");
        }
    }
}
