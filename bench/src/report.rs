//! What is shown and what is kept of a series.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use crate::cli::{Cli, Peer};
use crate::figures::Figures;
use crate::flow::Step;
use crate::reference::REFERENCE_MICROS;
use crate::table::Table;

/// Beyond this share of failures a result is marked: a server that refuses is quick.
const FAILED_SHARE_MAX: f64 = 0.01;
/// How a marked result looks.
const MARK: &str = " !";

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) conditions: Conditions,
    pub(crate) results: Vec<Outcome>,
    /// Servers that were not measured, and why.
    pub(crate) absent: Vec<String>,
    /// Chancery against each other server.
    pub(crate) ratios: Vec<Ratio>,
}

/// Under which it was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    pub(crate) seconds: u64,
    pub(crate) warmup_seconds: u64,
    pub(crate) runs: u16,
    pub(crate) preload: u64,
    /// Data in memory makes durability free.
    pub(crate) data_in_memory: bool,
}

/// One server under one number of workers.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    pub(crate) server: Peer,
    pub(crate) workers: u16,
    pub(crate) median: Figures,
    pub(crate) runs: Vec<Figures>,
}

/// How many times what the other server does chancery does, under the same load.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) against: Peer,
    pub(crate) workers: u16,
    pub(crate) per_reference_cpu_second: Option<f64>,
    /// `None` too if the other server's orders/s are bounded by pauses that it needs.
    pub(crate) orders_per_second: Option<f64>,
}

impl Conditions {
    /// Of this machine.
    pub(crate) fn of(cli: &Cli, data_in_memory: bool) -> Self {
        let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpus
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: model.map_or("unknown", |(_, name)| name).trim().to_owned(),
            seconds: cli.seconds,
            warmup_seconds: cli.warmup,
            runs: cli.runs,
            preload: cli.preload,
            data_in_memory,
        }
    }
}

impl Outcome {
    /// The medians; `None` without runs.
    pub(crate) fn new(server: Peer, workers: u16, runs: Vec<Figures>) -> Option<Self> {
        Figures::median(&runs).map(|median| Self {
            server,
            workers,
            median,
            runs,
        })
    }

    fn name(&self) -> String {
        let marked = self.median.failed_share > FAILED_SHARE_MAX || self.median.stalled;
        format!("{}{}", self.server.name(), if marked { MARK } else { "" })
    }
}

impl Ratio {
    fn text(&self) -> String {
        let (name, workers) = (self.against.name(), self.workers);
        let times = |value: Option<f64>, by: &str| {
            value.map(|value| format!("{value:.1} × {name} by {by}"))
        };
        let known = [
            times(self.per_reference_cpu_second, "reference CPU-second"),
            times(self.orders_per_second, "orders/s"),
        ];
        let known: Vec<_> = known.into_iter().flatten().collect();
        let known = if known.is_empty() {
            format!("not comparable with {name}")
        } else {
            known.join(", ")
        };
        format!("chancery, {workers} workers: {known}")
    }
}

/// Chancery against every other server that was measured.
pub(crate) fn ratios(results: &[Outcome]) -> Vec<Ratio> {
    let mut ratios = Vec::new();
    for own in results
        .iter()
        .filter(|result| result.server == Peer::Chancery)
    {
        let others = results
            .iter()
            .filter(|other| other.server != own.server && other.workers == own.workers);
        for other in others {
            let ratio = |figure: fn(&Figures) -> Option<f64>| {
                let (own, other) = (figure(&own.median)?, figure(&other.median)?);
                (other > 0.0).then_some(own / other)
            };
            ratios.push(Ratio {
                against: other.server,
                workers: own.workers,
                per_reference_cpu_second: ratio(|figures| figures.orders_per_reference_cpu_second),
                orders_per_second: ratio(|figures| Some(figures.orders_per_second))
                    .filter(|_| !other.server.is_held_back()),
            });
        }
    }
    ratios
}

