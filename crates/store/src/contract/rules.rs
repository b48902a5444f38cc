//! The rules, by what they are about.

pub(super) mod audit;
pub(super) mod certificates;
pub(super) mod changes;
pub(super) mod listings;
pub(super) mod random;
pub(super) mod records;
pub(super) mod revocations;
pub(super) mod through_time;
