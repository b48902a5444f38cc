//! The agent against a CA that is broken or means harm: what was installed stays, and the error says what happened.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use chancery_pki::{San, UnixTime};
use chancery_testkit::{FakeClock, TempDir};

use crate::test_authority::NOW;
use crate::test_ca::{Fault, TOKEN, TestCa};
use crate::{
    Agent, AgentConfig, AgentError, CertName, CertificateState, Http01, Installed, KeyType,
    RenewRequest, RenewalOutcome, Request, RevocationReason, RevokeBy, RevokeRequest, Settings,
};

const DAY: i64 = 86_400;

/// An agent, its folder, its clock, and the CA it trusts.
struct World {
    ca: TestCa,
    folder: TempDir,
    clock: FakeClock,
    agent: Agent,
}

impl World {
    async fn new() -> Self {
        let ca = TestCa::start().await;
        let folder = TempDir::new("agent-hostile").expect("made");
        fs::write(folder.join("root.pem"), ca.authority.root_pem()).expect("written");
        let clock = FakeClock::new(NOW);
        let shown = clock.clone();
        let mut config = AgentConfig::new(folder.join("state"));
        config.clock = Arc::new(move || shown.now());
        config.defaults = Settings {
            ca: Some(ca.directory()),
            root: Some(folder.join("root.pem")),
            http01: Some(Http01::Listen("127.0.0.1:0".parse().expect("an address"))),
            ..Settings::default()
        };
        Self {
            agent: Agent::new(config),
            ca,
            folder,
            clock,
        }
    }

    /// A world in which `a.test` and `b.test` have a good certificate.
    async fn with_certificate() -> Self {
        let world = Self::new().await;
        let installed = world.agent.obtain(&request()).await.expect("obtained");
        assert_eq!((installed.generation, installed.is_new), (Some(1), true));
        world.ca.take_seen();
        world
    }

    fn files(&self) -> BTreeMap<String, String> {
        let live = self.folder.join("state/live/a.test");
        let entries = fs::read_dir(live).expect("there is one").flatten();
        let text = |path: &Path| fs::read_to_string(path).expect("readable");
        entries
            .map(|entry| {
                (
                    entry.file_name().into_string().expect("text"),
                    text(&entry.path()),
                )
            })
            .collect()
    }

    /// Forces a renewal that must fail and must leave everything as it was.
    async fn fails(&self, fault: Fault, told: &str) -> AgentError {
        let before = self.files();
        self.ca.set(fault.clone());
        let error = self.renew_forced().await.expect_err("must fail");
        let text = error.to_string();
        assert!(text.contains(told), "{fault:?}: {text}");
        assert!(
            text.len() < 8_000 && !text.chars().any(char::is_control),
            "{text:?}"
        );
        assert_eq!(self.files(), before, "{fault:?}");
        self.ca.set(Fault::None);
        error
    }

    async fn renew_forced(&self) -> Result<Installed, AgentError> {
        let request = RenewRequest {
            force: true,
            ..RenewRequest::default()
        };
        let mut renewals = self.agent.renew(&request).await.expect("tried");
        match renewals.pop().expect("one").outcome {
            RenewalOutcome::Renewed(installed) => Ok(installed),
            RenewalOutcome::Failed(error) => Err(error),
            other => panic!("{other:?}"),
        }
    }
}

fn request() -> Request {
    Request::new(&["a.test", "b.test"]).expect("good")
}

fn name() -> CertName {
    CertName::parse("a.test").expect("a name")
}

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

#[tokio::test]
async fn terms_are_never_agreed_to_silently() {
    let mut world = World::new().await;
    world.ca.set(Fault::Terms);
    let error = world.agent.obtain(&request()).await.expect_err("refused");
    assert!(
        error.is_usage() && error.to_string().contains("https://ca.test/terms"),
        "{error}"
    );
    assert_eq!(world.ca.accounts(), 0);
    world.agent.config.agree_terms = true;
    world.agent.obtain(&request()).await.expect("obtained");
}

#[tokio::test]
async fn a_first_certificate_that_fails_leaves_nothing_that_is_wanted() {
    let world = World::new().await;
    world.ca.set(Fault::OtherKey);
    world.agent.obtain(&request()).await.expect_err("refused");
    assert!(world.agent.status().expect("readable").is_empty());
    assert!(!world.folder.join("state/live/a.test").exists());
    assert_eq!(
        fs::read_dir(world.folder.join("state/orders"))
            .expect("there")
            .count(),
        0
    );
}

#[tokio::test]
async fn what_is_good_is_kept_and_what_is_asked_anew_is_obtained() {
    let world = World::with_certificate().await;
    let kept = world.agent.obtain(&request()).await.expect("kept");
    assert!(!kept.is_new && world.ca.take_seen().is_empty());

    let more = Request::new(&["a.test", "b.test", "c.test"]).expect("good");
    let installed = world.agent.obtain(&more).await.expect("obtained");
    assert!(
        installed.is_new
            && installed
                .names
                .contains(&San::parse("c.test").expect("a name"))
    );

    let rsa = more.clone().with(Settings {
        key_type: Some(KeyType::Rsa2048),
        ..Settings::default()
    });
    assert!(world.agent.obtain(&rsa).await.expect("obtained").is_new);
    assert!(!world.agent.obtain(&rsa).await.expect("kept").is_new);
    // What was said then holds for renewals too.
    world.renew_forced().await.expect("renewed");
    let status = world.agent.status().expect("readable");
    let installed = status
        .first()
        .and_then(|status| status.installed.clone())
        .expect("installed");
    assert_eq!(installed.key_type, Some(KeyType::Rsa2048));
}

