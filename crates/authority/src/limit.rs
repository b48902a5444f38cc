//! How often something may be asked for.
//!
//! A [`Rate`] is a bucket of `count` tokens that fills up within `per`. What is kept of a bucket is one instant, the time
//! at which it will be full again ([`Level`]), so that a million of them cost little and none needs a clock of its own.

use std::fmt;

use chancery_pki::San;

/// So many within so much time; all of them at once, if one likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    count: u32,
    per_secs: u32,
}

/// How full a bucket is: the instant at which it is full again, in milliseconds of Unix time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Level(i64);

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Accounts that one address makes. IPv6 addresses count by their /64.
    AccountsPerAddress,
    /// Orders of one account.
    OrdersPerAccount,
    /// Orders that have one name in them, whoever places them.
    OrdersPerName,
    /// Orders of one account for exactly the same names.
    OrdersPerExactSet,
    /// Failed validations of one name by one account.
    FailuresPerName,
}

/// The rates of everything that is limited; what has none is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// See [`Limited::AccountsPerAddress`].
    pub accounts_per_address: Option<Rate>,
    /// See [`Limited::OrdersPerAccount`].
    pub orders_per_account: Option<Rate>,
    /// See [`Limited::OrdersPerName`].
    pub orders_per_name: Option<Rate>,
    /// See [`Limited::OrdersPerExactSet`].
    pub orders_per_exact_set: Option<Rate>,
    /// See [`Limited::FailuresPerName`].
    pub failures_per_name: Option<Rate>,
}

/// Somebody has asked too often.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{limit}{}: at most {rate} are accepted; try again in {retry_after_secs} s", about(name.as_ref()))]
pub struct TooOften {
    /// What is limited.
    pub limit: Limited,
    /// How.
    pub rate: Rate,
    /// For which name, where it is one's.
    pub name: Option<San>,
    /// When the next one is accepted.
    pub retry_after_secs: u32,
}

fn about(name: Option<&San>) -> String {
    name.map_or_else(String::new, |name| format!(" for {name}"))
}

impl Rate {
    /// `count` within `per_secs`, both above zero.
    #[must_use]
    pub const fn new(count: u32, per_secs: u32) -> Option<Self> {
        if count == 0 || per_secs == 0 {
            return None;
        }
        Some(Self { count, per_secs })
    }

    /// Takes a token out of a bucket.
    ///
    /// # Errors
    /// The seconds until there is one, rounded up.
    pub fn take(self, level: Level, now_millis: i64) -> Result<Level, u32> {
        let whole = i64::from(self.per_secs).saturating_mul(1000);
        let each = (whole / i64::from(self.count)).max(1);
        // A clock that was wrong, or a rate that was wider, must not lock anybody out for longer than the rate says.
        let full_at = level.0.clamp(now_millis, now_millis.saturating_add(whole));
        let next = full_at.saturating_add(each);
        let over = next.saturating_sub(now_millis.saturating_add(whole));
        if over <= 0 {
            return Ok(Level(next));
        }
        let secs = over.saturating_add(999) / 1000;
        Err(u32::try_from(secs).unwrap_or(u32::MAX))
    }
}

impl Level {
    /// Whether the bucket is full, so that nothing need be kept of it.
    #[must_use]
    pub fn is_full(self, now_millis: i64) -> bool {
        self.0 <= now_millis
    }
}

impl Limited {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::AccountsPerAddress,
        Self::OrdersPerAccount,
        Self::OrdersPerName,
        Self::OrdersPerExactSet,
        Self::FailuresPerName,
    ];

    /// Its name in the configuration and in metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AccountsPerAddress => "accounts_per_address",
            Self::OrdersPerAccount => "orders_per_account",
            Self::OrdersPerName => "orders_per_name",
            Self::OrdersPerExactSet => "orders_per_exact_set",
            Self::FailuresPerName => "failures_per_name",
        }
    }
}

