//! The agent against a CA that is broken or means harm: what was installed stays, and the error says what happened.

use std::fs;
use std::path::Path;

use chancery_pki::UnixTime;

use crate::test_authority::NOW;
use crate::test_ca::{Fault, TOKEN};
use crate::test_world::{DAY, World};
use crate::{AgentError, Http01, RenewRequest, RenewalOutcome, Request, Settings};

#[tokio::test]
async fn h12_a_certificate_that_is_not_ours_is_never_installed() {
    let world = World::with_certificate().await;
    let answer = |text: &str| Fault::Answer(text.to_owned());
    world.fails(Fault::OtherKey, "another key").await;
    world
        .fails(Fault::OtherName("evil.test"), "evil.test")
        .await;
    world
        .fails(Fault::IssuedAt(NOW.minus(60 * 86_400)), "valid until")
        .await;
    world
        .fails(Fault::IssuedAt(NOW.plus(86_400)), "clock of this machine")
        .await;
    world.fails(Fault::Truncated(700), "no end").await;
    world.fails(Fault::Truncated(0), "no block").await;
    world.fails(answer("<html>\n"), "line 1").await;
    world.fails(answer(&"x".repeat(1 << 20)), "262144").await;
    let root = world.ca.authority.root_pem();
    world.fails(answer(&root), "another key").await;
    // And when the CA has come to its senses, all is well.
    assert_eq!(
        world.renew_forced().await.expect("renewed").generation,
        Some(2)
    );
}

