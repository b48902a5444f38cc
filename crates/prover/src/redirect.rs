use chancery_authority::proof::FailureKind;
use chancery_dial::{HeaderValue, Host, StatusCode, Url};
use chancery_pki::DnsName;

use crate::fault::Fault;

/// Octets of a redirect's path with its query.
const PATH_OCTETS_MAX: usize = 2000;
/// Octets of a `Location` that are parsed at all: a path at its limit, scheme, host and port.
const LOCATION_OCTETS_MAX: usize = 2400;

/// The two ports that validation may dial.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) http: u16,
    pub(crate) tls: u16,
}

/// Whether an answer asks to look elsewhere in a way that is followed. 303 changes the question, the others of
/// 3xx do not name a place.
pub(crate) fn is_followed(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 307 | 308)
}

/// The URL that a redirect leads to. Refusals tell what kind of place it is and not what the server wrote there:
/// a `Location` is fetched content (failures B5).
pub(crate) fn target(
    from: &Url,
    location: Option<&HeaderValue>,
    ports: Ports,
) -> Result<Url, Fault> {
    let location = location.ok_or_else(|| refused("has no Location"))?;
    if location.len() > LOCATION_OCTETS_MAX {
        return Err(refused(format!(
            "has a Location of more than {LOCATION_OCTETS_MAX} octets"
        )));
    }
    let mut url = location
        .to_str()
        .ok()
        .and_then(|text| from.join(text).ok())
        .ok_or_else(|| refused("has a Location that is not a URL"))?;
    url.set_fragment(None);
    port_of(&url, ports)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("leads to a URL with credentials"));
    }
    if url.path().len() + url.query().map_or(0, |query| query.len() + 1) > PATH_OCTETS_MAX {
        return Err(refused(format!(
            "leads to a path of more than {PATH_OCTETS_MAX} octets"
        )));
    }
    match url.host() {
        Some(Host::Domain(name)) if DnsName::parse(name).is_err() => {
            Err(refused("leads to a host that is not a DNS name"))
        }
        Some(Host::Domain(name)) if name.ends_with(".well-known") => Err(refused(
            "leads to a host that ends in .well-known: a / is missing after the host's name",
        )),
        Some(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) => Ok(url),
        None => Err(refused("leads to no host")),
    }
}

/// The port that is dialled for a URL: the configured one for its scheme, whether the URL says the usual number,
/// the configured one, or none.
pub(crate) fn port_of(url: &Url, ports: Ports) -> Result<u16, Fault> {
    let (usual, configured) = match url.scheme() {
        "http" => (80, ports.http),
        "https" => (443, ports.tls),
        _ => return Err(refused("leads to a scheme other than http and https")),
    };
    match url.port() {
        Some(port) if port != usual && port != configured => Err(refused(format!(
            "leads to port {port}; only port {} for http and port {} for https are dialled",
            ports.http, ports.tls
        ))),
        _ => Ok(configured),
    }
}

fn refused(what: impl std::fmt::Display) -> Fault {
    Fault::new(FailureKind::Connection, format!("the redirect {what}"))
}

#[cfg(test)]
mod tests {
    use chancery_acme::ChallengeKind;
    use chancery_authority::proof::Observation;

    use super::*;
    use crate::test_dns::addresses;
    use crate::test_http::{Script, TestHttp, answer};
    use crate::test_world::{
        World, check_http01_fails as check_fails, http01, moved, right, untimed,
    };

    const PORTS: Ports = Ports {
        http: 5002,
        tls: 5001,
    };

    fn follow(location: &str) -> Result<(String, u16), String> {
        let from = Url::parse("http://a.test:5002/.well-known/acme-challenge/t").expect("a URL");
        let value = HeaderValue::from_str(location).expect("a value");
        let url = target(&from, Some(&value), PORTS).map_err(|fault| fault.detail)?;
        let port = port_of(&url, PORTS).map_err(|fault| fault.detail)?;
        Ok((url.into(), port))
    }

    fn check(location: &str, expected: &str, port: u16) {
        assert_eq!(
            follow(location),
            Ok((expected.to_owned(), port)),
            "{location}"
        );
    }

    fn check_refused(location: &str, expected: &str) {
        let detail = follow(location).expect_err(location);
        assert!(detail.contains(expected), "{location}: {detail}");
    }

    #[test]
    fn usual_and_configured_ports_lead_to_the_configured_ones() {
        check("/x", "http://a.test:5002/x", 5002);
        check("http://B.test/x", "http://b.test/x", 5002);
        check("http://b.test:80/x", "http://b.test/x", 5002);
        check("http://b.test:5002/x", "http://b.test:5002/x", 5002);
        check("https://b.test/x#part", "https://b.test/x", 5001);
        check("https://b.test:443/x", "https://b.test/x", 5001);
        check("https://b.test:5001/x", "https://b.test:5001/x", 5001);
        check("http://127.0.0.1/x", "http://127.0.0.1/x", 5002);
        check("http://[::1]/x", "http://[::1]/x", 5002);
        // A number is an address in any spelling, and is judged as such when it is dialled.
        check("http://0x7f.1/x", "http://127.0.0.1/x", 5002);
    }

    #[test]
    fn b4_other_schemes_and_ports_are_refused() {
        check_refused("ftp://b.test/x", "a scheme other than http and https");
        check_refused("file:///etc/passwd", "a scheme other than http and https");
        check_refused(
            "http://b.test:22/x",
            "leads to port 22; only port 5002 for http",
        );
        check_refused("http://b.test:443/x", "leads to port 443");
        check_refused("https://b.test:80/x", "leads to port 80");
    }

