//! CRL shards: what was last published, and what the next one must carry.

use chancery_pki::{CrlError, CrlRequest, CrlWriter, RevokedEntry, UnixTime};
use minicbor::{Decode, Encode};

use crate::change::{Change, Expect};
use crate::id::IssuerId;
use crate::issuer::LiveIssuer;

/// How long a CRL may be used. It is signed anew long before that: at half of it, or at the next revocation.
pub const CRL_LIFETIME_SECS: i64 = 7 * 24 * 3600;

/// A revocation stays listed until the certificate's end plus this long (failures D4), so that it is on every CRL whose
/// period touches the certificate's life.
pub const CRL_RETENTION_SECS: i64 = CRL_LIFETIME_SECS;

/// Difference of clocks that readers are allowed: thisUpdate is set back by it.
const CRL_BACKDATE_SECS: i64 = 60;

/// The last CRL of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CrlState {
    /// The issuer.
    #[n(0)]
    pub issuer: IssuerId,
    /// The shard.
    #[n(1)]
    pub shard: u16,
    /// Counts its writes.
    #[n(2)]
    pub version: u32,
    /// Its cRLNumber; strictly ascending per shard.
    #[n(3)]
    pub number: u64,
    /// thisUpdate; strictly ascending per shard.
    #[n(4)]
    pub this_update: UnixTime,
    /// nextUpdate.
    #[n(5)]
    pub next_update: UnixTime,
    /// The signed CRL.
    #[cbor(n(6), with = "minicbor::bytes")]
    pub der: Vec<u8>,
    /// Revocations on it.
    #[n(7)]
    pub entries: u32,
}

/// A CRL that is about to be signed.
#[derive(Debug, Clone)]
pub struct CrlDraft {
    /// The issuer.
    pub issuer: IssuerId,
    /// The shard.
    pub shard: u16,
    /// Its number.
    pub number: u64,
    /// thisUpdate.
    pub this_update: UnixTime,
    /// nextUpdate.
    pub next_update: UnixTime,
    /// What is signed.
    pub tbs: Vec<u8>,
    /// Revocations on it.
    pub entries: u32,
    expect: Expect,
    version: u32,
}

/// The floor under a shard's next CRL: what the signer's journal has seen, which a restored store may not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrlFloor {
    /// The highest number signed.
    pub number: u64,
    /// The latest thisUpdate signed.
    pub this_update: UnixTime,
}

impl Default for CrlFloor {
    fn default() -> Self {
        Self {
            number: 0,
            this_update: UnixTime(0),
        }
    }
}

impl CrlDraft {
    /// Composes the next CRL of a shard. Number and thisUpdate lie above both the store's and the journal's last
    /// (invariant 5, failures D8).
    ///
    /// # Errors
    /// [`CrlError`] when the URL or an entry cannot be written, which is a fault of ours.
    pub fn compose(
        now: UnixTime,
        issuer: &LiveIssuer,
        shard: u16,
        last: Option<&CrlState>,
        floor: CrlFloor,
        revoked: impl Iterator<Item = RevokedEntry>,
    ) -> Result<Self, CrlError> {
        let last_number = last.map_or(0, |crl| crl.number).max(floor.number);
        let last_update = last
            .map_or(UnixTime(0), |crl| crl.this_update)
            .max(floor.this_update);
        let this_update = UnixTime((now.0 - CRL_BACKDATE_SECS).max(last_update.0 + 1));
        let next_update = UnixTime(now.0 + CRL_LIFETIME_SECS);
        let number = last_number + 1;
        let url = issuer.record.crl_url(shard);
        let mut writer = CrlWriter::new(&CrlRequest {
            issuer: &issuer.certificate,
            number,
            this_update,
            next_update,
            // A root's list covers everything it signed; readers refuse one that says less about itself than that.
            distribution_point: (!issuer.certificate.is_self_issued()).then_some(url.as_str()),
        })?;
        let mut entries = 0;
        for entry in revoked {
            writer.push(&entry)?;
            entries += 1;
        }
        let (expect, version) = match last {
            None => (Expect::Absent, 1),
            Some(crl) => (Expect::Version(crl.version), crl.version + 1),
        };
        Ok(Self {
            issuer: issuer.record.id,
            shard,
            number,
            this_update,
            next_update,
            tbs: writer.finish(),
            entries,
            expect,
            version,
        })
    }

    /// Records the signed CRL.
    #[must_use]
    pub fn published(self, now: UnixTime, der: Vec<u8>) -> (Change, CrlState) {
        let state = CrlState {
            issuer: self.issuer,
            shard: self.shard,
            version: self.version,
            number: self.number,
            this_update: self.this_update,
            next_update: self.next_update,
            der,
            entries: self.entries,
        };
        (
            Change::crl_published(now, self.expect, state.clone()),
            state,
        )
    }
}

impl CrlState {
    /// Whether it is time to sign anew although nothing was revoked: half of its life is over.
    #[must_use]
    pub fn is_due(&self, now: UnixTime) -> bool {
        let half = (self.next_update.0 - self.this_update.0) / 2;
        now.0 >= self.this_update.0 + half
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_pki::Crl;

    use crate::world::World;

    fn compose(world: &World, last: Option<&CrlState>, floor: CrlFloor) -> CrlDraft {
        CrlDraft::compose(world.now, &world.issuer, 3, last, floor, std::iter::empty())
            .expect("composes")
    }

    #[test]
    fn the_first_crl_of_a_shard_expects_none_and_the_next_expects_the_last() {
        let mut world = World::new(1);
        let (change, first) = world.crl(3, None, Vec::new());
        assert_eq!(change.writes()[0].expect, Expect::Absent);
        assert_eq!((first.number, first.version, first.entries), (1, 1, 0));
        world.now = world.now.plus(1);
        let (change, second) = world.crl(3, Some(&first), Vec::new());
        assert_eq!(change.writes()[0].expect, Expect::Version(1));
        assert_eq!((second.number, second.version), (2, 2));
        let parsed = Crl::parse(second.der).expect("a CRL");
        assert_eq!(parsed.number(), 2);
        let key = world.issuer.certificate.spki().key();
        assert_eq!(parsed.verify_signed_by(key), Ok(()));
    }

    /// Failures D8, invariant 5.
    #[test]
    fn d8_number_and_this_update_rise_above_store_and_journal_whatever_the_clock_says() {
        let mut world = World::new(1);
        let (_, mut last) = world.crl(3, None, Vec::new());
        for (step, floor) in [(0, 0), (-3600, 0), (0, 40), (5, 2), (1, 0)] {
            world.now.0 += step;
            let this_update = UnixTime(world.now.0 + floor);
            let number = u64::try_from(floor).expect("positive");
            let draft = compose(
                &world,
                Some(&last),
                CrlFloor {
                    number,
                    this_update,
                },
            );
            assert!(draft.number > last.number && draft.number > number);
            assert!(draft.this_update > last.this_update && draft.this_update > this_update);
            (_, last) = draft.published(world.now, Vec::new());
        }
        let floor = CrlFloor {
            number: 9,
            this_update: world.now,
        };
        assert_eq!(
            compose(&world, None, floor).number,
            10,
            "a store that lost it all"
        );
    }

    #[test]
    fn a_crl_is_due_at_half_of_its_life() {
        let world = World::new(1);
        let (_, state) = world.crl(0, None, Vec::new());
        let half = (state.next_update.0 - state.this_update.0) / 2;
        assert!(!state.is_due(UnixTime(state.this_update.0 + half - 1)));
        assert!(state.is_due(UnixTime(state.this_update.0 + half)));
    }
}
