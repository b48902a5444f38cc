//! Changes waiting for the writer: two lanes under one lock.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chancery_authority::store::Lane;
use chancery_authority::{Change, Outcome, StoreError};
use tokio::sync::oneshot;

/// Ordinary changes that may wait; beyond this the caller is told to come back (law 8). At 5,000 changes a second this is
/// under a second of work.
const ORDINARY_MAX: usize = 4096;

/// Urgent changes that may wait. A caller that revokes a million certificates has to wait for room, not for issuance.
const URGENT_MAX: usize = 16384;

/// Changes in one transaction. More would make the first wait noticeably for the last.
pub(crate) const BATCH_MAX: usize = 256;

/// Time that those who are about to ask for a commit get to do so, once another has asked.
const LET_COME: Duration = Duration::from_micros(500);

/// A change and who waits for its outcome.
pub(crate) struct Pending {
    pub(crate) change: Change,
    pub(crate) answer: oneshot::Sender<Result<Outcome, StoreError>>,
}

/// The queue; shared by all callers and the writer thread.
#[derive(Default)]
pub(crate) struct Queue {
    lanes: Mutex<Lanes>,
    filled: Condvar,
}

#[derive(Default)]
struct Lanes {
    urgent: VecDeque<Pending>,
    ordinary: VecDeque<Pending>,
    closed: bool,
}

impl Lanes {
    fn len(&self) -> usize {
        self.urgent.len() + self.ordinary.len()
    }
}

impl Queue {
    /// Puts a change in line.
    pub(crate) fn push(
        &self,
        change: Change,
    ) -> Result<oneshot::Receiver<Result<Outcome, StoreError>>, StoreError> {
        let (answer, outcome) = oneshot::channel();
        let lane = change.kind().lane();
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if lanes.closed {
            return Err(StoreError::Unavailable("it is shutting down".to_owned()));
        }
        let (line, max) = match lane {
            Lane::Urgent => (&mut lanes.urgent, URGENT_MAX),
            Lane::Ordinary => (&mut lanes.ordinary, ORDINARY_MAX),
        };
        if line.len() >= max {
            return Err(StoreError::Busy);
        }
        line.push_back(Pending { change, answer });
        drop(lanes);
        self.filled.notify_one();
        Ok(outcome)
    }

    /// Waits for changes and takes what has queued, urgent ones first. Empty: the queue was closed and is drained.
    pub(crate) fn take(&self, batch: &mut Vec<Pending>) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        while lanes.urgent.is_empty() && lanes.ordinary.is_empty() && !lanes.closed {
            lanes = self
                .filled
                .wait(lanes)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !lanes.closed {
            lanes = self.let_more_come(lanes);
        }
        while batch.len() < BATCH_MAX {
            let Some(next) = lanes.urgent.pop_front() else {
                break;
            };
            batch.push(next);
        }
        while batch.len() < BATCH_MAX {
            let Some(next) = lanes.ordinary.pop_front() else {
                break;
            };
            batch.push(next);
        }
    }

    /// Steps aside for threads that could run now, as long as each time one of them brings a change: they share the commit.
    /// No timer runs, so where no other thread is ready this takes a microsecond.
    fn let_more_come<'l>(&'l self, mut lanes: MutexGuard<'l, Lanes>) -> MutexGuard<'l, Lanes> {
        let started = Instant::now();
        loop {
            let before = lanes.len();
            drop(lanes);
            std::thread::yield_now();
            lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
            if lanes.len() == before || lanes.len() >= BATCH_MAX || started.elapsed() > LET_COME {
                return lanes;
            }
        }
    }

    /// Accepts nothing more and lets go of what waits: nobody is left to take it.
    pub(crate) fn abandon(&self) {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        lanes.closed = true;
        lanes.urgent.clear();
        lanes.ordinary.clear();
    }

    /// Accepts nothing more; the writer ends when it has drained the lanes.
    pub(crate) fn close(&self) {
        self.lanes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed = true;
        self.filled.notify_all();
    }
}
