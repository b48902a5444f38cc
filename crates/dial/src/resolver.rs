use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer, RetryDnsHandle};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};

use crate::DialError;
use crate::answer::{Chase, kind_name, shown, summary, txt_contents};
use crate::caa::{CaaRecord, caa_records};
use crate::deadline::Deadline;
use crate::dns_failure::{failure_of, in_short};
use crate::error::bounded;
use crate::name_server::{Timing, bad_resolver, name_server, options, request_options, servers_of};
use crate::trace::Trace;

/// Asks the configured recursive resolvers, for validation: nothing is cached, no hosts file and no search list is
/// read, the case of the question is randomised, truncated answers are asked again over TCP. Equal questions that
/// are open at the same moment share one answer.
#[derive(Clone)]
pub struct Resolver {
    pool: RetryDnsHandle<NameServerPool<TokioRuntimeProvider>>,
    servers: Arc<[SocketAddr]>,
    timing: Timing,
}

impl Resolver {
    /// A resolver from configured entries: `system` for the servers of `/etc/resolv.conf`, else `ip:port` or an
    /// address alone.
    ///
    /// # Errors
    /// [`DialError::BadResolver`] with the entry that cannot be used.
    pub fn new<S: AsRef<str>>(entries: &[S], timing: Timing) -> Result<Self, DialError> {
        let servers = servers_of(entries)?;
        let context = TlsConfig::new()
            .map(|tls| PoolContext::new(options(timing), tls))
            .map_err(|error| bad_resolver("", &error.to_string()))?;
        let pool = NameServerPool::from_config(
            servers.iter().copied().map(name_server),
            Arc::new(context),
            TokioRuntimeProvider::default(),
        );
        Ok(Self {
            pool: RetryDnsHandle::new(pool, timing.retries),
            servers: servers.into(),
            timing,
        })
    }

    /// The servers that are asked.
    #[must_use]
    pub fn servers(&self) -> &[SocketAddr] {
        &self.servers
    }

