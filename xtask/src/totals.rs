//! How many tests passed, failed and were skipped: read from the lines of either runner.

use std::fmt;
use std::ops::AddAssign;

/// What the last line of the test command says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Totals {
    /// One thing that was tried outside a runner.
    pub(crate) fn of_one(passed: bool) -> Self {
        Self {
            passed: usize::from(passed),
            failed: usize::from(!passed),
            skipped: 0,
        }
    }

    /// Some of the tests that passed were skips: they found a tool missing and said so.
    pub(crate) fn count_as_skipped(&mut self, tests: usize) {
        self.passed = self.passed.saturating_sub(tests);
        self.skipped += tests;
    }

    /// Whether the command may call itself a success; `strict` takes no skip either.
    pub(crate) fn hold(&self, strict: bool) -> bool {
        self.passed > 0 && self.failed == 0 && !(strict && self.skipped > 0)
    }
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

/// Which runner's lines are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    Nextest,
    /// `cargo test`, with its doc-tests.
    Cargo,
}

/// Adds up what a runner says, line by line.
#[derive(Debug)]
pub(crate) struct Reader {
    runner: Runner,
    /// With a filter the runner's "skipped" are tests that were not asked for.
    filtered: bool,
    totals: Totals,
    /// Test programs of `cargo test` that said how they ended badly.
    programs_told: usize,
    /// Test programs that cargo counts as failed; one that crashes tells nothing itself.
    programs_failed: usize,
}

impl Reader {
    pub(crate) fn new(runner: Runner, filtered: bool) -> Self {
        Self {
            runner,
            filtered,
            totals: Totals::default(),
            programs_told: 0,
            programs_failed: 0,
        }
    }

    /// Takes one line of the runner's output, as it came.
    pub(crate) fn line(&mut self, line: &str) {
        let line = without_colours(line);
        match self.runner {
            Runner::Nextest => self.nextest_line(line.trim()),
            Runner::Cargo => self.cargo_line(line.trim_end()),
        }
    }

    /// The totals, given whether the runner itself succeeded.
    pub(crate) fn finish(mut self, succeeded: bool) -> Totals {
        self.totals.failed += self.programs_failed.saturating_sub(self.programs_told);
        if !succeeded && self.totals.failed == 0 {
            // It did not come as far as a test: nothing built, or the runner itself broke.
            self.totals.failed = 1;
        }
        self.totals
    }

    /// `Summary [ 1.2s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 3 skipped`
    fn nextest_line(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("Summary [") else {
            return;
        };
        let Some((_, counts)) = rest.split_once("run: ") else {
            return;
        };
        let mut totals = Totals::default();
        for count in without_brackets(counts).split(',') {
            let Some((number, word)) = count.trim().split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<usize>() else {
                continue;
            };
            match word.trim() {
                "passed" => totals.passed += number,
                "skipped" if self.filtered => {}
                "skipped" => totals.skipped += number,
                // failed, timed out, exec failed, and what later versions may add
                _ => totals.failed += number,
            }
        }
        self.totals = totals;
    }

    /// `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s`
    fn cargo_line(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            for count in rest.split([';', '.']) {
                let Some((number, word)) = count.trim().split_once(' ') else {
                    continue;
                };
                let Ok(number) = number.parse::<usize>() else {
                    continue;
                };
                match word {
                    "passed" => self.totals.passed += number,
                    "failed" => self.totals.failed += number,
                    "ignored" => self.totals.skipped += number,
                    _ => {}
                }
            }
            self.programs_told += usize::from(rest.starts_with("FAILED"));
        } else if let Some(rest) = line.strip_prefix("error: ") {
            // `error: 2 targets failed:`
            if let Some((number, "target failed:" | "targets failed:")) = rest.split_once(' ') {
                self.programs_failed = number.parse().unwrap_or_default();
            }
        }
    }
}

/// Leaves out `ESC [ … letter`.
fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\x1b' {
            let _ = characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

