//! What can stop a command of the developer.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a command could not be carried out. A rule that does not hold is not an error but a finding.
#[derive(Debug)]
pub(crate) enum Error {
    /// A program could not be started.
    Start { program: String, source: io::Error },
    /// A program ended with a failure; its own output says why.
    Failed { program: String, output: String },
    /// A file or folder could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// Output of a program, or a file, is not in the form that is expected of it.
    Malformed { what: &'static str, reason: String },
    /// The folder of the workspace was not found.
    NoWorkspace,
    /// A fuzz target that does not exist.
    UnknownTarget { wanted: String, known: Vec<String> },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { program, source } => {
                write!(f, "{program} could not be started: {source}")
            }
            Self::Failed { program, output } if output.is_empty() => write!(f, "{program} failed"),
            Self::Failed { program, output } => write!(f, "{program} failed:\n{output}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Malformed { what, reason } => write!(f, "{what} is not as expected: {reason}"),
            Self::NoWorkspace => write!(f, "no workspace found here; run `cargo xtask` inside it"),
            Self::UnknownTarget { wanted, known } => {
                write!(
                    f,
                    "no fuzz target `{wanted}`; there are: {}",
                    known.join(", ")
                )
            }
        }
    }
}

impl std::error::Error for Error {}
