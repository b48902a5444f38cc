//! What no event may break.

use std::collections::{BTreeMap, BTreeSet};

use chancery_pki::tbs::assemble;
use chancery_pki::{Certificate as Parsed, UnixTime};

use crate::audit::Actor;
use crate::authorization::{
    Authorization, AuthorizationState, ChallengeState, Evidence, EvidenceKind,
};
use crate::certificate::{Certificate, CertificateStatus};
use crate::change::{Change, ChangeKind, Expect, Record};
use crate::id::{AuthorizationId, OrderId};
use crate::issuer::Issuer;
use crate::order::{Claim, Order, OrderState};
use crate::recovery::JournalledIntent;
use crate::world::Model;

/// Judges a change before it is applied.
pub(super) fn judge(
    before: &Model,
    change: &Change,
    now: UnixTime,
    proved: &BTreeSet<AuthorizationId>,
) {
    let kind = change.kind();
    for write in change.writes() {
        match &write.record {
            Record::Order(next) => match before.orders.get(&next.id) {
                None => assert_eq!((next.version, write.expect), (1, Expect::Absent)),
                Some(last) => order_moves(last, next, kind, now),
            },
            Record::Authorization(next) => match before.authorizations.get(&next.id) {
                None => assert_eq!((next.version, write.expect), (1, Expect::Absent)),
                Some(last) => authorization_moves(last, next, change, now),
            },
            Record::Certificate(next) => match before.certificates.get(&next.id) {
                None => assert_eq!((next.version, write.expect), (1, Expect::Absent)),
                Some(last) => certificate_moves(last, next, kind),
            },
            Record::Account(_)
            | Record::Issuer(_)
            | Record::Crl(_)
            | Record::Setting(_)
            | Record::Binding(_) => {}
        }
        if let (Record::Order(next), ChangeKind::OrderClaimed) = (&write.record, kind) {
            claim_is_proven(before, next, now, proved);
        }
    }
    foreign_objects_stay(change);
}

/// RFC 8555 §7.1.6, and the two ways out of it that are ours: a lost claim goes back to `ready` (or, if an authorization
/// was given up meanwhile, to `invalid`), and what the journal knows is `valid` whatever the store thought.
fn order_moves(last: &Order, next: &Order, kind: ChangeKind, now: UnixTime) {
    use ChangeKind::{
        AuthorizationFailed, AuthorizationProved, CertificateOrphaned, CertificateRecorded,
        CertificateRestored, ClaimVoided, OrderClaimed, OrderEnded,
    };
    use OrderState::{Cancelled, Invalid, Pending, Processing, Ready, Valid};
    let legal = match (&last.state, &next.state, kind) {
        (Pending, Pending | Ready, AuthorizationProved)
        | (Pending | Ready, Invalid { .. }, AuthorizationFailed)
        | (Pending | Ready, Cancelled, OrderEnded)
        | (Ready, Processing { .. }, OrderClaimed) => !last.is_expired(now),
        (Processing { .. }, Valid { .. }, CertificateRecorded)
        | (Processing { .. }, Ready | Invalid { .. }, ClaimVoided | CertificateOrphaned)
        | (Processing { .. }, Processing { .. }, AuthorizationFailed) => true,
        (
            Pending | Ready | Processing { .. } | Invalid { .. } | Cancelled,
            Valid { .. },
            CertificateRestored,
        ) => true,
        _ => false,
    };
    assert!(
        legal,
        "{kind:?} moved {:?} to {:?}",
        last.state.name(),
        next.state.name()
    );
    assert_eq!(next.version, last.version + 1);
    let constant = |order: &Order| {
        let Order {
            version: _,
            state: _,
            parts,
            ..
        } = order;
        let parts = parts
            .iter()
            .map(|part| part.authorization)
            .collect::<Vec<_>>();
        let (gateway, profile) = (order.gateway.clone(), order.profile.clone());
        let times = (order.created, order.expires);
        (
            order.account,
            gateway,
            times,
            order.names.clone(),
            profile,
            order.verdict.clone(),
            parts,
        )
    };
    assert_eq!(constant(last), constant(next));
    let lost = matches!(
        (&last.state, kind),
        (Processing { .. }, AuthorizationFailed)
    );
    for (last, next) in last.parts.iter().zip(&next.parts) {
        let stays = next.satisfied || !last.satisfied;
        assert!(stays || lost, "a satisfied part stays so");
    }
    assert_ne!(
        (&last.state, &last.parts),
        (&next.state, &next.parts),
        "an event that changes nothing writes nothing"
    );
}

