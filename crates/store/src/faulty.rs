//! A store that goes wrong as told, over any other (feature `contract`): for the tests of whoever uses one.
//!
//! A [`Fault`] is planned for a change by its number or its kind ([`When`]) and happens once, or for each such change
//! ([`FaultyStore::each`]). Loads go wrong all together, until they are told to go well again.

use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chancery_authority::account::{Account, KeyTag};
use chancery_authority::audit::Block;
use chancery_authority::authorization::{Authorization, ReuseTag};
use chancery_authority::binding::Binding;
use chancery_authority::certificate::Certificate;
use chancery_authority::crl::CrlState;
use chancery_authority::issuer::Issuer;
use chancery_authority::order::Order;
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::store::{Answer, CertificateFilter, Health, OpenWork, Page};
use chancery_authority::{
    AccountId, AuthorizationId, BindingId, CertificateId, Change, ChangeKind, IssuerId, OrderId,
    Outcome, Store, StoreError,
};
use chancery_pki::{RevokedEntry, Serial, UnixTime};

/// What goes wrong with a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is applied, and this is the answer.
    Refuse(StoreError),
    /// It is applied, and this is the answer all the same.
    LoseAnswer(StoreError),
    /// It is applied this much later.
    Delay(Duration),
    /// Nothing is applied, as if somebody else had been first.
    Conflict,
}

/// Which change a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The change with this number, counted from 1 since the store was made.
    Nth(u64),
    /// The next of this kind.
    Kind(ChangeKind),
    /// The next of all.
    Next,
}

/// A store over another, with faults as planned.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    plan: Mutex<Plan>,
}

#[derive(Default)]
struct Plan {
    changes: u64,
    faults: Vec<Planned>,
    loads_fail: Option<StoreError>,
}

struct Planned {
    when: When,
    fault: Fault,
    repeat: Repeat,
}

#[derive(PartialEq, Eq)]
enum Repeat {
    Once,
    Always,
}

impl FaultyStore {
    /// A store in which nothing goes wrong yet.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self {
            inner,
            plan: Mutex::default(),
        }
    }

    /// Plans a fault that happens once.
    pub fn once(&self, when: When, fault: Fault) {
        self.lock().faults.push(Planned {
            when,
            fault,
            repeat: Repeat::Once,
        });
    }

    /// Plans a fault for each such change, until [`FaultyStore::heal`].
    pub fn each(&self, when: When, fault: Fault) {
        self.lock().faults.push(Planned {
            when,
            fault,
            repeat: Repeat::Always,
        });
    }

    /// Lets every load fail with this, until [`FaultyStore::heal`].
    pub fn fail_loads(&self, error: StoreError) {
        self.lock().loads_fail = Some(error);
    }

    /// Forgets all that was planned.
    pub fn heal(&self) {
        let mut plan = self.lock();
        plan.faults.clear();
        plan.loads_fail = None;
    }

    /// Changes that came so far, whatever became of them.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Faults that are still to come.
    #[must_use]
    pub fn planned(&self) -> usize {
        self.lock().faults.len()
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn load<'a, T: Send + 'a>(
        &'a self,
        load: impl FnOnce(&'a dyn Store) -> Answer<'a, T>,
    ) -> Answer<'a, T> {
        match self.lock().loads_fail.clone() {
            Some(error) => Box::pin(ready(Err(error))),
            None => load(&*self.inner),
        }
    }
}

impl Plan {
    /// Counts a change, and takes the fault that is planned for it.
    fn fault_for(&mut self, kind: ChangeKind) -> Option<Fault> {
        self.changes += 1;
        let number = self.changes;
        let meant = |planned: &Planned| match planned.when {
            When::Nth(wanted) => wanted == number,
            When::Kind(wanted) => wanted == kind,
            When::Next => true,
        };
        let place = self.faults.iter().position(meant)?;
        match self.faults[place].repeat {
            Repeat::Once => Some(self.faults.remove(place).fault),
            Repeat::Always => Some(self.faults[place].fault.clone()),
        }
    }
}

