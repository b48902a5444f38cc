//! What a store is, without a disk: maps, and changes that happen whole or not at all.

use std::collections::BTreeMap;

use chancery_pki::{RevokedEntry, Serial, UnixTime};

use crate::account::{Account, KeyTag};
use crate::audit::AuditRecord;
use crate::authorization::{Authorization, AuthorizationState, ChallengeState, ReuseTag};
use crate::binding::Binding;
use crate::certificate::{Certificate, CertificateStatus};
use crate::change::{Change, Expect, Need, Outcome, Record, Write};
use crate::crl::CrlState;
use crate::id::{AccountId, AuthorizationId, BindingId, CertificateId, IssuerId, OrderId};
use crate::issuer::Issuer;
use crate::order::{Order, OrderState};
use crate::setting::{Setting, SettingName};
use crate::store::{CertificateFilter, OnlyRevoked, OpenWork, Page};

/// All records, as the changes applied so far leave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Model {
    /// Accounts.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Orders.
    pub orders: BTreeMap<OrderId, Order>,
    /// Authorizations.
    pub authorizations: BTreeMap<AuthorizationId, Authorization>,
    /// Certificates.
    pub certificates: BTreeMap<CertificateId, Certificate>,
    /// Issuers.
    pub issuers: BTreeMap<IssuerId, Issuer>,
    /// The last CRL of each shard.
    pub crls: BTreeMap<(IssuerId, u16), CrlState>,
    /// External account bindings.
    pub bindings: BTreeMap<BindingId, Binding>,
    /// Settings.
    pub settings: BTreeMap<u8, Setting>,
    /// An audit record for each change applied, in their order.
    pub audit: Vec<AuditRecord>,
    keys: BTreeMap<[u8; 16], AccountId>,
    serials: BTreeMap<(IssuerId, Serial), CertificateId>,
}

fn number_of(name: SettingName) -> u8 {
    match name {
        SettingName::UrlKey => 1,
        SettingName::JournalMark => 2,
    }
}

impl Model {
    /// Applies a change if all that it expects holds.
    pub fn apply(&mut self, change: &Change) -> Outcome {
        let needs = change.needs().iter().all(|need| self.holds(*need));
        if !needs || !change.writes().iter().all(|write| self.admits(write)) {
            return Outcome::Conflict;
        }
        for write in change.writes() {
            self.put(write.record.clone());
        }
        self.audit.push(change.audit().clone());
        Outcome::Applied
    }

    fn holds(&self, need: Need) -> bool {
        match need {
            Need::Account { id, version } => {
                self.accounts.get(&id).map(|it| it.version) == Some(version)
            }
            Need::NoAccountWith(tag) => self.account_by_key(tag).is_none(),
            Need::BindingHolds(id) => {
                let found = self.bindings.get(&id);
                found.is_some_and(|it| it.withdrawn.is_none())
            }
        }
    }

    fn admits(&self, write: &Write) -> bool {
        let stored = self.version(&write.record);
        match write.expect {
            Expect::Absent => stored.is_none() && self.is_unique(&write.record),
            Expect::Version(version) => stored == Some(version) && self.is_unique(&write.record),
        }
    }

    fn version(&self, record: &Record) -> Option<u32> {
        match record {
            Record::Account(it) => self.accounts.get(&it.id).map(|it| it.version),
            Record::Order(it) => self.orders.get(&it.id).map(|it| it.version),
            Record::Authorization(it) => self.authorizations.get(&it.id).map(|it| it.version),
            Record::Certificate(it) => self.certificates.get(&it.id).map(|it| it.version),
            Record::Issuer(it) => self.issuers.get(&it.id).map(|it| it.version),
            Record::Crl(it) => self.crls.get(&(it.issuer, it.shard)).map(|it| it.version),
            Record::Setting(it) => self.settings.get(&number_of(it.name)).map(|it| it.version),
            Record::Binding(it) => self.bindings.get(&it.id).map(|it| it.version),
        }
    }

    /// Whether no other record has its other unique key.
    fn is_unique(&self, record: &Record) -> bool {
        match record {
            Record::Account(it) => self.keys.get(&it.key_tag.0).is_none_or(|id| *id == it.id),
            Record::Certificate(it) => self
                .serials
                .get(&(it.issuer, it.serial))
                .is_none_or(|id| *id == it.id),
            Record::Order(_)
            | Record::Authorization(_)
            | Record::Issuer(_)
            | Record::Crl(_)
            | Record::Setting(_)
            | Record::Binding(_) => true,
        }
    }

    fn put(&mut self, record: Record) {
        match record {
            Record::Account(it) => {
                if let Some(before) = self.accounts.get(&it.id) {
                    self.keys.remove(&before.key_tag.0);
                }
                self.keys.insert(it.key_tag.0, it.id);
                self.accounts.insert(it.id, it);
            }
            Record::Order(it) => drop(self.orders.insert(it.id, it)),
            Record::Authorization(it) => drop(self.authorizations.insert(it.id, it)),
            Record::Certificate(it) => {
                self.serials.insert((it.issuer, it.serial), it.id);
                self.certificates.insert(it.id, it);
            }
            Record::Issuer(it) => drop(self.issuers.insert(it.id, it)),
            Record::Crl(it) => drop(self.crls.insert((it.issuer, it.shard), it)),
            Record::Setting(it) => drop(self.settings.insert(number_of(it.name), it)),
            Record::Binding(it) => drop(self.bindings.insert(it.id, it)),
        }
    }

