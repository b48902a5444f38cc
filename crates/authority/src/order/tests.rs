use chancery_pki::{DnsName, Serial};

use chancery_acme::ChallengeKind;
use chancery_pki::NotNarrower;

use super::*;
use crate::gateway::{NamePattern, NameRules};
use crate::refusal::NameRefusal;
use crate::world::{BEGINNING, World, names};

fn wanted(texts: &[&str]) -> BTreeSet<San> {
    names(texts).expect("names")
}

/// A pending order for two names.
fn placed(world: &mut World) -> Order {
    let (_, order, _) = world
        .order(AccountId(1), wanted(&["a.test", "b.test"]))
        .expect("placed");
    order
}

fn refusal(world: &mut World, names: BTreeSet<San>) -> Refusal {
    world
        .order(AccountId(1), names)
        .map(drop)
        .expect_err("refuses")
}

#[test]
fn an_order_has_one_authorization_for_each_name_and_none_is_satisfied() {
    let mut world = World::new(1);
    let names = wanted(&["a.test", "*.a.test", "b.test"]);
    let (change, order, authorizations) = world.order(AccountId(1), names.clone()).expect("placed");
    assert_eq!(change.writes().len(), 4);
    assert_eq!(order.names, names);
    assert_eq!(order.state, OrderState::Pending);
    let proving: BTreeSet<San> = authorizations
        .iter()
        .map(|it| it.identifier.clone())
        .collect();
    assert_eq!(proving, names);
    for (part, authorization) in order.parts.iter().zip(&authorizations) {
        assert_eq!(
            (part.authorization, part.satisfied),
            (authorization.id, false)
        );
        assert_eq!(
            (authorization.order, authorization.account),
            (Some(order.id), order.account)
        );
    }
    let tokens: BTreeSet<_> = authorizations
        .iter()
        .flat_map(|it| it.challenges.iter().map(|challenge| challenge.token))
        .collect();
    assert_eq!(
        tokens.len(),
        5,
        "two for each plain name, one for the wildcard"
    );
}

#[test]
fn what_cannot_be_ordered_is_refused_with_the_reason() {
    let mut world = World::new(1);
    let max = NAMES_PER_ORDER_MAX;
    let refused = refusal(&mut world, BTreeSet::new());
    assert_eq!(refused, Refusal::NameCount { count: 0, max });
    let many = (0..=max).map(|number| format!("n{number}.test"));
    let many = many
        .map(|name| San::parse_dns(&name).expect("a name"))
        .collect();
    let refused = refusal(&mut world, many);
    assert_eq!(
        refused,
        Refusal::NameCount {
            count: max + 1,
            max
        }
    );

    world.gateway.names = NameRules {
        allow: vec![NamePattern::Any],
        deny: vec![NamePattern::Exactly(
            DnsName::parse("b.test").expect("a name"),
        )],
        scope: None,
    };
    let refused = refusal(&mut world, wanted(&["a.test", "b.test", "c"]));
    let [b, c] = ["b.test", "c"].map(|name| San::parse_dns(name).expect("a name"));
    let reasons = vec![(b, NameRefusal::Denied), (c, NameRefusal::SingleLabel)];
    assert_eq!(refused, Refusal::RejectedNames(reasons));

    world.gateway.challenges = vec![ChallengeKind::Http01];
    let name = San::parse_dns("*.a.test").expect("a name");
    let refused = refusal(&mut world, [name.clone()].into());
    assert_eq!(refused, Refusal::NoChallengeFor { name });

    world.gateway.profiles.clear();
    let refused = refusal(&mut world, wanted(&["a.test"]));
    assert!(
        matches!(refused, Refusal::UnknownProfile { .. }),
        "{refused}"
    );
}

#[test]
fn the_servers_own_order_is_ready_by_configuration_and_nothing_else_is() {
    let mut world = World::new(1);
    let (_, order, authorizations) = Order::create_for_server(
        world.now,
        world.now.0 * 1000,
        &mut world.ids,
        &world.gateway,
        wanted(&["ca.test"]),
        "server".to_owned(),
    );
    assert_eq!(order.state, OrderState::Ready);
    assert_eq!(order.account, AccountId::AUTHORITY);
    let evidence = authorizations[0]
        .evidence_at(world.now)
        .expect("there is some");
    assert_eq!(evidence.kind, EvidenceKind::Configuration);
    assert_eq!(placed(&mut world).state, OrderState::Pending);
}

/// One order in each state, and one event of each kind that concerns it.
struct Table {
    world: World,
    order: Order,
}

