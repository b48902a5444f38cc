//! The effect that makes certificates: have the permit signed, record the result (design §2).

use std::time::Duration;

use chancery_authority::issuance::{self, Permit};
use chancery_authority::{OrderId, Outcome};
use chancery_crypto::sha256;
use chancery_signer::{CallError, Refusal, Remedy, SignLeaf, Signed};

use crate::journal_mark::Ticket;
use crate::{Engine, EngineError};

/// Wait before the signer or the store is asked again after trouble that passes.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How often the signer is asked again before the claim is given up: half a minute.
const SIGNER_TRIES_MAX: usize = 60;

impl Engine {
    /// Has a committed claim signed and its certificate recorded. Ends only with the certificate recorded, the claim void,
    /// or the process stopping — then the next start goes on.
    pub(crate) async fn sign_and_record(&self, permit: Permit) {
        let order = permit.order();
        let ticket = self.journal_mark.ticket();
        match self.have_signed(&permit).await {
            Ok(signed) => {
                ticket.answered(signed.sequence);
                self.record(order, &signed, ticket).await;
            }
            // Its intent is in the journal: the next start makes an orphan of it, as of any lost signature.
            Err(CallError::Refused(Refusal::SigningFailed)) => {
                tracing::error!(
                    order = order.0,
                    "the signer's key could not make a signature"
                );
            }
            Err(CallError::Refused(refusal)) => {
                tracing::error!(%refusal, "the signer refused a certificate");
                self.void_claim(order, &refusal.to_string()).await;
            }
            // The process ends with its signer; the claim stays, and the next start settles it.
            Err(CallError::SignerGone | CallError::WrongAnswer) => {}
        }
        self.waiters.wake(order.0);
    }

    async fn have_signed(&self, permit: &Permit) -> Result<Signed, CallError> {
        let tbs = permit.linted().tbs().as_der();
        let request = SignLeaf {
            serial: permit.serial(),
            order: permit.order().0,
            account: permit.account().0,
            profile: permit.profile(),
            profile_hash: permit.linted().profile_hash(),
            tbs_digest: sha256(tbs),
            tbs,
        };
        let mut tries = 0;
        loop {
            match self.signer.sign_leaf(request).await {
                Err(CallError::Refused(refusal))
                    if refusal.remedy() == Remedy::Later
                        && tries < SIGNER_TRIES_MAX
                        && !self.is_stopping() =>
                {
                    tries += 1;
                    tracing::warn!(%refusal, "the signer does not sign now");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                answer => return answer,
            }
        }
    }

    /// Records a signature. It exists, so this goes on until the store has it.
    async fn record(&self, id: OrderId, signed: &Signed, ticket: Ticket) {
        loop {
            match self.try_record(id, signed).await {
                Ok(Outcome::Applied) => {
                    self.metrics.issued();
                    drop(ticket);
                    return;
                }
                Ok(Outcome::Conflict) => {}
                Err(error) if error.is_final() => {
                    tracing::error!(%error, order = id.0, "a signed certificate has no order that waits for it");
                    // The journal mark must stay below it, so that the next start looks at it again.
                    std::mem::forget(ticket);
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "a signed certificate cannot be recorded yet");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }

    async fn try_record(&self, id: OrderId, signed: &Signed) -> Result<Outcome, EngineError> {
        let order = self
            .find_order(id)
            .await?
            .ok_or(chancery_authority::refusal::Denied::NotYours)?;
        let (change, ..) = issuance::record(
            self.now(),
            &order,
            self.issuer(),
            &signed.signature,
            signed.sequence,
        )?;
        self.apply(change).await
    }

    /// The signer refused, and its journal has nothing of the claim: the order may claim anew.
    pub(crate) async fn void_claim(&self, id: OrderId, why: &str) {
        for _ in 0..crate::TRIES_MAX {
            let Ok(Some(order)) = self.find_order(id).await else {
                return;
            };
            let Ok(change) = issuance::void(self.now(), &order, why) else {
                return;
            };
            match self.apply(change).await {
                Ok(Outcome::Applied) => return,
                Ok(Outcome::Conflict) => {}
                Err(error) => {
                    tracing::error!(%error, "a void claim cannot be recorded yet");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
    }
}
