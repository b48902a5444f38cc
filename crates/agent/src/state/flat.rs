//! Backups without symbolic links bring back plain files where the link was. They are valid to their users until the
//! next generation comes; then they make way in one step, so that there is no moment without a certificate.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::AgentError;
use crate::state::file::failed;

/// Names tried for what made way.
const TRIES: u32 = 1000;

/// Puts the link `beside` in the place of the folder `live`, and keeps the folder in `archive`.
pub(crate) fn exchange(beside: &Path, live: &Path, archive: &Path) -> Result<(), AgentError> {
    renameat_with(CWD, beside, CWD, live, RenameFlags::EXCHANGE)
        .map_err(|error| failed("switch the folder for a link at", live, error.into()))?;
    let free = (1..TRIES)
        .map(|number| archive.join(format!("flat-{number}")))
        .find(|path| !path.exists());
    let kept = free.unwrap_or_else(|| archive.join("flat"));
    fs::rename(beside, &kept).map_err(|error| failed("keep the files of", &kept, error))
}
