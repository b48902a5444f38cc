use std::collections::BTreeSet;

use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_pki::Certificate as Parsed;

use super::*;
use crate::authorization::AuthorizationState;
use crate::world::{World, names};

const FIVE: [&str; 5] = ["a.test", "*.a.test", "b.test", "c.test", "d.test"];

/// An order whose names are all proven.
fn ready(world: &mut World, texts: &[&str]) -> (Order, Vec<Authorization>) {
    let names = names(texts).expect("names");
    let (_, order, authorizations) = world.order(AccountId(1), names).expect("placed");
    let (order, authorizations) = world.prove(order, &authorizations, &mut Vec::new());
    assert_eq!(order.state, OrderState::Ready);
    (order, authorizations)
}

fn claimed(world: &mut World, texts: &[&str]) -> (Order, Order) {
    let (order, authorizations) = ready(world, texts);
    let csr = world.csr(&order.names);
    let (_, claimed) = world.claim(&order, &authorizations, &csr).expect("a claim");
    (order, claimed)
}

fn claim_of(order: &Order) -> &Claim {
    match &order.state {
        OrderState::Processing { claim } => claim,
        other => panic!("{other:?}"),
    }
}

fn refused<T>(answer: Result<T, Refusal>) -> Refusal {
    answer.map(drop).expect_err("refuses")
}

#[test]
fn what_is_claimed_is_exactly_what_the_order_names_and_the_csr_gives_only_the_key() {
    let mut world = World::new(1);
    let (order, authorizations) = ready(&mut world, &FIVE);
    let csr = world.csr(&order.names);
    let (change, next) = world.claim(&order, &authorizations, &csr).expect("a claim");
    assert_eq!(change.writes().len(), 1);
    let claim = claim_of(&next);
    assert_eq!(claim.csr_digest, csr.digest());
    assert_eq!(claim.profile_hash, world.gateway.profiles[0].hash());
    assert_eq!(
        claim.shard,
        shard_of(&claim.serial, world.issuer.record.crl_shards)
    );

    let intent = world.journalled(&next, 1).expect("it claims");
    let (change, valid, certificate) = world.record(&next, &intent).expect("a certificate");
    assert_eq!(change.writes().len(), 2);
    assert_eq!(
        valid.state,
        OrderState::Valid {
            csr_digest: csr.digest()
        }
    );
    assert_eq!(Some(certificate.id), valid.certificate());
    let parsed = Parsed::parse(&certificate.der).expect("a certificate");
    let key = world.issuer.certificate.spki().key();
    assert_eq!(parsed.verify_signed_by(key), Ok(()));
    assert_eq!(parsed.spki().key(), csr.spki().key());
    assert_eq!(
        parsed.sans().iter().cloned().collect::<BTreeSet<_>>(),
        order.names
    );
    assert_eq!(parsed.serial(), certificate.serial);
    assert_eq!(parsed.not_after(), certificate.not_after);
    let url = world.issuer.record.crl_url(certificate.shard);
    assert_eq!(parsed.crl_urls(), [url]);
}

#[test]
fn a_csr_must_name_what_the_order_names_with_a_key_of_its_own() {
    let mut world = World::new(1);
    let (order, authorizations) = ready(&mut world, &["a.test", "b.test"]);
    let owner = Owner::unstored(order.account, AccountStatus::Valid);
    let claim = |csr: &Csr, key_use| world.claim_as(&order, &authorizations, csr, owner, key_use);
    let more = names(&["a.test", "b.test", "c.test"]).expect("names");
    let extra: Vec<San> = more.difference(&order.names).cloned().collect();
    let answer = claim(&world.csr(&more), KeyUse::NotOf(Vec::new()));
    assert_eq!(refused(answer), CsrRefusal::ExtraNames(extra).into());

    let fewer = names(&["a.test"]).expect("names");
    let missing: Vec<San> = order.names.difference(&fewer).cloned().collect();
    let answer = claim(&world.csr(&fewer), KeyUse::NotOf(Vec::new()));
    assert_eq!(refused(answer), CsrRefusal::MissingNames(missing).into());

    let answer = claim(&world.csr(&order.names), KeyUse::AccountKey);
    assert_eq!(refused(answer), CsrRefusal::AccountKey.into());

    world.gateway.profiles[0].keys = vec![KeyClass::P256];
    let key = PrivateKey::generate(KeyKind::Ec(Curve::P384)).expect("generates");
    let csr = world.csr_with_key(&key, &order.names);
    let answer = world.claim(&order, &authorizations, &csr);
    let refusal = CsrRefusal::KeyClass {
        profile: "server".to_owned(),
        class: KeyClass::P384.name().to_owned(),
    };
    assert_eq!(refused(answer), refusal.into());
}

