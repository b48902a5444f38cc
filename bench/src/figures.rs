use std::collections::BTreeMap;

use serde::Serialize;

use crate::flow::Step;

/// What one run measured, or the medians of several. A figure that a server does not have is `None`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Orders that ended in the measured window.
    pub(crate) orders: f64,
    /// The window's length.
    pub(crate) seconds: f64,
    pub(crate) orders_per_second: f64,
    /// CPU time of all the server's processes within the window.
    pub(crate) server_cpu_seconds: Option<f64>,
    pub(crate) orders_per_cpu_second: Option<f64>,
    /// Of a core that signs P-256 in 20 µs.
    pub(crate) orders_per_reference_cpu_second: Option<f64>,
    /// CPU time of a P-256 signature, mean within the window.
    pub(crate) p256_sign_micros: Option<f64>,
    /// CPU time of the load generator with its DNS and web server within the window.
    pub(crate) client_cpu_seconds: f64,
    pub(crate) order_p50_ms: f64,
    pub(crate) order_p99_ms: f64,
    pub(crate) steps: Vec<StepFigures>,
    /// Signed requests; seven and the polls that found nothing.
    pub(crate) requests_per_order: f64,
    /// Sum of the peaks of all the server's processes.
    pub(crate) peak_rss_mib: Option<f64>,
    /// Sent to block devices within the window.
    pub(crate) written_kib_per_order: Option<f64>,
    /// Given to write(2) within the window, sockets included where a server writes to them so.
    pub(crate) write_calls_kib_per_order: Option<f64>,
    /// Growth of the data folder from before the load to after the server's end, for each certificate.
    pub(crate) stored_octets_per_certificate: Option<f64>,
    /// The same by entry of the data folder.
    pub(crate) stored_by_entry: BTreeMap<String, f64>,
    /// From the server's start to its first directory.
    pub(crate) start_ms: f64,
    /// Orders that failed, of all (0 to 1); of several runs the largest.
    pub(crate) failed_share: f64,
    /// Orders that failed, by reason, of all runs.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) bad_nonces: f64,
    pub(crate) reconnections: f64,
    /// No order ended for so long that the run was given up.
    pub(crate) stalled: bool,
    /// What else should be known.
    pub(crate) notes: Vec<String>,
}

/// Latency of one kind of request.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct StepFigures {
    pub(crate) step: Step,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) per_order: f64,
}

