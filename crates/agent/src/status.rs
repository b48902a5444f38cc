use std::fmt;
use std::path::PathBuf;

use chancery_pki::UnixTime;
use serde::Serialize;

use crate::agent::Agent;
use crate::due::Due;
use crate::{AgentError, CertName, KeyType, RenewalRule};

/// How one certificate stands. Serialised, it is one element of `status --json`; times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateStatus {
    /// What it is called on this machine.
    pub name: CertName,
    /// How it stands.
    pub state: CertificateState,
    /// The names that are wanted.
    pub names: Vec<String>,
    /// The CA's directory.
    pub ca: String,
    /// The folder with its files.
    pub folder: PathBuf,
    /// What is installed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installed: Option<InstalledStatus>,
    /// How far an order came that is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<&'static str>,
    /// How the last attempts failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureStatus>,
    /// What is wrong with the files, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// The certificate that is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InstalledStatus {
    /// Its serial number, 40 hexadecimal digits.
    pub serial: String,
    /// The first second of its life.
    pub not_before: String,
    /// The last second of its life.
    pub not_after: String,
    /// When it is going to be renewed.
    pub renew_at: String,
    /// Why then.
    pub renewal: RenewalRule,
    /// The kind of its key; `None` for one that the agent would not make.
    pub key_type: Option<KeyType>,
    /// Which generation of the files it is.
    pub generation: Option<u32>,
}

/// Failures since the last success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailureStatus {
    /// How many in a row.
    pub count: u32,
    /// When the last one was.
    pub at: String,
    /// What it said.
    pub error: String,
    /// When the next attempt is made.
    pub next_attempt: String,
}

/// How a certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CertificateState {
    /// It is installed and its time has not come.
    Valid,
    /// It is time to renew it.
    Due,
    /// Its life is over.
    Expired,
    /// Its CA revoked it.
    Revoked,
    /// It was never installed.
    Missing,
    /// Its files cannot be used.
    Broken,
}

impl CertificateState {
    /// Whether it is as somebody wants it: revocation too was asked for.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Valid | Self::Due | Self::Revoked => true,
            Self::Expired | Self::Missing | Self::Broken => false,
        }
    }
}

impl fmt::Display for CertificateState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Valid => "valid",
            Self::Due => "due",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Missing => "missing",
            Self::Broken => "broken",
        })
    }
}

impl Agent {
    /// How every certificate stands that is kept here. Nothing is changed, and no lock is needed.
    ///
    /// # Errors
    /// [`AgentError`] where the state folder cannot be read.
    pub fn status(&self) -> Result<Vec<CertificateStatus>, AgentError> {
        let kept = self.state.kept()?;
        kept.iter().map(|name| self.status_of(name)).collect()
    }

    fn status_of(&self, name: &CertName) -> Result<CertificateStatus, AgentError> {
        let record = self.record(name)?;
        let (live, fault) = match self.state.live_files(name) {
            Ok(live) => (live, None),
            Err(error) => (None, Some(error.to_string())),
        };
        let now = self.now();
        let live = live.map(|live| {
            let due = Due::of(&live.leaf, &record);
            (live, due)
        });
        let state = match &live {
            _ if record.revoked.is_some() => CertificateState::Revoked,
            _ if fault.is_some() => CertificateState::Broken,
            None => CertificateState::Missing,
            Some((live, _)) if live.leaf.not_after() < now => CertificateState::Expired,
            Some((_, due)) if due.at <= now => CertificateState::Due,
            Some(_) => CertificateState::Valid,
        };
        let installed = live.map(|(live, due)| InstalledStatus {
            serial: live.leaf.serial().to_hex(),
            not_before: live.leaf.not_before().to_rfc3339(),
            not_after: live.leaf.not_after().to_rfc3339(),
            renew_at: due.at.to_rfc3339(),
            renewal: due.rule,
            key_type: KeyType::of(live.leaf.spki().key()),
            generation: live.generation,
        });
        let failure = record.failure.map(|failure| FailureStatus {
            count: failure.count,
            at: UnixTime(failure.at).to_rfc3339(),
            error: failure.error,
            next_attempt: UnixTime(failure.next).to_rfc3339(),
        });
        Ok(CertificateStatus {
            name: name.clone(),
            state,
            names: record.names,
            ca: record.ca,
            folder: self.state.live(name),
            installed,
            // Only the agent's own user may look at orders; for others there is none to be seen.
            order: self
                .state
                .order(name)
                .ok()
                .flatten()
                .map(|(order, _)| order.step.name()),
            failure,
            fault,
        })
    }
}