/// The report as text.
pub(crate) fn text(report: &Report) -> String {
    let mut out = String::new();
    let c = &report.conditions;
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{} cores ({}); {} s warm-up, {} s measured, median of {}; a reference core signs P-256 in {REFERENCE_MICROS} µs",
        c.cores, c.cpu, c.warmup_seconds, c.seconds, c.runs
    );
    if c.preload > 0 {
        let _ = writeln!(
            out,
            "chancery's store held {} certificates before",
            c.preload
        );
    }
    if c.data_in_memory {
        let _ = writeln!(
            out,
            "the data lies in memory: durability costs nothing here, choose a disk by --dir"
        );
    }
    let _ = writeln!(out, "\n{}", main_table(report));
    let _ = writeln!(
        out,
        "milliseconds p50 / p99 by kind of request:\n\n{}",
        step_table(report)
    );
    for ratio in &report.ratios {
        let _ = writeln!(out, "{}", ratio.text());
    }
    remarks(report, &mut out);
    out
}

fn main_table(report: &Report) -> Table {
    let mut table = Table::new(&[
        "server",
        "workers",
        "orders/s",
        "per CPU-s",
        "per reference CPU-s",
        "order p50 / p99 ms",
        "peak RSS MiB",
        "written KiB/order",
        "stored B/cert",
        "requests/order",
        "failed",
        "start ms",
        "P-256 µs",
    ]);
    for result in &report.results {
        let m = &result.median;
        let known = |value: Option<f64>, decimals| {
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.decimals$}"))
        };
        table.push(vec![
            result.name(),
            result.workers.to_string(),
            format!("{:.1}", m.orders_per_second),
            known(m.orders_per_cpu_second, 1),
            known(m.orders_per_reference_cpu_second, 1),
            format!("{} / {}", ms(m.order_p50_ms), ms(m.order_p99_ms)),
            known(m.peak_rss_mib, 1),
            known(m.written_kib_per_order, 1),
            known(m.stored_octets_per_certificate, 0),
            format!("{:.1}", m.requests_per_order),
            percent(m.failed_share),
            format!("{:.0}", m.start_ms),
            known(m.p256_sign_micros, 1),
        ]);
    }
    table
}

fn step_table(report: &Report) -> Table {
    let head: Vec<&str> = ["server", "workers"]
        .into_iter()
        .chain(Step::ALL.map(Step::name))
        .collect();
    let mut table = Table::new(&head);
    for result in &report.results {
        let mut row = vec![result.name(), result.workers.to_string()];
        row.extend(
            result
                .median
                .steps
                .iter()
                .map(|seen| format!("{} / {}", ms(seen.p50_ms), ms(seen.p99_ms))),
        );
        table.push(row);
    }
    table
}

fn remarks(report: &Report, out: &mut String) {
    for result in &report.results {
        let about = format!("{}, {} workers", result.server.name(), result.workers);
        if result.median.stored_by_entry.len() > 1 {
            let entries = result.median.stored_by_entry.iter();
            let entries: Vec<_> = entries
                .map(|(name, octets)| format!("{name} {octets:.0}"))
                .collect();
            let _ = writeln!(
                out,
                "{about}: stored octets per certificate: {}",
                entries.join(", ")
            );
        }
        for note in &result.median.notes {
            let _ = writeln!(out, "{about}: {note}");
        }
        for (reason, count) in &result.median.failures {
            let _ = writeln!(out, "{about}: {count} × {reason}");
        }
        if result.median.failed_share > FAILED_SHARE_MAX {
            let share = percent(result.median.failed_share);
            let _ = writeln!(
                out,
                "{about}: {share} of a run failed; its figures are not worth much"
            );
        }
    }
    for peer in report
        .results
        .iter()
        .map(|result| result.server)
        .collect::<BTreeSet<_>>()
    {
        if peer.is_held_back() {
            let name = peer.name();
            let _ = writeln!(
                out,
                "{name} locks up when it is asked quickly: pauses bound its orders/s and latency, compare its CPU time"
            );
        }
    }
    for absent in &report.absent {
        let _ = writeln!(out, "not measured: {absent}");
    }
}

/// One line about a run that has just ended.
pub(crate) fn line(server: Peer, workers: u16, figures: &Figures) -> String {
    let reference = figures
        .orders_per_reference_cpu_second
        .map_or_else(String::new, |value| {
            format!(", {value:.1} per reference CPU-s")
        });
    let failed = if figures.failed_share > 0.0 {
        format!(", {} failed", percent(figures.failed_share))
    } else {
        String::new()
    };
    format!(
        "{}, {workers} workers: {:.1} orders/s{reference}, p50 {} ms, p99 {} ms{failed}{}",
        server.name(),
        figures.orders_per_second,
        ms(figures.order_p50_ms),
        ms(figures.order_p99_ms),
        if figures.stalled { ", stalled" } else { "" },
    )
}

