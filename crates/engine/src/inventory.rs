//! What operators look at.

use chancery_authority::OrderId;
use chancery_authority::audit::Block;
use chancery_authority::authorization::Authorization;
use chancery_authority::certificate::Certificate;
use chancery_authority::order::Order;
use chancery_authority::store::{CertificateFilter, DiskSpace, Page};
use chancery_pki::{Serial, UnixTime};

use crate::{Engine, EngineError, LimitLine};

/// The state of the authority at a glance.
#[derive(Debug, Clone)]
pub struct Status {
    /// Now, by its clock.
    pub now: UnixTime,
    /// Issuers with the end of their certificates and their CRL shards.
    pub issuers: Vec<(u32, UnixTime, u16)>,
    /// Gateways by name.
    pub gateways: Vec<String>,
    /// The soonest nextUpdate of all published CRLs.
    pub soonest_next_update: Option<UnixTime>,
    /// Shards that wait for a new CRL.
    pub crls_waiting: usize,
    /// Validations that wait or run.
    pub validations: usize,
    /// What is limited, and how often that said no.
    pub limits: Vec<LimitLine>,
}

impl Engine {
    /// The state at a glance.
    #[must_use]
    pub fn status(&self) -> Status {
        Status {
            now: self.now(),
            issuers: self
                .issuers()
                .into_iter()
                .map(|issuer| {
                    let record = &issuer.record;
                    (
                        record.id.0,
                        issuer.certificate.not_after(),
                        record.crl_shards,
                    )
                })
                .collect(),
            gateways: self.gateways.keys().cloned().collect(),
            soonest_next_update: self.crls.all().iter().map(|crl| crl.next_update).min(),
            crls_waiting: self.crls.waiting(),
            validations: self.validations_queued(),
            limits: self.limits(),
        }
    }

    /// A page of certificates.
    ///
    /// # Errors
    /// Store errors.
    pub async fn certificates(
        &self,
        page: Page,
        filter: CertificateFilter,
    ) -> Result<Vec<Certificate>, EngineError> {
        Ok(self.store.certificates(page, filter).await?)
    }

    /// A certificate by its serial, whoever signed it.
    ///
    /// # Errors
    /// Store errors.
    pub async fn certificate_by_serial(
        &self,
        serial: Serial,
    ) -> Result<Option<Certificate>, EngineError> {
        for issuer in self.issuers() {
            let found = self
                .store
                .certificate_by_serial(issuer.record.id, serial)
                .await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// A page of orders.
    ///
    /// # Errors
    /// Store errors.
    pub async fn orders(&self, page: Page) -> Result<Vec<Order>, EngineError> {
        Ok(self.store.orders(page).await?)
    }

    /// An order with its authorizations, for an operator.
    ///
    /// # Errors
    /// Store errors.
    pub async fn order_in_full(
        &self,
        id: OrderId,
    ) -> Result<Option<(Order, Vec<Authorization>)>, EngineError> {
        let Some(order) = self.store.order(id).await? else {
            return Ok(None);
        };
        let parts = order.parts.iter().map(|part| part.authorization).collect();
        let authorizations = self.store.authorizations(parts).await?;
        Ok(Some((order, authorizations)))
    }

    /// A page of this node's audit blocks.
    ///
    /// # Errors
    /// Store errors.
    pub async fn audit(&self, after: i64, limit: u16) -> Result<Vec<Block>, EngineError> {
        Ok(self.store.audit(self.node, after, limit).await?)
    }
}

impl Engine {
    /// Whether the parts that issuance needs answer: store and signer.
    pub async fn can_issue(&self) -> bool {
        let room = match self.store.health().await {
            Ok(health) => health.disk == DiskSpace::Enough,
            Err(_) => false,
        };
        room && self.signer.hello().await.is_ok()
    }
}
