use std::io;
use std::path::PathBuf;

use chancery_simulate::SimulateError;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BenchError {
    /// The runtime or its signal handlers.
    #[error("cannot start: {0}")]
    Runtime(io::Error),
    /// SIGINT or SIGTERM.
    #[error("told to stop; nothing is reported")]
    Told,
    /// A server that this machine does not have.
    #[error("{peer} is not on this machine: {advice}")]
    Missing { peer: &'static str, advice: String },
    /// The DNS or web server beside the measured one.
    #[error("the neighbours of the server did not start: {0}")]
    Site(#[from] SimulateError),
    /// A file or folder of our own.
    #[error("cannot {what} {path}: {source}")]
    File {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// A free port could not be found.
    #[error("no free loopback port: {0}")]
    Port(io::Error),
    /// A program that cannot be started.
    #[error("cannot start {program}: {source}")]
    Spawn { program: String, source: io::Error },
    /// A server that ended, or did not answer in time.
    #[error("{peer} did not become ready: {detail}")]
    NotReady { peer: &'static str, detail: String },
    /// A URL that is not https on a loopback address.
    #[error("the URL of the directory cannot be used: {0}")]
    Url(String),
    /// Keys or certificates of our own.
    #[error("cannot make {what}: {detail}")]
    Material { what: &'static str, detail: String },
    /// The accounts.
    #[error("no account: {0}")]
    Account(String),
    /// The helper that fills the store.
    #[error("the store was not filled: {0}")]
    Preload(String),
    /// No run at all came to an end.
    #[error("nothing was measured")]
    Nothing,
}

impl BenchError {
    /// For `map_err` on work with a file or folder.
    pub(crate) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }
}