    /// The addresses of a name; A and AAAA are asked at the same time. A type that fails is forgiven where the
    /// other gives addresses.
    ///
    /// # Errors
    /// Those of class DNS; a failure of the resolver goes before the absence of records.
    pub async fn addresses(
        &self,
        name: &str,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<Vec<IpAddr>, DialError> {
        let (mut trace_v6, mut trace_v4) = (Trace::default(), Trace::default());
        let (v6, v4) = tokio::join!(
            self.look_up(name, RecordType::AAAA, deadline, &mut trace_v6),
            self.look_up(name, RecordType::A, deadline, &mut trace_v4),
        );
        trace.append(trace_v4);
        trace.append(trace_v6);
        let both = [v6.as_ref().ok(), v4.as_ref().ok()];
        let found: Vec<IpAddr> = both
            .into_iter()
            .flatten()
            .flat_map(|(_, records)| records)
            .filter_map(ip_of)
            .collect();
        if !found.is_empty() {
            return Ok(found);
        }
        match (v6, v4) {
            (Err(v6), Err(v4)) if is_absence(&v4) && !is_absence(&v6) => Err(v6),
            (Err(DialError::NoRecords { .. }), Err(DialError::NoRecords { name, .. })) => {
                Err(DialError::NoRecords {
                    name,
                    kind: "A or AAAA",
                })
            }
            (_, Err(v4)) => Err(v4),
            (Err(v6), Ok(_)) => Err(v6),
            (Ok((chase, _)), Ok(_)) => Err(chase.no_records()),
        }
    }

    /// The TXT records of a name, each with its strings joined.
    ///
    /// # Errors
    /// Those of class DNS; [`DialError::NoSuchName`] and [`DialError::NoRecords`] say that there is none.
    pub async fn txt(
        &self,
        name: &str,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<Vec<Vec<u8>>, DialError> {
        let (chase, records) = self.look_up(name, RecordType::TXT, deadline, trace).await?;
        txt_contents(&chase, &records)
    }

    /// The CAA records of a name or of what it is an alias of; names above it are not asked.
    ///
    /// # Errors
    /// Those of class DNS; [`DialError::NoSuchName`] and [`DialError::NoRecords`] say that there is none.
    pub async fn caa(
        &self,
        name: &str,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<Vec<CaaRecord>, DialError> {
        let (chase, records) = self.look_up(name, RecordType::CAA, deadline, trace).await?;
        caa_records(&chase, &records)
    }

    /// Asks until the aliases end. Each further question follows at least one alias, of which there are few.
    async fn look_up(
        &self,
        name: &str,
        kind: RecordType,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<(Chase, Vec<RData>), DialError> {
        let deadline = deadline.or_after(self.timing.lookup);
        let mut chase = Chase::new(question_name(name)?, kind);
        loop {
            let answers = self.ask(chase.owner(), kind, deadline, trace).await?;
            if let Some(records) = chase.take(&answers)? {
                return Ok((chase, records));
            }
        }
    }

    /// Puts one question and notes it with its answer.
    async fn ask(
        &self,
        name: &Name,
        kind: RecordType,
        deadline: Deadline,
        trace: &mut Trace,
    ) -> Result<Vec<Record>, DialError> {
        let query = Query::query(name.clone(), kind);
        let outcome = deadline
            .bound(self.pool.lookup(query, request_options()).first_answer())
            .await;
        let outcome = match outcome {
            Ok(Ok(response)) => Ok(response.into_message().answers),
            Ok(Err(error)) => Err(failure_of(&error, name, kind, self.timing.patience())),
            Err(after) => Err(DialError::NoAnswer {
                name: shown(name),
                kind: kind_name(kind),
                after,
            }),
        };
        let answer = match &outcome {
            Ok(answers) => summary(answers),
            Err(error) => in_short(error),
        };
        trace.asked(format!("{} {}", shown(name), kind_name(kind)), answer);
        outcome
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

/// A name as DNS is asked for it. Only the octets of host names pass: no escapes, no spaces.
fn question_name(name: &str) -> Result<Name, DialError> {
    let not_a_name = || DialError::NotAName {
        name: bounded(name),
    };
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(not_a_name());
    }
    let mut asked = Name::from_ascii(name).map_err(|_| not_a_name())?;
    asked.set_fqdn(true);
    Ok(asked)
}

fn ip_of(record: &RData) -> Option<IpAddr> {
    match record {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

fn is_absence(error: &DialError) -> bool {
    matches!(
        error,
        DialError::NoSuchName { .. } | DialError::NoRecords { .. }
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hickory_resolver::proto::op::ResponseCode;

    use super::*;
    use crate::test_dns::{Question, Reply, TestDns, address, addresses, cname, txt};

    /// For questions that nobody answers.
    const HASTY: Timing = Timing {
        attempt: Duration::from_millis(400),
        retries: 1,
        lookup: Duration::from_millis(1500),
    };

    async fn server<F>(reply: F) -> (TestDns, Resolver)
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        server_with(Timing::default(), reply).await
    }

    async fn server_with<F>(timing: Timing, reply: F) -> (TestDns, Resolver)
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let dns = TestDns::start(reply).await;
        let resolver = Resolver::new(&[dns.entry()], timing).expect("an address");
        (dns, resolver)
    }

    fn deadline() -> Deadline {
        Deadline::after(Duration::from_secs(10))
    }

    async fn txt_of(resolver: &Resolver, name: &str) -> Result<Vec<Vec<u8>>, DialError> {
        resolver.txt(name, deadline(), &mut Trace::default()).await
    }

    #[tokio::test]
    async fn both_families_are_asked_once_and_noted() {
        let (dns, resolver) = server(addresses(&["10.0.0.1", "fd00::1"])).await;
        let mut trace = Trace::default();
        let found = resolver
            .addresses("a.test", deadline(), &mut trace)
            .await
            .expect("found");
        assert_eq!(
            found,
            ["fd00::1", "10.0.0.1"].map(|ip| ip.parse::<IpAddr>().expect("an address"))
        );
        let mut asked = dns.asked();
        asked.sort();
        assert_eq!(asked, ["a.test A", "a.test AAAA"]);
        let noted = |question: &str, answer: &str| crate::Step::Asked {
            question: question.to_owned(),
            answer: answer.to_owned(),
        };
        assert_eq!(
            trace.steps().cloned().collect::<Vec<_>>(),
            [
                noted("a.test A", "10.0.0.1"),
                noted("a.test AAAA", "fd00::1")
            ]
        );
    }

    #[tokio::test]
    async fn no_answer_is_kept_for_the_next_question() {
        let (dns, resolver) = server(|question| {
            Reply::Records(vec![txt(
                &question.name,
                question.before.to_string().as_bytes(),
            )])
        })
        .await;
        for turn in ["0", "1", "2"] {
            assert_eq!(
                txt_of(&resolver, "a.test").await,
                Ok(vec![turn.as_bytes().to_vec()])
            );
        }
        assert_eq!(dns.asked().len(), 3);
    }

    #[tokio::test]
    async fn a_family_that_fails_is_forgiven_where_the_other_answers() {
        let (_dns, resolver) = server(|question| match question.kind {
            RecordType::AAAA => Reply::Code(ResponseCode::ServFail),
            _ => Reply::Records(vec![address(&question.name, "10.0.0.1")]),
        })
        .await;
        let found = resolver
            .addresses("a.test", deadline(), &mut Trace::default())
            .await;
        assert_eq!(found, Ok(vec!["10.0.0.1".parse().expect("an address")]));
    }

    #[tokio::test]
    async fn aliases_are_followed_over_several_answers() {
        let (dns, resolver) = server(|question| {
            Reply::Records(match question.name.as_str() {
                "a.test" => vec![cname("a.test", "b.test")],
                "b.test" => vec![cname("b.test", "c.test"), txt("c.test", b"value")],
                _ => vec![],
            })
        })
        .await;
        assert_eq!(
            txt_of(&resolver, "a.test").await,
            Ok(vec![b"value".to_vec()])
        );
        assert_eq!(dns.asked(), ["a.test TXT", "b.test TXT"]);
    }

    #[tokio::test]
    async fn an_answer_too_long_for_udp_is_asked_again_over_tcp() {
        let (dns, resolver) = server(|question| {
            Reply::Records((0..20).map(|_| txt(&question.name, &[b'x'; 200])).collect())
        })
        .await;
        assert_eq!(
            txt_of(&resolver, "a.test").await.map(|found| found.len()),
            Ok(20)
        );
        assert_eq!(dns.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_udp_answer_that_does_not_repeat_the_spelling_is_not_believed() {
        let name = "a-name-of-thirty-letters-or-more.test";
        let (dns, resolver) = server(|q| Reply::Respelt(vec![txt(&q.name, b"x")])).await;
        assert_eq!(txt_of(&resolver, name).await, Ok(vec![b"x".to_vec()]));
        // It was asked again, over TCP, where nobody can throw in an answer unseen.
        assert_eq!(dns.asked().len(), 2);
    }

    /// Failures G9: each hostile answer ends in an error of class DNS, in time.
    async fn g9<F>(reply: F, expected: &str)
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let (_dns, resolver) = server_with(HASTY, reply).await;
        let error = txt_of(&resolver, "a.test").await.expect_err(expected);
        assert_eq!(error.class(), crate::FailureClass::Dns);
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[tokio::test]
    async fn g9_an_answer_with_a_wrong_id_is_no_answer() {
        g9(
            |q| Reply::WrongId(vec![txt(&q.name, b"forged")]),
            "no DNS server answered",
        )
        .await;
    }

    #[tokio::test]
    async fn g9_a_chain_of_fifty_aliases_is_cut_short() {
        let step = |question: &Question| {
            let number: u32 = question
                .name
                .split('.')
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            Reply::Records(vec![cname(
                &question.name,
                &format!("{}.a.test", number + 1),
            )])
        };
        let (dns, resolver) = server(step).await;
        let error = txt_of(&resolver, "0.a.test").await.expect_err("too long");
        assert!(error.to_string().contains("more than 10 CNAMEs"), "{error}");
        assert_eq!(dns.asked().len(), 11);
    }

    #[tokio::test]
    async fn g9_a_loop_of_aliases_is_seen() {
        g9(
            |question| {
                let other = if question.name == "a.test" {
                    "b.test"
                } else {
                    "a.test"
                };
                Reply::Records(vec![cname(&question.name, other)])
            },
            "form a loop",
        )
        .await;
    }

    #[tokio::test]
    async fn g9_sixty_four_kilobytes_of_txt_are_refused() {
        g9(
            |q| Reply::Records(vec![txt(&q.name, &[b'x'; 64_000])]),
            "more than 4096 octets",
        )
        .await;
    }

    #[tokio::test]
    async fn g9_truncated_malformed_and_missing_answers_are_told_apart() {
        g9(|_| Reply::Truncated, "truncated").await;
        g9(
            |_| Reply::Raw(vec![0x81, 0x80, 0, 1, 0, 9]),
            "not a well-formed DNS message",
        )
        .await;
        g9(|_| Reply::Silence, "no DNS server answered").await;
        g9(|_| Reply::Code(ResponseCode::ServFail), "SERVFAIL").await;
        g9(|_| Reply::Code(ResponseCode::Refused), "REFUSED").await;
        g9(
            |_| Reply::Code(ResponseCode::NXDomain),
            "does not exist in DNS",
        )
        .await;
        g9(|_| Reply::Records(vec![]), "has no TXT record").await;
        g9(
            |_| Reply::Records(vec![txt("other.test", b"x")]),
            "has no TXT record",
        )
        .await;
    }

    /// Failures A17: a dead resolver is told as such, in the time that was given.
    #[tokio::test]
    async fn a17_a_resolver_that_is_down_ends_in_a_dns_error() {
        let dns = TestDns::start(|_| Reply::Silence).await;
        let entry = dns.entry();
        drop(dns);
        let resolver = Resolver::new(&[entry], HASTY).expect("an address");
        let begun = std::time::Instant::now();
        let error = resolver
            .addresses("a.test", deadline(), &mut Trace::default())
            .await
            .expect_err("nobody is there");
        assert_eq!(error.class(), crate::FailureClass::Dns);
        assert!(begun.elapsed() < HASTY.lookup + Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_dead_server_makes_room_for_another() {
        let dead = TestDns::start(|_| Reply::Silence).await;
        let live = TestDns::start(|q| Reply::Records(vec![txt(&q.name, b"value")])).await;
        // Which server is asked first is up to chance; it has to work either way.
        while dead.asked().is_empty() {
            let resolver = Resolver::new(&[dead.entry(), live.entry()], HASTY).expect("addresses");
            assert_eq!(
                txt_of(&resolver, "a.test").await,
                Ok(vec![b"value".to_vec()])
            );
        }
    }

    #[tokio::test]
    async fn names_that_are_none_are_not_asked() {
        let (dns, resolver) = server(|_| Reply::Records(vec![])).await;
        for name in [
            "",
            "a b.test",
            "a\\.test",
            "*.a.test",
            &"x.".repeat(200),
            &"y".repeat(64),
        ] {
            let error = txt_of(&resolver, name).await.expect_err("not a name");
            assert!(matches!(error, DialError::NotAName { .. }), "{error}");
        }
        assert_eq!(dns.asked(), Vec::<String>::new());
    }
}
