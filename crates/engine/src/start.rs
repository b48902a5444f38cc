//! Start: load, compare with the signer, reconcile, publish, and take up what was under way.

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chancery_authority::crl::CrlFloor;
use chancery_authority::gateway::Gateways;
use chancery_authority::issuance::Permit;
use chancery_authority::issuer::{Issuer, LiveIssuer};
use chancery_authority::limit::Rates;
use chancery_authority::order::Order;
use chancery_authority::setting::SettingName;
use chancery_authority::urls::PublicNames;
use chancery_authority::{Effect, IdSource, IssuerId, Store, StoreError};
use chancery_crypto::Entropy;
use chancery_pki::{IssuerCertificate, pem};
use chancery_prover::Prover;
use chancery_signer::{CallError, Greeting, SignerClient};
use tokio::sync::{Semaphore, watch};
use tokio_util::task::TaskTracker;

use crate::authorizations::VALIDATIONS_RUNNING_MAX;
use crate::journal_mark::JournalMark;
use crate::{Clock, Engine, EngineError, Metrics};

/// How often the journal mark is written: what lies behind it is looked at again at the next start.
const MARK_EVERY: Duration = Duration::from_secs(5);

/// How far the clock may be behind the journal, as the signer has it too (design §8).
const CLOCK_SLACK_SECS: i64 = 60;

/// What an engine is made of.
pub struct EngineParts {
    /// The records.
    pub store: Arc<dyn Store>,
    /// The line to the signer.
    pub signer: SignerClient,
    /// The validator.
    pub prover: Prover,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The entrances.
    pub gateways: Gateways,
    /// The entrance that `/acme/directory` leads to; one of `gateways`.
    pub default_gateway: String,
    /// What accounts and bindings are called outside.
    pub public_names: PublicNames,
    /// How often what may be asked for.
    pub rates: Rates,
    /// This node's number.
    pub node: u8,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The signer does not answer.
    #[error("the signer does not answer: {0}")]
    Signer(#[from] CallError),
    /// A stored issuer cannot be read.
    #[error("the certificate of issuer {0} in the store cannot be read")]
    Issuer(IssuerId),
    /// The signer has no key for a stored issuer, or another one.
    #[error(
        "the signer has no key for issuer {0} of the store: chancery.db and keys/ belong to different installations; put back the pair that belongs together"
    )]
    ForeignKeys(IssuerId),
    /// There is no issuer for leaf certificates.
    #[error("the store has no issuer")]
    NoIssuer,
    /// The default gateway is not among the gateways.
    #[error("there is no gateway {0:?} to be the default one")]
    NoGateway(String),
    /// The clock has gone back.
    #[error(
        "the clock is {by_secs} s behind the last entry of the signer's journal, so nothing could be signed: set the clock right (it says {now}), then start again"
    )]
    ClockBehind {
        /// By how many seconds.
        by_secs: i64,
        /// What the clock says.
        now: String,
    },
    /// Something of the journal cannot be brought into the store.
    #[error("the signer's journal and the store cannot be reconciled: {0}")]
    Reconcile(EngineError),
}

