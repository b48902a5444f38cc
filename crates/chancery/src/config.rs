//! The configuration: one TOML file, overridden by `CHANCERY_SECTION__KEY` in the environment. Unknown keys are refused by
//! name, so that a misspelt security setting is never silently a default.

mod check;
mod overlay;
mod text;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub(crate) use check::Checked;
pub(crate) use text::parse_span;
use text::{one_or_many, some_one_or_many, span};

/// What the operator wrote.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    pub(crate) server: Server,
    pub(crate) listen: Listen,
    pub(crate) store: StoreSection,
    pub(crate) validation: Validation,
    pub(crate) limits: LimitsSection,
    pub(crate) signer: SignerSection,
    pub(crate) gateway: BTreeMap<String, GatewaySection>,
    pub(crate) profile: BTreeMap<String, ProfileSection>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Server {
    /// The base of every ACME URL; from `listen.public` if it is not given.
    pub(crate) url: Option<String>,
    /// The base of CRL and issuer URLs; from `listen.status` if it is not given.
    pub(crate) status_url: Option<String>,
    /// Part of the names of root and issuing CA; used by the first run only.
    pub(crate) organization: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Listen {
    pub(crate) public: SocketAddr,
    pub(crate) status: SocketAddr,
    pub(crate) metrics: SocketAddr,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct StoreSection {
    pub(crate) url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Validation {
    pub(crate) http_port: u16,
    pub(crate) tls_port: u16,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) resolvers: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) allow: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsSection {
    pub(crate) enabled: bool,
    /// `300/3h`, or `off`; what each counts is said by `authority::limit::Limited`.
    pub(crate) accounts_per_address: String,
    pub(crate) orders_per_account: String,
    pub(crate) orders_per_name: String,
    pub(crate) orders_per_exact_set: String,
    pub(crate) failures_per_name: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SignerSection {
    /// A file with the passphrase that seals the key files.
    pub(crate) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GatewaySection {
    pub(crate) protocol: String,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) challenges: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) profiles: Vec<String>,
    pub(crate) terms_of_service: Option<String>,
    /// Whether accounts need an external account binding, made by `eab create`.
    pub(crate) external_account_required: bool,
    pub(crate) names: NamesSection,
    /// Whether accounts may prove names before they order (newAuthz).
    pub(crate) pre_authorization: bool,
    /// Whether what was proven for one order serves later ones.
    pub(crate) reuse_authorizations: bool,
    /// The names by which CAA records may permit this authority; the host of `server.url` where nothing is said. An empty
    /// list switches the check off.
    #[serde(deserialize_with = "some_one_or_many")]
    pub(crate) caa_identities: Option<Vec<String>>,
    /// Zones of one's own, in which CAA is not checked; those that nobody has in public where nothing is said.
    #[serde(deserialize_with = "some_one_or_many")]
    pub(crate) private_suffixes: Option<Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NamesSection {
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) allow: Vec<String>,
    #[serde(deserialize_with = "one_or_many")]
    pub(crate) deny: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileSection {
    #[serde(deserialize_with = "span")]
    pub(crate) lifetime: u64,
}

/// The name of the gateway and of the profile that exist without any configuration.
pub(crate) const DEFAULT_NAME: &str = "server";

impl Default for Config {
    fn default() -> Self {
        Self {
            server: Server::default(),
            listen: Listen::default(),
            store: StoreSection::default(),
            validation: Validation::default(),
            limits: LimitsSection::default(),
            signer: SignerSection::default(),
            gateway: BTreeMap::from([(DEFAULT_NAME.to_owned(), GatewaySection::default())]),
            profile: BTreeMap::from([(DEFAULT_NAME.to_owned(), ProfileSection::usual())]),
        }
    }
}

impl ProfileSection {
    /// What is issued where nothing else is said.
    fn usual() -> Self {
        Self {
            lifetime: 47 * 24 * 3600,
        }
    }
}

impl Default for Listen {
    fn default() -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        Self {
            public: local(8443),
            status: local(8080),
            metrics: local(8445),
        }
    }
}

impl Default for StoreSection {
    fn default() -> Self {
        Self {
            url: "sqlite:chancery.db".to_owned(),
        }
    }
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            http_port: 80,
            tls_port: 443,
            resolvers: vec!["system".to_owned()],
            allow: vec!["public".to_owned(), "private".to_owned()],
        }
    }
}

impl Default for LimitsSection {
    fn default() -> Self {
        Self {
            enabled: true,
            accounts_per_address: "100/1h".to_owned(),
            orders_per_account: "1000/1h".to_owned(),
            orders_per_name: "100/1h".to_owned(),
            orders_per_exact_set: "20/1h".to_owned(),
            failures_per_name: "20/1h".to_owned(),
        }
    }
}

impl Default for GatewaySection {
    fn default() -> Self {
        Self {
            protocol: "acme".to_owned(),
            challenges: ["http-01", "dns-01", "tls-alpn-01"]
                .map(str::to_owned)
                .to_vec(),
            profiles: vec![DEFAULT_NAME.to_owned()],
            terms_of_service: None,
            external_account_required: false,
            names: NamesSection::default(),
            pre_authorization: false,
            reuse_authorizations: false,
            caa_identities: None,
            private_suffixes: None,
        }
    }
}

impl Default for NamesSection {
    fn default() -> Self {
        Self {
            allow: vec!["*".to_owned()],
            deny: Vec::new(),
        }
    }
}

/// Why the configuration cannot be used. The text names the file, the key and what to write instead.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("the configuration {path} cannot be read: {source}")]
    Unreadable {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the configuration{place} is not right: {message}", place = place(path))]
    Wrong {
        path: Option<PathBuf>,
        message: String,
    },
    #[error("the environment variable {name} is not right: {message}")]
    Environment { name: String, message: String },
    #[error("{key} is not right: {message}")]
    Value { key: String, message: String },
}

