//! What is shown of a series: tables in Markdown, ratios, and whatever else should be known.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::cli::Peer;
use crate::figures::Figures;
use crate::flow::Step;
use crate::reference::REFERENCE_MICROS;
use crate::report::{FAILED_SHARE_MAX, Outcome, Ratio, Report};
use crate::table::Table;

/// How a doubtful result looks.
const MARK: &str = " !";

/// The whole report.
pub(crate) fn report(report: &Report) -> String {
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
        let _ = writeln!(out, "{}", ratio_line(ratio));
    }
    remarks(report, &mut out);
    out
}

fn ratio_line(ratio: &Ratio) -> String {
    let (name, workers) = (ratio.against.name(), ratio.workers);
    let times =
        |value: Option<f64>, by: &str| value.map(|value| format!("{value:.1} × {name} by {by}"));
    let known = [
        times(ratio.per_reference_cpu_second, "reference CPU-second"),
        times(ratio.orders_per_second, "orders/s"),
    ];
    let known: Vec<_> = known.into_iter().flatten().collect();
    let known = if known.is_empty() {
        format!("not comparable with {name}")
    } else {
        known.join(", ")
    };
    format!("chancery, {workers} workers: {known}")
}

fn name(result: &Outcome) -> String {
    let mark = if result.is_doubtful() { MARK } else { "" };
    format!("{}{mark}", result.server.name())
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
            name(result),
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
        let mut row = vec![name(result), result.workers.to_string()];
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
    use crate::report::example::{outcome, report as example};

    #[test]
    fn ratios_are_told_as_far_as_they_compare() {
        let report = example(vec![
            outcome(Peer::Chancery, 16, 900.0, Some(600.0)),
            outcome(Peer::Pebble, 16, 150.0, Some(150.0)),
            outcome(Peer::Caddy, 16, 50.0, None),
        ]);
        let text = super::report(&report);
        assert!(text.contains("chancery, 16 workers: 4.0 × pebble by reference CPU-second\n"));
        assert!(text.contains("chancery, 16 workers: 18.0 × caddy by orders/s\n"));
    }

    #[test]
    fn figures_are_rounded_to_what_they_are_worth_and_missing_ones_are_dashes() {
        let text = report(&example(vec![outcome(Peer::Pebble, 16, 151.26, None)]));
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
        bad.median.stored_by_entry =
            [("a.db".to_owned(), 2100.4), ("journal".to_owned(), 800.0)].into();
        bad.median
            .failures
            .insert("finalize: 500 serverInternal".to_owned(), 8);
        let text = report(&example(vec![bad]));
        assert!(text.contains("| caddy ! |"), "{text}");
        assert!(text.contains("caddy, 64 workers: 8 × finalize: 500 serverInternal"));
        assert!(text.contains("2.00 % of a run failed"));
        assert!(text.contains("stored octets per certificate: a.db 2100, journal 800"));
    }
}
