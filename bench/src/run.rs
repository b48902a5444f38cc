//! One run: a server, its accounts, the load, what it cost.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::cli::Peer;
use crate::client::Client;
use crate::disk;
use crate::error::BenchError;
use crate::figures::{Figures, StepFigures};
use crate::flow::Step;
use crate::peers::{self, Ground, Ready, Started};
use crate::reference::{Reference, per_reference_second};
use crate::tally::Tally;
use crate::usage::{self, Usage};
use crate::worker::{Phase, Shared, Slot, work};

/// Without an order for so long a run is given up.
const STALL_TIME: Duration = Duration::from_secs(20);
/// Without an order for so long at its end, a window measured a server that had stopped.
const QUIET_TIME: Duration = Duration::from_secs(3);
const TICK: Duration = Duration::from_millis(50);
/// For all accounts together.
const ACCOUNTS_TIME: Duration = Duration::from_secs(60);
/// For the orders that are open when the window closes.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Starts, warms up, measures and stops a server.
///
/// # Errors
/// [`BenchError`], when there is nothing to report; a run that stalls is reported.
pub(crate) async fn run(
    peer: Peer,
    workers: u16,
    ground: &Ground<'_>,
) -> Result<Figures, BenchError> {
    let mut started = peers::start(peer, ground).await?;
    let ready = peers::ready(peer, &mut started).await?;
    let clients = register(&ready, workers).await?;
    let data_before = started.data.as_deref().map(disk::stored);
    let load = Load::start(clients, &started);
    let mut figures = load.measure(ground, started.pid).await?;
    figures.start_ms = ready.start.as_secs_f64() * 1e3;
    let tally = load.end().await;
    describe(&mut figures, &tally);
    stop(&mut started, &mut figures).await;
    if let (Some(before), Some(folder)) = (data_before, started.data.as_deref()) {
        let certificates = tally.orders_ever.max(1) as f64;
        let grown = disk::growth(&before, &disk::stored(folder));
        figures.stored_octets_per_certificate =
            Some(grown.values().sum::<i64>() as f64 / certificates);
        figures.stored_by_entry = grown
            .into_iter()
            .map(|(name, octets)| (name, octets as f64 / certificates))
            .collect();
    }
    Ok(figures)
}

async fn stop(started: &mut Started, figures: &mut Figures) {
    if let Some(mut process) = started.process.take() {
        if process.has_ended() {
            figures.notes.push(format!(
                "the server ended by itself; it said: {}",
                process.last_words()
            ));
        }
        if !process.stop().await {
            figures.notes.push("had to be killed".to_owned());
        }
    }
}

async fn register(ready: &Ready, workers: u16) -> Result<Vec<Client>, BenchError> {
    let mut registering = JoinSet::new();
    for _ in 0..workers {
        registering.spawn(Client::register(
            Arc::clone(&ready.endpoint),
            Arc::clone(&ready.directory),
        ));
    }
    let all = timeout(ACCOUNTS_TIME, async {
        let mut clients = Vec::with_capacity(usize::from(workers));
        while let Some(registered) = registering.join_next().await {
            let registered = registered.map_err(|error| error.to_string())?;
            clients.push(registered.map_err(|error| error.to_string())?);
        }
        Ok::<_, String>(clients)
    });
    all.await
        .unwrap_or_else(|_| Err("not all were made within a minute".to_owned()))
        .map_err(BenchError::Account)
}

/// The workers at work.
struct Load {
    shared: Arc<Shared>,
    slots: Vec<Slot>,
    workers: JoinSet<()>,
}

impl Load {
    fn start(clients: Vec<Client>, started: &Started) -> Self {
        let shared = Arc::new(Shared::default());
        let mut workers = JoinSet::new();
        let pacing = started
            .pacing
            .among(u16::try_from(clients.len()).unwrap_or(u16::MAX));
        let slots: Vec<Slot> = clients.iter().map(|_| Slot::default()).collect();
        for ((number, client), slot) in (0..).zip(clients).zip(&slots) {
            let tokens = started.site.tokens().clone();
            let (shared, slot) = (Arc::clone(&shared), Arc::clone(slot));
            workers.spawn(async move {
                tokio::time::sleep(pacing.start_of(number)).await;
                work(client, tokens, pacing, shared, slot).await;
            });
        }
        Self {
            shared,
            slots,
            workers,
        }
    }

    /// Warms up and opens the window; what the server and we used within it.
    async fn measure(&self, ground: &Ground<'_>, pid: Option<u32>) -> Result<Figures, BenchError> {
        let mut figures = Figures::default();
        let mut watchdog = Watchdog::new();
        if !watchdog
            .watch(&self.shared, Duration::from_secs(ground.cli.warmup))
            .await
        {
            figures.stalled = true;
            figures.notes.push(stalled("before the window"));
            return Ok(figures);
        }
        let reference = Reference::start()?;
        let (before, own_before) = (pid.and_then(usage::of_tree), usage::own_cpu_secs());
        let began = Instant::now();
        self.shared.enter(Phase::Measure);
        if !watchdog
            .watch(&self.shared, Duration::from_secs(ground.cli.seconds))
            .await
        {
            figures.stalled = true;
            figures.notes.push(stalled("within the window"));
        } else if watchdog.quiet() > QUIET_TIME {
            figures.stalled = true;
            let secs = watchdog.quiet().as_secs();
            figures.notes.push(format!(
                "no order in the last {secs} s of the window: locked up"
            ));
        }
        self.shared.enter(Phase::End);
        figures.seconds = began.elapsed().as_secs_f64();
        let after = pid.and_then(usage::of_tree);
        figures.client_cpu_seconds = usage::own_cpu_secs() - own_before;
        figures.p256_sign_micros = reference.finish();
        let orders = self.seen().orders as f64;
        figures.orders = orders;
        figures.orders_per_second = orders / figures.seconds;
        if let (Some(before), Some(after)) = (before, after) {
            spend(&mut figures, before, after);
        }
        Ok(figures)
    }

