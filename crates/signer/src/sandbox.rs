//! What the signer gives up before it opens a key.

use rustix::process::DumpableBehavior;

use crate::SignerError;

/// No core dump and no debugger of the same user sees the keys; nothing that is executed gains rights.
///
/// # Errors
/// An I/O error where the system refuses; the signer does not run then.
pub(crate) fn confine() -> Result<(), SignerError> {
    let this = std::path::Path::new("/proc/self");
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(std::io::Error::from)
        .map_err(SignerError::io("turn off core dumps for", this))?;
    rustix::thread::set_no_new_privs(true)
        .map_err(std::io::Error::from)
        .map_err(SignerError::io("give up new rights for", this))
}
