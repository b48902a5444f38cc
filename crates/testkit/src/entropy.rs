use std::fmt;
use std::sync::{Mutex, PoisonError};

use chancery_crypto::{Digest32, Entropy, Sha256};

const DOMAIN: &[u8] = b"chancery testkit entropy";

/// Randomness that a seed repeats: SHA-256 in counter mode. `Display` prints the seed.
///
/// One stream for all who draw from it: how it is cut into pieces changes nothing, but the order of threads
/// does. Give each thread of a test its own.
#[derive(Debug)]
pub struct SeededEntropy {
    seed: u64,
    stream: Mutex<Stream>,
}

#[derive(Debug, Default)]
struct Stream {
    blocks: u64,
    block: Digest32,
    used: usize,
}

impl SeededEntropy {
    /// The stream of this seed, from its beginning.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let stream = Stream {
            used: size_of::<Digest32>(),
            ..Stream::default()
        };
        Self {
            seed,
            stream: Mutex::new(stream),
        }
    }

    /// The seed, to print when a test fails.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next eight bytes as a number.
    pub fn number(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, out: &mut [u8]) {
        let mut stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        for byte in out {
            if stream.used == stream.block.len() {
                let mut hash = Sha256::new();
                hash.update(DOMAIN);
                hash.update(&self.seed.to_be_bytes());
                hash.update(&stream.blocks.to_be_bytes());
                *stream = Stream {
                    blocks: stream.blocks + 1,
                    block: hash.finish(),
                    used: 0,
                };
            }
            *byte = stream.block[stream.used];
            stream.used += 1;
        }
    }
}

impl fmt::Display for SeededEntropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(entropy: &SeededEntropy, pieces: &[usize]) -> Vec<u8> {
        let mut all = Vec::new();
        for len in pieces {
            let mut piece = vec![0; *len];
            entropy.fill(&mut piece);
            all.extend(piece);
        }
        all
    }

    #[test]
    fn a_seed_gives_one_stream_however_it_is_cut() {
        let whole = bytes(&SeededEntropy::new(7), &[100]);
        assert_eq!(whole, bytes(&SeededEntropy::new(7), &[1, 31, 1, 0, 67]));
        assert_ne!(whole, bytes(&SeededEntropy::new(8), &[100]));
        assert_ne!(whole[..32], whole[32..64]);
    }

    #[test]
    fn the_seed_can_be_read_from_a_failure_message() {
        assert_eq!(SeededEntropy::new(42).to_string(), "seed 42");
    }
}
