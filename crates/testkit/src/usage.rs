//! What processes cost, read from `/proc`: memory, processor time, threads, open files, bytes written.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::AddAssign;
use std::time::Duration;

/// The cost of a process with everything below it, or of one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processes counted.
    pub processes: usize,
    /// Threads of all of them.
    pub threads: usize,
    /// Memory in use now (RSS; pages that processes share are counted for each).
    pub rss_bytes: u64,
    /// Sum of the most that each of them ever used.
    pub rss_bytes_peak: u64,
    /// User and system time, children that have ended and were waited for included; in steps of 10 ms.
    pub cpu: Duration,
    /// Open file descriptors.
    pub open_files: usize,
    /// Bytes that went to storage, 0 where the system does not say.
    pub written_bytes: u64,
}

impl Usage {
    /// The process `pid` and all its descendants.
    ///
    /// # Errors
    /// When `pid` is gone or belongs to another user. Descendants that end meanwhile are left out.
    pub fn of_tree(pid: u32) -> io::Result<Self> {
        let mut sum = Self::of(pid)?;
        for child in descendants(pid)? {
            if let Ok(usage) = Self::of(child) {
                sum += usage;
            }
        }
        Ok(sum)
    }

    /// One process.
    ///
    /// # Errors
    /// When it is gone or belongs to another user.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = Stat::of(pid)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let kib = |label| field(&status, label).unwrap_or_default() * 1024;
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Ok(Self {
            processes: 1,
            threads: stat.threads,
            rss_bytes: kib("VmRSS:"),
            rss_bytes_peak: kib("VmHWM:"),
            cpu: Duration::from_millis(stat.cpu_ticks * 1000 / ticks_per_second),
            open_files: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
            written_bytes: field(&io, "write_bytes:").unwrap_or_default(),
        })
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.processes += other.processes;
        self.threads += other.threads;
        self.rss_bytes += other.rss_bytes;
        self.rss_bytes_peak += other.rss_bytes_peak;
        self.cpu += other.cpu;
        self.open_files += other.open_files;
        self.written_bytes += other.written_bytes;
    }
}

/// All processes that descend from `pid`, itself not included.
///
/// # Errors
/// When `/proc` cannot be read.
pub fn descendants(pid: u32) -> io::Result<Vec<u32>> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::of(pid).ok()?.parent)))
        .collect();
    let mut known = BTreeSet::from([pid]);
    // A child can have a lower id than its parent, so passes are made until one finds nothing.
    loop {
        let before = known.len();
        for (child, parent) in &all {
            if known.contains(parent) {
                known.insert(*child);
            }
        }
        if known.len() == before {
            known.remove(&pid);
            return Ok(known.into_iter().collect());
        }
    }
}

/// What is read from `/proc/PID/stat` (proc_pid_stat(5)).
struct Stat {
    parent: u32,
    cpu_ticks: u64,
    threads: usize,
}

impl Stat {
    fn of(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        Self::parse(&text).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The second field is the program's name in parentheses, which may hold spaces and parentheses itself.
    fn parse(text: &str) -> Option<Self> {
        let (_, after_name) = text.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // Numbered from 1 in the manual, where the state is field 3.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(4)?).ok()?,
            cpu_ticks: number(14)? + number(15)? + number(16)? + number(17)?,
            threads: usize::try_from(number(20)?).ok()?,
        })
    }
}

fn field(text: &str, label: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(label))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::process::Program;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) b) (c) S 3 7 7 0 -1 4194560 1 0 0 0 10 20 30 40 20 0 5 0 9 1 1";
        let stat = Stat::parse(text).expect("a line of stat");
        assert_eq!((stat.parent, stat.cpu_ticks, stat.threads), (3, 100, 5));
    }

    #[test]
    fn this_process_uses_memory_threads_and_files() {
        let usage = Usage::of(std::process::id()).expect("we run");
        assert!(
            usage.rss_bytes > 100_000 && usage.rss_bytes_peak >= usage.rss_bytes,
            "{usage:?}"
        );
        assert!(usage.threads >= 1 && usage.open_files >= 3, "{usage:?}");
    }

    #[test]
    fn a_tree_counts_grandchildren() {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'tail -f /dev/null & echo ready; wait'; true"]);
        let program = Program::spawn(command).expect("sh");
        let within = Duration::from_secs(20);
        program
            .wait_for_line(|line| line == "ready", within)
            .expect("ready");
        let usage = program.usage().expect("it runs");
        assert_eq!(usage.processes, 3);
        assert_eq!(descendants(program.pid()).expect("/proc").len(), 2);
    }
}
