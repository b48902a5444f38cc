//! What is kept of a series: the conditions, every run, the medians, and how chancery stands against the others.

use serde::Serialize;

use crate::cli::{Cli, Peer};
use crate::figures::Figures;

/// Beyond this share of failures a result is marked: a server that refuses is quick.
pub(crate) const FAILED_SHARE_MAX: f64 = 0.01;

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

    /// Whether its figures are worth less than they look: too much failed, or it stopped altogether.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.median.failed_share > FAILED_SHARE_MAX || self.median.stalled
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

/// Reports for tests of what is made of them.
#[cfg(test)]
pub(crate) mod example {
    use super::*;
    use crate::figures::StepFigures;
    use crate::flow::Step;

    pub(crate) fn outcome(
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

    pub(crate) fn report(results: Vec<Outcome>) -> Report {
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
}

#[cfg(test)]
mod tests {
    use super::example::{outcome, report};
    use super::*;

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
