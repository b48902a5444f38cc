use std::sync::Arc;
use std::time::Duration;

use chancery_authority::world::World;
use chancery_authority::{AccountId, Change, Outcome, Store};
use tokio::task::JoinSet;

use crate::contract::Open;
use crate::contract::rules::audit::records;
use crate::contract::steps::{applied, holds, issued};

/// Far longer than any store takes for one change.
const DONE_WITHIN: Duration = Duration::from_secs(30);

pub(in crate::contract) async fn answered_is_kept(open: Open<'_>) {
    let (mut world, mut store) = (World::new(71), open());
    let mut done = Vec::new();
    for round in 0..3 {
        let changes: Vec<Change> = (0..40).map(|_| world.account().0).collect();
        let mut running = JoinSet::new();
        for change in changes {
            let store: Arc<dyn Store> = Arc::clone(&store);
            running.spawn(async move {
                assert_eq!(store.apply(change.clone()).await, Ok(Outcome::Applied));
                change
            });
        }
        done.extend(running.join_all().await);
        let name = format!("n{round}.test");
        let last = issued(&mut world, &*store, AccountId(1), &name)
            .await
            .changes
            .pop();
        done.extend(last);
        drop(store);
        store = open();
        for change in &done {
            holds(&*store, change).await;
        }
    }
    assert_eq!(records(&*store).await.len(), 3 * 45);
}

/// On whatever thread, by whatever key, and while others write.
pub(in crate::contract) async fn loads_see_what_was_answered(open: Open<'_>) {
    let (mut world, store) = (World::new(72), open());
    let mut running = JoinSet::new();
    for _ in 0..16 {
        let mut accounts: Vec<_> = (0..10).map(|_| world.account()).collect();
        let store: Arc<dyn Store> = Arc::clone(&store);
        running.spawn(async move {
            while let Some((change, account)) = accounts.pop() {
                assert_eq!(store.apply(change).await, Ok(Outcome::Applied));
                let by_number = {
                    let store = Arc::clone(&store);
                    tokio::spawn(async move { store.account(account.id).await })
                };
                let by_key = store.account_by_key(account.key_tag).await;
                assert_eq!(by_key, Ok(Some(account.clone())));
                assert_eq!(by_number.await.expect("it ends"), Ok(Some(account)));
            }
        });
    }
    running.join_all().await;
    let done = issued(&mut world, &*store, AccountId(1), "a.test").await;
    let (revocation, revoked) = world.revocation(&done.certificate, world.now);
    for _ in 0..20 {
        assert_eq!(store.open_work().await.map(|open| open.orders.len()), Ok(0));
    }
    applied(&*store, &revocation).await;
    let listed = store
        .revoked(revoked.issuer, revoked.shard, revoked.not_after)
        .await;
    assert_eq!(listed, Ok(revoked.crl_entry().into_iter().collect()));
}

/// A client that hangs up takes nothing back.
pub(in crate::contract) async fn a_change_goes_on_alone(open: Open<'_>) {
    let (mut world, store) = (World::new(73), open());
    let (change, account) = world.account();
    let waiting = store.apply(change);
    // Polled once, as by a client that then goes away.
    tokio::select! {
        biased;
        outcome = waiting => assert_eq!(outcome, Ok(Outcome::Applied)),
        () = std::future::ready(()) => {}
    }
    let applied = tokio::time::timeout(DONE_WITHIN, async {
        while store.account(account.id).await != Ok(Some(account.clone())) {
            tokio::task::yield_now().await;
        }
    });
    applied.await.expect("it is applied all the same");
}
