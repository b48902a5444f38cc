use std::fmt;

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::{CryptoError, secrets_equal};

/// The hash inside a message authentication code (RFC 2104).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// HMAC with SHA-256.
    HmacSha256,
    /// HMAC with SHA-384.
    HmacSha384,
    /// HMAC with SHA-512.
    HmacSha512,
}

/// The secret of a message authentication code. It is wiped when it is dropped and never printed.
#[derive(Clone)]
pub struct MacKey(Zeroizing<Vec<u8>>);

impl MacKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes, for whoever stores the key or hands it out.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The code of a message.
    #[must_use]
    pub fn tag(&self, algorithm: MacAlgorithm, message: &[u8]) -> Vec<u8> {
        hmac::sign(&self.ready(algorithm), message)
            .as_ref()
            .to_vec()
    }

    /// Checks the code of a message, in a time that does not depend on where it is wrong.
    ///
    /// # Errors
    /// [`CryptoError::BadSignature`].
    pub fn verify(
        &self,
        algorithm: MacAlgorithm,
        message: &[u8],
        tag: &[u8],
    ) -> Result<(), CryptoError> {
        hmac::verify(&self.ready(algorithm), message, tag).map_err(|_| CryptoError::BadSignature)
    }

    fn ready(&self, algorithm: MacAlgorithm) -> hmac::Key {
        let algorithm = match algorithm {
            MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
            MacAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
            MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
        };
        hmac::Key::new(algorithm, &self.0)
    }
}

impl fmt::Debug for MacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MacKey(secret)")
    }
}

impl PartialEq for MacKey {
    fn eq(&self, other: &Self) -> bool {
        secrets_equal(&self.0, &other.0)
    }
}

impl Eq for MacKey {}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [MacAlgorithm; 3] = [
        MacAlgorithm::HmacSha256,
        MacAlgorithm::HmacSha384,
        MacAlgorithm::HmacSha512,
    ];

    /// RFC 4231, test case 2.
    #[test]
    fn the_codes_are_those_of_rfc_4231() {
        let key = MacKey::new(b"Jefe");
        let first: Vec<_> = ALL
            .iter()
            .map(|algorithm| key.tag(*algorithm, b"what do ya want for nothing?"))
            .map(|tag| (tag.len(), tag[..4].to_vec()))
            .collect();
        let expected = [
            (32, vec![0x5b, 0xdc, 0xc1, 0x46]),
            (48, vec![0xaf, 0x45, 0xd2, 0xe3]),
            (64, vec![0x16, 0x4b, 0x7a, 0x7b]),
        ];
        assert_eq!(first, expected);
    }

    #[test]
    fn a_code_is_of_its_key_its_message_and_its_algorithm_and_whole() {
        let (key, other) = (MacKey::new(&[1; 32]), MacKey::new(&[2; 32]));
        for algorithm in ALL {
            let tag = key.tag(algorithm, b"message");
            assert_eq!(key.verify(algorithm, b"message", &tag), Ok(()));
            let refused = Err(CryptoError::BadSignature);
            assert_eq!(other.verify(algorithm, b"message", &tag), refused);
            assert_eq!(key.verify(algorithm, b"massage", &tag), refused);
            assert_eq!(key.verify(algorithm, b"message", &tag[1..]), refused);
            assert_eq!(key.verify(algorithm, b"message", &[]), refused);
            let others = ALL.iter().filter(|it| **it != algorithm);
            for wrong in others {
                assert_eq!(key.verify(*wrong, b"message", &tag), refused);
            }
        }
    }

    #[test]
    fn h7_a_key_does_not_print_itself() {
        let shown = format!("{:?}", MacKey::new(b"canary"));
        assert_eq!(shown, "MacKey(secret)");
    }
}