impl Store for FaultyStore {
    fn apply(&self, change: Change) -> Answer<'_, Outcome> {
        match self.lock().fault_for(change.kind()) {
            None => self.inner.apply(change),
            Some(Fault::Refuse(error)) => Box::pin(ready(Err(error))),
            Some(Fault::Conflict) => Box::pin(ready(Ok(Outcome::Conflict))),
            Some(Fault::LoseAnswer(error)) => {
                Box::pin(async move { self.inner.apply(change).await.and(Err(error)) })
            }
            Some(Fault::Delay(time)) => Box::pin(async move {
                tokio::time::sleep(time).await;
                self.inner.apply(change).await
            }),
        }
    }

    fn account(&self, id: AccountId) -> Answer<'_, Option<Account>> {
        self.load(|store| store.account(id))
    }

    fn account_by_key(&self, tag: KeyTag) -> Answer<'_, Option<Account>> {
        self.load(|store| store.account_by_key(tag))
    }

    fn order(&self, id: OrderId) -> Answer<'_, Option<Order>> {
        self.load(|store| store.order(id))
    }

    fn orders_of(&self, account: AccountId, before: OrderId, limit: u16) -> Answer<'_, Vec<Order>> {
        self.load(|store| store.orders_of(account, before, limit))
    }

    fn orders(&self, page: Page) -> Answer<'_, Vec<Order>> {
        self.load(|store| store.orders(page))
    }

    fn authorization(&self, id: AuthorizationId) -> Answer<'_, Option<Authorization>> {
        self.load(|store| store.authorization(id))
    }

    fn authorizations(&self, ids: Vec<AuthorizationId>) -> Answer<'_, Vec<Authorization>> {
        self.load(|store| store.authorizations(ids))
    }

    fn reusable(&self, tags: Vec<ReuseTag>) -> Answer<'_, Vec<Authorization>> {
        self.load(|store| store.reusable(tags))
    }

    fn certificate(&self, id: CertificateId) -> Answer<'_, Option<Certificate>> {
        self.load(|store| store.certificate(id))
    }

    fn certificate_by_serial(
        &self,
        issuer: IssuerId,
        serial: Serial,
    ) -> Answer<'_, Option<Certificate>> {
        self.load(|store| store.certificate_by_serial(issuer, serial))
    }

    fn certificates(&self, page: Page, filter: CertificateFilter) -> Answer<'_, Vec<Certificate>> {
        self.load(|store| store.certificates(page, filter))
    }

    fn revoked(
        &self,
        issuer: IssuerId,
        shard: u16,
        listed_from: UnixTime,
    ) -> Answer<'_, Vec<RevokedEntry>> {
        self.load(|store| store.revoked(issuer, shard, listed_from))
    }

    fn crls(&self, issuer: IssuerId) -> Answer<'_, Vec<CrlState>> {
        self.load(|store| store.crls(issuer))
    }

    fn issuers(&self) -> Answer<'_, Vec<Issuer>> {
        self.load(|store| store.issuers())
    }

    fn binding(&self, id: BindingId) -> Answer<'_, Option<Binding>> {
        self.load(|store| store.binding(id))
    }

    fn bindings(&self, page: Page) -> Answer<'_, Vec<Binding>> {
        self.load(|store| store.bindings(page))
    }

    fn setting(&self, name: SettingName) -> Answer<'_, Option<Setting>> {
        self.load(|store| store.setting(name))
    }

    fn open_work(&self) -> Answer<'_, OpenWork> {
        self.load(|store| store.open_work())
    }

    fn audit(&self, node: u8, after: i64, limit: u16) -> Answer<'_, Vec<Block>> {
        self.load(|store| store.audit(node, after, limit))
    }

    fn health(&self) -> Answer<'_, Health> {
        self.load(|store| store.health())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use chancery_authority::world::World;

    use crate::contract::{MemoryStore, keeps_every_rule};

    fn store() -> (FaultyStore, MemoryStore, World) {
        let memory = MemoryStore::default();
        let store = FaultyStore::new(Arc::new(memory.clone()));
        (store, memory, World::new(1))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn without_a_plan_it_keeps_every_rule() {
        keeps_every_rule(|| {
            let memory = MemoryStore::default();
            move || -> Arc<dyn Store> { Arc::new(FaultyStore::new(Arc::new(memory.clone()))) }
        })
        .await;
    }

    #[tokio::test]
    async fn faults_happen_to_the_change_they_are_for_and_once() {
        let (store, memory, mut world) = store();
        store.once(When::Nth(2), Fault::Refuse(StoreError::Busy));
        store.once(When::Kind(ChangeKind::AccountUpdated), Fault::Conflict);
        let (change, account) = world.account();
        assert_eq!(store.apply(change).await, Ok(Outcome::Applied));
        let (change, second) = world.account();
        assert_eq!(store.apply(change.clone()).await, Err(StoreError::Busy));
        assert!(!memory.model().accounts.contains_key(&second.id));
        assert_eq!(store.apply(change).await, Ok(Outcome::Applied));
        let update = account.deactivated(world.now);
        assert_eq!(store.apply(update.clone()).await, Ok(Outcome::Conflict));
        assert_eq!(store.apply(update).await, Ok(Outcome::Applied));
        assert_eq!((store.changes(), store.planned()), (5, 0));
    }

    #[tokio::test]
    async fn a_lost_answer_hides_what_was_applied() {
        let (store, memory, mut world) = store();
        let lost = StoreError::Unavailable("the line broke".to_owned());
        store.once(When::Next, Fault::LoseAnswer(lost.clone()));
        let (change, account) = world.account();
        assert_eq!(store.apply(change.clone()).await, Err(lost));
        assert_eq!(memory.model().accounts.get(&account.id), Some(&account));
        assert_eq!(store.apply(change).await, Ok(Outcome::Conflict));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_passes_and_the_change_is_applied() {
        let (store, _, mut world) = store();
        let (time, began) = (Duration::from_secs(30), tokio::time::Instant::now());
        store.once(When::Next, Fault::Delay(time));
        assert_eq!(store.apply(world.account().0).await, Ok(Outcome::Applied));
        assert_eq!(began.elapsed(), time);
    }

    #[tokio::test]
    async fn what_is_planned_for_each_goes_on_until_it_is_healed() {
        let (store, _, mut world) = store();
        let low = StoreError::DiskLow { percent: 5 };
        store.each(
            When::Kind(ChangeKind::AccountCreated),
            Fault::Refuse(low.clone()),
        );
        store.fail_loads(StoreError::Busy);
        let (change, account) = world.account();
        for _ in 0..3 {
            assert_eq!(store.apply(change.clone()).await, Err(low.clone()));
            assert_eq!(store.account(account.id).await, Err(StoreError::Busy));
            assert_eq!(store.open_work().await, Err(StoreError::Busy));
        }
        store.heal();
        assert_eq!(store.apply(change).await, Ok(Outcome::Applied));
        assert_eq!(store.account(account.id).await, Ok(Some(account)));
    }
}
