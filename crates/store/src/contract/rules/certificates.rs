use chancery_authority::certificate::{Certificate, CertificateStatus};
use chancery_authority::change::Record;
use chancery_authority::order::OrderState;
use chancery_authority::recovery::{JournalledIntent, reconcile};
use chancery_authority::store::{CertificateFilter, Page};
use chancery_authority::world::{World, names};
use chancery_authority::{AccountId, Change, Store};

use crate::contract::Open;
use crate::contract::steps::{applied, conflicts, holds, issued, stored};

async fn all(store: &dyn Store) -> Vec<Certificate> {
    let page = Page {
        after: 0,
        limit: Page::LIMIT_MAX,
    };
    store
        .certificates(page, CertificateFilter::default())
        .await
        .expect("answers")
}

fn certificate_of(change: &Change) -> Certificate {
    let mut writes = change.writes().iter();
    let found = writes.find_map(|write| match &write.record {
        Record::Certificate(certificate) => Some(certificate.clone()),
        _ => None,
    });
    found.expect("a certificate is written")
}

pub(in crate::contract) async fn a7_certificates_are_unique(open: Open<'_>) {
    let (mut world, store) = (World::new(31), open());
    let first = issued(&mut world, &*store, AccountId(1), "a.test").await;
    // The same once more: neither the certificate nor the order's move happens twice.
    conflicts(&*store, first.changes.last().expect("it was recorded")).await;

    // Another order that claims the same serial gets no certificate by it, and no order moves.
    let second = world.issue(AccountId(1), names(&["b.test"]).expect("a name"));
    let (recorded, before) = second.changes.split_last().expect("it was recorded");
    for change in before {
        applied(&*store, change).await;
    }
    let mut stolen = second.claimed.clone();
    if let OrderState::Processing { claim } = &mut stolen.state {
        claim.serial = first.certificate.serial;
    }
    let (stealing, ..) = world.record(&stolen, &second.intent).expect("it claims");
    conflicts(&*store, &stealing).await;
    assert_eq!(
        store.order(second.order.id).await,
        Ok(Some(second.claimed.clone()))
    );
    assert_eq!(all(&*store).await, std::slice::from_ref(&first.certificate));
    applied(&*store, recorded).await;

    // A serial stays taken when its certificate is revoked, and in another process.
    let (revocation, _) = world.revocation(&first.certificate, world.now);
    applied(&*store, &revocation).await;
    drop(store);
    let store = open();
    let spare = world.spare();
    let again = reconcile(
        world.now,
        &first.intent,
        Some(&first.order),
        &world.issuer,
        spare,
    );
    conflicts(&*store, &again).await;
    assert_eq!(all(&*store).await.len(), 2);
}

pub(in crate::contract) async fn a9_restored_and_orphaned(open: Open<'_>) {
    let (mut world, store) = (World::new(32), open());
    let lost = world.issue(AccountId(1), names(&["a.test"]).expect("a name"));
    // The store knows the order up to its claim; the journal has the signature.
    let (_, before) = lost.changes.split_last().expect("it was recorded");
    for change in before {
        applied(&*store, change).await;
    }
    let spare = world.spare();
    let restored = reconcile(
        world.now,
        &lost.intent,
        Some(&lost.claimed),
        &world.issuer,
        spare,
    );
    applied(&*store, &restored).await;
    holds(&*store, &restored).await;
    conflicts(&*store, &restored).await;
    let found = store
        .certificate(lost.certificate.id)
        .await
        .expect("answers")
        .expect("there");
    assert_eq!(found.der, lost.certificate.der);

    // Of another order there is only the intent.
    let cut = world.issue(AccountId(1), names(&["b.test"]).expect("a name"));
    let (_, before) = cut.changes.split_last().expect("it was recorded");
    for change in before {
        applied(&*store, change).await;
    }
    let intent = JournalledIntent {
        signature: None,
        ..cut.intent.clone()
    };
    let spare = world.spare();
    let orphaned = reconcile(world.now, &intent, Some(&cut.claimed), &world.issuer, spare);
    applied(&*store, &orphaned).await;
    holds(&*store, &orphaned).await;
    let orphan = certificate_of(&orphaned);
    assert!(matches!(orphan.status, CertificateStatus::Orphaned { .. }));
    let by_serial = store
        .certificate_by_serial(orphan.issuer, orphan.serial)
        .await;
    assert_eq!(by_serial, Ok(Some(orphan)));

    // The order is free again, and takes its own number under another serial.
    let ready = store
        .order(cut.order.id)
        .await
        .expect("answers")
        .expect("there");
    let csr = world.csr(&ready.names);
    let (claim, claimed) = world
        .claim(&ready, &cut.authorizations, &csr)
        .expect("a claim");
    let intent = world.journalled(&claimed, 99).expect("it claims");
    let (recorded, ..) = world.record(&claimed, &intent).expect("a certificate");
    applied(&*store, &claim).await;
    applied(&*store, &recorded).await;
    let delivered = certificate_of(&recorded);
    assert_eq!(delivered.id.0, cut.order.id.0);
    let found = stored(&*store, &Record::Certificate(delivered.clone())).await;
    assert_eq!(found, Some(Record::Certificate(delivered)));
}
