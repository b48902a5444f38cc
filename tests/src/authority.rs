//! One authority: a process with a folder, ports, and a world to validate in.

mod facts;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use chancery_simulate::{Dns, Tokens, WebHost, Zone};
use chancery_testkit::TempDir;
use chancery_testkit::process::{Finished, ProcessError, Program, Stream, run};
use chancery_testkit::usage::descendants;

use crate::ports::Ports;
use crate::{Setup, Site, chancery, runtime};

/// A start takes a tenth of a second; a machine that builds meanwhile takes longer.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The server lets open requests finish for 20 s.
const END_WITHIN: Duration = Duration::from_secs(40);

/// An authority of a test. Dropping it ends every process of it and removes its files.
pub struct Authority {
    setup: Setup,
    data: PathBuf,
    site: Site,
    dns: Dns,
    _web: Option<WebHost>,
    running: Option<Running>,
    /// A server that was killed, kept so that what it started ends as it would: by itself.
    killed: Option<Program>,
    ports: Ports,
    folder: TempDir,
}

struct Running {
    program: Program,
    directory: String,
    ready_after: Duration,
}

/// The umask that most systems have: what must be private is so by the server's own doing.
const UMASK: &str = "umask 022; exec \"$0\" \"$@\"";

impl Authority {
    /// Starts the usual one and waits until it is ready.
    ///
    /// # Panics
    /// When it is not, with what it printed.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(Setup::new())
    }

    /// Starts one that is set up otherwise.
    ///
    /// # Panics
    /// When it is not ready in time, with what it printed.
    #[must_use]
    pub fn start_with(setup: Setup) -> Self {
        let mut authority = Self::prepare(setup);
        authority.serve();
        authority
    }

    /// Everything but the server itself.
    ///
    /// # Panics
    /// When there is no port or no folder for it.
    #[must_use]
    pub fn prepare(setup: Setup) -> Self {
        let folder = TempDir::new("it").expect("a temporary folder");
        let ports = Ports::claim();
        let site = Site {
            zone: Zone::new(),
            tokens: Tokens::new(),
        };
        site.zone.set_default_a(IpAddr::from(Ipv4Addr::LOCALHOST));
        let (dns, web) = runtime().block_on(async {
            let dns = Dns::start(loopback(0), site.zone.clone())
                .await
                .expect("a DNS server");
            let web = if setup.no_web_host {
                None
            } else {
                let web = WebHost::start(loopback(ports.port(4)), site.tokens.clone()).await;
                Some(web.expect("a web host"))
            };
            (dns, web)
        });
        let data = setup.data.clone().unwrap_or_else(|| folder.join("data"));
        if let Some(toml) = &setup.configuration {
            std::fs::write(folder.join("chancery.toml"), toml).expect("a configuration file");
        }
        Self {
            setup,
            data,
            site,
            dns,
            _web: web,
            running: None,
            killed: None,
            ports,
            folder,
        }
    }

    /// Sets one key of the configuration for the next start, as [`Setup::set`] does.
    pub fn set(&mut self, key: &str, value: impl ToString) {
        self.setup = std::mem::take(&mut self.setup).set(key, value);
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Panics
    /// When it is not, with what it printed.
    pub fn serve(&mut self) {
        self.try_serve()
            .unwrap_or_else(|error| panic!("the server did not get ready: {error}"));
    }

    /// The same for a story in which it may fail.
    ///
    /// # Errors
    /// When it ends, or is not ready in time.
    pub fn try_serve(&mut self) -> Result<(), ProcessError> {
        assert!(self.running.is_none(), "it is running already");
        let started = Instant::now();
        let program = Program::spawn(self.serve_command())?;
        let line = program.wait_for_line(|line| line.starts_with("ready "), READY_WITHIN)?;
        self.running = Some(Running {
            program,
            directory: line.trim_start_matches("ready ").to_owned(),
            ready_after: started.elapsed(),
        });
        self.killed = None;
        Ok(())
    }

    /// Runs `serve` where it is expected to end by itself.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn serve_to_end(&self) -> Finished {
        run(self.serve_command(), READY_WITHIN).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The command line of `serve` with its environment.
    #[must_use]
    pub fn serve_command(&self) -> Command {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", UMASK])
            .arg(chancery())
            .arg("serve")
            .arg("--data")
            .arg(&self.data);
        if self.setup.configuration.is_some() {
            command
                .arg("--config")
                .arg(self.folder.join("chancery.toml"));
        }
        forget_ours(&mut command);
        for (key, value) in self
            .usual()
            .into_iter()
            .filter(|(key, _)| !self.setup.environment.contains_key(*key))
        {
            command.env(key, value);
        }
        for (key, value) in &self.setup.environment {
            if let Some(value) = value {
                command.env(key, value);
            }
        }
        command
    }

    fn usual(&self) -> [(&'static str, String); 8] {
        let listen = |n| loopback(self.ports.port(n)).to_string();
        let resolver = self.setup.resolver.unwrap_or_else(|| self.dns.addr());
        [
            ("CHANCERY_LISTEN__PUBLIC", listen(1)),
            ("CHANCERY_LISTEN__STATUS", listen(2)),
            ("CHANCERY_LISTEN__METRICS", listen(3)),
            (
                "CHANCERY_VALIDATION__HTTP_PORT",
                self.ports.port(4).to_string(),
            ),
            (
                "CHANCERY_VALIDATION__TLS_PORT",
                self.ports.port(5).to_string(),
            ),
            ("CHANCERY_VALIDATION__RESOLVERS", resolver.to_string()),
            (
                "CHANCERY_VALIDATION__ALLOW",
                "public,private,loopback".to_owned(),
            ),
            ("CHANCERY_LIMITS__ENABLED", "false".to_owned()),
        ]
    }

    /// Asks the server to end (SIGTERM) and waits for it.
    ///
    /// # Panics
    /// When it does not end in time, or not well.
    pub fn stop(&mut self) {
        let running = self.running.take().expect("it is running");
        running.program.terminate().expect("a signal can be sent");
        let status = running
            .program
            .wait(END_WITHIN)
            .unwrap_or_else(|error| panic!("{error}"));
        assert!(
            status.success(),
            "it ended with {status}:\n{}",
            printed(&running.program)
        );
    }

    /// Stops it and starts it again.
    ///
    /// # Panics
    /// When either does not work.
    pub fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// Kills the server as a crash would. Its signer is left to find out.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub fn kill9(&mut self) {
        let running = self.running.take().expect("it is running");
        running.program.kill9().expect("it can be killed");
        self.killed = Some(running.program);
    }

    /// Lets the server die at a named place (`before-OrderClaimed@3`, `after-signed`) once it is started.
    pub fn die_at(&mut self, place: Option<&str>) {
        let place = place.map(str::to_owned);
        self.setup
            .environment
            .insert("CHANCERY_FAILPOINT".to_owned(), place);
    }

    /// Waits for a server that dies by itself.
    ///
    /// # Panics
    /// When it goes on, or ends as if nothing were wrong.
    pub fn wait_for_death(&mut self) {
        let running = self.running.take().expect("it is running");
        let status = running.program.wait(END_WITHIN).unwrap_or_else(|error| {
            panic!("{error}; only `cargo xtask test` builds programs with places to die at")
        });
        assert!(!status.success(), "it ended with {status}");
        self.killed = Some(running.program);
    }

    /// Kills the signer alone and waits for what the server makes of it: it has to end.
    ///
    /// # Panics
    /// When there is no signer, or the server goes on.
    pub fn kill_signer(&mut self) -> Finished {
        let running = self.running.take().expect("it is running");
        kill(signer_of(&running.program));
        let status = running
            .program
            .wait(END_WITHIN)
            .unwrap_or_else(|error| panic!("{error}"));
        // No line is wanted: this waits until the last one was read.
        running.program.wait_for_line(|_| false, END_WITHIN).ok();
        let text = |stream| {
            let lines = running.program.lines();
            let of_stream = lines.iter().filter(|line| line.stream == stream);
            of_stream.fold(String::new(), |all, line| all + &line.text + "\n")
        };
        Finished {
            status,
            stdout: text(Stream::Out),
            stderr: text(Stream::Err),
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the server is running")
    }
}

/// The sentences that a program said to a person, which is what stands before its end; log lines are JSON.
#[must_use]
pub fn sentences(finished: &Finished) -> Vec<String> {
    let lines = finished.stderr.lines();
    lines
        .filter_map(|line| line.strip_prefix("chancery: ").map(str::to_owned))
        .collect()
}

/// What a test runner or a developer has set must not configure the server.
pub(crate) fn forget_ours(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CHANCERY_") {
            command.env_remove(name);
        }
    }
}

fn printed(program: &Program) -> String {
    let lines = program.lines();
    lines
        .iter()
        .fold(String::new(), |all, line| all + &line.text + "\n")
}

fn signer_of(program: &Program) -> u32 {
    let below = descendants(program.pid()).expect("/proc can be read");
    let [signer] = below.as_slice() else {
        panic!("one process below the server: {below:?}")
    };
    *signer
}

fn kill(pid: u32) {
    let status: ExitStatus = Command::new("/bin/kill")
        .args(["-9", &pid.to_string()])
        .status()
        .unwrap_or_else(|_| ExitStatus::from_raw(1));
    assert!(status.success(), "process {pid} can be killed");
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