    #[test]
    fn b4_hosts_that_are_none_are_refused() {
        check_refused("http://[fe80::1%25eth0]/x", "is not a URL");
        check_refused("https://bare.well-known/acme-challenge/t", "a / is missing");
        check_refused("http://a_b.test/x", "not a DNS name");
        check_refused("http:///", "is not a URL");
        check_refused("http://user:secret@b.test/", "credentials");
    }

    #[test]
    fn b4_long_paths_are_refused() {
        check(
            &format!("/{}", "x".repeat(1999)),
            &format!("http://a.test:5002/{}", "x".repeat(1999)),
            5002,
        );
        check_refused(
            &format!("/{}", "x".repeat(2000)),
            "a path of more than 2000 octets",
        );
        check_refused(
            &format!("/x?{}", "x".repeat(1999)),
            "a path of more than 2000 octets",
        );
        check_refused(
            &format!("/{}", "x".repeat(5000)),
            "a Location of more than 2400 octets",
        );
    }

    #[test]
    fn b4_only_four_status_codes_are_followed() {
        let followed: Vec<u16> = (300..400)
            .filter(|code| is_followed(StatusCode::from_u16(*code).expect("a status")))
            .collect();
        assert_eq!(followed, [301, 302, 307, 308]);
    }

    #[test]
    fn b5_a_refusal_does_not_repeat_what_the_server_wrote() {
        for location in [
            "ftp://SECRET/",
            "http://u:SECRET@b.test/",
            "http://SECRET:22/SECRET",
        ] {
            let detail = follow(location).expect_err(location);
            assert!(!detail.to_ascii_lowercase().contains("secret"), "{detail}");
        }
    }

    /// A server that counts down: `/10` leads to `/9`, `/0` is the end.
    fn countdown(request: &str, from: u32) -> Script {
        let at = request
            .split(['/', ' '])
            .nth(2)
            .and_then(|text| text.parse().ok());
        match at.unwrap_or(from) {
            0 => right(),
            at => moved(
                [301, 302, 307, 308][at as usize % 4],
                &format!("/{}", at - 1),
            ),
        }
    }

    #[tokio::test]
    async fn b4_ten_redirects_are_followed_and_eleven_are_not() {
        let (outcome, server) = http01(|request| countdown(request, 10)).await;
        outcome.expect("proven");
        assert_eq!(server.seen().requests.len(), 11);

        let serve = |request: &str| countdown(request, 11);
        let server = check_fails(FailureKind::Connection, "more than 10 redirects", serve).await;
        assert_eq!(server.seen().requests.len(), 11);
    }

    #[tokio::test]
    async fn b4_a_loop_is_seen_at_its_second_turn() {
        let serve = |request: &str| {
            let other = if request.starts_with("GET /a ") {
                "/b"
            } else {
                "/a"
            };
            moved(302, other)
        };
        let server = check_fails(FailureKind::Connection, "a loop", serve).await;
        assert_eq!(server.seen().requests.len(), 3);
        check_fails(FailureKind::Connection, "a loop", |_| moved(301, "")).await;
    }

    #[tokio::test]
    async fn b4_forbidden_redirects_end_the_attempt() {
        use FailureKind::Connection;
        check_fails(Connection, "with status 303", |_| moved(303, "/x")).await;
        check_fails(Connection, "with status 300", |_| moved(300, "/x")).await;
        check_fails(Connection, "with status 304", |_| moved(304, "/x")).await;
        check_fails(Connection, "scheme other", |_| moved(302, "ftp://a.test/x")).await;
        check_fails(Connection, "leads to port 22", |_| {
            moved(302, "http://a.test:22/x")
        })
        .await;
        check_fails(Connection, "not a URL", |_| {
            moved(302, "http://[fe80::1%25eth0]/x")
        })
        .await;
        check_fails(Connection, "a / is missing", |_| {
            moved(302, "https://bare.well-known/acme-challenge/t")
        })
        .await;
        check_fails(Connection, "has no Location", |_| {
            Script::Send(answer(302, "", ""))
        })
        .await;
        check_fails(Connection, "more than 2000 octets", |_| {
            moved(302, &format!("/{}", "x".repeat(2100)))
        })
        .await;
    }

    #[tokio::test]
    async fn b4_a_redirect_to_https_is_followed_with_any_certificate() {
        let (tls, _) = TestHttp::start_tls("127.0.0.1:0", "other.test", |_| right()).await;
        let server = TestHttp::start("127.0.0.1:0", |_| {
            moved(301, "https://A.test:443/elsewhere")
        })
        .await;
        let world = World::new(addresses(&["127.0.0.1"]))
            .await
            .allow(&["loopback"]);
        let world = world.with(|config| {
            config.http_port = server.address.port();
            config.tls_port = tls.address.port();
        });
        let proof = world
            .prove(ChallengeKind::Http01, "a.test")
            .await
            .expect("proven");
        let last = untimed(proof.observations)
            .pop()
            .expect("something was seen");
        let url = "https://a.test/…".to_owned();
        assert_eq!(
            last,
            Observation::Fetched {
                url,
                status: 200,
                body_octets: 87,
                at_ms: None,
            }
        );

        let world = world.with(|config| {
            config.tls_port = server.address.port();
            config.deadline = std::time::Duration::from_millis(800);
        });
        let failure = world
            .prove(ChallengeKind::Http01, "a.test")
            .await
            .expect_err("no TLS");
        assert_eq!(failure.kind, FailureKind::Tls, "{}", failure.detail);
    }
}
