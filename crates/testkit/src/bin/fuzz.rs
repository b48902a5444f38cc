//! Runs the fuzz targets: `fuzz [TARGET|all] [SECONDS] [--seed N]`, `fuzz --list`, `fuzz TARGET --replay FILE`.
//!
//! Inputs of findings go to `target/fuzz` under the current folder. Exit code 0: nothing was found; 1: something
//! was; 2: the command was not understood.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use chancery_testkit::fuzz::{CountingAllocator, FuzzError, Plan, TARGETS, Target, fuzz, replay};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

const USAGE: &str =
    "usage: fuzz [TARGET|all] [SECONDS] [--seed N] | fuzz --list | fuzz TARGET --replay FILE";

/// What was asked for.
struct Wish {
    targets: Vec<&'static Target>,
    seconds: u64,
    seed: u64,
    list: bool,
    replay: Option<PathBuf>,
}

fn main() -> ExitCode {
    let Some(wish) = Wish::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if wish.list {
        TARGETS
            .iter()
            .for_each(|target| println!("{}", target.name));
        return ExitCode::SUCCESS;
    }
    for target in &wish.targets {
        if let Err(error) = wish.carry_out(target) {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

impl Wish {
    fn parse(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let all = TARGETS.iter().collect();
        let mut wish = Self {
            targets: all,
            seconds: 30,
            seed: 1,
            list: false,
            replay: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--list" => wish.list = true,
                "--seed" => wish.seed = words.next()?.parse().ok()?,
                "--replay" => wish.replay = Some(words.next()?.into()),
                "all" => {}
                number if number.starts_with(|first: char| first.is_ascii_digit()) => {
                    wish.seconds = number.parse().ok()?;
                }
                name => wish.targets = vec![chancery_testkit::fuzz::target(name)?],
            }
        }
        Some(wish)
    }

    fn carry_out(&self, target: &'static Target) -> Result<(), FuzzError> {
        if let Some(path) = &self.replay {
            return replay(target, path);
        }
        let plan = Plan {
            time: Duration::from_secs(self.seconds),
            inputs_max: u64::MAX,
            seed: self.seed,
            folder: PathBuf::from("target/fuzz"),
        };
        let report = fuzz(target, &plan)?;
        let (inputs, corpus) = (report.inputs, report.corpus);
        println!(
            "{}: {inputs} inputs, {corpus} in corpus, 0 findings",
            report.target
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;
    use chancery_testkit::fuzz::{Fault, Form, Outcome};
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// What the driver says of a target that does this with every input.
    fn fault_of(run: fn(&[u8]) -> Outcome) -> Fault {
        let samples = || vec![b"sample".to_vec()];
        let (form, memory_base) = (Form::Bytes, 1024 * 1024);
        let target = Target {
            name: "bad",
            run,
            samples,
            tokens: &[],
            form,
            memory_base,
        };
        let folder = TempDir::new("fuzz").expect("made");
        let folder_path = folder.path().to_owned();
        let plan = Plan {
            time: Duration::from_secs(60),
            inputs_max: 10,
            seed: 1,
            folder: folder_path,
        };
        match fuzz(Box::leak(Box::new(target)), &plan) {
            Err(FuzzError::Finding(finding)) => finding.fault,
            other => panic!("a finding was expected: {other:?}"),
        }
    }

    #[test]
    fn memory_beyond_what_an_input_may_need_is_a_finding() {
        let fault = fault_of(|input| {
            let held = vec![1_u8; 2_000_000];
            Outcome::of(held.len() + input.len())
        });
        assert!(
            matches!(
                fault,
                Fault::Memory {
                    held: 2_000_000..,
                    ..
                }
            ),
            "{fault:?}"
        );
    }

    #[test]
    fn an_input_that_keeps_the_processor_busy_is_a_finding() {
        let fault = fault_of(|input| {
            let used =
                || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).expect("positive");
            let end = used() + Duration::from_millis(250);
            while used() < end {
                std::hint::spin_loop();
            }
            Outcome::of(input.len())
        });
        assert!(matches!(fault, Fault::Slow { .. }), "{fault:?}");
    }

    #[test]
    fn the_command_line_is_read_in_any_order() {
        let read = |words: &[&str]| Wish::parse(words.iter().map(|word| (*word).to_owned()));
        let wish = read(&["5", "--seed", "9", "csr"]).expect("understood");
        assert_eq!((wish.seconds, wish.seed, wish.targets.len()), (5, 9, 1));
        assert_eq!(
            read(&["all"]).expect("understood").targets.len(),
            TARGETS.len()
        );
        assert!(read(&["nothing"]).is_none() && read(&["--seed", "x"]).is_none());
    }
}
