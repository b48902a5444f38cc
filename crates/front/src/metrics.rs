//! Counts of what the listeners did, for `/metrics` (failures §4.3). Labels are closed sets, never names or serials.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use chancery_acme::Problem;
use http::StatusCode;

/// Upper bounds of the duration buckets, in seconds.
const BUCKETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// What is counted.
#[derive(Debug, Default)]
pub struct HttpMetrics {
    requests: Mutex<BTreeMap<(&'static str, u16), u64>>,
    durations: [AtomicU64; BUCKETS.len() + 1],
    duration_micros: AtomicU64,
    problems: Mutex<BTreeMap<String, u64>>,
    nonces_redeemed: AtomicU64,
    nonces_rejected: AtomicU64,
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Started(Instant);

impl HttpMetrics {
    pub(crate) fn begin(&self) -> Started {
        Started(Instant::now())
    }

    pub(crate) fn end(&self, listener: &'static str, started: Started, status: StatusCode) {
        let took = started.0.elapsed();
        let bucket = BUCKETS
            .iter()
            .take_while(|bound| took.as_secs_f64() > **bound)
            .count();
        if let Some(counter) = self.durations.get(bucket) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.duration_micros.fetch_add(micros, Ordering::Relaxed);
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((listener, status.as_u16())).or_default() += 1;
    }

    pub(crate) fn refused(&self, problem: &Problem) {
        let kind = problem.kind.to_string();
        let name = kind.rsplit(':').next().unwrap_or_default().to_owned();
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        *problems.entry(name).or_default() += 1;
    }

    pub(crate) fn nonce_redeemed(&self) {
        self.nonces_redeemed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn nonce_rejected(&self) {
        self.nonces_rejected.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        out.push_str("# TYPE chancery_http_requests_total counter\n");
        for ((listener, code), count) in self
            .requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let _ = writeln!(
                out,
                "chancery_http_requests_total{{listener=\"{listener}\",code=\"{code}\"}} {count}"
            );
        }
        out.push_str("# TYPE chancery_http_request_duration_seconds histogram\n");
        let mut sum = 0;
        for (index, counter) in self.durations.iter().enumerate() {
            sum += counter.load(Ordering::Relaxed);
            let bound = BUCKETS
                .get(index)
                .map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            let _ = writeln!(
                out,
                "chancery_http_request_duration_seconds_bucket{{le=\"{bound}\"}} {sum}"
            );
        }
        let micros = self.duration_micros.load(Ordering::Relaxed);
        let _ = writeln!(
            out,
            "chancery_http_request_duration_seconds_sum {}.{:06}\nchancery_http_request_duration_seconds_count {sum}",
            micros / 1_000_000,
            micros % 1_000_000
        );
        out.push_str("# TYPE chancery_acme_errors_total counter\n");
        for (name, count) in self
            .problems
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            let _ = writeln!(out, "chancery_acme_errors_total{{type=\"{name}\"}} {count}");
        }
        let _ = writeln!(
            out,
            "# TYPE chancery_acme_nonces_total counter\n\
             chancery_acme_nonces_total{{event=\"redeemed\"}} {}\n\
             chancery_acme_nonces_total{{event=\"rejected\"}} {}",
            self.nonces_redeemed.load(Ordering::Relaxed),
            self.nonces_rejected.load(Ordering::Relaxed)
        );
        out
    }
}
