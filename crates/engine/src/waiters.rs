//! Requests that wait for a record to change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

/// Waiting requests for one record; more are told the present state at once.
const WAITERS_PER_RECORD_MAX: usize = 64;

/// Who waits for which record number.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    waiting: Mutex<HashMap<i64, Vec<oneshot::Sender<()>>>>,
}

/// A registration; it becomes ready at the next change after it was made.
#[derive(Debug)]
pub(crate) struct Wait(Option<oneshot::Receiver<()>>);

impl Waiters {
    /// Registers interest. Register first, then look at the record: a change between the two is not missed.
    pub(crate) fn register(&self, record: i64) -> Wait {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let line = waiting.entry(record).or_default();
        line.retain(|sender| !sender.is_closed());
        if line.len() >= WAITERS_PER_RECORD_MAX {
            return Wait(None);
        }
        let (sender, receiver) = oneshot::channel();
        line.push(sender);
        Wait(Some(receiver))
    }

    /// Wakes everyone who waits for the record.
    pub(crate) fn wake(&self, record: i64) {
        let line = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&record);
        for sender in line.into_iter().flatten() {
            // Whoever stopped waiting does not mind.
            let _ = sender.send(());
        }
    }

    /// Forgets a record that nobody waits for any more.
    pub(crate) fn tidy(&self, record: i64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = waiting.get_mut(&record) {
            line.retain(|sender| !sender.is_closed());
            if line.is_empty() {
                waiting.remove(&record);
            }
        }
    }
}

impl Wait {
    /// Waits for the change, at most this long.
    pub(crate) async fn at_most(self, limit: std::time::Duration) {
        if let Some(receiver) = self.0 {
            let _ = tokio::time::timeout(limit, receiver).await;
        }
    }
}
