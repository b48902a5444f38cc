use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::AgentError;
use crate::state::file::{PRIVATE, failed};

/// The right to work on a state folder: one holder on the machine. The system takes it back from a process that died.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    pub(crate) fn take(path: &Path) -> Result<Self, AgentError> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(PRIVATE)
            .open(path)
            .map_err(|error| failed("open", path, error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(Errno::WOULDBLOCK) => Err(AgentError::Locked {
                path: path.to_owned(),
            }),
            Err(error) => Err(failed("lock", path, error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;

    #[test]
    fn a_second_agent_is_refused_until_the_first_is_done() {
        let folder = TempDir::new("agent-lock").expect("made");
        let path = folder.join("lock");
        let first = Lock::take(&path).expect("free");
        let error = Lock::take(&path).expect_err("taken").to_string();
        assert!(error.contains("another chancery-agent"), "{error}");
        drop(first);
        Lock::take(&path).expect("free again");
    }
}
