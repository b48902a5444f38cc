//! The URLs of records. The front hands them out; the account's is also what CAA records name (RFC 8657 §3), so there is
//! one place that writes them.

use std::fmt::Write;

use chancery_jose::{b64, unb64};

use crate::id::{AccountId, BindingId, IdCipher, OrderId, RecordId, UrlBlock};

/// The URL of a record at a gateway: `part` 0 is the record itself. `base` has no slash at its end.
#[must_use]
pub fn record_url<I: RecordId>(
    (base, cipher): (&str, &IdCipher),
    gateway: &str,
    kind: &str,
    (id, part): (I, u8),
) -> String {
    let word = b64(&cipher.seal(id, part));
    format!("{base}/acme/{gateway}/{kind}/{word}")
}

/// What records are called outside, where more than one part of the house says it.
#[derive(Debug)]
pub struct PublicNames {
    base: String,
    cipher: IdCipher,
}

impl PublicNames {
    /// URLs below `base` with the installation's URL key.
    #[must_use]
    pub fn new(base: &str, cipher: IdCipher) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            cipher,
        }
    }

    /// The order that the last word of its URL names.
    #[must_use]
    pub fn read_order(&self, word: &str) -> Option<OrderId> {
        match self.cipher.open(unb64(word).ok()?.try_into().ok()?)? {
            (id, 0) => Some(id),
            _ => None,
        }
    }

    /// The directory of a gateway.
    #[must_use]
    pub fn directory(&self, gateway: &str) -> String {
        format!("{}/acme/{gateway}/directory", self.base)
    }

    /// The key identifier of a binding: hexadecimal, so that it can stand on any command line.
    #[must_use]
    pub fn kid(&self, id: BindingId) -> String {
        let block = self.cipher.seal(id, 0);
        block.iter().fold(String::new(), |mut text, byte| {
            // Writing into a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The binding that a key identifier names.
    #[must_use]
    pub fn read_kid(&self, kid: &str) -> Option<BindingId> {
        let mut block = UrlBlock::default();
        let plain = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if kid.len() != 2 * block.len() || !kid.bytes().all(plain) {
            return None;
        }
        for (byte, pair) in block.iter_mut().zip(kid.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        match self.cipher.open(block)? {
            (id, 0) => Some(id),
            _ => None,
        }
    }

    /// The URL of an account, as its client sees it.
    #[must_use]
    pub fn account(&self, gateway: &str, id: AccountId) -> String {
        record_url(
            (self.base.as_str(), &self.cipher),
            gateway,
            "account",
            (id, 0),
        )
    }
}
