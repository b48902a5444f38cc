use std::fmt::Write;

use crate::{CertificateStatus, Installed, Renewal, RenewalOutcome, Revoked};

/// Names that a line shows.
const NAMES_SHOWN: usize = 5;

/// Where the files are, and until when they are good.
pub(super) fn installed(installed: &Installed) -> String {
    let Installed {
        name,
        not_after,
        renew_at,
        folder,
        serial,
        ..
    } = installed;
    let names: Vec<String> = installed.names.iter().map(ToString::to_string).collect();
    let done = if installed.is_new { "obtained" } else { "kept" };
    format!(
        "{done} {name}\n  names    {}\n  serial   {}\n  ends     {}\n  renewal  {}\n  files    {}/{{privkey,fullchain,cert,chain}}.pem\n",
        few(&names),
        serial.to_hex(),
        not_after.to_rfc3339(),
        renew_at.to_rfc3339(),
        folder.display(),
    )
}

/// A line for each certificate.
pub(super) fn renewals(renewals: &[Renewal]) -> String {
    if renewals.is_empty() {
        return "no certificates are kept here; begin with -d NAME\n".to_owned();
    }
    let mut text = String::new();
    for Renewal { name, outcome } in renewals {
        let line = match outcome {
            RenewalOutcome::Renewed(installed) => {
                format!("renewed, ends {}", installed.not_after.to_rfc3339())
            }
            RenewalOutcome::NotDue { renew_at, rule } => {
                format!("not due before {} ({rule})", renew_at.to_rfc3339())
            }
            RenewalOutcome::Held { until, error } => format!(
                "held back until {} (or --force) because the last attempt failed: {error}",
                until.to_rfc3339()
            ),
            RenewalOutcome::Revoked => {
                "revoked, so not renewed (obtain it again, or --force)".to_owned()
            }
            RenewalOutcome::Failed(error) => format!("FAILED: {error}"),
        };
        writeln!(text, "{name}: {line}").ok();
    }
    text
}

pub(super) fn revoked(revoked: &Revoked) -> String {
    let again = if revoked.was_already {
        " (it was already)"
    } else {
        ""
    };
    format!("revoked {}{again}\n", revoked.serial)
}

/// What a tired person looks for: what is wrong, and when the next thing happens.
pub(super) fn status(certificates: &[CertificateStatus]) -> String {
    if certificates.is_empty() {
        return "no certificates are kept here; begin with -d NAME\n".to_owned();
    }
    let mut text = String::new();
    for status in certificates {
        writeln!(text, "{}: {}", status.name, status.state).ok();
        writeln!(text, "  names    {}", few(&status.names)).ok();
        writeln!(text, "  CA       {}", status.ca).ok();
        if let Some(installed) = &status.installed {
            writeln!(text, "  serial   {}", installed.serial).ok();
            writeln!(text, "  ends     {}", installed.not_after).ok();
            writeln!(text, "  renewal  {}", installed.renew_at).ok();
            writeln!(text, "  because  {}", installed.renewal).ok();
            writeln!(text, "  files    {}", status.folder.display()).ok();
        }
        if let Some(fault) = &status.fault {
            writeln!(text, "  fault    {fault}").ok();
        }
        if let Some(order) = status.order {
            writeln!(text, "  order    {order}; the next run goes on with it").ok();
        }
        if let Some(failure) = &status.failure {
            writeln!(
                text,
                "  failed   {} times, last at {}: {}",
                failure.count, failure.at, failure.error
            )
            .ok();
            writeln!(text, "  again at {}", failure.next_attempt).ok();
        }
    }
    text
}

/// The same for programs.
pub(super) fn status_json(certificates: &[CertificateStatus]) -> String {
    let document = serde_json::json!({ "certificates": certificates });
    format!("{document:#}\n")
}