#[tokio::test]
async fn h12_a_ca_that_is_down_for_a_day_is_asked_rarely_and_the_old_files_stay() {
    let world = World::with_certificate().await;
    let before = world.files();
    world.clock.set(UnixTime(NOW.0 + 40 * DAY));
    world.ca.set(Fault::Everything {
        status: 500,
        body: String::new(),
        posts_only: false,
    });
    let due = RenewRequest::default();
    let (mut failed, mut held) = (0, 0);
    for _ in 0..24 * 60 {
        world.clock.advance(60);
        let renewals = world.agent.renew(&due).await.expect("tried");
        match &renewals.first().expect("one").outcome {
            RenewalOutcome::Failed(error) => {
                assert!(error.to_string().contains("500"), "{error}");
                failed += 1;
            }
            RenewalOutcome::Held { .. } => held += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(failed >= 4 && held > 1_400, "{failed} {held}");
    let requests = world.ca.take_seen().len();
    assert!(
        requests <= 24 * 6,
        "{requests} requests are more than one in ten minutes"
    );
    assert_eq!(world.files(), before);
    let status = world.agent.status().expect("readable");
    let failure = status
        .first()
        .and_then(|status| status.failure.clone())
        .expect("told");
    assert_eq!(failure.count, failed);
    // The next attempt after that is on time.
    world.ca.set(Fault::None);
    world.clock.advance(2 * DAY);
    let renewals = world.agent.renew(&due).await.expect("tried");
    // The test CA issues at NOW, so the new certificate is due again: it is good all the same.
    assert!(matches!(
        renewals.first().expect("one").outcome,
        RenewalOutcome::Renewed(_)
    ));
    assert!(
        world
            .agent
            .status()
            .expect("readable")
            .first()
            .is_some_and(|status| status.failure.is_none())
    );
}

#[tokio::test]
async fn h11_a_token_that_is_a_path_writes_nothing_anywhere() {
    let world = World::with_certificate().await;
    let webroot = world.folder.join("www");
    fs::create_dir(&webroot).expect("made");
    let settings = Settings {
        http01: Some(Http01::Webroot(webroot.clone())),
        ..Settings::default()
    };
    let request = Request::new(&["c.test"]).expect("good").with(settings);
    let absolute = world.folder.join("absolute").display().to_string();
    for token in [
        "../../x",
        "../../../../../x",
        &absolute,
        "a\0b",
        "",
        ";reboot;`id`;aaaaaaaaaaaaaaaa\n",
    ] {
        world.ca.set(Fault::Token(token.to_owned()));
        let error = world.agent.obtain(&request).await.expect_err("refused");
        assert!(
            matches!(error, AgentError::BadToken { .. }),
            "{token:?}: {error}"
        );
        assert!(!error.to_string().chars().any(char::is_control));
        let challenges = webroot.join(".well-known/acme-challenge");
        assert_eq!(
            fs::read_dir(&challenges).expect("made").count(),
            0,
            "{token:?}"
        );
        assert_eq!(
            fs::read_dir(&webroot).expect("there").count(),
            1,
            "{token:?}"
        );
        assert!(!Path::new(&absolute).exists() && !world.folder.join("x").exists());
    }
    world.ca.set(Fault::None);
    world
        .agent
        .obtain(&request)
        .await
        .expect("obtained by webroot");
    let left = fs::read_dir(webroot.join(".well-known/acme-challenge"))
        .expect("there")
        .count();
    assert_eq!(left, 0, "the answer {TOKEN} is gone again");
}

#[tokio::test]
async fn h11_only_https_urls_of_the_cas_own_hosts_are_followed() {
    let world = World::with_certificate().await;
    for member in [
        "newNonce",
        "newAccount",
        "newOrder",
        "revokeCert",
        "keyChange",
        "renewalInfo",
    ] {
        let plain = Fault::Directory(member, "http://127.0.0.1/x".to_owned());
        world.fails(plain, "not https").await;
        assert_eq!(world.ca.take_seen(), ["GET /dir"], "{member}");
    }
    world
        .fails(
            Fault::FinalizeUrl("http://127.0.0.1/f".to_owned()),
            "not https",
        )
        .await;
    world
        .fails(
            Fault::FinalizeUrl("https://evil.test/f".to_owned()),
            "no host that",
        )
        .await;
    world
        .fails(
            Fault::FinalizeUrl("file:///etc/passwd".to_owned()),
            "not https",
        )
        .await;
    world
        .fails(
            Fault::FinalizeUrl("https://ca.test/\u{1b}[2J$(id)".to_owned()),
            "printable",
        )
        .await;
}

#[tokio::test]
async fn h10_texts_of_a_ca_are_bounded_and_cannot_command_a_terminal() {
    let world = World::with_certificate().await;
    let everything = |status, body: String| Fault::Everything {
        status,
        body,
        posts_only: true,
    };
    let evil = "`reboot`; $(id)\n\u{1b}]0;title\u{7}\r\u{9b}31m";
    let body = serde_json::json!({"type": evil, "detail": evil, "subproblems":
        [{"type": evil, "detail": evil, "identifier": {"type": "dns", "value": evil}}]});
    world
        .fails(everything(400, body.to_string()), "refused newOrder")
        .await;
    let long = serde_json::json!({"type": "x".repeat(20_000), "detail": "y".repeat(30_000)});
    world
        .fails(everything(400, long.to_string()), "refused newOrder")
        .await;
    let huge = serde_json::json!({"detail": "z".repeat(1 << 20)});
    world
        .fails(everything(400, huge.to_string()), "262144")
        .await;
    world
        .fails(everything(400, "[".repeat(60_000)), "HTTP status 400")
        .await;
    world
        .fails(everything(302, String::new()), "HTTP status 302")
        .await;
    world
        .fails(everything(200, "{}".to_owned()), "newOrder")
        .await;
}

#[tokio::test]
async fn f5_a_refused_nonce_is_replaced_by_the_one_that_came_with_the_refusal() {
    let world = World::with_certificate().await;
    world.ca.set(Fault::BadNonces(3));
    world.renew_forced().await.expect("renewed");
    let seen = world.ca.take_seen();
    let asked = |what: &str| seen.iter().filter(|seen| *seen == what).count();
    assert_eq!(
        (asked("HEAD /new-nonce"), asked("POST /new-order")),
        (1, 4),
        "{seen:?}"
    );
    let error = world
        .fails(Fault::BadNonces(usize::MAX), "5 of its own fresh nonces")
        .await;
    assert!(matches!(error, AgentError::NoncesRefused { .. }));
    assert!(world.ca.take_seen().len() <= 8);
}

#[tokio::test]
async fn f3_a_busy_ca_is_asked_again_when_it_says() {
    let world = World::with_certificate().await;
    world.ca.set(Fault::Busy(2));
    world.renew_forced().await.expect("renewed");
    let error = world.fails(Fault::Busy(10), "rateLimited").await;
    assert!(!error.ends_order());
}

#[tokio::test]
async fn a_name_that_is_not_validated_is_told_with_the_cas_reason() {
    let world = World::with_certificate().await;
    world
        .fails(Fault::NotValidated, "a.test (connection: refused)")
        .await;
    // The order is dead: the next attempt makes a new one.
    world.ca.take_seen();
    world.renew_forced().await.expect("renewed");
    assert!(world.ca.take_seen().contains(&"POST /new-order".to_owned()));
}

#[tokio::test]
async fn a_ca_that_forgot_the_account_gets_a_new_one_with_a_new_key() {
    let world = World::with_certificate().await;
    assert_eq!(world.ca.accounts(), 1);
    world.ca.set(Fault::NewOrder("accountDoesNotExist"));
    world.renew_forced().await.expect("renewed");
    assert_eq!(world.ca.accounts(), 2);
}
