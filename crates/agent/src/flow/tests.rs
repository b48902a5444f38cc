use chancery_acme::{Challenge, ChallengeStatus, ErrorType, WireIdentifier};
use proptest::prelude::*;

use super::*;

const NOW: UnixTime = UnixTime(1_700_000_000);
const TOKEN: &str = "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ";

fn san(name: &str) -> San {
    San::parse(name).expect("a name")
}

fn names(names: &[&str]) -> BTreeSet<San> {
    names.iter().map(|name| san(name)).collect()
}

fn url(what: &str) -> String {
    format!("https://ca.test/{what}")
}

fn order(status: OrderStatus, names: &[&str]) -> Order {
    Order {
        status,
        expires: Some(NOW.plus(3600)),
        identifiers: names
            .iter()
            .map(|name| WireIdentifier::from(&san(name)))
            .collect(),
        not_before: None,
        not_after: None,
        profile: None,
        replaces: None,
        error: None,
        authorizations: names.iter().map(|name| url(name)).collect(),
        finalize: url("finalize"),
        certificate: (status == OrderStatus::Valid).then(|| url("certificate")),
    }
}

fn on_order(order: Order) -> Event {
    Event::Order {
        url: None,
        order: Box::new(order),
        retry_after: None,
    }
}

fn placed(order: Order) -> Event {
    Event::Order {
        url: Some(url("order")),
        order: Box::new(order),
        retry_after: None,
    }
}

fn authorization(
    name: &str,
    status: chancery_acme::AuthorizationStatus,
    challenge: ChallengeStatus,
    token: &str,
) -> Authorization {
    Authorization {
        identifier: WireIdentifier::from(&san(name)),
        status,
        expires: None,
        challenges: vec![Challenge {
            kind: "http-01".into(),
            url: url(&format!("{name}/challenge")),
            status: challenge,
            validated: None,
            error: (challenge == ChallengeStatus::Invalid)
                .then(|| Problem::new(ErrorType::Connection, "connection refused")),
            token: Some(token.to_owned()),
        }],
        wildcard: false,
    }
}

fn on(authorization: Authorization) -> Event {
    Event::Authorization {
        authorization: Box::new(authorization),
        retry_after: None,
    }
}

use chancery_acme::AuthorizationStatus::{Invalid, Pending, Valid};

fn pending(name: &str) -> Event {
    on(authorization(
        name,
        Pending,
        ChallengeStatus::Pending,
        TOKEN,
    ))
}

fn valid(name: &str) -> Event {
    on(authorization(name, Valid, ChallengeStatus::Valid, TOKEN))
}

fn failed(name: &str) -> Event {
    on(authorization(
        name,
        Invalid,
        ChallengeStatus::Invalid,
        TOKEN,
    ))
}

fn lost() -> Event {
    Event::Lost(AgentError::Status {
        what: "the order",
        status: 500,
        retry_after: None,
    })
}

fn read_authorization(name: &str) -> Step {
    Step::ReadAuthorization {
        url: url(name),
        after: Duration::ZERO,
    }
}

fn answer(name: &str) -> Step {
    Step::Answer {
        challenge: url(&format!("{name}/challenge")),
        token: Token::parse(TOKEN).expect("a token"),
        after: Duration::ZERO,
    }
}

/// Feeds events and compares each step, without its wait where that is not the point.
fn walk(flow: &mut Flow, script: Vec<(Event, Step)>) {
    for (number, (event, expected)) in script.into_iter().enumerate() {
        let step = flow
            .next(NOW, event)
            .unwrap_or_else(|error| panic!("step {number}: {error}"));
        assert_eq!(at_once(step), at_once(expected), "step {number}");
    }
}

fn at_once(mut step: Step) -> Step {
    match &mut step {
        Step::ReadOrder { after, .. }
        | Step::ReadAuthorization { after, .. }
        | Step::Answer { after, .. }
        | Step::Download { after, .. } => *after = Duration::ZERO,
        Step::Place | Step::Finalize { .. } => {}
    }
    step
}

