//! http-01, RFC 8555 §8.3; for addresses RFC 8738 §4.

use std::net::IpAddr;

use chancery_acme::HTTP01_PATH;
use chancery_authority::proof::{Assignment, FailureKind};
use chancery_dial::{
    Answer, Deadline, DialError, Fetch, Host, Limits, StatusCode, Tls, Trace, Url, header,
};
use chancery_pki::San;

use crate::Prover;
use crate::fault::Fault;
use crate::observations::Observations;
use crate::redirect::{is_followed, port_of, target};

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// A key authorization has 87 octets with our tokens; a page of HTML has more than 128.
const LIMITS: Limits = Limits {
    head_octets_max: 16 * 1024,
    headers_max: 100,
    body_octets_max: 128,
};

/// Fetches the key authorization from the name's web server, and compares it.
pub(crate) async fn prove(
    prover: &Prover,
    assignment: &Assignment,
    deadline: Deadline,
    seen: &mut Observations,
) -> Result<(), Fault> {
    let mut url = first_url(prover, assignment)?;
    let mut visited = vec![url.clone()];
    for redirects in 0..=REDIRECTS_MAX {
        let later = |fault: Fault| fault.after_redirects(redirects);
        let shown = shown(&url, redirects);
        let answer = fetch(prover, &url, &shown, deadline, seen)
            .await
            .map_err(later)?;
        if !is_followed(answer.status) {
            return judge(&answer, &assignment.key_authorization, &shown).map_err(later);
        }
        let location = answer.headers.get(header::LOCATION);
        url = target(&url, location, prover.ports).map_err(later)?;
        if visited.contains(&url) {
            let detail = "the redirect leads to a URL that was already fetched: a loop";
            return Err(later(Fault::new(FailureKind::Connection, detail)));
        }
        visited.push(url.clone());
    }
    let detail = format!("there were more than {REDIRECTS_MAX} redirects");
    Err(Fault::new(FailureKind::Connection, detail))
}

/// `http://name[:port]/.well-known/acme-challenge/token`
fn first_url(prover: &Prover, assignment: &Assignment) -> Result<Url, Fault> {
    let host = match &assignment.identifier {
        San::Dns(name) => Host::Domain(name.as_str()),
        San::Ip(IpAddr::V4(address)) => Host::Ipv4(*address),
        San::Ip(IpAddr::V6(address)) => Host::Ipv6(*address),
        San::Wildcard(_) => {
            let detail = "a wildcard cannot be proven by http-01; dns-01 can";
            return Err(Fault::new(FailureKind::Unauthorized, detail));
        }
    };
    let url = Url::parse(&format!("http://{host}:{}/", prover.ports.http))
        .ok()
        .map(|mut url| {
            url.set_path(&format!("{HTTP01_PATH}{}", assignment.token));
            url
        });
    // A URL may read an address in a name that DNS would be asked for (`0x7f.1`): that would prove another thing.
    match url {
        Some(url) if url.host().as_ref() == Some(&host) => Ok(url),
        _ => Err(Fault::new(
            FailureKind::Connection,
            format!("{host} cannot be the host of a URL; another challenge type may prove it"),
        )),
    }
}

async fn fetch(
    prover: &Prover,
    url: &Url,
    shown: &str,
    deadline: Deadline,
    seen: &mut Observations,
) -> Result<Answer, Fault> {
    let port = port_of(url, prover.ports)?;
    let fetch = Fetch {
        url,
        port,
        limits: LIMITS,
        tls: &Tls::Unverified,
        deadline,
    };
    let mut trace = Trace::default();
    let outcome = prover.connector.fetch(&fetch, &mut trace).await;
    seen.add_trace(trace);
    match &outcome {
        Ok(answer) => {
            seen.add_answer(shown.to_owned(), answer.status.as_u16(), answer.body.len());
        }
        Err(DialError::BrokenBody { status, octets, .. }) => {
            seen.add_answer(shown.to_owned(), *status, *octets);
        }
        Err(DialError::LongBody { status, max, .. }) => {
            seen.add_answer(shown.to_owned(), *status, max.saturating_add(1));
        }
        Err(_) => {}
    }
    Ok(outcome?)
}

/// Compares an answer that is not followed. Only its status and length are told (failures B5).
fn judge(answer: &Answer, key_authorization: &str, shown: &str) -> Result<(), Fault> {
    let status = answer.status.as_u16();
    if answer.status.is_redirection() {
        let detail = format!(
            "{shown} answered with status {status}; redirects are followed by 301, 302, 307 and 308 only"
        );
        return Err(Fault::new(FailureKind::Connection, detail));
    }
    if answer.status != StatusCode::OK {
        let detail = format!("{shown} answered with status {status}; expected 200");
        return Err(Fault::new(FailureKind::Unauthorized, detail));
    }
    let body = answer.body.trim_ascii_end();
    if body == key_authorization.as_bytes() {
        return Ok(());
    }
    Err(Fault::new(
        FailureKind::IncorrectResponse,
        format!(
            "{shown} answered with {} octets that are not the key authorization; expected {} octets: the token, \
             a dot, and the thumbprint of the account's key",
            answer.body.len(),
            key_authorization.len()
        ),
    ))
}

/// A URL for people: the first one is of our own making, of later ones only the origin is told.
fn shown(url: &Url, redirects: usize) -> String {
    if redirects == 0 {
        url.to_string()
    } else {
        format!("{}/…", url.origin().ascii_serialization())
    }
}

