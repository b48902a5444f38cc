//! What rules do again and again.

use chancery_authority::account::Account;
use chancery_authority::binding::{BindingWish, Scope};
use chancery_authority::change::Record;
use chancery_authority::world::{Issued, World, names};
use chancery_authority::{AccountId, Change, Outcome, Store};

pub(super) async fn applied(store: &dyn Store, change: &Change) {
    let outcome = store.apply(change.clone()).await;
    assert_eq!(outcome, Ok(Outcome::Applied), "{:?}", change.kind());
}

pub(super) async fn conflicts(store: &dyn Store, change: &Change) {
    let outcome = store.apply(change.clone()).await;
    assert_eq!(outcome, Ok(Outcome::Conflict), "{:?}", change.kind());
}

/// Makes an account.
pub(super) async fn account(world: &mut World, store: &dyn Store) -> Account {
    let (change, account) = world.account();
    applied(store, &change).await;
    account
}

/// Decides an order for one name and applies its whole way.
pub(super) async fn issued(
    world: &mut World,
    store: &dyn Store,
    account: AccountId,
    name: &str,
) -> Issued {
    let issued = world.issue(account, names(&[name]).expect("a name"));
    for change in &issued.changes {
        applied(store, change).await;
    }
    issued
}

/// The record as the store has it, found by the key of `record`.
pub(super) async fn stored(store: &dyn Store, record: &Record) -> Option<Record> {
    let fine = "the store answers";
    match record {
        Record::Account(it) => store.account(it.id).await.expect(fine).map(Record::Account),
        Record::Order(it) => store.order(it.id).await.expect(fine).map(Record::Order),
        Record::Authorization(it) => {
            let found = store.authorization(it.id).await.expect(fine);
            found.map(Record::Authorization)
        }
        Record::Certificate(it) => {
            let found = store.certificate(it.id).await.expect(fine);
            found.map(Record::Certificate)
        }
        Record::Issuer(it) => {
            let all = store.issuers().await.expect(fine);
            all.into_iter()
                .find(|found| found.id == it.id)
                .map(Record::Issuer)
        }
        Record::Crl(it) => {
            let all = store.crls(it.issuer).await.expect(fine);
            all.into_iter()
                .find(|found| found.shard == it.shard)
                .map(Record::Crl)
        }
        Record::Setting(it) => store
            .setting(it.name)
            .await
            .expect(fine)
            .map(Record::Setting),
        Record::Binding(it) => store.binding(it.id).await.expect(fine).map(Record::Binding),
    }
}

/// Whether the store has what a change writes.
pub(super) async fn holds(store: &dyn Store, change: &Change) {
    for write in change.writes() {
        let found = stored(store, &write.record).await;
        assert_eq!(found.as_ref(), Some(&write.record), "{:?}", change.kind());
    }
}

/// A binding that bounds nothing.
pub(super) fn any_use() -> BindingWish {
    BindingWish {
        note: None,
        usable_until: None,
        scope: Scope::whole_gateway(),
        accounts_max: None,
        certificates_max: None,
    }
}
