use std::time::{Duration, Instant};

use crate::error::BenchError;
use crate::pacing::Pacing;
use crate::peers::{Ground, Started};
use crate::site::Site;

/// Nothing is known about it: like a server that validates within milliseconds.
const PACING: Pacing = Pacing {
    first: Duration::from_millis(2),
    next: Duration::from_millis(5),
    per_worker: Duration::ZERO,
};

/// The server of `--url`, which validates by the addresses of `--web` and `--dns`.
pub(super) async fn start(ground: &Ground<'_>) -> Result<Started, BenchError> {
    let cli = ground.cli;
    let given = cli.url.clone().zip(cli.root.clone());
    let (directory_url, root) = given.ok_or_else(|| BenchError::Url("none is given".to_owned()))?;
    Ok(Started {
        directory_url,
        root,
        process: None,
        pid: cli.pid,
        data: None,
        site: Site::start(cli.web, cli.dns).await?,
        pacing: cli.pacing(PACING),
        began: Instant::now(),
        _scratch: None,
    })
}
