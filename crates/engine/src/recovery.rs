//! Reconciling the store with the signer's journal (failures A7, A9, D8).

use std::collections::{BTreeMap, BTreeSet};

use chancery_authority::audit::Actor;
use chancery_authority::certificate::Revocation;
use chancery_authority::recovery::{JournalledIntent, reconcile};
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::{AccountId, CertificateId, IssuerId, OrderId, Outcome};
use chancery_pki::RevocationReason;
use chancery_signer::Replay;
use chancery_signer::journal::{self, Entry};

use crate::{Engine, EngineError, TRIES_MAX};

/// Entries read from the journal at a time; about a megabyte.
const ENTRIES_AT_ONCE: u32 = 1000;

impl Engine {
    /// Walks the journal behind `reconciled` and brings whatever the store lacks into it: certificates with a signature,
    /// orphans without, revocations from CRLs.
    pub(crate) async fn reconcile(&self, reconciled: u64) -> Result<(), EngineError> {
        let mut intents: BTreeMap<u64, (IssuerId, JournalledIntent)> = BTreeMap::new();
        let mut dirty = BTreeSet::new();
        let mut from = reconciled + 1;
        loop {
            let request = Replay {
                from,
                entries_max: ENTRIES_AT_ONCE,
            };
            let replayed = self
                .signer
                .replay(request)
                .await
                .map_err(|error| EngineError::Signer(error.to_string()))?;
            for record in replayed.records {
                match record.entry {
                    Entry::Intent(intent) => {
                        if let Some(found) = self.journalled(record.sequence, intent) {
                            intents.insert(record.sequence, found);
                        }
                    }
                    Entry::Signature(signature) => {
                        if let Some((issuer, mut intent)) = intents.remove(&signature.intent) {
                            intent.signature = Some(signature.signature);
                            self.settle_intent(issuer, &intent).await?;
                        }
                    }
                    Entry::CrlIntent(crl) => {
                        self.restore_revocations(&crl, &mut dirty).await?;
                    }
                    Entry::Start(_)
                    | Entry::Snapshot(_)
                    | Entry::CaIntent(_)
                    | Entry::CaSignature(_)
                    | Entry::CrlSignature(_) => {}
                }
            }
            if replayed.last < reconciled {
                return Err(EngineError::OlderJournal {
                    store: reconciled,
                    journal: replayed.last,
                });
            }
            if replayed.next > replayed.last {
                break;
            }
            from = replayed.next;
        }
        for (issuer, orphan) in intents.into_values() {
            if let Some(shard) = self.settle_intent(issuer, &orphan).await? {
                dirty.insert((issuer, shard));
            }
        }
        for (issuer, shard) in dirty {
            self.crls.dirty(issuer, shard);
        }
        self.journal_mark.ticket().answered(from.saturating_sub(1));
        Ok(())
    }

    fn journalled(
        &self,
        sequence: u64,
        intent: journal::Intent,
    ) -> Option<(IssuerId, JournalledIntent)> {
        let issuer = self
            .issuers()
            .into_iter()
            .find(|issuer| issuer.certificate.key_identifier() == intent.issuer)?
            .record
            .id;
        let known = self.gateways.values().flat_map(|gateway| &gateway.profiles);
        let profile = known
            .into_iter()
            .find(|profile| profile.hash() == intent.profile_hash)
            .map_or_else(
                || "(changed since)".to_owned(),
                |profile| profile.name.clone(),
            );
        let intent = JournalledIntent {
            sequence,
            serial: intent.serial,
            order: OrderId(intent.order),
            account: AccountId(intent.account),
            profile,
            profile_hash: intent.profile_hash,
            tbs: intent.tbs,
            signature: None,
        };
        Some((issuer, intent))
    }

    /// Makes sure that the store has the certificate of an intent; returns its CRL shard if that was news.
    async fn settle_intent(
        &self,
        issuer: IssuerId,
        intent: &JournalledIntent,
    ) -> Result<Option<u16>, EngineError> {
        let Some(live) = self.issuer_by_id(issuer) else {
            return Ok(None);
        };
        for _ in 0..TRIES_MAX {
            if self
                .store
                .certificate_by_serial(issuer, intent.serial)
                .await?
                .is_some()
            {
                return Ok(None);
            }
            let order = self.store.order(intent.order).await?;
            let spare = CertificateId(self.next_id());
            let change = reconcile(self.now(), intent, order.as_ref(), live, spare);
            if self.apply(change).await? == Outcome::Applied {
                tracing::warn!(serial = %intent.serial, sequence = intent.sequence, signed = intent.signature.is_some(),
                    "a certificate came back from the signer's journal");
                let shard =
                    chancery_authority::issuance::shard_of(&intent.serial, live.record.crl_shards);
                return Ok(Some(shard));
            }
        }
        Err(EngineError::Contended)
    }

    async fn restore_revocations(
        &self,
        crl: &journal::CrlIntent,
        dirty: &mut BTreeSet<(IssuerId, u16)>,
    ) -> Result<(), EngineError> {
        let issuer = self
            .issuers()
            .into_iter()
            .find(|issuer| issuer.certificate.key_identifier() == crl.state.issuer)
            .map(|issuer| issuer.record.id);
        let Some(issuer) = issuer else { return Ok(()) };
        for revoked in &crl.added {
            for _ in 0..TRIES_MAX {
                let found = self
                    .store
                    .certificate_by_serial(issuer, revoked.serial)
                    .await?;
                let Some(found) = found else { break };
                let reason = match RevocationReason::from_code(i64::from(revoked.reason)) {
                    Some(RevocationReason::Unspecified) | None => None,
                    given => given,
                };
                let Revocation::Change(change) =
                    found.revoke(revoked.at, Actor::Authority, reason)?
                else {
                    break;
                };
                if self.apply(*change).await? == Outcome::Applied {
                    tracing::warn!(serial = %revoked.serial, "a revocation came back from the signer's journal");
                    dirty.insert((issuer, found.shard));
                    break;
                }
            }
        }
        Ok(())
    }

    /// Writes down up to where the journal is reflected, if that has moved.
    pub(crate) async fn move_journal_mark(&self) {
        let reflected = self.journal_mark.reflected();
        let Ok(current) = self.store.setting(SettingName::JournalMark).await else {
            return;
        };
        if current.as_ref().and_then(Setting::number).unwrap_or(0) >= reflected {
            return;
        }
        let change = Setting::journal_mark(self.now(), current.as_ref(), reflected);
        if let Err(error) = self.apply(change).await {
            tracing::warn!(%error, "the journal mark could not be moved; the next start reads more of the journal");
        }
    }
}
