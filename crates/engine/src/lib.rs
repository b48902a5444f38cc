//! Carries out what the domain asks for; owns every task.
//!
//! A request goes: load the records, let the domain decide, make its change durable, carry its effects out
//! ([`Engine::commit`]) — validate, sign, publish — each in a task with a deadline, whose result comes back as the next
//! event. What is under way is nowhere but in the stored state: after a restart [`Engine::start`] derives it again from
//! there and from the signer's journal.
//!
//! Where to start: [`Engine::start`], then one file per group of requests (`accounts`, `orders`, `authorizations`,
//! `revocations`), and one per effect (`authorizations` validates, `signing` signs and records, `crls` publishes).
//!
//! What this crate never does: decide (that is `authority`), speak HTTP or SQL, hold a CA key.

mod account_cache;
mod accounts;
mod authorizations;
mod bindings;
mod caa;
mod clock;
mod crls;
mod error;
mod failpoint;
mod first_run;
mod invariants;
mod inventory;
mod journal_mark;
mod limits;
mod metrics;
mod orders;
mod recent;
mod recovery;
mod renewal;
mod revocations;
mod server_certificate;
mod signing;
mod start;
mod waiters;
mod why;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use chancery_authority::authorization::Authorization;
use chancery_authority::certificate::Certificate;
use chancery_authority::gateway::{Gateway, Gateways};
use chancery_authority::issuer::LiveIssuer;
use chancery_authority::order::Order;
use chancery_authority::refusal::Denied;
use chancery_authority::urls::PublicNames;
use chancery_authority::{
    AuthorizationId, CertificateId, Change, Decision, Effect, IdSource, IssuerId, OrderId, Outcome,
    Store,
};
use chancery_crypto::Entropy;
use chancery_pki::UnixTime;
use chancery_prover::Prover;
use chancery_signer::SignerClient;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::failpoint::{Moment, failpoint};

pub use account_cache::LiveAccount;
pub use accounts::{AccountWish, OnMissing, Registered};
pub use clock::{Clock, SystemClock};
pub use crls::CrlBoard;
pub use error::EngineError;
pub use first_run::{FirstRunError, FirstRunPlan, Made, first_run};
pub use invariants::InvariantReport;
pub use inventory::Status;
pub use limits::LimitLine;
pub use metrics::Metrics;
pub use orders::OrderWish;
pub use revocations::Revoker;
pub use server_certificate::ServerCertificate;
pub use start::{EngineParts, StartError};
pub use why::{Reading, Why};

/// Attempts at a change that others keep overtaking.
pub(crate) const TRIES_MAX: usize = 8;

/// Time that running effects get when the engine stops.
const STOP_WAIT: Duration = Duration::from_secs(10);

/// The running authority.
pub struct Engine {
    me: Weak<Self>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) signer: SignerClient,
    pub(crate) prover: Prover,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) gateways: Gateways,
    /// What accounts and bindings are called outside.
    pub public_names: PublicNames,
    default_gateway: String,
    pub(crate) node: u8,
    issuers: HashMap<IssuerId, Arc<LiveIssuer>>,
    chains: HashMap<IssuerId, String>,
    leaf_issuer: Arc<LiveIssuer>,
    ids: Mutex<IdSource>,
    /// Held by whoever counts something on a binding, so that they wait in line instead of overtaking each other.
    pub(crate) counting: tokio::sync::Mutex<()>,
    pub(crate) limits: limits::Limits,
    pub(crate) accounts: account_cache::AccountCache,
    pub(crate) recent: recent::Recent,
    pub(crate) waiters: waiters::Waiters,
    /// Validations that pause before their next attempt, by authorization.
    pub(crate) pausing: waiters::Waiters,
    pub(crate) crls: CrlBoard,
    pub(crate) journal_mark: journal_mark::JournalMark,
    /// What is counted.
    pub metrics: Metrics,
    validations_queued: AtomicUsize,
    validations_running: Semaphore,
    tasks: TaskTracker,
    stopping: tokio::sync::watch::Sender<bool>,
}

impl Engine {
    /// Now, by the engine's clock.
    #[must_use]
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The gateway of this name.
    ///
    /// # Errors
    /// [`Denied::NotYours`] when there is none.
    pub fn gateway(&self, name: &str) -> Result<&Gateway, EngineError> {
        self.gateways
            .get(name)
            .ok_or_else(|| Denied::NotYours.into())
    }

    /// The gateway that serves `/acme/directory`.
    ///
    /// # Panics
    /// Never: start checks that it exists.
    #[must_use]
    pub fn default_gateway(&self) -> &Gateway {
        self.gateways
            .get(&self.default_gateway)
            .expect("start checked it")
    }

    /// The certificates that follow a leaf of this issuer, as PEM; without the root.
    #[must_use]
    pub fn chain_pem(&self, issuer: IssuerId) -> &str {
        self.chains.get(&issuer).map_or("", String::as_str)
    }

    /// All issuers, roots too, by number.
    #[must_use]
    pub fn issuers(&self) -> Vec<&LiveIssuer> {
        let mut all: Vec<&LiveIssuer> = self.issuers.values().map(AsRef::as_ref).collect();
        all.sort_by_key(|issuer| issuer.record.id);
        all
    }

