//! dns-01, RFC 8555 §8.4.

use chancery_acme::{DNS01_LABEL, dns01_value};
use chancery_authority::proof::{Assignment, FailureKind};
use chancery_dial::{Deadline, DialError, Trace};
use chancery_pki::San;

use crate::Prover;
use crate::fault::Fault;
use crate::observations::Observations;

/// Looks for the digest of the key authorization among the TXT records below the name. A wildcard is proven at
/// its base name. No other name is asked than the one with the underscore (failures A11).
pub(crate) async fn prove(
    prover: &Prover,
    assignment: &Assignment,
    deadline: Deadline,
    seen: &mut Observations,
) -> Result<(), Fault> {
    let (San::Dns(name) | San::Wildcard(name)) = &assignment.identifier else {
        let detail = "an address cannot be proven by dns-01 (RFC 8738 section 7)";
        return Err(Fault::new(FailureKind::Unauthorized, detail));
    };
    let owner = format!("{DNS01_LABEL}.{}", name.as_str());
    let mut trace = Trace::default();
    let outcome = prover.resolver.txt(&owner, deadline, &mut trace).await;
    seen.add_trace(trace);
    match outcome {
        Ok(records) => judge(&records, &owner, &assignment.key_authorization),
        // The name answers and says that nobody has put anything there.
        Err(error @ (DialError::NoSuchName { .. } | DialError::NoRecords { .. })) => {
            let expected = dns01_value(&assignment.key_authorization);
            let detail = format!("{error}; expected a TXT record at {owner} with {expected}");
            Err(Fault::new(FailureKind::Unauthorized, detail))
        }
        Err(error) => Err(error.into()),
    }
}

