use chancery_pki::UnixTime;

use crate::agent::Agent;
use crate::error::AgentError;
use crate::installed::{Installed, renew_at};
use crate::job::Job;
use crate::schedule;
use crate::state::{CertificateRecord, Failure};
use crate::{CertName, RenewRequest};

/// Characters of an error that are kept for `status`.
const ERROR_CHARS_MAX: usize = 2000;

/// What came of one certificate.
#[derive(Debug)]
pub struct Renewal {
    /// What it is called on this machine.
    pub name: CertName,
    /// What came of it.
    pub outcome: RenewalOutcome,
}

/// What came of a renewal.
#[derive(Debug)]
#[non_exhaustive]
pub enum RenewalOutcome {
    /// It is renewed and installed.
    Renewed(Installed),
    /// Its time has not come.
    NotDue {
        /// When it comes.
        renew_at: UnixTime,
    },
    /// The last attempts failed, and it is not time to try again.
    Held {
        /// When it is.
        until: UnixTime,
        /// What the last attempt met.
        error: String,
    },
    /// It was revoked; only `force` or a new `obtain` replaces it.
    Revoked,
    /// It failed. What was installed stays installed.
    Failed(AgentError),
}

/// What is to be done about one certificate.
enum Decision {
    Renew,
    Leave(RenewalOutcome),
}

impl Agent {
    /// Renews what is due: one certificate, or each that is kept. One that fails does not stop the others.
    ///
    /// # Errors
    /// [`AgentError`] where nothing could be tried at all; failures of one certificate are in its [`Renewal`].
    pub async fn renew(&self, request: &RenewRequest) -> Result<Vec<Renewal>, AgentError> {
        let _lock = self.state.open()?;
        let mut renewals = Vec::new();
        for name in self.chosen(request.name.as_ref())? {
            let outcome = match self.renew_one(&name, request).await {
                Ok(outcome) => outcome,
                Err(error) => RenewalOutcome::Failed(error),
            };
            renewals.push(Renewal { name, outcome });
        }
        Ok(renewals)
    }

    async fn renew_one(
        &self,
        name: &CertName,
        request: &RenewRequest,
    ) -> Result<RenewalOutcome, AgentError> {
        let mut record = self.record(name)?;
        if !request.force
            && let Decision::Leave(outcome) = self.decide(name, &record)?
        {
            return Ok(outcome);
        }
        let issued = match self.renewal_job(name, &record, request) {
            Ok(job) => {
                record.ca.clone_from(&job.ca.directory);
                self.issue(&job, &mut record).await
            }
            Err(error) => Err(error),
        };
        match issued {
            Ok(installed) => Ok(RenewalOutcome::Renewed(installed)),
            Err(error) => {
                // What is on disk, not what this run hoped for.
                let mut record = self.record(name)?;
                self.failed(name, &mut record, &error)?;
                Err(error)
            }
        }
    }

    fn renewal_job(
        &self,
        name: &CertName,
        record: &CertificateRecord,
        request: &RenewRequest,
    ) -> Result<Job, AgentError> {
        let settings = request.settings.or(&record.settings);
        let names = record.sans().unwrap_or_default();
        Job::new(name, &names, &settings, &self.config)
    }

    fn decide(&self, name: &CertName, record: &CertificateRecord) -> Result<Decision, AgentError> {
        let now = self.now();
        if record.revoked.is_some() {
            return Ok(Decision::Leave(RenewalOutcome::Revoked));
        }
        let is_unfinished = self.state.order(name)?.is_some();
        if !is_unfinished && let Some(renew_at) = self.due(name, record).filter(|at| *at > now) {
            return Ok(Decision::Leave(RenewalOutcome::NotDue { renew_at }));
        }
        match (&record.failure, record.held_until()) {
            (Some(failure), Some(until)) if until > now => {
                Ok(Decision::Leave(RenewalOutcome::Held {
                    until,
                    error: failure.error.clone(),
                }))
            }
            _ => Ok(Decision::Renew),
        }
    }

    /// When the installed certificate is due; `None` if there is none that is wanted, which is due at once.
    fn due(&self, name: &CertName, record: &CertificateRecord) -> Option<UnixTime> {
        match self.state.live_files(name) {
            Ok(live) => live
                .filter(|live| record.sans() == Some(live.leaf.sans().iter().cloned().collect()))
                .map(|live| renew_at(&live.leaf)),
            Err(error) => {
                tracing::warn!("{error}");
                None
            }
        }
    }

    /// Writes down a failure and when to try again.
    pub(crate) fn failed(
        &self,
        name: &CertName,
        record: &mut CertificateRecord,
        error: &AgentError,
    ) -> Result<(), AgentError> {
        let now = self.now();
        let count = record
            .failure
            .as_ref()
            .map_or(0, |failure| failure.count)
            .saturating_add(1);
        let live = self.state.live_files(name).ok().flatten();
        let life =
            live.map(|live| schedule::lifetime(live.leaf.not_before(), live.leaf.not_after()));
        let next = schedule::retry_at(now, count, life, error.retry_after(), name.as_str());
        record.failure = Some(Failure {
            count,
            at: now.0,
            error: error.to_string().chars().take(ERROR_CHARS_MAX).collect(),
            next: next.0,
        });
        self.state.keep_certificate(name, record)
    }

    /// The certificates that a command is about.
    fn chosen(&self, name: Option<&CertName>) -> Result<Vec<CertName>, AgentError> {
        match name {
            Some(name) => self.record(name).map(|_| vec![name.clone()]),
            None => Ok(self.state.kept()?.into_iter().collect()),
        }
    }

    /// What is known of a certificate that must be kept here.
    pub(crate) fn record(&self, name: &CertName) -> Result<CertificateRecord, AgentError> {
        let kept = || self.state.kept().unwrap_or_default();
        self.state
            .certificate(name)?
            .ok_or_else(|| AgentError::UnknownCertificate {
                name: name.to_string(),
                kept: kept().iter().map(ToString::to_string).collect(),
            })
    }
}
