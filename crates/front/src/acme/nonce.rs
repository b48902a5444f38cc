//! Replay nonces without storage (RFC 8555 §6.5, failures B7).
//!
//! A nonce is one enciphered block: version, node, start epoch, counter and zero bits. The key is drawn at each start, so a
//! restart voids every nonce given out before, and clients recover by retrying with the one on the error. Which counters
//! were spent is a bitmap over the newest of them: two megabytes, however many are asked for.

use std::sync::{Mutex, PoisonError};

use chancery_crypto::{BLOCK_LEN, BlockCipher, Entropy};
use chancery_jose::{b64, unb64};

/// Nonces that can be outstanding. An older one is refused; at 10,000 requests a second that is after 28 minutes.
const WINDOW: u64 = 1 << 24;

const WORD_BITS: u64 = 64;
const WORDS: usize = 1 << 18;

/// The first byte of each block.
const VERSION: u8 = 1;

/// Gives out nonces and takes each back once.
#[derive(Debug)]
pub struct Nonces {
    cipher: BlockCipher,
    node: u8,
    epoch: u32,
    spent: Mutex<Spent>,
}

/// One bit per counter in a ring of words; set when spent.
#[derive(Debug)]
struct Spent {
    /// The next counter.
    next: u64,
    words: Box<[u64]>,
}

/// Whether a nonce was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Redeemed {
    /// It was ours and unspent; it is spent now.
    Yes,
    /// Not ours, from before the last start, too old, or spent already.
    No,
}

impl Nonces {
    /// Starts with a fresh key. `epoch` tells one start of a node from another.
    #[must_use]
    pub fn new(node: u8, epoch: u32, entropy: &dyn Entropy) -> Self {
        let mut key = [0; BLOCK_LEN];
        entropy.fill(&mut key);
        Self {
            cipher: BlockCipher::new(&key),
            node,
            epoch,
            spent: Mutex::new(Spent {
                next: 0,
                words: vec![0; WORDS].into_boxed_slice(),
            }),
        }
    }

    /// A fresh nonce, in base64url.
    #[must_use]
    pub fn issue(&self) -> String {
        let counter = self.lock().issue();
        let mut block = [0; BLOCK_LEN];
        block[0] = VERSION;
        block[1] = self.node;
        block[2..6].copy_from_slice(&self.epoch.to_be_bytes());
        block[6..14].copy_from_slice(&counter.to_be_bytes());
        b64(&self.cipher.encrypt(block))
    }

    /// Takes a nonce back. Of two requests with one nonce exactly one sees [`Redeemed::Yes`].
    pub fn redeem(&self, text: &str) -> Redeemed {
        match self.counter_of(text) {
            Some(counter) => self.lock().spend(counter),
            None => Redeemed::No,
        }
    }

