use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chancery_simulate::Tokens;

use crate::client::Client;
use crate::flow::{Flow, Step};
use crate::pacing::Pacing;
use crate::tally::Tally;

/// Orders of one worker: a bound, far above what any run reaches.
const ORDERS_MAX: u64 = 100_000_000;
/// After a failure, so that a server that refuses everything is not measured as a fast one.
const FAILURE_PAUSE: Duration = Duration::from_millis(20);

/// What the workers do with what they see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Warmup,
    Measure,
    End,
}

/// What all workers of a run share.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    phase: AtomicU8,
    /// Orders that ended well; the watchdog looks at it.
    done: AtomicU64,
}

impl Shared {
    pub(crate) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Warmup,
            1 => Phase::Measure,
            _ => Phase::End,
        }
    }

    pub(crate) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
}

/// A tally that outlives its worker: one that hangs is dropped, and what it saw is kept.
pub(crate) type Slot = Arc<Mutex<Tally>>;

/// Orders one certificate after the other until the run ends.
pub(crate) async fn work(
    mut client: Client,
    tokens: Tokens,
    pacing: Pacing,
    shared: Arc<Shared>,
    slot: Slot,
) {
    let mut requests: Vec<(Step, Duration)> = Vec::with_capacity(64);
    let mut inspect = true;
    for _ in 0..ORDERS_MAX {
        if shared.phase() == Phase::End {
            return;
        }
        requests.clear();
        let mut flow = Flow {
            tokens: &tokens,
            pacing,
            requests: &mut requests,
            inspect,
        };
        let outcome = flow.order(&mut client).await;
        let failed = outcome.is_err();
        {
            let mut tally = slot.lock().unwrap_or_else(PoisonError::into_inner);
            tally.bad_nonces = client.bad_nonces;
            tally.reconnections = client.reconnections();
            match outcome {
                Ok(took) => {
                    inspect = false;
                    tally.orders_ever += 1;
                    shared.done.fetch_add(1, Ordering::Relaxed);
                    if shared.phase() == Phase::Measure {
                        tally.measured(took, &requests);
                    }
                }
                Err(failure) => tally.failed(failure.to_string()),
            }
        }
        if failed {
            tokio::time::sleep(FAILURE_PAUSE).await;
        }
    }
}
