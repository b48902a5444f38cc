//! Waiting: with a deadline, and with a runtime for what goes on meanwhile.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};

/// Between two looks at something that cannot call back.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The runtime on which DNS, web host and connections live. A story itself is never on it, so it may block.
///
/// # Panics
/// When no threads can be started.
pub fn runtime() -> &'static Runtime {
    static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads for the servers beside the authority")
    });
    &RUNTIME
}

/// Looks again and again until there is something to see.
///
/// # Panics
/// When there is nothing `within` that time; the message names `what`.
pub fn eventually<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "{what}: not within {within:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}
