//! The domain of a certificate authority: the only place where a decision is made.
//!
//! Accounts, orders, authorizations, issuance, certificates and their revocation are values here; what can happen to them
//! are functions from a value, the time and an event to a [`Change`] and a list of [`Effect`]s. The engine makes the change
//! durable, then carries the effects out and brings their results back as the next event.
//!
//! Where to start:
//! - [`order::Order`] and [`authorization::Authorization`]: the two state machines of RFC 8555 §7.1.6;
//! - [`issuance`]: from a ready order to a certificate — [`issuance::claim`] decides, [`issuance::Permit`] is the right to
//!   a signature, [`issuance::record`] ends it;
//! - [`change::Change`]: its constructors are everything that can happen to stored data;
//! - [`authorize()`]: who may do what;
//! - [`limit`]: how often something may be asked for;
//! - [`binding`]: who may have an account at a gateway, and what that account may ask for;
//! - [`store::Store`]: the one port, which `chancery-store` implements.
//!
//! A new kind of challenge is a variant of `ChallengeKind`, a row in [`gateway::Gateway::methods_for`] and a file in the
//! `prover` crate; the compiler finds the rest.
//!
//! `world` (a feature, for tests here and above) is a small authority whose key is at hand, and [`Change`]s applied to maps.
//!
//! What this crate never does: open a socket or a file, read a clock, draw randomness, speak HTTP or SQL, wait.

pub mod account;
pub mod address_range;
mod asking;
pub mod audit;
pub mod authorization;
mod authorize;
pub mod binding;
pub mod caa;
pub mod certificate;
pub mod change;
pub mod crl;
pub mod effect;
pub mod gateway;
pub mod holding;
pub mod id;
pub mod issuance;
pub mod issuer;
pub mod limit;
pub mod order;
pub mod proof;
pub mod recovery;
pub mod refusal;
pub mod renewal;
pub mod setting;
pub mod store;
pub mod urls;
#[cfg(any(test, feature = "world"))]
pub mod world;

#[cfg(test)]
mod machine_tests;

pub use asking::Asking;
pub use authorize::{Action, Object, Subject, authorize};
pub use change::{Change, ChangeKind, Expect, Need, Outcome, Record, Write};
pub use effect::{Decision, Effect};
pub use id::{
    AccountId, AuthorizationId, BindingId, CertificateId, IdCipher, IdSource, IssuerId, OrderId,
    RecordId,
};
pub use refusal::Refusal;
pub use store::{Store, StoreError};