    /// The account that a key has.
    #[must_use]
    pub fn account_by_key(&self, tag: KeyTag) -> Option<&Account> {
        self.keys.get(&tag.0).and_then(|id| self.accounts.get(id))
    }

    /// The newest few authorizations that later orders may rest on.
    #[must_use]
    pub fn reusable(&self, tag: ReuseTag) -> Vec<Authorization> {
        let newest = self.authorizations.values().rev();
        let found = newest.filter(|it| it.reuse_tag() == Some(tag));
        found.take(10).cloned().collect()
    }

    /// An account's orders with numbers below `before`, newest first.
    #[must_use]
    pub fn orders_of(&self, account: AccountId, before: OrderId, limit: u16) -> Vec<Order> {
        let below = self.orders.range(..before).rev();
        let own = below.filter(|(_, order)| order.account == account);
        let own = own.take(usize::from(limit.min(Page::LIMIT_MAX)));
        own.map(|(_, order)| order.clone()).collect()
    }

    /// A page of bindings.
    #[must_use]
    pub fn page_of_bindings(&self, page: Page) -> Vec<Binding> {
        let behind = self
            .bindings
            .range(BindingId(page.after.saturating_add(1))..);
        let shown = behind.take(page.limit.min(Page::LIMIT_MAX).into());
        shown.map(|(_, it)| it.clone()).collect()
    }

    /// A certificate by issuer and serial.
    #[must_use]
    pub fn certificate_by_serial(&self, issuer: IssuerId, serial: Serial) -> Option<&Certificate> {
        self.serials
            .get(&(issuer, serial))
            .and_then(|id| self.certificates.get(id))
    }

    /// A setting.
    #[must_use]
    pub fn setting(&self, name: SettingName) -> Option<&Setting> {
        self.settings.get(&number_of(name))
    }

    /// The authorizations of an order, in its order.
    #[must_use]
    pub fn authorizations_of(&self, order: &Order) -> Vec<Authorization> {
        let parts = order.parts.iter();
        parts
            .filter_map(|part| self.authorizations.get(&part.authorization).cloned())
            .collect()
    }

    /// A page of orders.
    #[must_use]
    pub fn page_of_orders(&self, page: Page) -> Vec<Order> {
        let behind = self.orders.range(OrderId(page.after.saturating_add(1))..);
        behind
            .take(page.limit.min(Page::LIMIT_MAX).into())
            .map(|(_, it)| it.clone())
            .collect()
    }

    /// A page of certificates.
    #[must_use]
    pub fn page_of_certificates(&self, page: Page, filter: &CertificateFilter) -> Vec<Certificate> {
        let shown = |certificate: &Certificate| {
            let revoked = !matches!(certificate.status, CertificateStatus::Good);
            filter
                .expires_before
                .is_none_or(|end| certificate.not_after < end)
                && match filter.only_revoked {
                    OnlyRevoked::Yes => revoked,
                    OnlyRevoked::No => true,
                }
        };
        self.certificates
            .range(CertificateId(page.after.saturating_add(1))..)
            .map(|(_, certificate)| certificate)
            .filter(|certificate| shown(certificate))
            .take(page.limit.min(Page::LIMIT_MAX).into())
            .cloned()
            .collect()
    }

    /// What a shard's CRL must list.
    #[must_use]
    pub fn revoked(
        &self,
        issuer: IssuerId,
        shard: u16,
        listed_from: UnixTime,
    ) -> Vec<RevokedEntry> {
        let mut entries: Vec<_> = self
            .certificates
            .values()
            .filter(|it| it.issuer == issuer && it.shard == shard && it.not_after >= listed_from)
            .filter_map(Certificate::crl_entry)
            .collect();
        entries.sort_by_key(|entry| entry.serial);
        entries
    }

    /// What is under way.
    #[must_use]
    pub fn open_work(&self) -> OpenWork {
        let signing = |order: &&Order| matches!(order.state, OrderState::Processing { .. });
        let validating = |it: &&Authorization| {
            let under_way =
                |state: &ChallengeState| matches!(state, ChallengeState::Processing { .. });
            matches!(it.state, AuthorizationState::Pending)
                && it
                    .challenges
                    .iter()
                    .any(|challenge| under_way(&challenge.state))
        };
        OpenWork {
            orders: self.orders.values().filter(signing).cloned().collect(),
            authorizations: self
                .authorizations
                .values()
                .filter(validating)
                .cloned()
                .collect(),
        }
    }

    /// The highest number in use.
    #[must_use]
    pub fn highest_id(&self) -> i64 {
        let last = [
            self.accounts.keys().next_back().map(|id| id.0),
            self.orders.keys().next_back().map(|id| id.0),
            self.authorizations.keys().next_back().map(|id| id.0),
            self.certificates.keys().next_back().map(|id| id.0),
            self.bindings.keys().next_back().map(|id| id.0),
        ];
        last.into_iter().flatten().max().unwrap_or(0)
    }
}
