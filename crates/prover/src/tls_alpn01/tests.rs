use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use chancery_acme::ChallengeKind;
use chancery_authority::proof::{Observation, Proof, ProofFailure};
use chancery_testkit::hostile_alpn::{
    AltName, Answer, ChallengeCertificate, HelloSeen, HostileAlpn, Identifier, SignedBy,
};

use super::*;
use crate::test_dns::addresses;
use crate::test_world::{NOW, World, key_authorization, untimed};

fn right() -> ChallengeCertificate {
    let name = San::parse("a.test").expect("a name");
    ChallengeCertificate::right(&name, &key_authorization())
}

fn ours() -> Identifier {
    Identifier::of(&key_authorization())
}

async fn prove_within(
    deadline: Duration,
    identifier: &str,
    asked_by: &str,
    answer: Answer,
) -> (Result<Proof, ProofFailure>, HostileAlpn) {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = HostileAlpn::start_on(free).await.expect("a free port");
    server.on(asked_by, answer);
    let world = World::new(addresses(&["127.0.0.1"])).await;
    let world = world.allow(&["127.0.0.1"]).with(|config| {
        config.tls_port = server.addr().port();
        config.deadline = deadline;
    });
    let outcome = world.prove(ChallengeKind::TlsAlpn01, identifier).await;
    (outcome, server)
}

async fn prove(answer: Answer) -> (Result<Proof, ProofFailure>, HostileAlpn) {
    prove_within(Duration::from_secs(10), "a.test", "a.test", answer).await
}

async fn fails(answer: Answer, kind: FailureKind, expected: &str) {
    let (outcome, _server) = prove(answer).await;
    let failure = outcome.expect_err(expected);
    assert_eq!(failure.kind, kind, "{}", failure.detail);
    assert!(failure.detail.contains(expected), "{}", failure.detail);
}

/// The server writes a client down when it has gone.
async fn hellos(server: &HostileAlpn) -> Vec<HelloSeen> {
    let begun = Instant::now();
    while server.hellos().is_empty() && begun.elapsed() < Duration::from_secs(10) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    server.hellos()
}

