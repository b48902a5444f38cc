use std::time::{Duration, Instant};

use chancery_authority::proof::{Observation, ProofFailure};
use chancery_dial::{Step, Trace};

/// Observations kept of one assignment.
const OBSERVATIONS_MAX: usize = 128;

/// What was seen in one assignment, in order and bounded.
#[derive(Debug)]
pub(crate) struct Observations {
    began: Instant,
    all: Vec<Observation>,
}

impl Default for Observations {
    /// Nothing yet; times are counted from now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            all: Vec::new(),
        }
    }
}

impl Observations {
    pub(crate) fn add(&mut self, observation: Observation) {
        if self.all.len() < OBSERVATIONS_MAX {
            self.all.push(observation);
        }
    }

    pub(crate) fn add_trace(&mut self, trace: Trace) {
        for (at, step) in trace.into_timed(self.began) {
            let at_ms = Some(millis(at));
            self.add(match step {
                Step::Asked { question, answer } => Observation::Asked {
                    question,
                    answer,
                    at_ms,
                },
                Step::Dialled { address, result } => Observation::Dialled {
                    address: address.to_string(),
                    result,
                    at_ms,
                },
            });
        }
    }

    /// Notes an answer by its status and length.
    pub(crate) fn add_answer(&mut self, url: String, status: u16, body_octets: usize) {
        let body_octets = u32::try_from(body_octets).unwrap_or(u32::MAX);
        self.add(Observation::Fetched {
            url,
            status,
            body_octets,
            at_ms: Some(millis(self.began.elapsed())),
        });
    }

    /// What was seen before a failure, and then what the failure itself saw.
    pub(crate) fn before(&mut self, mut failure: ProofFailure) -> ProofFailure {
        let later = std::mem::take(&mut failure.observations);
        for observation in later {
            self.add(observation);
        }
        failure.observations = std::mem::take(&mut self.all);
        failure
    }

    pub(crate) fn into_vec(self) -> Vec<Observation> {
        self.all
    }
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}