fn read_order() -> Step {
    Step::ReadOrder {
        url: url("order"),
        after: Duration::ZERO,
    }
}

fn finalize() -> Step {
    Step::Finalize {
        url: url("finalize"),
    }
}

fn download() -> Step {
    Step::Download {
        url: url("certificate"),
        after: Duration::ZERO,
    }
}

#[test]
fn all_challenges_are_answered_before_any_is_waited_for() {
    let both = ["a.test", "b.test"];
    let (mut flow, first) = Flow::new(names(&both));
    assert_eq!(first, Step::Place);
    walk(
        &mut flow,
        vec![
            (
                placed(order(OrderStatus::Pending, &both)),
                read_authorization("a.test"),
            ),
            (pending("a.test"), answer("a.test")),
            (Event::Answered, read_authorization("b.test")),
            (pending("b.test"), answer("b.test")),
            (Event::Answered, read_authorization("a.test")),
            (pending("a.test"), read_authorization("b.test")),
            (valid("b.test"), read_authorization("a.test")),
            (valid("a.test"), read_order()),
            (on_order(order(OrderStatus::Ready, &both)), finalize()),
            (
                on_order(order(OrderStatus::Processing, &both)),
                read_order(),
            ),
            (on_order(order(OrderStatus::Valid, &both)), download()),
        ],
    );
}

#[test]
fn what_is_proven_already_is_not_proven_again() {
    let both = ["a.test", "b.test"];
    let (mut flow, _) = Flow::new(names(&both));
    walk(
        &mut flow,
        vec![
            (
                placed(order(OrderStatus::Pending, &both)),
                read_authorization("a.test"),
            ),
            (valid("a.test"), read_authorization("b.test")),
            (valid("b.test"), read_order()),
        ],
    );
    let (mut flow, _) = Flow::new(names(&both));
    walk(
        &mut flow,
        vec![(placed(order(OrderStatus::Ready, &both)), finalize())],
    );
    // RFC 8555 §7.4: a finalize may be answered by the finished order.
    walk(
        &mut flow,
        vec![(on_order(order(OrderStatus::Valid, &both)), download())],
    );
}

#[test]
fn every_name_that_failed_is_told() {
    let all = ["a.test", "b.test", "c.test"];
    let (mut flow, _) = Flow::new(names(&all));
    walk(
        &mut flow,
        vec![
            (
                placed(order(OrderStatus::Pending, &all)),
                read_authorization("a.test"),
            ),
            (pending("a.test"), answer("a.test")),
            (Event::Answered, read_authorization("b.test")),
            (failed("b.test"), read_authorization("c.test")),
            (failed("c.test"), read_authorization("a.test")),
        ],
    );
    let error = flow.next(NOW, pending("a.test")).expect_err("failed");
    assert!(error.ends_order());
    let text = error.to_string();
    assert!(
        text.contains("b.test (connection: connection refused); c.test"),
        "{text}"
    );
    assert!(!text.contains("a.test"), "{text}");
}

#[test]
fn f8_an_order_found_on_disk_is_taken_up_where_it_is() {
    let one = ["a.test"];
    let found = |status| {
        let (mut flow, first) = Flow::found(names(&one), &url("order"));
        assert_eq!(first, read_order());
        flow.next(NOW, on_order(order(status, &one)))
            .expect("a step")
    };
    assert_eq!(found(OrderStatus::Pending), read_authorization("a.test"));
    assert_eq!(found(OrderStatus::Ready), finalize());
    assert_eq!(at_once(found(OrderStatus::Processing)), read_order());
    assert_eq!(found(OrderStatus::Valid), download());
    assert_eq!(found(OrderStatus::Invalid), Step::Place);
}

