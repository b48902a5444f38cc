//! The agent and a CA that advises on renewal, well, badly, or not at all.

use std::sync::Arc;
use std::time::Instant;

use chancery_testkit::SeededEntropy;
use serde_json::json;

use super::*;
use crate::state::Failure;
use crate::test_authority::NOW;
use crate::test_ca::{self, Fault};
use crate::test_world::{DAY, World, name, request};
use crate::{
    Agent, CertificateState, RenewRequest, RenewalOutcome, RenewalRule, Request, RevocationReason,
    RevokeBy, RevokeRequest, Settings,
};

const HOUR: i64 = 3_600;

/// The window between these days of the certificate's life, which is 47 days long.
fn days(start: i64, end: i64) -> test_ca::Advice {
    test_ca::Advice::window(UnixTime(NOW.0 + start * DAY), UnixTime(NOW.0 + end * DAY))
}

fn kept(world: &World) -> CertificateRecord {
    let record = world.agent.state.certificate(&name()).expect("readable");
    record.expect("kept")
}

fn advice(world: &World) -> Advice {
    kept(world).advice.expect("asked")
}

/// When the renewal is said to come that has not come yet, in seconds of the clock's start, and why.
async fn not_due(world: &World) -> (i64, RenewalRule) {
    match world.renew_due().await {
        RenewalOutcome::NotDue { renew_at, rule } => (renew_at.0 - NOW.0, rule),
        other => panic!("{other:?}"),
    }
}

async fn renewed(world: &World) {
    let outcome = world.renew_due().await;
    assert!(matches!(outcome, RenewalOutcome::Renewed(_)), "{outcome:?}");
}

/// How often the CA was asked since the last call.
fn questions(world: &World) -> usize {
    let is_question = |seen: &String| seen.starts_with("GET /renewal-info/");
    world.ca.take_seen().into_iter().filter(is_question).count()
}

#[tokio::test]
async fn a_window_brings_the_renewal_forward_or_puts_it_off() {
    for (start, end) in [(5, 7), (35, 40)] {
        let world = World::with_certificate().await;
        world.ca.advise(days(start, end));
        let (at, rule) = not_due(&world).await;
        assert!((start * DAY..end * DAY).contains(&at), "{at}");
        assert!(matches!(rule, RenewalRule::Advice(_)));
        let leaf = world.agent.state.live_files(&name()).expect("there");
        let id = CertId::of(&leaf.expect("there").leaf).expect("it has one");
        let asked = world.ca.take_seen();
        assert_eq!(
            asked,
            ["GET /dir".to_owned(), format!("GET /renewal-info/{id}")]
        );

        world.clock.set(UnixTime(NOW.0 + at - 1));
        assert_eq!(not_due(&world).await.0, at);
        world.clock.advance(1);
        let status = world.agent.status().expect("readable");
        assert_eq!(status[0].state, CertificateState::Due);
        renewed(&world).await;
        assert_eq!(kept(&world).advice, None, "it was about the one that went");
    }
}

#[tokio::test]
async fn the_moment_is_drawn_once_whoever_runs_again() {
    let mut world = World::with_certificate().await;
    world.ca.advise(days(5, 20));
    let (at, _) = not_due(&world).await;
    for seed in 2..6 {
        world.agent.config.entropy = Arc::new(SeededEntropy::new(seed));
        world.agent = Agent::new(world.agent.config.clone());
        // Asked again, with the same answer.
        world.clock.advance(6 * HOUR);
        assert_eq!(not_due(&world).await.0, at);
        let installed = world.agent.obtain(&request()).await.expect("kept");
        assert_eq!(
            (installed.renew_at.0 - NOW.0, installed.is_new),
            (at, false)
        );
    }
    assert_eq!(questions(&world), 5);
    // What is said anew of the certificate does not make it forget.
    let settings = Settings {
        reuse_key: Some(true),
        ..Settings::default()
    };
    let again = request().with(settings.clone());
    world.agent.obtain(&again).await.expect("kept");
    assert_eq!(kept(&world).settings, settings);
    assert_eq!(not_due(&world).await.0, at);
    // When the drawn moment has come, `obtain` renews too.
    world.clock.set(UnixTime(NOW.0 + at));
    assert!(world.agent.obtain(&again).await.expect("obtained").is_new);
}

