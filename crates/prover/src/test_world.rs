//! A name, its DNS and a prover, for tests of the methods.

use std::time::{Duration, Instant};

use chancery_acme::ChallengeKind;
use chancery_authority::caa::{CaaFinding, CaaQuestion, CaaTerms};
use chancery_authority::proof::{Assignment, FailureKind, Observation, Proof, ProofFailure};
use chancery_dial::{Policy, Resolver, Timing};
use chancery_pki::{San, UnixTime};

use crate::test_dns::{Question, Reply, TestDns, addresses};
use crate::test_http::{Script, TestHttp, answer};
use crate::{Prover, ProverConfig};

/// The token of every assignment.
pub const TOKEN: &str = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";

/// When every proof is made.
pub const NOW: UnixTime = UnixTime(1_800_000_000);

/// For questions that nobody answers.
const HASTY: Timing = Timing {
    attempt: Duration::from_millis(400),
    retries: 1,
    lookup: Duration::from_millis(1500),
};

/// What was seen, to be compared with what was expected.
pub fn untimed(seen: Vec<Observation>) -> Vec<Observation> {
    assert!(
        seen.iter().all(|one| one.at_ms() < Some(60_000)),
        "times are counted from the beginning of the attempt"
    );
    seen.into_iter().map(Observation::untimed).collect()
}

/// `token.thumbprint`
pub fn key_authorization() -> String {
    format!("{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI")
}

/// A prover with a DNS server of its own.
pub struct World {
    /// The server that is asked.
    pub dns: TestDns,
    config: ProverConfig,
}

impl World {
    /// DNS answers by `reply`; nothing may be dialled yet.
    pub async fn new<F>(reply: F) -> Self
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        Self::start(Timing::default(), reply).await
    }

    /// The same with little patience, for DNS that does not answer.
    pub async fn hasty<F>(reply: F) -> Self
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        Self::start(HASTY, reply).await
    }

    async fn start<F>(timing: Timing, reply: F) -> Self
    where
        F: Fn(&Question) -> Reply + Send + Sync + 'static,
    {
        let dns = TestDns::start(reply).await;
        let resolver = Resolver::new(&[dns.entry()], timing).expect("an address");
        let config = ProverConfig::new(resolver, Policy::default());
        Self { dns, config }
    }

    /// Permits these classes and addresses.
    pub fn allow(mut self, words: &[&str]) -> Self {
        self.config.policy = Policy::from_words(words.iter().copied()).expect("known words");
        self
    }

    /// Changes the configuration.
    pub fn with(mut self, change: impl FnOnce(&mut ProverConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// Proves control of `name`.
    pub async fn prove(&self, kind: ChallengeKind, name: &str) -> Result<Proof, ProofFailure> {
        self.prove_with(kind, name, None).await
    }

    /// Proves control of `name`, and that CAA permits.
    pub async fn prove_with(
        &self,
        kind: ChallengeKind,
        name: &str,
        caa: Option<CaaTerms>,
    ) -> Result<Proof, ProofFailure> {
        let assignment = Assignment {
            identifier: San::parse(name).expect("a name"),
            kind,
            token: TOKEN.to_owned(),
            key_authorization: key_authorization(),
            caa,
        };
        Prover::new(self.config.clone())
            .prove(&assignment, || NOW)
            .await
    }
}

impl World {
    /// Asks whether CAA permits.
    pub async fn check_caa(&self, question: &CaaQuestion) -> Result<CaaFinding, ProofFailure> {
        let prover = Prover::new(self.config.clone());
        prover.check_caa(question, || NOW).await
    }
}

/// Answers with the key authorization.
pub fn right() -> Script {
    Script::Send(answer(200, "", &key_authorization()))
}

/// Redirects, with a page that is longer than any proof.
pub fn moved(status: u16, location: &str) -> Script {
    Script::Send(answer(
        status,
        &format!("Location: {location}\r\n"),
        &"page".repeat(100),
    ))
}

/// Proves `a.test`, which leads to a server with this behaviour.
pub async fn http01<F>(serve: F) -> (Result<Proof, ProofFailure>, TestHttp)
where
    F: Fn(&str) -> Script + Send + Sync + 'static,
{
    http01_within(Duration::from_secs(10), serve).await
}

async fn http01_within<F>(deadline: Duration, serve: F) -> (Result<Proof, ProofFailure>, TestHttp)
where
    F: Fn(&str) -> Script + Send + Sync + 'static,
{
    let server = TestHttp::start("127.0.0.1:0", serve).await;
    let world = World::new(addresses(&["127.0.0.1"])).await;
    let world = world.allow(&["127.0.0.1"]).with(|config| {
        config.http_port = server.address.port();
        config.deadline = deadline;
    });
    (world.prove(ChallengeKind::Http01, "a.test").await, server)
}

/// Proves `a.test` at a server with this behaviour, which fails like this.
pub async fn check_http01_fails<F>(kind: FailureKind, expected: &str, serve: F) -> TestHttp
where
    F: Fn(&str) -> Script + Send + Sync + 'static,
{
    let (outcome, server) = http01(serve).await;
    let failure = outcome.expect_err(expected);
    assert_eq!(failure.kind, kind, "{}", failure.detail);
    assert!(failure.detail.contains(expected), "{}", failure.detail);
    server
}

/// Proves `a.test` at a server that never comes to an end.
pub async fn check_http01_ends<F>(serve: F)
where
    F: Fn(&str) -> Script + Send + Sync + 'static,
{
    let begun = Instant::now();
    let (outcome, _server) = http01_within(Duration::from_millis(800), serve).await;
    let failure = outcome.expect_err("no end");
    assert_eq!(failure.kind, FailureKind::Connection, "{}", failure.detail);
    assert!(
        failure.detail.contains("was not done within 800 ms"),
        "{}",
        failure.detail
    );
    assert!(begun.elapsed() < Duration::from_secs(3));
}
