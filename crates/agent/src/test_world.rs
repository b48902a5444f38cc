//! An agent, the CA of a test, and a clock that stands still.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use chancery_testkit::{FakeClock, SeededEntropy, TempDir};

use crate::test_authority::NOW;
use crate::test_ca::{Fault, TestCa};
use crate::{
    Agent, AgentConfig, AgentError, CertName, Http01, Installed, RenewRequest, RenewalOutcome,
    Request, Settings,
};

pub(crate) const DAY: i64 = 86_400;

/// An agent, its folder, its clock, and the CA it trusts.
pub(crate) struct World {
    pub(crate) ca: TestCa,
    pub(crate) folder: TempDir,
    pub(crate) clock: FakeClock,
    pub(crate) agent: Agent,
}

impl World {
    pub(crate) async fn new() -> Self {
        let ca = TestCa::start().await;
        let folder = TempDir::new("agent-hostile").expect("made");
        fs::write(folder.join("root.pem"), ca.authority.root_pem()).expect("written");
        let clock = FakeClock::new(NOW);
        let shown = clock.clone();
        let mut config = AgentConfig::new(folder.join("state"));
        config.clock = Arc::new(move || shown.now());
        config.entropy = Arc::new(SeededEntropy::new(1));
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
    pub(crate) async fn with_certificate() -> Self {
        let world = Self::new().await;
        let installed = world.agent.obtain(&request()).await.expect("obtained");
        assert_eq!((installed.generation, installed.is_new), (Some(1), true));
        world.ca.take_seen();
        world
    }

    pub(crate) fn files(&self) -> BTreeMap<String, String> {
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
    pub(crate) async fn fails(&self, fault: Fault, told: &str) -> AgentError {
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

    /// What the timer's run makes of the certificate.
    pub(crate) async fn renew_due(&self) -> RenewalOutcome {
        let mut renewals = self
            .agent
            .renew(&RenewRequest::default())
            .await
            .expect("tried");
        renewals.pop().expect("one").outcome
    }

    pub(crate) async fn renew_forced(&self) -> Result<Installed, AgentError> {
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

pub(crate) fn request() -> Request {
    Request::new(&["a.test", "b.test"]).expect("good")
}

pub(crate) fn name() -> CertName {
    CertName::parse("a.test").expect("a name")
}
