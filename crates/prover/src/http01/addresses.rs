//! Failures B3: places that a name or a redirect may lead to, and where nobody may be heard.

use chancery_acme::ChallengeKind;
use chancery_authority::proof::{FailureKind, Observation, Proof, ProofFailure};
use chancery_dial::Policy;
use hickory_proto::rr::RecordType;

use crate::test_dns::{Reply, address, addresses};
use crate::test_http::{Script, TestHttp, listeners};
use crate::test_world::{World, moved, right};

/// Failures B3: the name leads to each forbidden place; a listener that hears all of this host hears nothing.
#[tokio::test]
async fn b3_a_forbidden_address_gets_no_packet() {
    let canary = TestHttp::start("[::]:0", |_| right()).await;
    for forbidden in [
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "224.0.0.1",
    ] {
        let world = World::new(addresses(&[forbidden]))
            .await
            .allow(&["public", "private"]);
        let world = world.with(|config| config.http_port = canary.address.port());
        let failure = world
            .prove(ChallengeKind::Http01, "a.test")
            .await
            .expect_err(forbidden);
        assert_eq!(failure.kind, FailureKind::Connection, "{forbidden}");
        assert!(
            failure.detail.contains("may not dial"),
            "{}",
            failure.detail
        );
        let refused = failure.observations.iter().any(|observation| {
            matches!(observation, Observation::Dialled { result, .. }
                if result.starts_with("refused by policy"))
        });
        assert!(refused, "{:?}", failure.observations);
    }
    assert_eq!(canary.seen().connections, 0);
}

#[tokio::test]
async fn b3_our_own_listeners_get_no_packet() {
    let canary = TestHttp::start("127.0.0.1:0", |_| right()).await;
    let policy = Policy::from_words(["loopback"]).expect("a class");
    for own in [canary.address, ([0, 0, 0, 0], canary.address.port()).into()] {
        let world = World::new(addresses(&["127.0.0.1"])).await.with(|config| {
            config.http_port = canary.address.port();
            config.policy = policy.clone().avoiding([own]);
        });
        let failure = world
            .prove(ChallengeKind::Http01, "a.test")
            .await
            .expect_err("our own");
        assert_eq!(failure.kind, FailureKind::Connection);
        assert!(
            failure.detail.contains("this server itself"),
            "{}",
            failure.detail
        );
    }
    assert_eq!(canary.seen().connections, 0);
}

#[tokio::test]
async fn b3_a_redirect_to_a_forbidden_address_gets_no_packet() {
    const FORBIDDEN: [&str; 11] = [
        "127.0.0.2",
        "[::1]",
        "[::ffff:127.0.0.2]",
        "2130706434",
        "0x7f.2",
        "0.0.0.0",
        "169.254.169.254",
        "[fe80::1]",
        "[fe80::1%25eth0]",
        "[64:ff9b::7f00:2]",
        "inner.test",
    ];
    let places = ["127.0.0.1", "127.0.0.2", "::1"].map(|ip| ip.parse().expect("an address"));
    let [permitted, canary, canary_v6] = listeners(places).await;
    let (canary, canary_v6) = (
        TestHttp::on(canary, |_| right()),
        TestHttp::on(canary_v6, |_| right()),
    );
    // The host `n3.test` is led to the third forbidden place.
    let server = TestHttp::on(permitted, |request| {
        let number = request
            .split_once("host: n")
            .and_then(|(_, rest)| rest.split_once('.'));
        let number: usize = number
            .and_then(|(text, _)| text.parse().ok())
            .expect("a number");
        moved(302, &format!("http://{}/x", FORBIDDEN[number]))
    });
    let world = World::new(|question| {
        let ip = if question.name == "inner.test" {
            "127.0.0.2"
        } else {
            "127.0.0.1"
        };
        addresses(&[ip])(question)
    });
    let world = world.await.allow(&["public", "127.0.0.1"]);
    let world = world.with(|config| config.http_port = server.address.port());
    for (number, forbidden) in FORBIDDEN.iter().enumerate() {
        let name = format!("n{number}.test");
        let failure = world
            .prove(ChallengeKind::Http01, &name)
            .await
            .expect_err(forbidden);
        assert_eq!(
            failure.kind,
            FailureKind::Connection,
            "{forbidden}: {}",
            failure.detail
        );
    }
    assert_eq!(server.seen().connections, FORBIDDEN.len());
    assert_eq!(
        (canary.seen().connections, canary_v6.seen().connections),
        (0, 0)
    );
}