/// Whoever changes the account, or registers the key, before the claim is durable makes it conflict.
#[test]
fn a_claim_needs_what_it_was_decided_on() {
    let mut world = World::new(1);
    let account = world.account().1;
    let wanted = names(&["a.test"]).expect("a name");
    let (placed, order, parts) = world
        .order_of(Owner::from(&account), wanted)
        .expect("placed");
    let as_seen = Need::Account {
        id: account.id,
        version: account.version,
    };
    assert_eq!(placed.needs(), [as_seen]);
    let (order, parts) = world.prove(order, &parts, &mut Vec::new());
    let tag = KeyTag([7; 16]);
    let csr = world.csr(&order.names);
    let key_use = KeyUse::NotOf(vec![tag]);
    let (claimed, _) = world
        .claim_as(&order, &parts, &csr, Owner::from(&account), key_use)
        .expect("a claim");
    assert_eq!(claimed.needs(), [as_seen, Need::NoAccountWith(tag)]);
}

#[test]
fn a1_each_name_needs_fresh_evidence_of_its_own() {
    let mut world = World::new(1);
    let (order, proven) = ready(&mut world, &FIVE);
    let csr = world.csr(&order.names);
    let check = |world: &World, shown: &[Authorization], name: &San| {
        let expected = Refusal::NoEvidence { name: name.clone() };
        assert_eq!(refused(world.claim(&order, shown, &csr)), expected);
    };
    for (index, name) in order.names.iter().enumerate() {
        let place = proven.iter().position(|it| it.identifier == *name);
        let place = place.unwrap_or_else(|| panic!("{index} is proven"));
        let with = |change: &dyn Fn(&mut Authorization)| {
            let mut shown = proven.clone();
            change(&mut shown[place]);
            shown
        };
        check(
            &world,
            &with(&|it| it.state = AuthorizationState::Pending),
            name,
        );
        check(
            &world,
            &with(&|it| it.state = AuthorizationState::Deactivated),
            name,
        );
        check(&world, &with(&|it| it.expires = world.now), name);
        check(&world, &with(&|it| it.account = AccountId(2)), name);
        check(&world, &with(&|it| it.id.0 += 1000), name);
        let other = order
            .names
            .iter()
            .find(|other| *other != name)
            .expect("five names");
        check(&world, &with(&|it| it.identifier = other.clone()), name);
        let mut without = proven.clone();
        without.remove(place);
        check(&world, &without, name);
    }
    world.now = UnixTime(order.expires.0 - 1);
    assert!(world.claim(&order, &proven, &csr).is_ok());
}

/// Failures A12: what another order of the same account proved is not this order's evidence.
#[test]
fn a12_evidence_of_another_order_does_not_count() {
    let mut world = World::new(1);
    let (order, _) = ready(&mut world, &["a.test"]);
    let (_, of_another) = ready(&mut world, &["a.test"]);
    let csr = world.csr(&order.names);
    let answer = refused(world.claim(&order, &of_another, &csr));
    assert!(matches!(answer, Refusal::NoEvidence { .. }), "{answer}");
}

#[test]
fn only_a_ready_order_of_an_active_account_is_claimed() {
    let mut world = World::new(1);
    let (order, authorizations) = ready(&mut world, &["a.test"]);
    let csr = world.csr(&order.names);
    for status in [AccountStatus::Deactivated, AccountStatus::Revoked] {
        let owner = Owner::unstored(order.account, status);
        let answer = world.claim_as(
            &order,
            &authorizations,
            &csr,
            owner,
            KeyUse::NotOf(Vec::new()),
        );
        assert_eq!(refused(answer), Denied::AccountInactive.into());
    }
    let (_, claimed) = world.claim(&order, &authorizations, &csr).expect("a claim");
    let answer = refused(world.claim(&claimed, &authorizations, &csr));
    assert_eq!(
        answer,
        Refusal::OrderState {
            state: "processing",
            needed: "ready"
        }
    );
    world.now = order.expires;
    let answer = refused(world.claim(&order, &authorizations, &csr));
    assert_eq!(
        answer,
        Refusal::OrderState {
            state: "invalid",
            needed: "ready"
        }
    );
}

