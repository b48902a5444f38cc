//! The signer: this program again, with one end of a socket pair as its standard input, and nothing else to talk to.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use chancery_signer::{SecretSource, SignerConfig};

use crate::{Exit, Place, load_config};

/// Starts the signer; to be called before anything else is opened, so that it inherits nothing.
pub(crate) fn start(place: &Place, data: &Path) -> Result<(Child, UnixStream), Exit> {
    let failed =
        |error: std::io::Error| Exit::failed(format!("the signer cannot be started: {error}"));
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command.arg("signer-process").arg("--data").arg(data);
    if let Some(config) = &place.config {
        command.arg("--config").arg(config);
    }
    command
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null());
    Ok((command.spawn().map_err(failed)?, ours))
}

/// The signer's main: serves the socket on standard input until it closes.
pub(crate) fn run(place: &Place) -> Result<(), Exit> {
    crate::serve::start_log();
    let (config, checked) = load_config(place.config.as_deref())?;
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from)
        .map_err(|error| Exit::failed(format!("the signer has no socket: {error}")))?;
    if socket.peer_addr().is_err() {
        return Err(Exit::usage(
            "the signer is started by `chancery serve`, with a socket as its standard input",
        ));
    }
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(std::path::PathBuf::from);
    let secret = SecretSource::choose(
        &place.data,
        credentials.as_deref(),
        config.signer.passphrase_file.as_deref(),
    );
    let signer = SignerConfig::new(place.data.clone(), secret, checked.profiles);
    chancery_signer::run(socket, signer).map_err(|error| Exit::failed(format!("signer: {error}")))
}
