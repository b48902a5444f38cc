use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cli::{Pacing, Peer};
use crate::error::BenchError;
use crate::peers::{Ground, START_TIME, Started};
use crate::process::{Launch, Process, free_ports};
use crate::scratch::Scratch;
use crate::site::Site;

/// It answers a challenge and a finalize when their outcome is near; a worker looks at once.
const PACING: Pacing = Pacing {
    first: Duration::ZERO,
    next: Duration::from_millis(3),
};

/// The binary that is measured.
pub(super) fn program(ground: &Ground<'_>) -> Result<PathBuf, BenchError> {
    let program = ground.programs.join("chancery");
    if program.is_file() {
        return Ok(program);
    }
    let advice = format!("{} is not built (cargo build --release)", program.display());
    Err(BenchError::Missing {
        peer: Peer::Chancery.name(),
        advice,
    })
}

/// Starts `chancery serve` on a folder of its own, or on the one that was filled.
pub(super) async fn start(ground: &Ground<'_>) -> Result<Started, BenchError> {
    let scratch = Scratch::new(&ground.folder)?;
    let data = ground
        .filled
        .map_or_else(|| scratch.path().join("data"), Path::to_path_buf);
    start_on(ground, scratch, data).await
}

/// Starts it on this folder for data, which it makes if it is not there.
pub(crate) async fn start_on(
    ground: &Ground<'_>,
    scratch: Scratch,
    data: PathBuf,
) -> Result<Started, BenchError> {
    let program = program(ground)?;
    let site = neighbours().await?;
    let launch = Launch {
        program: &program,
        arguments: vec![
            "serve".to_owned(),
            "--data".to_owned(),
            data.display().to_string(),
        ],
        environment: environment(&site)?,
        folder: scratch.path(),
        reads_output: true,
    };
    let began = Instant::now();
    let mut process = Process::start(launch, scratch.path().join("chancery.log"))?;
    let Some(directory_url) = process.line_after("ready ", START_TIME).await else {
        let detail = format!("no line `ready URL`; it said: {}", process.last_words());
        return Err(BenchError::NotReady {
            peer: Peer::Chancery.name(),
            detail,
        });
    };
    Ok(Started {
        directory_url,
        root: data.join("root.pem"),
        pid: Some(process.pid()),
        process: Some(process),
        data: Some(data),
        site,
        pacing: ground.cli.pacing(PACING),
        began,
        scratch: Some(scratch),
    })
}

async fn neighbours() -> Result<Site, BenchError> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Site::start(any, any).await
}

fn environment(site: &Site) -> Result<Vec<(&'static str, String)>, BenchError> {
    let [public, status, admin, metrics] = free_ports()?;
    let listen = |port| format!("127.0.0.1:{port}");
    Ok(vec![
        (
            "CHANCERY_SERVER__URL",
            format!("https://localhost:{public}"),
        ),
        (
            "CHANCERY_SERVER__STATUS_URL",
            format!("http://localhost:{status}"),
        ),
        ("CHANCERY_LISTEN__PUBLIC", listen(public)),
        ("CHANCERY_LISTEN__STATUS", listen(status)),
        ("CHANCERY_LISTEN__ADMIN", listen(admin)),
        ("CHANCERY_LISTEN__METRICS", listen(metrics)),
        (
            "CHANCERY_VALIDATION__HTTP_PORT",
            site.web().port().to_string(),
        ),
        ("CHANCERY_VALIDATION__RESOLVERS", site.dns().to_string()),
        (
            "CHANCERY_VALIDATION__ALLOW",
            "public,private,loopback".to_owned(),
        ),
        ("CHANCERY_LIMITS__ENABLED", "false".to_owned()),
    ])
}