    fn counter_of(&self, text: &str) -> Option<u64> {
        let block: [u8; BLOCK_LEN] = unb64(text).ok()?.try_into().ok()?;
        let plain = self.cipher.decrypt(block);
        let (head, rest) = plain.split_first_chunk::<6>()?;
        let (counter, zeros) = rest.split_first_chunk::<8>()?;
        let [version, node, epoch @ ..] = *head;
        let ours = version == VERSION
            && node == self.node
            && u32::from_be_bytes(epoch) == self.epoch
            && zeros.iter().all(|byte| *byte == 0);
        ours.then_some(u64::from_be_bytes(*counter))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spent {
    fn issue(&mut self) -> u64 {
        let counter = self.next;
        self.next += 1;
        // A word is cleared when its first counter is given out; whatever it said of counters one window ago is void then.
        if counter.is_multiple_of(WORD_BITS) {
            self.words[word_of(counter)] = 0;
        }
        counter
    }

    fn spend(&mut self, counter: u64) -> Redeemed {
        // The word that is being given out now has lost its memory of the oldest counters: they are too old.
        let oldest = (self.next + WORD_BITS).saturating_sub(WINDOW);
        if counter >= self.next || counter < oldest {
            return Redeemed::No;
        }
        let word = &mut self.words[word_of(counter)];
        let bit = 1_u64 << (counter % WORD_BITS);
        if *word & bit != 0 {
            return Redeemed::No;
        }
        *word |= bit;
        Redeemed::Yes
    }
}

fn word_of(counter: u64) -> usize {
    usize::try_from((counter / WORD_BITS) % (WORDS as u64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_crypto::SystemEntropy;
    use chancery_testkit::usage::Usage;

    fn nonces() -> Nonces {
        Nonces::new(1, 7, &SystemEntropy)
    }

    #[test]
    fn b7_a_nonce_is_accepted_once() {
        let nonces = nonces();
        let nonce = nonces.issue();
        assert_eq!(nonces.redeem(&nonce), Redeemed::Yes);
        assert_eq!(nonces.redeem(&nonce), Redeemed::No);
    }

    #[test]
    fn b7_nonces_of_another_start_or_node_or_nobody_are_refused() {
        let nonces = nonces();
        let _ = nonces.issue();
        for foreign in [
            Nonces::new(1, 8, &SystemEntropy).issue(),
            Nonces::new(2, 7, &SystemEntropy).issue(),
            String::new(),
            "AAAAAAAAAAAAAAAAAAAAAA".to_owned(),
            "not base64url!".to_owned(),
            "A".repeat(10_000),
        ] {
            assert_eq!(nonces.redeem(&foreign), Redeemed::No, "{foreign:.40}");
        }
    }

    #[test]
    fn b7_one_nonce_in_a_hundred_threads_is_accepted_once() {
        let nonces = nonces();
        let nonce = nonces.issue();
        let accepted: usize = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..100)
                .map(|_| scope.spawn(|| usize::from(nonces.redeem(&nonce) == Redeemed::Yes)))
                .collect();
            tries
                .into_iter()
                .map(|handle| handle.join().expect("no panic"))
                .sum()
        });
        assert_eq!(accepted, 1);
    }

    #[test]
    fn b7_ten_million_nonces_cost_no_memory_and_the_window_slides() {
        let mut spent = Spent {
            next: 0,
            words: vec![0; WORDS].into_boxed_slice(),
        };
        let first = spent.issue();
        let spent_early = spent.issue();
        assert_eq!(spent.spend(spent_early), Redeemed::Yes);
        for _ in 0..WINDOW - WORD_BITS - 2 {
            let _ = spent.issue();
        }
        assert_eq!(spent.spend(first), Redeemed::Yes, "still inside the window");
        assert_eq!(spent.spend(spent_early), Redeemed::No, "spent stays spent");
        for _ in 0..2 * WINDOW {
            let counter = spent.issue();
            if counter.is_multiple_of(1009) {
                assert_eq!(spent.spend(counter), Redeemed::Yes);
                assert_eq!(spent.spend(counter), Redeemed::No);
            }
        }
        assert_eq!(spent.spend(first), Redeemed::No, "outside the window");
        assert_eq!(spent.spend(spent.next), Redeemed::No, "never given out");
    }

    #[test]
    fn nonces_are_base64url_and_look_unrelated() {
        let nonces = nonces();
        let (one, two) = (nonces.issue(), nonces.issue());
        assert_eq!(one.len(), 22);
        assert!(
            one.bytes()
                .all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_')
        );
        let same = one.bytes().zip(two.bytes()).filter(|(a, b)| a == b).count();
        assert!(same < 8, "{one} {two}");
    }

    /// Failures B7: ten million requests for a nonce, and nine in ten of them used. A figure beside each would be eighty
    /// megabytes.
    #[test]
    fn nonces_by_the_ten_million_grow_the_process_by_less_than_twenty_megabytes() {
        const COUNT: usize = 10_000_000;
        const BYTES_MORE_MAX: u64 = 20_000_000;
        let resident = || {
            let usage = Usage::of(std::process::id()).expect("this process runs");
            usage.rss_bytes
        };
        let nonces = nonces();
        // The pages of the bitmap are not there before they are written; they belong to the growth.
        let before = resident();
        let mut most = before;
        for count in 0..COUNT {
            let nonce = nonces.issue();
            if !count.is_multiple_of(10) {
                assert_eq!(nonces.redeem(&nonce), Redeemed::Yes, "{count}");
            }
            if count.is_multiple_of(1_000_000) {
                most = most.max(resident());
            }
        }
        most = most.max(resident());
        assert!(
            most < before + BYTES_MORE_MAX,
            "from {before} to {most} octets"
        );
    }
}
