//! The front door in hostile hands: a test for each row of the failures that the protocol is open to.

mod accounts;
mod addresses;
mod bench;
mod bindings;
mod caa;
mod csr;
mod der;
mod finalize;
mod gateways;
mod jws;
mod key_change;
mod keys;
mod limits;
mod names;
mod nonces;
mod offers;
mod ownership;
mod redirects;
mod renewal;
mod reuse;
mod revocation;
mod sizes;
mod targets;
mod tls_alpn;
mod transport;
mod why;
