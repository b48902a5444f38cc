use chancery_authority::account::KeyTag;
use chancery_authority::audit::Actor;
use chancery_authority::authorization::ReuseTag;
use chancery_authority::gateway::Offer;
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::store::{CertificateFilter, OpenWork, Page};
use chancery_authority::world::{World, names};
use chancery_authority::{AccountId, AuthorizationId, CertificateId, IssuerId, OrderId};
use chancery_pki::{Serial, UnixTime};

use crate::contract::Open;
use crate::contract::steps::{account, applied, holds, issued};

const FIRST: Page = Page {
    after: 0,
    limit: 100,
};

pub(in crate::contract) async fn an_empty_store_answers_with_nothing(open: Open<'_>) {
    let store = open();
    let issuer = IssuerId(1);
    let serial = Serial::new(UnixTime(1_790_000_000), [1; 16]);
    assert_eq!(store.account(AccountId(1)).await, Ok(None));
    assert_eq!(store.account_by_key(KeyTag([1; 16])).await, Ok(None));
    assert_eq!(store.order(OrderId(1)).await, Ok(None));
    assert_eq!(store.orders(FIRST).await, Ok(Vec::new()));
    assert_eq!(store.authorization(AuthorizationId(1)).await, Ok(None));
    let ids = vec![AuthorizationId(1), AuthorizationId(2)];
    assert_eq!(store.authorizations(ids).await, Ok(Vec::new()));
    assert_eq!(store.certificate(CertificateId(1)).await, Ok(None));
    assert_eq!(store.certificate_by_serial(issuer, serial).await, Ok(None));
    let all = CertificateFilter::default();
    assert_eq!(store.certificates(FIRST, all).await, Ok(Vec::new()));
    assert_eq!(store.revoked(issuer, 0, UnixTime(0)).await, Ok(Vec::new()));
    assert_eq!(store.crls(issuer).await, Ok(Vec::new()));
    assert_eq!(store.issuers().await, Ok(Vec::new()));
    assert_eq!(store.setting(SettingName::UrlKey).await, Ok(None));
    let nothing = OpenWork {
        orders: Vec::new(),
        authorizations: Vec::new(),
    };
    assert_eq!(store.open_work().await, Ok(nothing));
    assert_eq!(store.audit(1, 0, 10).await, Ok(Vec::new()));
    assert_eq!(store.health().await.map(|health| health.highest_id), Ok(0));
}

pub(in crate::contract) async fn every_record_comes_back_equal(open: Open<'_>) {
    let (mut world, store) = (World::new(11), open());
    let mut done = vec![world.initialised()];
    let (change, owner) = world.account();
    let tag = owner.key_tag;
    done.push(change);
    let wanted = names(&["a.test", "*.a.test", "b.example.test"]).expect("names");
    let issued = world.issue(owner.id, wanted);
    done.extend(issued.changes);
    let (revocation, certificate) = world.revocation(&issued.certificate, world.now);
    let entries = certificate.crl_entry().into_iter().collect();
    let (published, crl) = world.crl(certificate.shard, None, entries);
    done.extend([revocation, published]);
    done.push(Setting::journal_mark(world.now, None, u64::MAX));
    let updated = owner.deactivated(world.now);
    done.push(updated.clone());
    for change in &done {
        applied(&*store, change).await;
        holds(&*store, change).await;
    }
    // By their other keys, and in another process.
    drop(store);
    let store = open();
    holds(&*store, &updated).await;
    let found = store
        .account_by_key(tag)
        .await
        .expect("answers")
        .expect("there");
    assert_eq!(found.id, owner.id);
    let by_serial = store
        .certificate_by_serial(certificate.issuer, certificate.serial)
        .await;
    assert_eq!(by_serial, Ok(Some(certificate.clone())));
    let other = IssuerId(certificate.issuer.0 + 1);
    assert_eq!(
        store.certificate_by_serial(other, certificate.serial).await,
        Ok(None)
    );
    let issuers = vec![world.root.clone(), world.issuer.record.clone()];
    assert_eq!(store.issuers().await, Ok(issuers));
    assert_eq!(store.crls(crl.issuer).await, Ok(vec![crl]));
    assert_eq!(store.order(issued.order.id).await, Ok(Some(issued.order)));
}

pub(in crate::contract) async fn several_authorizations_come_as_asked(open: Open<'_>) {
    let (mut world, store) = (World::new(12), open());
    let wanted = names(&["a.test", "b.test", "c.test"]).expect("names");
    let (change, _, parts) = world.order(AccountId(1), wanted).expect("placed");
    applied(&*store, &change).await;
    let [a, b, c] = [0, 1, 2].map(|part: usize| parts[part].clone());
    let missing = AuthorizationId(c.id.0 + 1000);
    let asked = vec![c.id, missing, a.id, b.id, a.id];
    let found = store.authorizations(asked).await;
    assert_eq!(found, Ok(vec![c, a.clone(), b, a]));
    assert_eq!(store.authorizations(Vec::new()).await, Ok(Vec::new()));
}

pub(in crate::contract) async fn the_highest_number_is_known(open: Open<'_>) {
    let (mut world, store) = (World::new(13), open());
    let owner = account(&mut world, &*store).await;
    assert_eq!(store.health().await.map(|it| it.highest_id), Ok(owner.id.0));
    let placed = issued(&mut world, &*store, owner.id, "a.test").await;
    let highest = placed.authorizations[0].id.0;
    assert_eq!(store.health().await.map(|it| it.highest_id), Ok(highest));
    let contact = owner.with_contact(world.now, Vec::new());
    assert_eq!(contact.audit().actor, Actor::Account(owner.id));
    applied(&*store, &contact).await;
    assert_eq!(store.health().await.map(|it| it.highest_id), Ok(highest));
}

/// Failures A10: of one account, for exactly one identifier, as long as it is valid.
pub(in crate::contract) async fn reusable_while_valid(open: Open<'_>) {
    let (mut world, store) = (World::new(14), open());
    let wanted = || names(&["a.test", "*.a.test"]).expect("names");
    let tags = |account| {
        let tags = wanted()
            .iter()
            .map(|name| ReuseTag::new(account, name))
            .collect();
        store.reusable(tags)
    };
    let first = issued(&mut world, &*store, AccountId(1), "a.test").await;
    assert!(first.authorizations[0].evidence_at(world.now).is_some());
    assert_eq!(
        tags(AccountId(1)).await,
        Ok(Vec::new()),
        "it was not meant for that"
    );

    world.gateway.reuse = Offer::Made;
    let (placed, order, parts) = world.order(AccountId(1), wanted()).expect("placed");
    applied(&*store, &placed).await;
    assert_eq!(
        tags(AccountId(1)).await,
        Ok(Vec::new()),
        "nothing is proven yet"
    );
    let mut changes = Vec::new();
    let (order, parts) = world.prove(order, &parts, &mut changes);
    for change in &changes {
        applied(&*store, change).await;
    }
    assert_eq!(tags(AccountId(1)).await, Ok(parts.clone()));
    assert_eq!(
        tags(AccountId(2)).await,
        Ok(Vec::new()),
        "nor is it another's"
    );

    let given_up = parts[0]
        .deactivate(world.now, Some(&order))
        .expect("it is valid");
    applied(&*store, &given_up.change.expect("a change")).await;
    assert_eq!(tags(AccountId(1)).await, Ok(vec![parts[1].clone()]));
}
