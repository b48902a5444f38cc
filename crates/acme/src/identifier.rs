use std::borrow::Cow;
use std::fmt;

use chancery_pki::{DnsName, San};
use serde::{Deserialize, Serialize};

use crate::{ErrorType, Problem};

const DNS: &str = "dns";
const IP: &str = "ip";

/// An identifier as it is written (RFC 8555 §9.7.7, RFC 8738 §3). [`WireIdentifier::to_san`] makes a name of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WireIdentifier {
    /// The registered type: `dns` or `ip`; others are refused by [`WireIdentifier::to_san`].
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// The name, with `*.` in front for a wildcard in an order.
    pub value: String,
}

impl WireIdentifier {
    /// The identifier of an authorization: a host name, never with `*.` (RFC 8555 §7.1.4).
    #[must_use]
    pub fn dns(name: &DnsName) -> Self {
        Self {
            kind: Cow::Borrowed(DNS),
            value: name.as_str().to_owned(),
        }
    }

    /// The name that is meant.
    ///
    /// # Errors
    /// `unsupportedIdentifier` for another type, `malformed` for a value that is no such name. Both repeat neither
    /// type nor value.
    pub fn to_san(&self) -> Result<San, Problem> {
        let san = match self.kind.as_ref() {
            DNS => San::parse_dns(&self.value),
            IP => San::parse_ip(&self.value),
            _ => {
                let detail = "the identifier's type is neither dns nor ip";
                return Err(Problem::new(ErrorType::UnsupportedIdentifier, detail));
            }
        };
        san.map_err(|error| Problem::new(ErrorType::Malformed, error.to_string()))
    }
}

impl From<&San> for WireIdentifier {
    fn from(san: &San) -> Self {
        let kind = match san {
            San::Dns(_) | San::Wildcard(_) => DNS,
            San::Ip(_) => IP,
        };
        Self {
            kind: Cow::Borrowed(kind),
            value: san.to_string(),
        }
    }
}

impl fmt::Display for WireIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn san(kind: &'static str, value: &str) -> Result<San, String> {
        let identifier = WireIdentifier {
            kind: kind.into(),
            value: value.into(),
        };
        identifier.to_san().map_err(|problem| problem.to_string())
    }

    #[test]
    fn names_go_to_the_wire_and_back() {
        for (kind, value) in [
            ("dns", "a.test"),
            ("dns", "*.a.test"),
            ("ip", "192.0.2.7"),
            ("ip", "2001:db8::1"),
        ] {
            let san = san(kind, value).expect("a good name");
            let identifier = WireIdentifier::from(&san);
            let json = serde_json::to_string(&identifier).expect("writes");
            assert_eq!(json, format!(r#"{{"type":"{kind}","value":"{value}"}}"#));
            assert_eq!(identifier.to_san(), Ok(san));
        }
    }

    #[test]
    fn an_authorization_names_the_host_without_the_wildcard() {
        let Ok(San::Wildcard(base)) = San::parse_dns("*.A.test") else {
            panic!("a wildcard")
        };
        assert_eq!(
            WireIdentifier::dns(&base),
            WireIdentifier {
                kind: "dns".into(),
                value: "a.test".into()
            }
        );
    }

    #[test]
    fn c3_short_and_odd_values_are_malformed() {
        let bytes = (0..=u8::MAX).map(|byte| char::from(byte).to_string());
        let pairs = (0..=u8::MAX).map(|byte| format!(".{}", char::from(byte)));
        for value in bytes
            .chain(pairs)
            .chain(["".into(), "*".into(), "*.".into(), "a..b".into()])
        {
            let one_label =
                value.len() == 1 && value.bytes().all(|byte| byte.is_ascii_alphabetic());
            let result = san("dns", &value);
            assert_eq!(result.is_ok(), one_label, "{value:?}");
            assert!(result.is_ok() || result.is_err_and(|text| text.starts_with("malformed: ")));
            assert!(san("ip", &value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn an_address_is_no_dns_name_and_other_types_are_unsupported() {
        assert!(san("dns", "192.0.2.7").is_err());
        assert!(san("ip", "a.test").is_err());
        for kind in ["DNS", "email", "permanent-identifier", ""] {
            let refused = "unsupportedIdentifier: the identifier's type is neither dns nor ip";
            assert_eq!(san(kind, "a.test"), Err(refused.to_owned()));
        }
    }
}
