use std::sync::Arc;

use chancery_authority::account::{Account, Bound, KeyTag, Owner};
use chancery_authority::audit::Actor;
use chancery_authority::change::Record;
use chancery_authority::issuance::KeyUse;
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::store::Page;
use chancery_authority::world::{World, authorization_in, names};
use chancery_authority::{AccountId, Change, OrderId, Outcome, Store, StoreError};
use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_jose::Jwk;
use tokio::task::JoinSet;

use crate::contract::Open;
use crate::contract::steps::{any_use, applied, conflicts, holds, stored};

/// Claims of one order at the same moment (failures A18).
const CLAIMS: usize = 100;

pub(in crate::contract) async fn one_account_for_a_key(open: Open<'_>) {
    let (mut world, store) = (World::new(21), open());
    let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
    let key = Jwk::from_key(key.public());
    let (first, account) = world.account_with_key(&key);
    let (second, refused) = world.account_with_key(&key);
    applied(&*store, &first).await;
    conflicts(&*store, &second).await;
    assert_eq!(store.account(refused.id).await, Ok(None));
    assert_eq!(
        store.account_by_key(account.key_tag).await,
        Ok(Some(account))
    );
}

pub(in crate::contract) async fn all_or_nothing(open: Open<'_>) {
    let (mut world, store) = (World::new(22), open());
    let wanted = names(&["a.test"]).expect("a name");
    let (placed, order, parts) = world.order(AccountId(1), wanted).expect("placed");
    applied(&*store, &placed).await;
    let taken = *parts[0]
        .respond(world.now, 0)
        .expect("pending")
        .change
        .expect("a change");
    let taken_part = authorization_in(&taken).expect("it moves");
    applied(&*store, &taken).await;
    // Decided on the order as it was; somebody ends the order before it is applied.
    let finding = taken_part.on_finding(world.now, 0, world.proved(), Some(&order));
    let proved = *finding.expect("in time").change.expect("a change");
    assert_eq!(proved.writes().len(), 2);
    let cancelled = order
        .cancel(world.now, Actor::Operator(0))
        .expect("it is pending");
    applied(&*store, &cancelled).await;
    conflicts(&*store, &proved).await;
    let found = store.authorization(taken_part.id).await;
    assert_eq!(
        found,
        Ok(Some(taken_part)),
        "the half that fitted is not there either"
    );
    holds(&*store, &cancelled).await;
    // The store goes on with the next change.
    applied(&*store, &world.account().0).await;
}

/// Also when only the last of many records is in the way.
pub(in crate::contract) async fn what_is_there_is_not_made_again(open: Open<'_>) {
    let (mut world, store) = (World::new(23), open());
    let initialised = world.initialised();
    applied(&*store, &initialised).await;
    conflicts(&*store, &initialised).await;
    // Other issuers, but the key of URLs is there.
    let mut other = world.issuer.record.clone();
    other.id.0 = 9;
    let second = Change::initialised(
        world.now,
        vec![other.clone()],
        vec![Setting::url_key([1; 16])],
    );
    conflicts(&*store, &second).await;
    assert_eq!(stored(&*store, &Record::Issuer(other)).await, None);
    holds(&*store, &initialised).await;

    let wanted = names(&["a.test", "b.test"]).expect("names");
    let (placed, order, _) = world.order(AccountId(1), wanted).expect("placed");
    applied(&*store, &placed).await;
    conflicts(&*store, &placed).await;
    assert_eq!(
        store
            .orders(Page {
                after: 0,
                limit: 10
            })
            .await,
        Ok(vec![order])
    );
}

pub(in crate::contract) async fn needs_hold_or_it_conflicts(open: Open<'_>) {
    let (mut world, store) = (World::new(27), open());
    let (made, account) = world.account();
    let wanted = || names(&["a.test"]).expect("a name");
    let (placed, order, parts) = world
        .order_of(Owner::from(&account), wanted())
        .expect("placed");
    conflicts(&*store, &placed).await;
    applied(&*store, &made).await;
    applied(&*store, &placed).await;
    let mut changes = Vec::new();
    let (order, parts) = world.prove(order, &parts, &mut changes);
    for change in &changes {
        applied(&*store, change).await;
    }
    let csr = world.csr(&order.names);
    let claim = |owner: &Account, tag| {
        let key_use = KeyUse::NotOf(vec![tag]);
        let claim = world.claim_as(&order, &parts, &csr, Owner::from(owner), key_use);
        claim.expect("a claim").0
    };
    let free = KeyTag([9; 16]);
    // Its key is an account's.
    conflicts(&*store, &claim(&account, account.key_tag)).await;
    // Its account has changed meanwhile.
    let moved = account.with_contact(world.now, Vec::new());
    applied(&*store, &moved).await;
    conflicts(&*store, &claim(&account, free)).await;
    let now = store.account(account.id).await.expect("answers");
    applied(&*store, &claim(&now.expect("there"), free)).await;
}

