//! A store that already holds many certificates: what an index costs does not show in an empty one.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::timeout;

use crate::cli::Peer;
use crate::error::BenchError;
use crate::peers::chancery::{Place, start_in};
use crate::peers::{self, Ground};
use crate::scratch::Scratch;

/// Writes N certificates into the data of a server that does not run: `preload DATA N`, exit 0 when they are there.
const PROGRAM: &str = "preload";
/// Beyond this it is not worth waiting: a million takes a minute or two.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// A place for chancery with a full store, and the folder that it is in.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) place: Place,
    _scratch: Scratch,
}

/// Lets chancery make its data (keys, issuers, schema), stops it, and has the helper fill the store.
///
/// # Errors
/// [`BenchError`]
pub(crate) async fn fill(ground: &Ground<'_>, count: u64) -> Result<Filled, BenchError> {
    let program = ground.programs.join(PROGRAM);
    if !program.is_file() {
        return Err(BenchError::Preload(format!(
            "{} is not built",
            program.display()
        )));
    }
    let scratch = Scratch::new(&ground.folder)?;
    let place = Place::new(scratch.path().join("data"))?;
    make(ground, &place).await?;
    let began = Instant::now();
    help(&program, &place, count).await?;
    // What is still in memory would be written while something else is measured.
    rustix::fs::sync();
    eprintln!(
        "chancery: {count} certificates stored beforehand in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(Filled {
        place,
        _scratch: scratch,
    })
}

async fn help(program: &Path, place: &Place, count: u64) -> Result<(), BenchError> {
    let mut command = Command::new(program);
    command.arg(place.data()).arg(count.to_string());
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let spawned = |source| BenchError::Spawn {
        program: program.display().to_string(),
        source,
    };
    let mut child = command.spawn().map_err(spawned)?;
    let failed = |detail: String| Err(BenchError::Preload(format!("{PROGRAM} {detail}")));
    match timeout(TIME_MAX, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => failed(format!("ended with {status}")),
        Ok(Err(error)) => failed(format!("was lost: {error}")),
        Err(_) => failed("took more than an hour".to_owned()),
    }
}

async fn make(ground: &Ground<'_>, place: &Place) -> Result<(), BenchError> {
    let scratch = Scratch::new(&ground.folder)?;
    let mut started = start_in(ground, scratch, place).await?;
    peers::ready(Peer::Chancery, &mut started).await?;
    let Some(process) = started.process.take() else {
        return Ok(());
    };
    if process.stop().await {
        return Ok(());
    }
    Err(BenchError::Preload(
        "chancery had to be killed after its first start".to_owned(),
    ))
}
