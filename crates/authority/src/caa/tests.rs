use super::*;
use crate::authorization::Finding;
use crate::proof::Proof;
use crate::world::{World, authorization_in, names, order_in};

const HOUR_SECS: i64 = 3600;
const URL: &str = "https://ca.test/acme/server/account/x";

fn rules(suffixes: &[&str]) -> CaaRules {
    let name = |text: &&str| DnsName::parse(text).expect("a name");
    CaaRules {
        identities: vec!["ca.test".to_owned()],
        private_suffixes: suffixes.iter().map(name).collect(),
    }
}

fn finding(at: UnixTime) -> CaaFinding {
    CaaFinding {
        at,
        observations: Vec::new(),
    }
}

/// An order of these names, all proven now, with CAA asked about now.
fn proven(world: &mut World, texts: &[&str]) -> (Order, Vec<Arc<Authorization>>) {
    let (_, account) = world.account();
    let wanted = names(texts).expect("names");
    let (_, mut order, authorizations) = world.order(account.id, wanted).expect("an order");
    let mut done = Vec::new();
    for authorization in authorizations {
        let taken = authorization.respond(world.now, 0).expect("taken up");
        let taken = authorization_in(&taken.change.expect("a change")).expect("written");
        let proof = Proof {
            at: world.now,
            observations: Vec::new(),
            caa: Some(finding(world.now)),
        };
        let proved = taken
            .on_finding(world.now, 0, Finding::Proved(proof), Some(&order))
            .expect("proved");
        let change = proved.change.expect("a change");
        order = order_in(&change).expect("the order moves");
        done.push(Arc::new(authorization_in(&change).expect("written")));
    }
    (order, done)
}

fn due_names(rules: &CaaRules, now: UnixTime, all: &[Arc<Authorization>]) -> Vec<String> {
    let due = rules.due(now, all, URL).into_iter();
    due.map(|due| due.question.identifier.to_string()).collect()
}

fn refused_names(seen: Result<(), Refusal>) -> Vec<String> {
    match seen {
        Ok(()) => Vec::new(),
        Err(Refusal::Caa(names)) => names.iter().map(|(name, _)| name.to_string()).collect(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn only_names_outside_the_private_suffixes_are_asked_about() {
    let rules = rules(&["corp.example", "internal"]);
    for (name, expected) in [
        ("a.test", true),
        ("*.a.test", true),
        ("corp.example", false),
        ("a.b.corp.example", false),
        ("*.corp.example", false),
        ("notcorp.example", true),
        ("example", true),
        ("db.internal", false),
        ("192.0.2.7", false),
        ("2001:db8::7", false),
    ] {
        let name = San::parse(name).expect("a name");
        assert_eq!(rules.apply_to(&name), expected, "{name}");
        assert_eq!(rules.terms(&name, URL).is_some(), expected, "{name}");
        assert!(!CaaRules::default().apply_to(&name), "{name}");
    }
}

#[test]
fn a1_each_name_is_due_by_the_age_of_its_own_answer() {
    let mut world = World::new(1);
    let (_, mut all) = proven(&mut world, &["a.test", "b.test", "c.test"]);
    let rules = rules(&[]);
    let later = UnixTime(world.now.0 + CAA_FRESH_SECS);
    assert_eq!(due_names(&rules, later, &all), Vec::<String>::new());
    let later = UnixTime(later.0 + 1);
    assert_eq!(
        due_names(&rules, later, &all),
        ["a.test", "b.test", "c.test"]
    );
    let change = all[1]
        .caa_rechecked(later, finding(later))
        .expect("a change");
    assert_eq!(change.kind(), ChangeKind::CaaRechecked);
    all[1] = Arc::new(authorization_in(&change).expect("written"));
    assert_eq!(due_names(&rules, later, &all), ["a.test", "c.test"]);
    // An answer from the future does not count.
    let earlier = UnixTime(world.now.0 - HOUR_SECS);
    assert_eq!(due_names(&rules, earlier, &all).len(), 3);
}

#[test]
fn a1_a_claim_needs_an_answer_that_counts_for_every_name() {
    let mut world = World::new(2);
    let (order, mut all) = proven(&mut world, &["a.test", "b.test"]);
    let rules = rules(&[]);
    assert_eq!(rules.check(world.now, &order, &all), Ok(()));
    let later = UnixTime(world.now.0 + 9 * HOUR_SECS);
    let refused = |all: &[_]| refused_names(rules.check(later, &order, all));
    assert_eq!(refused(&all), ["a.test", "b.test"]);
    let change = all[0]
        .caa_rechecked(later, finding(later))
        .expect("a change");
    all[0] = Arc::new(authorization_in(&change).expect("written"));
    assert_eq!(refused(&all), ["b.test"]);
    // The fresh answer of one name, twice, is none for the other.
    assert_eq!(
        refused(&[Arc::clone(&all[0]), Arc::clone(&all[0])]),
        ["b.test"]
    );
    assert_eq!(CaaRules::default().check(later, &order, &all), Ok(()));
}

#[test]
fn a_claim_is_refused_while_an_answer_is_too_old() {
    let mut world = World::new(3);
    world.gateway.caa = rules(&[]);
    let (order, all) = proven(&mut world, &["a.test"]);
    let plain: Vec<Authorization> = all.iter().map(|one| one.as_ref().clone()).collect();
    let csr = world.csr(&order.names);
    assert!(world.claim(&order, &plain, &csr).is_ok());
    world.now = UnixTime(world.now.0 + 9 * HOUR_SECS);
    let refused = world.claim(&order, &plain, &csr).expect_err("too old");
    assert!(matches!(refused, Refusal::Caa(_)), "{refused}");
}

#[test]
fn what_was_deactivated_is_not_asked_about_again() {
    let mut world = World::new(4);
    let (order, all) = proven(&mut world, &["a.test"]);
    let decision = all[0]
        .deactivate(world.now, Some(&order))
        .expect("given up");
    let gone = authorization_in(&decision.change.expect("a change")).expect("written");
    assert_eq!(gone.caa_rechecked(world.now, finding(world.now)), None);
    let later = UnixTime(world.now.0 + 9 * HOUR_SECS);
    assert_eq!(rules(&[]).due(later, &[Arc::new(gone)], URL), []);
}

#[test]
fn evidence_that_was_stored_before_is_read_and_due() {
    let mut world = World::new(5);
    let (_, all) = proven(&mut world, &["a.test"]);
    let AuthorizationState::Valid { evidence } = &all[0].state else {
        panic!("valid")
    };
    let kept = minicbor::to_vec(evidence).expect("encodes");
    let read: Evidence = minicbor::decode(&kept).expect("decodes");
    assert_eq!(&read, evidence);
    let old = Evidence {
        caa: None,
        ..evidence.clone()
    };
    // As it was written when there were three fields: an array of three.
    let bytes = minicbor::to_vec(&old).expect("encodes");
    assert_eq!(bytes[0], 0x83, "an absent field at the end takes no place");
    assert_eq!(minicbor::decode::<Evidence>(&bytes).expect("decodes"), old);
}
