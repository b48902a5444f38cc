//! The effect that publishes CRLs, and the board where the published ones hang.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use chancery_authority::certificate::Certificate;
use chancery_authority::crl::{CrlDraft, CrlFloor, CrlState};
use chancery_authority::issuer::LiveIssuer;
use chancery_authority::{IssuerId, Outcome};
use chancery_pki::tbs::assemble;
use chancery_pki::{Crl, RevokedEntry};
use chancery_signer::SignCrl;
use chancery_signer::journal::Revocation;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::{Engine, EngineError};

/// Revocations that arrive within this time share a CRL. Well inside the five seconds that are promised.
const GATHER: Duration = Duration::from_millis(300);

/// How often the board is searched for CRLs that have lived half their life.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Wait before shards that could not be signed are tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// CRLs that are composed and signed at once: they share syncs, and their memory.
const TOGETHER_MAX: usize = 16;

type Shard = (IssuerId, u16);

/// Published CRLs in memory, so that they are served whatever happens to the store (law 9).
#[derive(Debug, Default)]
pub struct CrlBoard {
    published: RwLock<HashMap<Shard, Arc<CrlState>>>,
    floors: Mutex<HashMap<Shard, CrlFloor>>,
    dirty: Mutex<BTreeSet<Shard>>,
    bell: Notify,
}

impl CrlBoard {
    /// The published CRL of a shard.
    #[must_use]
    pub fn get(&self, issuer: IssuerId, shard: u16) -> Option<Arc<CrlState>> {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        published.get(&(issuer, shard)).cloned()
    }

