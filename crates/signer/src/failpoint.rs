//! Named places at which a kill test lets the signer die. Only a build with the feature `failpoints` has them.

/// The places, in the order in which a batch passes them.
#[cfg(feature = "failpoints")]
pub const FAILPOINTS: [&str; 6] = [
    "before-intent",
    "after-intent-appended",
    "after-intent-synced",
    "after-signed",
    "after-signature-appended",
    "after-answer",
];

/// Aborts the process here if `CHANCERY_FAILPOINT` is `name`, or at the `n`th time if it is `name@n`.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(name: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static WANTED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static PASSED: AtomicU32 = AtomicU32::new(0);
    debug_assert!(FAILPOINTS.contains(&name));
    let wanted = WANTED.get_or_init(|| {
        let text = std::env::var("CHANCERY_FAILPOINT").ok()?;
        let (name, times) = text.split_once('@').unwrap_or((&text, "1"));
        Some((name.to_owned(), times.parse().ok()?))
    });
    if let Some((wanted, times)) = wanted
        && wanted == name
        && PASSED.fetch_add(1, Ordering::Relaxed) + 1 == *times
    {
        std::process::abort();
    }
}

/// Nothing, in every build that is not for kill tests.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn failpoint(_: &'static str) {}
