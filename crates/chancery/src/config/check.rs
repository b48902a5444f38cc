//! From what was written to what can be used: every value is looked at before anything starts.

use chancery_acme::ChallengeKind;
use chancery_authority::caa::CaaRules;
use chancery_authority::gateway::{BindingRule, Gateway, Gateways, NamePattern, NameRules, Offer};
use chancery_authority::limit::{Rate, Rates};
use chancery_dial::{Policy, Resolver, Timing};
use chancery_pki::{DnsName, Profile};

use super::{Config, ConfigError, DEFAULT_NAME, GatewaySection};

/// A configuration that can be used.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) gateways: Gateways,
    pub(crate) default_gateway: String,
    pub(crate) profiles: Vec<Profile>,
    pub(crate) policy: Policy,
    pub(crate) resolver: Resolver,
    pub(crate) rates: Rates,
    /// The store's file, relative to the data folder if it is not absolute.
    pub(crate) database: String,
    /// What can be used, and is hardly meant.
    pub(crate) warnings: Vec<String>,
}

fn value(key: impl Into<String>, message: impl Into<String>) -> ConfigError {
    ConfigError::Value {
        key: key.into(),
        message: message.into(),
    }
}

impl Config {
    /// Checks everything that can be checked without touching the world.
    pub(crate) fn check(&self) -> Result<Checked, ConfigError> {
        let profiles = self.profiles()?;
        let gateways = self.gateways(&profiles)?;
        let default_gateway = if gateways.contains_key(DEFAULT_NAME) {
            DEFAULT_NAME.to_owned()
        } else {
            let first = gateways.keys().next().cloned();
            first.ok_or_else(|| value("gateway", "there is none; write [gateway.server]"))?
        };
        check_base("server.url", self.server.url.as_deref(), "https://")?;
        check_base(
            "server.status_url",
            self.server.status_url.as_deref(),
            "http://",
        )?;
        let words = self.validation.allow.iter().map(String::as_str);
        let policy = Policy::from_words(words)
            .map_err(|error| value("validation.allow", error.to_string()))?;
        let resolver = Resolver::new(&self.validation.resolvers, Timing::default())
            .map_err(|error| value("validation.resolvers", error.to_string()))?;
        let database = self.store.url.strip_prefix("sqlite:").ok_or_else(|| {
            value(
                "store.url",
                "only sqlite:FILE is known so far, such as sqlite:chancery.db",
            )
        })?;
        Ok(Checked {
            warnings: gateways.values().filter_map(warning).collect(),
            gateways,
            default_gateway,
            profiles,
            policy,
            resolver,
            rates: self.rates()?,
            database: database.to_owned(),
        })
    }

    fn profiles(&self) -> Result<Vec<Profile>, ConfigError> {
        self.profile
            .iter()
            .map(|(name, section)| {
                let profile = Profile {
                    lifetime_secs: section.lifetime,
                    ..Profile::server(name)
                };
                profile
                    .check()
                    .map_err(|error| value(format!("profile.{name}"), error.to_string()))?;
                Ok(profile)
            })
            .collect()
    }

    fn rates(&self) -> Result<Rates, ConfigError> {
        let limits = &self.limits;
        if !limits.enabled {
            return Ok(Rates::NONE);
        }
        let read = |name: &str, text: &str| {
            rate(text).ok_or_else(|| {
                let message = format!(
                    "{text:?} is no rate; write 300/3h (at most 300 in three hours) or off"
                );
                value(format!("limits.{name}"), message)
            })
        };
        Ok(Rates {
            accounts_per_address: read("accounts_per_address", &limits.accounts_per_address)?,
            orders_per_account: read("orders_per_account", &limits.orders_per_account)?,
            orders_per_name: read("orders_per_name", &limits.orders_per_name)?,
            orders_per_exact_set: read("orders_per_exact_set", &limits.orders_per_exact_set)?,
            failures_per_name: read("failures_per_name", &limits.failures_per_name)?,
        })
    }

    fn gateways(&self, profiles: &[Profile]) -> Result<Gateways, ConfigError> {
        self.gateway
            .iter()
            .map(|(name, section)| {
                let mut gateway = gateway(name, section, profiles)?;
                gateway.caa = self.caa_rules(name, section)?;
                Ok((name.clone(), gateway))
            })
            .collect()
    }

    /// CAA is checked by the name of this server, outside the zones of one's own, if nothing else is said.
    fn caa_rules(&self, gateway: &str, section: &GatewaySection) -> Result<CaaRules, ConfigError> {
        let key = |part: &str| format!("gateway.{gateway}.{part}");
        let read = |part: &str, words: &[String]| {
            let read = |word: &String| {
                DnsName::parse(word)
                    .map_err(|error| value(key(part), format!("{word:?} is not a name: {error}")))
            };
            words.iter().map(read).collect::<Result<Vec<_>, _>>()
        };
        let own_name = || own_name(self.server.url.as_deref()).into_iter().collect();
        let identities = section.caa_identities.clone().unwrap_or_else(own_name);
        // They are told and compared as they are written, so only their form is looked at.
        read("caa_identities", &identities)?;
        let nobodys = || NOBODYS_ZONES.map(str::to_owned).to_vec();
        let private = section.private_suffixes.clone().unwrap_or_else(nobodys);
        Ok(CaaRules {
            identities,
            private_suffixes: read("private_suffixes", &private)?,
        })
    }
}

