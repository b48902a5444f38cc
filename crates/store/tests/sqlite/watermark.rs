//! The disk watermark (failures G1), with a disk that says what it is told to say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chancery_authority::store::DiskSpace;
use chancery_authority::world::{World, names};
use chancery_authority::{AccountId, ChangeKind, Store, StoreError};
use chancery_store::sqlite::{DiskProbe, Room, SqliteOptions, SqliteStore};

use crate::trail::{blocks, records};
use crate::{Ground, applied};

#[tokio::test]
async fn g1_issuance_stops_at_five_percent_free_and_revocation_goes_on() {
    let ground = Ground::new("store-watermark");
    let free = Arc::new(AtomicU64::new(500));
    let probe = {
        let free = Arc::clone(&free);
        move |_: &std::path::Path| {
            Some(Room {
                free: free.load(Ordering::SeqCst),
                total: 1000,
            })
        }
    };
    let disk = DiskProbe {
        every: Duration::ZERO,
        look: Arc::new(probe),
    };
    let store = SqliteStore::open(SqliteOptions {
        disk,
        ..ground.options()
    })
    .expect("opens");
    let space = || async { store.health().await.map(|health| health.disk) };
    let mut world = World::new(1);
    let issued = world.issue(AccountId(1), names(&["a.test"]).expect("a name"));
    let other = world.issue(AccountId(1), names(&["b.test"]).expect("a name"));
    let (recorded, before) = other.changes.split_last().expect("it was recorded");
    for change in issued.changes.iter().chain(before) {
        applied(&store, change.clone()).await;
    }
    assert_eq!(space().await, Ok(DiskSpace::Enough));

    free.store(49, Ordering::SeqCst);
    assert_eq!(space().await, Ok(DiskSpace::Low));
    let low = Err(StoreError::DiskLow { percent: 5 });
    let (placed, order, _) = world
        .order(AccountId(1), names(&["c.test"]).expect("a name"))
        .expect("placed");
    assert_eq!(store.apply(placed.clone()).await, low);
    assert_eq!(store.apply(world.account().0).await, low);
    assert_eq!(store.order(order.id).await, Ok(None));
    // What is signed already is recorded; what is revoked is revoked and published.
    applied(&store, recorded.clone()).await;
    let (revocation, revoked) = world.revocation(&issued.certificate, world.now);
    applied(&store, revocation).await;
    let entries = store
        .revoked(revoked.issuer, revoked.shard, world.now)
        .await
        .expect("answers");
    let (published, _) = world.crl(revoked.shard, None, entries);
    applied(&store, published).await;

    free.store(50, Ordering::SeqCst);
    assert_eq!(space().await, Ok(DiskSpace::Enough));
    applied(&store, placed).await;
    let kinds: Vec<ChangeKind> = records(&blocks(&store).await)
        .iter()
        .map(|record| record.kind)
        .rev()
        .take(4)
        .collect();
    let expected = [
        ChangeKind::OrderCreated,
        ChangeKind::CrlPublished,
        ChangeKind::CertificateRevoked,
        ChangeKind::CertificateRecorded,
    ];
    assert_eq!(kinds, expected, "a refused change leaves no record");
}
