use std::sync::Arc;

use chancery_authority::audit::{AuditRecord, Walk};
use chancery_authority::world::World;
use chancery_authority::{Change, Outcome, Store};
use tokio::task::JoinSet;

use crate::contract::Open;
use crate::contract::steps::{account, applied, conflicts};

/// All records in order; panics where a block does not follow.
pub(super) async fn records(store: &dyn Store) -> Vec<AuditRecord> {
    let (mut walk, mut after, mut records) = (Walk::default(), 0, Vec::new());
    loop {
        let blocks = store.audit(1, after, 7).await.expect("answers");
        let Some(last) = blocks.last() else {
            return records;
        };
        after = last.sequence;
        assert!(blocks.len() <= 7);
        for block in &blocks {
            walk.step(block).expect("it follows from the one before");
            records.extend(block.records().expect("readable"));
        }
    }
}

pub(in crate::contract) async fn one_record_for_each_change(open: Open<'_>) {
    let (mut world, store) = (World::new(61), open());
    let owner = account(&mut world, &*store).await;
    // Many at once, among them some of which one can win: twenty of contact, decided on the same version.
    let mut changes: Vec<Change> = (0..50).map(|_| world.account().0).collect();
    changes.extend(
        (0..20)
            .map(|number| owner.with_contact(world.now, vec![format!("mailto:{number}@a.test")])),
    );
    let mut running = JoinSet::new();
    for change in changes {
        let store: Arc<dyn Store> = Arc::clone(&store);
        running.spawn(async move { (store.apply(change.clone()).await, change) });
    }
    let outcomes = running.join_all().await;
    let applied = outcomes
        .iter()
        .filter(|(outcome, _)| *outcome == Ok(Outcome::Applied));
    let mut expected: Vec<AuditRecord> =
        applied.map(|(_, change)| change.audit().clone()).collect();
    assert_eq!(expected.len(), 51);
    let mut found = records(&*store).await;
    found.remove(0);
    let by_object = |record: &AuditRecord| (record.object, format!("{:?}", record.kind));
    expected.sort_by_key(by_object);
    found.sort_by_key(by_object);
    assert_eq!(found, expected);
    // Of another node there are none.
    assert_eq!(store.audit(2, 0, 10).await, Ok(Vec::new()));
}

pub(in crate::contract) async fn the_chain_goes_on(open: Open<'_>) {
    let mut world = World::new(62);
    let mut expected = Vec::new();
    for _ in 0..3 {
        let store = open();
        for _ in 0..5 {
            let (change, account) = world.account();
            applied(&*store, &change).await;
            expected.push(change.audit().clone());
            let stale = account.with_contact(world.now, Vec::new());
            applied(&*store, &stale).await;
            expected.push(stale.audit().clone());
            conflicts(&*store, &stale).await;
        }
        assert_eq!(records(&*store).await, expected);
    }
    let store = open();
    let all = store.audit(1, 0, 100).await.expect("answers");
    let (first, last) = (
        all.first().expect("there are some"),
        all.last().expect("there are some"),
    );
    assert_eq!(first.sequence, 1);
    let behind = store.audit(1, last.sequence - 1, 100).await;
    assert_eq!(behind.as_deref(), Ok(std::slice::from_ref(last)));
    assert_eq!(store.audit(1, last.sequence, 100).await, Ok(Vec::new()));
}
