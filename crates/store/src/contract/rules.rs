//! The rules.

use std::sync::Arc;

use chancery_authority::account::KeyTag;
use chancery_authority::audit::{Actor, Walk};
use chancery_authority::authorization::Finding;
use chancery_authority::certificate::{Certificate, Revocation};
use chancery_authority::change::Record;
use chancery_authority::proof::{FailureKind, Proof, ProofFailure};
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::store::{CertificateFilter, Page};
use chancery_authority::{Change, Outcome, Store};
use chancery_pki::UnixTime;

use super::Open;
use super::world::{NOW, World, applied, conflicts};

const FIRST_PAGE: Page = Page {
    after: 0,
    limit: 1000,
};

pub(super) async fn records_come_back(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let account = world.account(1);
    let Record::Account(made) = account.writes()[0].record.clone() else {
        panic!("an account is made");
    };
    applied(&*store, account).await;
    assert_eq!(store.account(made.id).await, Ok(Some(made.clone())));
    assert_eq!(store.account_by_key(KeyTag([1; 16])).await, Ok(Some(made)));
    assert_eq!(store.account_by_key(KeyTag([2; 16])).await, Ok(None));
    let (change, order, parts) = world.order("a.test");
    applied(&*store, change).await;
    assert_eq!(store.order(order.id).await, Ok(Some(order)));
    let ids = parts.iter().map(|part| part.id).collect();
    assert_eq!(store.authorizations(ids).await, Ok(parts));
    let issuer = world.issuer.record.clone();
    let change = Change::initialised(NOW, vec![issuer.clone()], vec![Setting::url_key([9; 16])]);
    applied(&*store, change).await;
    let certificate = world.issued(&*store, "b.test").await;
    drop(store);
    let store = open();
    assert_eq!(store.issuers().await, Ok(vec![issuer]));
    assert_eq!(
        store.certificate(certificate.id).await,
        Ok(Some(certificate.clone()))
    );
    let found = store
        .certificate_by_serial(certificate.issuer, certificate.serial)
        .await;
    assert_eq!(found, Ok(Some(certificate.clone())));
    let health = store.health().await.expect("answers");
    assert!(health.highest_id >= certificate.id.0);
}

pub(super) async fn one_account_for_a_key(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    applied(&*store, world.account(1)).await;
    let second = world.account(1);
    let Record::Account(refused) = second.writes()[0].record.clone() else {
        panic!("an account is made");
    };
    conflicts(&*store, second).await;
    assert_eq!(store.account(refused.id).await, Ok(None));
}

pub(super) async fn all_or_nothing(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let (change, order, parts) = world.order("a.test");
    applied(&*store, change).await;
    let taken = parts[0]
        .respond(NOW, 0)
        .expect("pending")
        .change
        .expect("a change");
    applied(&*store, *taken).await;
    let now = store
        .authorization(parts[0].id)
        .await
        .expect("answers")
        .expect("there");
    let proof = Finding::Proved(Proof {
        at: NOW,
        observations: Vec::new(),
    });
    let proved = now
        .on_finding(NOW, 0, proof, &order)
        .expect("under way")
        .change
        .expect("a change");
    assert_eq!(proved.writes().len(), 2);
    // Somebody else moves the order first.
    applied(
        &*store,
        order.cancel(NOW, Actor::Operator(0)).expect("pending"),
    )
    .await;
    conflicts(&*store, *proved).await;
    assert_eq!(
        store.authorization(now.id).await,
        Ok(Some(now)),
        "its half is undone too"
    );
}

pub(super) async fn one_claim_wins(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let (change, order, parts) = world.ready("a.test");
    applied(&*store, change).await;
    let claims: Vec<_> = (0..100).map(|_| world.claim(&order, &parts).0).collect();
    let mut running = tokio::task::JoinSet::new();
    for claim in claims {
        let store = Arc::clone(&store);
        running.spawn(async move { store.apply(claim).await });
    }
    let outcomes = running.join_all().await;
    let won = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok(Outcome::Applied))
        .count();
    let lost = outcomes
        .iter()
        .filter(|outcome| **outcome == Ok(Outcome::Conflict))
        .count();
    assert_eq!((won, lost), (1, 99));
}

pub(super) async fn certificates_are_unique(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let (change, order, parts) = world.ready("a.test");
    applied(&*store, change).await;
    let (claim, claimed) = world.claim(&order, &parts);
    applied(&*store, claim).await;
    let (recorded, certificate) = world.record(&claimed);
    applied(&*store, recorded.clone()).await;
    conflicts(&*store, recorded).await;
    // Another order that claims the same serial gets no certificate by it.
    let (change, mut other, parts) = world.ready("b.test");
    applied(&*store, change).await;
    let (claim, mut stolen) = world.claim(&other, &parts);
    applied(&*store, claim).await;
    if let (
        chancery_authority::order::OrderState::Processing { claim: own },
        chancery_authority::order::OrderState::Processing { claim: first },
    ) = (&mut stolen.state, &claimed.state)
    {
        own.serial = first.serial;
    }
    conflicts(&*store, world.record(&stolen).0).await;
    other = store
        .order(other.id)
        .await
        .expect("answers")
        .expect("there");
    assert_eq!(other.state.name(), "processing");
    let all = store
        .certificates(FIRST_PAGE, CertificateFilter::default())
        .await;
    assert_eq!(all, Ok(vec![certificate]));
}

