//! The operator's verbs, and what machines may ask.

use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::{Finished, run};
use serde_json::Value;

use crate::authority::forget_ours;
use crate::{Authority, Http, chancery};

const ANSWER_WITHIN: Duration = Duration::from_secs(60);

impl Authority {
    /// Runs a verb of `chancery` against this authority: `cert list --json`.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn operator(&self, words: &[&str]) -> Finished {
        let mut command = Command::new(chancery());
        forget_ours(&mut command);
        command.args(words).arg("--data").arg(self.data());
        run(command, ANSWER_WITHIN).unwrap_or_else(|error| panic!("{error}"))
    }

    /// What a verb tells in JSON, an object a line.
    ///
    /// # Panics
    /// When it fails, or what it prints is not JSON.
    #[must_use]
    pub fn told(&self, words: &[&str]) -> Vec<Value> {
        let finished = self.operator(&[words, &["--json"]].concat());
        assert!(finished.status.success(), "{words:?}: {}", finished.stderr);
        let line = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{words:?}: {error}: {line}"))
        };
        finished.stdout.lines().map(line).collect()
    }

    /// Every certificate that the operator sees.
    #[must_use]
    pub fn certificates(&self) -> Vec<Value> {
        self.told(&["cert", "list"])
    }

    /// Revokes as an operator does.
    #[must_use]
    pub fn revoke(&self, serial: &str, reason: &str) -> Finished {
        self.operator(&["cert", "revoke", serial, "--reason", reason, "--yes"])
    }

    /// Asks the server to check itself.
    ///
    /// # Panics
    /// When an invariant is broken, or was not looked at.
    pub fn check_invariants(&self) {
        let finished = self.operator(&["doctor", "--invariants", "--json"]);
        let report: Value = serde_json::from_str(finished.stdout.trim())
            .unwrap_or_else(|error| panic!("{error}: {} {}", finished.stdout, finished.stderr));
        assert_eq!(report["broken"], serde_json::json!([]), "invariants hold");
        assert!(
            report["checked"].as_u64() > Some(0),
            "something was checked: {report}"
        );
        assert!(finished.status.success(), "{}", finished.stderr);
    }

    /// A page of the metrics listener.
    #[must_use]
    pub fn machine_page(&self, path: &str) -> crate::Reply {
        Http::plain().get(&format!("http://{}{path}", self.metrics_listener()))
    }

    /// The value of one metric with its labels, as in `chancery_issued_total`; none where it is not told (yet).
    ///
    /// # Panics
    /// When there are no metrics.
    #[must_use]
    pub fn metric(&self, name: &str) -> Option<f64> {
        let page = self.machine_page("/metrics");
        assert_eq!(page.status, 200, "metrics are told");
        let text = page.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.parse().ok()
    }
}