impl Rates {
    /// No limits at all.
    pub const NONE: Self = Self {
        accounts_per_address: None,
        orders_per_account: None,
        orders_per_name: None,
        orders_per_exact_set: None,
        failures_per_name: None,
    };

    /// The rate of one of them.
    #[must_use]
    pub fn of(&self, limited: Limited) -> Option<Rate> {
        match limited {
            Limited::AccountsPerAddress => self.accounts_per_address,
            Limited::OrdersPerAccount => self.orders_per_account,
            Limited::OrdersPerName => self.orders_per_name,
            Limited::OrdersPerExactSet => self.orders_per_exact_set,
            Limited::FailuresPerName => self.failures_per_name,
        }
    }
}

impl fmt::Display for Limited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccountsPerAddress => "too many new accounts from this address",
            Self::OrdersPerAccount => "too many orders of this account",
            Self::OrdersPerName => "too many orders",
            Self::OrdersPerExactSet => "too many orders of this account for exactly these names",
            Self::FailuresPerName => "too many failed validations by this account",
        })
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, secs) = (self.count, self.per_secs);
        match secs {
            secs if secs % 86_400 == 0 => write!(f, "{count}/{}d", secs / 86_400),
            secs if secs % 3600 == 0 => write!(f, "{count}/{}h", secs / 3600),
            secs if secs % 60 == 0 => write!(f, "{count}/{}m", secs / 60),
            secs => write!(f, "{count}/{secs}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u32, per_secs: u32) -> Rate {
        Rate::new(count, per_secs).expect("a rate")
    }

    #[test]
    fn all_at_once_then_one_at_a_time() {
        let (rate, now) = (rate(3, 60), 1_000_000);
        let mut level = Level::default();
        for _ in 0..3 {
            level = rate.take(level, now).expect("there is one");
        }
        assert_eq!(rate.take(level, now), Err(20));
        assert_eq!(rate.take(level, now + 19_001), Err(1));
        let level = rate.take(level, now + 20_000).expect("one has come back");
        assert_eq!(rate.take(level, now + 20_000), Err(20));
        assert!(level.is_full(now + 80_000) && !level.is_full(now + 79_000));
    }

    #[test]
    fn a_clock_that_was_ahead_locks_nobody_out_for_longer_than_the_rate_says() {
        let rate = rate(1, 60);
        let level = rate.take(Level::default(), i64::MAX / 2).expect("one");
        assert_eq!(rate.take(level, 0), Err(60));
    }

    #[test]
    fn nothing_is_no_rate() {
        assert_eq!(Rate::new(0, 60), None);
        assert_eq!(Rate::new(1, 0), None);
        let shown = [(5, 60), (5, 90), (5, 7200), (1, 86_400)].map(|(n, s)| rate(n, s).to_string());
        assert_eq!(shown, ["5/1m", "5/90s", "5/2h", "1/1d"]);
    }

    proptest! {
        /// However requests are spread, no window of the rate's length sees more than twice its count (what was saved up
        /// before it, and what came back within it), and whoever waits as told is accepted.
        #[test]
        fn no_window_sees_more_than_was_saved_and_came_back(
            count in 1_u32..20,
            per_secs in 1_u32..100,
            steps in proptest::collection::vec(0_i64..5_000, 1..200),
        ) {
            let rate = rate(count, per_secs);
            let whole = i64::from(per_secs) * 1000;
            let (mut now, mut level, mut taken) = (0, Level::default(), Vec::new());
            for step in steps {
                now += step;
                match rate.take(level, now) {
                    Ok(next) => {
                        level = next;
                        taken.push(now);
                    }
                    Err(secs) => {
                        prop_assert!(rate.take(level, now + i64::from(secs) * 1000).is_ok());
                    }
                }
                let within = taken.iter().filter(|at| **at > now - whole).count();
                prop_assert!(within <= 2 * count as usize + 1, "{within}");
            }
        }
    }
}