const STATES: [&str; 6] = [
    "pending",
    "ready",
    "processing",
    "valid",
    "invalid",
    "cancelled",
];

impl Table {
    fn new() -> Self {
        let mut world = World::new(1);
        let order = placed(&mut world);
        Self { world, order }
    }

    fn claim(&self) -> Claim {
        Claim {
            issuer: IssuerId(2),
            serial: Serial::new(self.world.now, [7; 16]),
            tbs: vec![1],
            profile_hash: [2; 32],
            csr_digest: [3; 32],
            shard: 0,
            not_after: self.world.now,
        }
    }

    fn failure(&self) -> ProofFailure {
        ProofFailure {
            kind: FailureKind::Unauthorized,
            detail: "no".to_owned(),
            observations: Vec::new(),
        }
    }

    fn in_state(&self, name: &str) -> Order {
        let claim = self.claim();
        let (identifier, failure) = (None, self.failure());
        let state = match name {
            "pending" => OrderState::Pending,
            "ready" => OrderState::Ready,
            "processing" => OrderState::Processing { claim },
            "valid" => OrderState::Valid {
                csr_digest: [3; 32],
            },
            "invalid" => OrderState::Invalid {
                identifier,
                failure,
            },
            _ => OrderState::Cancelled,
        };
        let mut order = Order {
            state,
            ..self.order.clone()
        };
        for part in &mut order.parts {
            part.satisfied = name != "pending";
        }
        order
    }

    fn event(&self, name: &str) -> OrderEvent {
        let authorization = self.order.parts[0].authorization;
        match name {
            "proved" => OrderEvent::AuthorizationValid(authorization),
            "lost" => OrderEvent::AuthorizationLost {
                authorization,
                identifier: San::parse_dns("a.test").expect("a name"),
                failure: self.failure(),
            },
            "claimed" => OrderEvent::Claimed(Box::new(self.claim())),
            "signed" => OrderEvent::Signed,
            "claim lost" => OrderEvent::ClaimLost,
            "restored" => OrderEvent::Restored,
            _ => OrderEvent::Cancelled,
        }
    }
}

fn name_of(order: &Order) -> &'static str {
    match order.state {
        OrderState::Cancelled => "cancelled",
        _ => order.state.name(),
    }
}

/// RFC 8555 §7.1.6 with what is ours beside it: every state, every event, `-` where nothing happens.
#[test]
fn each_event_in_each_state_has_one_outcome() {
    let table = Table::new();
    for (event, outcomes) in [
        ("proved", ["pending", "-", "-", "-", "-", "-"]),
        ("lost", ["invalid", "invalid", "processing", "-", "-", "-"]),
        ("claimed", ["-", "processing", "-", "-", "-", "-"]),
        ("signed", ["-", "-", "valid", "-", "-", "-"]),
        ("claim lost", ["-", "-", "ready", "-", "-", "-"]),
        (
            "restored",
            ["valid", "valid", "valid", "-", "valid", "valid"],
        ),
        ("cancelled", ["cancelled", "cancelled", "-", "-", "-", "-"]),
    ] {
        for (state, expected) in STATES.into_iter().zip(outcomes) {
            let before = table.in_state(state);
            let after = before.step(BEGINNING, &table.event(event));
            let outcome = after.as_ref().map_or("-", name_of);
            assert_eq!(outcome, expected, "{event} in {state}");
            if let Some(after) = after {
                assert_eq!(after.version, before.version + 1);
            }
        }
    }
}

#[test]
fn after_its_end_an_unfulfilled_order_takes_nothing_but_what_the_journal_knows() {
    let table = Table::new();
    for (state, expired) in STATES
        .into_iter()
        .zip([true, true, false, false, false, false])
    {
        let order = table.in_state(state);
        assert!(!order.is_expired(UnixTime(order.expires.0 - 1)));
        assert_eq!(order.is_expired(order.expires), expired, "{state}");
        if expired {
            assert_eq!(order.status_at(order.expires), "invalid");
            for event in [
                "proved",
                "lost",
                "claimed",
                "signed",
                "claim lost",
                "cancelled",
            ] {
                assert_eq!(
                    order.step(order.expires, &table.event(event)),
                    None,
                    "{event}"
                );
            }
            let restored = order
                .step(order.expires, &OrderEvent::Restored)
                .expect("it is real");
            assert_eq!(name_of(&restored), "valid");
        }
    }
}