#[tokio::test]
async fn a_wish_that_fails_does_not_stop_the_renewal_of_what_there_is() {
    let world = World::with_certificate().await;
    let more = Request::new(&["a.test", "c.test"]).expect("good");
    world.ca.set(Fault::NotValidated);
    world.agent.obtain(&more).await.expect_err("refused");
    world.ca.set(Fault::None);
    let renewed = world.renew_forced().await.expect("renewed");
    assert_eq!(&renewed.names, request().names());
}

#[tokio::test]
async fn a_renewal_has_a_fresh_key_unless_it_was_told_to_keep_it() {
    let world = World::with_certificate().await;
    let key = |world: &World| world.files().get("privkey.pem").cloned().expect("a key");
    let first = key(&world);
    world.renew_forced().await.expect("renewed");
    let second = key(&world);
    assert_ne!(first, second);
    let reuse = request().with(Settings {
        reuse_key: Some(true),
        ..Settings::default()
    });
    world.agent.obtain(&reuse).await.expect("kept");
    world.renew_forced().await.expect("renewed");
    assert_eq!(key(&world), second);
}

#[tokio::test]
async fn certificates_are_renewed_when_their_time_comes_and_not_before() {
    let world = World::with_certificate().await;
    let due = RenewRequest::default();
    let outcome = |world: &World, renewals: Vec<crate::Renewal>| {
        world.ca.take_seen();
        renewals.into_iter().next().expect("one").outcome
    };
    let renewals = world.agent.renew(&due).await.expect("tried");
    let RenewalOutcome::NotDue { renew_at } = outcome(&world, renewals) else {
        panic!("not due")
    };
    world.clock.set(renew_at.minus(1));
    let renewals = world.agent.renew(&due).await.expect("tried");
    assert!(matches!(
        outcome(&world, renewals),
        RenewalOutcome::NotDue { .. }
    ));
    world.clock.set(renew_at);
    assert_eq!(
        world.agent.status().expect("readable")[0].state,
        CertificateState::Due
    );
    let renewals = world.agent.renew(&due).await.expect("tried");
    assert!(matches!(
        outcome(&world, renewals),
        RenewalOutcome::Renewed(_)
    ));
}

#[tokio::test]
async fn a_revoked_certificate_is_shown_and_not_renewed_by_itself() {
    let world = World::with_certificate().await;
    for by in [RevokeBy::Account, RevokeBy::CertificateKey] {
        let revoke = RevokeRequest {
            name: name(),
            reason: RevocationReason::Superseded,
            by,
            settings: Settings::default(),
        };
        world.agent.revoke(&revoke).await.expect("revoked");
        assert!(world.ca.take_seen().contains(&"POST /revoke".to_owned()));
    }
    assert_eq!(
        world.agent.status().expect("readable")[0].state,
        CertificateState::Revoked
    );
    world.clock.advance(40 * DAY);
    let renewals = world
        .agent
        .renew(&RenewRequest::default())
        .await
        .expect("tried");
    assert!(matches!(renewals[0].outcome, RenewalOutcome::Revoked));
    world.clock.set(NOW);
    assert!(
        world
            .agent
            .obtain(&request())
            .await
            .expect("obtained")
            .is_new
    );
    assert_eq!(
        world.agent.status().expect("readable")[0].state,
        CertificateState::Valid
    );
}

#[tokio::test]
async fn files_that_were_damaged_by_hand_are_told_and_replaced() {
    let world = World::with_certificate().await;
    fs::write(world.folder.join("state/live/a.test/fullchain.pem"), "oops").expect("written");
    let status = world.agent.status().expect("readable");
    assert_eq!(status[0].state, CertificateState::Broken);
    assert!(
        status[0]
            .fault
            .as_ref()
            .is_some_and(|fault| fault.contains("obtain the certificate again"))
    );
    let renewals = world
        .agent
        .renew(&RenewRequest::default())
        .await
        .expect("tried");
    assert!(matches!(renewals[0].outcome, RenewalOutcome::Renewed(_)));
}

#[tokio::test]
async fn a_wrong_root_an_unknown_name_and_a_second_agent_are_told() {
    let world = World::with_certificate().await;
    let other = TestCa::start().await;
    fs::write(world.folder.join("root.pem"), other.authority.root_pem()).expect("written");
    let error = world
        .renew_forced()
        .await
        .expect_err("not believed")
        .to_string();
    assert!(error.contains("TLS handshake"), "{error}");
    let unknown = RenewRequest {
        name: Some(CertName::parse("x").expect("a name")),
        ..RenewRequest::default()
    };
    let error = world.agent.renew(&unknown).await.expect_err("unknown");
    assert!(
        error.is_usage() && error.to_string().contains("kept are: a.test"),
        "{error}"
    );
    let _lock = world.agent.state.open().expect("free");
    let error = world.agent.obtain(&request()).await.expect_err("locked");
    assert!(matches!(error, AgentError::Locked { .. }), "{error}");
}
