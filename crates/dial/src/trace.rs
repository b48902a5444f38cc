use std::net::SocketAddr;

/// Steps kept of one undertaking; what would come after is dropped. Ten redirects of hostile names stay below it.
const STEPS_MAX: usize = 96;

/// What was asked and dialled on the way, in order: the evidence behind a success and the "why?" of a failure.
///
/// It is lent to each step, so that it holds what happened also where a step fails or runs out of time.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Trace {
    steps: Vec<Step>,
}

/// One entry of a [`Trace`]. Texts are bounded, and never hold the contents of TXT records or bodies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A question to a resolver.
    Asked {
        /// Name and type, as `a.test A`.
        question: String,
        /// Records in short, or what came in their place.
        answer: String,
    },
    /// An address that was dialled or refused.
    Dialled {
        /// The address and port.
        address: SocketAddr,
        /// `connected`, `refused by policy: a loopback address`, `connection refused`…
        result: String,
    },
}

impl Trace {
    /// The steps so far, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Takes the steps out.
    #[must_use]
    pub fn into_steps(self) -> Vec<Step> {
        self.steps
    }

    pub(crate) fn asked(&mut self, question: String, answer: String) {
        self.push(Step::Asked { question, answer });
    }

    pub(crate) fn dialled(&mut self, address: SocketAddr, result: String) {
        self.push(Step::Dialled { address, result });
    }

    pub(crate) fn append(&mut self, other: Self) {
        for step in other.steps {
            self.push(step);
        }
    }

    fn push(&mut self, step: Step) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push(step);
        }
    }
}