impl Figures {
    /// The median of every figure; `None` without runs. Runs that stalled count only if all did.
    pub(crate) fn median(runs: &[Self]) -> Option<Self> {
        let good: Vec<&Self> = runs.iter().filter(|run| !run.stalled).collect();
        let chosen = if good.is_empty() {
            runs.iter().collect()
        } else {
            good
        };
        let of = |figure: fn(&Self) -> f64| middle(chosen.iter().map(|run| figure(run)));
        let optional =
            |figure: fn(&Self) -> Option<f64>| middle(chosen.iter().filter_map(|run| figure(run)));
        let known = |figure: fn(&Self) -> f64| of(figure).unwrap_or_default();
        Some(Self {
            orders: of(|run| run.orders)?,
            seconds: known(|run| run.seconds),
            orders_per_second: known(|run| run.orders_per_second),
            server_cpu_seconds: optional(|run| run.server_cpu_seconds),
            orders_per_cpu_second: optional(|run| run.orders_per_cpu_second),
            orders_per_reference_cpu_second: optional(|run| run.orders_per_reference_cpu_second),
            p256_sign_micros: optional(|run| run.p256_sign_micros),
            client_cpu_seconds: known(|run| run.client_cpu_seconds),
            order_p50_ms: known(|run| run.order_p50_ms),
            order_p99_ms: known(|run| run.order_p99_ms),
            steps: median_steps(&chosen),
            requests_per_order: known(|run| run.requests_per_order),
            peak_rss_mib: optional(|run| run.peak_rss_mib),
            written_kib_per_order: optional(|run| run.written_kib_per_order),
            write_calls_kib_per_order: optional(|run| run.write_calls_kib_per_order),
            stored_octets_per_certificate: optional(|run| run.stored_octets_per_certificate),
            stored_by_entry: median_entries(&chosen),
            start_ms: known(|run| run.start_ms),
            failed_share: chosen
                .iter()
                .map(|run| run.failed_share)
                .fold(0.0, f64::max),
            failures: all_failures(runs),
            bad_nonces: known(|run| run.bad_nonces),
            reconnections: known(|run| run.reconnections),
            stalled: runs.iter().any(|run| run.stalled),
            notes: all_notes(runs, runs.len() - chosen.len()),
        })
    }
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get((values.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

fn median_steps(runs: &[&Figures]) -> Vec<StepFigures> {
    let of = |step: Step, figure: fn(&StepFigures) -> f64| {
        let found = runs
            .iter()
            .flat_map(|run| &run.steps)
            .filter(|seen| seen.step == step);
        middle(found.map(figure)).unwrap_or_default()
    };
    Step::ALL
        .map(|step| StepFigures {
            step,
            p50_ms: of(step, |seen| seen.p50_ms),
            p99_ms: of(step, |seen| seen.p99_ms),
            per_order: of(step, |seen| seen.per_order),
        })
        .to_vec()
}

fn median_entries(runs: &[&Figures]) -> BTreeMap<String, f64> {
    let names = runs.iter().flat_map(|run| run.stored_by_entry.keys());
    names
        .map(|name| {
            let seen = runs
                .iter()
                .map(|run| run.stored_by_entry.get(name).copied().unwrap_or_default());
            (name.clone(), middle(seen).unwrap_or_default())
        })
        .collect()
}

fn all_failures(runs: &[Figures]) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for (reason, count) in runs.iter().flat_map(|run| &run.failures) {
        *all.entry(reason.clone()).or_default() += count;
    }
    all
}

fn all_notes(runs: &[Figures], left_out: usize) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    if left_out > 0 {
        let all = runs.len();
        notes.push(format!(
            "{left_out} of {all} runs stalled and are left out of the medians"
        ));
    }
    for note in runs.iter().flat_map(|run| &run.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(orders_per_second: f64) -> Figures {
        Figures {
            orders_per_second,
            orders: 1.0,
            ..Figures::default()
        }
    }

    #[test]
    fn the_middle_of_three_and_between_two() {
        assert_eq!(middle([3.0, 1.0, 2.0].into_iter()), Some(2.0));
        assert_eq!(middle([1.0, 3.0].into_iter()), Some(2.0));
        assert_eq!(middle([7.0].into_iter()), Some(7.0));
        assert_eq!(middle(std::iter::empty()), None);
    }

    #[test]
    fn each_figure_has_its_own_median_and_a_missing_one_stays_missing() {
        let mut runs = [run(1.0), run(2.0), run(30.0)];
        runs[2].peak_rss_mib = Some(12.0);
        let median = Figures::median(&runs).expect("three runs");
        assert_eq!(median.orders_per_second, 2.0);
        assert_eq!(median.peak_rss_mib, Some(12.0));
        assert_eq!(median.server_cpu_seconds, None);
        assert_eq!(Figures::median(&[]), None);
    }

    #[test]
    fn a_stalled_run_is_told_but_does_not_pull_the_median_down() {
        let mut runs = [run(100.0), run(0.0), run(110.0)];
        runs[1].stalled = true;
        runs[1].notes.push("stalled".to_owned());
        runs[1].failures.insert("late".to_owned(), 3);
        runs[1].failed_share = 0.5;
        let median = Figures::median(&runs).expect("three runs");
        assert_eq!(median.orders_per_second, 105.0);
        assert!(median.stalled);
        assert_eq!((median.notes.len(), median.failures["late"]), (2, 3));
        assert_eq!(median.failed_share, 0.0);
    }
}
