//! Real programs in tests: started with a deadline for whatever is awaited of them, their output kept line by
//! line, and gone with everything they started when the [`Program`] is dropped.

mod output;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use output::{Line, Stream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open,
    pidfd_send_signal, waitid,
};

use crate::usage::Usage;
use output::{Output, OutputState, shown};

/// Why a program did not do what was awaited. The texts end with the last lines that it printed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program could not be started.
    #[error("cannot start {program}: {source}")]
    Start {
        /// What was to be started.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// The deadline passed.
    #[error("{program}: no {awaited} within {within:?}; it printed:\n{output}")]
    Late {
        /// The program.
        program: String,
        /// What was awaited.
        awaited: &'static str,
        /// The time it had.
        within: Duration,
        /// The end of its output.
        output: String,
    },
    /// The output ended before the line came.
    #[error("{program}: ended without the awaited line; it printed:\n{output}")]
    Ended {
        /// The program.
        program: String,
        /// The end of its output.
        output: String,
    },
    /// The system refused to signal or to watch the program.
    #[error("{program}: {source}")]
    System {
        /// The program.
        program: String,
        /// What the system said.
        source: io::Error,
    },
}

/// A program that ran to its end.
#[derive(Debug, Clone)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

/// A running program, in a process group of its own. Dropping it kills the group and collects the program.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    pid: Pid,
    handle: OwnedFd,
    output: Arc<Output>,
}

/// Runs a program to its end.
///
/// # Errors
/// [`ProcessError`] when it does not start or does not end in time; how it ended is for the caller to judge.
pub fn run(command: Command, within: Duration) -> Result<Finished, ProcessError> {
    let deadline = Instant::now() + within;
    let program = Program::spawn(command)?;
    let status = program.wait(within)?;
    let state = program
        .output
        .wait_until(deadline, |state| state.open_streams == 0);
    let lines = state.ok_or_else(|| program.late("end of its output", within))?;
    let join = |stream: Stream| {
        let of_stream = lines.iter().filter(|line| line.stream == stream);
        of_stream.fold(String::new(), |text, line| text + &line.text + "\n")
    };
    Ok(Finished {
        status,
        stdout: join(Stream::Out),
        stderr: join(Stream::Err),
    })
}