fn ms(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn percent(share: f64) -> String {
    if share == 0.0 {
        "0".to_owned()
    } else {
        format!("{:.2} %", share * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::StepFigures;

    fn outcome(
        server: Peer,
        workers: u16,
        orders_per_second: f64,
        per_reference: Option<f64>,
    ) -> Outcome {
        let figures = Figures {
            orders: orders_per_second * 10.0,
            orders_per_second,
            orders_per_reference_cpu_second: per_reference,
            order_p50_ms: 8.04,
            order_p99_ms: 63.6,
            requests_per_order: 7.0,
            steps: Step::ALL
                .map(|step| StepFigures {
                    step,
                    p50_ms: 1.0,
                    p99_ms: 12.0,
                    per_order: 1.0,
                })
                .to_vec(),
            ..Figures::default()
        };
        Outcome::new(server, workers, vec![figures]).expect("one run")
    }

    fn report(results: Vec<Outcome>) -> Report {
        let conditions = Conditions {
            cores: 2,
            cpu: "a CPU".to_owned(),
            seconds: 10,
            warmup_seconds: 2,
            runs: 3,
            preload: 0,
            data_in_memory: false,
        };
        let ratios = ratios(&results);
        Report {
            conditions,
            results,
            absent: Vec::new(),
            ratios,
        }
    }

    #[test]
    fn ratios_compare_the_same_load_and_only_ours_with_others() {
        let report = report(vec![
            outcome(Peer::Chancery, 16, 900.0, Some(600.0)),
            outcome(Peer::Pebble, 16, 150.0, Some(150.0)),
            outcome(Peer::Pebble, 64, 150.0, Some(150.0)),
            outcome(Peer::Caddy, 16, 50.0, None),
        ]);
        let seen: Vec<_> = report
            .ratios
            .iter()
            .map(|ratio| (ratio.against, ratio.per_reference_cpu_second))
            .collect();
        assert_eq!(seen, [(Peer::Pebble, Some(4.0)), (Peer::Caddy, None)]);
        let text = text(&report);
        assert!(text.contains("chancery, 16 workers: 4.0 × pebble by reference CPU-second\n"));
        assert!(text.contains("chancery, 16 workers: 18.0 × caddy by orders/s\n"));
    }

    #[test]
    fn figures_are_rounded_to_what_they_are_worth_and_missing_ones_are_dashes() {
        let text = text(&report(vec![outcome(Peer::Pebble, 16, 151.26, None)]));
        let row = text
            .lines()
            .find(|line| line.starts_with("| pebble"))
            .expect("a row");
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(
            cells,
            [
                "", "pebble", "16", "151.3", "–", "–", "8.0 / 64", "–", "–", "–", "7.0", "0", "0",
                "–", ""
            ]
        );
    }

    #[test]
    fn a_result_with_many_failures_is_marked_and_told_by_reason() {
        let mut bad = outcome(Peer::Caddy, 64, 40.0, None);
        bad.median.failed_share = 0.02;
        bad.median
            .failures
            .insert("finalize: 500 serverInternal".to_owned(), 8);
        let text = text(&report(vec![bad]));
        assert!(text.contains("| caddy ! |"), "{text}");
        assert!(text.contains("caddy, 64 workers: 8 × finalize: 500 serverInternal"));
        assert!(text.contains("2.00 % of a run failed"));
        assert!(text.contains("stored octets per certificate: a.db 2100, journal 800"));
    }

    #[test]
    fn the_json_names_every_figure() {
        let json =
            serde_json::to_value(report(vec![outcome(Peer::Chancery, 1, 80.0, Some(400.0))]))
                .expect("writes");
        let median = &json["results"][0]["median"];
        assert_eq!(median["orders_per_reference_cpu_second"], 400.0);
        assert_eq!(median["steps"][5]["step"], "orderPoll");
        assert_eq!(json["results"][0]["server"], "chancery");
    }
}
