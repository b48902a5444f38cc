//! What the agent keeps on disk. Every file appears whole, and is on the disk before the step that relies on it.
//!
//! ```text
//! lock                           held while an agent works here
//! accounts/CA/account.{key,json} one account for each CA, with a key of its own
//! certificates/NAME.json         what is wanted, how the last attempts went, what the CA advises on renewal
//! orders/NAME.{key,json}         the order under way: key and CSR first, then its URL, then the chain
//! archive/NAME/0001/…            complete generations
//! live/NAME                      a symbolic link to one of them, switched by one rename
//! ```

mod account;
mod advice;
mod certificate;
mod file;
mod flat;
mod generation;
mod lock;
mod order;

use std::path::{Path, PathBuf};

use crate::{AgentError, CertName};

pub(crate) use account::AccountRecord;
pub(crate) use advice::{Advice, Window};
pub(crate) use certificate::{CertificateRecord, Failure, Revocation};
pub(crate) use file::{PRIVATE, PUBLIC, check_folder, make_folder, read, remove, replace};
pub(crate) use generation::Files;
pub(crate) use lock::Lock;
pub(crate) use order::{OrderRecord, Published, Step};

/// Others may pass through to the certificates; private keys are closed one by one.
const OPEN_FOLDER: u32 = 0o755;
/// Keys of accounts and orders.
const CLOSED_FOLDER: u32 = 0o700;

/// The state folder.
#[derive(Debug, Clone)]
pub(crate) struct State {
    folder: PathBuf,
}

impl State {
    pub(crate) fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// Makes the folders and takes the lock. An unwritable or full disk shows here, before any CA is asked.
    pub(crate) fn open(&self) -> Result<Lock, AgentError> {
        make_folder(&self.folder, OPEN_FOLDER)?;
        let lock = Lock::take(&self.folder.join("lock"))?;
        for name in ["live", "archive", "certificates"] {
            make_folder(&self.folder.join(name), OPEN_FOLDER)?;
        }
        for name in ["orders", "accounts"] {
            make_folder(&self.folder.join(name), CLOSED_FOLDER)?;
        }
        Ok(lock)
    }

    fn join(&self, folder: &str, file: &str) -> PathBuf {
        self.folder.join(folder).join(file)
    }

    /// The stable path that services are configured with.
    pub(crate) fn live(&self, name: &CertName) -> PathBuf {
        self.join("live", name.as_str())
    }

    fn archive(&self, name: &CertName) -> PathBuf {
        self.join("archive", name.as_str())
    }
}

/// Reads JSON of our own.
fn from_json<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, AgentError> {
    serde_json::from_slice(bytes).map_err(|error| broken(path, error))
}

fn to_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<Vec<u8>, AgentError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| broken(path, error))?;
    text.push(b'\n');
    Ok(text)
}

fn broken(path: &Path, reason: impl ToString) -> AgentError {
    AgentError::BrokenState {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
