use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::KeyType;

/// How a certificate is obtained. What is `None` is looked up elsewhere: on the command line first, then in what was
/// said when the certificate was obtained, then in `agent.toml`, then there is a default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The URL of the CA's directory, `https` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// A PEM file with the certificates that the CA's own TLS certificate is believed by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<PathBuf>,
    /// How http-01 is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http01: Option<Http01>,
    /// The kind of key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_type: Option<KeyType>,
    /// Whether a renewal keeps the key. A fresh one is made otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reuse_key: Option<bool>,
}

impl Settings {
    /// These settings, with those of `other` where nothing is said here.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            ca: self.ca.clone().or_else(|| other.ca.clone()),
            root: self.root.clone().or_else(|| other.root.clone()),
            http01: self.http01.clone().or_else(|| other.http01.clone()),
            key_type: self.key_type.or(other.key_type),
            reuse_key: self.reuse_key.or(other.reuse_key),
        }
    }
}

/// How the agent answers http-01 (RFC 8555 §8.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Http01 {
    /// By a listener of its own, open only while an order is under way.
    Listen(SocketAddr),
    /// By files below `.well-known/acme-challenge` in a folder that a web server serves.
    Webroot(PathBuf),
}

impl Default for Http01 {
    /// Port 80 of every address, IPv4 and IPv6.
    fn default() -> Self {
        Self::Listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_here_comes_before_what_is_said_there() {
        let here = Settings {
            ca: Some("https://a.test/".to_owned()),
            reuse_key: Some(false),
            ..Settings::default()
        };
        let there = Settings {
            ca: Some("https://b.test/".to_owned()),
            key_type: Some(KeyType::Rsa2048),
            reuse_key: Some(true),
            ..Settings::default()
        };
        let both = here.or(&there);
        assert_eq!(both.ca, here.ca);
        assert_eq!(both.key_type, there.key_type);
        assert_eq!(both.reuse_key, Some(false));
        assert_eq!(both.http01, None);
    }
}
