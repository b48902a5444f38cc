//! Authorizations: look at, answer, validate (RFC 8555 §7.5).

use std::sync::Arc;
use std::time::Duration;

use chancery_acme::{Token, key_authorization};
use chancery_authority::account::{Account, Owner};
use chancery_authority::authorization::{
    Authorization, AuthorizationState, ChallengeState, Finding,
};
use chancery_authority::order::Order;
use chancery_authority::proof::{Assignment, FailureKind, ProofFailure};
use chancery_authority::refusal::Denied;
use chancery_authority::{
    Action, AuthorizationId, ChangeKind, Object, Outcome, Refusal, Subject, authorize,
};

use chancery_pki::San;

use crate::orders::POLL_WAIT;
use crate::{Engine, EngineError, TRIES_MAX};

/// Validations that may wait or run; beyond this clients are told to come back before anything is stored.
pub(crate) const VALIDATIONS_QUEUED_MAX: usize = 20_000;

/// Validations that run at once. A target that never answers holds one for ten seconds.
pub(crate) const VALIDATIONS_RUNNING_MAX: usize = 512;

/// The longest that one attempt may take, whatever the prover does.
const ATTEMPT_DEADLINE: Duration = Duration::from_secs(15);

impl Engine {
    /// An authorization of the account; one that is being validated is waited for a little.
    ///
    /// # Errors
    /// [`Denied`], store errors.
    pub async fn authorization(
        &self,
        by: &Account,
        id: AuthorizationId,
    ) -> Result<Arc<Authorization>, EngineError> {
        let found = self.own_authorization(by, id).await?;
        if !is_under_way(&found) {
            return Ok(found);
        }
        let wait = self.waiters.register(id.0);
        let found = self.own_authorization(by, id).await?;
        if is_under_way(&found) {
            wait.at_most(POLL_WAIT).await;
        } else {
            drop(wait);
        }
        self.waiters.tidy(id.0);
        self.own_authorization(by, id).await
    }

    /// An authorization of the account as it is now.
    ///
    /// # Errors
    /// [`Denied`], store errors.
    pub async fn own_authorization(
        &self,
        by: &Account,
        id: AuthorizationId,
    ) -> Result<Arc<Authorization>, EngineError> {
        let found = self.find_authorization(id).await?.ok_or(Denied::NotYours)?;
        authorize(
            Subject::Account(by),
            Action::Write,
            Object::Authorization(&found),
        )?;
        Ok(found)
    }

    /// The client says that a challenge is ready (§7.5.1).
    ///
    /// # Errors
    /// [`EngineError::Busy`] when too many validations wait, [`Refusal`], store errors.
    pub async fn respond(
        &self,
        by: &Account,
        id: AuthorizationId,
        challenge: u8,
    ) -> Result<Arc<Authorization>, EngineError> {
        for _ in 0..TRIES_MAX {
            let found = self.own_authorization(by, id).await?;
            let decision = found.respond(self.now(), challenge)?;
            if decision.change.is_none() {
                self.pausing.wake(id.0);
                return Ok(found);
            }
            if self.validations_queued() >= VALIDATIONS_QUEUED_MAX {
                let what = "too many validations are waiting";
                return Err(EngineError::Busy {
                    what,
                    retry_after_secs: 10,
                });
            }
            if self.commit(decision).await? == Outcome::Applied {
                return self.own_authorization(by, id).await;
            }
        }
        Err(EngineError::Contended)
    }

    /// Makes an authorization before any order (§7.4.1).
    ///
    /// # Errors
    /// [`Refusal`], store errors.
    pub async fn new_authorization(
        &self,
        by: &Account,
        identifier: San,
    ) -> Result<Authorization, EngineError> {
        let entrance = self.entrance(by).await?;
        let gateway = &*entrance.gateway;
        by.check_terms(gateway)?;
        self.limit_failed(by.id, [&identifier])?;
        let mut owner = Owner::from(by);
        for _ in 0..TRIES_MAX {
            let (change, made) = {
                let asking = self.asking(gateway, owner);
                let mut ids = self.lock_ids();
                Authorization::ask(&mut ids, &asking, identifier.clone())?
            };
            if self.apply(change).await? == Outcome::Applied {
                return Ok(made);
            }
            owner = self.owner_now(by.id).await?;
        }
        Err(EngineError::Contended)
    }