/// A server for `a.test` at an address that is permitted, and DNS that gives a forbidden one from the second
/// question on.
async fn rebinding<F>(serve: F) -> (Result<Proof, ProofFailure>, usize, Vec<String>)
where
    F: Fn(&str) -> Script + Send + Sync + 'static,
{
    let places = ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse().expect("an address"));
    let [permitted, canary] = listeners(places).await;
    let (server, canary) = (
        TestHttp::on(permitted, serve),
        TestHttp::on(canary, |_| right()),
    );
    let port = server.address.port();
    let world = World::new(|question| {
        let ip = if question.before == 0 {
            "127.0.0.1"
        } else {
            "127.0.0.2"
        };
        Reply::Records(match question.kind {
            RecordType::A => vec![address(&question.name, ip)],
            _ => vec![],
        })
    });
    let world = world.await.allow(&["public", "127.0.0.1"]);
    let world = world.with(|config| config.http_port = port);
    let outcome = world.prove(ChallengeKind::Http01, "a.test").await;
    let asked = world
        .dns
        .asked()
        .into_iter()
        .filter(|asked| asked == "a.test A")
        .collect();
    (outcome, canary.seen().connections, asked)
}

#[tokio::test]
async fn b3_a_name_is_resolved_once_and_that_address_is_dialled() {
    let (outcome, canary, asked) = rebinding(|_| right()).await;
    outcome.expect("proven at the first address");
    assert_eq!((canary, asked.len()), (0, 1));
}

#[tokio::test]
async fn b3_each_redirect_is_judged_anew() {
    let (outcome, canary, asked) = rebinding(|_| moved(302, "/again")).await;
    let failure = outcome.expect_err("now a forbidden address");
    assert_eq!(failure.kind, FailureKind::Connection);
    assert!(
        failure
            .detail
            .starts_with("after a redirect, a.test resolves to 127.0.0.2")
    );
    assert_eq!((canary, asked.len()), (0, 2));
}

#[tokio::test]
async fn b3_a_forbidden_address_beside_a_permitted_one_is_passed_over() {
    let server = TestHttp::start("127.0.0.1:0", |_| right()).await;
    let both = ["::1", "169.254.169.254", "127.0.0.1"];
    let world = World::new(addresses(&both)).await.allow(&["127.0.0.1"]);
    let world = world.with(|config| config.http_port = server.address.port());
    world
        .prove(ChallengeKind::Http01, "a.test")
        .await
        .expect("proven");
}

/// RFC 8738 §4: the address itself is dialled, DNS is not asked, and `Host` is the literal.
#[tokio::test]
async fn an_address_is_its_own_host() {
    for address in ["127.0.0.1", "::1"] {
        let ip: std::net::IpAddr = address.parse().expect("an address");
        let free = std::net::SocketAddr::from((ip, 0)).to_string();
        let server = TestHttp::start(&free, |_| right()).await;
        let world = World::new(addresses(&[])).await.allow(&["loopback"]);
        let world = world.with(|config| config.http_port = server.address.port());
        world
            .prove(ChallengeKind::Http01, address)
            .await
            .expect("proven");
        let host = format!("\r\nhost: {}\r\n", server.address);
        let seen = server.seen();
        let request = seen.requests.first().expect("one request");
        assert!(request.contains(&host), "{request}");
        assert_eq!(world.dns.asked(), Vec::<String>::new());
    }
}
