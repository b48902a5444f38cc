//! The front door in hostile hands: a test for each row of the failures that the protocol is open to.

mod addresses;
mod bench;
mod caa;
mod csr;
mod der;
mod finalize;
mod jws;
mod keys;
mod names;
mod nonces;
mod ownership;
mod redirects;
mod revocation;
mod sizes;
mod targets;
mod tls_alpn;
mod transport;