    /// Gives an authorization up (§7.5.2).
    ///
    /// # Errors
    /// [`Refusal`], store errors.
    pub async fn deactivate_authorization(
        &self,
        by: &Account,
        id: AuthorizationId,
    ) -> Result<Arc<Authorization>, EngineError> {
        for _ in 0..TRIES_MAX {
            let found = self.own_authorization(by, id).await?;
            let order = self.order_behind(&found).await?;
            let decision = found.deactivate(self.now(), order.as_deref())?;
            if self.commit(decision).await? == Outcome::Applied {
                return self.own_authorization(by, id).await;
            }
        }
        Err(EngineError::Contended)
    }

    /// One attempt to validate a challenge: prove, then decide on the finding.
    pub(crate) async fn validate(
        &self,
        id: AuthorizationId,
        challenge: u8,
    ) -> Result<(), EngineError> {
        let Some(found) = self.find_authorization(id).await? else {
            return Ok(());
        };
        let Some(assignment) = self.assignment(&found, challenge).await? else {
            return Ok(());
        };
        let proving = self.prover.prove(&assignment, || self.now());
        let finding = match tokio::time::timeout(ATTEMPT_DEADLINE, proving).await {
            Ok(Ok(proof)) => Finding::Proved(proof),
            Ok(Err(failure)) => Finding::Failed(failure),
            Err(_) => Finding::Failed(ProofFailure {
                kind: FailureKind::Connection,
                detail: format!(
                    "validation took longer than {} s",
                    ATTEMPT_DEADLINE.as_secs()
                ),
                observations: Vec::new(),
            }),
        };
        self.metrics.validated(assignment.kind, &finding);
        self.settle(id, challenge, finding).await
    }

    async fn settle(
        &self,
        id: AuthorizationId,
        challenge: u8,
        finding: Finding,
    ) -> Result<(), EngineError> {
        // Several names of one order are validated at once, and each success moves the order: conflicts are expected here.
        for _ in 0..SETTLE_TRIES_MAX {
            let Some(found) = self.find_authorization(id).await? else {
                return Ok(());
            };
            let order = self.order_behind(&found).await?;
            let moved = found.on_finding(self.now(), challenge, finding.clone(), order.as_deref());
            let decision = match moved {
                Ok(decision) => decision,
                // Deactivated meanwhile, or decided by another attempt.
                Err(Refusal::AuthorizationState { .. } | Refusal::Denied(_)) => return Ok(()),
                Err(refusal) => return Err(refusal.into()),
            };
            let failed = decision.change.as_ref().map(|change| change.kind())
                == Some(ChangeKind::AuthorizationFailed);
            if self.commit(decision).await? == Outcome::Applied {
                if failed {
                    self.count_failure(found.account, &found.identifier);
                }
                self.waiters.wake(id.0);
                return Ok(());
            }
        }
        Err(EngineError::Contended)
    }

    /// The order that an authorization was made for.
    async fn order_behind(
        &self,
        authorization: &Authorization,
    ) -> Result<Option<Arc<Order>>, EngineError> {
        match authorization.order {
            Some(id) => self.find_order(id).await,
            None => Ok(None),
        }
    }

    /// What to ask the prover for; nothing if the challenge is not under way any more.
    async fn assignment(
        &self,
        found: &Authorization,
        challenge: u8,
    ) -> Result<Option<Assignment>, EngineError> {
        let Some(asked) = found.challenges.get(usize::from(challenge)) else {
            return Ok(None);
        };
        if !is_under_way(found) || !matches!(asked.state, ChallengeState::Processing { .. }) {
            return Ok(None);
        }
        // RFC 8555 §8.1: the thumbprint is that of the account's key as it is now.
        let Some(live) = self.account(found.account).await? else {
            return Ok(None);
        };
        let token = Token::new(asked.token);
        Ok(Some(Assignment {
            identifier: found.identifier.clone(),
            kind: asked.kind,
            key_authorization: key_authorization(&token, &live.key.thumbprint()),
            token: token.to_string(),
            caa: self.caa_terms(found, &live.account)?,
        }))
    }
}

/// An order of 100 names can see 99 conflicts, each of which means that another name got through.
const SETTLE_TRIES_MAX: usize = 200;

fn is_under_way(authorization: &Authorization) -> bool {
    matches!(authorization.state, AuthorizationState::Pending)
        && authorization
            .challenges
            .iter()
            .any(|challenge| matches!(challenge.state, ChallengeState::Processing { .. }))
}
