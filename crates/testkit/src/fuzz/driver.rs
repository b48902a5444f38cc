use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use super::memory::peak_of;
use super::mutator::mutated;
use super::rng::Rng;
use super::watchdog::Watchdog;
use super::{Outcome, Target};

/// Processor time that one input may take: a thousand times what the slowest good sample needs.
const CPU_MAX: Duration = Duration::from_millis(200);
/// A slow run is measured again, since the first may have paid for something else.
const SLOW_RUNS: usize = 3;
/// Memory that a reader may hold for each octet of its input, besides what the target is granted.
const MEMORY_PER_OCTET: usize = 64;
/// Inputs kept for mutation.
const CORPUS_MAX: usize = 4000;
/// Octets of an input that a finding shows.
const SHOWN_OCTETS: usize = 256;

/// How long to fuzz, and from where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// When to stop.
    pub time: Duration,
    /// Stop after so many inputs, if the time is not up before.
    pub inputs_max: u64,
    /// What makes the run repeatable.
    pub seed: u64,
    /// Where the inputs of findings go.
    pub folder: PathBuf,
}

/// A run without findings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The target's name.
    pub target: &'static str,
    /// Inputs tried.
    pub inputs: u64,
    /// Inputs in the corpus at the end: those that brought news, and all good samples.
    pub corpus: usize,
}

/// What a target did that no input may make it do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It panicked.
    #[error("panicked: {message}")]
    Panic {
        /// The panic's message.
        message: String,
    },
    /// It took too much processor time.
    #[error("took {milliseconds} ms of processor time, {} ms are allowed", CPU_MAX.as_millis())]
    Slow {
        /// The time of the quickest try.
        milliseconds: u128,
    },
    /// It held too much memory.
    #[error("held {held} bytes, {allowed} are allowed")]
    Memory {
        /// Bytes held at the worst moment.
        held: usize,
        /// What an input of this length may need.
        allowed: usize,
    },
}

/// An input that must not do what it does.
#[derive(Debug)]
pub struct Finding {
    /// The target's name.
    pub target: &'static str,
    /// The seed of the run.
    pub seed: u64,
    /// What happened.
    pub fault: Fault,
    /// The input.
    pub input: Vec<u8>,
    /// Where the input was saved.
    pub path: PathBuf,
}

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FuzzError {
    /// Something was found.
    #[error("{0}")]
    Finding(Box<Finding>),
    /// The corpus or the folder for findings cannot be used.
    #[error("{path:?}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            target,
            seed,
            fault,
            input,
            path,
        } = self;
        write!(
            f,
            "{target}: seed {seed}: {fault}; its {} bytes are in {path:?}: ",
            input.len()
        )?;
        input
            .iter()
            .take(SHOWN_OCTETS)
            .try_for_each(|octet| write!(f, "{octet:02x}"))?;
        if input.len() > SHOWN_OCTETS {
            f.write_str("…")
        } else {
            Ok(())
        }
    }
}

/// Feeds mutated samples to `target` until the plan ends or something is found.
///
/// # Errors
/// [`FuzzError::Finding`] at the first one.
pub fn fuzz(target: &'static Target, plan: &Plan) -> Result<Report, FuzzError> {
    let mut run = Run::start(target, plan)?;
    let end = Instant::now() + plan.time;
    for sample in starting_corpus(target)? {
        run.try_input(&sample)?;
        run.corpus.push(sample);
    }
    while run.inputs < plan.inputs_max && Instant::now() < end {
        let input = run.next_input();
        if run.try_input(&input)? && run.corpus.len() < CORPUS_MAX {
            run.corpus.push(input);
        }
    }
    run.current.remove();
    Ok(Report {
        target: target.name,
        inputs: run.inputs,
        corpus: run.corpus.len(),
    })
}

/// Runs one saved input again.
///
/// # Errors
/// [`FuzzError::Finding`] when it still is one.
pub fn replay(target: &'static Target, path: &Path) -> Result<(), FuzzError> {
    let input = fs::read(path).map_err(|source| file_error(path, source))?;
    match judge(target, &input) {
        Ok(_) => Ok(()),
        Err(fault) => {
            let path = path.to_owned();
            let finding = Finding {
                target: target.name,
                seed: 0,
                fault,
                input,
                path,
            };
            Err(FuzzError::Finding(Box::new(finding)))
        }
    }
}

/// The samples of the target's own writers, then the files kept beside the sources, by name.
fn starting_corpus(target: &Target) -> Result<Vec<Vec<u8>>, FuzzError> {
    let mut corpus = (target.samples)();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(corpus),
        Err(source) => return Err(file_error(&folder, source)),
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    for path in paths {
        corpus.push(fs::read(&path).map_err(|source| file_error(&path, source))?);
    }
    Ok(corpus)
}

