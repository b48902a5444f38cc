use std::sync::Arc;

use chancery_authority::proof::FailureKind;
use chancery_authority::store::{CertificateFilter, OnlyRevoked, OpenWork, Page};
use chancery_authority::world::{World, authorization_in, names, order_in};
use chancery_authority::{AccountId, OrderId, Store};
use tokio::task::JoinSet;

use crate::contract::Open;
use crate::contract::steps::{any_use, applied, issued};

const NOTHING: OpenWork = OpenWork {
    orders: Vec::new(),
    authorizations: Vec::new(),
};

pub(in crate::contract) async fn open_work_is_what_is_under_way(open: Open<'_>) {
    let (mut world, store) = (World::new(51), open());
    let one = names(&["a.test"]).expect("a name");
    let (placed, order, parts) = world.order(AccountId(1), one).expect("placed");
    applied(&*store, &placed).await;
    assert_eq!(
        store.open_work().await,
        Ok(NOTHING),
        "a pending order waits for its client"
    );

    let taken = *parts[0]
        .respond(world.now, 0)
        .expect("pending")
        .change
        .expect("a change");
    let taken_part = authorization_in(&taken).expect("it moves");
    applied(&*store, &taken).await;
    let other = world.issue(AccountId(1), names(&["b.test"]).expect("a name"));
    let (recorded, before) = other.changes.split_last().expect("it was recorded");
    for change in before {
        applied(&*store, change).await;
    }
    drop(store);
    let store = open();
    let expected = OpenWork {
        orders: vec![other.claimed.clone()],
        authorizations: vec![taken_part.clone()],
    };
    assert_eq!(store.open_work().await, Ok(expected));

    // An attempt that failed is still under way; one that failed for good is not.
    let finding = world.failed(FailureKind::Connection);
    let retried = taken_part
        .on_finding(world.now, 0, finding, Some(&order))
        .expect("in time");
    let retried = *retried.change.expect("a change");
    let retried_part = authorization_in(&retried).expect("it moves");
    applied(&*store, &retried).await;
    applied(&*store, recorded).await;
    let expected = OpenWork {
        orders: Vec::new(),
        authorizations: vec![retried_part.clone()],
    };
    assert_eq!(store.open_work().await, Ok(expected));
    let finding = world.failed(FailureKind::Unauthorized);
    let failed = retried_part
        .on_finding(world.now, 0, finding, Some(&order))
        .expect("in time");
    let failed = *failed.change.expect("a change");
    assert!(order_in(&failed).is_some());
    applied(&*store, &failed).await;
    assert_eq!(store.open_work().await, Ok(NOTHING));
}

/// Walks all pages of a listing.
macro_rules! walk {
    ($limit:expr, |$page:ident| $load:expr) => {{
        let mut $page = Page {
            after: 0,
            limit: $limit,
        };
        let mut seen = Vec::new();
        loop {
            let found = $load.await.expect("answers");
            let Some(last) = found.last() else { break seen };
            assert!(found.len() <= usize::from($limit));
            $page.after = last.id.0;
            seen.extend(found);
        }
    }};
}

pub(in crate::contract) async fn bindings_ascend(open: Open<'_>) {
    let (mut world, store) = (World::new(56), open());
    let mut all = Vec::new();
    for _ in 0..5 {
        let (change, binding) = world.binding(any_use()).expect("made");
        applied(&*store, &change).await;
        all.push(binding);
    }
    for limit in [1, 2, 5, Page::LIMIT_MAX] {
        let seen = walk!(limit, |page| store.bindings(page));
        assert_eq!(seen, all, "by {limit}");
    }
    let health = store.health().await.expect("answers");
    assert_eq!(health.highest_id, all[4].id.0, "its numbers count too");
}

