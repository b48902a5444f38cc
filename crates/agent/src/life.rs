//! The life of certificates on a machine: obtained, kept, renewed, revoked, replaced.

use std::fs;

use chancery_pki::San;

use crate::test_authority::NOW;
use crate::test_ca::{Fault, TestCa};
use crate::test_world::{DAY, World, name, request};
use crate::{
    Agent, AgentConfig, AgentError, CertName, CertificateState, KeyType, RenewRequest,
    RenewalOutcome, Request, RevocationReason, RevokeBy, RevokeRequest, Settings,
};

/// A server runs the agent beside other tasks, on threads that it may move between.
#[test]
fn what_the_agent_does_can_be_a_task() {
    fn is_send<T: Send>(_: &T) {}
    let agent = Agent::new(AgentConfig::new("/nowhere"));
    is_send(&agent.obtain(&request()));
    is_send(&agent.renew(&RenewRequest::default()));
    is_send(&agent.revoke(&RevokeRequest {
        name: name(),
        reason: RevocationReason::Unspecified,
        by: RevokeBy::Account,
        settings: Settings::default(),
    }));
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
    let RenewalOutcome::NotDue { renew_at, .. } = outcome(&world, renewals) else {
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
