use chancery_authority::audit::Actor;
use chancery_authority::certificate::Revocation;
use chancery_authority::change::Record;
use chancery_authority::recovery::{JournalledIntent, reconcile};
use chancery_authority::store::{CertificateFilter, OnlyRevoked, Page};
use chancery_authority::world::{Issued, Model, World, names};
use chancery_authority::{Change, Store};
use chancery_pki::UnixTime;

use crate::contract::Open;
use crate::contract::rules::audit::records;
use crate::contract::steps::stored;

const ORDERS: usize = 12;
const STEPS: usize = 400;

/// Changes in an order that nobody would choose, most of them stale, against the model of what a store is.
pub(in crate::contract) async fn random_changes_leave_what_they_say(open: Open<'_>) {
    let (mut world, mut store) = (World::new(81), open());
    let mut model = Model::default();
    let changes = pool(&mut world);
    for step in 0..STEPS {
        // Forward on the whole, so that some fit; back and forth, so that many do not.
        let [high, low, ..] = world.random();
        let reach = usize::from(u16::from_be_bytes([high, low])) % 40;
        let place = (step * changes.len() / STEPS + reach).saturating_sub(20) % changes.len();
        let change = &changes[place];
        let expected = model.apply(change);
        assert_eq!(
            store.apply(change.clone()).await,
            Ok(expected),
            "step {step}: {change:?}"
        );
        for write in change.writes() {
            let found = stored(&*store, &write.record).await;
            assert_eq!(
                found,
                in_model(&model, &write.record),
                "step {step}: {change:?}"
            );
        }
        if step % 100 == 99 {
            drop(store);
            store = open();
        }
    }
    assert!(
        model.audit.len() > STEPS / 10,
        "some have fitted: {}",
        model.audit.len()
    );
    assert_eq!(records(&*store).await, model.audit);
    same_listings(&world, &*store, &model).await;
}

/// Every step of some orders, and what may come between.
fn pool(world: &mut World) -> Vec<Change> {
    let (register, account) = world.account();
    let mut changes = vec![world.initialised(), register];
    for number in 0..ORDERS {
        let wanted = names(&[&format!("n{number}.test"), "*.test.example"]).expect("names");
        let issued: Issued = world.issue(account.id, wanted);
        changes.extend(issued.changes.clone());
        let pending = match &issued.changes[0].writes()[0].record {
            Record::Order(order) => order.clone(),
            other => panic!("{other:?}"),
        };
        changes.extend(pending.cancel(world.now, Actor::Operator(1)));
        let unsigned = JournalledIntent {
            signature: None,
            ..issued.intent.clone()
        };
        for intent in [&issued.intent, &unsigned] {
            let spare = world.spare();
            let order = Some(&issued.claimed);
            changes.push(reconcile(world.now, intent, order, &world.issuer, spare));
        }
        for later in [0, 60] {
            let at = world.now.plus(later);
            let revocation = issued.certificate.revoke(at, Actor::CertificateKey, None);
            if let Ok(Revocation::Change(change)) = revocation {
                changes.push(*change);
            }
        }
        changes.push(account.with_contact(world.now, vec![format!("mailto:{number}@a.test")]));
        world.now.0 += 600;
    }
    changes
}

fn in_model(model: &Model, record: &Record) -> Option<Record> {
    match record {
        Record::Account(it) => model.accounts.get(&it.id).cloned().map(Record::Account),
        Record::Order(it) => model.orders.get(&it.id).cloned().map(Record::Order),
        Record::Authorization(it) => model
            .authorizations
            .get(&it.id)
            .cloned()
            .map(Record::Authorization),
        Record::Certificate(it) => model
            .certificates
            .get(&it.id)
            .cloned()
            .map(Record::Certificate),
        Record::Issuer(it) => model.issuers.get(&it.id).cloned().map(Record::Issuer),
        Record::Crl(it) => model
            .crls
            .get(&(it.issuer, it.shard))
            .cloned()
            .map(Record::Crl),
        Record::Setting(it) => model.setting(it.name).cloned().map(Record::Setting),
        Record::Binding(it) => model.bindings.get(&it.id).cloned().map(Record::Binding),
    }
}

async fn same_listings(world: &World, store: &dyn Store, model: &Model) {
    assert_eq!(store.open_work().await, Ok(model.open_work()));
    assert_eq!(
        store.health().await.map(|it| it.highest_id),
        Ok(model.highest_id())
    );
    let (issuer, shards) = (world.issuer.record.id, world.issuer.record.crl_shards);
    for shard in 0..shards {
        let listed = store.revoked(issuer, shard, UnixTime(0)).await;
        assert_eq!(listed, Ok(model.revoked(issuer, shard, UnixTime(0))));
    }
    for after in [0, model.highest_id() / 2, model.highest_id()] {
        let page = Page { after, limit: 5 };
        assert_eq!(store.orders(page).await, Ok(model.page_of_orders(page)));
        for only_revoked in [OnlyRevoked::Yes, OnlyRevoked::No] {
            let filter = CertificateFilter {
                expires_before: None,
                only_revoked,
            };
            let expected = model.page_of_certificates(page, &filter);
            assert_eq!(store.certificates(page, filter).await, Ok(expected));
        }
    }
}