fn authorization_moves(last: &Authorization, next: &Authorization, change: &Change, now: UnixTime) {
    use AuthorizationState::{Deactivated, Invalid, Pending, Valid};
    use ChangeKind::{AuthorizationFailed, AuthorizationProved, ChallengeTaken, ValidationRetried};
    let fresh = now < last.expires;
    let legal = match (&last.state, &next.state, change.kind()) {
        (Pending, Pending, ChallengeTaken | ValidationRetried)
        | (Pending, Valid { .. }, AuthorizationProved)
        | (Pending | Valid { .. }, Deactivated, AuthorizationFailed) => fresh,
        (Pending, Invalid, AuthorizationFailed) => true,
        _ => false,
    };
    let kind = change.kind();
    assert!(
        legal,
        "{kind:?} moved {:?} to {:?}, fresh: {fresh}",
        last.state, next.state
    );
    if matches!(next.state, Deactivated) {
        assert_eq!(change.audit().actor, Actor::Account(last.account));
    }
    assert_eq!(next.version, last.version + 1);
    assert_eq!(
        (last.account, last.order, &last.identifier, last.expires),
        (next.account, next.order, &next.identifier, next.expires)
    );
    challenges_move(last, next);
    if let Valid { evidence } = &next.state {
        evidence_is_of_a_challenge(next, evidence);
    }
}

fn challenges_move(last: &Authorization, next: &Authorization) {
    use ChallengeState::{Invalid, Pending, Processing, Valid};
    for (last, next) in last.challenges.iter().zip(&next.challenges) {
        assert_eq!(
            (last.kind, last.token),
            (next.kind, next.token),
            "its URL leads to it still"
        );
        let legal = match (&last.state, &next.state) {
            (Pending, Pending | Processing { .. })
            | (Processing { .. }, Processing { .. } | Valid { .. } | Invalid { .. }) => true,
            (last, next) => last == next,
        };
        assert!(
            legal,
            "a challenge moved from {:?} to {:?}",
            last.state, next.state
        );
    }
    let dropped = last
        .challenges
        .get(next.challenges.len()..)
        .expect("none is added");
    assert!(
        dropped
            .iter()
            .all(|challenge| matches!(challenge.state, Pending))
    );
}

fn evidence_is_of_a_challenge(authorization: &Authorization, evidence: &Evidence) {
    let EvidenceKind::Challenge(kind) = evidence.kind else {
        panic!("nothing is configured here")
    };
    let satisfied = authorization.challenges.iter().any(|challenge| {
        challenge.kind == kind && challenge.state == ChallengeState::Valid { at: evidence.at }
    });
    assert!(
        satisfied,
        "evidence comes from a satisfied challenge of the same authorization"
    );
}

/// Failures A12: the names of what will be signed are names with valid evidence of their own, for this order and account.
fn claim_is_proven(
    before: &Model,
    order: &Order,
    now: UnixTime,
    proved: &BTreeSet<AuthorizationId>,
) {
    let OrderState::Processing { claim } = &order.state else {
        panic!("a claim is processing")
    };
    let names = names_in(claim);
    assert_eq!(names, order.names.iter().cloned().collect::<Vec<_>>());
    for name in names {
        let own = order.parts.iter().any(|part| {
            before
                .authorizations
                .get(&part.authorization)
                .is_some_and(|found| {
                    found.identifier == name
                        && found.account == order.account
                        && found.order == Some(order.id)
                        && found.evidence_at(now).is_some()
                        && proved.contains(&found.id)
                })
        });
        assert!(own, "{name} has no evidence of its own");
    }
}

fn names_in(claim: &Claim) -> Vec<chancery_pki::San> {
    let algorithm = chancery_crypto::SignatureAlgorithm::EcdsaSha256;
    let der = assemble(&claim.tbs, algorithm, &[0]);
    Parsed::parse(&der).expect("a certificate").sans().to_vec()
}

