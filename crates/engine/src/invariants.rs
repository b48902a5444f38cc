//! The invariants of design §6, checked over everything that is stored and journalled.

use std::collections::{HashMap, HashSet};

use chancery_authority::audit::Walk;
use chancery_authority::authorization::AuthorizationState;
use chancery_authority::certificate::{Certificate, CertificateStatus};
use chancery_authority::order::{Order, OrderState};
use chancery_authority::store::{CertificateFilter, Page};
use chancery_authority::{IssuerId, OrderId};
use chancery_pki::{Certificate as Parsed, Crl, Serial};
use chancery_signer::Replay;
use chancery_signer::journal::{Entry, IssuerKeyId};

use crate::{Engine, EngineError};

/// Problems that are reported; a damaged store would fill the memory with more.
const BROKEN_MAX: usize = 100;

const PAGE: u16 = 500;

/// What was checked, and what does not hold.
#[derive(Debug, Clone, Default)]
pub struct InvariantReport {
    /// Single checks made.
    pub checked: u64,
    /// What does not hold, in words, with the number of the invariant in front.
    pub broken: Vec<String>,
}

impl InvariantReport {
    fn check(&mut self, holds: bool, broken: impl FnOnce() -> String) {
        self.checked += 1;
        if !holds && self.broken.len() < BROKEN_MAX {
            self.broken.push(broken());
        }
    }
}

/// What the journal says, by serial: the intent's sequence and whether it was signed.
#[derive(Debug, Default)]
struct Journalled {
    intents: HashMap<Serial, u64>,
    signed: HashSet<u64>,
    revoked: Vec<(IssuerKeyId, Serial)>,
}

impl Engine {
    /// Checks the invariants; memory grows with the journal by about 40 octets a certificate.
    ///
    /// # Errors
    /// When store or signer cannot be read at all.
    pub async fn invariants(&self) -> Result<InvariantReport, EngineError> {
        let mut report = InvariantReport::default();
        let journalled = self.journalled_intents(&mut report).await?;
        let known = self.check_certificates(&mut report, &journalled).await?;
        for (serial, sequence) in &journalled.intents {
            report.check(known.contains(serial), || {
                format!(
                    "2: journal entry {sequence} intends {serial}, which the store does not know"
                )
            });
        }
        self.check_orders(&mut report).await?;
        self.check_crls(&mut report, &journalled).await?;
        self.check_audit(&mut report).await?;
        Ok(report)
    }

    async fn journalled_intents(
        &self,
        report: &mut InvariantReport,
    ) -> Result<Journalled, EngineError> {
        let mut journalled = Journalled::default();
        let mut numbers: HashMap<(IssuerKeyId, u32), u64> = HashMap::new();
        let mut from = 1;
        loop {
            let request = Replay {
                from,
                entries_max: 1000,
            };
            let replayed = self
                .signer
                .replay(request)
                .await
                .map_err(|error| EngineError::Signer(error.to_string()))?;
            for record in replayed.records {
                match record.entry {
                    Entry::Intent(intent) => {
                        let before = journalled.intents.insert(intent.serial, record.sequence);
                        report.check(before.is_none(), || {
                            format!("3: serial {} was journalled twice", intent.serial)
                        });
                    }
                    Entry::Signature(signature) => {
                        report.check(journalled.signed.insert(signature.intent), || {
                            format!("1: intent {} was signed twice", signature.intent)
                        });
                    }
                    Entry::CrlIntent(crl) => {
                        let shard = (crl.state.issuer, crl.state.shard);
                        let last = numbers.insert(shard, crl.state.number).unwrap_or(0);
                        report.check(crl.state.number > last, || {
                            format!(
                                "5: CRL number {} of shard {} does not increase",
                                crl.state.number, shard.1
                            )
                        });
                        let added = crl
                            .added
                            .iter()
                            .map(|entry| (crl.state.issuer, entry.serial));
                        journalled.revoked.extend(added);
                    }
                    Entry::Start(_)
                    | Entry::Snapshot(_)
                    | Entry::CaIntent(_)
                    | Entry::CaSignature(_)
                    | Entry::CrlSignature(_) => {}
                }
            }
            if replayed.next > replayed.last {
                return Ok(journalled);
            }
            from = replayed.next;
        }
    }

    async fn check_certificates(
        &self,
        report: &mut InvariantReport,
        journalled: &Journalled,
    ) -> Result<HashSet<Serial>, EngineError> {
        let mut known = HashSet::new();
        let mut delivered: HashMap<OrderId, u32> = HashMap::new();
        let mut page = Page {
            after: 0,
            limit: PAGE,
        };
        loop {
            let certificates = self
                .store
                .certificates(page, CertificateFilter::default())
                .await?;
            let Some(last) = certificates.last() else {
                return Ok(known);
            };
            page.after = last.id.0;
            for certificate in &certificates {
                report.check(known.insert(certificate.serial), || {
                    format!("3: serial {} is stored twice", certificate.serial)
                });
                self.check_certificate(report, journalled, certificate);
                let delivers = certificate.id.0 == certificate.order.0;
                let count = delivered.entry(certificate.order).or_default();
                *count += u32::from(delivers);
                let count = *count;
                report.check(count <= 1, || {
                    format!("3: order {} has {count} certificates", certificate.order)
                });
            }
        }
    }

