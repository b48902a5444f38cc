use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_crypto::{Entropy, SystemEntropy};
use serde::Deserialize;

use crate::clock::{Clock, SystemClock};
use crate::settings::{Http01, Settings};
use crate::{AgentError, ExternalAccount, KeyType};

/// Where the operator's file is.
const CONFIG_FOLDER: &str = "/etc/chancery-agent";
/// Where the agent keeps what it knows.
const STATE_FOLDER: &str = "/var/lib/chancery-agent";
/// The operator's file.
const CONFIG_FILE: &str = "agent.toml";

/// What an [`Agent`](crate::Agent) needs to know of the world.
#[derive(Clone)]
pub struct AgentConfig {
    /// The folder of its state: `live`, `archive`, `orders`, `accounts`, `certificates`. One agent at a time works on it.
    pub state: PathBuf,
    /// What holds for every certificate of which nothing else was said.
    pub defaults: Settings,
    /// How the CA reaches people: `mailto:` URLs for new accounts.
    pub contact: Vec<String>,
    /// What vouches for new accounts, at CAs that ask for that.
    pub external_account: Option<ExternalAccount>,
    /// Whether somebody read the CA's terms and agrees to them.
    pub agree_terms: bool,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the moment of a renewal is drawn from. Keys are not made of it.
    pub entropy: Arc<dyn Entropy>,
    /// The configuration file, for messages that say where to write something.
    pub file: PathBuf,
}

impl AgentConfig {
    /// An agent with its state in `state`, and nothing configured.
    #[must_use]
    pub fn new(state: impl Into<PathBuf>) -> Self {
        let state = state.into();
        Self {
            file: state.join(CONFIG_FILE),
            state,
            defaults: Settings::default(),
            contact: Vec::new(),
            external_account: None,
            agree_terms: false,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// The configuration of this machine: `/etc/chancery-agent/agent.toml` with the state in `/var/lib/chancery-agent`,
    /// or both in `prefix`. A file that is not there says nothing.
    ///
    /// # Errors
    /// [`AgentError::BadConfig`] for a file that cannot be read, names an unknown key, or contradicts itself.
    pub fn load(prefix: Option<&Path>) -> Result<Self, AgentError> {
        let state = prefix.unwrap_or_else(|| Path::new(STATE_FOLDER));
        let folder = prefix.unwrap_or_else(|| Path::new(CONFIG_FOLDER));
        let mut config = Self::new(state);
        config.file = folder.join(CONFIG_FILE);
        match std::fs::read_to_string(&config.file) {
            Ok(text) => config.apply(&text, folder)?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(config.bad(&error.to_string())),
        }
        Ok(config)
    }

    fn apply(&mut self, text: &str, folder: &Path) -> Result<(), AgentError> {
        let file: File =
            toml::from_str(text).map_err(|error| self.bad(error.to_string().trim_end()))?;
        self.contact = file.contact;
        self.agree_terms = file.agree_terms;
        if let Some(Eab { kid, hmac_key_file }) = file.eab {
            let read = ExternalAccount::read(kid, &folder.join(hmac_key_file));
            self.external_account = Some(read.map_err(|why| self.bad(&why))?);
        }
        self.defaults = Settings {
            ca: file.ca,
            root: file.root.map(|path| folder.join(path)),
            http01: match (file.http_listen, file.webroot) {
                (Some(_), Some(_)) => {
                    return Err(self.bad("http_listen and webroot exclude each other; keep one"));
                }
                (Some(addr), None) => Some(Http01::Listen(addr)),
                (None, Some(path)) => Some(Http01::Webroot(folder.join(path))),
                (None, None) => None,
            },
            key_type: file.key_type,
            reuse_key: file.reuse_key,
        };
        Ok(())
    }

    fn bad(&self, reason: &str) -> AgentError {
        AgentError::BadConfig {
            path: self.file.clone(),
            reason: reason.to_owned(),
        }
    }
}

/// `agent.toml` as the operator writes it; relative paths start in its folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    ca: Option<String>,
    root: Option<PathBuf>,
    http_listen: Option<SocketAddr>,
    webroot: Option<PathBuf>,
    key_type: Option<KeyType>,
    reuse_key: Option<bool>,
    contact: Vec<String>,
    eab: Option<Eab>,
    agree_terms: bool,
}

/// An external account; its key stands in a file of its own, which nobody else may read.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Eab {
    kid: String,
    hmac_key_file: PathBuf,
}

impl fmt::Debug for AgentConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentConfig")
            .field("state", &self.state)
            .field("defaults", &self.defaults)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;

    fn load(text: &str) -> Result<AgentConfig, AgentError> {
        let folder = TempDir::new("agent-config").expect("made");
        std::fs::write(folder.join(CONFIG_FILE), text).expect("written");
        AgentConfig::load(Some(folder.path()))
    }

    #[test]
    fn the_operators_file_says_what_holds_for_every_certificate() {
        let config = load(
            "ca = \"https://ca.test/acme/directory\"\nroot = \"root.pem\"\nhttp_listen = \"127.0.0.1:8080\"\n\
             key_type = \"rsa-3072\"\ncontact = [\"mailto:ops@corp.test\"]\nagree_terms = true\n",
        )
        .expect("good");
        let root = config.defaults.root.expect("given");
        assert!(root.is_absolute() && root.ends_with("root.pem"));
        assert_eq!(config.defaults.key_type, Some(KeyType::Rsa3072));
        let addr = "127.0.0.1:8080".parse().expect("an address");
        assert_eq!(config.defaults.http01, Some(Http01::Listen(addr)));
        assert!(config.agree_terms && config.contact.len() == 1);
    }

    #[test]
    fn an_external_account_has_its_key_in_a_file_beside() {
        let text = "eab = { kid = \"k\", hmac_key_file = \"eab.key\" }\n";
        let error = load(text).expect_err("there is no such file");
        assert!(error.is_usage() && error.to_string().contains("eab.key"));
        let folder = TempDir::new("agent-config").expect("made");
        std::fs::write(folder.join(CONFIG_FILE), text).expect("written");
        std::fs::write(folder.join("eab.key"), "Y2FuYXJ5\n").expect("written");
        let config = AgentConfig::load(Some(folder.path())).expect("good");
        assert!(config.external_account.is_some());
    }

    #[test]
    fn a_missing_file_says_nothing() {
        let folder = TempDir::new("agent-config").expect("made");
        let config = AgentConfig::load(Some(folder.path())).expect("good");
        assert_eq!(config.defaults, Settings::default());
        assert_eq!(config.state, folder.path());
    }

    #[test]
    fn unknown_keys_and_contradictions_are_refused_by_name() {
        for (text, told) in [
            ("directory = \"https://ca.test\"", "directory"),
            ("key_type = \"rsa-1024\"", "rsa-3072"),
            ("webroot = \"/srv\"\nhttp_listen = \"[::]:80\"", "keep one"),
            ("ca = ", "ca ="),
        ] {
            let error = load(text).expect_err("refused");
            assert!(error.is_usage());
            assert!(error.to_string().contains(told), "{error}");
        }
    }
}
