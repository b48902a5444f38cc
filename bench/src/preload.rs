//! A store that already holds many certificates: what an index costs does not show in an empty one.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;
use tokio::time::timeout;

use crate::cli::Peer;
use crate::error::BenchError;
use crate::peers::{self, Ground};
use crate::scratch::Scratch;

/// Writes N certificates into the data of a server that does not run: `preload DATA N`, exit 0 when they are there.
const PROGRAM: &str = "preload";
/// Beyond this it is not worth waiting: a million takes a minute or two.
const TIME_MAX: Duration = Duration::from_secs(3600);

/// Lets chancery make its data (keys, issuers, schema), stops it, and has the helper fill the store. The folder for
/// data is below the one returned.
///
/// # Errors
/// [`BenchError`]
pub(crate) async fn fill(ground: &Ground<'_>, count: u64) -> Result<Scratch, BenchError> {
    let program = ground.programs.join(PROGRAM);
    if !program.is_file() {
        return Err(BenchError::Preload(format!(
            "{} is not built",
            program.display()
        )));
    }
    let filled = Scratch::new(&ground.folder)?;
    let data = data(&filled);
    make(ground, &data).await?;
    let began = Instant::now();
    let mut command = Command::new(&program);
    command
        .arg(&data)
        .arg(count.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    let spawned = |source| BenchError::Spawn {
        program: program.display().to_string(),
        source,
    };
    let mut child = command.spawn().map_err(spawned)?;
    match timeout(TIME_MAX, child.wait()).await {
        Ok(Ok(status)) if status.success() => {}
        Ok(Ok(status)) => {
            return Err(BenchError::Preload(format!(
                "{PROGRAM} ended with {status}"
            )));
        }
        Ok(Err(error)) => return Err(BenchError::Preload(error.to_string())),
        Err(_) => {
            return Err(BenchError::Preload(format!(
                "{PROGRAM} took more than an hour"
            )));
        }
    }
    // What is still in memory would be written while something else is measured.
    rustix::fs::sync();
    eprintln!(
        "chancery: {count} certificates stored beforehand in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    Ok(filled)
}

/// The folder for data below the one that [`fill`] returns.
pub(crate) fn data(filled: &Scratch) -> std::path::PathBuf {
    filled.path().join("data")
}

async fn make(ground: &Ground<'_>, data: &Path) -> Result<(), BenchError> {
    let scratch = Scratch::new(&ground.folder)?;
    let mut started = peers::chancery::start_on(ground, scratch, data.to_path_buf()).await?;
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
