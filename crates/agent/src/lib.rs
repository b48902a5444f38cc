//! The agent on a machine that uses certificates: it obtains them by ACME, puts them in place, renews and revokes them.
//!
//! Start at [`Agent`]: [`Agent::obtain`] takes a [`Request`] and leaves four files in `live/NAME` of the state folder,
//! [`Agent::renew`] does what is due, [`Agent::revoke`] ends a certificate, [`Agent::status`] tells how everything stands.
//! [`AgentConfig`] says where the state is and which CA is asked, [`Settings`] what may differ for one certificate. The
//! program `chancery-agent` is [`cli::run`] and nothing else.
//!
//! # How it is built
//!
//! The way of an order is a state machine without sockets, files or clock (`flow`): an answer goes in, the next step
//! comes out. Around it `order` carries the steps out over `client`, answers challenges with a `solver`, and writes down
//! what must survive (`state`). `check` stands between what a CA sent and what is installed. When a certificate is
//! renewed (`due`) follows from its life, or from what its CA advises (`renewal_info`).
//!
//! # What holds at every moment
//!
//! - Key, CSR and the order's URL are on disk before the order is finalized. A run that is killed anywhere is taken up by
//!   the next one: the same order is looked up, and a certificate that was downloaded is installed without asking again.
//! - The four files of a certificate are one generation. A generation is complete on disk before `live/NAME` is switched
//!   to it by one rename, so whoever follows that link once never sees two of them mixed.
//! - A certificate is installed only if it is for our key, the names asked for and the present time, and its chain
//!   holds. What was installed before stays otherwise.
//! - One agent at a time works on a state folder.
//!
//! # What it never does
//!
//! It never trusts a CA for anything but certificates: URLs must be `https` and of the CA's own hosts, tokens must be
//! base64url before they become a file name, every answer is bounded, and no text of a CA reaches a shell, a path or a
//! terminal's control sequences. It never lets a CA's advice put a renewal off until it is too late, follows a redirect,
//! guesses a URL, agrees to terms that nobody read, or tries again faster than its ladder allows.

#![cfg_attr(
    not(test),
    deny(clippy::as_conversions, clippy::indexing_slicing, clippy::unwrap_used)
)]

mod account;
mod agent;
mod cert_name;
mod check;
pub mod cli;
mod client;
mod clock;
mod config;
mod due;
mod error;
mod external_account;
mod failpoint;
mod flow;
#[cfg(test)]
mod hostile;
mod installed;
mod job;
mod key_file;
mod key_type;
#[cfg(test)]
mod life;
mod order;
mod renewal;
mod renewal_info;
#[cfg(test)]
mod replacement;
mod reply;
mod request;
mod revocation;
mod schedule;
mod settings;
mod solver;
mod state;
mod status;
#[cfg(test)]
mod test_authority;
#[cfg(test)]
mod test_ca;
#[cfg(test)]
mod test_world;

pub use agent::Agent;
pub use cert_name::CertName;
pub use check::CertificateFault;
pub use clock::{Clock, SystemClock};
pub use config::AgentConfig;
pub use due::{RenewalRule, RenewalWindow};
pub use error::{AgentError, NameFailure};
pub use external_account::ExternalAccount;
pub use failpoint::FAILPOINTS;
pub use installed::Installed;
pub use key_type::{KeyType, UnknownKeyType};
pub use renewal::{Renewal, RenewalOutcome};
pub use request::{NAMES_MAX, RenewRequest, Request, RevokeBy, RevokeRequest};
pub use revocation::Revoked;
pub use settings::{Http01, Settings};
pub use status::{CertificateState, CertificateStatus, FailureStatus, InstalledStatus};

// What the API is written in.
pub use chancery_crypto::Entropy;
pub use chancery_pki::{RevocationReason, UnixTime};
