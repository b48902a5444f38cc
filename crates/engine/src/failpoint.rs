//! Named places at which a kill test lets the server die: before and after each kind of change becomes durable. Only a
//! build with the feature `failpoints` has them.

use chancery_authority::ChangeKind;

/// Where in the life of a change.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// It is decided, and the store has not seen it.
    Before,
    /// It is durable, and nobody has been told.
    After,
}

/// Aborts the process here if `CHANCERY_FAILPOINT` is `before-Kind` or `after-Kind`, or at the `n`th time if it is
/// `before-Kind@n`: no destructor runs, as with `kill -9`.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(moment: Moment, kind: ChangeKind) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("CHANCERY_FAILPOINT").ok()?;
        let (name, times) = text.split_once('@').unwrap_or((&text, "1"));
        Some((name.to_owned(), times.parse().ok()?))
    });
    let Some((wanted, times)) = wanted else {
        return;
    };
    let here = match moment {
        Moment::Before => format!("before-{kind:?}"),
        Moment::After => format!("after-{kind:?}"),
    };
    if *wanted == here && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *times {
        std::process::abort();
    }
}

/// Nothing, in every build that is not for kill tests.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn failpoint(_: Moment, _: ChangeKind) {}
