use std::time::Duration;

use crate::AgentError;

/// The first wait where the CA names none; each later one is twice as long, up to the longest.
const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// The longest wait that a CA gets by asking for it.
const WISH_MAX: Duration = Duration::from_secs(60);
/// All waits of one order together. Then the order is left for the next run, which finds it.
const TOTAL_MAX: Duration = Duration::from_secs(300);
/// Answers lost in a row.
const LOST_MAX: u32 = 3;

/// How fast a CA is asked again, and how often.
#[derive(Debug)]
pub(crate) struct Pace {
    next: Duration,
    total: Duration,
    lost: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            next: FIRST,
            total: Duration::ZERO,
            lost: 0,
        }
    }
}

impl Pace {
    /// An answer came.
    pub(crate) fn answered(&mut self) {
        self.lost = 0;
    }

    /// How long to wait before asking again whether `what` is done.
    pub(crate) fn wait(
        &mut self,
        what: &'static str,
        wish: Option<Duration>,
    ) -> Result<Duration, AgentError> {
        let own = self.next;
        self.next = (own * 2).min(LONGEST);
        let wait = match wish {
            Some(wish) if !wish.is_zero() => wish.min(WISH_MAX),
            _ => own,
        };
        if self.total + wait > TOTAL_MAX {
            return Err(AgentError::Stuck {
                what,
                waited: self.total,
            });
        }
        self.total += wait;
        Ok(wait)
    }

    /// How long to wait before asking again for an answer that was lost; `None` when it is time to give up.
    pub(crate) fn lost(&mut self, wish: Option<Duration>) -> Option<Duration> {
        self.lost += 1;
        if self.lost > LOST_MAX {
            return None;
        }
        self.wait("an answer", wish).ok()
    }
}
