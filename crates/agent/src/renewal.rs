use chancery_pki::UnixTime;

use crate::agent::Agent;
use crate::due::Due;
use crate::error::AgentError;
use crate::installed::Installed;
use crate::job::Job;
use crate::renewal_info::Advisers;
use crate::schedule;
use crate::state::{CertificateRecord, Failure};
use crate::{CertName, RenewRequest, RenewalRule};

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
        /// Why then.
        rule: RenewalRule,
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
    /// When it is due, its CA may advise (RFC 9773): it is asked here, at the times that it names.
    ///
    /// # Errors
    /// [`AgentError`] where nothing could be tried at all; failures of one certificate are in its [`Renewal`].
    pub async fn renew(&self, request: &RenewRequest) -> Result<Vec<Renewal>, AgentError> {
        let _lock = self.state.open()?;
        let mut renewals = Vec::new();
        let mut advisers = Advisers::default();
        for name in self.chosen(request.name.as_ref())? {
            let outcome = match self.renew_one(&name, request, &mut advisers).await {
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
        advisers: &mut Advisers,
    ) -> Result<RenewalOutcome, AgentError> {
        let mut record = self.record(name)?;
        let job = self.renewal_job(name, &record, request);
        if !request.force {
            let is_unfinished = self.state.order(name)?.is_some();
            if let (Ok(job), false) = (&job, is_unfinished) {
                self.seek_advice(job, &mut record, advisers).await?;
            }
            let due = self.due(name, &record).filter(|_| !is_unfinished);
            let now = self.now();
            if let Decision::Leave(outcome) = decide(now, &record, due.as_ref()) {
                return Ok(outcome);
            }
            if due.is_some_and(|due| due.is_hurried(now)) {
                record.hurried = Some(now.0);
            }
        }
        let issued = match job {
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

    /// When the installed certificate is due; `None` if there is none that is wanted, which is due at once.
    fn due(&self, name: &CertName, record: &CertificateRecord) -> Option<Due> {
        match self.state.live_files(name) {
            Ok(live) => live
                .filter(|live| record.is_for(&live.leaf))
                .map(|live| Due::of(&live.leaf, record)),
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

/// What is to be done about a certificate that is due then, or at once.
fn decide(now: UnixTime, record: &CertificateRecord, due: Option<&Due>) -> Decision {
    if record.revoked.is_some() {
        return Decision::Leave(RenewalOutcome::Revoked);
    }
    if let Some(due) = due.filter(|due| due.at > now) {
        return Decision::Leave(RenewalOutcome::NotDue {
            renew_at: due.at,
            rule: due.rule.clone(),
        });
    }
    match (&record.failure, record.held_until()) {
        (Some(failure), Some(until)) if until > now => Decision::Leave(RenewalOutcome::Held {
            until,
            error: failure.error.clone(),
        }),
        _ => Decision::Renew,
    }
}
