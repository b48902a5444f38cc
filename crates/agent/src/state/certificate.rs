use std::collections::BTreeSet;

use chancery_pki::{Certificate, San, UnixTime};
use serde::{Deserialize, Serialize};

use crate::state::{Advice, State, broken, file, from_json, to_json};
use crate::{AgentError, CertName, Request, Settings};

/// A certificate that is kept: what is wanted, and how the last attempts went. The certificate itself is under `live`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateRecord {
    /// The names, as text.
    pub(crate) names: Vec<String>,
    /// What was said for it in particular.
    pub(crate) settings: Settings,
    /// The CA that it is from.
    pub(crate) ca: String,
    /// Failures since the last success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    /// Said when it was revoked and not replaced since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) revoked: Option<Revocation>,
    /// What its CA advises on renewal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) advice: Option<Advice>,
    /// When one was last renewed before its time because the CA advised it, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hurried: Option<i64>,
}

/// How attempts failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// How many in a row.
    pub(crate) count: u32,
    /// When the last one was, in seconds since 1970.
    pub(crate) at: i64,
    /// What it said.
    pub(crate) error: String,
    /// When the next attempt is made without being forced.
    pub(crate) next: i64,
}

/// A revocation that the CA confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// When, in seconds since 1970.
    pub(crate) at: i64,
    /// Why, by its name in RFC 5280.
    pub(crate) reason: String,
}

impl CertificateRecord {
    pub(crate) fn of(request: &Request, ca: &str) -> Self {
        Self {
            names: request.names().iter().map(ToString::to_string).collect(),
            settings: request.settings.clone(),
            ca: ca.to_owned(),
            failure: None,
            revoked: None,
            advice: None,
            hurried: None,
        }
    }

    /// The same with what the CA advised, which a new wish does not undo.
    pub(crate) fn with_advice_of(mut self, known: Option<&Self>) -> Self {
        if let Some(known) = known {
            self.advice.clone_from(&known.advice);
            self.hurried = known.hurried;
        }
        self
    }

    pub(crate) fn sans(&self) -> Option<BTreeSet<San>> {
        self.names
            .iter()
            .map(|name| San::parse(name).ok())
            .collect()
    }

    /// Whether a certificate carries the very names that are wanted.
    pub(crate) fn is_for(&self, leaf: &Certificate) -> bool {
        self.sans() == Some(leaf.sans().iter().cloned().collect())
    }

    /// When the next attempt may be made, if attempts failed.
    pub(crate) fn held_until(&self) -> Option<UnixTime> {
        self.failure.as_ref().map(|failure| UnixTime(failure.next))
    }
}

impl State {
    /// What is known of a certificate, if it is kept.
    pub(crate) fn certificate(
        &self,
        name: &CertName,
    ) -> Result<Option<CertificateRecord>, AgentError> {
        let path = self.certificate_path(name);
        let Some(bytes) = file::read(&path)? else {
            return Ok(None);
        };
        let record: CertificateRecord = from_json(&path, &bytes)?;
        match record.sans() {
            Some(names) if !names.is_empty() => Ok(Some(record)),
            _ => Err(broken(&path, "it holds a name that is none")),
        }
    }

    pub(crate) fn keep_certificate(
        &self,
        name: &CertName,
        record: &CertificateRecord,
    ) -> Result<(), AgentError> {
        let path = self.certificate_path(name);
        file::replace(&path, &to_json(&path, record)?, file::PUBLIC)
    }

    /// Forgets that a certificate is wanted.
    pub(crate) fn forget_certificate(&self, name: &CertName) -> Result<(), AgentError> {
        file::remove(&self.certificate_path(name))
    }

    /// The certificates that are kept, by name.
    pub(crate) fn kept(&self) -> Result<BTreeSet<CertName>, AgentError> {
        let files = file::names(&self.folder.join("certificates"))?;
        let names = files.iter().filter_map(|file| file.strip_suffix(".json"));
        Ok(names
            .filter_map(|name| CertName::parse(name).ok())
            .collect())
    }

    fn certificate_path(&self, name: &CertName) -> std::path::PathBuf {
        self.join("certificates", &format!("{name}.json"))
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;

    #[test]
    fn what_is_kept_comes_back_by_name() {
        let folder = TempDir::new("agent-certificate").expect("made");
        let state = State::new(folder.path());
        assert!(state.kept().expect("nothing yet").is_empty());
        let _lock = state.open().expect("free");
        let request = Request::new(&["b.test", "a.test"]).expect("good");
        let record = CertificateRecord::of(&request, "https://ca.test/");
        state
            .keep_certificate(request.name(), &record)
            .expect("kept");
        assert_eq!(
            state.certificate(request.name()).expect("readable"),
            Some(record.clone())
        );
        assert_eq!(record.sans().as_ref(), Some(request.names()));
        let kept: Vec<String> = state
            .kept()
            .expect("listed")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(kept, ["b.test"]);
        state.forget_certificate(request.name()).expect("forgotten");
        assert_eq!(state.certificate(request.name()).expect("readable"), None);
    }

    #[test]
    fn a_broken_record_is_named() {
        let folder = TempDir::new("agent-certificate").expect("made");
        let state = State::new(folder.path());
        let _lock = state.open().expect("free");
        let name = CertName::parse("a.test").expect("a name");
        for text in ["", "{}", r#"{"names":["a..test"],"settings":{},"ca":"x"}"#] {
            std::fs::write(state.certificate_path(&name), text).expect("written");
            let error = state.certificate(&name).expect_err("broken").to_string();
            assert!(error.contains("a.test.json"), "{error}");
        }
    }
}
