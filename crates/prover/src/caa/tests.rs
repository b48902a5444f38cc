use std::time::{Duration, Instant};

use chancery_acme::ChallengeKind;
use chancery_authority::caa::{CaaFinding, CaaTerms};
use chancery_authority::proof::ProofFailure;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;

use super::*;
use crate::test_dns::{Question, Reply, addresses, caa, cname};
use crate::test_http::TestHttp;
use crate::test_world::{NOW, World, key_authorization, right};

const OURS: &str = "ca.test";
const URL: &str = "https://ca.test/acme/server/account/abc";

fn question(name: &str) -> CaaQuestion {
    CaaQuestion {
        identifier: San::parse(name).expect("a name"),
        method: ChallengeKind::Http01,
        terms: CaaTerms {
            identities: vec![OURS.to_owned(), "Other-Name.test".to_owned()],
            account_url: URL.to_owned(),
        },
    }
}

fn record(flags: u8, tag: &str, value: &str) -> CaaRecord {
    CaaRecord {
        critical: flags & 128 != 0,
        tag: tag.to_owned(),
        value: value.as_bytes().to_vec(),
    }
}

/// Judges a set of records, each with its flags, tag and value.
fn judged(name: &str, records: &[(u8, &str, &str)]) -> Result<(), Denial> {
    let records: Vec<_> = records
        .iter()
        .map(|(flags, tag, value)| record(*flags, tag, value))
        .collect();
    judge(&records, &question(name))
}

fn permits(name: &str, records: &[(u8, &str, &str)]) {
    assert_eq!(judged(name, records), Ok(()), "{name}: {records:?}");
}

fn forbids(name: &str, records: &[(u8, &str, &str)]) {
    assert!(judged(name, records).is_err(), "{name}: {records:?}");
}

#[test]
fn issue_permits_who_is_named_and_nobody_else() {
    permits("a.test", &[(0, "issue", "ca.test")]);
    permits("a.test", &[(0, "issue", " CA.Test ")]);
    permits("a.test", &[(0, "issue", "other-name.test")]);
    permits("a.test", &[(0, "ISSUE", "ca.test")]);
    permits("a.test", &[(0, "issue", ";"), (0, "issue", "ca.test")]);
    permits("a.test", &[(0, "issue", "x.test"), (0, "issue", "ca.test")]);
    for value in ["x.test", ";", "", "x.ca.test", "ca.test.x", "ca.test."] {
        forbids("a.test", &[(0, "issue", value)]);
    }
}

#[test]
fn a_set_without_a_deciding_property_restricts_nobody() {
    permits("a.test", &[(0, "iodef", "mailto:a@a.test")]);
    permits("a.test", &[(0, "issuemail", ";")]);
    permits("a.test", &[(0, "unknown", "x")]);
    permits("*.a.test", &[(0, "iodef", "mailto:a@a.test")]);
}

#[test]
fn issuewild_decides_on_wildcards_and_on_nothing_else() {
    let split = [(0, "issue", "x.test"), (0, "issuewild", "ca.test")];
    permits("*.a.test", &split);
    forbids("a.test", &split);
    let split = [(0, "issue", "ca.test"), (0, "issuewild", ";")];
    forbids("*.a.test", &split);
    permits("a.test", &split);
    permits("a.test", &[(0, "issuewild", ";")]);
    // Without issuewild, issue decides on wildcards too.
    permits("*.a.test", &[(0, "issue", "ca.test")]);
    forbids("*.a.test", &[(0, "issue", "x.test")]);
}

#[test]
fn an_unknown_critical_property_forbids_and_only_the_bit_of_the_rfc_makes_it_critical() {
    let ours = (0, "issue", "ca.test");
    forbids("a.test", &[ours, (128, "future", "x")]);
    forbids("a.test", &[ours, (255, "future", "x")]);
    for flags in [0, 1, 2, 64, 127] {
        permits("a.test", &[ours, (flags, "future", "x")]);
    }
    permits("a.test", &[(128, "issue", "ca.test")]);
    permits("a.test", &[ours, (128, "iodef", "mailto:a@a.test")]);
    permits("a.test", &[ours, (128, "IssueMail", ";")]);
    let denial = judged("a.test", &[(128, "future", "x")]);
    let tag = "future".to_owned();
    assert_eq!(denial, Err(Denial::UnknownCritical { tag }));
}