fn place(path: &Option<PathBuf>) -> String {
    path.as_ref()
        .map_or_else(String::new, |path| format!(" {}", path.display()))
}

impl Config {
    /// Reads the file, if there is one, and what the environment overrides.
    pub(crate) fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table = match path {
            None => toml::Table::new(),
            Some(path) => {
                let text =
                    std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
                        path: path.to_owned(),
                        source,
                    })?;
                text.parse::<toml::Table>()
                    .map_err(|error| ConfigError::Wrong {
                        path: Some(path.to_owned()),
                        message: error.to_string().trim_end().to_owned(),
                    })?
            }
        };
        overlay::apply(&mut table, environment)?;
        let read = serde_path_to_error::deserialize(toml::Value::Table(table));
        let mut config: Self = read.map_err(|error| {
            let key = error.path().to_string();
            let message = error.into_inner().to_string().trim_end().to_owned();
            ConfigError::Wrong {
                path: path.map(Path::to_owned),
                message: if key == "." {
                    message
                } else {
                    format!("{key}: {message}")
                },
            }
        })?;
        // Profiles of one's own come beside the usual one, whose name gateways have by default.
        config
            .profile
            .entry(DEFAULT_NAME.to_owned())
            .or_insert_with(ProfileSection::usual);
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
        let folder = chancery_testkit::TempDir::new("config").expect("a folder");
        let path = folder.path().join("chancery.toml");
        std::fs::write(&path, toml).expect("writes");
        let pairs = environment
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()));
        Config::load(Some(&path), pairs).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_gives_the_defaults() {
        let config = load("", &[]).expect("loads");
        assert_eq!(config.listen.public.to_string(), "127.0.0.1:8443");
        assert_eq!(config.validation.allow, ["public", "private"]);
        assert!(config.limits.enabled);
        assert_eq!(config.profile[DEFAULT_NAME].lifetime, 47 * 86_400);
    }

    #[test]
    fn a_profile_of_ones_own_leaves_the_usual_one_in_place() {
        let config = load("[profile.short]\nlifetime = \"7d\"\n", &[]).expect("loads");
        let lifetimes = ["short", DEFAULT_NAME].map(|name| config.profile[name].lifetime);
        assert_eq!(lifetimes, [7 * 86_400, 47 * 86_400]);
        let config = load("[profile.server]\nlifetime = \"7d\"\n", &[]).expect("loads");
        assert_eq!(config.profile[DEFAULT_NAME].lifetime, 7 * 86_400);
    }

    #[test]
    fn caa_is_checked_by_the_servers_own_name_unless_something_else_is_said() {
        let rules = |toml: &str| {
            let checked = load(toml, &[])
                .expect("loads")
                .check()
                .expect("it can be used");
            checked.gateways[DEFAULT_NAME].caa.clone()
        };
        let dns = |text| chancery_pki::San::parse_dns(text).expect("a name");
        let url = "[server]\nurl = \"https://ca.corp.example:8443\"\n";
        let usual = rules(url);
        assert_eq!(usual.identities, ["ca.corp.example"]);
        assert!(usual.apply_to(&dns("www.corp.com")));
        for private in [
            "a.test",
            "www.corp.example",
            "db.corp.internal",
            "x.home.arpa",
        ] {
            assert!(!usual.apply_to(&dns(private)), "{private}");
        }
        let own = "[gateway.server]\nprivate_suffixes = [\"corp.com\"]\n";
        let own = rules(&format!("{url}{own}"));
        assert!(!own.apply_to(&dns("www.corp.com")) && own.apply_to(&dns("a.test")));
        let off = rules(&format!("{url}[gateway.server]\ncaa_identities = []\n"));
        assert!(!off.apply_to(&dns("www.corp.com")));
        for nameless in [
            "",
            "https://10.0.0.1:8443",
            "https://[fd00::1]",
            "https://localhost",
        ] {
            let url = match nameless {
                "" => String::new(),
                url => format!("[server]\nurl = \"{url}\"\n"),
            };
            assert!(rules(&url).identities.is_empty(), "{nameless}");
        }
    }

    #[test]
    fn unknown_keys_are_refused_by_name() {
        let error = load("[validation]\nalow = [\"public\"]\n", &[]).expect_err("refuses");
        assert!(
            error.contains("alow") && error.contains("chancery.toml"),
            "{error}"
        );
    }

    #[test]
    fn the_environment_overrides_single_keys() {
        let config = load(
            "[listen]\npublic = \"127.0.0.1:1\"\n",
            &[
                ("CHANCERY_LISTEN__PUBLIC", "127.0.0.1:2"),
                ("CHANCERY_VALIDATION__HTTP_PORT", "5002"),
                ("CHANCERY_VALIDATION__RESOLVERS", "127.0.0.1:8053"),
                ("CHANCERY_VALIDATION__ALLOW", "public,private,loopback"),
                ("CHANCERY_LIMITS__ENABLED", "false"),
                ("PATH", "/bin"),
            ],
        )
        .expect("loads");
        assert_eq!(config.listen.public.port(), 2);
        assert_eq!(config.validation.http_port, 5002);
        assert_eq!(config.validation.resolvers, ["127.0.0.1:8053"]);
        assert_eq!(config.validation.allow, ["public", "private", "loopback"]);
        assert!(!config.limits.enabled);
    }

    #[test]
    fn an_unknown_variable_is_refused_by_name() {
        let error = load("", &[("CHANCERY_LISTEN__PUBLIK", "127.0.0.1:2")]).expect_err("refuses");
        assert!(error.contains("publik"), "{error}");
    }
}
