//! The buckets of everything that is limited: in memory, bounded, and forgotten at a restart. A limiter that has lost what
//! it knew lets requests through; it never stops the server.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chancery_authority::limit::{Level, Limited, Rate, Rates, TooOften};
use chancery_authority::{AccountId, Refusal};
use chancery_pki::San;

use crate::{Engine, EngineError, OrderWish};

/// Buckets in one generation; two generations are at most about 20 MB.
const GENERATION_MAX: usize = 200_000;

/// All buckets, and how often each limit said no.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: Rates,
    hasher: RandomState,
    buckets: Mutex<Buckets>,
    refused: [AtomicU64; Limited::ALL.len()],
}

/// Two generations: when the younger is full, what the older held is forgotten, and its buckets are as good as full.
#[derive(Debug, Default)]
struct Buckets {
    young: HashMap<u64, Level>,
    old: HashMap<u64, Level>,
}

/// One bucket to take from.
struct Ask {
    limit: Limited,
    rate: Rate,
    key: u64,
    name: Option<San>,
}

/// A limit as operators see it.
#[derive(Debug, Clone)]
pub struct LimitLine {
    /// What is limited.
    pub limit: Limited,
    /// How; without one it is not.
    pub rate: Option<Rate>,
    /// Requests refused by it since the start.
    pub refused: u64,
}

impl Limits {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            rates,
            hasher: RandomState::new(),
            buckets: Mutex::default(),
            refused: Default::default(),
        }
    }

    pub(crate) fn lines(&self) -> Vec<LimitLine> {
        let line = |(limit, refused): (&Limited, &AtomicU64)| LimitLine {
            limit: *limit,
            rate: self.rates.of(*limit),
            refused: refused.load(Ordering::Relaxed),
        };
        Limited::ALL.iter().zip(&self.refused).map(line).collect()
    }

    fn ask(&self, limit: Limited, of: impl Hash, name: Option<&San>) -> Option<Ask> {
        let rate = self.rates.of(limit)?;
        let key = self.hasher.hash_one((limit, of));
        let name = name.cloned();
        Some(Ask {
            limit,
            rate,
            key,
            name,
        })
    }

    /// Takes from all of the buckets, or from none.
    fn take(&self, asks: &[Ask], now_millis: i64) -> Result<(), TooOften> {
        let mut buckets = self.lock();
        let mut levels = Vec::with_capacity(asks.len());
        for ask in asks {
            let level = buckets.level(ask.key);
            levels.push((ask.key, self.admit(ask, level, now_millis)?));
        }
        for (key, level) in levels {
            buckets.put(key, level);
        }
        Ok(())
    }

    /// Whether each of the buckets has something left; takes nothing.
    fn look(&self, asks: &[Ask], now_millis: i64) -> Result<(), TooOften> {
        let buckets = self.lock();
        for ask in asks {
            self.admit(ask, buckets.level(ask.key), now_millis)?;
        }
        Ok(())
    }

    fn admit(&self, ask: &Ask, level: Level, now_millis: i64) -> Result<Level, TooOften> {
        ask.rate.take(level, now_millis).map_err(|secs| {
            let position = Limited::ALL.iter().position(|it| *it == ask.limit);
            if let Some(counter) = position.and_then(|it| self.refused.get(it)) {
                counter.fetch_add(1, Ordering::Relaxed);
            }
            TooOften {
                limit: ask.limit,
                rate: ask.rate,
                name: ask.name.clone(),
                retry_after_secs: secs,
            }
        })
    }

    fn lock(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buckets {
    fn level(&self, key: u64) -> Level {
        let known = self.young.get(&key).or_else(|| self.old.get(&key));
        known.copied().unwrap_or_default()
    }

    fn put(&mut self, key: u64, level: Level) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, level);
    }
}

/// One subscriber's network: an IPv6 host has a /64 to itself.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::from([a, b, c, d, 0, 0, 0, 0])
            }
        },
    }
}

impl Engine {
    /// A new account is asked for from an address.
    pub(crate) fn limit_account(&self, from: IpAddr) -> Result<(), EngineError> {
        let limits = &self.limits;
        let ask = limits.ask(Limited::AccountsPerAddress, network(from), None);
        self.limited(|now| limits.take(&Vec::from_iter(ask), now))
    }

    /// An order is asked for. One that replaces a certificate is not counted (RFC 9773 §5), but names that have failed
    /// again and again are refused in it too.
    pub(crate) fn limit_order(
        &self,
        account: AccountId,
        wish: &OrderWish,
    ) -> Result<(), EngineError> {
        let limits = &self.limits;
        self.limit_failed(account, &wish.names)?;
        if wish.replaces.is_some() {
            return Ok(());
        }
        let set = (account, &wish.names);
        let of_names = wish
            .names
            .iter()
            .filter_map(|name| limits.ask(Limited::OrdersPerName, name, Some(name)));
        let mut asks = Vec::with_capacity(wish.names.len() + 2);
        asks.extend(limits.ask(Limited::OrdersPerAccount, account, None));
        asks.extend(limits.ask(Limited::OrdersPerExactSet, set, None));
        asks.extend(of_names);
        self.limited(|now| limits.take(&asks, now))
    }