/// Zones that nobody has in the public tree, so that nobody publishes there who may issue (RFC 6761, RFC 6762, RFC 8375;
/// `internal` is kept free for such use).
const NOBODYS_ZONES: [&str; 7] = [
    "example",
    "home.arpa",
    "internal",
    "invalid",
    "local",
    "localhost",
    "test",
];

/// The host of the server's URL, as far as it is a name that CAA records could hold.
fn own_name(url: Option<&str>) -> Option<String> {
    let host = url?.strip_prefix("https://")?.split(['/', ':']).next()?;
    let name = DnsName::parse(host).ok()?;
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    (!is_address && name.labels().count() > 1).then(|| host.to_owned())
}

/// `off`, or a count within a span of time; `None` for what is neither.
fn rate(text: &str) -> Option<Option<Rate>> {
    if text == "off" {
        return Some(None);
    }
    let (count, span) = text.split_once('/')?;
    let span = u32::try_from(super::parse_span(span)?).ok()?;
    Rate::new(count.parse().ok()?, span).map(Some)
}

/// An empty list allows nothing, so that one which was emptied by mistake opens nothing (failures B15); who did so shall
/// hear of it.
fn warning(gateway: &Gateway) -> Option<String> {
    let Gateway { name, names, .. } = gateway;
    names.allow.is_empty().then(|| {
        format!(
            "gateway.{name}.names.allow is empty: every order there is refused; \
             write the names that it takes, or [\"*\"] for all"
        )
    })
}

fn gateway(
    name: &str,
    section: &GatewaySection,
    profiles: &[Profile],
) -> Result<Gateway, ConfigError> {
    let key = |part: &str| format!("gateway.{name}.{part}");
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) || name == "directory" {
        let message =
            "a gateway's name is part of its URLs: lower-case letters, digits and hyphens";
        return Err(value(format!("gateway.{name}"), message));
    }
    if section.protocol != "acme" {
        let message = format!("only \"acme\" is known so far, not {:?}", section.protocol);
        return Err(value(key("protocol"), message));
    }
    let challenges = section
        .challenges
        .iter()
        .map(|word| {
            ChallengeKind::parse(word).ok_or_else(|| {
                let known: Vec<_> = ChallengeKind::ALL.iter().map(|kind| kind.name()).collect();
                value(
                    key("challenges"),
                    format!("{word:?} is not one of {}", known.join(", ")),
                )
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if challenges.is_empty() {
        return Err(value(key("challenges"), "at least one is needed"));
    }
    let offered: Vec<Profile> = section
        .profiles
        .iter()
        .map(|word| {
            let found = profiles.iter().find(|profile| profile.name == *word);
            found
                .cloned()
                .ok_or_else(|| value(key("profiles"), format!("there is no [profile.{word}]")))
        })
        .collect::<Result<_, _>>()?;
    if offered.is_empty() {
        return Err(value(key("profiles"), "at least one is needed"));
    }
    let patterns = |part: &str, words: &[String]| {
        words
            .iter()
            .map(|word| NamePattern::parse(word).map_err(|message| value(key(part), message)))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(Gateway {
        name: name.to_owned(),
        challenges,
        profiles: offered,
        terms_of_service: section.terms_of_service.clone(),
        names: NameRules {
            allow: patterns("names.allow", &section.names.allow)?,
            deny: patterns("names.deny", &section.names.deny)?,
            scope: None,
        },
        pre_authorization: offer(section.pre_authorization),
        binding_rule: if section.external_account_required {
            BindingRule::Required
        } else {
            BindingRule::Accepted
        },
        reuse: offer(section.reuse_authorizations),
        caa: CaaRules::default(),
    })
}

fn offer(wanted: bool) -> Offer {
    match wanted {
        true => Offer::Made,
        false => Offer::NotMade,
    }
}

fn check_base(key: &str, url: Option<&str>, scheme: &str) -> Result<(), ConfigError> {
    let Some(url) = url else { return Ok(()) };
    let Some(rest) = url.strip_prefix(scheme) else {
        return Err(value(key, format!("it begins with {scheme}")));
    };
    let authority = rest.trim_end_matches('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    if authority.is_empty() || !authority.bytes().all(plain) {
        return Err(value(
            key,
            format!("it is {scheme}HOST or {scheme}HOST:PORT, without a path"),
        ));
    }
    Ok(())
}
