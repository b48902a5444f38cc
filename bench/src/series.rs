//! All runs of one invocation: server by server within a round, round after round, so that a slow minute of the
//! machine falls on all of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::cli::{Cli, Peer};
use crate::error::BenchError;
use crate::figures::Figures;
use crate::peers::{self, Ground};
use crate::preload::{self, Filled};
use crate::report::{self, Conditions, Outcome, Report};
use crate::run;
use crate::scratch;
use crate::text;

/// Measures what the command line asks for and prints the report.
///
/// # Errors
/// [`BenchError`], when nothing could be measured at all or the report could not be written.
pub(crate) async fn run(cli: &Cli) -> Result<(), BenchError> {
    let mut ground = Ground {
        cli,
        folder: folder(cli)?,
        programs: programs(cli)?,
        filled: None,
    };
    let mut absent = Vec::new();
    let mut peers = present(cli.peers(), &ground, &mut absent);
    let filled = fill(&ground, &mut peers, &mut absent).await;
    ground.filled = filled.as_ref().map(|filled| &filled.place);
    let results = rounds(&peers, &ground, &mut absent).await;
    let ratios = report::ratios(&results);
    let conditions = Conditions::of(cli, scratch::is_memory(&ground.folder));
    let report = Report {
        conditions,
        results,
        absent,
        ratios,
    };
    print!("{}", text::report(&report));
    if let Some(path) = &cli.json {
        let json = serde_json::to_string_pretty(&report).unwrap_or_default();
        std::fs::write(path, json + "\n").map_err(BenchError::file("write", path))?;
    }
    if report.results.is_empty() {
        Err(BenchError::Nothing)
    } else {
        Ok(())
    }
}

/// The servers that can be started here; the others are told.
fn present(asked: Vec<Peer>, ground: &Ground<'_>, absent: &mut Vec<String>) -> Vec<Peer> {
    let mut present = Vec::with_capacity(asked.len());
    for peer in asked {
        match peers::look(peer, ground) {
            Ok(()) => present.push(peer),
            Err(error) => tell(absent, error.to_string()),
        }
    }
    present
}

/// Chancery's filled store, if one is asked for; without it chancery is not measured.
async fn fill(
    ground: &Ground<'_>,
    peers: &mut Vec<Peer>,
    absent: &mut Vec<String>,
) -> Option<Filled> {
    if ground.cli.preload == 0 || !peers.contains(&Peer::Chancery) {
        return None;
    }
    match preload::fill(ground, ground.cli.preload).await {
        Ok(filled) => Some(filled),
        Err(error) => {
            tell(absent, format!("chancery: {error}"));
            peers.retain(|peer| *peer != Peer::Chancery);
            None
        }
    }
}

async fn rounds(peers: &[Peer], ground: &Ground<'_>, absent: &mut Vec<String>) -> Vec<Outcome> {
    let mut seen: BTreeMap<(Peer, u16), Vec<Figures>> = BTreeMap::new();
    for _ in 0..ground.cli.runs {
        for workers in &ground.cli.workers {
            for peer in peers {
                match run::run(*peer, *workers, ground).await {
                    Ok(figures) => {
                        eprintln!("{}", text::line(*peer, *workers, &figures));
                        seen.entry((*peer, *workers)).or_default().push(figures);
                    }
                    Err(error) => tell(
                        absent,
                        format!("{}, {workers} workers: {error}", peer.name()),
                    ),
                }
            }
        }
    }
    seen.into_iter()
        .filter_map(|((peer, workers), runs)| Outcome::new(peer, workers, runs))
        .collect()
}

fn tell(absent: &mut Vec<String>, reason: String) {
    eprintln!("not measured: {reason}");
    if !absent.contains(&reason) {
        absent.push(reason);
    }
}

fn folder(cli: &Cli) -> Result<PathBuf, BenchError> {
    let folder = cli.dir.clone().unwrap_or_else(std::env::temp_dir);
    folder
        .canonicalize()
        .map_err(BenchError::file("find the folder", folder))
}

fn programs(cli: &Cli) -> Result<PathBuf, BenchError> {
    if let Some(folder) = &cli.programs {
        return folder
            .canonicalize()
            .map_err(BenchError::file("find the folder", folder));
    }
    let own = std::env::current_exe().map_err(BenchError::file("find", "this program"))?;
    Ok(own
        .parent()
        .map_or_else(|| PathBuf::from("."), PathBuf::from))
}
