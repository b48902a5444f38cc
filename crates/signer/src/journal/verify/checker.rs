use std::collections::BTreeMap;

use chancery_crypto::{SignatureAlgorithm, SignatureForm, Verifier};
use chancery_pki::certificate::Certificate;
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::tbs::assemble;
use chancery_pki::{Serial, UnixTime};

use super::{Place, Report};
use crate::journal::entry::{CaIntent, CrlIntent, Entry, Intent, IssuerKeyId, Signature, Snapshot};
use crate::journal::read::Record;
use crate::journal::serials::SerialUse;
use crate::journal::state::State;

/// Intents that may wait for their signatures; a batch of the signer has at most 256.
const OPEN_MAX: usize = 4_096;

/// Checks entries one after the other.
pub(super) struct Checker {
    pub(super) report: Report,
    issuers: Vec<Issuer>,
    /// Intents without a signature so far, by number.
    open: BTreeMap<u64, Entry>,
    state: State,
    /// False after damage: then the next snapshot is believed.
    state_known: bool,
    /// Where reading began anew after damage; what lies before is not known.
    known_from: u64,
}

/// A CA certificate and its key, decoded once.
struct Issuer {
    certificate: IssuerCertificate,
    verifier: Verifier,
    /// Whether the caller named it. Leaf signatures are judged by such keys only; the journal cannot vouch for itself.
    trusted: bool,
}

type Finding = Result<(), String>;

impl Checker {
    pub(super) fn new(issuers: &[IssuerCertificate]) -> Self {
        let report = Report {
            segments: 0,
            entries: 0,
            first_sequence: 0,
            last_sequence: 0,
            head: [0; 32],
            last_time: UnixTime(0),
            ca_signatures: 0,
            leaf_signatures: 0,
            crl_signatures: 0,
            unsigned_intents: 0,
            torn_bytes: 0,
            problems: Vec::new(),
            problems_total: 0,
        };
        let issuers = issuers
            .iter()
            .filter_map(|issuer| Issuer::new(issuer.clone(), true))
            .collect();
        Self {
            report,
            issuers,
            open: BTreeMap::new(),
            state: State::default(),
            state_known: true,
            known_from: 0,
        }
    }

    /// Gives up what was known, as there is a gap before entry `next`.
    pub(super) fn forget(&mut self, next: u64) {
        self.close_open();
        self.state_known = false;
        self.known_from = next;
    }

    pub(super) fn finish(mut self) -> Report {
        self.close_open();
        self.report
    }

    pub(super) fn check(&mut self, place: &Place, record: Record) {
        if self.report.entries == 0 {
            self.report.first_sequence = record.sequence;
        }
        self.report.entries = self.report.entries.saturating_add(1);
        self.report.last_sequence = record.sequence;
        self.report.last_time = record.time;
        let finding = match &record.entry {
            // A signature is made in the run that wrote its intent or never.
            Entry::Start(_) => {
                self.close_open();
                Ok(())
            }
            Entry::Snapshot(snapshot) => self.snapshot(snapshot),
            Entry::CaIntent(intent) => self.serial(&intent.serial),
            Entry::Intent(intent) => self.serial(&intent.serial),
            Entry::CrlIntent(intent) => self.crl(intent),
            Entry::CaSignature(signature)
            | Entry::Signature(signature)
            | Entry::CrlSignature(signature) => self.signature(&record.entry, signature),
        };
        if let Err(what) = finding {
            self.report.note(place, what);
        }
        self.state.apply(&record.entry);
        if matches!(
            record.entry,
            Entry::CaIntent(_) | Entry::Intent(_) | Entry::CrlIntent(_)
        ) {
            self.open.insert(record.sequence, record.entry);
            if self.open.len() > OPEN_MAX {
                self.open.pop_first();
                self.report.unsigned_intents = self.report.unsigned_intents.saturating_add(1);
            }
        }
    }

    fn close_open(&mut self) {
        let open = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        self.report.unsigned_intents = self.report.unsigned_intents.saturating_add(open);
        self.open.clear();
    }

    /// A snapshot is the sum of what was read.
    fn snapshot(&mut self, snapshot: &Snapshot) -> Finding {
        if !self.state_known {
            (self.state, self.state_known) = (State::from_snapshot(snapshot), true);
            return Ok(());
        }
        let expected = self.state.snapshot();
        (expected == *snapshot).then_some(()).ok_or_else(|| {
            "the segment's snapshot is not the sum of the entries before it".to_owned()
        })
    }

    /// A serial number is used once. The signer refuses what it cannot tell, so that is wrong here too, unless a gap hides it.
    fn serial(&self, serial: &Serial) -> Finding {
        match self.state.serial_use(serial) {
            SerialUse::New => Ok(()),
            SerialUse::Used => Err(format!("serial {serial} was used before")),
            SerialUse::Unknown if self.known_from > 0 => Ok(()),
            SerialUse::Unknown => Err(format!("serial {serial} is older than a signer accepts")),
        }
    }