/// One of the records has to match, octet for octet; others may be there for other orders.
fn judge(records: &[Vec<u8>], owner: &str, key_authorization: &str) -> Result<(), Fault> {
    let expected = dns01_value(key_authorization);
    if records.iter().any(|record| record == expected.as_bytes()) {
        return Ok(());
    }
    let advice = if records
        .iter()
        .any(|record| record == key_authorization.as_bytes())
    {
        "; one is the key authorization itself, whose SHA-256 digest is wanted"
    } else {
        ""
    };
    let detail = match records.len() {
        1 => format!("the TXT record at {owner} is not {expected}{advice}"),
        count => format!("none of the {count} TXT records at {owner} is {expected}{advice}"),
    };
    Err(Fault::new(FailureKind::IncorrectResponse, detail))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chancery_acme::ChallengeKind;
    use chancery_authority::proof::{Observation, Proof, ProofFailure};
    use hickory_proto::op::ResponseCode;

    use super::*;
    use crate::test_dns::{Question, Reply, cname, txt};
    use crate::test_world::{NOW, World, key_authorization, untimed};

    fn value() -> Vec<u8> {
        dns01_value(&key_authorization()).into_bytes()
    }

    async fn prove<F>(reply: F) -> (Result<Proof, ProofFailure>, Vec<String>)
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let world = World::hasty(reply).await;
        let outcome = world.prove(ChallengeKind::Dns01, "a.test").await;
        (outcome, world.dns.asked())
    }

    async fn check_fails<F>(kind: FailureKind, expected: &str, reply: F)
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let failure = prove(reply).await.0.expect_err(expected);
        assert_eq!(failure.kind, kind, "{}", failure.detail);
        assert!(failure.detail.contains(expected), "{}", failure.detail);
    }

    #[tokio::test]
    async fn one_of_several_records_is_enough() {
        let (outcome, asked) = prove(|question| {
            let contents: [&[u8]; 3] = [b"older order", &value(), b"v=spf1"];
            Reply::Records(contents.map(|content| txt(&question.name, content)).into())
        })
        .await;
        let proof = outcome.expect("proven");
        assert_eq!(proof.at, NOW);
        assert_eq!(
            untimed(proof.observations),
            [Observation::Asked {
                question: "_acme-challenge.a.test TXT".to_owned(),
                answer: "TXT of 11 octets, TXT of 43 octets, TXT of 6 octets".to_owned(),
                at_ms: None,
            }]
        );
        assert_eq!(asked, ["_acme-challenge.a.test TXT"]);
    }

    #[tokio::test]
    async fn an_alias_leads_to_where_the_record_is_kept() {
        let (outcome, asked) = prove(|question| {
            Reply::Records(match question.name.as_str() {
                "_acme-challenge.a.test" => vec![cname(&question.name, "a.acme.example")],
                "a.acme.example" => vec![txt(&question.name, &value())],
                _ => vec![],
            })
        })
        .await;
        outcome.expect("proven");
        assert_eq!(asked, ["_acme-challenge.a.test TXT", "a.acme.example TXT"]);
    }

    #[tokio::test]
    async fn a11_a_record_at_any_other_name_does_not_count() {
        let world = World::new(|question| {
            Reply::Records(match question.name.as_str() {
                "a.test" | "acme-challenge.a.test" => vec![txt(&question.name, &value())],
                _ => vec![txt("a.test", &value())],
            })
        })
        .await;
        let failure = world
            .prove(ChallengeKind::Dns01, "a.test")
            .await
            .expect_err("not there");
        assert_eq!(failure.kind, FailureKind::Unauthorized);
        assert!(
            failure
                .detail
                .contains("expected a TXT record at _acme-challenge.a.test")
        );
        assert_eq!(world.dns.asked(), ["_acme-challenge.a.test TXT"]);
    }

    #[tokio::test]
    async fn a11_only_the_exact_value_counts() {
        let exact = value();
        let spoilt: Vec<Vec<u8>> = (0..exact.len())
            .map(|at| {
                let mut spoilt = exact.clone();
                spoilt[at] ^= 1;
                spoilt
            })
            .chain([
                [&exact[..], b"="].concat(),
                [b" ", &exact[..]].concat(),
                vec![],
            ])
            .collect();
        let count = spoilt.len();
        check_fails(
            FailureKind::IncorrectResponse,
            &format!("none of the {count}"),
            move |q| Reply::Records(spoilt.iter().map(|content| txt(&q.name, content)).collect()),
        )
        .await;
    }

    #[tokio::test]
    async fn a_record_with_the_key_authorization_itself_is_explained() {
        check_fails(
            FailureKind::IncorrectResponse,
            "whose SHA-256 digest is wanted",
            |q| Reply::Records(vec![txt(&q.name, key_authorization().as_bytes())]),
        )
        .await;
    }

    #[tokio::test]
    async fn b5_contents_of_records_are_not_repeated() {
        let (outcome, _) = prove(|q| Reply::Records(vec![txt(&q.name, b"SECRET-123")])).await;
        assert!(!format!("{:?}", outcome.expect_err("wrong")).contains("SECRET"));
    }

    #[tokio::test]
    async fn absence_is_unauthorized_and_a_failure_is_dns() {
        use FailureKind::{Dns, Unauthorized};
        check_fails(Unauthorized, "NXDOMAIN", |_| {
            Reply::Code(ResponseCode::NXDomain)
        })
        .await;
        check_fails(Unauthorized, "has no TXT record", |_| {
            Reply::Records(vec![])
        })
        .await;
        check_fails(Dns, "SERVFAIL", |_| Reply::Code(ResponseCode::ServFail)).await;
        check_fails(Dns, "REFUSED", |_| Reply::Code(ResponseCode::Refused)).await;
    }

    #[tokio::test]
    async fn g9_hostile_answers_are_dns_errors_in_time() {
        use FailureKind::Dns;
        let begun = Instant::now();
        check_fails(Dns, "no DNS server answered", |q| {
            Reply::WrongId(vec![txt(&q.name, &value())])
        })
        .await;
        check_fails(Dns, "more than 10 CNAMEs", |q| {
            Reply::Records(vec![cname(&q.name, &format!("x.{}", q.name))])
        })
        .await;
        check_fails(Dns, "form a loop", |q| {
            Reply::Records(vec![cname(&q.name, &q.name)])
        })
        .await;
        check_fails(Dns, "more than 4096 octets", |q| {
            Reply::Records(vec![txt(&q.name, &value()), txt(&q.name, &[b'x'; 63_000])])
        })
        .await;
        check_fails(Dns, "truncated", |_| Reply::Truncated).await;
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[tokio::test]
    async fn a17_a_silent_resolver_is_a_dns_error_with_its_time() {
        check_fails(FailureKind::Dns, "no DNS server answered", |_| {
            Reply::Silence
        })
        .await;
    }
}
