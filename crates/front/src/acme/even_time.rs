//! What is another's and what does not exist are refused in the same words, and after the same time (failures B9).

use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// From the proof of a request to its refusal: several times as long as the look for a record takes, found or not.
const DELAY: Duration = Duration::from_millis(3);

/// A refusal that waits, and until when.
type Held = (Instant, oneshot::Sender<()>);

/// Holds refusals back until their time.
///
/// A thread of its own looks at the clock. The timers of the runtime fire whole milliseconds after its threads went to
/// sleep, which tells to the microsecond how long they had worked before.
#[derive(Debug)]
pub(crate) struct EvenTime {
    queue: Sender<Held>,
}

impl EvenTime {
    /// Starts the thread; it ends when this is dropped.
    pub(crate) fn start() -> Self {
        let (queue, held) = mpsc::channel::<Held>();
        thread::spawn(move || {
            for (until, release) in held {
                thread::sleep(until.saturating_duration_since(Instant::now()));
                // Nobody waits any more where the client has gone.
                let _ = release.send(());
            }
        });
        Self { queue }
    }

    /// Waits until a request that was proven at this time may be refused.
    pub(crate) async fn hold(&self, proven: Instant) {
        let (release, released) = oneshot::channel();
        if self.queue.send((proven + DELAY, release)).is_ok() {
            let _ = released.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn b9_a_refusal_comes_at_its_time_however_long_the_work_took() {
        let even = EvenTime::start();
        for work in [0, 500, 2500] {
            let proven = Instant::now();
            thread::sleep(Duration::from_micros(work));
            even.hold(proven).await;
            let taken = proven.elapsed();
            assert!(taken >= DELAY, "{work} us of work: {taken:?}");
        }
        // Late work is not held back further.
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1));
        let started = Instant::now();
        even.hold(long_ago.expect("the machine runs for a second"))
            .await;
        assert!(started.elapsed() < Duration::from_secs(1));
    }
}