#[test]
fn an_order_is_ready_when_its_last_part_is_and_foreign_or_repeated_proofs_change_nothing() {
    let order = Table::new().order;
    let [first, second] = [0, 1].map(|part| order.parts[part].authorization);
    let prove = |order: &Order, id| order.step(BEGINNING, &OrderEvent::AuthorizationValid(id));
    assert_eq!(prove(&order, AuthorizationId(77)), None);
    let half = prove(&order, second).expect("it is one of its own");
    assert_eq!(half.state, OrderState::Pending);
    assert_eq!(prove(&half, second), None);
    assert_eq!(
        prove(&half, first).map(|order| order.state),
        Some(OrderState::Ready)
    );
}

#[test]
fn a_claim_that_is_lost_after_an_authorization_was_given_up_ends_the_order() {
    let table = Table::new();
    let claimed = table.in_state("processing");
    let lost = claimed
        .step(BEGINNING, &table.event("lost"))
        .expect("it is noted");
    assert_eq!(
        lost.state, claimed.state,
        "the certificate that is being signed was earned"
    );
    let ended = lost
        .step(BEGINNING, &OrderEvent::ClaimLost)
        .expect("it moves");
    assert_eq!(name_of(&ended), "invalid");
}

#[test]
fn only_an_order_that_is_not_under_way_can_be_cancelled() {
    let table = Table::new();
    let actor = Actor::Account(table.order.account);
    for (state, possible) in STATES
        .into_iter()
        .zip([true, true, false, false, false, false])
    {
        let cancelled = table.in_state(state).cancel(BEGINNING, actor);
        assert_eq!(cancelled.is_ok(), possible, "{state}");
    }
}

#[test]
fn the_finalize_that_won_is_known_until_the_end_and_the_certificate_from_then_on() {
    let table = Table::new();
    for state in STATES {
        let order = table.in_state(state);
        let won = matches!(state, "processing" | "valid").then_some(&[3; 32]);
        assert_eq!(order.finalized_with(), won, "{state}");
        let certificate = (state == "valid").then_some(CertificateId(order.id.0));
        assert_eq!(order.certificate(), certificate, "{state}");
    }
}

/// An order of account 1 for these names, resting on what was proven before.
fn resting(
    world: &mut World,
    names: BTreeSet<San>,
    proven: &[Authorization],
) -> Result<(Change, Order, Vec<Authorization>), Refusal> {
    world.order_resting(wish(names), proven)
}

fn wish(names: BTreeSet<San>) -> Wanted {
    Wanted {
        names,
        profile: None,
        validity: AskedValidity::default(),
        replaces: None,
    }
}

/// Failures A10, with the same names on purpose.
#[test]
fn a10_an_order_rests_only_on_what_was_meant_for_it_and_proves_such_a_name() {
    let mut world = World::new(1);
    world.gateway.reuse = Offer::Made;
    let plain = wanted(&["a.test"]);
    let (_, order, parts) = world.order(AccountId(1), plain.clone()).expect("placed");
    let (first, proven) = world.prove(order, &parts, &mut Vec::new());
    let rests = |world: &mut World, names: &BTreeSet<San>, proven: &[Authorization]| {
        let (_, order, made) = resting(world, names.clone(), proven).expect("placed");
        (order.state == OrderState::Ready && made.is_empty(), order)
    };
    let (ready, second) = rests(&mut world, &plain, &proven);
    assert!(ready);
    assert_eq!(second.parts[0].authorization, first.parts[0].authorization);
    assert!(second.expires <= proven[0].expires);
    let csr = world.csr(&plain);
    assert!(world.claim(&second, &proven, &csr).is_ok());

    let changed = |change: &dyn Fn(&mut Authorization)| {
        let mut proven = proven.clone();
        change(&mut proven[0]);
        proven
    };
    for (why, proven) in [
        ("it is another's", changed(&|it| it.account = AccountId(2))),
        ("it is over", changed(&|it| it.expires = UnixTime(0))),
        (
            "it was given up",
            changed(&|it| it.state = AuthorizationState::Deactivated),
        ),
        ("it was for one order", changed(&|it| it.reuse = None)),
    ] {
        assert!(!rests(&mut world, &plain, &proven).0, "{why}");
    }
    let wildcard = wanted(&["*.a.test"]);
    assert!(
        !rests(&mut world, &wildcard, &proven).0,
        "http-01 proves no wildcard"
    );
    // Even a record that says it is for the wildcard: its method cannot prove one.
    let odd = changed(&|it| it.identifier = wildcard.first().expect("one").clone());
    assert!(!rests(&mut world, &wildcard, &odd).0);
    world
        .gateway
        .challenges
        .retain(|kind| *kind != ChallengeKind::Http01);
    assert!(
        !rests(&mut world, &plain, &proven).0,
        "the gateway does not offer that method any more"
    );
}

