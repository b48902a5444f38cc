//! How an authority of a test is to be set up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What differs from the usual: everything on loopback, every name known to DNS, validation of loopback permitted, no
/// limits on clients.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    pub(crate) environment: BTreeMap<String, Option<String>>,
    pub(crate) configuration: Option<String>,
    pub(crate) resolver: Option<SocketAddr>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) no_web_host: bool,
}

impl Setup {
    /// The usual.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one key of the configuration, as in `validation.allow`, by its environment variable.
    #[must_use]
    pub fn set(self, key: &str, value: impl ToString) -> Self {
        let name = format!("CHANCERY_{}", key.replace('.', "__").to_uppercase());
        self.environment(&name, &value.to_string())
    }

    /// Leaves a key that the harness would set to the configuration file or its default.
    #[must_use]
    pub fn unset(mut self, key: &str) -> Self {
        let name = format!("CHANCERY_{}", key.replace('.', "__").to_uppercase());
        self.environment.insert(name, None);
        self
    }

    /// Sets any environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment
            .insert(name.to_owned(), Some(value.to_owned()));
        self
    }

    /// Writes a configuration file.
    #[must_use]
    pub fn configuration(mut self, toml: &str) -> Self {
        self.configuration = Some(toml.to_owned());
        self
    }

    /// Has names resolved by another server than the one of the [`Site`](crate::Site).
    #[must_use]
    pub fn resolver(mut self, resolver: SocketAddr) -> Self {
        self.resolver = Some(resolver);
        self
    }

    /// Keeps the data elsewhere than in the test's own folder.
    #[must_use]
    pub fn data(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data = Some(folder.into());
        self
    }

    /// Leaves the port of http-01 to somebody else.
    #[must_use]
    pub fn without_web_host(mut self) -> Self {
        self.no_web_host = true;
        self
    }
}