    /// The published CRLs.
    #[must_use]
    pub fn crls(&self) -> &CrlBoard {
        &self.crls
    }

    /// The issuer that signs leaf certificates.
    pub(crate) fn issuer(&self) -> &LiveIssuer {
        &self.leaf_issuer
    }

    pub(crate) fn issuer_by_id(&self, id: IssuerId) -> Option<&Arc<LiveIssuer>> {
        self.issuers.get(&id)
    }

    pub(crate) fn lock_ids(&self) -> MutexGuard<'_, IdSource> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_id(&self) -> i64 {
        let now = self.clock.now_millis();
        self.lock_ids().next(now)
    }

    pub(crate) async fn apply(&self, change: Change) -> Result<Outcome, EngineError> {
        let written = recent::Written::of(&change);
        let kind = change.kind();
        failpoint(Moment::Before, kind);
        let outcome = self.store.apply(change).await?;
        failpoint(Moment::After, kind);
        match outcome {
            Outcome::Applied => self.recent.remember(written),
            Outcome::Conflict => self.recent.forget(&written),
        }
        Ok(outcome)
    }

    pub(crate) async fn find_order(&self, id: OrderId) -> Result<Option<Arc<Order>>, EngineError> {
        match self.recent.order(id) {
            Some(order) => Ok(Some(order)),
            None => Ok(self.store.order(id).await?.map(Arc::new)),
        }
    }

    pub(crate) async fn find_authorization(
        &self,
        id: AuthorizationId,
    ) -> Result<Option<Arc<Authorization>>, EngineError> {
        match self.recent.authorization(id) {
            Some(authorization) => Ok(Some(authorization)),
            None => Ok(self.store.authorization(id).await?.map(Arc::new)),
        }
    }

    pub(crate) async fn find_certificate(
        &self,
        id: CertificateId,
    ) -> Result<Option<Arc<Certificate>>, EngineError> {
        match self.recent.certificate(id) {
            Some(certificate) => Ok(Some(certificate)),
            None => Ok(self.store.certificate(id).await?.map(Arc::new)),
        }
    }

    /// Makes a decision durable, then carries its effects out: the only place where effects are started.
    pub(crate) async fn commit(&self, decision: Decision) -> Result<Outcome, EngineError> {
        if let Some(change) = decision.change {
            let outcome = self.apply(*change).await?;
            if outcome == Outcome::Conflict {
                return Ok(outcome);
            }
        }
        for effect in decision.effects {
            self.carry_out(effect);
        }
        Ok(Outcome::Applied)
    }

    fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Validate {
                authorization,
                challenge,
                after,
            } => {
                self.queue_validation(authorization, challenge, after);
            }
            Effect::Sign(permit) => {
                self.spawn(async move |engine: Arc<Self>| engine.sign_and_record(*permit).await);
            }
            Effect::PublishCrl { issuer, shard } => self.crls.dirty(issuer, shard),
        }
    }

    fn queue_validation(&self, authorization: AuthorizationId, challenge: u8, after: Duration) {
        self.validations_queued.fetch_add(1, Ordering::Relaxed);
        self.spawn(async move |engine: Arc<Self>| {
            engine.pause(authorization, after).await;
            // The semaphore is never closed.
            let running = engine.validations_running.acquire().await;
            let done = engine.validate(authorization, challenge).await;
            drop(running);
            engine.validations_queued.fetch_sub(1, Ordering::Relaxed);
            if let Err(error) = done {
                tracing::warn!(%error, "the result of a validation could not be stored");
            }
        });
    }

    /// Waits before another attempt, or until the client asks for it (RFC 8555 §8.2): attempts are few, so their pauses need
    /// no bound from below.
    async fn pause(&self, authorization: AuthorizationId, at_most: Duration) {
        if !at_most.is_zero() {
            self.pausing
                .register(authorization.0)
                .at_most(at_most)
                .await;
            self.pausing.tidy(authorization.0);
        }
    }

    pub(crate) fn validations_queued(&self) -> usize {
        self.validations_queued.load(Ordering::Relaxed)
    }

    /// Remembers a refusal in the audit trail without making anyone wait.
    pub(crate) fn remember(&self, change: Change) {
        self.spawn(async move |engine: Arc<Self>| {
            if let Err(error) = engine.apply(change).await {
                tracing::warn!(%error, "a refusal could not be remembered");
            }
        });
    }

    /// Runs a task that the engine waits for when it stops.
    pub(crate) fn spawn<F, T>(&self, task: F)
    where
        F: FnOnce(Arc<Self>) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        if let Some(engine) = self.me.upgrade() {
            self.tasks.spawn(task(engine));
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    pub(crate) fn stop_signal(&self) -> tokio::sync::watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Lets effects under way finish, as far as they do so soon. What does not is taken up again at the next start.
    pub async fn stop(&self) {
        self.stopping.send_replace(true);
        self.tasks.close();
        if tokio::time::timeout(STOP_WAIT, self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!("some work did not end in time; it is taken up again at the next start");
        }
        self.move_journal_mark().await;
    }
}
