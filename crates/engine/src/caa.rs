//! CAA at finalize: what was asked too long ago is asked again (failures A1).

use std::sync::Arc;

use chancery_authority::account::Account;
use chancery_authority::authorization::Authorization;
use chancery_authority::caa::{CaaDue, CaaFinding, CaaTerms};
use chancery_authority::order::Order;
use chancery_authority::proof::ProofFailure;
use chancery_authority::{Decision, Outcome, Refusal};
use tokio::task::JoinSet;

use crate::{Engine, EngineError};

impl Engine {
    /// What CAA records must permit for an authorization; nothing where they are not asked for.
    pub(crate) fn caa_terms(
        &self,
        authorization: &Authorization,
        account: &Account,
    ) -> Result<Option<CaaTerms>, EngineError> {
        let gateway = self.gateway(&account.gateway)?;
        let url = self.public_names.account(&gateway.name, account.id);
        Ok(gateway.caa.terms(&authorization.identifier, &url))
    }

    /// Asks about each name of the order whose answer is too old, and keeps each new answer with its authorization. The
    /// claim then looks for itself.
    ///
    /// # Errors
    /// [`Refusal::Caa`] with exactly the names that are not permitted, store errors.
    pub(crate) async fn recheck_caa(&self, order: &Order) -> Result<(), EngineError> {
        let gateway = self.gateway(&order.gateway)?;
        if gateway.caa.identities.is_empty() {
            return Ok(());
        }
        let authorizations = self.authorizations_of(order).await?;
        let url = self.public_names.account(&gateway.name, order.account);
        let due = gateway.caa.due(self.now(), &authorizations, &url);
        let mut refused = Vec::new();
        for (due, answer) in self.ask_all(due).await {
            match answer {
                Ok(finding) => self.keep_caa(&due, finding).await?,
                Err(failure) => refused.push((due.question.identifier, failure.detail)),
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        refused.sort();
        Err(Refusal::Caa(refused).into())
    }

    /// All at once: an order has a hundred names at most, and each question has the deadline of a validation.
    async fn ask_all(&self, due: Vec<CaaDue>) -> Vec<(CaaDue, Result<CaaFinding, ProofFailure>)> {
        if due.is_empty() {
            return Vec::new();
        }
        // It counts as one validation, however many names there are. The semaphore is never closed.
        let _running = self.validations_running.acquire().await;
        let mut asking = JoinSet::new();
        for due in due {
            let (prover, clock) = (self.prover.clone(), Arc::clone(&self.clock));
            asking.spawn(async move {
                let answer = prover.check_caa(&due.question, || clock.now()).await;
                (due, answer)
            });
        }
        let mut answers = Vec::new();
        // A task that ended without an answer leaves the old one, which the claim does not count.
        while let Some(ended) = asking.join_next().await {
            answers.extend(ended);
        }
        answers
    }

    /// An answer that cannot be kept is not counted: the claim will find the old one.
    async fn keep_caa(&self, due: &CaaDue, finding: CaaFinding) -> Result<(), EngineError> {
        for _ in 0..crate::TRIES_MAX {
            let found = self.find_authorization(due.authorization).await?;
            let change = found.and_then(|found| found.caa_rechecked(self.now(), finding.clone()));
            let Some(change) = change else { return Ok(()) };
            let decision = Decision {
                change: Some(Box::new(change)),
                effects: Vec::new(),
            };
            if self.commit(decision).await? == Outcome::Applied {
                return Ok(());
            }
        }
        Err(EngineError::Contended)
    }
}