#[test]
fn a_validity_may_be_narrowed_and_never_widened() {
    let mut world = World::new(1);
    let (earliest, latest) = world.gateway.profiles[0].validity(world.now);
    let mut asked = |not_before: Option<i64>, not_after: Option<i64>| {
        let validity = AskedValidity {
            not_before: not_before.map(UnixTime),
            not_after: not_after.map(UnixTime),
        };
        let wanted = Wanted {
            validity,
            ..wish(wanted(&["a.test"]))
        };
        world.order_resting(wanted, &[]).map(|(_, order, _)| order)
    };
    let day = 24 * 3600;
    let order = asked(Some(earliest.0 + day), Some(latest.0 - day)).expect("placed");
    assert_eq!(order.not_before, Some(UnixTime(earliest.0 + day)));
    assert_eq!(order.not_after, Some(UnixTime(latest.0 - day)));
    assert!(asked(None, Some(latest.0)).is_ok());
    let too_long = Refusal::Validity(NotNarrower::TooLong { latest });
    for (not_before, not_after) in [
        (None, Some(latest.0 + 1)),
        (Some(earliest.0 + day), Some(latest.0 + day)),
    ] {
        assert_eq!(asked(not_before, not_after), Err(too_long.clone()));
    }
    let too_early = Refusal::Validity(NotNarrower::TooEarly { earliest });
    let shifted = (Some(earliest.0 - day), Some(latest.0 - day));
    assert_eq!(asked(shifted.0, shifted.1), Err(too_early));
    for (not_before, not_after) in [
        (Some(latest.0 - 1), Some(latest.0 - 1)),
        (Some(latest.0 + day), None),
        (None, Some(BEGINNING.0)),
    ] {
        assert_eq!(
            asked(not_before, not_after),
            Err(Refusal::Validity(NotNarrower::Empty))
        );
    }
}

#[test]
fn an_order_replaces_a_certificate_of_its_own_account_once() {
    let mut world = World::new(1);
    let first = world.issue(AccountId(1), wanted(&["a.test", "b.test"]));
    let replacing = |certificate: Certificate, taken_by: Option<&Order>| Replacing {
        names: wanted(&["a.test", "b.test"]),
        cert_id: "a.b".to_owned(),
        certificate,
        taken_by: taken_by.cloned().map(Arc::new),
    };
    let mut place = |replaces: Replacing, names: &[&str]| {
        let wanted = Wanted {
            replaces: Some(replaces),
            ..wish(wanted(names))
        };
        world.order_resting(wanted, &[])
    };
    let good = || replacing(first.certificate.clone(), None);
    let (change, order, _) = place(good(), &["b.test", "c.test"]).expect("placed");
    let id = first.certificate.id;
    assert_eq!(order.replaces.as_ref().map(|it| it.certificate), Some(id));
    let marked = change
        .writes()
        .iter()
        .find_map(|write| match &write.record {
            Record::Certificate(certificate) => Some((write.expect, certificate.replaced_by)),
            _ => None,
        });
    let expect = crate::change::Expect::Version(first.certificate.version);
    assert_eq!(
        marked,
        Some((expect, Some(order.id))),
        "so that of two orders one conflicts"
    );

    let refused = place(good(), &["c.test"]).map(drop);
    assert!(
        matches!(refused, Err(Refusal::NotReplaceable(_))),
        "{refused:?}"
    );
    let taken = replacing(first.certificate.clone(), Some(&order));
    let serial = first.certificate.serial;
    assert_eq!(
        place(taken, &["a.test"]).map(drop),
        Err(Refusal::AlreadyReplaced { serial })
    );
    // What came to nothing has replaced nothing.
    let mut ended = order.clone();
    ended.state = OrderState::Cancelled;
    let mut late = order;
    late.expires = BEGINNING;
    for over in [&ended, &late] {
        let free = replacing(first.certificate.clone(), Some(over));
        assert!(place(free, &["a.test"]).is_ok(), "{:?}", over.state);
    }
    let mut anothers = first.certificate.clone();
    anothers.account = AccountId(2);
    let refused = place(replacing(anothers, None), &["a.test"]).map(drop);
    assert!(
        matches!(refused, Err(Refusal::NotReplaceable(_))),
        "{refused:?}"
    );
}