pub(super) async fn revoked_are_listed(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let mut serials = Vec::new();
    for name in ["a.test", "b.test", "c.test"] {
        let certificate = world.issued(&*store, name).await;
        revoke(&*store, &certificate).await;
        serials.push(certificate.serial);
    }
    let good = world.issued(&*store, "d.test").await;
    serials.sort_unstable();
    let issuer = good.issuer;
    let listed = store.revoked(issuer, 0, NOW).await.expect("answers");
    assert_eq!(
        listed.iter().map(|entry| entry.serial).collect::<Vec<_>>(),
        serials
    );
    assert!(listed.iter().all(|entry| entry.at == NOW));
    assert_eq!(
        store.revoked(issuer, 1, NOW).await,
        Ok(Vec::new()),
        "another shard"
    );
    let until = good.not_after;
    assert_eq!(
        store.revoked(issuer, 0, until).await.map(|list| list.len()),
        Ok(3)
    );
    let after = UnixTime(until.0 + 1);
    assert_eq!(store.revoked(issuer, 0, after).await, Ok(Vec::new()));
}

async fn revoke(store: &dyn Store, certificate: &Certificate) {
    let revoked = certificate
        .revoke(NOW, Actor::Operator(0), None)
        .expect("possible");
    let Revocation::Change(change) = revoked else {
        panic!("it was good");
    };
    applied(store, change.as_ref().clone()).await;
    // D2: a second one finds another version than it expects, and the first date stays.
    conflicts(store, *change).await;
}

pub(super) async fn open_work_is_what_is_under_way(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let (change, order, parts) = world.order("a.test");
    applied(&*store, change).await;
    let (change, ready, proven) = world.ready("b.test");
    applied(&*store, change).await;
    let nothing = store.open_work().await.expect("answers");
    assert!(nothing.orders.is_empty() && nothing.authorizations.is_empty());
    let taken = parts[0]
        .respond(NOW, 0)
        .expect("pending")
        .change
        .expect("a change");
    applied(&*store, *taken).await;
    let (claim, claimed) = world.claim(&ready, &proven);
    applied(&*store, claim).await;
    drop(store);
    let store = open();
    let open_now = store.open_work().await.expect("answers");
    assert_eq!(open_now.orders.as_slice(), std::slice::from_ref(&claimed));
    let under_way = open_now.authorizations;
    assert_eq!(
        under_way.iter().map(|found| found.id).collect::<Vec<_>>(),
        [parts[0].id]
    );
    let failure = ProofFailure {
        kind: FailureKind::Unauthorized,
        detail: "no".to_owned(),
        observations: Vec::new(),
    };
    let failed = under_way[0].on_finding(NOW, 0, Finding::Failed(failure), &order);
    applied(
        &*store,
        *failed.expect("under way").change.expect("a change"),
    )
    .await;
    applied(&*store, world.record(&claimed).0).await;
    let ended = store.open_work().await.expect("answers");
    assert!(ended.orders.is_empty() && ended.authorizations.is_empty());
}

pub(super) async fn pages_ascend(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    let mut expected = Vec::new();
    for number in 0..7 {
        let (change, order, _) = world.order(&format!("n{number}.test"));
        applied(&*store, change).await;
        expected.push(order.id);
    }
    let mut seen = Vec::new();
    let mut page = Page { after: 0, limit: 3 };
    loop {
        let found = store.orders(page).await.expect("answers");
        let Some(last) = found.last() else { break };
        assert!(found.len() <= 3);
        page.after = last.id.0;
        seen.extend(found.iter().map(|order| order.id));
    }
    assert_eq!(seen, expected);
}

pub(super) async fn audit_is_whole(open: Open<'_>) {
    let (mut world, store) = (World::new(), open());
    applied(&*store, world.account(1)).await;
    conflicts(&*store, world.account(1)).await;
    applied(&*store, world.account(2)).await;
    drop(store);
    let store = open();
    applied(&*store, world.account(3)).await;
    let blocks = store.audit(1, 0, 1000).await.expect("answers");
    let mut walk = Walk::default();
    for block in &blocks {
        walk.step(block).expect("follows");
    }
    let records = blocks
        .iter()
        .map(|block| block.records().expect("readable").len());
    assert_eq!(records.sum::<usize>(), 3);
}

pub(super) async fn settings_move(open: Open<'_>) {
    let store = open();
    assert_eq!(store.setting(SettingName::JournalMark).await, Ok(None));
    applied(&*store, Setting::journal_mark(NOW, None, 5)).await;
    let mark = store
        .setting(SettingName::JournalMark)
        .await
        .expect("answers");
    assert_eq!(mark.as_ref().and_then(Setting::number), Some(5));
    applied(&*store, Setting::journal_mark(NOW, mark.as_ref(), 9)).await;
    conflicts(&*store, Setting::journal_mark(NOW, mark.as_ref(), 7)).await;
    conflicts(&*store, Setting::journal_mark(NOW, None, 7)).await;
    let mark = store
        .setting(SettingName::JournalMark)
        .await
        .expect("answers");
    assert_eq!(mark.as_ref().and_then(Setting::number), Some(9));
}
