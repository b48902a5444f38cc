//! The records on disk: the only crate with SQL.
//!
//! [`sqlite::SqliteStore`] implements the domain's port [`chancery_authority::Store`] on one file. A backend executes rows
//! and knows no rules: what a change expects and writes was decided in `authority`.
//!
//! The write path: a change goes into a bounded queue (`queue`; revocation has a lane of its own); one thread owns the
//! write connection ([`sqlite`]'s writer), takes one change, drains what has queued behind it, runs each in a savepoint,
//! seals their audit records into one block, commits with one fsync, and answers all of them. Nothing is answered before.
//! An error of the commit itself ends the process: what is on the disk is then unknown, and start finds out by reading.
//!
//! `contract` (a feature, for tests) is the suite that every backend has to pass; `faulty`, under the same feature, goes
//! wrong as told.
//!
//! A record is stored as one blob behind a checksum (`record`), with beside it only the columns that something searches.
//! What a disk has changed is answered as damage that names the record, never as another record.
//!
//! What this crate never does: decide, retry, or write anything that is not a `Change`.

#[cfg(feature = "contract")]
pub mod contract;
#[cfg(feature = "contract")]
pub mod faulty;
mod queue;
mod record;
pub mod sqlite;
