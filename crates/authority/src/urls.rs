//! The URLs of records. The front hands them out; the account's is also what CAA records name (RFC 8657 §3), so there is
//! one place that writes them.

use chancery_jose::b64;

use crate::id::{AccountId, IdCipher, RecordId};

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

/// Makes the URLs of accounts.
#[derive(Debug)]
pub struct AccountUrls {
    base: String,
    cipher: IdCipher,
}

impl AccountUrls {
    /// URLs below `base` with the installation's URL key.
    #[must_use]
    pub fn new(base: &str, cipher: IdCipher) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            cipher,
        }
    }

    /// The URL of an account, as its client sees it.
    #[must_use]
    pub fn of(&self, gateway: &str, id: AccountId) -> String {
        record_url(
            (self.base.as_str(), &self.cipher),
            gateway,
            "account",
            (id, 0),
        )
    }
}