#[test]
fn accounturi_must_be_the_accounts_url_to_the_letter_and_stand_there_once() {
    let with = |parameters: &str| format!("ca.test; {parameters}");
    let right = with(&format!("accounturi={URL}"));
    permits("a.test", &[(0, "issue", &right)]);
    let upper = URL.replace("https", "HTTPS");
    for wrong in [
        "accounturi=https://ca.test/acme/server/account/abd".to_owned(),
        format!("accounturi={URL}/"),
        format!("accounturi={upper}"),
        "accounturi=".to_owned(),
        format!("accounturi={URL}; accounturi={URL}"),
        format!("accounturi={URL}; AccountURI=https://x.test/"),
    ] {
        forbids("a.test", &[(0, "issue", &with(&wrong))]);
    }
    // A property that cannot be satisfied does not spoil another one.
    let twice = with(&format!("accounturi={URL}; accounturi={URL}"));
    permits("a.test", &[(0, "issue", &twice), (0, "issue", "ca.test")]);
    // The account does not help another issuer's property.
    forbids(
        "a.test",
        &[(0, "issue", &right.replace("ca.test;", "x.test;"))],
    );
}

#[test]
fn validationmethods_must_contain_the_method_and_stand_there_once() {
    let with = |parameters: &str| format!("ca.test; {parameters}");
    for good in [
        "validationmethods=http-01",
        "validationmethods=dns-01,http-01",
        "validationmethods=ca-specific,http-01,tls-alpn-01",
    ] {
        permits("a.test", &[(0, "issue", &with(good))]);
    }
    for wrong in [
        "validationmethods=dns-01",
        "validationmethods=HTTP-01",
        "validationmethods=http-011",
        "validationmethods=",
        "validationmethods=http-01; validationmethods=http-01",
    ] {
        forbids("a.test", &[(0, "issue", &with(wrong))]);
    }
    let both = format!("validationmethods=http-01; accounturi={URL}; cabf-future=x");
    permits("a.test", &[(0, "issue", &with(&both))]);
    let other = "validationmethods=http-01; accounturi=https://x.test/";
    forbids("a.test", &[(0, "issue", &with(other))]);
}

#[test]
fn unknown_parameters_mean_nothing_and_malformed_values_permit_nobody() {
    permits("a.test", &[(0, "issue", "ca.test; policy=ev; policy=ov")]);
    for malformed in [
        "ca.test; policy",
        "ca.test; =x",
        "ca.test x",
        "ca.test; a=b c",
    ] {
        forbids("a.test", &[(0, "issue", malformed)]);
    }
}

/// The zone: CAA values at names, in the order of the questions.
async fn check_with<F>(name: &str, reply: F) -> (Result<CaaFinding, ProofFailure>, Vec<String>)
where
    F: Fn(&Question) -> Reply + Send + Sync + 'static,
{
    let world = World::hasty(reply).await;
    let outcome = world.check_caa(&question(name)).await;
    (outcome, world.dns.asked())
}

fn issue(owner: &str, value: &str) -> Reply {
    Reply::Records(vec![caa(owner, 0, "issue", value)])
}

#[tokio::test]
async fn the_tree_is_climbed_from_the_name_to_below_the_root() {
    let (outcome, asked) = check_with("a.b.test", |question| match question.name.as_str() {
        "a.b.test" => Reply::Code(ResponseCode::NXDomain),
        _ => Reply::Records(vec![]),
    })
    .await;
    let finding = outcome.expect("nothing forbids");
    assert_eq!(asked, ["a.b.test CAA", "b.test CAA", "test CAA"]);
    assert_eq!(finding.at, NOW);
    let verdict = Observation::Caa {
        name: "a.b.test".to_owned(),
        verdict: "there is no CAA record up to the root".to_owned(),
        at: NOW,
    };
    assert_eq!(finding.observations.last(), Some(&verdict));
}

#[tokio::test]
async fn the_first_set_decides_and_nothing_above_it_is_asked() {
    let reply = |question: &Question| match question.name.as_str() {
        "b.test" => issue("b.test", "ca.test"),
        "test" => issue("test", ";"),
        _ => Reply::Records(vec![]),
    };
    let (outcome, asked) = check_with("a.b.test", reply).await;
    outcome.expect("permitted");
    assert_eq!(asked, ["a.b.test CAA", "b.test CAA"]);
    let (outcome, asked) = check_with("*.b.test", reply).await;
    outcome.expect("permitted");
    assert_eq!(
        asked,
        ["b.test CAA"],
        "a wildcard is looked for at its base"
    );
    let (outcome, _) = check_with("c.test", reply).await;
    let failure = outcome.expect_err("the set at test forbids");
    assert_eq!(failure.kind, FailureKind::Caa);
    let expected = "CAA for c.test: the record set at test permits nobody, not ca.test; to permit it, add the record \
                    `0 issue \"ca.test\"` at test";
    assert_eq!(failure.detail, expected);
}

