//! The authority of the demonstration: this program again, as `serve`, with ordinary configuration.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{Exit, Server, operator};

/// Time until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(15);

/// Free loopback ports.
pub(super) struct Ports {
    public: u16,
    status: u16,
    metrics: u16,
    /// Where http-01 is answered.
    pub(super) http01: u16,
}

impl Ports {
    pub(super) fn free() -> Result<Self, Exit> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Exit::failed);
        // All four at once, so that they differ.
        let held = [bind()?, bind()?, bind()?, bind()?];
        let port = |listener: &TcpListener| listener.local_addr().map(|addr| addr.port());
        let [public, status, metrics, http01] = &held;
        let port = |listener| port(listener).map_err(Exit::failed);
        Ok(Self {
            public: port(public)?,
            status: port(status)?,
            metrics: port(metrics)?,
            http01: port(http01)?,
        })
    }
}

/// A running authority.
pub(super) struct Authority {
    pub(super) data: PathBuf,
    pub(super) directory: String,
    child: Mutex<Child>,
}

impl Authority {
    pub(super) async fn start(data: &Path, ports: &Ports, dns: SocketAddr) -> Result<Self, Exit> {
        let local = |port| format!("127.0.0.1:{port}");
        let mut child = Command::new(std::env::current_exe().map_err(Exit::failed)?)
            .args(["serve", "--data"])
            .arg(data)
            .env("CHANCERY_LISTEN__PUBLIC", local(ports.public))
            .env("CHANCERY_LISTEN__STATUS", local(ports.status))
            .env("CHANCERY_LISTEN__METRICS", local(ports.metrics))
            .env("CHANCERY_VALIDATION__HTTP_PORT", ports.http01.to_string())
            .env("CHANCERY_VALIDATION__RESOLVERS", dns.to_string())
            .env("CHANCERY_VALIDATION__ALLOW", "loopback")
            .env("CHANCERY_SERVER__ORGANIZATION", "Chancery Demo")
            .env("CHANCERY_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Exit::failed(format!("the authority cannot be started: {error}")))?;
        let stdout = child.stdout.take();
        let starting = Self {
            data: data.to_owned(),
            directory: String::new(),
            child: Mutex::new(child),
        };
        let ready = tokio::task::spawn_blocking(move || {
            let lines = stdout
                .map(BufReader::new)
                .into_iter()
                .flat_map(BufRead::lines);
            lines
                .map_while(Result::ok)
                .find_map(|line| line.strip_prefix("ready ").map(str::to_owned))
        });
        let directory = tokio::time::timeout(READY_WITHIN, ready)
            .await
            .map_err(|_| Exit::failed("the authority was not ready in time"))?
            .map_err(Exit::failed)?
            .ok_or_else(|| Exit::failed("the authority ended before it was ready"))?;
        let mut started = starting;
        started.directory = directory;
        Ok(started)
    }

    /// Asks the running authority to check itself.
    pub(super) fn check_invariants(&self) -> Result<(), Exit> {
        let server = Server {
            data: self.data.clone(),
            json: false,
        };
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| operator::broken_invariants(&server)).join();
            let broken = asked.map_err(|_| Exit::failed("the question failed"))??;
            match broken.first() {
                None => Ok(()),
                Some(first) => Err(Exit::failed(format!("an invariant is broken: {first}"))),
            }
        })
    }

    /// Stops it as a service manager would, and says whether it ended well.
    pub(super) fn stop(&self) -> Result<(), Exit> {
        let mut child = self
            .child
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(Exit::failed)?;
        }
        let ended = child.wait().map_err(Exit::failed)?;
        if ended.success() {
            return Ok(());
        }
        Err(Exit::failed(format!(
            "the authority did not end well: {ended}"
        )))
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        let child = self
            .child
            .get_mut()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Only after a step that failed; otherwise it has ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}
