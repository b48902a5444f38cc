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
