use std::collections::BTreeSet;

use chancery_crypto::{Curve, KeyKind, MacAlgorithm, PrivateKey};
use chancery_jose::{BindingJws, Jwk, b64};
use chancery_pki::{AskedValidity, San};

use super::*;
use crate::Outcome;
use crate::account::{Account, KeyTag, Owner, Registration};
use crate::audit::Actor;
use crate::change::{ChangeKind, Expect, Need, Write};
use crate::gateway::BindingRule;
use crate::id::AccountId;
use crate::order::Wanted;
use crate::refusal::NameRefusal;
use crate::world::{Model, World, names};

const OPERATOR: u32 = 7;

fn wish(scope: Scope) -> BindingWish {
    BindingWish {
        note: None,
        usable_until: None,
        scope,
        accounts_max: None,
        certificates_max: None,
    }
}

fn scoped(names: &[&str]) -> Scope {
    Scope {
        names: names.iter().map(|it| (*it).to_owned()).collect(),
        ..Scope::whole_gateway()
    }
}

fn made(world: &mut World, wish: BindingWish) -> Binding {
    world.binding(wish).expect("made").1
}

/// The binding as it was seen, shown with an honest message.
fn shown(binding: &Binding) -> Shown {
    let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
    let jwk = Jwk::from_key(key.public());
    let protected = b64(br#"{"alg":"HS256","kid":"k","url":"u"}"#);
    let payload = b64(jwk.to_json().as_bytes());
    let input = format!("{protected}.{payload}");
    let tag = binding
        .secret
        .tag(MacAlgorithm::HmacSha256, input.as_bytes());
    let jws = format!(
        r#"{{"protected":"{protected}","payload":"{payload}","signature":"{}"}}"#,
        b64(&tag)
    );
    let message = BindingJws::parse(jws.as_bytes()).expect("well formed");
    let verified = message.verify(&binding.secret, &jwk).expect("genuine");
    let binding = binding.clone();
    Shown {
        binding,
        verified,
        jws,
    }
}

fn register(world: &World, number: u8, shown: Option<Shown>) -> Result<Change, Refusal> {
    let registration = Registration {
        shown,
        ..Registration::default()
    };
    let (id, tag) = (AccountId(i64::from(number)), KeyTag([number; 16]));
    let jwk = "{}".to_owned();
    Account::create(world.now, id, &world.gateway, jwk, tag, registration)
}

fn ask(world: &mut World, binding: &Binding, wanted: Wanted) -> Result<Change, Refusal> {
    let narrow = world.gateway.within(binding);
    let whole = std::mem::replace(&mut world.gateway, narrow);
    let created = world.order_resting(wanted, &[]);
    world.gateway = whole;
    created.map(|(change, ..)| change)
}

fn wanted(texts: &[&str], profile: Option<&str>) -> Wanted {
    Wanted {
        names: texts
            .iter()
            .map(|text| San::parse(text).expect("a name"))
            .collect(),
        profile: profile.map(str::to_owned),
        validity: AskedValidity::default(),
        replaces: None,
    }
}

#[test]
fn one_use_makes_one_account_whoever_asks_first() {
    let mut world = World::new(1);
    let once = BindingWish {
        accounts_max: Some(1),
        ..wish(Scope::whole_gateway())
    };
    let (change, binding) = world.binding(once).expect("made");
    let mut model = Model::default();
    assert_eq!(model.apply(&change), Outcome::Applied);
    // Two clients saw the same unused binding.
    let changes = [1, 2].map(|number| register(&world, number, Some(shown(&binding))));
    let [first, second] = changes.map(|change| change.expect("decided on what was seen"));
    assert_eq!(model.apply(&first), Outcome::Applied);
    assert_eq!(model.apply(&second), Outcome::Conflict);
    let now = model.bindings[&binding.id].clone();
    assert_eq!(
        now.accounts,
        Quota {
            max: Some(1),
            used: 1
        }
    );
    assert_eq!(now.status_at(world.now), BindingStatus::Spent);
    let refused = register(&world, 3, Some(shown(&now)));
    assert_eq!(refused, Err(BindingRefusal::Spent.into()));
    assert_eq!(model.accounts.len(), 1);
    let account = &model.accounts[&AccountId(1)];
    assert_eq!(
        account.bound.as_ref().map(|it| it.binding),
        Some(binding.id)
    );
}

#[test]
fn a_binding_ends_at_its_time_and_when_it_is_withdrawn_and_is_for_its_gateway() {
    let mut world = World::new(1);
    let soon = BindingWish {
        usable_until: Some(UnixTime(world.now.0 + 10)),
        ..wish(Scope::whole_gateway())
    };
    let (change, binding) = world.binding(soon).expect("made");
    let mut model = Model::default();
    assert_eq!(model.apply(&change), Outcome::Applied);
    assert!(register(&world, 1, Some(shown(&binding))).is_ok());
    let start = world.now;
    world.now = UnixTime(start.0 + 10);
    let refused = register(&world, 1, Some(shown(&binding)));
    assert_eq!(refused, Err(BindingRefusal::Expired.into()));
    world.now = start;

    world.gateway.name = "other".to_owned();
    let refused = register(&world, 1, Some(shown(&binding)));
    assert_eq!(refused, Err(BindingRefusal::Unproven.into()));
    world.gateway.name = binding.gateway.clone();

    let change = binding.withdraw(world.now, OPERATOR).expect("withdrawn");
    assert_eq!(change.kind(), ChangeKind::BindingWithdrawn);
    assert_eq!(change.audit().actor, Actor::Operator(OPERATOR));
    assert_eq!(model.apply(&change), Outcome::Applied);
    let now = model.bindings[&binding.id].clone();
    let refused = register(&world, 1, Some(shown(&now)));
    assert_eq!(refused, Err(BindingRefusal::Withdrawn.into()));
    assert_eq!(
        now.withdraw(world.now, OPERATOR),
        Err(BindingRefusal::Withdrawn.into())
    );
}

#[test]
fn a_gateway_that_needs_a_binding_makes_no_account_without() {
    let mut world = World::new(1);
    assert!(register(&world, 1, None).is_ok());
    world.gateway.binding_rule = BindingRule::Required;
    assert_eq!(register(&world, 1, None), Err(Refusal::BindingRequired));
    let binding = made(&mut world, wish(Scope::whole_gateway()));
    assert!(register(&world, 1, Some(shown(&binding))).is_ok());
}

#[test]
fn b15_accounts_stay_within_the_names_of_their_binding_and_no_names_are_none() {
    let mut world = World::new(1);
    let binding = made(&mut world, wish(scoped(&["*.a.test", "10.0.0.0/8"])));
    assert!(ask(&mut world, &binding, wanted(&["x.a.test"], None)).is_ok());
    assert!(ask(&mut world, &binding, wanted(&["10.1.2.3"], None)).is_ok());
    for outside in ["b.test", "a.test", "11.0.0.1", "xa.test", "x.a.test.b.test"] {
        let refused = ask(&mut world, &binding, wanted(&["x.a.test", outside], None));
        let name = San::parse(outside).expect("a name");
        let why = vec![(name, NameRefusal::OutsideBinding)];
        assert_eq!(refused, Err(Refusal::RejectedNames(why)), "{outside}");
    }
    let none = made(&mut world, wish(scoped(&[])));
    assert!(matches!(
        ask(&mut world, &none, wanted(&["x.a.test"], None)),
        Err(Refusal::RejectedNames(_))
    ));
}

#[test]
fn a_scope_never_widens_what_the_gateway_allows() {
    let mut world = World::new(1);
    let pattern = NamePattern::parse("*.a.test").expect("a pattern");
    world.gateway.names.allow = vec![pattern];
    let binding = made(&mut world, wish(scoped(&["*"])));
    let refused = ask(&mut world, &binding, wanted(&["b.test"], None));
    let name: BTreeSet<San> = names(&["b.test"]).expect("a name");
    let why = name.into_iter().map(|it| (it, NameRefusal::NotAllowed));
    assert_eq!(refused, Err(Refusal::RejectedNames(why.collect())));
}

#[test]
fn accounts_stay_within_the_profiles_and_challenges_of_their_binding() {
    let mut world = World::new(1);
    let mut second = world.gateway.profiles[0].clone();
    second.name = "second".to_owned();
    world.gateway.profiles.push(second);
    let scope = Scope {
        profiles: Some(vec!["second".to_owned()]),
        challenges: Some(vec![ChallengeKind::Dns01]),
        ..Scope::whole_gateway()
    };
    let binding = made(&mut world, wish(scope));
    let first = world.gateway.profiles[0].name.clone();
    let refused = ask(&mut world, &binding, wanted(&["a.test"], Some(&first)));
    assert_eq!(refused, Err(Refusal::UnknownProfile { wanted: first }));
    let change = ask(&mut world, &binding, wanted(&["a.test"], None)).expect("the second");
    let kinds: Vec<_> = change
        .writes()
        .iter()
        .filter_map(|write| match &write.record {
            Record::Authorization(it) => Some(it.challenges.iter().map(|it| it.kind)),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(kinds, [ChallengeKind::Dns01]);
    let refused = ask(&mut world, &binding, wanted(&["10.0.0.1"], None));
    assert!(matches!(refused, Err(Refusal::NoChallengeFor { .. })));
}

#[test]
fn a_scope_that_cannot_be_is_refused_by_what_is_wrong_with_it() {
    let mut world = World::new(1);
    let whole = Scope::whole_gateway;
    let profiles = Some(vec!["nowhere".to_owned()]);
    let many = vec!["*".to_owned(); SCOPE_LIST_MAX + 1];
    world.gateway.challenges = vec![ChallengeKind::Http01];
    let cases = [
        (
            Scope {
                profiles,
                ..whole()
            },
            ScopeFault::Profile("nowhere".to_owned()),
        ),
        (
            Scope {
                challenges: Some(vec![ChallengeKind::Dns01]),
                ..whole()
            },
            ScopeFault::Challenge("dns-01"),
        ),
        (
            Scope {
                names: many,
                ..whole()
            },
            ScopeFault::TooLong {
                max: SCOPE_LIST_MAX,
            },
        ),
    ];
    for (scope, fault) in cases {
        let refused = world.binding(wish(scope)).map(|_| ());
        assert_eq!(refused, Err(Refusal::Scope(fault)));
    }
    let refused = world.binding(wish(scoped(&["*.*"]))).map(|_| ());
    assert!(matches!(refused, Err(Refusal::Scope(ScopeFault::Name(_)))));
    let two_lines = BindingWish {
        note: Some("one\ntwo".to_owned()),
        ..wish(whole())
    };
    let refused = world.binding(two_lines).map(|_| ());
    assert!(matches!(
        refused,
        Err(Refusal::Scope(ScopeFault::Note { .. }))
    ));
}

#[test]
fn what_a_bound_account_does_needs_its_binding_to_hold() {
    let mut world = World::new(1);
    let binding = made(&mut world, wish(Scope::whole_gateway()));
    let change = register(&world, 1, Some(shown(&binding))).expect("an account");
    let [
        Write {
            record: Record::Account(account),
            expect: Expect::Absent,
        },
        Write {
            record: Record::Binding(_),
            expect: Expect::Version(1),
        },
    ] = change.writes()
    else {
        panic!("{change:?}")
    };
    let needs: Vec<_> = Owner::from(account).needs().collect();
    assert!(needs.contains(&Need::BindingHolds(binding.id)), "{needs:?}");
}

#[test]
fn certificates_are_counted_only_where_they_are_bounded() {
    let mut world = World::new(1);
    let free = made(&mut world, wish(Scope::whole_gateway()));
    assert_eq!(free.with_certificate(), Ok(None));
    let two = BindingWish {
        certificates_max: Some(2),
        ..wish(Scope::whole_gateway())
    };
    let bounded = made(&mut world, two);
    let one = bounded.with_certificate().expect("one").expect("counted");
    let two = one.with_certificate().expect("two").expect("counted");
    assert_eq!(
        two.certificates,
        Quota {
            max: Some(2),
            used: 2
        }
    );
    assert_eq!(
        two.with_certificate(),
        Err(BindingRefusal::CertificatesUsedUp)
    );
}

#[test]
fn h7_a_secret_does_not_print_itself_and_its_text_is_no_option() {
    let mut world = World::new(1);
    let mut seen = BTreeSet::new();
    for _ in 0..200 {
        let binding = made(&mut world, wish(Scope::whole_gateway()));
        let text = b64(binding.secret.expose());
        assert!(!text.starts_with('-'), "{text}");
        assert!(!format!("{binding:?}").contains("secret: [") && seen.insert(text));
    }
}
