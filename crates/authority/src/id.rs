//! Numbers of records: ascending in the database, unguessable in URLs (design §8).

use std::fmt;

use chancery_crypto::{BLOCK_LEN, BlockCipher};
use minicbor::{Decode, Encode};

/// 2020-01-01 in milliseconds; ids count from here so that 41 bits last until 2089.
const EPOCH_MILLIS: i64 = 1_577_836_800_000;
const NODE_BITS: u32 = 8;
const COUNTER_BITS: u32 = 14;

macro_rules! record_ids {
    ($($(#[$doc:meta])* $name:ident = $tag:literal;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
            #[cbor(transparent)]
            pub struct $name(#[n(0)] pub i64);

            impl RecordId for $name {
                const TAG: u8 = $tag;
                fn number(self) -> i64 { self.0 }
                fn from_number(number: i64) -> Self { Self(number) }
            }

            impl fmt::Display for $name {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    write!(f, "{}", self.0)
                }
            }
        )*
    };
}

record_ids! {
    /// An ACME account.
    AccountId = 1;
    /// An order.
    OrderId = 2;
    /// An authorization; its challenges are numbered within it.
    AuthorizationId = 3;
    /// A certificate. The certificate that an order delivers has the order's number, so a second one cannot exist.
    CertificateId = 4;
    /// A binding to an account elsewhere.
    BindingId = 5;
}

/// An issuer: a small number given at creation and used in URLs as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct IssuerId(#[n(0)] pub u32);

impl fmt::Display for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl AccountId {
    /// The authority itself, which orders its own server certificate.
    pub const AUTHORITY: Self = Self(0);
}

impl CertificateId {
    /// The certificate that `order` delivers.
    #[must_use]
    pub fn of(order: OrderId) -> Self {
        Self(order.0)
    }
}

/// What all record numbers have in common.
pub trait RecordId: Copy {
    /// Distinguishes kinds of record inside a URL.
    const TAG: u8;
    /// The stored number.
    fn number(self) -> i64;
    /// The id for a stored number.
    fn from_number(number: i64) -> Self;
}

/// Makes numbers: time ‖ node ‖ counter, strictly ascending whatever the clock does.
#[derive(Debug)]
pub struct IdSource {
    node: u8,
    last_tick: i64,
}

impl IdSource {
    /// A source for one node that goes on above `highest`, the largest number already stored.
    #[must_use]
    pub fn new(node: u8, highest: i64) -> Self {
        let millis = highest >> (NODE_BITS + COUNTER_BITS);
        let counter = highest & ((1 << COUNTER_BITS) - 1);
        Self {
            node,
            last_tick: (millis << COUNTER_BITS) | counter,
        }
    }

    /// The next number. `now_millis` is Unix time; a clock that stands or goes back only costs precision.
    pub fn next(&mut self, now_millis: i64) -> i64 {
        let tick = (now_millis - EPOCH_MILLIS).max(0) << COUNTER_BITS;
        self.last_tick = tick.max(self.last_tick + 1);
        let millis = self.last_tick >> COUNTER_BITS;
        let counter = self.last_tick & ((1 << COUNTER_BITS) - 1);
        (millis << (NODE_BITS + COUNTER_BITS)) | (i64::from(self.node) << COUNTER_BITS) | counter
    }
}

/// Turns record numbers into the unguessable part of a URL and back.
#[derive(Debug)]
pub struct IdCipher(BlockCipher);

/// The unguessable part of a URL: one enciphered block.
pub type UrlBlock = [u8; BLOCK_LEN];

impl IdCipher {
    /// Uses a stored 128-bit key; with another key all URLs handed out before stop working.
    #[must_use]
    pub fn new(key: &[u8; BLOCK_LEN]) -> Self {
        Self(BlockCipher::new(key))
    }

    /// The block for a record, and for a part of it (`part` 0 is the record itself).
    #[must_use]
    pub fn seal<I: RecordId>(&self, id: I, part: u8) -> UrlBlock {
        let mut block = [0; BLOCK_LEN];
        block[..8].copy_from_slice(&id.number().to_be_bytes());
        block[8] = I::TAG;
        block[9] = part;
        self.0.encrypt(block)
    }

    /// The record and part that a block names, if this cipher made it for this kind of record.
    ///
    /// 48 zero bits and the kind's 8 are the redundancy: guessing a valid block takes 2^56 requests.
    #[must_use]
    pub fn open<I: RecordId>(&self, block: UrlBlock) -> Option<(I, u8)> {
        let plain = self.0.decrypt(block);
        let (number, rest) = plain.split_first_chunk::<8>()?;
        let [tag, part, zeros @ ..] = rest else {
            return None;
        };
        (*tag == I::TAG && zeros.iter().all(|byte| *byte == 0))
            .then(|| (I::from_number(i64::from_be_bytes(*number)), *part))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ascend_even_when_the_clock_goes_back() {
        let mut source = IdSource::new(3, 0);
        let mut last = 0;
        for now in [
            EPOCH_MILLIS + 10,
            EPOCH_MILLIS + 10,
            EPOCH_MILLIS + 5,
            0,
            EPOCH_MILLIS + 11,
        ] {
            for _ in 0..20_000 {
                let next = source.next(now);
                assert!(next > last);
                last = next;
            }
        }
        assert!(IdSource::new(3, last).next(EPOCH_MILLIS) > last);
    }

    #[test]
    fn nodes_never_share_a_number() {
        let (mut one, mut two) = (IdSource::new(1, 0), IdSource::new(2, 0));
        let numbers = |source: &mut IdSource| -> std::collections::BTreeSet<i64> {
            (0..1000)
                .map(|step| source.next(EPOCH_MILLIS + step / 7))
                .collect()
        };
        assert!(numbers(&mut one).is_disjoint(&numbers(&mut two)));
    }

    #[test]
    fn a_block_opens_only_as_the_kind_it_was_made_for() {
        let cipher = IdCipher::new(&[9; 16]);
        let block = cipher.seal(OrderId(77), 0);
        assert_eq!(cipher.open::<OrderId>(block), Some((OrderId(77), 0)));
        assert_eq!(cipher.open::<AccountId>(block), None);
        assert_eq!(IdCipher::new(&[8; 16]).open::<OrderId>(block), None);
        for bit in 0..128 {
            let mut changed = block;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cipher.open::<OrderId>(changed), None);
        }
    }
}