#[test]
fn f8_a_found_order_that_is_dead_is_replaced_once() {
    let one = ["a.test"];
    let expired = Order {
        expires: Some(NOW),
        ..order(OrderStatus::Pending, &one)
    };
    let gone = || {
        Event::Gone(AgentError::Status {
            what: "the order",
            status: 404,
            retry_after: None,
        })
    };
    for event in [on_order(expired), gone()] {
        let (mut flow, _) = Flow::found(names(&one), &url("order"));
        assert_eq!(flow.next(NOW, event).expect("replaced"), Step::Place);
        let invalid = placed(order(OrderStatus::Invalid, &one));
        let error = flow.next(NOW, invalid).expect_err("not twice");
        assert!(matches!(error, AgentError::OrderFailed { .. }), "{error}");
    }
    let (mut flow, _) = Flow::new(names(&one));
    assert!(flow.next(NOW, gone()).is_err());
}

#[test]
fn h11_a_token_that_could_be_a_path_or_a_command_stops_the_order() {
    for token in [
        "../../x",
        "/etc/passwd",
        "",
        "a\0b",
        &"`reboot`;".repeat(4),
        &"a".repeat(129),
        "a a",
    ] {
        let (mut flow, _) = Flow::new(names(&["a.test"]));
        flow.next(NOW, placed(order(OrderStatus::Pending, &["a.test"])))
            .expect("goes on");
        let event = on(authorization(
            "a.test",
            Pending,
            ChallengeStatus::Pending,
            token,
        ));
        let error = flow.next(NOW, event).expect_err("refused");
        assert!(
            matches!(error, AgentError::BadToken { .. }),
            "{token:?}: {error}"
        );
        assert!(error.ends_order());
    }
}

#[test]
fn an_order_about_other_names_or_with_changing_parts_is_refused() {
    let refused = |flow: &mut Flow, event| {
        let error = flow.next(NOW, event).expect_err("refused");
        assert!(matches!(error, AgentError::BadAnswer { .. }), "{error}");
    };
    let (mut flow, _) = Flow::new(names(&["a.test"]));
    refused(&mut flow, placed(order(OrderStatus::Pending, &["b.test"])));
    let (mut flow, _) = Flow::new(names(&["a.test"]));
    refused(
        &mut flow,
        placed(order(OrderStatus::Pending, &["a.test", "b.test"])),
    );
    let (mut flow, _) = Flow::new(names(&["a.test"]));
    flow.next(NOW, placed(order(OrderStatus::Ready, &["a.test"])))
        .expect("goes on");
    let changed = Order {
        finalize: url("elsewhere"),
        ..order(OrderStatus::Processing, &["a.test"])
    };
    refused(&mut flow, on_order(changed));
    let (mut flow, _) = Flow::new(names(&["a.test"]));
    flow.next(NOW, placed(order(OrderStatus::Pending, &["a.test"])))
        .expect("goes on");
    refused(&mut flow, pending("b.test"));
}

#[test]
fn what_was_lost_is_looked_up_and_never_ordered_twice() {
    let one = ["a.test"];
    let (mut flow, _) = Flow::new(names(&one));
    assert!(
        flow.next(NOW, lost()).is_err(),
        "a second order could be made"
    );
    let (mut flow, _) = Flow::new(names(&one));
    walk(
        &mut flow,
        vec![
            (
                placed(order(OrderStatus::Pending, &one)),
                read_authorization("a.test"),
            ),
            (lost(), read_authorization("a.test")),
            (pending("a.test"), answer("a.test")),
            (lost(), answer("a.test")),
            (Event::Answered, read_authorization("a.test")),
            (valid("a.test"), read_order()),
            (on_order(order(OrderStatus::Ready, &one)), finalize()),
            (lost(), read_order()),
            (on_order(order(OrderStatus::Valid, &one)), download()),
            (lost(), download()),
            (lost(), download()),
            (lost(), download()),
        ],
    );
    assert!(flow.next(NOW, lost()).is_err(), "the fourth in a row");
}

