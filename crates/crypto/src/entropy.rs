/// A source of randomness, passed in wherever a value must be unpredictable, so that tests can repeat it.
pub trait Entropy: Send + Sync {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, out: &mut [u8]) {
        // A CA that has lost its randomness must not go on: no caller could handle this better.
        if aws_lc_rs::rand::fill(out).is_err() {
            std::process::abort();
        }
    }
}
