//! Named places at which a kill test lets the agent die. Only a build with the feature `failpoints` has them.

/// The places, in the order in which a first certificate passes them.
pub const FAILPOINTS: [&str; 14] = [
    "account-key-written",
    "account-registered",
    "account-recorded",
    "order-prepared",
    "order-placed",
    "order-recorded",
    "challenge-presented",
    "challenge-answered",
    "before-finalize",
    "after-finalize",
    "chain-recorded",
    "certificate-recorded",
    "generation-written",
    "live-switched",
];

/// Aborts the process here if `CHANCERY_FAILPOINT` is `name`: no destructor runs, as with `kill -9`.
#[cfg(feature = "failpoints")]
pub(crate) fn failpoint(name: &'static str) {
    debug_assert!(FAILPOINTS.contains(&name), "{name} is not in the list");
    if std::env::var_os("CHANCERY_FAILPOINT").is_some_and(|wanted| wanted == name) {
        std::process::abort();
    }
}

/// Nothing, in every build that is not for kill tests.
#[cfg(not(feature = "failpoints"))]
pub(crate) fn failpoint(_: &'static str) {}