impl Engine {
    /// Brings the authority up: when this returns, everything that the journal knows is in the store, every CRL is
    /// published, and what was under way goes on.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(parts: EngineParts) -> Result<Arc<Self>, StartError> {
        if !parts.gateways.contains_key(&parts.default_gateway) {
            return Err(StartError::NoGateway(parts.default_gateway));
        }
        let greeting = parts.signer.hello().await?;
        let now = parts.clock.now();
        let by_secs = now.seconds_until(greeting.last_time);
        if by_secs > CLOCK_SLACK_SECS {
            let now = now.to_rfc3339();
            return Err(StartError::ClockBehind { by_secs, now });
        }
        let issuers = live_issuers(parts.store.issuers().await?, &greeting)?;
        let leaf_issuer = issuers
            .values()
            .find(|issuer| !issuer.certificate.is_self_issued())
            .cloned()
            .ok_or(StartError::NoIssuer)?;
        let mark = parts.store.setting(SettingName::JournalMark).await?;
        let reconciled = mark.and_then(|mark| mark.number()).unwrap_or(0);
        let highest_id = parts.store.health().await?.highest_id;
        let engine = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            store: parts.store,
            signer: parts.signer,
            prover: parts.prover,
            clock: parts.clock,
            entropy: parts.entropy,
            gateways: parts.gateways,
            default_gateway: parts.default_gateway,
            public_names: parts.public_names,
            node: parts.node,
            chains: issuers
                .iter()
                .map(|(id, issuer)| (*id, chain_pem(issuer)))
                .collect(),
            issuers,
            leaf_issuer,
            ids: Mutex::new(IdSource::new(parts.node, highest_id)),
            counting: tokio::sync::Mutex::new(()),
            limits: crate::limits::Limits::new(parts.rates),
            pausing: crate::waiters::Waiters::default(),
            accounts: crate::account_cache::AccountCache::default(),
            recent: crate::recent::Recent::default(),
            waiters: crate::waiters::Waiters::default(),
            crls: crate::CrlBoard::default(),
            journal_mark: JournalMark::at(reconciled),
            metrics: Metrics::default(),
            validations_queued: AtomicUsize::new(0),
            validations_running: Semaphore::new(VALIDATIONS_RUNNING_MAX),
            tasks: TaskTracker::new(),
            stopping: watch::channel(false).0,
        });
        engine.bring_up(&greeting, reconciled).await?;
        Ok(engine)
    }

    async fn bring_up(
        self: &Arc<Self>,
        greeting: &Greeting,
        reconciled: u64,
    ) -> Result<(), StartError> {
        for issuer in self.issuers() {
            for crl in self.store.crls(issuer.record.id).await? {
                self.crls.hang(crl);
            }
        }
        self.raise_floors(greeting);
        self.reconcile(reconciled)
            .await
            .map_err(StartError::Reconcile)?;
        self.find_unpublished()
            .await
            .map_err(StartError::Reconcile)?;
        self.publish_due().await;
        self.take_up_open_work().await?;
        self.spawn(Self::publish_crls);
        self.spawn(Self::keep_marking);
        Ok(())
    }

    fn raise_floors(&self, greeting: &Greeting) {
        for crl in &greeting.crls {
            let issuer = self
                .issuers()
                .into_iter()
                .find(|issuer| issuer.certificate.key_identifier() == crl.issuer)
                .map(|issuer| issuer.record.id);
            if let (Some(issuer), Ok(shard)) = (issuer, u16::try_from(crl.shard)) {
                let floor = CrlFloor {
                    number: crl.number,
                    this_update: crl.this_update,
                };
                self.crls.raise_floor(issuer, shard, floor);
            }
        }
    }

    /// Derives the effects that the stored state implies.
    async fn take_up_open_work(&self) -> Result<(), StartError> {
        let open = self.store.open_work().await?;
        for order in &open.orders {
            match self.permit_again(order) {
                Ok(permit) => self.carry_out(Effect::Sign(Box::new(permit))),
                Err(error) => {
                    tracing::warn!(%error, order = order.id.0, "a claim cannot be taken up again");
                    self.void_claim(order.id, &error.to_string()).await;
                }
            }
        }
        for authorization in &open.authorizations {
            for effect in authorization.open_effects() {
                self.carry_out(effect);
            }
        }
        Ok(())
    }

    fn permit_again(&self, order: &Order) -> Result<Permit, EngineError> {
        let profile = self
            .gateway(&order.gateway)?
            .profile(Some(&order.profile))?;
        Ok(Permit::resume(order, profile, self.issuer())?)
    }

    async fn keep_marking(self: Arc<Self>) {
        let mut stop = self.stop_signal();
        loop {
            tokio::select! {
                () = tokio::time::sleep(MARK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            self.move_journal_mark().await;
        }
    }
}

fn live_issuers(
    records: Vec<Issuer>,
    greeting: &Greeting,
) -> Result<HashMap<IssuerId, Arc<LiveIssuer>>, StartError> {
    let enliven = |record: Issuer| {
        let id = record.id;
        let certificate =
            IssuerCertificate::parse(&record.certificate).map_err(|_| StartError::Issuer(id))?;
        if !greeting
            .issuers
            .iter()
            .any(|info| info.certificate == record.certificate)
        {
            return Err(StartError::ForeignKeys(id));
        }
        Ok((
            id,
            Arc::new(LiveIssuer {
                record,
                certificate,
            }),
        ))
    };
    records.into_iter().map(enliven).collect()
}

fn chain_pem(issuer: &LiveIssuer) -> String {
    issuer
        .record
        .chain
        .iter()
        .map(|der| pem::encode("CERTIFICATE", der))
        .collect()
}
