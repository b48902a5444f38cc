//! What the CA advises on renewal (RFC 9773): asked for when it is time to ask, and kept with a moment drawn in its window.
//!
//! Advice is a favour. Without an answer the certificate is renewed by its life, and nobody waits long for one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use chancery_acme::{CertId, RenewalInfo, SuggestedWindow};
use chancery_crypto::Entropy;
use chancery_pki::{Certificate, UnixTime};

use crate::AgentError;
use crate::agent::Agent;
use crate::client::{Client, read_https};
use crate::job::Job;
use crate::reply::Reply;
use crate::schedule;
use crate::state::{Advice, CertificateRecord, Window};

const WHAT: &str = "renewalInfo";
/// Directory and answer together. A CA that needs longer for one small document is not waited for.
const ANSWER_TIME: Duration = Duration::from_secs(20);

/// The CAs that are asked in one run, by directory and root file.
pub(crate) struct Advisers {
    /// Those that answered: one directory serves for all their certificates.
    met: BTreeMap<(String, PathBuf), Client>,
    /// Those that did not: nobody waits for them once more in the same run.
    silent: BTreeSet<(String, PathBuf)>,
    patience: Duration,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A window.
    Told {
        start: UnixTime,
        /// After `start`.
        end: UnixTime,
        explanation: Option<String>,
        /// When the CA wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The CA gives no advice to anybody.
    NotOffered,
    /// A refusal, or no renewal information: nothing that another question would better soon.
    Useless,
    /// Nothing, or an error that may pass.
    Lost { retry_after: Option<Duration> },
}

impl Agent {
    /// Asks the CA about a certificate if it is time to, and keeps what it says. No answer is no error.
    ///
    /// # Errors
    /// [`AgentError`] where the answer cannot be kept.
    pub(crate) async fn seek_advice(
        &self,
        job: &Job,
        record: &mut CertificateRecord,
        advisers: &mut Advisers,
    ) -> Result<(), AgentError> {
        let Some((leaf, advice)) = self.to_be_asked(job, record) else {
            return Ok(());
        };
        let Some(answer) = self.ask(job, &advice.certificate, advisers).await else {
            return Ok(());
        };
        let life = schedule::lifetime(leaf.not_before(), leaf.not_after());
        let advice = advice.after(answer, self.now(), life, self.config.entropy.as_ref());
        record.advice = Some(advice);
        self.state.keep_certificate(&job.name, record)
    }

    /// The installed certificate with what the CA said so far, if this is a time to ask about it.
    fn to_be_asked(&self, job: &Job, record: &CertificateRecord) -> Option<(Certificate, Advice)> {
        let now = self.now();
        // Another CA than the one that issued it knows nothing of it.
        let is_its_ca = record.ca == job.ca.directory;
        let is_held = record.held_until().is_some_and(|until| until > now);
        if !is_its_ca || is_held || record.revoked.is_some() {
            return None;
        }
        let leaf = self.state.live_files(&job.name).ok().flatten()?.leaf;
        // What has expired or has other names is replaced at once, whatever anybody advises.
        if leaf.not_after() < now || !record.is_for(&leaf) {
            return None;
        }
        let certificate = CertId::of(&leaf)?.to_string();
        let known = record.advice.clone();
        let advice = known
            .filter(|advice| advice.certificate == certificate)
            .unwrap_or_else(|| Advice::unasked(certificate));
        schedule::is_time_to_ask(now, advice.ask_at()).then_some((leaf, advice))
    }

