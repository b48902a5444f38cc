use std::path::PathBuf;
use std::process;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An input that takes longer will never end.
const TIME_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ends the process when a target does not come back: nothing else could. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Watchdog {
    since: Arc<Mutex<Option<Instant>>>,
    _alive: Sender<()>,
}

impl Watchdog {
    /// Watches the runs of `target`, whose current input is in the file `path`.
    pub(super) fn start(target: &'static str, seed: u64, path: PathBuf) -> Self {
        let since = Arc::new(Mutex::new(None::<Instant>));
        let (alive, ended) = channel();
        let watched = Arc::clone(&since);
        std::thread::spawn(move || {
            while ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
                let since = *watched.lock().unwrap_or_else(PoisonError::into_inner);
                if since.is_some_and(|since| since.elapsed() > TIME_MAX) {
                    let limit = TIME_MAX.as_secs();
                    eprintln!(
                        "{target}: seed {seed}: no end after {limit} s; the input is in {path:?}"
                    );
                    process::exit(1);
                }
            }
        });
        Self {
            since,
            _alive: alive,
        }
    }

    pub(super) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        self.set(Some(Instant::now()));
        let result = work();
        self.set(None);
        result
    }

    fn set(&self, since: Option<Instant>) {
        *self.since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }
}
