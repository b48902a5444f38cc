use std::fmt;

use chancery_pki::San;
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::error::shown;

/// Room for the longest host name's first labels; file systems take 255 octets.
const CHARS_MAX: usize = 200;

/// What a certificate is called on this machine: the name of its folder under `live`. Safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CertName(String);

impl CertName {
    /// Reads a name that an operator gave.
    ///
    /// # Errors
    /// [`AgentError::BadCertName`].
    pub fn parse(text: &str) -> Result<Self, AgentError> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
        };
        let begins_well = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if begins_well && text.len() <= CHARS_MAX && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(AgentError::BadCertName { text: shown(text) })
        }
    }

    /// The name of a certificate for `first` where the operator gave none: the host without `*.`, cut to what a
    /// file name takes; an IPv6 address with hyphens for its colons.
    #[must_use]
    pub fn of(first: &San) -> Self {
        let text = match first {
            San::Dns(name) | San::Wildcard(name) => name.to_string(),
            San::Ip(address) => address.to_string().replace(':', "-"),
        };
        // `::1` begins with a group of zeros. A name that began with a hyphen would be an option of other programs.
        let zero = if text.starts_with('-') { "0" } else { "" };
        Self(zero.chars().chain(text.chars()).take(CHARS_MAX).collect())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CertName {
    type Error = AgentError;

    fn try_from(text: String) -> Result<Self, AgentError> {
        Self::parse(&text)
    }
}

impl From<CertName> for String {
    fn from(name: CertName) -> Self {
        name.0
    }
}

impl fmt::Display for CertName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        CertName::of(&San::parse(text).expect("a name")).to_string()
    }

    #[test]
    fn a_certificate_is_called_after_its_first_name() {
        assert_eq!(of("www.corp.test"), "www.corp.test");
        assert_eq!(of("*.corp.test"), "corp.test");
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("2001:db8::1"), "2001-db8--1");
        assert_eq!(of("::1"), "0--1");
        let long = format!("{0}.{0}.{0}.{0}.test", "a".repeat(60));
        assert_eq!(of(&long).len(), CHARS_MAX);
        for name in ["www.corp.test", "2001:db8::1", "::1", "::", &long] {
            assert!(CertName::parse(&of(name)).is_ok(), "{name}");
        }
    }

    #[test]
    fn h11_no_path_is_a_name() {
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc",
            "-x",
            ".hidden",
            "A.test",
            "a b",
            "a\0",
            "a\n",
            "é",
            &"a".repeat(201),
        ] {
            assert!(CertName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
