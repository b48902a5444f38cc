//! What can be known of an authority: where it is, what it printed, what it costs.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chancery_testkit::usage::Usage;

use super::{Authority, loopback, printed, signer_of};
use crate::{Client, Http, Site};

impl Authority {
    /// The folder that the server was given.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A path for the test's own files.
    #[must_use]
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The trust anchor, as clients get it.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.data.join("root.pem")
    }

    /// Its text.
    ///
    /// # Panics
    /// When there is none yet.
    #[must_use]
    pub fn root_pem(&self) -> String {
        std::fs::read_to_string(self.root()).expect("root.pem is there once the server is ready")
    }

    /// The URL of the directory that the server told.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn directory(&self) -> &str {
        &self.running().directory
    }

    /// From its start to `ready`.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn ready_after(&self) -> Duration {
        self.running().ready_after
    }

    /// Where http-01 dials.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.ports.port(4)
    }

    /// Where tls-alpn-01 and redirects of http-01 to https dial.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        self.ports.port(5)
    }

    /// A port that nobody uses.
    #[must_use]
    pub fn spare_port(&self) -> u16 {
        self.ports.port(6)
    }

    /// Address of the public listener.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        loopback(self.ports.port(1))
    }

    /// Address of the listener for CRLs and issuer certificates.
    #[must_use]
    pub fn status_listener(&self) -> SocketAddr {
        loopback(self.ports.port(2))
    }

    /// Address of the listener for metrics.
    #[must_use]
    pub fn metrics_listener(&self) -> SocketAddr {
        loopback(self.ports.port(3))
    }

    /// What its subscribers control.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// A client that trusts it, over HTTP/1.1.
    ///
    /// # Panics
    /// When the directory cannot be read.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(
            Http::trusting(&self.root_pem()),
            self.directory(),
            self.site.clone(),
        )
    }

    /// A client of one gateway.
    ///
    /// # Panics
    /// When there is none of that name.
    #[must_use]
    pub fn client_of(&self, gateway: &str) -> Client {
        let base = self.directory().trim_end_matches("/acme/directory");
        let directory = format!("{base}/acme/{gateway}/directory");
        let http = Http::trusting(&self.root_pem());
        Client::connect(http, &directory, self.site.clone())
    }

    /// The process id of the server.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().program.pid()
    }

    /// Whether the server has not ended by itself.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|running| running.program.is_running())
    }

    /// What server and signer cost so far.
    ///
    /// # Panics
    /// When they are gone.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.running().program.usage().expect("the server runs")
    }

    /// Everything that the server printed since it started.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn output(&self) -> String {
        printed(&self.running().program)
    }

    /// The process id of the signer.
    ///
    /// # Panics
    /// When the server is not running, or has no signer.
    #[must_use]
    pub fn signer_pid(&self) -> u32 {
        signer_of(&self.running().program)
    }
}
