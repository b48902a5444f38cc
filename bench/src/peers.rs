//! The servers that can be measured, each with its own way to be started.

mod caddy;
pub(crate) mod chancery;
mod pebble;
mod running;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_acme::Directory;

use crate::cli::{Cli, Peer};
use crate::client;
use crate::connection::{Endpoint, Target, roots};
use crate::error::BenchError;
use crate::pacing::Pacing;
use crate::process::Process;
use crate::scratch::Scratch;
use crate::site::Site;

/// From the start of a server to its first answer.
const START_TIME: Duration = Duration::from_secs(60);
/// Between looks whether it answers; also the precision of the start time.
const START_PAUSE: Duration = Duration::from_millis(2);

/// A server that answers, with the names that it validates.
#[derive(Debug)]
pub(crate) struct Started {
    pub(crate) directory_url: String,
    /// PEM of what its TLS certificate leads to.
    pub(crate) root: PathBuf,
    /// Ours to stop; none if it ran already.
    pub(crate) process: Option<Process>,
    /// Whose use is measured.
    pub(crate) pid: Option<u32>,
    /// Where it stores; none if in memory or not ours.
    pub(crate) data: Option<PathBuf>,
    pub(crate) site: Site,
    pub(crate) pacing: Pacing,
    pub(crate) began: Instant,
    /// Its files go with it.
    pub(crate) _scratch: Option<Scratch>,
}

/// How to talk to a server that answers.
pub(crate) struct Ready {
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) directory: Arc<Directory>,
    /// From its start to the first directory.
    pub(crate) start: Duration,
}

/// What of the machine and the command line the peers need.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    pub(crate) cli: &'a Cli,
    /// Where folders for data are made.
    pub(crate) folder: PathBuf,
    /// Where our own programs are.
    pub(crate) programs: PathBuf,
    /// Chancery's data that all its runs share; a fresh folder for each if none.
    pub(crate) filled: Option<&'a chancery::Place>,
}

/// Whether a server can be started here at all.
///
/// # Errors
/// [`BenchError::Missing`]
pub(crate) fn look(peer: Peer, ground: &Ground<'_>) -> Result<(), BenchError> {
    match peer {
        Peer::Chancery => chancery::program(ground).map(drop),
        Peer::Pebble => pebble::program().map(drop),
        Peer::Caddy => caddy::program().map(drop),
        Peer::Running => Ok(()),
    }
}

/// Starts a server with its site.
///
/// # Errors
/// [`BenchError`]
pub(crate) async fn start(peer: Peer, ground: &Ground<'_>) -> Result<Started, BenchError> {
    match peer {
        Peer::Chancery => chancery::start(ground).await,
        Peer::Pebble => pebble::start(ground).await,
        Peer::Caddy => caddy::start(ground).await,
        Peer::Running => running::start(ground).await,
    }
}

/// Waits for the first directory.
///
/// # Errors
/// [`BenchError::NotReady`], with the server's last words, and [`BenchError::Url`].
pub(crate) async fn ready(peer: Peer, started: &mut Started) -> Result<Ready, BenchError> {
    let target = Target::of(&started.directory_url)?;
    let deadline = started.began + START_TIME;
    let mut seen = "it never answered".to_owned();
    while Instant::now() < deadline {
        match try_directory(started, target.clone()).await {
            Ok(ready) => return Ok(ready),
            Err(detail) => seen = detail,
        }
        if started.process.as_mut().is_some_and(Process::has_ended) {
            seen = "it ended".to_owned();
            break;
        }
        tokio::time::sleep(START_PAUSE).await;
    }
    let words = started
        .process
        .as_ref()
        .map(Process::last_words)
        .unwrap_or_default();
    Err(BenchError::NotReady {
        peer: peer.name(),
        detail: format!("{seen}; it said: {words}"),
    })
}

async fn try_directory(started: &Started, target: Target) -> Result<Ready, String> {
    let pem = std::fs::read(&started.root).map_err(|error| format!("no root: {error}"))?;
    let trusted = roots(&pem).map_err(|detail| format!("no root: {detail}"))?;
    let endpoint = Arc::new(Endpoint::new(target, trusted)?);
    let directory = client::directory(Arc::clone(&endpoint), &started.directory_url);
    let directory = directory.await.map_err(|error| error.to_string())?;
    Ok(Ready {
        endpoint,
        directory: Arc::new(directory),
        start: started.began.elapsed(),
    })
}