    /// What the CA of the job says; `None` if it was silent before in this run.
    async fn ask(&self, job: &Job, certificate: &str, advisers: &mut Advisers) -> Option<Answer> {
        let ca = (job.ca.directory.clone(), job.ca.root_file.clone());
        if advisers.silent.contains(&ca) {
            return None;
        }
        let asked = tokio::time::timeout(advisers.patience, async {
            let client = match advisers.met.entry(ca.clone()) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.connect(job).await?),
            };
            client.renewal_info(certificate).await
        });
        let answer = match asked.await {
            Ok(asked) => Answer::of(asked),
            Err(_) => {
                let secs = advisers.patience.as_secs();
                tracing::warn!("no answer to {WHAT} within {secs} s");
                Answer::Lost { retry_after: None }
            }
        };
        match &answer {
            Answer::Told { start, end, .. } => tracing::info!(
                "the CA advises to renew {} from {} to {}",
                job.name,
                start.to_rfc3339(),
                end.to_rfc3339()
            ),
            Answer::NotOffered => tracing::debug!("the CA gives no advice on renewal"),
            Answer::Useless => {}
            Answer::Lost { .. } => {
                advisers.silent.insert(ca);
            }
        }
        Some(answer)
    }
}

impl Answer {
    fn of(asked: Result<Option<Reply>, AgentError>) -> Self {
        let read = |reply: Reply| Ok((reply.json::<RenewalInfo>(WHAT)?, reply.retry_after));
        match asked.and_then(|reply| reply.map(read).transpose()) {
            Ok(None) => Self::NotOffered,
            Ok(Some((info, retry_after))) => Self::told(info, retry_after),
            Err(error) => {
                tracing::warn!("no advice on renewal: {error}");
                if error.is_passing() {
                    let retry_after = error.retry_after();
                    return Self::Lost { retry_after };
                }
                Self::Useless
            }
        }
    }

    fn told(info: RenewalInfo, retry_after: Option<Duration>) -> Self {
        let SuggestedWindow { start, end } = info.suggested_window;
        if end <= start {
            tracing::warn!("the CA advises to renew in a time that ends before it begins");
            return Self::Useless;
        }
        // For people, who read it on a terminal and open it if they like: a plain https URL or nothing.
        let explanation = info.explanation_url.filter(|url| read_https(url).is_ok());
        Self::Told {
            start,
            end,
            explanation,
            retry_after,
        }
    }
}

impl Advice {
    /// What is known after an answer. `life` is that of the certificate, in seconds.
    ///
    /// The last window stands until the CA tells another or takes its offer back: a CA that cannot be heard for an hour
    /// has not changed its mind, and the end of the certificate's life bounds what a window can do.
    fn after(self, answer: Answer, now: UnixTime, life: u64, entropy: &dyn Entropy) -> Self {
        let ask_at = schedule::ask_at(now, None).0;
        match answer {
            Answer::Told {
                start,
                end,
                explanation,
                retry_after,
            } => Self {
                ask_at: schedule::ask_at(now, retry_after).0,
                failures: 0,
                window: Some(Window {
                    start: start.0,
                    end: end.0,
                    drawn: self.drawn(start, end, entropy).0,
                    explanation,
                }),
                ..self
            },
            Answer::NotOffered => Self {
                ask_at,
                failures: 0,
                window: None,
                ..self
            },
            Answer::Useless => Self {
                ask_at,
                failures: 0,
                ..self
            },
            Answer::Lost { retry_after } => {
                let failures = self.failures.saturating_add(1);
                let seed = &self.certificate;
                let again = schedule::ask_again_at(now, failures, life, retry_after, seed);
                Self {
                    ask_at: again.0,
                    failures,
                    ..self
                }
            }
        }
    }

    /// The moment in this window: the one that was drawn in it before, or a new one.
    fn drawn(&self, start: UnixTime, end: UnixTime, entropy: &dyn Entropy) -> UnixTime {
        match &self.window {
            Some(window) if (window.start, window.end) == (start.0, end.0) => {
                UnixTime(window.drawn)
            }
            _ => schedule::draw(start, end, entropy),
        }
    }
}

impl Default for Advisers {
    fn default() -> Self {
        Self {
            met: BTreeMap::new(),
            silent: BTreeSet::new(),
            patience: ANSWER_TIME,
        }
    }
}

#[cfg(test)]
mod tests;
