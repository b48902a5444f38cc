//! Up to where the signer's journal is reflected in the store.
//!
//! Every call to the signer leaves a ticket with the highest sequence that was answered when it was made: whatever the call
//! journals lies above that. The mark may move to the lowest ticket that is still open, and no further.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by all calls to the signer.
#[derive(Debug, Default, Clone)]
pub(crate) struct JournalMark(Arc<Mutex<Open>>);

#[derive(Debug, Default)]
struct Open {
    /// The highest sequence that the signer answered with.
    highest: u64,
    /// Tickets by number, with the highest sequence at their time.
    tickets: BTreeMap<u64, u64>,
    next_ticket: u64,
}

/// A call to the signer whose result is not in the store yet.
#[derive(Debug)]
pub(crate) struct Ticket {
    mark: JournalMark,
    number: u64,
}

impl JournalMark {
    /// Starts at a sequence up to which everything was reconciled.
    pub(crate) fn at(sequence: u64) -> Self {
        let mark = Self::default();
        mark.lock().highest = sequence;
        mark
    }

    /// To be taken before the signer is asked, and dropped when the store has the result.
    pub(crate) fn ticket(&self) -> Ticket {
        let mut open = self.lock();
        let number = open.next_ticket;
        open.next_ticket += 1;
        let highest = open.highest;
        open.tickets.insert(number, highest);
        Ticket {
            mark: self.clone(),
            number,
        }
    }

    /// Everything up to here is in the store.
    pub(crate) fn reflected(&self) -> u64 {
        let open = self.lock();
        open.tickets.values().min().copied().unwrap_or(open.highest)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The signer answered with this sequence.
    pub(crate) fn answered(&self, sequence: u64) {
        let mut open = self.mark.lock();
        open.highest = open.highest.max(sequence);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let number = self.number;
        self.mark.lock().tickets.remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_never_passes_a_call_whose_result_is_not_stored() {
        let mark = JournalMark::at(10);
        let first = mark.ticket();
        let second = mark.ticket();
        second.answered(14);
        drop(second);
        assert_eq!(
            mark.reflected(),
            10,
            "the first call may have journalled 11 to 13"
        );
        let third = mark.ticket();
        first.answered(12);
        drop(first);
        assert_eq!(mark.reflected(), 14, "the third call journals above 14");
        third.answered(15);
        drop(third);
        assert_eq!(mark.reflected(), 15);
    }
}
