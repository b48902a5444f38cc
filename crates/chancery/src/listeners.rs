//! Where the server listens, and the bases of the URLs it hands out.

use std::net::{SocketAddr, TcpListener as StdTcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener as StdUnixListener;

use tokio::net::{TcpListener, UnixListener};

use crate::Exit;
use crate::config::Config;
use crate::data_folder::DataFolder;

/// The listeners, bound before anything is made, so that an occupied port leaves nothing behind.
pub(crate) struct Bound {
    pub(crate) public: StdTcpListener,
    pub(crate) status: StdTcpListener,
    pub(crate) metrics: StdTcpListener,
    pub(crate) admin: StdUnixListener,
}

/// The same, waited on by the runtime.
pub(crate) struct Listening {
    pub(crate) public: TcpListener,
    pub(crate) status: TcpListener,
    pub(crate) metrics: TcpListener,
    pub(crate) admin: UnixListener,
}

/// Where the server listens, as bound.
pub(crate) struct Listeners {
    pub(crate) public: SocketAddr,
    pub(crate) status: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

/// Bases of URLs.
pub(crate) struct Bases {
    pub(crate) acme: String,
    pub(crate) status: String,
}

impl Listeners {
    pub(crate) fn all(&self) -> [SocketAddr; 3] {
        [self.public, self.status, self.metrics]
    }

    /// From the configuration, or else from where the server listens; never from a request.
    pub(crate) fn bases(&self, config: &Config) -> Bases {
        let of = |given: &Option<String>, scheme: &str, bound: SocketAddr| match given {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => format!("{scheme}://localhost:{}", bound.port()),
            None => format!("{scheme}://{bound}"),
        };
        Bases {
            acme: of(&config.server.url, "https", self.public),
            status: of(&config.server.status_url, "http", self.status),
        }
    }
}

impl Bound {
    pub(crate) fn bind(config: &Config, folder: &DataFolder) -> Result<Self, Exit> {
        let public = tcp("public", config.listen.public)?;
        let status = tcp("status", config.listen.status)?;
        let metrics = tcp("metrics", config.listen.metrics)?;
        let socket = folder.path().join("admin.sock");
        // Left behind by a process that was killed; the lock says that nobody has it.
        let _ = std::fs::remove_file(&socket);
        let admin = StdUnixListener::bind(&socket).map_err(|error| {
            Exit::failed(format!("{} cannot be made: {error}", socket.display()))
        })?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))
            .map_err(Exit::failed)?;
        Ok(Self {
            public,
            status,
            metrics,
            admin,
        })
    }

    pub(crate) fn listening(self) -> Result<Listening, Exit> {
        let tcp = |listener: StdTcpListener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        };
        let unix = |listener: StdUnixListener| {
            listener.set_nonblocking(true)?;
            UnixListener::from_std(listener)
        };
        Ok(Listening {
            public: tcp(self.public).map_err(Exit::failed)?,
            status: tcp(self.status).map_err(Exit::failed)?,
            metrics: tcp(self.metrics).map_err(Exit::failed)?,
            admin: unix(self.admin).map_err(Exit::failed)?,
        })
    }

    pub(crate) fn addresses(&self) -> Result<Listeners, Exit> {
        let of = |listener: &StdTcpListener| listener.local_addr().map_err(Exit::failed);
        Ok(Listeners {
            public: of(&self.public)?,
            status: of(&self.status)?,
            metrics: of(&self.metrics)?,
        })
    }
}

fn tcp(name: &str, address: SocketAddr) -> Result<StdTcpListener, Exit> {
    StdTcpListener::bind(address).map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another address"
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE; grant it, or choose a higher port"
            }
            _ => "choose an address of this machine",
        };
        Exit::failed(format!(
            "listen.{name} = {address} cannot be used: {error}; {advice}"
        ))
    })
}