    /// Numbers and times of a shard go up (RFC 5280 §5.2.3).
    fn crl(&self, intent: &CrlIntent) -> Finding {
        let now = &intent.state;
        self.issuer(&now.issuer)?;
        let Some(last) = self.state.crl(now.issuer, now.shard) else {
            return Ok(());
        };
        if now.number <= last.number {
            return Err(format!(
                "CRL number {} comes after {}",
                now.number, last.number
            ));
        }
        if now.this_update <= last.this_update {
            let (now, last) = (now.this_update.to_rfc3339(), last.this_update.to_rfc3339());
            return Err(format!("thisUpdate {now} comes after {last}"));
        }
        Ok(())
    }

    fn signature(&mut self, entry: &Entry, signature: &Signature) -> Finding {
        let number = signature.intent;
        let Some(intent) = self.open.remove(&number) else {
            // An intent in a damaged part cannot be read, so its signature cannot be judged.
            let hidden = number < self.known_from;
            return hidden
                .then_some(())
                .ok_or_else(|| format!("entry {number} is no intent that waits for a signature"));
        };
        let count = |counter: &mut u64| *counter = counter.saturating_add(1);
        match (entry, intent) {
            (Entry::Signature(_), Entry::Intent(intent)) => {
                count(&mut self.report.leaf_signatures);
                self.leaf(&intent, &signature.signature)
            }
            (Entry::CaSignature(_), Entry::CaIntent(intent)) => {
                count(&mut self.report.ca_signatures);
                self.ca(&intent, &signature.signature)
            }
            (Entry::CrlSignature(_), Entry::CrlIntent(_)) => {
                count(&mut self.report.crl_signatures);
                Ok(())
            }
            _ => Err("the signature is of another kind than its intent".to_owned()),
        }
    }

    fn leaf(&self, intent: &Intent, signature: &[u8]) -> Finding {
        let issuer = self.issuer(&intent.issuer)?;
        let algorithm = issuer.certificate.signature_algorithm();
        let certificate = Certificate::parse(&assemble(&intent.tbs, algorithm, signature))
            .map_err(|error| error.to_string())?;
        if certificate.serial() != intent.serial {
            return Err("the certificate has another serial number than its intent".to_owned());
        }
        if certificate.issuer_der() != issuer.certificate.subject_der()
            || certificate.authority_key_id() != Some(&intent.issuer[..])
        {
            return Err("the certificate names another issuer than its intent".to_owned());
        }
        issuer
            .verifier
            .verify(&intent.tbs, signature)
            .map_err(|error| error.to_string())
    }

    /// A root is signed by itself, an issuer by a CA certificate that was named or came before. Those of a first run that did not
    /// come to its end are never named, and nothing hangs on them.
    fn ca(&mut self, intent: &CaIntent, signature: &[u8]) -> Finding {
        let certificate = ALGORITHMS
            .into_iter()
            .find_map(|algorithm| {
                IssuerCertificate::parse(&assemble(&intent.tbs, algorithm, signature)).ok()
            })
            .ok_or_else(|| "the TBS is not that of a CA certificate".to_owned())?;
        if certificate.certificate().serial() != intent.serial {
            return Err("the certificate has another serial number than its intent".to_owned());
        }
        let above = match intent.root {
            true => certificate.spki().key(),
            false => {
                let key_id = certificate
                    .certificate()
                    .authority_key_id()
                    .unwrap_or_default();
                let above = self.issuers.iter().find(|issuer| issuer.has(key_id));
                above
                    .ok_or("the CA above is not known")?
                    .certificate
                    .spki()
                    .key()
            }
        };
        certificate
            .certificate()
            .verify_signed_by(above)
            .map_err(|error| error.to_string())?;
        if self.issuers.len() < ISSUERS_MAX
            && !self
                .issuers
                .iter()
                .any(|issuer| issuer.has(certificate.key_identifier()))
        {
            self.issuers.extend(Issuer::new(certificate, false));
        }
        Ok(())
    }

    fn issuer(&self, key_id: &IssuerKeyId) -> Result<&Issuer, String> {
        self.issuers
            .iter()
            .find(|issuer| issuer.trusted && issuer.has(key_id))
            .ok_or_else(|| "its issuer is not among the given CA certificates".to_owned())
    }
}

const ISSUERS_MAX: usize = 1_024;

const ALGORITHMS: [SignatureAlgorithm; 7] = [
    SignatureAlgorithm::EcdsaSha256,
    SignatureAlgorithm::EcdsaSha384,
    SignatureAlgorithm::EcdsaSha512,
    SignatureAlgorithm::RsaSha256,
    SignatureAlgorithm::RsaSha384,
    SignatureAlgorithm::RsaSha512,
    SignatureAlgorithm::Ed25519,
];

impl Issuer {
    /// `None` for a key that makes no signatures, which no accepted key is.
    fn new(certificate: IssuerCertificate, trusted: bool) -> Option<Self> {
        let (key, algorithm) = (certificate.spki().key(), certificate.signature_algorithm());
        let verifier = Verifier::new(key, algorithm, SignatureForm::Der).ok()?;
        Some(Self {
            certificate,
            verifier,
            trusted,
        })
    }

    fn has(&self, key_id: &[u8]) -> bool {
        self.certificate.key_identifier() == key_id
    }
}