pub(in crate::contract) async fn a_change_without_writes_applies(open: Open<'_>) {
    let (world, store) = (World::new(24), open());
    let refused = Change::refused_order(
        world.now,
        Actor::NewKey,
        OrderId(5),
        "it was not for you".into(),
    );
    assert!(refused.writes().is_empty());
    applied(&*store, &refused).await;
    applied(&*store, &refused).await;
    let records: usize = store
        .audit(1, 0, 10)
        .await
        .expect("answers")
        .iter()
        .map(|block| block.records().expect("readable").len())
        .sum();
    assert_eq!(records, 2);
}

pub(in crate::contract) async fn settings_and_crls_move_by_version(open: Open<'_>) {
    let (world, store) = (World::new(25), open());
    assert_eq!(store.setting(SettingName::JournalMark).await, Ok(None));
    let mark = |current: Option<&Setting>, to| Setting::journal_mark(world.now, current, to);
    applied(&*store, &mark(None, 5)).await;
    let first = store
        .setting(SettingName::JournalMark)
        .await
        .expect("answers");
    assert_eq!(first.as_ref().and_then(Setting::number), Some(5));
    applied(&*store, &mark(first.as_ref(), 9)).await;
    conflicts(&*store, &mark(first.as_ref(), 7)).await;
    conflicts(&*store, &mark(None, 7)).await;
    let second = store
        .setting(SettingName::JournalMark)
        .await
        .expect("answers");
    assert_eq!(second.as_ref().and_then(Setting::number), Some(9));

    let (none, one) = world.crl(1, None, Vec::new());
    let (next, two) = world.crl(1, Some(&one), Vec::new());
    let (other_shard, zero) = world.crl(0, None, Vec::new());
    conflicts(&*store, &next).await;
    applied(&*store, &none).await;
    conflicts(&*store, &none).await;
    applied(&*store, &next).await;
    conflicts(&*store, &next).await;
    applied(&*store, &other_shard).await;
    assert_eq!(
        store.crls(one.issuer).await,
        Ok(vec![zero, two]),
        "by shard"
    );
}

pub(in crate::contract) async fn a18_one_claim_wins(open: Open<'_>) {
    let (mut world, store) = (World::new(26), open());
    let wanted = names(&["a.test"]).expect("a name");
    let (placed, order, parts) = world.order(AccountId(1), wanted).expect("placed");
    let mut changes = vec![placed];
    let (order, parts) = world.prove(order, &parts, &mut changes);
    for change in &changes {
        applied(&*store, change).await;
    }
    let csr = world.csr(&order.names);
    let claims = (0..CLAIMS).map(|_| world.claim(&order, &parts, &csr).expect("a claim").0);
    let claims: Vec<Change> = claims.collect();
    let mut running = JoinSet::new();
    for claim in claims.clone() {
        let store: Arc<dyn Store> = Arc::clone(&store);
        running.spawn(async move { (store.apply(claim.clone()).await, claim) });
    }
    let outcomes = running.join_all().await;
    let with = |wanted: Result<Outcome, StoreError>| {
        outcomes
            .iter()
            .filter(move |(outcome, _)| *outcome == wanted)
    };
    assert_eq!(with(Ok(Outcome::Applied)).count(), 1);
    assert_eq!(with(Ok(Outcome::Conflict)).count(), CLAIMS - 1);
    let (_, won) = with(Ok(Outcome::Applied)).next().expect("one won");
    holds(&*store, won).await;
    // Whoever lost decides anew and finds the order taken; the account goes on.
    let now = store
        .order(order.id)
        .await
        .expect("answers")
        .expect("there");
    assert!(world.claim(&now, &parts, &csr).is_err());
    let another = names(&["b.test"]).expect("a name");
    applied(
        &*store,
        &world.order(order.account, another).expect("placed").0,
    )
    .await;
}

pub(in crate::contract) async fn bindings_hold_and_count(open: Open<'_>) {
    let (mut world, store) = (World::new(28), open());
    let (made, binding) = world.binding(any_use()).expect("made");
    let bound = Account {
        bound: Some(Bound {
            binding: binding.id,
            jws: "{}".to_owned(),
        }),
        ..world.account().1
    };
    let owner = Owner::unstored(bound.id, bound.status).bound_to(binding.id);
    let place = |world: &mut World, name| {
        let placed = world.order_of(owner, names(&[name]).expect("a name"));
        placed.expect("placed").0
    };
    // Nobody made it yet.
    conflicts(&*store, &place(&mut world, "a.test")).await;
    applied(&*store, &made).await;
    conflicts(&*store, &made).await;
    holds(&*store, &made).await;
    applied(&*store, &place(&mut world, "b.test")).await;
    let late = place(&mut world, "c.test");
    let withdrawn = binding.withdraw(world.now, 7).expect("it holds");
    applied(&*store, &withdrawn).await;
    // Decided on the same version.
    conflicts(&*store, &withdrawn).await;
    conflicts(&*store, &late).await;
    holds(&*store, &withdrawn).await;
}
