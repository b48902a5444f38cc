//! The audit trail: who did what to what, chained per node (design §8).
//!
//! The store seals the records of one commit into one [`Block`]; each block carries the digest of the one before, so
//! that nothing can be changed, taken out or put in between without [`Walk`] naming the place.

use chancery_crypto::{Digest32, sha256};
use chancery_pki::UnixTime;
use minicbor::{Decode, Encode};

use crate::change::ChangeKind;
use crate::id::{AccountId, OrderId};

/// Text in one record; longer reasons are cut.
const NOTE_CHARS_MAX: usize = 300;

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Actor {
    /// The authority itself: validation results, issuance, publication.
    #[n(0)]
    Authority,
    /// An account, by its key.
    #[n(1)]
    Account(#[n(0)] AccountId),
    /// Whoever holds a certificate's private key.
    #[n(2)]
    CertificateKey,
    /// A local user at the operator's socket.
    #[n(3)]
    Operator(#[n(0)] u32),
    /// A new key that asks for an account.
    #[n(4)]
    NewKey,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AuditRecord {
    /// When.
    #[n(0)]
    pub at: UnixTime,
    /// Who.
    #[n(1)]
    pub actor: Actor,
    /// What.
    #[n(2)]
    pub kind: ChangeKind,
    /// The number of the object: an account, order, authorization or certificate, as `kind` says; an issuer for CRLs.
    #[n(3)]
    pub object: i64,
    /// A few words: the reason of a refusal, a serial, a shard.
    #[n(4)]
    pub note: Option<String>,
}

impl AuditRecord {
    pub(crate) fn new(at: UnixTime, actor: Actor, kind: ChangeKind, object: i64) -> Self {
        Self {
            at,
            actor,
            kind,
            object,
            note: None,
        }
    }

    pub(crate) fn noting(mut self, note: impl Into<String>) -> Self {
        let note: String = note.into();
        self.note = Some(note.chars().take(NOTE_CHARS_MAX).collect());
        self
    }

    /// A refusal that concerns an order.
    pub(crate) fn refused_order(at: UnixTime, actor: Actor, order: OrderId, why: String) -> Self {
        Self::new(at, actor, ChangeKind::Refused, order.0).noting(why)
    }
}

/// The records of one commit of one node, bound to the block before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Which node wrote it.
    pub node: u8,
    /// Counts the node's blocks from 1.
    pub sequence: i64,
    /// [`Block::digest`] of the node's block before; zeros for the first.
    pub previous: Digest32,
    /// The packed records.
    pub body: Vec<u8>,
}

impl Block {
    /// Packs the records of one commit behind `previous`.
    #[must_use]
    pub fn seal(node: u8, sequence: i64, previous: Digest32, records: &[AuditRecord]) -> Self {
        let mut body = Vec::with_capacity(records.len() * 48);
        for record in records {
            // Encoding into a Vec has no failure of its own.
            let Ok(()) = minicbor::encode(record, &mut body) else {
                continue;
            };
        }
        Self {
            node,
            sequence,
            previous,
            body,
        }
    }

    /// What the next block must carry.
    #[must_use]
    pub fn digest(&self) -> Digest32 {
        sha256(
            &[
                &[self.node][..],
                &self.sequence.to_be_bytes(),
                &self.previous,
                &self.body,
            ]
            .concat(),
        )
    }

    /// The records.
    ///
    /// # Errors
    /// [`AuditError::Unreadable`].
    pub fn records(&self) -> Result<Vec<AuditRecord>, AuditError> {
        let mut decoder = minicbor::Decoder::new(&self.body);
        let mut records = Vec::new();
        while decoder.position() < self.body.len() {
            let record = decoder.decode().map_err(|_| AuditError::Unreadable {
                sequence: self.sequence,
            })?;
            records.push(record);
        }
        Ok(records)
    }
}

/// What is wrong with an audit trail, at its first wrong place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// A block does not follow from the one before it.
    #[error("audit block {sequence} does not follow from block {}: a record was changed or removed", sequence - 1)]
    Broken {
        /// The block.
        sequence: i64,
    },
    /// A block number is missing.
    #[error("audit block {expected} is missing; the next one found is {found}")]
    Missing {
        /// The number that should come.
        expected: i64,
        /// The number that came.
        found: i64,
    },
    /// The packed records cannot be read.
    #[error("audit block {sequence} holds bytes that are no records")]
    Unreadable {
        /// The block.
        sequence: i64,
    },
}

/// Walks one node's blocks in order and checks that each follows from the one before.
#[derive(Debug, Default)]
pub struct Walk {
    last: Option<(i64, Digest32)>,
}

impl Walk {
    /// Checks the next block.
    ///
    /// # Errors
    /// [`AuditError`], naming the first wrong block.
    pub fn step(&mut self, block: &Block) -> Result<(), AuditError> {
        let (expected, previous) = match self.last {
            None => (1, [0; 32]),
            Some((sequence, digest)) => (sequence + 1, digest),
        };
        if block.sequence != expected {
            return Err(AuditError::Missing {
                expected,
                found: block.sequence,
            });
        }
        if block.previous != previous {
            return Err(AuditError::Broken {
                sequence: block.sequence,
            });
        }
        block.records()?;
        self.last = Some((block.sequence, block.digest()));
        Ok(())
    }

    /// The last block's number and digest, to compare with what was noted elsewhere.
    #[must_use]
    pub fn head(&self) -> Option<(i64, Digest32)> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(len: i64) -> Vec<Block> {
        let mut blocks: Vec<Block> = Vec::new();
        for sequence in 1..=len {
            let previous = blocks.last().map_or([0; 32], Block::digest);
            let record = AuditRecord::new(
                UnixTime(sequence),
                Actor::Authority,
                ChangeKind::OrderCreated,
                sequence,
            );
            blocks.push(Block::seal(
                1,
                sequence,
                previous,
                &[record.clone(), record],
            ));
        }
        blocks
    }

    fn verify(blocks: &[Block]) -> Result<(), AuditError> {
        let mut walk = Walk::default();
        blocks.iter().try_for_each(|block| walk.step(block))
    }

    #[test]
    fn an_untouched_chain_verifies_and_gives_its_records_back() {
        let blocks = chain(5);
        assert_eq!(verify(&blocks), Ok(()));
        assert_eq!(blocks[2].records().expect("readable").len(), 2);
    }

    #[test]
    fn a_changed_record_is_named_by_the_block_behind_it() {
        let mut blocks = chain(5);
        let end = blocks[2].body.len() - 2;
        blocks[2].body[end] ^= 1;
        assert!(matches!(
            verify(&blocks),
            Err(AuditError::Broken { sequence: 4 } | AuditError::Unreadable { sequence: 3 })
        ));
    }

    #[test]
    fn a_removed_block_is_named() {
        let mut blocks = chain(5);
        blocks.remove(1);
        assert_eq!(
            verify(&blocks),
            Err(AuditError::Missing {
                expected: 2,
                found: 3
            })
        );
    }

    #[test]
    fn swapped_blocks_are_named() {
        let mut blocks = chain(5);
        blocks.swap(1, 2);
        assert_eq!(
            verify(&blocks),
            Err(AuditError::Missing {
                expected: 2,
                found: 3
            })
        );
    }
}
