use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Steps kept of one undertaking; what would come after is dropped. Ten redirects of hostile names stay below it.
const STEPS_MAX: usize = 96;

/// What was asked and dialled on the way, in order: the evidence behind a success and the "why?" of a failure.
///
/// It is lent to each step, so that it holds what happened also where a step fails or runs out of time.
#[derive(Debug, Clone)]
pub struct Trace {
    began: Instant,
    steps: Vec<(Duration, Step)>,
}

impl Default for Trace {
    /// Nothing yet; the time of each step is counted from now.
    fn default() -> Self {
        Self {
            began: Instant::now(),
            steps: Vec::new(),
        }
    }
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
    pub fn steps(&self) -> impl ExactSizeIterator<Item = &Step> {
        self.steps.iter().map(|(_, step)| step)
    }

    /// Takes the steps out, each with the time at which it ended, counted from `since`.
    pub fn into_timed(self, since: Instant) -> impl Iterator<Item = (Duration, Step)> {
        let late = self.began.saturating_duration_since(since);
        let timed = move |(at, step)| (late.saturating_add(at), step);
        self.steps.into_iter().map(timed)
    }

    pub(crate) fn asked(&mut self, question: String, answer: String) {
        self.push(Step::Asked { question, answer });
    }

    pub(crate) fn dialled(&mut self, address: SocketAddr, result: String) {
        self.push(Step::Dialled { address, result });
    }

    pub(crate) fn append(&mut self, other: Self) {
        for (at, step) in other.into_timed(self.began) {
            self.push_at(at, step);
        }
    }

    fn push(&mut self, step: Step) {
        self.push_at(self.began.elapsed(), step);
    }

    fn push_at(&mut self, at: Duration, step: Step) {
        if self.steps.len() < STEPS_MAX {
            self.steps.push((at, step));
        }
    }
}
