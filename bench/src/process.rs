//! A server as a process of ours: it is told to end, made to end if it does not, and ends with us.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::BenchError;
use crate::usage;

/// A server has this long to finish what it has begun.
const STOP_TIME: Duration = Duration::from_secs(15);
/// Octets of a log's end that are shown when a server does not start.
const LOG_SHOWN: usize = 600;

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: u32,
    log: PathBuf,
    /// Reads what the server says after its first lines, so that it never waits for us.
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts a program; what it says goes into `log`, unless `command` pipes its standard output.
    ///
    /// Call it from the main thread: where `setpriv` exists, the program is killed by the kernel when the thread that
    /// started it ends, however that happens.
    ///
    /// # Errors
    /// [`BenchError::Spawn`], [`BenchError::File`]
    pub(crate) fn start(launch: Launch<'_>, log: PathBuf) -> Result<Self, BenchError> {
        let file = File::create(&log).map_err(BenchError::file("write", &log))?;
        let for_output = file.try_clone().map_err(BenchError::file("write", &log))?;
        let mut command = match find("setpriv") {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command
                    .args(["--pdeathsig", "KILL", "--"])
                    .arg(launch.program);
                command
            }
            None => Command::new(launch.program),
        };
        command
            .args(launch.arguments)
            .envs(launch.environment)
            .current_dir(launch.folder);
        command.stdin(Stdio::null()).stderr(file).kill_on_drop(true);
        command.stdout(if launch.reads_output {
            Stdio::piped()
        } else {
            for_output.into()
        });
        let spawned = |source| BenchError::Spawn {
            program: launch.program.display().to_string(),
            source,
        };
        let child = command.spawn().map_err(spawned)?;
        let pid = child
            .id()
            .ok_or_else(|| spawned(std::io::Error::other("it ended at once")))?;
        Ok(Self {
            child,
            pid,
            log,
            reader: None,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What follows `marker` on the first line of its standard output that begins with it.
    pub(crate) async fn line_after(&mut self, marker: &str, time: Duration) -> Option<String> {
        let mut lines = BufReader::new(self.child.stdout.take()?);
        let found = timeout(time, find_line(&mut lines, marker))
            .await
            .ok()
            .flatten();
        self.reader = Some(tokio::spawn(async move {
            let mut ignored = vec![0; 16 * 1024];
            while lines
                .read(&mut ignored)
                .await
                .is_ok_and(|octets| octets > 0)
            {}
        }));
        found
    }

    /// The end of what it said, on one line.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let end = text
            .get(text.len().saturating_sub(LOG_SHOWN)..)
            .unwrap_or_default();
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        String::from_utf8_lossy(end)
            .trim()
            .chars()
            .map(printable)
            .collect()
    }

    /// Ends it by SIGTERM, and by SIGKILL if that does not help; false if it had to be killed.
    pub(crate) async fn stop(mut self) -> bool {
        let all = usage::pids_of_tree(self.pid);
        signal(self.pid, Signal::TERM);
        let ended = timeout(STOP_TIME, self.child.wait()).await.is_ok();
        if !ended {
            all.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            self.child.kill().await.ok();
        }
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        ended
    }
}

/// What to start, and how.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) folder: &'a Path,
    /// Whether [`Process::line_after`] will read its standard output.
    pub(crate) reads_output: bool,
}

async fn find_line(lines: &mut BufReader<ChildStdout>, marker: &str) -> Option<String> {
    /// More than a server says before it is ready.
    const LINES_MAX: usize = 1000;
    for _ in 0..LINES_MAX {
        let mut line = String::new();
        if lines.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if let Some(rest) = line.strip_prefix(marker) {
            return Some(rest.trim().to_owned());
        }
    }
    None
}

fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // It may have ended meanwhile.
        kill_process(pid, signal).ok();
    }
}

/// The program of this name on the PATH, or in the folders of the system's own.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(PathBuf::from))
        .filter(|folder| folder.as_os_str().as_bytes().starts_with(b"/"))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

/// Loopback ports that are free at the moment, all different.
///
/// # Errors
/// [`BenchError::Port`]
pub(crate) fn free_ports<const COUNT: usize>() -> Result<[u16; COUNT], BenchError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut ports = [0; COUNT];
    let mut held = Vec::with_capacity(COUNT);
    for port in &mut ports {
        let listener = TcpListener::bind(any).map_err(BenchError::Port)?;
        *port = listener.local_addr().map_err(BenchError::Port)?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    fn shell(script: &str, scratch: &Scratch) -> Process {
        let launch = Launch {
            program: Path::new("/bin/sh"),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: vec![("WORD", "said".to_owned())],
            folder: scratch.path(),
            reads_output: true,
        };
        Process::start(launch, scratch.path().join("log")).expect("started")
    }

    fn scratch() -> Scratch {
        Scratch::new(&std::env::temp_dir()).expect("made")
    }

    #[tokio::test]
    async fn a_server_is_found_ready_and_ends_when_told() {
        let scratch = scratch();
        let mut server = shell("echo starting; echo ready $WORD; exec sleep 60", &scratch);
        let said = server.line_after("ready ", Duration::from_secs(20)).await;
        assert_eq!(said.as_deref(), Some("said"));
        assert!(!server.has_ended());
        assert!(usage::of_tree(server.pid()).is_some());
        assert!(server.stop().await);
    }

    #[tokio::test]
    async fn a_server_that_fails_leaves_its_last_words() {
        let scratch = scratch();
        let mut server = shell("echo 'no\tport' >&2; exit 1", &scratch);
        assert_eq!(
            server.line_after("ready ", Duration::from_secs(20)).await,
            None
        );
        assert_eq!(server.last_words(), "no port");
        server.stop().await;
    }

    #[test]
    fn programs_are_found_and_ports_differ() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
        let ports = free_ports::<4>().expect("four free ports");
        let different: std::collections::BTreeSet<_> = ports.iter().collect();
        assert_eq!(different.len(), 4);
    }
}
