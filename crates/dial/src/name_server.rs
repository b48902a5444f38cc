use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolveHosts, ResolverOpts,
    ServerOrderingStrategy,
};
use hickory_resolver::proto::op::DnsRequestOptions;
use hickory_resolver::system_conf::read_system_conf;

use crate::DialError;
use crate::deadline::Elapsed;
use crate::error::bounded;

/// Octets that a UDP answer may have: below every usual MTU, so that no answer comes in fragments (RFC 9715).
const UDP_OCTETS_MAX: u16 = 1232;
/// Resolvers that are taken from the configuration.
const SERVERS_MAX: usize = 8;
const DNS_PORT: u16 = 53;

/// How long a [`Resolver`](crate::Resolver) waits.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// For one attempt; over UDP it is sent up to three times within.
    pub attempt: Duration,
    /// How often a question is put again after an attempt that failed.
    pub retries: usize,
    /// For a whole look-up with all its aliases.
    pub lookup: Duration,
}

impl Default for Timing {
    /// A slow recursion gets two seconds and a second chance; a look-up is over before five (failures G9).
    fn default() -> Self {
        Self {
            attempt: Duration::from_secs(2),
            retries: 1,
            lookup: Duration::from_millis(4500),
        }
    }
}

impl Timing {
    /// How long a question waits for an answer, over all its attempts.
    pub(crate) fn patience(self) -> Elapsed {
        let attempts = u32::try_from(self.retries)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        Elapsed(self.attempt.saturating_mul(attempts))
    }
}

/// The servers that configured entries name: `system`, `ip:port`, or an address alone.
pub(crate) fn servers_of<S: AsRef<str>>(entries: &[S]) -> Result<Vec<SocketAddr>, DialError> {
    let mut servers = Vec::new();
    for entry in entries {
        match entry.as_ref() {
            "system" => servers.extend(system_servers()?),
            entry => servers.push(server_address(entry)?),
        }
    }
    servers.truncate(SERVERS_MAX);
    if servers.is_empty() {
        return Err(bad_resolver(
            "",
            "none is configured; name \"system\" or ip:port",
        ));
    }
    Ok(servers)
}

fn server_address(entry: &str) -> Result<SocketAddr, DialError> {
    let address: Option<SocketAddr> = entry.parse().ok();
    let alone = || {
        entry
            .parse::<IpAddr>()
            .ok()
            .map(|ip| SocketAddr::new(ip, DNS_PORT))
    };
    match address.or_else(alone) {
        Some(server) if server.port() == 0 || server.ip().is_unspecified() => Err(bad_resolver(
            entry,
            "it has no address or no port to send to",
        )),
        Some(server) => Ok(server),
        None => Err(bad_resolver(
            entry,
            "expected \"system\" or ip:port, as \"127.0.0.1:53\"",
        )),
    }
}

fn system_servers() -> Result<Vec<SocketAddr>, DialError> {
    let (config, _) = read_system_conf().map_err(|error| {
        bad_resolver(
            "system",
            &format!("/etc/resolv.conf names no server: {}", bounded(error)),
        )
    })?;
    Ok(config
        .name_servers()
        .iter()
        .map(|server| SocketAddr::new(server.ip, DNS_PORT))
        .collect())
}

pub(crate) fn bad_resolver(entry: &str, reason: &str) -> DialError {
    DialError::BadResolver {
        entry: bounded(entry),
        reason: bounded(reason),
    }
}

pub(crate) fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ProtocolConfig::Udp, ProtocolConfig::Tcp].map(|protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

pub(crate) fn options(timing: Timing) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = timing.attempt;
    options.attempts = timing.retries;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.case_randomization = true;
    options.edns_payload_len = UDP_OCTETS_MAX;
    // One server at a time. A server that did not answer goes behind the others, so that the next attempt asks
    // another one: an attempt has no time left for a second server.
    options.num_concurrent_reqs = 1;
    options.server_ordering_strategy = ServerOrderingStrategy::QueryStatistics;
    options
}

pub(crate) fn request_options() -> DnsRequestOptions {
    let mut options = DnsRequestOptions::default();
    options.use_edns = true;
    options.edns_payload_len = UDP_OCTETS_MAX;
    options.recursion_desired = true;
    options.case_randomization = true;
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_addresses_with_or_without_a_port() {
        assert_eq!(
            servers_of(&["127.0.0.1:8053", "::1", "[::1]:54"]),
            Ok(["127.0.0.1:8053", "[::1]:53", "[::1]:54"]
                .map(|address| address.parse().expect("an address"))
                .to_vec())
        );
        for wrong in [
            "localhost:53",
            "127.0.0.1:0",
            "0.0.0.0:53",
            "System",
            "127.0.0.1:99999",
        ] {
            let error = servers_of(&[wrong]).expect_err("not a resolver");
            assert!(error.to_string().contains(wrong), "{error}");
        }
        assert!(servers_of::<&str>(&[]).is_err());
    }

    #[test]
    fn nothing_is_cached_and_no_file_is_read() {
        let options = options(Timing::default());
        assert_eq!(options.cache_size, 0);
        assert_eq!(options.use_hosts_file, ResolveHosts::Never);
        assert!(options.case_randomization && request_options().case_randomization);
    }
}
