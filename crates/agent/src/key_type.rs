use std::fmt;
use std::str::FromStr;

use chancery_crypto::{Curve, KeyKind, KeyParts, PrivateKey, PublicKey};
use serde::{Deserialize, Serialize};

use crate::AgentError;

/// The kinds of key that the agent makes for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyType {
    /// ECDSA on P-256, the default: every client takes it, and it is fast.
    #[default]
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// RSA with 2048 bits.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits.
    Rsa4096,
}

impl KeyType {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::Rsa2048,
        Self::Rsa3072,
        Self::Rsa4096,
    ];

    /// The word in configuration and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaP256 => "ecdsa-p256",
            Self::EcdsaP384 => "ecdsa-p384",
            Self::Rsa2048 => "rsa-2048",
            Self::Rsa3072 => "rsa-3072",
            Self::Rsa4096 => "rsa-4096",
        }
    }

    fn kind(self) -> KeyKind {
        match self {
            Self::EcdsaP256 => KeyKind::Ec(Curve::P256),
            Self::EcdsaP384 => KeyKind::Ec(Curve::P384),
            Self::Rsa2048 => KeyKind::Rsa2048,
            Self::Rsa3072 => KeyKind::Rsa3072,
            Self::Rsa4096 => KeyKind::Rsa4096,
        }
    }

    /// Whether a key is of this kind.
    pub(crate) fn fits(self, key: &PublicKey) -> bool {
        Self::of(key) == Some(self)
    }

    /// The kind of a key, if it is one that the agent makes.
    pub(crate) fn of(key: &PublicKey) -> Option<Self> {
        match key.parts() {
            KeyParts::Ec {
                curve: Curve::P256, ..
            } => Some(Self::EcdsaP256),
            KeyParts::Ec {
                curve: Curve::P384, ..
            } => Some(Self::EcdsaP384),
            KeyParts::Rsa { modulus, .. } => match modulus.len() {
                256 => Some(Self::Rsa2048),
                384 => Some(Self::Rsa3072),
                512 => Some(Self::Rsa4096),
                _ => None,
            },
            KeyParts::Ec { .. } | KeyParts::Ed25519(_) => None,
        }
    }

    /// Makes a key. RSA takes up to seconds, so it happens on a thread of its own.
    pub(crate) async fn generate(self) -> Result<PrivateKey, AgentError> {
        let made = tokio::task::spawn_blocking(move || PrivateKey::generate(self.kind())).await;
        let made = made.map_err(|error| AgentError::System {
            reason: error.to_string(),
        })?;
        Ok(made?)
    }
}

/// A word that is no kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a kind of key; use ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096")]
pub struct UnknownKeyType;

impl FromStr for KeyType {
    type Err = UnknownKeyType;

    fn from_str(text: &str) -> Result<Self, UnknownKeyType> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or(UnknownKeyType)
    }
}

impl TryFrom<String> for KeyType {
    type Error = UnknownKeyType;

    fn try_from(text: String) -> Result<Self, UnknownKeyType> {
        text.parse()
    }
}

impl From<KeyType> for String {
    fn from(kind: KeyType) -> Self {
        kind.name().to_owned()
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_by_its_name_and_nothing_else_is() {
        for kind in KeyType::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert_eq!("rsa-1024".parse::<KeyType>(), Err(UnknownKeyType));
        assert_eq!("".parse::<KeyType>(), Err(UnknownKeyType));
    }

    #[tokio::test]
    async fn two_keys_of_a_kind_differ() {
        let one = KeyType::EcdsaP384.generate().await.expect("made");
        let two = KeyType::EcdsaP384.generate().await.expect("made");
        assert_ne!(one.public(), two.public());
        assert_eq!(KeyType::of(one.public()), Some(KeyType::EcdsaP384));
        let rsa = KeyType::Rsa2048.generate().await.expect("made");
        assert!(KeyType::Rsa2048.fits(rsa.public()) && !KeyType::Rsa3072.fits(rsa.public()));
    }
}
