//! The URLs of resources: built from the configured base, never from a request (RFC 8555 §6.4).

use chancery_authority::gateway::Gateway;
use chancery_authority::urls::record_url;
use chancery_authority::{AccountId, AuthorizationId, CertificateId, IdCipher, OrderId, RecordId};
use chancery_jose::{b64, unb64};

/// Sets the word of an account's page of terms apart from that of the account itself, which is part 0.
const TERMS_PART: u8 = 1;

/// Makes and reads URLs.
#[derive(Debug)]
pub struct Urls {
    base: String,
    cipher: IdCipher,
}

impl Urls {
    /// URLs below `base`, such as `https://ca.corp.example:8443`, with the installation's URL key.
    #[must_use]
    pub fn new(base: &str, cipher: IdCipher) -> Self {
        Self {
            base: base.trim_end_matches('/').to_owned(),
            cipher,
        }
    }

    /// What a request for `path` must carry as its `url`.
    pub(crate) fn of_path(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// The directory of a gateway.
    #[must_use]
    pub fn directory(&self, gateway: &Gateway) -> String {
        self.fixed(gateway, "directory")
    }

    pub(crate) fn fixed(&self, gateway: &Gateway, name: &str) -> String {
        format!("{}/acme/{}/{name}", self.base, gateway.name)
    }

    pub(crate) fn account(&self, gateway: &Gateway, id: AccountId) -> String {
        self.of(gateway, "account", id, 0)
    }

    pub(crate) fn orders(&self, gateway: &Gateway, id: AccountId) -> String {
        self.of(gateway, "orders", id, 0)
    }

    pub(crate) fn orders_below(&self, gateway: &Gateway, id: AccountId, below: OrderId) -> String {
        let word = b64(&self.cipher.seal(below, 0));
        format!("{}/{word}", self.orders(gateway, id))
    }

    /// Where a person agrees to terms for an account. Its word is another than that of the account's URL, which CAA records
    /// may tell to everybody.
    pub(crate) fn terms(&self, gateway: &Gateway, id: AccountId) -> String {
        self.of(gateway, "terms", id, TERMS_PART)
    }

    /// The account that a word of [`Urls::terms`] names.
    pub(crate) fn read_terms(&self, word: &str) -> Option<AccountId> {
        match self.open(word)? {
            (id, TERMS_PART) => Some(id),
            _ => None,
        }
    }

    pub(crate) fn order(&self, gateway: &Gateway, id: OrderId) -> String {
        self.of(gateway, "order", id, 0)
    }

    pub(crate) fn authorization(&self, gateway: &Gateway, id: AuthorizationId) -> String {
        self.of(gateway, "authz", id, 0)
    }

    /// Part 0 is the authorization itself, so challenges count from 1.
    pub(crate) fn challenge(&self, gateway: &Gateway, id: AuthorizationId, index: u8) -> String {
        self.of(gateway, "challenge", id, index.saturating_add(1))
    }

    pub(crate) fn certificate(&self, gateway: &Gateway, id: CertificateId) -> String {
        self.of(gateway, "cert", id, 0)
    }

    /// The account that a `kid` names, if it is a URL of this gateway.
    pub(crate) fn read_account(&self, gateway: &Gateway, kid: &str) -> Option<AccountId> {
        let rest = kid
            .strip_prefix(self.base.as_str())?
            .strip_prefix("/acme/")?;
        let word = rest
            .strip_prefix(gateway.name.as_str())?
            .strip_prefix("/account/")?;
        self.read(word)
    }

    /// The record that an unguessable word names.
    pub(crate) fn read<I: RecordId>(&self, word: &str) -> Option<I> {
        match self.open(word)? {
            (id, 0) => Some(id),
            _ => None,
        }
    }

    /// The challenge that an unguessable word names.
    pub(crate) fn read_challenge(&self, word: &str) -> Option<(AuthorizationId, u8)> {
        let (id, part) = self.open(word)?;
        Some((id, part.checked_sub(1)?))
    }

    fn open<I: RecordId>(&self, word: &str) -> Option<(I, u8)> {
        self.cipher.open(unb64(word).ok()?.try_into().ok()?)
    }

    fn of<I: RecordId>(&self, gateway: &Gateway, kind: &str, id: I, part: u8) -> String {
        record_url(
            (self.base.as_str(), &self.cipher),
            &gateway.name,
            kind,
            (id, part),
        )
    }
}
