//! What the processes of a server have used, from `/proc`.

use std::collections::HashMap;
use std::fs;

/// A server of a thousand processes is none that belongs here.
const PROCESSES_MAX: usize = 1000;

/// What all processes of a server have used since they started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Usage {
    /// User and system CPU time, in seconds; children that have ended and were waited for are in it.
    pub(crate) cpu_secs: f64,
    /// The sum of each process's own peak.
    pub(crate) peak_rss_kib: u64,
    /// Octets sent to block devices; `None` where the system does not let us see it.
    pub(crate) disk_octets: Option<u64>,
    /// Octets given to write(2) and its kin, whatever became of them.
    pub(crate) write_octets: Option<u64>,
    /// How many processes were found.
    pub(crate) processes: usize,
}

/// Adds up the process `root` and everything below it; `None` if it is gone.
pub(crate) fn of_tree(root: u32) -> Option<Usage> {
    let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
    let stats: HashMap<u32, Stat> = processes()
        .filter_map(|pid| Some((pid, Stat::parse(&read(pid, "stat")?)?)))
        .collect();
    let mut usage = Usage {
        disk_octets: Some(0),
        write_octets: Some(0),
        ..Usage::default()
    };
    for pid in tree(root, &stats) {
        let stat = stats.get(&pid)?;
        usage.processes += 1;
        usage.cpu_secs += stat.cpu_ticks as f64 / ticks_per_second;
        let status = read(pid, "status").unwrap_or_default();
        usage.peak_rss_kib += field(&status, "VmHWM:").unwrap_or_default();
        let io = read(pid, "io").unwrap_or_default();
        let add = |sum: Option<u64>, name| Some(sum? + field(&io, name)?);
        usage.disk_octets = add(usage.disk_octets, "write_bytes:");
        usage.write_octets = add(usage.write_octets, "wchar:");
    }
    (usage.processes > 0).then_some(usage)
}

/// The CPU time of this process, in seconds.
pub(crate) fn own_cpu_secs() -> f64 {
    let ticks = read(std::process::id(), "stat").and_then(|text| Stat::parse(&text));
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    ticks.map_or(0.0, |stat| stat.cpu_ticks as f64 / per_second)
}

/// The processes from `root` down, the root first. A process whose parent is gone is not found.
pub(crate) fn pids_of_tree(root: u32) -> Vec<u32> {
    let stats = processes().filter_map(|pid| Some((pid, Stat::parse(&read(pid, "stat")?)?)));
    tree(root, &stats.collect())
}

fn processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn read(pid: u32, file: &str) -> Option<String> {
    // The name of a process may be any bytes.
    let bytes = fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn tree(root: u32, stats: &HashMap<u32, Stat>) -> Vec<u32> {
    let mut found = Vec::new();
    if stats.contains_key(&root) {
        found.push(root);
    }
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        let children = stats
            .iter()
            .filter(|(_, stat)| stat.parent == parent)
            .map(|(pid, _)| *pid);
        for child in children {
            // Read while processes came and went, so what was read need not be a tree.
            if found.len() < PROCESSES_MAX && !found.contains(&child) {
                found.push(child);
            }
        }
        next += 1;
    }
    found
}

/// What is needed of `/proc/PID/stat`, see proc(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// utime, stime, cutime and cstime.
    cpu_ticks: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The second field is a name in parentheses that may hold spaces and parentheses itself.
        let (_, after_name) = text.rsplit_once(')')?;
        let mut fields = after_name.split_ascii_whitespace();
        let parent = fields.nth(1)?.parse().ok()?;
        let ticks: Vec<i64> = fields
            .skip(9)
            .take(4)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let sum = (ticks.len() == 4).then(|| ticks.iter().sum::<i64>())?;
        Some(Self {
            parent,
            cpu_ticks: u64::try_from(sum).ok()?,
        })
    }
}

/// The number behind `name` in a file of one `name value` a line.
fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "4242 (a) (b c) S 17 4242 4242 0 -1 4194560 1804 93 0 0 250 50 7 3 20 0 9 0 81234 \
                        734003200 5120 18446744073709551615 1 1 0 0 0 0 0 4096 17640 0 0 0 17 1 0 0 0 0 0\n";
    const STATUS: &str =
        "Name:\tchancery\nUmask:\t0022\nVmPeak:\t  716800 kB\nVmHWM:\t   20480 kB\n";
    const IO: &str = "rchar: 10\nwchar: 323934931\nsyscr: 1\nsyscw: 2\nread_bytes: 0\nwrite_bytes: 4096\n\
                      cancelled_write_bytes: 0\n";

    #[test]
    fn a_stat_line_is_read_behind_the_last_parenthesis() {
        assert_eq!(
            Stat::parse(STAT),
            Some(Stat {
                parent: 17,
                cpu_ticks: 310
            })
        );
        for cut in [
            "",
            "4242",
            "4242 (a",
            "4242 (a) S",
            "4242 (a) S 17 1 1 0 -1 0 0 0 0 0 1 2 3",
        ] {
            assert_eq!(Stat::parse(cut), None, "{cut:?}");
        }
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field(STATUS, "VmHWM:"), Some(20_480));
        assert_eq!(field(IO, "wchar:"), Some(323_934_931));
        assert_eq!(field(IO, "write_bytes:"), Some(4096));
        assert_eq!(field(IO, "bytes:"), None);
        assert_eq!(field("", "wchar:"), None);
    }

    #[test]
    fn a_tree_is_a_process_and_all_below_it() {
        let stat = |parent| Stat {
            parent,
            cpu_ticks: 1,
        };
        let stats = HashMap::from([
            (1, stat(0)),
            (10, stat(1)),
            (11, stat(10)),
            (12, stat(11)),
            (13, stat(10)),
            (20, stat(1)),
        ]);
        let mut found = tree(10, &stats);
        assert_eq!(found.first(), Some(&10));
        found.sort_unstable();
        assert_eq!(found, [10, 11, 12, 13]);
        assert_eq!(tree(99, &stats), [] as [u32; 0]);
    }

    #[test]
    fn a_loop_in_what_was_read_while_it_changed_has_an_end() {
        let stats = HashMap::from([
            (
                10,
                Stat {
                    parent: 11,
                    cpu_ticks: 1,
                },
            ),
            (
                11,
                Stat {
                    parent: 10,
                    cpu_ticks: 1,
                },
            ),
        ]);
        assert_eq!(tree(10, &stats), [10, 11]);
    }

    #[test]
    fn this_process_has_used_something_and_a_free_pid_nothing() {
        let usage = of_tree(std::process::id()).expect("we run");
        assert!(usage.peak_rss_kib > 0 && usage.processes >= 1, "{usage:?}");
        assert_eq!(of_tree(u32::MAX), None);
    }
}