    /// An order that was to replace a certificate was refused for it, and so is counted like any other.
    pub(crate) fn limit_refused_replacement(&self, account: AccountId) -> Result<(), EngineError> {
        let ask = self.limits.ask(Limited::OrdersPerAccount, account, None);
        self.limited(|now| self.limits.take(&Vec::from_iter(ask), now))
    }

    /// Names are to be proven that may have failed too often.
    pub(crate) fn limit_failed<'a>(
        &self,
        account: AccountId,
        names: impl IntoIterator<Item = &'a San>,
    ) -> Result<(), EngineError> {
        let failed = |name: &'a San| {
            let of = (account, name);
            self.limits.ask(Limited::FailuresPerName, of, Some(name))
        };
        let asks: Vec<_> = names.into_iter().filter_map(failed).collect();
        self.limited(|now| self.limits.look(&asks, now))
    }

    /// A name was not proven.
    pub(crate) fn count_failure(&self, account: AccountId, name: &San) {
        let of = (account, name);
        let ask = self.limits.ask(Limited::FailuresPerName, of, None);
        // An empty bucket stays empty.
        let _ = self
            .limits
            .take(&Vec::from_iter(ask), self.clock.now_millis());
    }

    /// The limits with their rates and what they refused.
    #[must_use]
    pub fn limits(&self) -> Vec<LimitLine> {
        self.limits.lines()
    }

    /// What the engine counted, in the Prometheus text format.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let mut out = self.metrics.render();
        out.push_str("# TYPE chancery_rate_limited_total counter\n");
        for line in self.limits() {
            let (limit, refused) = (line.limit.name(), line.refused);
            out.push_str(&format!(
                "chancery_rate_limited_total{{limit=\"{limit}\"}} {refused}\n"
            ));
        }
        out
    }

    fn limited(&self, ask: impl FnOnce(i64) -> Result<(), TooOften>) -> Result<(), EngineError> {
        ask(self.clock.now_millis()).map_err(|often| Refusal::from(often).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(count: u32) -> Limits {
        Limits::new(Rates {
            orders_per_account: Rate::new(count, 3600),
            ..Rates::NONE
        })
    }

    fn ask(limits: &Limits, account: i64) -> Vec<Ask> {
        Vec::from_iter(limits.ask(Limited::OrdersPerAccount, AccountId(account), None))
    }

    #[test]
    fn what_has_no_rate_is_not_limited_and_each_has_a_bucket_of_its_own() {
        let limits = limits(1);
        assert!(limits.ask(Limited::AccountsPerAddress, 1, None).is_none());
        assert_eq!(limits.take(&ask(&limits, 1), 0), Ok(()));
        assert_eq!(limits.take(&ask(&limits, 2), 0), Ok(()));
        let refused = limits.take(&ask(&limits, 1), 0).expect_err("one an hour");
        assert_eq!(refused.retry_after_secs, 3600);
        assert_eq!(limits.look(&ask(&limits, 3), 0), Ok(()));
        assert_eq!(
            limits.take(&ask(&limits, 3), 0),
            Ok(()),
            "looking takes nothing"
        );
        let said_no: Vec<u64> = limits.lines().iter().map(|line| line.refused).collect();
        assert_eq!(said_no, [0, 1, 0, 0, 0]);
    }

    #[test]
    fn all_are_taken_or_none() {
        let limits = limits(1);
        let both = || {
            let mut both = ask(&limits, 1);
            both.extend(ask(&limits, 2));
            both
        };
        assert_eq!(limits.take(&ask(&limits, 2), 0), Ok(()));
        assert!(limits.take(&both(), 0).is_err());
        assert_eq!(limits.take(&ask(&limits, 1), 0), Ok(()), "it was not taken");
    }

    /// A flood of accounts costs a bounded amount of memory, and makes the limiter forget, not fail.
    #[test]
    fn a_flood_leaves_two_generations_and_everybody_is_served() {
        let limits = limits(1);
        let many = i64::try_from(3 * GENERATION_MAX).expect("fits");
        for account in 0..many {
            assert_eq!(limits.take(&ask(&limits, account), 0), Ok(()));
        }
        let buckets = limits.lock();
        assert!(buckets.young.len() <= GENERATION_MAX && buckets.old.len() <= GENERATION_MAX);
        drop(buckets);
        assert_eq!(limits.take(&ask(&limits, 0), 0), Ok(()), "long forgotten");
        assert!(limits.take(&ask(&limits, many - 1), 0).is_err());
    }

    #[test]
    fn hosts_of_one_ipv6_network_are_one() {
        let read = |text: &str| network(text.parse().expect("an address"));
        assert_eq!(read("2001:db8::1"), read("2001:db8::ffff:1"));
        assert_ne!(read("2001:db8::1"), read("2001:db8:0:1::1"));
        assert_ne!(read("192.0.2.1"), read("192.0.2.2"));
        assert_eq!(read("::ffff:192.0.2.1"), read("192.0.2.1"));
    }
}