/// Leaves out what stands in brackets: `6 passed (1 slow, 1 flaky)` says nothing new there.
fn without_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    text.chars()
        .filter(|character| {
            match character {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => return depth == 0,
            }
            false
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(runner: Runner, filtered: bool, succeeded: bool, lines: &str, expected: &str) {
        let mut reader = Reader::new(runner, filtered);
        lines.lines().for_each(|line| reader.line(line));
        assert_eq!(reader.finish(succeeded).to_string(), expected, "{lines}");
    }

    #[test]
    fn nextests_summary_is_read() {
        let one = "     Summary [   0.105s] 3 tests run: 1 passed, 2 failed, 1 skipped";
        check(
            Runner::Nextest,
            false,
            false,
            one,
            "1 passed, 2 failed, 1 skipped",
        );
        let slow = "Summary [ 9.0s] 12 tests run: 8 passed (1 slow, 1 flaky), 1 failed, 2 timed out, \
                    1 exec failed, 0 skipped";
        check(
            Runner::Nextest,
            false,
            false,
            slow,
            "8 passed, 4 failed, 0 skipped",
        );
        let cut = "Summary [ 9.0s] 3/10 tests run: 3 passed, 0 skipped";
        check(
            Runner::Nextest,
            false,
            true,
            cut,
            "3 passed, 0 failed, 0 skipped",
        );
    }

    #[test]
    fn tests_that_were_not_asked_for_are_not_skips() {
        let line = "     Summary [   0.006s] 1 test run: 1 passed, 300 skipped";
        check(
            Runner::Nextest,
            true,
            true,
            line,
            "1 passed, 0 failed, 0 skipped",
        );
    }

    #[test]
    fn colours_do_not_hide_the_summary() {
        let line = "\x1b[32;1m     Summary\x1b[0m [ 0.0s] \x1b[1m2\x1b[0m tests run: \
                    \x1b[1m2\x1b[0m \x1b[32;1mpassed\x1b[0m, \x1b[1m0\x1b[0m \x1b[33;1mskipped\x1b[0m";
        check(
            Runner::Nextest,
            false,
            true,
            line,
            "2 passed, 0 failed, 0 skipped",
        );
    }

    #[test]
    fn cargos_results_are_added_up() {
        let lines = "running 4 tests\n\
            test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s\n\
            test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1s\n\
            error: 1 target failed:\n    `--lib`";
        check(
            Runner::Cargo,
            false,
            false,
            lines,
            "3 passed, 2 failed, 1 skipped",
        );
    }

    #[test]
    fn a_test_program_that_crashes_counts_as_a_failure() {
        let lines = "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out\n\
            error: 2 targets failed:\n    `-p a --lib`\n    `-p b --lib`";
        check(
            Runner::Cargo,
            false,
            false,
            lines,
            "1 passed, 2 failed, 0 skipped",
        );
    }

    #[test]
    fn a_runner_that_fails_without_a_word_is_a_failure() {
        check(
            Runner::Nextest,
            false,
            false,
            "error: could not compile",
            "0 passed, 1 failed, 0 skipped",
        );
        check(
            Runner::Cargo,
            false,
            false,
            "",
            "0 passed, 1 failed, 0 skipped",
        );
    }

    #[test]
    fn skips_that_tests_report_come_out_of_what_passed() {
        let mut totals = Totals {
            passed: 5,
            failed: 0,
            skipped: 1,
        };
        totals.count_as_skipped(2);
        assert_eq!(totals.to_string(), "3 passed, 0 failed, 3 skipped");
        assert!(totals.hold(false));
        assert!(
            !totals.hold(true),
            "a skip was taken where nothing may be missing"
        );
    }

    #[test]
    fn nothing_run_and_anything_failed_are_no_success() {
        assert!(!Totals::default().hold(false));
        let mut totals = Totals::of_one(true);
        assert!(totals.hold(true));
        totals += Totals::of_one(false);
        assert!(!totals.hold(false));
    }
}
