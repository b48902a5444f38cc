use std::io;
use std::net::SocketAddr;

/// Why a simulated server did not start, or a check of one failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulateError {
    /// A socket could not be opened.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address that was asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A name that DNS cannot carry (RFC 1035 §2.3.4).
    #[error(
        "{octets} octets are not a domain name: labels of 1 to 63 octets, 253 in all, are expected"
    )]
    Name {
        /// Length of the text seen.
        octets: usize,
    },
    /// The chain or the key cannot be used by a TLS server.
    #[error("the certificate chain and key cannot serve TLS: {detail}")]
    Credentials {
        /// What the TLS library said.
        detail: String,
    },
    /// The text given as trust anchor holds no usable certificate.
    #[error("the root is not a PEM certificate: {detail}")]
    Root {
        /// What was wrong with it.
        detail: String,
    },
    /// No TCP connection.
    #[error("cannot connect to {addr}: {source}")]
    Connect {
        /// The address dialled.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS handshake failed: most often because the chain does not lead to the given root.
    #[error("the TLS handshake with {addr} failed: {source}")]
    Handshake {
        /// The address dialled.
        addr: SocketAddr,
        /// What the TLS library said.
        source: io::Error,
    },
    /// TLS stands, but the page did not come.
    #[error("no page from {addr}: {detail}")]
    Page {
        /// The address dialled.
        addr: SocketAddr,
        /// What was seen.
        detail: String,
    },
    /// The server took longer than a client would wait.
    #[error("{addr} took more than {seconds} s")]
    Deadline {
        /// The address dialled.
        addr: SocketAddr,
        /// The time that was given.
        seconds: u64,
    },
    /// The server showed a certificate that this workspace cannot read.
    #[error("the certificate shown cannot be read: {detail}")]
    Certificate {
        /// What the parser said.
        detail: String,
    },
}
