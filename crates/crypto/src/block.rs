use aws_lc_rs::cipher::{
    AES_128, DecryptingKey, DecryptionContext, EncryptingKey, UnboundCipherKey,
};

/// Bytes in one block.
pub const BLOCK_LEN: usize = 16;

/// A permutation of 16-byte blocks under a key (AES-128, one block).
///
/// It hides counters: row numbers in URLs and nonces are a number and some zero bytes under this cipher, so they are
/// unguessable without a random index in the database. It protects single blocks of distinct content only.
pub struct BlockCipher {
    encrypting: EncryptingKey,
    decrypting: DecryptingKey,
}

impl BlockCipher {
    /// Expands a 128-bit key.
    ///
    /// # Panics
    /// Never for 16-byte keys, which is all the type allows.
    #[must_use]
    pub fn new(key: &[u8; BLOCK_LEN]) -> Self {
        let unbound = || UnboundCipherKey::new(&AES_128, key).expect("AES-128 takes 16 bytes");
        Self {
            encrypting: EncryptingKey::ecb(unbound()).expect("AES-128 has an ECB mode"),
            decrypting: DecryptingKey::ecb(unbound()).expect("AES-128 has an ECB mode"),
        }
    }

    /// Encrypts one block.
    #[must_use]
    pub fn encrypt(&self, mut block: [u8; BLOCK_LEN]) -> [u8; BLOCK_LEN] {
        self.encrypting
            .encrypt(&mut block)
            .expect("one whole block encrypts");
        block
    }

    /// Decrypts one block. Any block decrypts to something: the caller checks its redundancy.
    #[must_use]
    pub fn decrypt(&self, mut block: [u8; BLOCK_LEN]) -> [u8; BLOCK_LEN] {
        self.decrypting
            .decrypt(&mut block, DecryptionContext::None)
            .expect("one whole block decrypts");
        block
    }
}

impl std::fmt::Debug for BlockCipher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockCipher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_the_fips_197_vector_and_comes_back() {
        let key: [u8; 16] = std::array::from_fn(|i| u8::try_from(i).expect("small"));
        let plain: [u8; 16] = std::array::from_fn(|i| u8::try_from(i * 0x11).expect("small"));
        let cipher = BlockCipher::new(&key);
        let sealed = cipher.encrypt(plain);
        assert_eq!(
            sealed,
            [
                0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30, 0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4,
                0xc5, 0x5a
            ]
        );
        assert_eq!(cipher.decrypt(sealed), plain);
    }
}
