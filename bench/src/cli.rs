use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::pacing::Pacing;

/// Measures ACME servers side by side: complete orders (http-01, ES256, keep-alive TLS 1.3) in a closed loop.
#[derive(Debug, Clone, Parser)]
#[command(version, about)]
pub(crate) struct Cli {
    /// Servers to start and measure, each beside the others; one that is not installed is left out with a word.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "chancery,pebble,caddy"
    )]
    pub(crate) servers: Vec<Peer>,

    /// Closed loops at the same time, each with its own account and connection.
    #[arg(long, value_delimiter = ',', default_value = "16,64", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Vec<u16>,

    /// Seconds that are measured in each run.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,

    /// Seconds of load before that.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(0..=60))]
    pub(crate) warmup: u64,

    /// Runs for each server and number of workers; the medians are reported.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=25))]
    pub(crate) runs: u16,

    /// Certificates in chancery's store before it is measured; its runs then share that one store.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=20_000_000))]
    pub(crate) preload: u64,

    /// Measures this running server instead (its directory URL, on a loopback address).
    #[arg(long, requires = "root")]
    pub(crate) url: Option<String>,

    /// PEM file with the root that the running server's TLS certificate leads to.
    #[arg(long, requires = "url")]
    pub(crate) root: Option<PathBuf>,

    /// Process id of the running server: its CPU time, memory and writes, with those of its children.
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,

    /// Where the running server looks for http-01 answers; every name has this address.
    #[arg(long, requires = "url", default_value = "127.0.0.1:5002")]
    pub(crate) web: SocketAddr,

    /// The DNS server that the running server asks.
    #[arg(long, requires = "url", default_value = "127.0.0.1:8053")]
    pub(crate) dns: SocketAddr,

    /// Milliseconds before the first poll of an authorization or order, instead of each server's own value.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) first_poll_ms: Option<u64>,

    /// Milliseconds between further polls, instead of each server's own value.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) poll_ms: Option<u64>,

    /// Writes everything that was measured, run by run, into this file.
    #[arg(long)]
    pub(crate) json: Option<PathBuf>,

    /// Folder with the programs `chancery` and `preload`; the folder of this program if not given.
    #[arg(long)]
    pub(crate) programs: Option<PathBuf>,

    /// Folder for the servers' data, on the disk that is to be measured; the system's temporary folder if not given.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

/// A server that this program can start, or one that runs already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Peer {
    /// Our own.
    Chancery,
    /// Debian's `pebble`.
    Pebble,
    /// Debian's `caddy`, as `acme_server`.
    Caddy,
    /// The one of `--url`.
    #[value(skip)]
    Running,
}

impl Peer {
    /// The name on the command line and in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Chancery => "chancery",
            Self::Pebble => "pebble",
            Self::Caddy => "caddy",
            Self::Running => "running",
        }
    }

    /// Whether the pauses that it needs, and not what it can do, bound its orders/s.
    pub(crate) fn is_held_back(self) -> bool {
        self == Self::Pebble
    }
}

impl Cli {
    /// The server's own pacing, unless the command line says otherwise.
    pub(crate) fn pacing(&self, own: Pacing) -> Pacing {
        let given = |ms: Option<u64>, own| ms.map_or(own, Duration::from_millis);
        Pacing {
            first: given(self.first_poll_ms, own.first),
            next: given(self.poll_ms, own.next),
            ..own
        }
    }

    /// What to measure: the running server alone, or those to be started, in the order given, each once.
    pub(crate) fn peers(&self) -> Vec<Peer> {
        if self.url.is_some() {
            return vec![Peer::Running];
        }
        let mut peers = Vec::new();
        for peer in &self.servers {
            if !peers.contains(peer) {
                peers.push(*peer);
            }
        }
        peers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("chancery-bench").chain(arguments.iter().copied()))
    }

    #[test]
    fn without_arguments_all_peers_are_measured_at_16_and_64_workers() {
        let cli = parsed(&[]).expect("parses");
        assert_eq!(cli.peers(), [Peer::Chancery, Peer::Pebble, Peer::Caddy]);
        assert_eq!(cli.workers, [16, 64]);
        assert_eq!(
            (cli.seconds, cli.warmup, cli.runs, cli.preload),
            (10, 2, 3, 0)
        );
    }

    #[test]
    fn a_running_server_is_measured_alone_and_needs_its_root() {
        let cli =
            parsed(&["--url", "https://localhost:1/d", "--root", "root.pem"]).expect("parses");
        assert_eq!(cli.peers(), [Peer::Running]);
        assert!(parsed(&["--url", "https://localhost:1/d"]).is_err());
        assert!(parsed(&["--pid", "1"]).is_err());
    }

    #[test]
    fn a_server_named_twice_is_measured_once_and_nothing_is_unbounded() {
        let cli = parsed(&["--servers", "pebble,pebble"]).expect("parses");
        assert_eq!(cli.peers(), [Peer::Pebble]);
        for bad in [
            ["--workers", "0"],
            ["--seconds", "0"],
            ["--runs", "0"],
            ["--servers", "running"],
        ] {
            assert!(parsed(&bad).is_err(), "{bad:?}");
        }
    }
}