#[test]
fn f11_a_ca_that_never_ends_is_left_and_asked_ever_more_slowly() {
    let one = ["a.test"];
    let run = |retry_after: Option<Duration>| {
        let (mut flow, _) = Flow::found(names(&one), &url("order"));
        let mut waits = Vec::new();
        loop {
            let event = Event::Order {
                url: None,
                order: Box::new(order(OrderStatus::Processing, &one)),
                retry_after,
            };
            match flow.next(NOW, event) {
                Ok(Step::ReadOrder { after, .. }) => waits.push(after),
                Ok(other) => panic!("{other:?}"),
                Err(error) => {
                    assert!(matches!(error, AgentError::Stuck { .. }), "{error}");
                    assert!(!error.ends_order(), "the next run finds it");
                    return waits;
                }
            }
        }
    };
    let own = run(None);
    assert!(own.len() < 100 && own.is_sorted(), "{own:?}");
    // Retry-After is followed, up to a minute; zero is no wish.
    let seconds = Duration::from_secs;
    assert_eq!(run(Some(seconds(3))).first(), Some(&seconds(3)));
    assert_eq!(run(Some(seconds(86_400))).first(), Some(&seconds(60)));
    assert_eq!(run(Some(Duration::ZERO)), own);
}

#[test]
fn an_order_that_is_ready_again_after_its_csr_is_refused() {
    let one = ["a.test"];
    let (mut flow, _) = Flow::new(names(&one));
    walk(
        &mut flow,
        vec![(placed(order(OrderStatus::Ready, &one)), finalize())],
    );
    assert!(
        flow.next(NOW, on_order(order(OrderStatus::Ready, &one)))
            .is_err()
    );
}

fn any_event() -> impl Strategy<Value = u8> {
    0_u8..12
}

fn event(choice: u8) -> Event {
    let one = ["a.test"];
    match choice {
        0 => placed(order(OrderStatus::Pending, &one)),
        1 => on_order(order(OrderStatus::Ready, &one)),
        2 => on_order(order(OrderStatus::Processing, &one)),
        3 => on_order(order(OrderStatus::Pending, &one)),
        4 => on_order(order(OrderStatus::Invalid, &one)),
        5 => pending("a.test"),
        6 => valid("a.test"),
        7 => failed("a.test"),
        8 => Event::Answered,
        9 => on(authorization(
            "a.test",
            Pending,
            ChallengeStatus::Processing,
            TOKEN,
        )),
        10 => lost(),
        _ => on_order(order(OrderStatus::Valid, &one)),
    }
}

/// The event that fits the step, as a CA gives it; the choice says which of them.
fn fitting(step: &Step, choice: u8) -> Event {
    match step {
        Step::Place => event(choice % 2),
        Step::ReadOrder { .. } | Step::Finalize { .. } => {
            event([1, 2, 3, 10][usize::from(choice) % 4])
        }
        Step::ReadAuthorization { .. } => event([5, 6, 9, 10][usize::from(choice) % 4]),
        Step::Answer { .. } => event([8, 10][usize::from(choice) % 2]),
        Step::Download { .. } => lost(),
    }
}

proptest! {
    #[test]
    fn no_sequence_of_events_makes_the_flow_panic(choices in proptest::collection::vec(any_event(), 0..40), found: bool) {
        let names = names(&["a.test"]);
        let (mut flow, _) = if found { Flow::found(names, &url("order")) } else { Flow::new(names) };
        for choice in choices {
            if flow.next(NOW, event(choice)).is_err() {
                break;
            }
        }
    }

    #[test]
    fn whatever_a_ca_answers_the_flow_comes_to_an_end(choices in proptest::collection::vec(any_event(), 1..20), found: bool) {
        let names = names(&["a.test"]);
        let (mut flow, mut step) = if found { Flow::found(names, &url("order")) } else { Flow::new(names) };
        let mut ended = false;
        for choice in choices.iter().cycle().take(5_000) {
            match flow.next(NOW, fitting(&step, *choice)) {
                Ok(next) => step = next,
                Err(_) => {
                    ended = true;
                    break;
                }
            }
        }
        prop_assert!(ended);
    }
}
