use super::*;
use crate::order::OrderState;
use crate::world::{World, authorization_in, names, order_in};

/// A pending order for one name, with its authorization.
fn placed(world: &mut World) -> (Order, Authorization) {
    let names = names(&["a.test"]).expect("a name");
    let (_, order, mut authorizations) = world.order(AccountId(1), names).expect("placed");
    (order, authorizations.remove(0))
}

fn taken(world: &World, authorization: &Authorization, index: u8) -> Authorization {
    let decision = authorization
        .respond(world.now, index)
        .expect("it is pending");
    authorization_in(&decision.change.expect("a first answer")).expect("it moves")
}

fn moved(decision: Result<Decision, Refusal>) -> (Change, Authorization) {
    let change = *decision.expect("accepted").change.expect("a change");
    let authorization = authorization_in(&change).expect("it moves");
    (change, authorization)
}

fn state_refused(decision: Result<Decision, Refusal>) -> &'static str {
    match decision {
        Err(Refusal::AuthorizationState { state }) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_starts_one_validation_and_answering_again_starts_none() {
    let mut world = World::new(1);
    let (_, authorization) = placed(&mut world);
    let decision = authorization.respond(world.now, 1).expect("it is pending");
    let [
        Effect::Validate {
            challenge: 1,
            after: Duration::ZERO,
            ..
        },
    ] = &decision.effects[..]
    else {
        panic!("{decision:?}")
    };
    let taken = taken(&world, &authorization, 1);
    let again = taken.respond(world.now, 1).expect("no error");
    assert!(again.change.is_none() && again.effects.is_empty());
    let refused = authorization.respond(world.now, 2);
    assert!(matches!(refused, Err(Refusal::NoSuchChallenge)));
    assert_eq!(
        state_refused(authorization.respond(authorization.expires, 0)),
        "expired"
    );
}

#[test]
fn trouble_that_may_pass_is_tried_three_times_and_a_wrong_answer_once() {
    for (kind, attempts) in [
        (FailureKind::Connection, ATTEMPTS_MAX),
        (FailureKind::Dns, ATTEMPTS_MAX),
        (FailureKind::Tls, ATTEMPTS_MAX),
        (FailureKind::IncorrectResponse, 1),
        (FailureKind::Unauthorized, 1),
        (FailureKind::CaaLookup, ATTEMPTS_MAX),
        (FailureKind::Caa, 1),
    ] {
        let mut world = World::new(1);
        let (order, authorization) = placed(&mut world);
        let mut authorization = taken(&world, &authorization, 0);
        for attempt in 1..=attempts {
            let finding = world.failed(kind);
            let decision = authorization
                .on_finding(world.now, 0, finding, Some(&order))
                .expect("in time");
            let effects = decision.effects.len();
            let (change, next) = moved(Ok(decision));
            authorization = next;
            if attempt < attempts {
                assert_eq!(effects, 1, "{kind:?}, attempt {attempt}");
                assert_eq!(change.kind(), ChangeKind::ValidationRetried);
                assert_eq!(authorization.state, AuthorizationState::Pending);
            } else {
                assert_eq!(effects, 0, "{kind:?}, attempt {attempt}");
                assert_eq!(authorization.state, AuthorizationState::Invalid);
                let order = order_in(&change).expect("the order fails with it");
                assert!(matches!(order.state, OrderState::Invalid { .. }));
            }
        }
    }
}

#[test]
fn a_proof_is_kept_as_evidence_and_moves_the_order_in_the_same_change() {
    let mut world = World::new(1);
    let (order, authorization) = placed(&mut world);
    let authorization = taken(&world, &authorization, 0);
    let finding = authorization.on_finding(world.now, 0, world.proved(), Some(&order));
    let (change, proven) = moved(finding);
    let evidence = proven.evidence_at(world.now).expect("it is valid");
    assert_eq!(
        evidence.kind,
        EvidenceKind::Challenge(ChallengeKind::Http01)
    );
    assert_eq!(evidence.observations.len(), 3);
    assert_eq!(proven.evidence_at(proven.expires), None);
    assert_eq!(
        order_in(&change).map(|order| order.state),
        Some(OrderState::Ready)
    );
    let late = proven.on_finding(world.now, 0, world.proved(), Some(&order));
    assert_eq!(state_refused(late), "valid");
}

/// A challenge's URL holds its place in the list.
#[test]
fn a_challenge_keeps_its_place_when_its_authorization_becomes_valid() {
    let mut world = World::new(1);
    let (order, pending) = placed(&mut world);
    for (index, left) in [(0, 1), (1, 2)] {
        let authorization = taken(&world, &pending, index);
        let finding = authorization.on_finding(world.now, index, world.proved(), Some(&order));
        let (_, proven) = moved(finding);
        assert_eq!(proven.challenges.len(), left);
        let challenge = &proven.challenges[usize::from(index)];
        assert_eq!(
            challenge.token,
            pending.challenges[usize::from(index)].token
        );
        assert_eq!(challenge.state, ChallengeState::Valid { at: world.now });
    }
}

#[test]
fn a_finding_counts_only_for_the_challenge_that_is_under_way_and_for_its_own_order() {
    let mut world = World::new(1);
    let (order, pending) = placed(&mut world);
    let (other, _) = placed(&mut world);
    let finding = |authorization: &Authorization, index, order: &Order| {
        authorization.on_finding(world.now, index, world.proved(), Some(order))
    };
    assert_eq!(state_refused(finding(&pending, 0, &order)), "pending");
    let taken = taken(&world, &pending, 0);
    assert_eq!(state_refused(finding(&taken, 1, &order)), "pending");
    assert!(matches!(
        finding(&taken, 9, &order),
        Err(Refusal::NoSuchChallenge)
    ));
    let foreign = finding(&taken, 0, &other);
    assert!(
        matches!(foreign, Err(Refusal::Denied(Denied::NotYours))),
        "{foreign:?}"
    );
}

#[test]
fn a_proof_that_comes_after_the_end_proves_nothing_and_closes_the_authorization() {
    let mut world = World::new(1);
    let (order, authorization) = placed(&mut world);
    let authorization = taken(&world, &authorization, 0);
    assert_eq!(authorization.open_effects().len(), 1);
    world.now = authorization.expires;
    let finding = authorization.on_finding(world.now, 0, world.proved(), Some(&order));
    let (change, closed) = moved(finding);
    assert_eq!(closed.state, AuthorizationState::Invalid);
    assert!(closed.open_effects().is_empty());
    assert_eq!(order_in(&change), None, "the order ran out by itself");
}

#[test]
fn giving_up_ends_the_order_and_is_the_accounts_act() {
    let mut world = World::new(1);
    let (order, authorization) = placed(&mut world);
    let (other, _) = placed(&mut world);
    let (change, given_up) = moved(authorization.deactivate(world.now, Some(&order)));
    assert_eq!(given_up.state, AuthorizationState::Deactivated);
    assert_eq!(change.audit().actor, Actor::Account(order.account));
    let ended = order_in(&change).expect("the order ends with it");
    assert!(matches!(ended.state, OrderState::Invalid { .. }));

    assert_eq!(
        state_refused(given_up.deactivate(world.now, Some(&order))),
        "deactivated"
    );
    assert_eq!(state_refused(given_up.respond(world.now, 0)), "deactivated");
    let late = authorization.deactivate(authorization.expires, Some(&order));
    assert_eq!(state_refused(late), "expired");
    let foreign = authorization.deactivate(world.now, Some(&other));
    assert!(
        matches!(foreign, Err(Refusal::Denied(Denied::NotYours))),
        "{foreign:?}"
    );
}

#[test]
fn what_was_under_way_is_found_again_after_a_restart() {
    let mut world = World::new(1);
    let (order, pending) = placed(&mut world);
    assert!(pending.open_effects().is_empty());
    let both = taken(&world, &taken(&world, &pending, 0), 1);
    let open: Vec<u8> = both
        .open_effects()
        .iter()
        .map(|effect| match effect {
            Effect::Validate { challenge, .. } => *challenge,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(open, [0, 1]);
    let (_, proven) = moved(both.on_finding(world.now, 1, world.proved(), Some(&order)));
    assert!(proven.open_effects().is_empty());
}