#[tokio::test]
async fn the_digest_in_a_certificate_of_the_name_is_a_proof() {
    for answer in [Answer::Show(right()), Answer::ShowByTls12(right())] {
        let (outcome, server) = prove(answer).await;
        let proof = outcome.expect("proven");
        assert_eq!(proof.at, NOW);
        let last = Observation::Dialled {
            address: server.addr().to_string(),
            result: "connected".to_owned(),
            at_ms: None,
        };
        assert_eq!(untimed(proof.observations).pop(), Some(last));
        let seen = HelloSeen {
            server_name: Some("a.test".to_owned()),
            protocols: vec!["acme-tls/1".to_owned()],
            application_octets: 0,
        };
        assert_eq!(hellos(&server).await, [seen]);
    }
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_reverse_name_and_shown_as_an_address() {
    let address = San::parse("127.0.0.1").expect("an address");
    let shown = ChallengeCertificate::right(&address, &key_authorization());
    let by = "1.0.0.127.in-addr.arpa";
    let patience = Duration::from_secs(10);
    let (outcome, server) =
        prove_within(patience, "127.0.0.1", by, Answer::Show(shown.clone())).await;
    outcome.expect("proven");
    assert_eq!(
        hellos(&server).await[0].server_name.as_deref(),
        Some("1.0.0.127.in-addr.arpa")
    );
    // The reverse name is for asking only: a certificate with it as dNSName is another thing.
    for names in [
        vec![AltName::Dns(by.to_owned())],
        vec![AltName::Dns("127.0.0.1".to_owned())],
        vec![AltName::Ip([127, 0, 0, 2].into())],
        vec![
            AltName::Ip([127, 0, 0, 1].into()),
            AltName::Dns(by.to_owned()),
        ],
    ] {
        let wrong = shown.clone().but(|shown| shown.names = names);
        let (outcome, _server) = prove_within(patience, "127.0.0.1", by, Answer::Show(wrong)).await;
        let failure = outcome.expect_err("not the address");
        assert_eq!(failure.kind, FailureKind::Unauthorized);
        assert!(
            failure.detail.contains("the iPAddress 127.0.0.1"),
            "{}",
            failure.detail
        );
    }
}

#[test]
fn reverse_names_are_those_of_the_reverse_tree() {
    let name = |text: &str| reverse_name(text.parse().expect("an address"));
    assert_eq!(name("192.0.2.7"), "7.2.0.192.in-addr.arpa");
    assert_eq!(
        name("2001:db8::567:89ab"),
        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"
    );
}

/// Apache draws 160 random bits for it, which need a 21st octet in every second case.
#[tokio::test]
async fn the_serial_number_of_the_certificate_shown_does_not_matter() {
    for serial in [vec![0xa8; 20], vec![0x7f; 20], vec![0xff; 25]] {
        let shown = right().but(|shown| shown.serial = serial);
        let (outcome, _server) = prove(Answer::Show(shown)).await;
        assert!(outcome.is_ok(), "{outcome:?}");
    }
}

#[tokio::test]
async fn a2_a_responder_that_speaks_tls_1_1_only_is_refused() {
    fails(
        Answer::Tls11,
        FailureKind::Tls,
        "the TLS handshake with a.test failed",
    )
    .await;
}

#[tokio::test]
async fn a2_a_responder_with_the_old_oid_is_refused() {
    let shown = right().but(|shown| shown.identifiers = vec![ours().of_drafts()]);
    fails(
        Answer::Show(shown),
        FailureKind::Unauthorized,
        "of an old draft",
    )
    .await;
}

#[tokio::test]
async fn a2_a_responder_whose_extension_is_not_critical_is_refused() {
    let shown = right().but(|shown| shown.identifiers = vec![ours().not_critical()]);
    fails(
        Answer::Show(shown),
        FailureKind::Unauthorized,
        "is not critical",
    )
    .await;
}

#[tokio::test]
async fn a2_a_responder_with_two_names_is_refused() {
    let shown = right().but(|shown| shown.names.push(AltName::Dns("b.test".to_owned())));
    fails(
        Answer::Show(shown),
        FailureKind::Unauthorized,
        "has 2 entries",
    )
    .await;
}

#[tokio::test]
async fn a2_a_responder_with_an_other_name_beside_the_name_is_refused() {
    let shown = right().but(|shown| shown.names.push(AltName::Other));
    fails(
        Answer::Show(shown),
        FailureKind::Unauthorized,
        "has 2 entries",
    )
    .await;
}

#[tokio::test]
async fn a2_a_responder_with_the_extension_twice_is_refused() {
    let shown = right().but(|shown| shown.identifiers.push(ours()));
    let expected = "acmeIdentifier more than once";
    fails(Answer::Show(shown), FailureKind::Tls, expected).await;
}

#[tokio::test]
async fn a2_a_responder_that_does_not_select_the_protocol_is_refused() {
    let expected = "did not select acme-tls/1 by ALPN";
    fails(Answer::WithoutAlpn(right()), FailureKind::Tls, expected).await;
    let expected = "the TLS handshake with a.test failed";
    fails(Answer::OtherProtocol(right()), FailureKind::Tls, expected).await;
}

#[tokio::test]
async fn a2_a_digest_that_is_off_by_one_bit_is_refused() {
    let shown = right().but(|shown| shown.identifiers = vec![ours().off_by_one_bit()]);
    let expected = "holds another digest";
    fails(
        Answer::Show(shown),
        FailureKind::IncorrectResponse,
        expected,
    )
    .await;
}

#[tokio::test]
async fn the_name_is_compared_octet_for_octet() {
    for name in ["A.test", "b.test", "a.test.", "*.test"] {
        let shown = right().but(|shown| shown.names = vec![AltName::Dns(name.to_owned())]);
        let expected = "is not the dNSName a.test";
        fails(Answer::Show(shown), FailureKind::Unauthorized, expected).await;
    }
}

#[tokio::test]
async fn a_certificate_of_somebody_else_or_without_its_key_is_refused() {
    let shown = right().but(|shown| shown.signed_by = SignedBy::Another);
    fails(
        Answer::Show(shown),
        FailureKind::Unauthorized,
        "is not self-signed",
    )
    .await;
    let expected = "the TLS handshake with a.test failed";
    fails(Answer::WithoutItsKey(right()), FailureKind::Tls, expected).await;
}

#[tokio::test]
async fn b5_what_is_not_tls_is_told_without_its_contents() {
    for octets in [&b"SECRET-123\r\n"[..], &[21, 3, 3, 0, 2, 2, 40], &[22; 300]] {
        let (outcome, _server) = prove(Answer::Plain(octets.to_vec())).await;
        let failure = outcome.expect_err("no TLS");
        assert_eq!(failure.kind, FailureKind::Tls, "{}", failure.detail);
        assert!(!format!("{failure:?}").contains("SECRET"), "{failure:?}");
    }
    fails(Answer::Close, FailureKind::Tls, "closed").await;
}

#[tokio::test]
async fn a_responder_that_says_nothing_is_left_at_the_deadline() {
    let begun = Instant::now();
    let patience = Duration::from_millis(500);
    let (outcome, _server) = prove_within(patience, "a.test", "a.test", Answer::Silence).await;
    let failure = outcome.expect_err("no answer");
    assert_eq!(failure.kind, FailureKind::Tls);
    assert!(
        failure.detail.contains("was not done within"),
        "{}",
        failure.detail
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn b3_addresses_that_may_not_be_dialled_hear_nothing() {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = HostileAlpn::start_on(free).await.expect("a free port");
    let world = World::new(addresses(&["127.0.0.1"])).await;
    let world = world
        .allow(&["public", "private"])
        .with(|config| config.tls_port = server.addr().port());
    for identifier in ["a.test", "127.0.0.1", "::1"] {
        for kind in [ChallengeKind::TlsAlpn01, ChallengeKind::Http01] {
            let failure = world
                .prove(kind, identifier)
                .await
                .expect_err("not dialled");
            assert_eq!(failure.kind, FailureKind::Connection, "{}", failure.detail);
            assert!(failure.detail.contains("loopback"), "{}", failure.detail);
        }
    }
    assert_eq!(server.hellos(), []);
}

#[tokio::test]
async fn nobody_there_is_a_connection_error() {
    let world = World::new(addresses(&["127.0.0.1"])).await;
    let port = chancery_testkit::free_port();
    let world = world
        .allow(&["loopback"])
        .with(|config| config.tls_port = port);
    let outcome = world.prove(ChallengeKind::TlsAlpn01, "a.test").await;
    let failure = outcome.expect_err("nobody there");
    assert_eq!(failure.kind, FailureKind::Connection);
    assert!(
        failure.detail.contains("connection refused"),
        "{}",
        failure.detail
    );
}

#[tokio::test]
async fn what_a_method_cannot_prove_it_refuses_whatever_it_is_asked() {
    let world = World::new(addresses(&["127.0.0.1"])).await;
    for (kind, identifier) in [
        (ChallengeKind::TlsAlpn01, "*.a.test"),
        (ChallengeKind::Http01, "*.a.test"),
        (ChallengeKind::Dns01, "127.0.0.1"),
    ] {
        let failure = world.prove(kind, identifier).await.expect_err("refused");
        assert_eq!(failure.kind, FailureKind::Unauthorized);
        assert!(failure.observations.is_empty());
    }
}