/// Failures D2: the first revocation counts, and nothing else of a certificate ever changes.
fn certificate_moves(last: &Certificate, next: &Certificate, kind: ChangeKind) {
    assert_eq!(kind, ChangeKind::CertificateRevoked);
    assert_eq!(last.status, CertificateStatus::Good);
    assert!(matches!(next.status, CertificateStatus::Revoked { .. }));
    assert_eq!(next.version, last.version + 1);
    let (version, status) = (last.version, last.status);
    assert_eq!(
        *last,
        Certificate {
            version,
            status,
            ..next.clone()
        }
    );
}

/// One change concerns one order.
fn foreign_objects_stay(change: &Change) {
    let orders = change
        .writes()
        .iter()
        .filter_map(|write| match &write.record {
            Record::Order(order) => Some(order.id),
            Record::Authorization(authorization) => authorization.order,
            Record::Certificate(certificate) => Some(certificate.order),
            _ => None,
        });
    let orders: BTreeSet<OrderId> = orders.collect();
    assert!(
        orders.len() <= 1,
        "{:?} touches several orders",
        change.kind()
    );
}

/// Judges a state.
pub(super) fn hold(model: &Model, now: UnixTime) {
    let mut delivered: BTreeMap<OrderId, u32> = BTreeMap::new();
    for certificate in model.certificates.values() {
        let by_serial = model.certificate_by_serial(certificate.issuer, certificate.serial);
        assert_eq!(
            by_serial.map(|it| it.id),
            Some(certificate.id),
            "serials are unique"
        );
        if matches!(certificate.status, CertificateStatus::Orphaned { .. }) {
            continue;
        }
        *delivered.entry(certificate.order).or_default() += 1;
        if let Some(order) = model.orders.get(&certificate.order) {
            let valid = matches!(order.state, OrderState::Valid { .. });
            assert!(
                valid,
                "an order with a certificate is {}",
                order.state.name()
            );
            assert_eq!(order.certificate(), Some(certificate.id));
        }
    }
    assert!(
        delivered.values().all(|count| *count <= 1),
        "an order has one certificate"
    );
    for order in model.orders.values() {
        order_holds(model, order, now);
    }
}

fn order_holds(model: &Model, order: &Order, now: UnixTime) {
    let parts = model.authorizations_of(order);
    match &order.state {
        OrderState::Valid { .. } => {
            let id = order.certificate().expect("a valid order has one");
            let found = model.certificates.get(&id).expect("it is stored");
            assert_eq!(found.order, order.id);
            assert!(!matches!(found.status, CertificateStatus::Orphaned { .. }));
        }
        OrderState::Processing { claim } => {
            let known = model.certificate_by_serial(claim.issuer, claim.serial);
            assert_eq!(known, None, "a claim waits for a certificate that is there");
        }
        OrderState::Ready if !order.is_expired(now) => {
            assert!(order.parts.iter().all(|part| part.satisfied));
            let sound = |it: &Authorization| matches!(it.state, AuthorizationState::Valid { .. });
            assert!(parts.iter().all(sound), "a ready order is proven");
        }
        OrderState::Pending if !order.is_expired(now) => {
            let possible = |it: &Authorization| {
                matches!(
                    it.state,
                    AuthorizationState::Pending | AuthorizationState::Valid { .. }
                )
            };
            assert!(
                parts.iter().all(possible),
                "a pending order can still be fulfilled"
            );
            assert!(order.parts.iter().any(|part| !part.satisfied));
        }
        OrderState::Pending
        | OrderState::Ready
        | OrderState::Invalid { .. }
        | OrderState::Cancelled => {}
    }
}

/// Judges a state after a start: the store knows whatever the journal knows.
pub(super) fn reconciled(model: &Model, issuer: &Issuer, journal: &[JournalledIntent]) {
    for intent in journal {
        let found = model.certificate_by_serial(issuer.id, intent.serial);
        let found = found.expect("every intent is a certificate");
        if intent.signature.is_some() {
            let orphan = matches!(found.status, CertificateStatus::Orphaned { .. });
            assert!(!orphan, "what was signed is no orphan");
        }
    }
}
