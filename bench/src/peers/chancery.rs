use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::cli::Peer;
use crate::error::BenchError;
use crate::pacing::Pacing;
use crate::peers::{Ground, START_TIME, Started};
use crate::process::{Launch, Process, free_ports};
use crate::scratch::Scratch;
use crate::site::Site;

/// It answers a poll when the object has changed, so a worker looks at once.
const PACING: Pacing = Pacing {
    first: Duration::ZERO,
    next: Duration::from_millis(3),
    per_worker: Duration::ZERO,
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

/// Data of the authority and the ports it uses. They go together: the status URL is in every certificate, and a
/// store keeps the one that it was made with.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    data: PathBuf,
    public: u16,
    status: u16,
    metrics: u16,
}

impl Place {
    /// Ports that are free now, and a folder for data that chancery makes.
    ///
    /// # Errors
    /// [`BenchError::Port`]
    pub(crate) fn new(data: PathBuf) -> Result<Self, BenchError> {
        let [public, status, metrics] = free_ports()?;
        Ok(Self {
            data,
            public,
            status,
            metrics,
        })
    }

    /// The folder for data.
    pub(crate) fn data(&self) -> &std::path::Path {
        &self.data
    }

    /// The authority's configuration, by the names of its environment.
    fn environment(&self, site: &Site) -> Vec<(&'static str, String)> {
        let listen = |port| format!("127.0.0.1:{port}");
        vec![
            (
                "CHANCERY_SERVER__URL",
                format!("https://localhost:{}", self.public),
            ),
            (
                "CHANCERY_SERVER__STATUS_URL",
                format!("http://localhost:{}", self.status),
            ),
            ("CHANCERY_LISTEN__PUBLIC", listen(self.public)),
            ("CHANCERY_LISTEN__STATUS", listen(self.status)),
            ("CHANCERY_LISTEN__METRICS", listen(self.metrics)),
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
        ]
    }
}

/// Starts `chancery serve` in a place of its own, or in the one that was filled.
pub(super) async fn start(ground: &Ground<'_>) -> Result<Started, BenchError> {
    let scratch = Scratch::new(&ground.folder)?;
    match ground.filled {
        Some(place) => start_in(ground, scratch, place).await,
        None => {
            let place = Place::new(scratch.path().join("data"))?;
            start_in(ground, scratch, &place).await
        }
    }
}

/// Starts it in this place.
///
/// # Errors
/// [`BenchError`]
pub(crate) async fn start_in(
    ground: &Ground<'_>,
    scratch: Scratch,
    place: &Place,
) -> Result<Started, BenchError> {
    let program = program(ground)?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let site = Site::start(any, any).await?;
    let launch = Launch {
        program: &program,
        arguments: vec![
            "serve".to_owned(),
            "--data".to_owned(),
            place.data.display().to_string(),
        ],
        environment: place.environment(&site),
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
        root: place.data.join("root.pem"),
        pid: Some(process.pid()),
        process: Some(process),
        data: Some(place.data.clone()),
        site,
        pacing: ground.cli.pacing(PACING),
        began,
        _scratch: Some(scratch),
    })
}