struct Run<'a> {
    target: &'static Target,
    plan: &'a Plan,
    rng: Rng,
    corpus: Vec<Vec<u8>>,
    marks: BTreeSet<u64>,
    inputs: u64,
    current: Current,
    watchdog: Watchdog,
}

impl<'a> Run<'a> {
    fn start(target: &'static Target, plan: &'a Plan) -> Result<Self, FuzzError> {
        let current = Current::create(&plan.folder, target.name, plan.seed)?;
        Ok(Self {
            target,
            plan,
            rng: Rng::new(plan.seed),
            corpus: Vec::new(),
            marks: BTreeSet::new(),
            inputs: 0,
            watchdog: Watchdog::start(target.name, plan.seed, current.path.clone()),
            current,
        })
    }

    fn next_input(&mut self) -> Vec<u8> {
        // Half of the parents come from the newest quarter: what got further is followed first.
        let len = self.corpus.len();
        let newest = if self.rng.once_in(2) { len / 4 } else { len };
        let parent = len - 1 - self.rng.below(newest).min(len - 1);
        let donor = self.rng.below(len);
        let (parent, donor) = (&self.corpus[parent], &self.corpus[donor]);
        mutated(
            &mut self.rng,
            self.target.form,
            self.target.tokens,
            parent,
            donor,
        )
    }

    /// Whether the input has an outcome that was not seen before.
    fn try_input(&mut self, input: &[u8]) -> Result<bool, FuzzError> {
        self.inputs += 1;
        self.current.record(input)?;
        let judged = self.watchdog.watch(|| judge(self.target, input));
        let outcome = judged.map_err(|fault| self.save(fault, input))?;
        let news = outcome
            .marks()
            .iter()
            .filter(|mark| self.marks.insert(**mark));
        Ok(news.count() > 0)
    }

    fn save(&self, fault: Fault, input: &[u8]) -> FuzzError {
        let (name, seed) = (self.target.name, self.plan.seed);
        let path = self.plan.folder.join(format!("{name}-{seed}.bin"));
        if let Err(source) = fs::write(&path, input) {
            return file_error(&path, source);
        }
        self.current.remove();
        let finding = Finding {
            target: name,
            seed,
            fault,
            input: input.to_vec(),
            path,
        };
        FuzzError::Finding(Box::new(finding))
    }
}

/// The input being tried, on disk before it is tried: a stack overflow or an abort leaves it there.
struct Current {
    file: File,
    path: PathBuf,
    len: std::cell::Cell<usize>,
}

impl Current {
    fn create(folder: &Path, target: &str, seed: u64) -> Result<Self, FuzzError> {
        fs::create_dir_all(folder).map_err(|source| file_error(folder, source))?;
        let path = folder.join(format!("{target}-{seed}.current"));
        let file = File::create(&path).map_err(|source| file_error(&path, source))?;
        Ok(Self {
            file,
            path,
            len: 0.into(),
        })
    }

    fn record(&self, input: &[u8]) -> Result<(), FuzzError> {
        let mut written = self.file.write_all_at(input, 0);
        if input.len() < self.len.replace(input.len()) {
            written = written.and_then(|()| self.file.set_len(input.len() as u64));
        }
        written.map_err(|source| file_error(&self.path, source))
    }

    fn remove(&self) {
        fs::remove_file(&self.path).ok();
    }
}

fn judge(target: &Target, input: &[u8]) -> Result<Outcome, Fault> {
    let (outcome, mut cpu, held) = measure(target, input)?;
    for _ in 1..SLOW_RUNS {
        if cpu > CPU_MAX {
            cpu = cpu.min(measure(target, input)?.1);
        }
    }
    if cpu > CPU_MAX {
        return Err(Fault::Slow {
            milliseconds: cpu.as_millis(),
        });
    }
    let allowed = target.memory_base + MEMORY_PER_OCTET * input.len();
    if held > allowed {
        return Err(Fault::Memory { held, allowed });
    }
    Ok(outcome)
}

fn measure(target: &Target, input: &[u8]) -> Result<(Outcome, Duration, usize), Fault> {
    let before = thread_time();
    let guarded = || catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (result, held) = peak_of(guarded);
    let cpu = thread_time().saturating_sub(before);
    match result {
        Ok(outcome) => Ok((outcome, cpu, held)),
        Err(panic) => Err(Fault::Panic {
            message: message_of(panic.as_ref()),
        }),
    }
}

/// Processor time of this thread: what other programs do on the machine does not count.
fn thread_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "with something that is no text".to_owned())
}

fn file_error(path: &Path, source: io::Error) -> FuzzError {
    FuzzError::File {
        path: path.to_owned(),
        source,
    }
}