    fn seen(&self) -> Tally {
        let mut all = Tally::default();
        for slot in &self.slots {
            all.merge(&slot.lock().unwrap_or_else(PoisonError::into_inner));
        }
        all
    }

    /// Lets the open orders end, or drops them.
    async fn end(mut self) -> Tally {
        self.shared.enter(Phase::End);
        timeout(DRAIN_TIME, async {
            while self.workers.join_next().await.is_some() {}
        })
        .await
        .ok();
        self.workers.shutdown().await;
        self.seen()
    }
}

fn stalled(when: &str) -> String {
    format!("no order for {} s {when}: given up", STALL_TIME.as_secs())
}

/// Sees to it that orders end.
struct Watchdog {
    done: u64,
    moved: Instant,
}

impl Watchdog {
    fn new() -> Self {
        Self {
            done: 0,
            moved: Instant::now(),
        }
    }

    /// Since an order ended.
    fn quiet(&self) -> Duration {
        self.moved.elapsed()
    }

    /// Waits for the given time; false as soon as nothing has moved for too long.
    async fn watch(&mut self, shared: &Shared, time: Duration) -> bool {
        let deadline = Instant::now() + time;
        loop {
            let now = Instant::now();
            let done = shared.done();
            if done != self.done {
                (self.done, self.moved) = (done, now);
            }
            if now.duration_since(self.moved) > STALL_TIME {
                return false;
            }
            if now >= deadline {
                return true;
            }
            tokio::time::sleep(TICK.min(deadline - now)).await;
        }
    }
}

/// What the server used within the window.
fn spend(figures: &mut Figures, before: Usage, after: Usage) {
    let orders = figures.orders.max(1.0);
    let cpu = (after.cpu_secs - before.cpu_secs).max(0.0);
    figures.server_cpu_seconds = Some(cpu);
    figures.orders_per_cpu_second = (cpu > 0.0).then(|| figures.orders / cpu);
    figures.orders_per_reference_cpu_second = figures
        .orders_per_cpu_second
        .zip(figures.p256_sign_micros)
        .map(|(per_second, micros)| per_reference_second(per_second, micros));
    figures.peak_rss_mib = Some(after.peak_rss_kib as f64 / 1024.0);
    let kib_per_order = |before: Option<u64>, after: Option<u64>| {
        Some(after?.saturating_sub(before?) as f64 / 1024.0 / orders)
    };
    figures.written_kib_per_order = kib_per_order(before.disk_octets, after.disk_octets);
    figures.write_calls_kib_per_order = kib_per_order(before.write_octets, after.write_octets);
    if before.processes != after.processes {
        let (from, to) = (before.processes, after.processes);
        figures.notes.push(format!(
            "the server had {from} processes at the start of the window and {to} at its end"
        ));
    }
}

/// What the workers saw.
fn describe(figures: &mut Figures, tally: &Tally) {
    figures.order_p50_ms = tally.order.quantile_ms(0.5);
    figures.order_p99_ms = tally.order.quantile_ms(0.99);
    figures.requests_per_order = tally.requests_per_order();
    figures.steps = Step::ALL
        .iter()
        .zip(&tally.steps)
        .map(|(step, seen)| StepFigures {
            step: *step,
            p50_ms: seen.quantile_ms(0.5),
            p99_ms: seen.quantile_ms(0.99),
            per_order: seen.count() as f64 / tally.orders.max(1) as f64,
        })
        .collect();
    figures.failed_share = tally.failed_share();
    figures.failures.clone_from(&tally.failures);
    figures.bad_nonces = tally.bad_nonces as f64;
    figures.reconnections = tally.reconnections as f64;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_within_the_window_is_divided_by_its_orders() {
        let before = Usage {
            cpu_secs: 1.0,
            peak_rss_kib: 1024,
            disk_octets: Some(1024),
            write_octets: None,
            processes: 2,
        };
        let after = Usage {
            cpu_secs: 11.0,
            peak_rss_kib: 2048,
            disk_octets: Some(1024 + 4096 * 1000),
            ..before
        };
        let mut figures = Figures {
            orders: 1000.0,
            p256_sign_micros: Some(40.0),
            ..Figures::default()
        };
        spend(&mut figures, before, after);
        assert_eq!(figures.orders_per_cpu_second, Some(100.0));
        assert_eq!(figures.orders_per_reference_cpu_second, Some(200.0));
        assert_eq!(figures.written_kib_per_order, Some(4.0));
        assert_eq!(figures.write_calls_kib_per_order, None);
        assert_eq!(figures.peak_rss_mib, Some(2.0));
        assert!(figures.notes.is_empty());
    }

    #[test]
    fn a_server_that_lost_a_process_is_noted_and_one_that_used_nothing_has_no_ratio() {
        let two = Usage {
            processes: 2,
            ..Usage::default()
        };
        let mut figures = Figures::default();
        spend(
            &mut figures,
            two,
            Usage {
                processes: 1,
                ..two
            },
        );
        assert_eq!(figures.orders_per_cpu_second, None);
        assert_eq!(figures.notes.len(), 1);
    }

    #[tokio::test]
    async fn the_watchdog_lets_a_moving_server_pass_and_not_a_still_one() {
        let shared = Shared::default();
        let mut watchdog = Watchdog::new();
        assert!(watchdog.watch(&shared, Duration::ZERO).await);
        watchdog.moved = Instant::now()
            .checked_sub(STALL_TIME * 2)
            .expect("the machine runs longer");
        assert!(!watchdog.watch(&shared, Duration::ZERO).await);
    }
}
