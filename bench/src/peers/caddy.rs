use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::Peer;
use crate::error::BenchError;
use crate::pacing::Pacing;
use crate::peers::{Ground, Started};
use crate::process::{self, Launch, Process, free_ports};
use crate::scratch::Scratch;
use crate::site::Site;

/// It validates while the challenge's request waits, and signs while finalize waits.
const PACING: Pacing = Pacing {
    first: Duration::ZERO,
    next: Duration::from_millis(10),
    per_worker: Duration::ZERO,
};
/// It validates on port 80 only, so its names live on an address of their own.
const NAMES: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const WEB_PORT: u16 = 80;
/// Version 2.6 asks the system's resolver, which knows no other port.
const DNS_PORT: u16 = 53;

/// Run as `sh -c SCRIPT sh RESOLV PROGRAM…` in a mount namespace of its own: only this process sees the other
/// resolver, and nothing of the system is changed.
const WITH_RESOLVER: &str = "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"";

/// Debian's program.
pub(super) fn program() -> Result<PathBuf, BenchError> {
    let missing = |advice: &str| BenchError::Missing {
        peer: Peer::Caddy.name(),
        advice: advice.to_owned(),
    };
    if !rustix::process::geteuid().is_root() {
        return Err(missing(
            "it needs port 80 and a resolver of its own, so root",
        ));
    }
    if process::find("unshare").is_none() {
        return Err(missing(
            "unshare of Debian's package util-linux is needed to give it a resolver",
        ));
    }
    process::find("caddy").ok_or_else(|| missing("install Debian's package caddy"))
}

/// Starts it as an ACME server with its store in a folder of ours.
pub(super) async fn start(ground: &Ground<'_>) -> Result<Started, BenchError> {
    let program = program()?;
    let unshare = process::find("unshare").unwrap_or_else(|| PathBuf::from("unshare"));
    let scratch = Scratch::new(&ground.folder)?;
    let site = Site::start(
        SocketAddr::from((NAMES, WEB_PORT)),
        SocketAddr::from((NAMES, DNS_PORT)),
    )
    .await?;
    let [port, http_port] = free_ports()?;
    let data = scratch.path().join("data");
    let config = scratch.write(
        "Caddyfile",
        caddyfile(port, http_port, &data.display().to_string()),
    )?;
    let resolver = scratch.write("resolv.conf", format!("nameserver {NAMES}\n"))?;
    let folder = scratch.path().display().to_string();
    let launch = Launch {
        program: &unshare,
        arguments: [
            "--mount",
            "sh",
            "-c",
            WITH_RESOLVER,
            "sh",
            &resolver.display().to_string(),
            &program.display().to_string(),
            "run",
            "--config",
            &config.display().to_string(),
            "--adapter",
            "caddyfile",
        ]
        .map(str::to_owned)
        .to_vec(),
        // Its ACME store is below the data home whatever the Caddyfile says about storage.
        environment: vec![
            ("HOME", folder.clone()),
            ("XDG_DATA_HOME", data.display().to_string()),
            ("XDG_CONFIG_HOME", folder),
        ],
        folder: scratch.path(),
        reads_output: false,
    };
    let began = Instant::now();
    let process = Process::start(launch, scratch.path().join("caddy.log"))?;
    Ok(Started {
        directory_url: format!("https://localhost:{port}/acme/local/directory"),
        root: data.join("pki/authorities/local/root.crt"),
        pid: Some(process.pid()),
        process: Some(process),
        data: Some(data),
        site,
        pacing: ground.cli.pacing(PACING),
        began,
        _scratch: Some(scratch),
    })
}

/// Version 2.6 passes over `resolvers`; later ones take it.
fn caddyfile(port: u16, http_port: u16, storage: &str) -> String {
    format!(
        "{{
	admin off
	storage file_system {storage}
	http_port {http_port}
	https_port {port}
	auto_https disable_redirects
	skip_install_trust
}}
https://localhost:{port} {{
	bind 127.0.0.1
	tls internal
	acme_server {{
		resolvers {NAMES}:{DNS_PORT}
	}}
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caddyfile_keeps_to_loopback_and_our_folder() {
        let text = caddyfile(18_443, 18_080, "/tmp/x");
        for line in [
            "bind 127.0.0.1",
            "https_port 18443",
            "http_port 18080",
            "storage file_system /tmp/x",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
