//! Fuzzing on a stable compiler: targets that are plain functions of bytes, and a driver that feeds them with
//! mutated good samples.
//!
//! A target hands the bytes to the product's own reader and checks what must hold if they are accepted (what is
//! written again reads as the same). It tells the driver only an [`Outcome`]: which error, or which kind of
//! acceptance. An input with an outcome that was not seen before joins the corpus, so that mutation goes on
//! from where it got furthest; that is all the feedback there is without instrumentation.
//!
//! A run is a finding when the target panics, takes more than 200 ms of processor time, takes more than 20 s,
//! or holds far more memory than its input is long. The input is then in a file, and [`replay`] runs it again.
//! A seed repeats a run: samples are made without randomness, the corpus on disk is read in order.
//!
//! The samples are written by the product's own writers; the folder `corpus/TARGET` beside this crate's sources
//! adds what they do not write (other algorithms, other programs' output, inputs that once were findings).

mod certificate;
mod crl;
mod csr;
mod der_tree;
mod dns;
mod driver;
mod json;
mod jws;
mod memory;
mod mutator;
mod outcome;
mod pem;
mod rng;
mod samples;
mod watchdog;

pub use driver::{Fault, Finding, FuzzError, Plan, Report, fuzz, replay};
pub use memory::CountingAllocator;
pub use outcome::Outcome;

/// Something that reads bytes from outside.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name on the command line and in file names.
    pub name: &'static str,
    /// The reader under test.
    pub run: fn(&[u8]) -> Outcome,
    /// Good inputs.
    pub samples: fn() -> Vec<Vec<u8>>,
    /// Words of the format, which mutation inserts.
    pub tokens: &'static [&'static [u8]],
    /// How the format is built, where mutation can use it.
    pub form: Form,
    /// Bytes of memory that the reader may hold besides a multiple of its input.
    pub memory_base: usize,
}

/// What mutation knows of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Nothing.
    Bytes,
    /// Nested tag-length-value (X.690): elements can be moved with the lengths around them kept right.
    Der,
}

/// Enough for errors, scratch buffers and what is made once.
const MEMORY_BASE: usize = 1024 * 1024;

/// All targets, in the order in which they are listed.
pub const TARGETS: [Target; 7] = [
    jws::TARGET,
    json::TARGET,
    csr::TARGET,
    certificate::TARGET,
    crl::TARGET,
    pem::TARGET,
    dns::TARGET,
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests;
