//! What a CPU-second is worth at the moment: the time of a P-256 signature on the cores that the load runs on.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::Duration;

use chancery_crypto::{Curve, KeyKind, PrivateKey, SignatureForm};
use rustix::time::{ClockId, clock_gettime};

use crate::error::BenchError;

/// The signature time of the core that results are converted to.
pub(crate) const REFERENCE_MICROS: f64 = 20.0;
/// A few times a second: often enough to follow the machine, too rarely to be a load (0.3 % of a core).
const SAMPLE_EVERY: Duration = Duration::from_millis(200);
/// Not timed: the first ones find cold caches.
const SIGNATURES_BEFORE: usize = 4;
const SIGNATURES_TIMED: usize = 24;
/// More than the longest measured window has.
const SAMPLES_MAX: usize = 100_000;

/// A thread that samples until it is asked for the result.
#[derive(Debug)]
pub(crate) struct Reference {
    thread: JoinHandle<Vec<f64>>,
    end: mpsc::Sender<()>,
}

impl Reference {
    /// Starts sampling.
    ///
    /// # Errors
    /// [`BenchError`] when there is no key or no thread.
    pub(crate) fn start() -> Result<Self, BenchError> {
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).map_err(|error| {
            BenchError::Material {
                what: "the reference key",
                detail: error.to_string(),
            }
        })?;
        let (end, ended) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("reference".to_owned())
            .spawn(move || sample_until(&key, &ended))
            .map_err(BenchError::Runtime)?;
        Ok(Self { thread, end })
    }

    /// Ends sampling: the CPU time of a signature in microseconds; `None` if the library could not sign.
    ///
    /// It is the mean, because that is what the server's work costs too: a core is now fast, now slowed down by its
    /// neighbours, and a median would jump from one to the other.
    pub(crate) fn finish(self) -> Option<f64> {
        drop(self.end);
        let samples = self.thread.join().unwrap_or_default();
        (!samples.is_empty()).then(|| samples.iter().sum::<f64>() / samples.len() as f64)
    }
}

fn sample_until(key: &PrivateKey, ended: &mpsc::Receiver<()>) -> Vec<f64> {
    let mut samples = Vec::new();
    while samples.len() < SAMPLES_MAX {
        samples.extend(signature_micros(key));
        match ended.recv_timeout(SAMPLE_EVERY) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    samples
}

/// In CPU time of this thread, not of the wall: the server's time is counted in the same way, and waiting for a core
/// costs neither.
fn signature_micros(key: &PrivateKey) -> Option<f64> {
    let sign = || {
        key.sign(SignatureForm::Fixed, b"what does a signature cost here?")
            .ok()
    };
    for _ in 0..SIGNATURES_BEFORE {
        sign()?;
    }
    let before = thread_micros();
    for _ in 0..SIGNATURES_TIMED {
        std::hint::black_box(sign()?);
    }
    Some((thread_micros() - before) / SIGNATURES_TIMED as f64)
}

fn thread_micros() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e6 + now.tv_nsec as f64 / 1e3
}

/// What `per_cpu_second` would be on a core that signs in [`REFERENCE_MICROS`], measured on one that signs in
/// `signature_micros`.
pub(crate) fn per_reference_second(per_cpu_second: f64, signature_micros: f64) -> f64 {
    per_cpu_second * signature_micros / REFERENCE_MICROS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_half_as_fast_as_the_reference_did_twice_the_work_that_it_seems() {
        assert_eq!(per_reference_second(100.0, 40.0), 200.0);
        assert_eq!(per_reference_second(100.0, 20.0), 100.0);
    }

    #[test]
    fn a_signature_takes_some_time_and_sampling_ends_when_asked() {
        let micros =
            Reference::start().and_then(|reference| reference.finish().ok_or(BenchError::Nothing));
        let micros = micros.expect("at least one sample");
        assert!(micros > 1.0 && micros < 100_000.0, "{micros} µs");
    }
}
