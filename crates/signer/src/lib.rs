//! The signer: the process that holds the CA's keys, and the journal without which it uses none of them.
//!
//! The front starts it first, with one end of a socket pair, and can only ask. What it asks for is judged again here, by the
//! signer's own profiles and its own lint, as if it came from an enemy: [`run`] takes a TBS only with its order's
//! claim, finds the key by the issuer that the TBS names, uses no serial number twice, lets CRL numbers and times only go
//! up, stops while the clock is behind or the disk nearly full, and bounds its rate. Nobody can name a key.
//!
//! **Intent before signature.** What passed is appended to the journal and made durable; only then is the key used.
//! The signature is appended before it is handed out and becomes durable with the next sync. So after any crash the journal
//! says what was signed and what was about to be, and [`SignerClient::replay`] restores a store that has lost it.
//!
//! Where to start reading:
//! - [`run`] and [`SignerConfig`]: the loop. One thread, no timers but one: it takes whatever requests have arrived, up to 256,
//!   and pays one sync for all of them.
//! - [`journal`]: the log and its form, opening after a crash, reading, and [`journal::verify`], which needs public keys only.
//! - [`SignerClient`]: the caller's side. Many calls share one connection; [`Refusal`] says why one was not granted.
//! - [`FirstRun`]: makes root and issuers. Their keys are generated here and leave only sealed; [`SecretSource`] says under what.
//!
//! What this crate never does: open a network connection, know the authority's types, sign what it has not journaled, retry
//! a failed write or sync (the process ends, the next one recovers), keep keys in clear on disk, or take a secret from
//! an argument.

#![cfg_attr(
    not(test),
    deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)
)]

mod client;
mod clock;
mod error;
mod failpoint;
mod files;
pub mod journal;
mod keys;
mod protocol;
mod sandbox;
mod secret;
mod service;
#[cfg(test)]
mod testing;

pub use client::{CallError, Connection, SignerClient, connect};
pub use clock::{Clock, SystemClock};
pub use error::SignerError;
#[cfg(feature = "failpoints")]
pub use failpoint::FAILPOINTS;
pub use protocol::{
    CaSpec, FirstRun, Greeting, IssuerInfo, IssuerSpec, Refusal, Remedy, Replay, Replayed, SignCrl,
    SignLeaf, Signed,
};
pub use secret::{CREDENTIAL_NAME, SecretSource};
pub use service::{SignerConfig, run};