    /// All published CRLs, by issuer and shard.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<CrlState>> {
        let published = self
            .published
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = published.values().cloned().collect();
        all.sort_by_key(|crl| (crl.issuer, crl.shard));
        all
    }

    pub(crate) fn hang(&self, crl: CrlState) {
        let shard = (crl.issuer, crl.shard);
        let mut published = self
            .published
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        published.insert(shard, Arc::new(crl));
    }

    /// What the signer's journal says was signed last: numbers go on above it, even if the store forgot.
    pub(crate) fn raise_floor(&self, issuer: IssuerId, shard: u16, floor: CrlFloor) {
        let mut floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        let known = floors.entry((issuer, shard)).or_default();
        known.number = known.number.max(floor.number);
        known.this_update = known.this_update.max(floor.this_update);
    }

    fn floor(&self, shard: Shard) -> CrlFloor {
        let floors = self.floors.lock().unwrap_or_else(PoisonError::into_inner);
        floors.get(&shard).copied().unwrap_or_default()
    }

    /// Says that a shard must be signed anew.
    pub(crate) fn dirty(&self, issuer: IssuerId, shard: u16) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        dirty.insert((issuer, shard));
        drop(dirty);
        self.bell.notify_one();
    }

    fn take_dirty(&self) -> BTreeSet<Shard> {
        std::mem::take(&mut *self.dirty.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shards whose CRL is signed anew at the next occasion.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.dirty
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Engine {
    /// Publishes whatever is dirty or due, until the engine stops.
    pub(crate) async fn publish_crls(self: Arc<Self>) {
        let mut stop = self.stop_signal();
        loop {
            tokio::select! {
                () = self.crls.bell.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => break,
            }
            tokio::time::sleep(GATHER).await;
            if self.publish_due().await > 0 {
                tokio::time::sleep(AGAIN_AFTER).await;
                self.crls.bell.notify_one();
            }
        }
        // What was revoked in the last moments is published before the end.
        self.publish_due().await;
    }

    /// Signs every shard that is dirty, missing or due; returns how many could not be.
    pub(crate) async fn publish_due(self: &Arc<Self>) -> usize {
        let now = self.now();
        let mut shards = self.crls.take_dirty();
        for issuer in self.issuers() {
            for shard in 0..issuer.record.crl_shards {
                let published = self.crls.get(issuer.record.id, shard);
                if published.is_none_or(|crl| crl.is_due(now)) {
                    shards.insert((issuer.record.id, shard));
                }
            }
        }
        let mut shards = shards.into_iter();
        let mut running = JoinSet::new();
        let mut failed = 0;
        loop {
            while running.len() < TOGETHER_MAX
                && let Some(shard) = shards.next()
            {
                let engine = Arc::clone(self);
                running.spawn(async move { engine.publish_or_put_back(shard).await });
            }
            match running.join_next().await {
                Some(Ok(true)) => {}
                Some(Ok(false) | Err(_)) => failed += 1,
                None => return failed,
            }
        }
    }

    /// Marks every shard whose list lacks a stored revocation: one that was promised just before the last end.
    pub(crate) async fn find_unpublished(&self) -> Result<(), EngineError> {
        let listed_from = Certificate::listed_from(self.now());
        for issuer in self.issuers() {
            for shard in 0..issuer.record.crl_shards {
                let id = issuer.record.id;
                let revoked = self.store.revoked(id, shard, listed_from).await?;
                if !added(self.crls.get(id, shard).as_deref(), &revoked).is_empty() {
                    self.crls.dirty(id, shard);
                }
            }
        }
        Ok(())
    }

    async fn publish_or_put_back(&self, shard: Shard) -> bool {
        match self.publish(shard).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(%error, issuer = shard.0.0, shard = shard.1, "a CRL could not be published yet");
                self.metrics.crl_failed();
                let mut dirty = self
                    .crls
                    .dirty
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                dirty.insert(shard);
                false
            }
        }
    }

    async fn publish(&self, shard: Shard) -> Result<(), EngineError> {
        let Some(issuer) = self.issuer_by_id(shard.0) else {
            return Ok(());
        };
        let now = self.now();
        let listed_from = Certificate::listed_from(now);
        let revoked = self.store.revoked(shard.0, shard.1, listed_from).await?;
        let last = self.crls.get(shard.0, shard.1);
        let added = added(last.as_deref(), &revoked);
        let floor = self.crls.floor(shard);
        let draft = CrlDraft::compose(
            now,
            issuer,
            shard.1,
            last.as_deref(),
            floor,
            revoked.into_iter(),
        )
        .map_err(|error| EngineError::Signer(error.to_string()))?;
        let ticket = self.journal_mark.ticket();
        let signed = self.have_crl_signed(issuer, &draft, added).await?;
        ticket.answered(signed.sequence);
        let der = assemble(
            &draft.tbs,
            issuer.certificate.signature_algorithm(),
            &signed.signature,
        );
        let floor = CrlFloor {
            number: draft.number,
            this_update: draft.this_update,
        };
        self.crls.raise_floor(shard.0, shard.1, floor);
        let (change, state) = draft.published(now, der);
        match self.apply(change).await? {
            Outcome::Applied => {
                self.crls.hang(state);
                self.metrics.crl_published();
                Ok(())
            }
            Outcome::Conflict => Err(EngineError::Contended),
        }
    }

    async fn have_crl_signed(
        &self,
        issuer: &LiveIssuer,
        draft: &CrlDraft,
        added: Vec<Revocation>,
    ) -> Result<chancery_signer::Signed, EngineError> {
        let unnamed = |_| EngineError::Signer("the issuer's key identifier is odd".to_owned());
        let request = SignCrl {
            issuer: issuer
                .certificate
                .key_identifier()
                .try_into()
                .map_err(unnamed)?,
            shard: u32::from(draft.shard),
            number: draft.number,
            tbs: &draft.tbs,
            added,
        };
        self.signer
            .sign_crl(request)
            .await
            .map_err(|error| EngineError::Signer(error.to_string()))
    }
}

/// The revocations that the last CRL does not have; they go into the signer's journal with the new one.
fn added(last: Option<&CrlState>, revoked: &[RevokedEntry]) -> Vec<Revocation> {
    let parsed = last.and_then(|crl| Crl::parse(crl.der.clone()).ok());
    let known: HashSet<_> = parsed
        .iter()
        .flat_map(|crl| crl.entries())
        .map(|entry| entry.serial)
        .collect();
    let fresh = revoked
        .iter()
        .filter(|entry| !known.contains(&entry.serial));
    fresh
        .map(|entry| Revocation {
            serial: entry.serial,
            at: entry.at,
            reason: entry.reason.map_or(0, |reason| reason.code()),
        })
        .collect()
}