#[tokio::test]
async fn another_window_is_drawn_from_anew_when_it_is_time_to_ask() {
    let world = World::with_certificate().await;
    world.ca.advise(days(20, 25).retry_after("7200"));
    let (first, _) = not_due(&world).await;
    world.ca.advise(days(5, 7));
    world.clock.advance(7_199);
    assert_eq!((not_due(&world).await.0, questions(&world)), (first, 1));
    world.clock.advance(1);
    let (second, _) = not_due(&world).await;
    assert!((5 * DAY..7 * DAY).contains(&second), "{second}");
    assert_eq!(questions(&world), 1);
    // The same length elsewhere, and the same start with another end, are other windows.
    let mut drawn = vec![second];
    for window in [days(6, 8), days(6, 9)] {
        world.ca.advise(window);
        world.clock.advance(6 * HOUR);
        drawn.push(not_due(&world).await.0);
    }
    drawn.dedup();
    assert_eq!(drawn.len(), 3);
}

#[tokio::test]
async fn a_window_that_is_over_renews_at_once_and_the_next_one_after_a_pause() {
    let world = World::with_certificate().await;
    world.ca.advise(days(-2, -1));
    renewed(&world).await;
    // The new certificate is called overdue as well; so is every other.
    let (at, rule) = not_due(&world).await;
    assert_eq!(at, HOUR);
    assert!(matches!(rule, RenewalRule::Advice(_)));
    world.clock.advance(HOUR - 1);
    not_due(&world).await;
    world.clock.advance(1);
    renewed(&world).await;
    assert_eq!(not_due(&world).await.0, 2 * HOUR);
    // The pause outlives the operator's command, and what is said anew.
    world.agent.obtain(&request()).await.expect("kept");
    assert_eq!(not_due(&world).await.0, 2 * HOUR);
}

#[tokio::test]
async fn advice_cannot_put_a_renewal_off_into_the_last_tenth_of_a_life() {
    for window in [days(46, 60), days(300, 400)] {
        let world = World::with_certificate().await;
        world.ca.advise(window);
        let leaf = world.agent.state.live_files(&name()).expect("there");
        let leaf = leaf.expect("there").leaf;
        let safe = schedule::latest_safe(leaf.not_before(), leaf.not_after());
        let (at, rule) = not_due(&world).await;
        assert_eq!(at, safe.0 - NOW.0);
        assert!(matches!(rule, RenewalRule::LastTenth(_)));
        world.clock.set(safe);
        renewed(&world).await;
    }
}