pub(in crate::contract) async fn pages_ascend(open: Open<'_>) {
    let (mut world, store) = (World::new(52), open());
    let (mut orders, mut certificates) = (Vec::new(), Vec::new());
    for number in 0..13 {
        let done = issued(
            &mut world,
            &*store,
            AccountId(1),
            &format!("n{number}.test"),
        )
        .await;
        orders.push(done.order);
        certificates.push(done.certificate);
    }
    let all = CertificateFilter::default;
    for limit in [1, 2, 5, 12, 13, 14, Page::LIMIT_MAX, u16::MAX] {
        let seen = walk!(limit, |page| store.orders(page));
        assert_eq!(seen, orders, "by {limit}");
        let seen = walk!(limit, |page| store.certificates(page, all()));
        assert_eq!(seen, certificates, "by {limit}");
    }
    let none = Page { after: 0, limit: 0 };
    assert_eq!(store.orders(none).await, Ok(Vec::new()));
    assert_eq!(store.certificates(none, all()).await, Ok(Vec::new()));
    let end = Page {
        after: i64::MAX,
        limit: 10,
    };
    assert_eq!(store.orders(end).await, Ok(Vec::new()));
    // From the middle, whether or not the number before is one of a record.
    let middle = Page {
        after: orders[6].id.0 - 1,
        limit: 2,
    };
    assert_eq!(store.orders(middle).await, Ok(orders[6..8].to_vec()));
    assert_page_is_capped(&mut world, &store).await;
}

pub(in crate::contract) async fn orders_of_an_account(open: Open<'_>) {
    let (mut world, store) = (World::new(54), open());
    let mut mine = Vec::new();
    for number in 0..12 {
        let whose = AccountId(1 + number % 3);
        let wanted = names(&["a.test"]).expect("a name");
        let (placed, order, _) = world.order(whose, wanted).expect("placed");
        applied(&*store, &placed).await;
        if whose == AccountId(1) {
            mine.insert(0, order);
        }
    }
    let last = OrderId(i64::MAX);
    assert_eq!(
        store.orders_of(AccountId(1), last, 10).await,
        Ok(mine.clone())
    );
    assert_eq!(
        store.orders_of(AccountId(1), last, 3).await,
        Ok(mine[..3].to_vec())
    );
    assert_eq!(
        store.orders_of(AccountId(1), mine[1].id, 10).await,
        Ok(mine[2..].to_vec())
    );
    assert_eq!(
        store.orders_of(AccountId(9), last, 10).await,
        Ok(Vec::new())
    );
    assert_eq!(store.orders_of(AccountId(1), last, 0).await, Ok(Vec::new()));
}

/// No page is larger than the largest, whatever is asked for.
async fn assert_page_is_capped(world: &mut World, store: &Arc<dyn Store>) {
    let mut running = JoinSet::new();
    for _ in 0..Page::LIMIT_MAX {
        let wanted = names(&["a.test"]).expect("a name");
        let (placed, ..) = world.order(AccountId(1), wanted).expect("placed");
        let store = Arc::clone(store);
        running.spawn(async move { applied(&*store, &placed).await });
    }
    running.join_all().await;
    let page = Page {
        after: 0,
        limit: u16::MAX,
    };
    let found = store.orders(page).await.expect("answers");
    assert_eq!(found.len(), usize::from(Page::LIMIT_MAX));
}

pub(in crate::contract) async fn filters_select(open: Open<'_>) {
    let (mut world, store) = (World::new(53), open());
    let mut all = Vec::new();
    for number in 0..9_i64 {
        let name = format!("n{number}.test");
        let good = issued(&mut world, &*store, AccountId(1), &name)
            .await
            .certificate;
        if number % 2 == 0 {
            let (revocation, revoked) = world.revocation(&good, world.now);
            applied(&*store, &revocation).await;
            all.push(revoked);
        } else {
            all.push(good);
        }
        world.now.0 += 3600;
    }
    let middle = all[4].not_after;
    let page = Page {
        after: 0,
        limit: 100,
    };
    for only_revoked in [OnlyRevoked::Yes, OnlyRevoked::No] {
        for expires_before in [None, Some(middle), Some(middle.plus(1))] {
            let filter = CertificateFilter {
                expires_before,
                only_revoked,
            };
            let expected = all.iter().filter(|it| {
                let revoked = it.crl_entry().is_some();
                expires_before.is_none_or(|end| it.not_after < end)
                    && (revoked || only_revoked == OnlyRevoked::No)
            });
            let expected: Vec<_> = expected.cloned().collect();
            let found = store.certificates(page, filter.clone()).await;
            assert_eq!(found, Ok(expected), "{filter:?}");
        }
    }
}
