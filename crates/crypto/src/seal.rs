use std::num::NonZeroU32;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::pbkdf2;
use zeroize::Zeroizing;

use crate::{CryptoError, Entropy};

/// Work of one passphrase guess; the figure that OWASP gives for PBKDF2-HMAC-SHA256.
const PASSPHRASE_ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("not zero");

/// A key that closes files at rest (AES-256-GCM, a fresh random nonce before the ciphertext).
pub struct SealingKey(LessSafeKey);

impl SealingKey {
    /// Takes 256 bits of key.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self(LessSafeKey::new(
            UnboundKey::new(&AES_256_GCM, key).expect("AES-256-GCM takes 32 bytes"),
        ))
    }

    /// Seals `plain`, bound to `context` (for a file: its name), so that two sealed files cannot be swapped.
    #[must_use]
    pub fn seal(&self, context: &[u8], plain: &[u8], entropy: &dyn Entropy) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        entropy.fill(&mut nonce);
        let mut body = Zeroizing::new(plain.to_vec());
        let tag = self
            .0
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context),
                &mut body,
            )
            .expect("a key file is far below the length that AES-GCM allows");
        [&nonce, body.as_slice(), tag.as_ref()].concat()
    }

    /// Opens what [`SealingKey::seal`] made for the same context.
    ///
    /// # Errors
    /// [`CryptoError::DoesNotOpen`] for another key, another context or changed bytes.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(CryptoError::DoesNotOpen)?;
        let mut body = Zeroizing::new(body.to_vec());
        let plain_len = self
            .0
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(context),
                &mut body,
            )
            .map_err(|_| CryptoError::DoesNotOpen)?
            .len();
        body.truncate(plain_len);
        Ok(body)
    }
}

impl std::fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealingKey(..)")
    }
}

/// A sealing key from a passphrase and a stored salt (PBKDF2-HMAC-SHA256).
#[must_use]
pub fn derive_from_passphrase(passphrase: &[u8], salt: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA256,
        PASSPHRASE_ITERATIONS,
        salt,
        passphrase,
        key.as_mut(),
    );
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_context() {
        let key = SealingKey::new(&[7; 32]);
        let sealed = key.seal(b"issuer.key", b"secret", &SystemEntropy);
        assert_eq!(
            key.open(b"issuer.key", &sealed).expect("opens").as_slice(),
            b"secret"
        );
        assert_eq!(
            key.open(b"root.key", &sealed),
            Err(CryptoError::DoesNotOpen)
        );
        let other = SealingKey::new(&[8; 32]);
        assert_eq!(
            other.open(b"issuer.key", &sealed),
            Err(CryptoError::DoesNotOpen)
        );
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            if let Some(byte) = changed.get_mut(at) {
                *byte ^= 1;
            }
            assert_eq!(
                key.open(b"issuer.key", &changed),
                Err(CryptoError::DoesNotOpen)
            );
        }
        assert_eq!(
            key.open(b"issuer.key", b"short"),
            Err(CryptoError::DoesNotOpen)
        );
    }

    #[test]
    fn a_passphrase_gives_the_same_key_for_the_same_salt_only() {
        let a = derive_from_passphrase(b"correct horse", b"salt-1");
        assert_eq!(a, derive_from_passphrase(b"correct horse", b"salt-1"));
        assert_ne!(a, derive_from_passphrase(b"correct horse", b"salt-2"));
        assert_ne!(a, derive_from_passphrase(b"wrong horse", b"salt-1"));
    }
}
