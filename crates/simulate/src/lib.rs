//! The neighbours a certificate authority needs before it can do anything: a DNS server, a host with a web
//! server, a site that serves TLS, and a client that checks what the site shows.
//!
//! The demonstration and the load generator run these beside the authority, which reaches them only through
//! ordinary configuration (a resolver address, a validation port). They are small and quick, and honest: they
//! answer as such servers do. Servers that lie and stall are in the test kit, not here.
//!
//! - [`Dns`] answers from a [`Zone`], over UDP and TCP.
//! - [`WebHost`] serves http-01 key authorizations (RFC 8555 §8.3) from [`Tokens`].
//! - [`TlsSite`] serves a page over TLS with [`Credentials`] that can be replaced while it runs.
//! - [`fetch_verified`] connects as a client that trusts one root, and reports what it was shown.
//!
//! Every server owns its tasks: dropping it ends them and everything they accepted.
//!
//! What this crate never does: recurse, cache, read or write files, or connect to anything but the address
//! that [`fetch_verified`] was given.

mod credentials;
mod dns;
mod error;
mod fetch;
mod listen;
mod site;
mod web;
mod zone;

pub use credentials::Credentials;
pub use dns::Dns;
pub use error::SimulateError;
pub use fetch::{PeerFacts, fetch_verified};
pub use site::TlsSite;
pub use web::{Tokens, WebHost};
pub use zone::Zone;