#[tokio::test]
async fn the_ca_says_when_it_is_asked_again() {
    for (retry_after, secs) in [
        (None, 6 * HOUR),
        (Some("600"), 600),
        (Some("0"), 60),
        (Some("99999999999"), DAY),
        (Some("soon"), 6 * HOUR),
        // NOW is 2026-01-01T00:00:00Z.
        (Some("Thu, 01 Jan 2026 02:00:00 GMT"), 2 * HOUR),
        (Some("Thu, 01 Jan 2015 00:00:00 GMT"), 60),
    ] {
        let world = World::with_certificate().await;
        let window = days(20, 25);
        world.ca.advise(test_ca::Advice {
            retry_after,
            ..window
        });
        not_due(&world).await;
        assert_eq!(advice(&world).ask_at - NOW.0, secs, "{retry_after:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_changes_nothing_and_is_asked_for_six_hours_later() {
    use test_ca::Advice as Said;
    let window = |start: &str, end: &str| {
        let window = json!({"start": start, "end": end});
        Said::body(json!({ "suggestedWindow": window }).to_string())
    };
    let useless = [
        window("2026-01-05T00:00:00Z", "2026-01-05T00:00:00Z"),
        window("2026-01-06T00:00:00Z", "2026-01-05T00:00:00Z"),
        window("2026-01-06", "2026-01-07"),
        window("", "\u{1b}[2J"),
        Said::body(String::new()),
        Said::body("<html>".to_owned()),
        Said::body("{}".to_owned()),
        Said::body("[]".to_owned()),
        Said::body(r#"{"suggestedWindow":[1,2]}"#.to_owned()),
        Said::body(r#"{"suggestedWindow":{"start":1,"end":2}}"#.to_owned()),
        Said::body("[".repeat(60_000)),
        Said::body(format!(r#"{{"x":"{}"}}"#, "x".repeat(200_000))),
        Said::status(302),
        Said::status(404),
        Said::status(405),
    ];
    for said in useless {
        let world = World::with_certificate().await;
        world.ca.advise(said.clone().retry_after("60"));
        let (at, rule) = not_due(&world).await;
        assert_eq!(rule, RenewalRule::Life, "{said:?}");
        let (asked_at, failures) = (advice(&world).ask_at - NOW.0, advice(&world).failures);
        assert_eq!((asked_at, failures), (6 * HOUR, 0), "{said:?}");
        world.clock.set(UnixTime(NOW.0 + at));
        renewed(&world).await;
    }
}

#[tokio::test]
async fn an_error_that_may_pass_is_asked_over_ever_more_slowly_and_the_last_word_stands() {
    use test_ca::Advice as Said;
    for said in [
        Said::status(500),
        Said::status(503),
        Said::body("z".repeat(1 << 20)),
    ] {
        let world = World::with_certificate().await;
        world.ca.advise(said);
        let (at, rule) = not_due(&world).await;
        assert_eq!((rule, advice(&world).failures), (RenewalRule::Life, 1));
        let mut waits = vec![advice(&world).ask_at - NOW.0];
        for failures in 2..5 {
            world.clock.set(advice(&world).ask_at());
            assert_eq!(not_due(&world).await.0, at);
            assert_eq!(advice(&world).failures, failures);
            waits.push(advice(&world).ask_at - world.clock.now().0);
        }
        assert!(waits.is_sorted() && waits[0] <= 90, "{waits:?}");
        assert_eq!(waits[3], 6 * HOUR);
        // It comes to its senses, and then loses them again.
        world.ca.advise(days(20, 25));
        world.clock.advance(6 * HOUR);
        let (drawn, _) = not_due(&world).await;
        assert_eq!(advice(&world).failures, 0);
        world.ca.advise(Said::status(502).retry_after("7200"));
        world.clock.advance(6 * HOUR);
        assert_eq!(not_due(&world).await.0, drawn);
        assert_eq!(advice(&world).ask_at - world.clock.now().0, 2 * HOUR);
        world.clock.set(UnixTime(NOW.0 + drawn));
        renewed(&world).await;
    }
}

#[tokio::test]
async fn a_silent_ca_is_waited_for_once_in_a_run_and_only_for_a_while() {
    let world = World::with_certificate().await;
    let other = Request::new(&["c.test"]).expect("good");
    world.agent.obtain(&other).await.expect("obtained");
    world.ca.advise(test_ca::Advice::silence());
    let mut advisers = Advisers {
        patience: Duration::from_millis(300),
        ..Advisers::default()
    };
    world.ca.take_seen();
    let began = Instant::now();
    for name in [&name(), other.name()] {
        let mut record = world.agent.record(name).expect("kept");
        let names = record.sans().expect("names");
        let job = Job::new(name, &names, &record.settings, &world.agent.config).expect("good");
        let asked = world.agent.seek_advice(&job, &mut record, &mut advisers);
        asked.await.expect("kept");
    }
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(questions(&world), 1);
    assert_eq!(advice(&world).failures, 1);
    let unasked = world.agent.record(other.name()).expect("kept");
    assert_eq!(unasked.advice, None);
    // And when nobody is there at all, the certificates are still looked at.
    world.ca.set(Fault::Everything {
        status: 500,
        body: String::new(),
        posts_only: false,
    });
    world.clock.advance(DAY);
    let renewals = world.agent.renew(&RenewRequest::default()).await;
    let renewals = renewals.expect("tried");
    let is_left = |outcome: &RenewalOutcome| matches!(outcome, RenewalOutcome::NotDue { .. });
    assert!(renewals.len() == 2 && renewals.iter().all(|it| is_left(&it.outcome)));
    assert_eq!(world.ca.take_seen(), ["GET /dir"]);
}

#[tokio::test]
async fn one_directory_serves_for_all_certificates_of_a_ca() {
    let world = World::with_certificate().await;
    let other = Request::new(&["c.test"]).expect("good");
    world.agent.obtain(&other).await.expect("obtained");
    world.ca.advise(days(20, 25));
    world.ca.take_seen();
    world
        .agent
        .renew(&RenewRequest::default())
        .await
        .expect("tried");
    let seen = world.ca.take_seen();
    let directories = seen.iter().filter(|seen| *seen == "GET /dir").count();
    assert_eq!((directories, seen.len()), (1, 3), "{seen:?}");
}

#[tokio::test]
async fn a_ca_without_renewal_info_is_left_in_peace_and_may_take_its_offer_back() {
    let world = World::with_certificate().await;
    let (at, _) = not_due(&world).await;
    assert_eq!(world.ca.take_seen(), ["GET /dir"]);
    world.clock.advance(6 * HOUR - 1);
    assert_eq!(not_due(&world).await.0, at);
    assert!(world.ca.take_seen().is_empty());
    world.ca.advise(days(5, 7));
    world.clock.advance(1);
    assert_ne!(not_due(&world).await.0, at);
    world.ca.advise(None);
    world.clock.advance(6 * HOUR);
    assert_eq!(not_due(&world).await, (at, RenewalRule::Life));
}

#[tokio::test]
async fn nothing_is_asked_where_the_answer_would_change_nothing() {
    let world = World::with_certificate().await;
    world.ca.advise(days(20, 25));
    world.renew_forced().await.expect("renewed");
    assert_eq!(questions(&world), 0, "forced");

    let good = kept(&world);
    let set = |change: &dyn Fn(&mut CertificateRecord)| {
        let mut record = good.clone();
        change(&mut record);
        let state = &world.agent.state;
        state.keep_certificate(&name(), &record).expect("kept");
    };
    set(&|record| {
        record.failure = Some(Failure {
            count: 1,
            at: NOW.0,
            error: "no".to_owned(),
            next: NOW.0 + 60,
        });
    });
    not_due(&world).await;
    assert_eq!(questions(&world), 0, "held back");
    set(&|record| record.names.push("c.test".to_owned()));
    renewed(&world).await;
    assert_eq!(questions(&world), 0, "other names are wanted");

    set(&|_| ());
    let revoke = RevokeRequest {
        name: name(),
        reason: RevocationReason::Superseded,
        by: RevokeBy::Account,
        settings: Settings::default(),
    };
    world.renew_forced().await.expect("renewed");
    world.agent.revoke(&revoke).await.expect("revoked");
    world.renew_due().await;
    assert_eq!(questions(&world), 0, "revoked");

    set(&|_| ());
    world.clock.advance(48 * DAY);
    world.renew_due().await;
    assert_eq!(questions(&world), 0, "expired");
}

#[tokio::test]
async fn a_certificate_that_was_put_back_by_hand_is_asked_about_at_once() {
    let world = World::with_certificate().await;
    world.ca.advise(days(20, 25));
    not_due(&world).await;
    let first = advice(&world);
    world.renew_forced().await.expect("renewed");
    not_due(&world).await;
    assert_ne!(advice(&world).certificate, first.certificate);
    world.ca.take_seen();
    let live = world.folder.join("state/live/a.test");
    std::fs::remove_file(&live).expect("removed");
    std::os::unix::fs::symlink("../archive/a.test/0001", live).expect("put back");
    not_due(&world).await;
    assert_eq!(
        (questions(&world), advice(&world).certificate),
        (1, first.certificate)
    );
}

#[tokio::test]
async fn an_order_under_way_is_ended_before_anybody_is_asked() {
    let world = World::with_certificate().await;
    world.ca.advise(days(20, 25));
    world.ca.set(Fault::Busy(usize::MAX));
    world.renew_forced().await.expect_err("busy");
    world.ca.set(Fault::None);
    let held = world.renew_due().await;
    assert!(matches!(held, RenewalOutcome::Held { .. }), "{held:?}");
    world.clock.advance(DAY);
    renewed(&world).await;
    assert_eq!(questions(&world), 0);
}

#[tokio::test]
async fn the_ca_that_issued_is_asked_and_no_other() {
    let world = World::with_certificate().await;
    let other = World::new().await;
    world.ca.advise(days(5, 7));
    other.ca.advise(days(-2, -1));
    let elsewhere = RenewRequest {
        settings: other.agent.config.defaults.clone(),
        ..RenewRequest::default()
    };
    let renewals = world.agent.renew(&elsewhere).await.expect("tried");
    let outcome = &renewals.first().expect("one").outcome;
    assert!(
        matches!(
            outcome,
            RenewalOutcome::NotDue {
                rule: RenewalRule::Life,
                ..
            }
        ),
        "{outcome:?}"
    );
    assert_eq!((questions(&world), questions(&other)), (0, 0));
}

#[tokio::test]
async fn an_explanation_is_shown_if_it_is_a_plain_url_and_never_opened() {
    let long = format!("https://ca.test/{}", "x".repeat(3_000));
    let own = World::new().await.ca.directory();
    for (url, is_shown) in [
        ("https://ca.test/why?x=1", true),
        (own.as_str(), true),
        ("javascript:alert(1)", false),
        ("https://ca.test/\u{1b}]0;title\u{7}", false),
        ("https://ca.test/a b", false),
        ("https://user:pw@ca.test/", false),
        (&long, false),
        ("", false),
    ] {
        let world = World::with_certificate().await;
        let window = json!({"start": "2026-01-05T00:00:00Z", "end": "2026-01-07T00:00:00Z"});
        let said = json!({"suggestedWindow": window, "explanationURL": url});
        world.ca.advise(test_ca::Advice::body(said.to_string()));
        let (_, rule) = not_due(&world).await;
        let shown = rule.to_string();
        let expected = "the CA advises 2026-01-05T00:00:00Z to 2026-01-07T00:00:00Z";
        if is_shown {
            assert_eq!(shown, format!("{expected}, see {url}"));
        } else {
            assert_eq!(shown, expected);
        }
        let status = world.agent.status().expect("readable");
        let installed = status[0].installed.as_ref().expect("installed");
        assert_eq!(installed.renewal, rule);
        assert_eq!(world.ca.take_seen().len(), 2, "directory and renewalInfo");
    }
}
