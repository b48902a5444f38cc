//! A store without a disk.

use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chancery_authority::account::{Account, KeyTag};
use chancery_authority::audit::Block;
use chancery_authority::authorization::{Authorization, ReuseTag};
use chancery_authority::binding::Binding;
use chancery_authority::certificate::Certificate;
use chancery_authority::crl::CrlState;
use chancery_authority::issuer::Issuer;
use chancery_authority::order::Order;
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::store::{Answer, CertificateFilter, DiskSpace, Health, OpenWork, Page};
use chancery_authority::world::Model;
use chancery_authority::{
    AccountId, AuthorizationId, BindingId, CertificateId, Change, IssuerId, OrderId, Outcome, Store,
};
use chancery_pki::{RevokedEntry, Serial, UnixTime};

const NODE: u8 = 1;

/// Node 1's records in memory: for tests that need a store and no disk. Clones share the records.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    model: Model,
    blocks: Vec<Block>,
}

impl MemoryStore {
    /// The records as they are now.
    #[must_use]
    pub fn model(&self) -> Model {
        self.lock().model.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load<'a, T: Send + 'a>(&self, read: impl FnOnce(&Model) -> T) -> Answer<'a, T> {
        Box::pin(ready(Ok(read(&self.lock().model))))
    }
}

impl Store for MemoryStore {
    fn apply(&self, change: Change) -> Answer<'_, Outcome> {
        let mut kept = self.lock();
        let outcome = kept.model.apply(&change);
        if outcome == Outcome::Applied {
            let (sequence, previous) = kept
                .blocks
                .last()
                .map_or((0, [0; 32]), |block| (block.sequence, block.digest()));
            let records = [change.audit().clone()];
            kept.blocks
                .push(Block::seal(NODE, sequence + 1, previous, &records));
        }
        Box::pin(ready(Ok(outcome)))
    }

    fn account(&self, id: AccountId) -> Answer<'_, Option<Account>> {
        self.load(|model| model.accounts.get(&id).cloned())
    }

    fn account_by_key(&self, tag: KeyTag) -> Answer<'_, Option<Account>> {
        self.load(|model| model.account_by_key(tag).cloned())
    }

    fn order(&self, id: OrderId) -> Answer<'_, Option<Order>> {
        self.load(|model| model.orders.get(&id).cloned())
    }

    fn orders_of(&self, account: AccountId, before: OrderId, limit: u16) -> Answer<'_, Vec<Order>> {
        self.load(|model| model.orders_of(account, before, limit))
    }

    fn orders(&self, page: Page) -> Answer<'_, Vec<Order>> {
        self.load(|model| model.page_of_orders(page))
    }

    fn authorization(&self, id: AuthorizationId) -> Answer<'_, Option<Authorization>> {
        self.load(|model| model.authorizations.get(&id).cloned())
    }

    fn authorizations(&self, ids: Vec<AuthorizationId>) -> Answer<'_, Vec<Authorization>> {
        self.load(|model| {
            ids.iter()
                .filter_map(|id| model.authorizations.get(id).cloned())
                .collect()
        })
    }

    fn reusable(&self, tags: Vec<ReuseTag>) -> Answer<'_, Vec<Authorization>> {
        self.load(|model| tags.iter().flat_map(|tag| model.reusable(*tag)).collect())
    }

    fn certificate(&self, id: CertificateId) -> Answer<'_, Option<Certificate>> {
        self.load(|model| model.certificates.get(&id).cloned())
    }

    fn certificate_by_serial(
        &self,
        issuer: IssuerId,
        serial: Serial,
    ) -> Answer<'_, Option<Certificate>> {
        self.load(|model| model.certificate_by_serial(issuer, serial).cloned())
    }

    fn certificates(&self, page: Page, filter: CertificateFilter) -> Answer<'_, Vec<Certificate>> {
        self.load(|model| model.page_of_certificates(page, &filter))
    }

    fn revoked(
        &self,
        issuer: IssuerId,
        shard: u16,
        listed_from: UnixTime,
    ) -> Answer<'_, Vec<RevokedEntry>> {
        self.load(|model| model.revoked(issuer, shard, listed_from))
    }

    fn crls(&self, issuer: IssuerId) -> Answer<'_, Vec<CrlState>> {
        self.load(|model| {
            model
                .crls
                .values()
                .filter(|crl| crl.issuer == issuer)
                .cloned()
                .collect()
        })
    }

    fn issuers(&self) -> Answer<'_, Vec<Issuer>> {
        self.load(|model| model.issuers.values().cloned().collect())
    }

    fn binding(&self, id: BindingId) -> Answer<'_, Option<Binding>> {
        self.load(|model| model.bindings.get(&id).cloned())
    }

    fn bindings(&self, page: Page) -> Answer<'_, Vec<Binding>> {
        self.load(|model| model.page_of_bindings(page))
    }

    fn setting(&self, name: SettingName) -> Answer<'_, Option<Setting>> {
        self.load(|model| model.setting(name).cloned())
    }

    fn open_work(&self) -> Answer<'_, OpenWork> {
        self.load(Model::open_work)
    }

    fn audit(&self, node: u8, after: i64, limit: u16) -> Answer<'_, Vec<Block>> {
        let kept = self.lock();
        let blocks = kept.blocks.iter().filter(|block| block.node == node);
        let blocks = blocks
            .filter(|block| block.sequence > after)
            .take(limit.into());
        let blocks = blocks.cloned().collect();
        Box::pin(ready(Ok(blocks)))
    }

    fn health(&self) -> Answer<'_, Health> {
        self.load(|model| Health {
            highest_id: model.highest_id(),
            disk: DiskSpace::Enough,
        })
    }
}