#[test]
fn a_certificate_that_would_outlive_its_issuer_is_not_made() {
    let mut world = World::new(1);
    world.now = UnixTime(world.issuer.certificate.not_after().0 - 24 * 3600);
    let (order, authorizations) = ready(&mut world, &["a.test"]);
    let csr = world.csr(&order.names);
    let answer = refused(world.claim(&order, &authorizations, &csr));
    assert!(matches!(answer, Refusal::NotIssuable(_)), "{answer}");
}

#[test]
fn two_claims_never_share_a_serial() {
    let mut world = World::new(1);
    let (order, authorizations) = ready(&mut world, &["a.test"]);
    let csr = world.csr(&order.names);
    let serials: BTreeSet<Serial> = (0..50)
        .map(|_| world.claim(&order, &authorizations, &csr).expect("a claim"))
        .map(|(_, claimed)| claim_of(&claimed).serial)
        .collect();
    assert_eq!(serials.len(), 50);
}

#[test]
fn a_permit_is_for_the_bytes_that_its_order_claimed_and_for_no_others() {
    let mut world = World::new(1);
    let profile = world.gateway.profiles[0].clone();
    let (ready, first) = claimed(&mut world, &["a.test"]);
    let (_, second) = claimed(&mut world, &["a.test"]);
    let permit = Permit::resume(&first, &profile, &world.issuer).expect("a permit");
    assert_eq!(
        (permit.order(), permit.serial()),
        (first.id, claim_of(&first).serial)
    );

    let lint = |order: &Order| {
        let tbs = Tbs::from_der(claim_of(order).tbs.clone());
        lint_leaf(tbs, &profile, &world.issuer.certificate).expect("it is sound")
    };
    assert!(Permit::new(lint(&first), &first).is_ok());
    let answer = refused(Permit::new(lint(&second), &first));
    let needed = "processing";
    assert_eq!(
        answer,
        Refusal::OrderState {
            state: "processing other bytes",
            needed
        }
    );
    let answer = refused(Permit::new(lint(&first), &ready));
    assert_eq!(
        answer,
        Refusal::OrderState {
            state: "ready",
            needed
        }
    );

    let mut changed = profile.clone();
    changed.names_max += 1;
    let answer = refused(Permit::resume(&first, &changed, &world.issuer));
    assert_eq!(
        answer,
        Refusal::OrderState {
            state: "processing other bytes",
            needed
        }
    );
    changed.lifetime_secs -= 1;
    let answer = refused(Permit::resume(&first, &changed, &world.issuer));
    assert!(matches!(answer, Refusal::Lint { .. }), "{answer}");
}

#[test]
fn a_signature_is_recorded_once_and_only_while_it_is_awaited() {
    let mut world = World::new(1);
    let (ready, claimed) = claimed(&mut world, &["a.test"]);
    let intent = world.journalled(&claimed, 1).expect("it claims");
    let (_, valid, _) = world.record(&claimed, &intent).expect("a certificate");
    for (order, state) in [(&ready, "ready"), (&valid, "valid")] {
        let expected = Refusal::OrderState {
            state,
            needed: "processing",
        };
        assert_eq!(refused(world.record(order, &intent)), expected.clone());
        assert_eq!(refused(void(world.now, order, "no")), expected);
    }
}

#[test]
fn a_voided_claim_leaves_the_order_to_be_claimed_under_another_serial() {
    let mut world = World::new(1);
    let (order, authorizations) = ready(&mut world, &["a.test"]);
    let csr = world.csr(&order.names);
    let (_, first) = world.claim(&order, &authorizations, &csr).expect("a claim");
    let change = void(world.now, &first, "the signer refused").expect("it waits");
    assert_eq!(change.audit().note.as_deref(), Some("the signer refused"));
    let again = crate::world::order_in(&change).expect("the order moves");
    let (_, second) = world.claim(&again, &authorizations, &csr).expect("a claim");
    assert_ne!(claim_of(&first).serial, claim_of(&second).serial);
}

#[test]
fn shards_fill_evenly_and_never_go_beyond_their_number() {
    let world = World::new(1);
    let mut counts = [0_u32; 64];
    for _ in 0..64_000 {
        let serial = Serial::new(world.now, world.random());
        counts[usize::from(shard_of(&serial, 64))] += 1;
        assert_eq!(shard_of(&serial, 1), 0);
        assert_eq!(shard_of(&serial, 0), 0);
    }
    assert!(
        counts.iter().all(|count| (800..1200).contains(count)),
        "{counts:?}"
    );
}