    fn check_certificate(
        &self,
        report: &mut InvariantReport,
        journalled: &Journalled,
        certificate: &Certificate,
    ) {
        let serial = certificate.serial;
        let intent = journalled.intents.get(&serial);
        report.check(intent == Some(&certificate.journal_sequence), || {
            format!("1: certificate {serial} has no journal entry of its own")
        });
        let issuer = self.issuer_by_id(certificate.issuer);
        let orphan = matches!(certificate.status, CertificateStatus::Orphaned { .. });
        let genuine = match (Parsed::parse(&certificate.der), issuer) {
            (Ok(parsed), Some(issuer)) => {
                let key = issuer.certificate.spki().key();
                parsed.serial() == serial && (orphan || parsed.verify_signed_by(key).is_ok())
            }
            _ => false,
        };
        report.check(genuine, || {
            format!("2: the stored bytes of certificate {serial} are not what its issuer signed")
        });
    }

    async fn check_orders(&self, report: &mut InvariantReport) -> Result<(), EngineError> {
        let mut page = Page {
            after: 0,
            limit: PAGE,
        };
        loop {
            let orders = self.store.orders(page).await?;
            let Some(last) = orders.last() else {
                return Ok(());
            };
            page.after = last.id.0;
            for order in &orders {
                self.check_order(report, order).await?;
            }
        }
    }

    async fn check_order(
        &self,
        report: &mut InvariantReport,
        order: &Order,
    ) -> Result<(), EngineError> {
        let Some(id) = order.certificate() else {
            return Ok(());
        };
        let OrderState::Valid { csr_digest } = &order.state else {
            return Ok(());
        };
        let found = self.store.certificate(id).await?;
        report.check(found.is_some_and(|found| found.order == order.id), || {
            format!("2: order {} is valid and has no certificate", order.id)
        });
        // An order that came back from the journal lost its authorizations with the store.
        if *csr_digest == [0; 32] {
            return Ok(());
        }
        let parts = order.parts.iter().map(|part| part.authorization).collect();
        let authorizations = self.store.authorizations(parts).await?;
        for name in &order.names {
            let proven = authorizations.iter().any(|authorization| {
                authorization.identifier == *name
                    && matches!(
                        authorization.state,
                        AuthorizationState::Valid { .. } | AuthorizationState::Deactivated
                    )
            });
            report.check(proven, || {
                format!(
                    "7: order {} has a certificate without evidence for {name}",
                    order.id
                )
            });
        }
        Ok(())
    }

    async fn check_crls(
        &self,
        report: &mut InvariantReport,
        journalled: &Journalled,
    ) -> Result<(), EngineError> {
        let now = self.now();
        for issuer in self.issuers() {
            let id = issuer.record.id;
            let mut listed: HashSet<Serial> = HashSet::new();
            for shard in 0..issuer.record.crl_shards {
                let published = self.crls.get(id, shard);
                let parsed = published
                    .as_ref()
                    .and_then(|crl| Crl::parse(crl.der.clone()).ok());
                report.check(
                    published.as_ref().is_some_and(|crl| crl.next_update > now),
                    || format!("4: shard {shard} of issuer {id} has no current CRL"),
                );
                let Some(parsed) = parsed else { continue };
                let key = issuer.certificate.spki().key();
                report.check(parsed.verify_signed_by(key).is_ok(), || {
                    format!("4: the CRL of shard {shard} of issuer {id} does not verify")
                });
                listed.extend(parsed.entries().map(|entry| entry.serial));
                self.check_shard(report, id, shard, &listed).await?;
            }
            self.check_revoked(report, journalled, id, issuer.certificate.key_identifier())
                .await?;
        }
        Ok(())
    }

    async fn check_shard(
        &self,
        report: &mut InvariantReport,
        issuer: IssuerId,
        shard: u16,
        listed: &HashSet<Serial>,
    ) -> Result<(), EngineError> {
        let settled = chancery_pki::UnixTime(self.now().0 - 5);
        let due = self
            .store
            .revoked(issuer, shard, Certificate::listed_from(self.now()))
            .await?;
        for entry in due.iter().filter(|entry| entry.at < settled) {
            report.check(listed.contains(&entry.serial), || {
                format!(
                    "4: revoked certificate {} is not on the CRL of shard {shard}",
                    entry.serial
                )
            });
        }
        Ok(())
    }

    async fn check_revoked(
        &self,
        report: &mut InvariantReport,
        journalled: &Journalled,
        issuer: IssuerId,
        key_id: &[u8],
    ) -> Result<(), EngineError> {
        for (_, serial) in journalled.revoked.iter().filter(|(key, _)| key == key_id) {
            let found = self.store.certificate_by_serial(issuer, *serial).await?;
            let revoked =
                found.is_some_and(|found| !matches!(found.status, CertificateStatus::Good));
            report.check(revoked, || {
                format!("4: {serial} was published as revoked, and the store does not know it")
            });
        }
        Ok(())
    }

    async fn check_audit(&self, report: &mut InvariantReport) -> Result<(), EngineError> {
        let mut walk = Walk::default();
        let mut after = 0;
        loop {
            let blocks = self.store.audit(self.node, after, PAGE).await?;
            let Some(last) = blocks.last() else {
                return Ok(());
            };
            after = last.sequence;
            for block in &blocks {
                let step = walk.step(block);
                report.check(step.is_ok(), || match step {
                    Err(error) => format!("8: {error}"),
                    Ok(()) => String::new(),
                });
            }
        }
    }
}
