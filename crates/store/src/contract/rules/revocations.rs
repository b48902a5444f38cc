use chancery_authority::AccountId;
use chancery_authority::audit::Actor;
use chancery_authority::certificate::{Certificate, Revocation};
use chancery_authority::recovery::{JournalledIntent, reconcile};
use chancery_authority::world::{World, names};
use chancery_pki::{RevocationReason, RevokedEntry, UnixTime};

use crate::contract::Open;
use crate::contract::steps::{applied, conflicts, issued};

pub(in crate::contract) async fn d2_the_first_revocation_stays(open: Open<'_>) {
    let (mut world, store) = (World::new(41), open());
    let good = issued(&mut world, &*store, AccountId(1), "a.test")
        .await
        .certificate;
    let listed = || store.revoked(good.issuer, good.shard, UnixTime(0));
    assert_eq!(listed().await, Ok(Vec::new()));
    // Three decide at once, on the certificate as it is.
    let actors = [
        Actor::Account(good.account),
        Actor::CertificateKey,
        Actor::Operator(0),
    ];
    let mut changes = Vec::new();
    for (later, actor) in (0..).zip(actors) {
        let reason = Some(RevocationReason::KeyCompromise);
        let revocation = good
            .revoke(world.now.plus(later), actor, reason)
            .expect("no holds");
        let Revocation::Change(change) = revocation else {
            panic!("it is good")
        };
        changes.push(*change);
    }
    applied(&*store, &changes[0]).await;
    conflicts(&*store, &changes[1]).await;
    conflicts(&*store, &changes[2]).await;
    let reason = Some(RevocationReason::KeyCompromise);
    let entry = RevokedEntry {
        serial: good.serial,
        at: world.now,
        reason,
    };
    assert_eq!(listed().await, Ok(vec![entry]));
    let found = store
        .certificate(good.id)
        .await
        .expect("answers")
        .expect("there");
    assert_eq!(found.crl_entry(), Some(entry));
}

pub(in crate::contract) async fn d4_listed_until_the_end(open: Open<'_>) {
    let (mut world, store) = (World::new(42), open());
    let good = issued(&mut world, &*store, AccountId(1), "a.test")
        .await
        .certificate;
    let (revocation, revoked) = world.revocation(&good, world.now);
    applied(&*store, &revocation).await;
    let entry: Vec<_> = revoked.crl_entry().into_iter().collect();
    let end = good.not_after;
    for (listed_from, expected) in [
        (UnixTime(0), &entry[..]),
        (Certificate::listed_from(world.now), &entry),
        (Certificate::listed_from(end), &entry),
        (end, &entry),
        (end.plus(1), &[]),
        (UnixTime(i64::MAX), &[]),
    ] {
        let listed = store.revoked(good.issuer, good.shard, listed_from).await;
        assert_eq!(listed.as_deref(), Ok(expected), "from {listed_from:?}");
    }
}

pub(in crate::contract) async fn shards_list_their_own(open: Open<'_>) {
    let (mut world, store) = (World::new(43), open());
    let issuer = world.issuer.record.id;
    let shards = world.issuer.record.crl_shards;
    let mut expected: Vec<Vec<RevokedEntry>> = vec![Vec::new(); shards.into()];
    for number in 0..24_u32 {
        let name = format!("n{number}.test");
        if number % 3 == 2 {
            let cut = world.issue(AccountId(1), names(&[&name]).expect("a name"));
            let intent = JournalledIntent {
                signature: None,
                ..cut.intent
            };
            let spare = world.spare();
            let orphaned = reconcile(world.now, &intent, None, &world.issuer, spare);
            applied(&*store, &orphaned).await;
            let found = store
                .certificate(spare)
                .await
                .expect("answers")
                .expect("there");
            expected[usize::from(found.shard)].extend(found.crl_entry());
            continue;
        }
        let good = issued(&mut world, &*store, AccountId(1), &name)
            .await
            .certificate;
        if number % 3 == 1 {
            let (revocation, revoked) = world.revocation(&good, world.now.plus(number.into()));
            applied(&*store, &revocation).await;
            expected[usize::from(good.shard)].extend(revoked.crl_entry());
        }
    }
    for (shard, mut expected) in (0..).zip(expected) {
        expected.sort_by_key(|entry| entry.serial);
        assert_eq!(
            store.revoked(issuer, shard, UnixTime(0)).await,
            Ok(expected)
        );
    }
    assert_eq!(
        store.revoked(issuer, shards, UnixTime(0)).await,
        Ok(Vec::new())
    );
    let other = world.root.id;
    assert_eq!(store.revoked(other, 0, UnixTime(0)).await, Ok(Vec::new()));
}
