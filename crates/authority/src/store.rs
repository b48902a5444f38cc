//! The one port of the domain: where records are loaded from and changes applied to.
//!
//! `chancery-store` has the backends and one contract suite that each must pass.

use std::pin::Pin;

use chancery_pki::{RevokedEntry, Serial, UnixTime};

use crate::account::{Account, KeyTag};
use crate::audit::Block;
use crate::authorization::{Authorization, ReuseTag};
use crate::binding::Binding;
use crate::certificate::Certificate;
use crate::change::{Change, ChangeKind, Outcome};
use crate::crl::CrlState;
use crate::id::{AccountId, AuthorizationId, BindingId, CertificateId, IssuerId, OrderId};
use crate::issuer::Issuer;
use crate::order::Order;
use crate::setting::{Setting, SettingName};

/// The answer of a store.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Why a store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Too many changes wait. Nothing was done; try again.
    #[error("the store has too many changes waiting")]
    Busy,
    /// Little disk is left: only what revokes or finishes goes on.
    #[error(
        "less than {percent} % of the disk is free; issuance is stopped until there is room, revocation goes on"
    )]
    DiskLow {
        /// The watermark.
        percent: u8,
    },
    /// The store is closed or broken.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// A record cannot be read back.
    #[error("{what} cannot be read: the stored bytes are damaged or of a newer version")]
    Damaged {
        /// Which record.
        what: String,
    },
}

/// Which queue a change waits in. Revocation never waits behind issuance (law 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Bounded; refused when full or when the disk is nearly so.
    Ordinary,
    /// Of its own; goes first, and goes on when the disk is nearly full.
    Urgent,
}

impl ChangeKind {
    /// The lane of a change: whatever revokes or withdraws, publishes, or records what the signer has already signed, is urgent.
    #[must_use]
    pub fn lane(self) -> Lane {
        match self {
            Self::CertificateRecorded
            | Self::CertificateOrphaned
            | Self::CertificateRestored
            | Self::CertificateRevoked
            | Self::CrlPublished
            | Self::BindingWithdrawn
            | Self::JournalReconciled => Lane::Urgent,
            Self::Initialised
            | Self::AccountCreated
            | Self::AccountUpdated
            | Self::AccountRekeyed
            | Self::BindingCreated
            | Self::AuthorizationCreated
            | Self::OrderCreated
            | Self::ChallengeTaken
            | Self::ValidationRetried
            | Self::AuthorizationProved
            | Self::AuthorizationFailed
            | Self::OrderClaimed
            | Self::ClaimVoided
            | Self::CaaRechecked
            | Self::Refused
            | Self::OrderEnded => Lane::Ordinary,
        }
    }
}

/// Part of a listing: records with numbers above `after`, at most `limit`, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The last number of the page before; 0 for the first.
    pub after: i64,
    /// Records wanted, at most [`Page::LIMIT_MAX`].
    pub limit: u16,
}

impl Page {
    /// The largest page.
    pub const LIMIT_MAX: u16 = 1000;
}

/// Which certificates a listing shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFilter {
    /// Only those that ended or end before this time.
    pub expires_before: Option<UnixTime>,
    /// Only those revoked (or orphaned).
    pub only_revoked: OnlyRevoked,
}

/// Whether a listing is limited to revoked certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnlyRevoked {
    /// It is.
    Yes,
    /// All are shown.
    #[default]
    No,
}

/// Work that a stored record implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenWork {
    /// Orders that claim a certificate which is not recorded.
    pub orders: Vec<Order>,
    /// Authorizations with a challenge under way.
    pub authorizations: Vec<Authorization>,
}

/// How the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The highest record number in use.
    pub highest_id: i64,
    /// Whether ordinary changes are accepted.
    pub disk: DiskSpace,
}

/// Whether there is room for new work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskSpace {
    /// There is.
    Enough,
    /// Only what revokes or finishes is accepted.
    Low,
}

/// Loads records and applies changes. Loads see every change that was answered before they began.
pub trait Store: Send + Sync {
    /// Applies one change, whole or not at all; when it answers, the change is on the disk.
    fn apply(&self, change: Change) -> Answer<'_, Outcome>;

    /// An account.
    fn account(&self, id: AccountId) -> Answer<'_, Option<Account>>;
    /// The account that a key has at a gateway.
    fn account_by_key(&self, tag: KeyTag) -> Answer<'_, Option<Account>>;
    /// An order.
    fn order(&self, id: OrderId) -> Answer<'_, Option<Order>>;
    /// An account's orders with numbers below `before`, newest first, at most `limit`.
    fn orders_of(&self, account: AccountId, before: OrderId, limit: u16) -> Answer<'_, Vec<Order>>;
    /// Orders of all accounts, ascending.
    fn orders(&self, page: Page) -> Answer<'_, Vec<Order>>;
    /// An authorization.
    fn authorization(&self, id: AuthorizationId) -> Answer<'_, Option<Authorization>>;
    /// Several authorizations, in the order asked for; those that do not exist are left out.
    fn authorizations(&self, ids: Vec<AuthorizationId>) -> Answer<'_, Vec<Authorization>>;
    /// Valid authorizations that later orders may rest on, by their tags.
    fn reusable(&self, tags: Vec<ReuseTag>) -> Answer<'_, Vec<Authorization>>;
    /// A certificate.
    fn certificate(&self, id: CertificateId) -> Answer<'_, Option<Certificate>>;
    /// A certificate by issuer and serial.
    fn certificate_by_serial(
        &self,
        issuer: IssuerId,
        serial: Serial,
    ) -> Answer<'_, Option<Certificate>>;
    /// Certificates, ascending.
    fn certificates(&self, page: Page, filter: CertificateFilter) -> Answer<'_, Vec<Certificate>>;
    /// What a shard's CRL must list: revoked and orphaned certificates that end at `listed_from` or later, ascending by
    /// serial.
    fn revoked(
        &self,
        issuer: IssuerId,
        shard: u16,
        listed_from: UnixTime,
    ) -> Answer<'_, Vec<RevokedEntry>>;
    /// The last CRL of each shard.
    fn crls(&self, issuer: IssuerId) -> Answer<'_, Vec<CrlState>>;
    /// All issuers.
    fn issuers(&self) -> Answer<'_, Vec<Issuer>>;
    /// An external account binding.
    fn binding(&self, id: BindingId) -> Answer<'_, Option<Binding>>;
    /// Bindings of all gateways, ascending.
    fn bindings(&self, page: Page) -> Answer<'_, Vec<Binding>>;
    /// A setting.
    fn setting(&self, name: SettingName) -> Answer<'_, Option<Setting>>;
    /// What was under way when the process ended.
    fn open_work(&self) -> Answer<'_, OpenWork>;
    /// A node's audit blocks with numbers above `after`, ascending.
    fn audit(&self, node: u8, after: i64, limit: u16) -> Answer<'_, Vec<Block>>;
    /// How it is.
    fn health(&self) -> Answer<'_, Health>;
}
