use std::net::SocketAddr;

use crate::deadline::Elapsed;
use crate::policy::Refusal;

/// Why nothing was dialled, or nothing usable came back. Texts are sentences for whoever runs the other end; they
/// name what was asked and never repeat fetched contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// A configured word is no address class and no address.
    #[error(
        "{word:?} is not an address class (public, private, reserved, multicast, link-local, loopback, metadata) \
         and not an IP address"
    )]
    UnknownClass {
        /// The word, bounded.
        word: String,
    },
    /// A configured resolver cannot be used.
    #[error("the resolver {entry:?} cannot be used: {reason}")]
    BadResolver {
        /// The entry, bounded.
        entry: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The trust anchors cannot be used.
    #[error("the root certificates cannot be used: {reason}")]
    BadRoots {
        /// What is wrong with them.
        reason: String,
    },

    /// The text is not a name that DNS can be asked for.
    #[error("{name:?} is not a name that DNS can be asked for")]
    NotAName {
        /// The text, bounded.
        name: String,
    },
    /// NXDOMAIN.
    #[error("the name {name} does not exist in DNS (NXDOMAIN for {kind})")]
    NoSuchName {
        /// The name asked.
        name: String,
        /// The type asked.
        kind: &'static str,
    },
    /// The name exists without a record of the type.
    #[error("{name} has no {kind} record")]
    NoRecords {
        /// The name asked.
        name: String,
        /// The type asked.
        kind: &'static str,
    },
    /// The resolver answered with an error code.
    #[error("the DNS server answered {code} for {name} {kind}")]
    ServerFailure {
        /// The name asked.
        name: String,
        /// The type asked.
        kind: &'static str,
        /// The response code.
        code: String,
    },
    /// The resolver did not answer in time.
    #[error("no DNS server answered for {name} {kind} within {after}")]
    NoAnswer {
        /// The name asked.
        name: String,
        /// The type asked.
        kind: &'static str,
        /// The time given.
        after: Elapsed,
    },
    /// The answer cannot be used: malformed, truncated, or beyond a limit.
    #[error("the DNS answer for {name} {kind} cannot be used: {reason}")]
    BadAnswer {
        /// The name asked.
        name: String,
        /// The type asked.
        kind: &'static str,
        /// What is wrong with it.
        reason: String,
    },

    /// The policy does not permit the address.
    #[error("{}, {refusal}, which this server may not dial", subject(.host, .address))]
    Refused {
        /// The host that led to the address.
        host: String,
        /// The address and port.
        address: SocketAddr,
        /// The rule that applied.
        refusal: Refusal,
    },
    /// No address could be reached.
    #[error("connecting to {address} for {host} failed: {cause}")]
    Unreachable {
        /// The host that led to the address.
        host: String,
        /// The last address tried.
        address: SocketAddr,
        /// What the network said.
        cause: String,
    },
    /// TLS did not come about.
    #[error("the TLS handshake with {host} failed: {cause}")]
    Tls {
        /// The host that was meant.
        host: String,
        /// What the handshake said.
        cause: String,
    },

    /// The URL cannot be fetched by this crate.
    #[error("the URL cannot be fetched: {reason}")]
    BadUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The connection was made and no HTTP answer came.
    #[error("{host} gave no HTTP answer: {cause}")]
    NoHttp {
        /// The host that was asked.
        host: String,
        /// What came in its place.
        cause: String,
    },
    /// The answer's head came, and the body broke off.
    #[error(
        "{host} answered with status {status}, and its body broke off after {octets} octets: {cause}"
    )]
    BrokenBody {
        /// The host that was asked.
        host: String,
        /// The status of the answer.
        status: u16,
        /// Octets that came before.
        octets: usize,
        /// What happened.
        cause: String,
    },
    /// The body is longer than its limit.
    #[error("{host} answered with status {status} and a body of more than {max} octets")]
    LongBody {
        /// The host that was asked.
        host: String,
        /// The status of the answer.
        status: u16,
        /// The limit.
        max: usize,
    },
}

/// What a failure is about, for callers that answer with a class of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureClass {
    /// Our own configuration.
    Configuration,
    /// DNS.
    Dns,
    /// No connection, or none permitted.
    Connection,
    /// TLS.
    Tls,
    /// An answer came and is not what HTTP or its limits ask for.
    Response,
}

impl DialError {
    /// What this failure is about.
    #[must_use]
    pub fn class(&self) -> FailureClass {
        match self {
            Self::UnknownClass { .. } | Self::BadResolver { .. } | Self::BadRoots { .. } => {
                FailureClass::Configuration
            }
            Self::NotAName { .. }
            | Self::NoSuchName { .. }
            | Self::NoRecords { .. }
            | Self::ServerFailure { .. }
            | Self::NoAnswer { .. }
            | Self::BadAnswer { .. } => FailureClass::Dns,
            Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::BadUrl { .. }
            | Self::NoHttp { .. }
            | Self::BrokenBody { .. } => FailureClass::Connection,
            Self::Tls { .. } => FailureClass::Tls,
            Self::LongBody { .. } => FailureClass::Response,
        }
    }
}

/// "a.test resolves to 127.0.0.1", or the address alone where the host was given as one.
fn subject(host: &str, address: &SocketAddr) -> String {
    let ip = address.ip().to_string();
    if host.trim_matches(['[', ']']) == ip {
        format!("the target is {ip}")
    } else {
        format!("{host} resolves to {ip}")
    }
}

/// Cuts a text of a library to what an error or a trace may hold.
pub(crate) fn bounded(text: impl ToString) -> String {
    const TEXT_CHARS_MAX: usize = 200;
    text.to_string()
        .chars()
        .filter(|c| !c.is_control())
        .take(TEXT_CHARS_MAX)
        .collect()
}

/// What the network said, in words.
pub(crate) fn io_cause(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::HostUnreachable => "no route to the host".to_owned(),
        ErrorKind::NetworkUnreachable => "the network is unreachable".to_owned(),
        ErrorKind::TimedOut => "timed out".to_owned(),
        ErrorKind::UnexpectedEof => "the connection was closed".to_owned(),
        _ => bounded(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AddressClass;

    fn refused(host: &str, address: &str, refusal: Refusal) -> String {
        let address = address.parse().expect("a socket address");
        DialError::Refused {
            host: host.to_owned(),
            address,
            refusal,
        }
        .to_string()
    }

    #[test]
    fn a_refusal_says_which_name_led_where() {
        assert_eq!(
            refused(
                "a.test",
                "127.0.0.1:80",
                Refusal::Class(AddressClass::Loopback)
            ),
            "a.test resolves to 127.0.0.1, a loopback address, which this server may not dial"
        );
        assert_eq!(
            refused(
                "[fe80::1]",
                "[fe80::1]:80",
                Refusal::Class(AddressClass::LinkLocal)
            ),
            "the target is fe80::1, a link-local address, which this server may not dial"
        );
        assert_eq!(
            refused("a.test", "10.0.0.1:80", Refusal::OwnListener),
            "a.test resolves to 10.0.0.1, a listener of this server itself, which this server may not dial"
        );
    }

    #[test]
    fn texts_of_others_are_cut_and_hold_no_control_characters() {
        assert_eq!(bounded("a\r\nb\u{7}"), "ab");
        assert_eq!(bounded("x".repeat(1000)).len(), 200);
    }
}
