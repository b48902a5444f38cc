//! The listeners and what is spoken on them: requests in, problems and resources out. Nothing is decided here.
//!
//! - [`listener`]: the accept loop with its limits, TLS and the graceful end;
//! - [`acme::AcmeFront`]: the ACME gateways (RFC 8555) on the public listener;
//! - [`status::StatusFront`]: CRLs, issuer certificates and roots on the plain status listener;
//! - [`api::ApiFront`]: `/api/v1` on the operator's socket;
//! - [`health::HealthFront`]: `/metrics`, `/livez`, `/readyz`.
//!
//! Paths are matched by whole segments in one `match` per front; there is no router that could normalise, decode or guess.
//! Every body is bounded in size and time before it is read.
//!
//! What this crate never does: touch the store or the signer, or build a URL from a request.

pub mod acme;
mod answer;
pub mod api;
pub mod health;
pub mod limits;
pub mod listener;
mod metrics;
pub mod status;
mod tls;

pub use metrics::HttpMetrics;
pub use tls::{ServerIdentity, TlsError};