impl Program {
    /// Starts a program with empty standard input and both outputs captured.
    ///
    /// # Errors
    /// [`ProcessError::Start`]
    pub fn spawn(mut command: Command) -> Result<Self, ProcessError> {
        let name = command.get_program().to_string_lossy().into_owned();
        let start = |source| ProcessError::Start {
            program: name.clone(),
            source,
        };
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn().map_err(start)?;
        let pid = Pid::from_child(&child);
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(error) => {
                child.kill().ok();
                child.wait().ok();
                return Err(start(error.into()));
            }
        };
        let output = Arc::new(Output::default());
        output.follow(Stream::Out, child.stdout.take());
        output.follow(Stream::Err, child.stderr.take());
        Ok(Self {
            name,
            child,
            pid,
            handle,
            output,
        })
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far, in the order in which it was read.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        self.output.lines()
    }

    /// The first line, printed already or to come, that `wanted` accepts.
    ///
    /// # Errors
    /// [`ProcessError::Late`], or [`ProcessError::Ended`] as soon as no more can come.
    pub fn wait_for_line(
        &self,
        wanted: impl Fn(&str) -> bool,
        within: Duration,
    ) -> Result<String, ProcessError> {
        let find = |lines: &[Line]| {
            lines
                .iter()
                .find(|line| wanted(&line.text))
                .map(|line| line.text.clone())
        };
        let done = |state: &OutputState| state.open_streams == 0 || find(&state.lines).is_some();
        let lines = self.output.wait_until(Instant::now() + within, done);
        let lines = lines.ok_or_else(|| self.late("such line", within))?;
        find(&lines).ok_or_else(|| ProcessError::Ended {
            program: self.name.clone(),
            output: shown(&lines),
        })
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`ProcessError::Late`]; the program goes on then.
    pub fn wait(&self, within: Duration) -> Result<ExitStatus, ProcessError> {
        let mut handles = [PollFd::new(&self.handle, PollFlags::IN)];
        let timeout = Timespec::try_from(within).unwrap_or(Timespec {
            tv_sec: 60,
            tv_nsec: 0,
        });
        match poll(&mut handles, Some(&timeout)) {
            Ok(0) => Err(self.late("end", within)),
            Ok(_) => self.status(),
            Err(error) => Err(self.system(error)),
        }
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.wait(Duration::ZERO).is_err()
    }

    /// Asks it to end (SIGTERM).
    ///
    /// # Errors
    /// [`ProcessError::System`]
    pub fn terminate(&self) -> Result<(), ProcessError> {
        self.signal(Signal::TERM)
    }

    /// Kills the program as a crash would (SIGKILL), and waits until it is dead. What it started is left.
    ///
    /// # Errors
    /// [`ProcessError::System`]
    pub fn kill9(&self) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::KILL)?;
        self.wait(Duration::from_secs(10))
    }

    /// The same for the program and everything it started in its group, at one moment.
    ///
    /// # Errors
    /// [`ProcessError::System`]
    pub fn kill9_all(&self) -> Result<ExitStatus, ProcessError> {
        kill_process_group(self.pid, Signal::KILL).map_err(|error| self.system(error))?;
        self.wait(Duration::from_secs(10))
    }

    /// What the program and everything below it cost so far.
    ///
    /// # Errors
    /// When the program is gone.
    pub fn usage(&self) -> io::Result<Usage> {
        Usage::of_tree(self.pid())
    }

    fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        match pidfd_send_signal(&self.handle, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(self.system(error)),
        }
    }

    /// How it ended. Leaves it a zombie: so its id, which names its group too, is not given to another.
    fn status(&self) -> Result<ExitStatus, ProcessError> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.pid), options).map_err(|error| self.system(error))?;
        let status = status.ok_or_else(|| self.system(rustix::io::Errno::CHILD))?;
        let raw = match status.exit_status() {
            Some(code) => code << 8,
            None => status.terminating_signal().unwrap_or_default(),
        };
        Ok(ExitStatus::from_raw(raw))
    }

    fn late(&self, awaited: &'static str, within: Duration) -> ProcessError {
        let output = shown(&self.lines());
        ProcessError::Late {
            program: self.name.clone(),
            awaited,
            within,
            output,
        }
    }

    fn system(&self, error: rustix::io::Errno) -> ProcessError {
        ProcessError::System {
            program: self.name.clone(),
            source: error.into(),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        kill_process_group(self.pid, Signal::KILL).ok();
        self.child.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn waiting() -> Program {
        let program = Program::spawn(shell("echo ready $$; exec tail -f /dev/null")).expect("sh");
        program
            .wait_for_line(|line| line.starts_with("ready"), SOON)
            .expect("ready");
        program
    }

    #[test]
    fn a_program_runs_to_its_end_with_both_outputs_kept_apart() {
        let finished = run(shell("echo one; echo two >&2; printf three; exit 7"), SOON);
        let finished = finished.expect("it ended");
        assert_eq!(finished.status.code(), Some(7));
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("one\nthree\n", "two\n")
        );
    }

    #[test]
    fn what_comes_too_late_is_an_error_that_shows_the_output() {
        let program = waiting();
        let error = program
            .wait(Duration::ZERO)
            .expect_err("it waits")
            .to_string();
        assert!(error.contains("ready"), "{error}");
        let error = program.wait_for_line(|line| line == "never", Duration::ZERO);
        assert!(matches!(error, Err(ProcessError::Late { .. })), "{error:?}");
        assert!(program.is_running());
    }

    #[test]
    fn a_line_that_can_no_longer_come_is_not_waited_for() {
        let program = Program::spawn(shell("echo other")).expect("sh");
        let error = program
            .wait_for_line(|line| line == "wanted", SOON)
            .expect_err("ended");
        assert!(matches!(error, ProcessError::Ended { .. }), "{error}");
    }

    #[test]
    fn kill9_leaves_no_way_to_say_goodbye() {
        let program = Program::spawn(shell("trap 'echo bye' TERM; echo ready; tail -f /dev/null"));
        let program = program.expect("sh");
        program
            .wait_for_line(|line| line == "ready", SOON)
            .expect("ready");
        let status = program.kill9().expect("killed");
        assert_eq!(status.signal(), Some(9));
        assert_eq!(program.kill9().expect("killed already").signal(), Some(9));
        assert!(!program.is_running());
    }

    #[test]
    fn terminate_is_the_polite_way() {
        let program = waiting();
        program.terminate().expect("signalled");
        assert_eq!(program.wait(SOON).expect("ended").signal(), Some(15));
    }

    #[test]
    fn dropping_a_program_ends_what_it_started() {
        let program = Program::spawn(shell("tail -f /dev/null & echo child $!; wait"));
        let program = program.expect("sh");
        let line = program
            .wait_for_line(|line| line.starts_with("child"), SOON)
            .expect("a line");
        let child = line
            .trim_start_matches("child ")
            .parse()
            .expect("a process id");
        let child = Pid::from_raw(child).expect("a process id");
        let handle = pidfd_open(child, PidfdFlags::empty()).expect("it runs");
        program.kill9().expect("killed");
        pidfd_send_signal(&handle, Signal::CONT).expect("the child lives on");
        drop(program);
        let within = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        let ended = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&within));
        assert_eq!(ended, Ok(1));
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(Command::new("/nonexistent/program"), SOON).expect_err("not there");
        assert!(
            error
                .to_string()
                .starts_with("cannot start /nonexistent/program: "),
            "{error}"
        );
    }
}