#[tokio::test]
async fn an_alias_is_followed_and_its_parents_are_not_climbed() {
    let reply = |question: &Question| match question.name.as_str() {
        "a.b.test" => Reply::Records(vec![cname("a.b.test", "x.y.example")]),
        "y.example" => issue("y.example", ";"),
        "b.test" => issue("b.test", "ca.test"),
        _ => Reply::Records(vec![]),
    };
    let (outcome, asked) = check_with("a.b.test", reply).await;
    outcome.expect("permitted by b.test");
    assert_eq!(asked, ["a.b.test CAA", "x.y.example CAA", "b.test CAA"]);
    let reply = |question: &Question| match question.name.as_str() {
        "a.test" => Reply::Records(vec![
            cname("a.test", "x.example"),
            caa("x.example", 0, "issue", "x.test"),
        ]),
        _ => Reply::Records(vec![]),
    };
    let failure = check_with("a.test", reply).await.0.expect_err("forbidden");
    assert_eq!(failure.kind, FailureKind::Caa);
    assert!(
        failure.detail.contains("permits x.test"),
        "{}",
        failure.detail
    );
}

#[tokio::test]
async fn what_cannot_be_known_is_a_refusal() {
    let begun = Instant::now();
    async fn unknown<F>(reply: F, expected: &str)
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let (outcome, _) = check_with("a.test", reply).await;
        let failure = outcome.expect_err(expected);
        assert_eq!(failure.kind, FailureKind::CaaLookup, "{}", failure.detail);
        assert!(failure.detail.contains(expected), "{}", failure.detail);
    }
    unknown(|_| Reply::Code(ResponseCode::ServFail), "SERVFAIL").await;
    unknown(|_| Reply::Code(ResponseCode::Refused), "REFUSED").await;
    unknown(|_| Reply::Silence, "no DNS server answered").await;
    unknown(|_| Reply::Truncated, "truncated").await;
    // Also further up, where the name itself has said nothing.
    let above = |question: &Question| match question.name.as_str() {
        "test" => Reply::Code(ResponseCode::ServFail),
        _ => Reply::Records(vec![]),
    };
    unknown(above, "SERVFAIL for test CAA").await;
    let looped = |question: &Question| Reply::Records(vec![cname(&question.name, &question.name)]);
    unknown(looped, "form a loop").await;
    let long = |question: &Question| issue(&question.name, &"x".repeat(1025));
    unknown(long, "more than 1024 octets").await;
    let many = |question: &Question| {
        let record = |n| caa(&question.name, 0, "issue", &format!("ca{n}.test"));
        Reply::Records((0..65).map(record).collect())
    };
    unknown(many, "more than 64 records").await;
    assert!(begun.elapsed() < Duration::from_secs(8));
}

#[tokio::test]
async fn reserved_flags_come_through_as_not_critical() {
    let reply = |flags| {
        move |question: &Question| {
            let ours = caa(&question.name, 0, "issue", "ca.test");
            Reply::Records(vec![ours, caa(&question.name, flags, "future", "x")])
        }
    };
    check_with("a.test", reply(1)).await.0.expect("permitted");
    let failure = check_with("a.test", reply(128))
        .await
        .0
        .expect_err("critical");
    assert!(failure.detail.contains("\"future\""), "{}", failure.detail);
}

#[tokio::test]
async fn a_proof_is_followed_by_the_check_of_the_same_name() {
    let server = TestHttp::start("127.0.0.1:0", |_| right()).await;
    let with = async |forbid: bool| {
        let address = addresses(&["127.0.0.1"]);
        let world = World::new(move |question| match question.kind {
            RecordType::CAA if forbid => issue(&question.name, "x.test"),
            RecordType::CAA => issue(&question.name, "ca.test; validationmethods=http-01"),
            _ => address(question),
        })
        .await
        .allow(&["loopback"])
        .with(|config| config.http_port = server.address.port());
        let terms = question("a.test").terms;
        world
            .prove_with(ChallengeKind::Http01, "a.test", Some(terms))
            .await
    };
    let proof = with(false).await.expect("proven and permitted");
    let finding = proof.caa.expect("it was asked");
    assert_eq!(finding.at, NOW);
    assert_eq!(finding.observations.len(), 2, "{:?}", finding.observations);
    let failure = with(true).await.expect_err("forbidden");
    assert_eq!(failure.kind, FailureKind::Caa);
    assert!(failure.observations.len() > 4, "the proof is told too");
    assert!(!failure.detail.contains(&key_authorization()));
}
