use chancery_authority::proof::{Observation, ProofFailure};
use chancery_dial::{Step, Trace};

/// Observations kept of one assignment.
const OBSERVATIONS_MAX: usize = 128;

/// What was seen in one assignment, in order and bounded.
#[derive(Debug, Default)]
pub(crate) struct Observations(Vec<Observation>);

impl Observations {
    pub(crate) fn add(&mut self, observation: Observation) {
        if self.0.len() < OBSERVATIONS_MAX {
            self.0.push(observation);
        }
    }

    pub(crate) fn add_trace(&mut self, trace: Trace) {
        for step in trace.into_steps() {
            self.add(match step {
                Step::Asked { question, answer } => Observation::Asked { question, answer },
                Step::Dialled { address, result } => Observation::Dialled {
                    address: address.to_string(),
                    result,
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
        });
    }

    /// What was seen before a failure, and then what the failure itself saw.
    pub(crate) fn before(&mut self, mut failure: ProofFailure) -> ProofFailure {
        let later = std::mem::take(&mut failure.observations);
        for observation in later {
            self.add(observation);
        }
        failure.observations = std::mem::take(&mut self.0);
        failure
    }

    pub(crate) fn into_vec(self) -> Vec<Observation> {
        self.0
    }
}