#[cfg(test)]
mod addresses;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chancery_acme::ChallengeKind;
    use chancery_authority::proof::Observation;

    use super::*;
    use crate::test_dns::{Reply, addresses};
    use crate::test_http::{Script, answer};
    use crate::test_world::{
        NOW, TOKEN, World, check_http01_ends, check_http01_fails as check_fails, http01,
        key_authorization, moved, untimed,
    };

    #[tokio::test]
    async fn the_key_authorization_at_its_place_is_a_proof() {
        let (outcome, server) =
            http01(|_| Script::Send(answer(200, "", &format!("{}\r\n \t", key_authorization()))))
                .await;
        let proof = outcome.expect("proven");
        assert_eq!(proof.at, NOW);
        let (address, port) = (server.address.to_string(), server.address.port());
        let url = format!("http://a.test:{port}/.well-known/acme-challenge/{TOKEN}");
        let asked = |question: &str, answer: &str| Observation::Asked {
            question: question.to_owned(),
            answer: answer.to_owned(),
            at_ms: None,
        };
        assert_eq!(
            untimed(proof.observations),
            [
                asked("a.test A", "127.0.0.1"),
                asked("a.test AAAA", "no records"),
                Observation::Dialled {
                    address,
                    result: "connected".to_owned(),
                    at_ms: None,
                },
                Observation::Fetched {
                    url,
                    status: 200,
                    body_octets: 91,
                    at_ms: None,
                },
            ]
        );
        let seen = server.seen();
        let request = seen.requests.first().expect("one request");
        let head =
            format!("GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\r\nhost: a.test:{port}\r\n");
        assert!(request.starts_with(&head), "{request}");
        assert!(request.contains("user-agent: chancery\r\n"), "{request}");
    }

    #[test]
    fn the_host_is_the_name_alone_at_the_usual_port() {
        let url = Url::parse("http://a.test:80/x").expect("a URL");
        assert_eq!(url.authority(), "a.test");
    }

    #[tokio::test]
    async fn anything_else_is_no_proof() {
        use FailureKind::{IncorrectResponse, Unauthorized};
        for body in [
            String::new(),
            TOKEN.to_owned(),
            format!(" {}", key_authorization()),
            format!("{}x", key_authorization()),
            key_authorization().to_lowercase(),
            format!("\u{feff}{}", key_authorization()),
        ] {
            let serve = move |_: &str| Script::Send(answer(200, "", &body));
            check_fails(IncorrectResponse, "not the key authorization", serve).await;
        }
        for status in [201, 204, 401, 403, 404, 500, 503] {
            let serve = move |_: &str| Script::Send(answer(status, "", &key_authorization()));
            check_fails(
                Unauthorized,
                &format!("with status {status}; expected 200"),
                serve,
            )
            .await;
        }
    }

    #[tokio::test]
    async fn a_server_that_gives_no_answer_is_a_connection_failure() {
        use FailureKind::Connection;
        check_fails(Connection, "a.test gave no HTTP answer", |_| Script::Close).await;
        check_http01_ends(|_| Script::Silence).await;
        check_fails(Connection, "not HTTP/1.1", |_| {
            Script::Last("hello\r\n\r\n".to_owned())
        })
        .await;

        let world = World::new(addresses(&["127.0.0.1"]))
            .await
            .allow(&["loopback"]);
        let world = world.with(|config| config.http_port = 1);
        let failure = world
            .prove(ChallengeKind::Http01, "a.test")
            .await
            .expect_err("closed");
        assert_eq!(
            failure.detail,
            "connecting to 127.0.0.1:1 for a.test failed: connection refused"
        );
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_a_dns_failure() {
        let world = World::new(|_| Reply::Records(vec![]))
            .await
            .allow(&["loopback"]);
        let failure = world
            .prove(ChallengeKind::Http01, "a.test")
            .await
            .expect_err("nowhere");
        assert_eq!(failure.kind, FailureKind::Dns);
        assert_eq!(failure.detail, "a.test has no A or AAAA record");
        assert_eq!(failure.observations.len(), 2);
    }

    #[tokio::test]
    async fn b4_bodies_without_end_are_cut() {
        use FailureKind::IncorrectResponse;
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 10485760\r\n\r\n";
        let flood = move |_: &str| Script::Flood(head.to_owned(), 10 << 20);
        let server = check_fails(IncorrectResponse, "more than 128 octets", flood).await;
        assert!(server.seen().octets_sent < 9 << 20);

        let head = "HTTP/1.1 200 OK\r\nContent-Length: 87\r\n\r\n";
        let drip = move |_: &str| Script::Drip(head.to_owned(), Duration::from_millis(100));
        check_http01_ends(drip).await;
    }

    #[tokio::test]
    async fn b5_nothing_that_was_fetched_is_repeated() {
        for script in [
            Script::Send(answer(200, "", "SECRET-123")),
            Script::Send(answer(403, "X-Reason: SECRET-123\r\n", "SECRET-123")),
            Script::Send(answer(200, "", &"SECRET-123".repeat(100))),
            moved(302, "ftp://SECRET-123/"),
            moved(302, "http://SECRET-123:22/"),
            moved(302, "/SECRET-123?SECRET-123"),
            Script::Last("SECRET-123\r\n\r\n".to_owned()),
        ] {
            let (outcome, _) = http01(move |_| script.clone()).await;
            let text = format!("{:?}", outcome.expect_err("no proof"));
            assert!(!text.to_ascii_lowercase().contains("secret"), "{text}");
        }
    }
}