fn few(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN).map(String::as_str).collect();
    match names.len().checked_sub(NAMES_SHOWN) {
        Some(more) if more > 0 => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use chancery_pki::UnixTime;

    use super::*;
    use crate::{
        AgentError, CertName, CertificateState, FailureStatus, InstalledStatus, RenewalRule,
        RenewalWindow,
    };

    fn name() -> CertName {
        CertName::parse("a.test").expect("a name")
    }

    fn missing() -> CertificateStatus {
        CertificateStatus {
            name: name(),
            state: CertificateState::Missing,
            names: (0..7).map(|n| format!("n{n}.test")).collect(),
            ca: "https://ca.test/".to_owned(),
            folder: "/state/live/a.test".into(),
            installed: None,
            order: Some("placed"),
            failure: Some(FailureStatus {
                count: 2,
                at: "then".to_owned(),
                error: "no answer".to_owned(),
                next_attempt: "soon".to_owned(),
            }),
            fault: None,
        }
    }

    #[test]
    fn each_outcome_of_a_renewal_says_what_comes_next() {
        let renewal = |outcome| Renewal {
            name: name(),
            outcome,
        };
        let text = renewals(&[
            renewal(RenewalOutcome::NotDue {
                renew_at: UnixTime(0),
                rule: RenewalRule::Life,
            }),
            renewal(RenewalOutcome::Held {
                until: UnixTime(60),
                error: "no answer".to_owned(),
            }),
            renewal(RenewalOutcome::Revoked),
            renewal(RenewalOutcome::Failed(AgentError::ExternalAccountRequired)),
        ]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines.first(),
            Some(&"a.test: not due before 1970-01-01T00:00:00Z (two thirds of its life)")
        );
        for (line, told) in lines
            .iter()
            .zip(["not due", "--force", "obtain it again", "FAILED"])
        {
            assert!(line.contains(told), "{line}");
        }
        assert!(renewals(&[]).contains("-d NAME"));
    }

    #[test]
    fn a_status_tells_when_the_renewal_comes_and_why() {
        let window = RenewalWindow {
            start: UnixTime(0),
            end: UnixTime(60),
            explanation_url: Some("https://ca.test/why".to_owned()),
        };
        let check = |renewal: RenewalRule, told: &str, by: &str| {
            let with = CertificateStatus {
                installed: Some(InstalledStatus {
                    serial: "01".to_owned(),
                    not_before: "then".to_owned(),
                    not_after: "at last".to_owned(),
                    renew_at: "soon".to_owned(),
                    renewal,
                    key_type: None,
                    generation: None,
                }),
                ..missing()
            };
            let text = status(std::slice::from_ref(&with));
            let expected = format!("  renewal  soon\n  because  {told}\n");
            assert!(text.contains(&expected), "{text}");
            let json: serde_json::Value =
                serde_json::from_str(&status_json(&[with])).expect("JSON");
            let renewal = json.pointer("/certificates/0/installed/renewal");
            let renewal = renewal.expect("told");
            assert_eq!(renewal["by"], by);
            if by != "life" {
                assert_eq!(renewal["start"], "1970-01-01T00:00:00Z");
                assert_eq!(renewal["end"], "1970-01-01T00:01:00Z");
                assert_eq!(renewal["explanation_url"], "https://ca.test/why");
            }
        };
        check(RenewalRule::Life, "two thirds of its life", "life");
        check(
            RenewalRule::Advice(window.clone()),
            "the CA advises 1970-01-01T00:00:00Z to 1970-01-01T00:01:00Z, see https://ca.test/why",
            "advice",
        );
        check(
            RenewalRule::LastTenth(window),
            "the last tenth of its life begins; the CA advises 1970-01-01T00:00:00Z to \
             1970-01-01T00:01:00Z, see https://ca.test/why",
            "last-tenth",
        );
    }

    #[test]
    fn a_status_tells_the_last_failure_and_is_json_for_programs() {
        let missing = missing();
        let text = status(std::slice::from_ref(&missing));
        assert!(text.starts_with("a.test: missing\n"), "{text}");
        assert!(
            text.contains("and 2 more") && text.contains("no answer"),
            "{text}"
        );
        let json: serde_json::Value = serde_json::from_str(&status_json(&[missing])).expect("JSON");
        let state = json
            .pointer("/certificates/0/state")
            .and_then(|state| state.as_str());
        assert_eq!(state, Some("missing"));
        assert_eq!(status_json(&[]).trim(), "{\n  \"certificates\": []\n}");
    }
}
