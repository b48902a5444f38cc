//! Why an order stands where it stands: what happened to it, from the audit trail, with what was seen on the way.

use std::collections::HashSet;

use chancery_authority::OrderId;
use chancery_authority::audit::{AuditRecord, Block};
use chancery_authority::authorization::Authorization;
use chancery_authority::certificate::Certificate;
use chancery_authority::order::{Order, OrderState};
use chancery_authority::store::Page;
use chancery_pki::UnixTime;

use crate::{Engine, EngineError};

/// How far the times in the trail may be out of order: a clock that was set, a commit that waited.
const SLACK_SECS: i64 = 120;

/// Blocks that are read for one order; at 500 commits a second these are some minutes of a busy day.
const BLOCKS_MAX: usize = 200_000;

/// An order with all that is known about its way.
#[derive(Debug)]
pub struct Why {
    /// The order.
    pub order: Order,
    /// What it rests on.
    pub authorizations: Vec<Authorization>,
    /// The certificate that it delivered.
    pub certificate: Option<Certificate>,
    /// What happened, in the order in which it became durable.
    pub records: Vec<AuditRecord>,
    /// How much of the trail was read for that.
    pub reading: Reading,
}

/// How much of the audit trail was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// All that can concern the order.
    Whole,
    /// The beginning; the rest was too long.
    CutOff,
}

impl Engine {
    /// Tells an order's story; `None` when there is no such order.
    ///
    /// # Errors
    /// Store errors.
    pub async fn why(&self, id: OrderId) -> Result<Option<Why>, EngineError> {
        let Some((order, authorizations)) = self.order_in_full(id).await? else {
            return Ok(None);
        };
        let certificate = match order.certificate() {
            None => None,
            Some(certificate) => self.store.certificate(certificate).await?,
        };
        let mut objects = HashSet::from([id.0]);
        objects.extend(authorizations.iter().map(|it| it.id.0));
        let (records, reading) = self.records_about(&order, &objects).await?;
        Ok(Some(Why {
            order,
            authorizations,
            certificate,
            records,
            reading,
        }))
    }

    async fn records_about(
        &self,
        order: &Order,
        objects: &HashSet<i64>,
    ) -> Result<(Vec<AuditRecord>, Reading), EngineError> {
        let mut after = self
            .block_before(UnixTime(order.created.0 - SLACK_SECS))
            .await?;
        let (mut found, mut read) = (Vec::new(), 0);
        loop {
            let blocks = self.audit(after, Page::LIMIT_MAX).await?;
            let Some(last) = blocks.last() else {
                return Ok((found, Reading::Whole));
            };
            after = last.sequence;
            read += blocks.len();
            for block in &blocks {
                // What cannot be read is for `audit verify` to tell.
                let records = block.records().unwrap_or_default();
                found.extend(
                    records
                        .into_iter()
                        .filter(|it| objects.contains(&it.object)),
                );
            }
            let past = time_of(last).is_some_and(|at| at.0 > order.expires.0 + SLACK_SECS);
            if past || is_told(order, &found, last) {
                return Ok((found, Reading::Whole));
            }
            if read >= BLOCKS_MAX {
                return Ok((found, Reading::CutOff));
            }
        }
    }

    /// The number of a block behind which everything since `from` stands, by halving.
    async fn block_before(&self, from: UnixTime) -> Result<i64, EngineError> {
        // Blocks up to `low` are older; `high` is not, or does not exist.
        let (mut low, mut high) = (0_i64, 1_i64);
        while self.is_older(high, from).await? {
            (low, high) = (high, high.saturating_mul(2));
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.is_older(middle, from).await? {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    async fn is_older(&self, sequence: i64, than: UnixTime) -> Result<bool, EngineError> {
        let blocks = self.audit(sequence - 1, 1).await?;
        let found = blocks.first().filter(|block| block.sequence == sequence);
        Ok(found.and_then(time_of).is_some_and(|at| at < than))
    }
}

fn time_of(block: &Block) -> Option<UnixTime> {
    block.records().ok()?.first().map(|record| record.at)
}

/// Whether an order that has come to its end has been seen to, and some time has passed in the trail since.
fn is_told(order: &Order, found: &[AuditRecord], last: &Block) -> bool {
    let ended = match order.state {
        OrderState::Valid { .. } | OrderState::Invalid { .. } | OrderState::Cancelled => true,
        OrderState::Pending | OrderState::Ready | OrderState::Processing { .. } => false,
    };
    let quiet =
        |record: &AuditRecord| time_of(last).is_some_and(|at| at.0 > record.at.0 + SLACK_SECS);
    ended && found.len() > 1 && found.last().is_some_and(quiet)
}
