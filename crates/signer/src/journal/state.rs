use std::collections::BTreeMap;

use chancery_pki::Serial;

use super::entry::{CrlState, Entry, IssuerKeyId, Snapshot};
use super::serials::Serials;

/// What the entries so far add up to: enough to decide on the next request without reading back.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    crls: BTreeMap<(IssuerKeyId, u32), CrlState>,
    leaf_intents: u64,
    ca_signatures: u64,
    serials: Serials,
}

impl State {
    pub(crate) fn from_snapshot(snapshot: &Snapshot) -> Self {
        let key = |crl: &CrlState| (crl.issuer, crl.shard);
        Self {
            crls: snapshot
                .crls
                .iter()
                .map(|crl| (key(crl), crl.clone()))
                .collect(),
            leaf_intents: snapshot.leaf_intents,
            ca_signatures: snapshot.ca_signatures,
            serials: Serials::above(snapshot.serial_floor),
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            crls: self.crls.values().cloned().collect(),
            leaf_intents: self.leaf_intents,
            ca_signatures: self.ca_signatures,
            serial_floor: self.serials.highest(),
        }
    }

    /// Takes in the next entry.
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Start(_) | Entry::Snapshot(_) | Entry::Signature(_) | Entry::CrlSignature(_) => {
            }
            Entry::CaIntent(intent) => self.serials.insert(intent.serial),
            Entry::CaSignature(_) => self.ca_signatures = self.ca_signatures.saturating_add(1),
            Entry::Intent(intent) => {
                self.leaf_intents = self.leaf_intents.saturating_add(1);
                self.serials.insert(intent.serial);
            }
            Entry::CrlIntent(intent) => {
                let crl = &intent.state;
                self.crls.insert((crl.issuer, crl.shard), crl.clone());
            }
        }
    }

    pub(crate) fn crl(&self, issuer: IssuerKeyId, shard: u32) -> Option<&CrlState> {
        self.crls.get(&(issuer, shard))
    }

    pub(crate) fn serial_use(&self, serial: &Serial) -> super::serials::SerialUse {
        self.serials.look_up(serial)
    }

    /// Whether any certificate or CRL was ever about to be signed for somebody else.
    pub(crate) fn has_issued(&self) -> bool {
        self.leaf_intents > 0 || !self.crls.is_empty()
    }

    /// Whether a first run ever came as far as a signature.
    pub(crate) fn has_ca(&self) -> bool {
        self.ca_signatures > 0
    }
}
