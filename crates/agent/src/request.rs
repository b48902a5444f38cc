use std::collections::BTreeSet;

use chancery_pki::{RevocationReason, San};

use crate::error::shown;
use crate::{AgentError, CertName, Settings};

/// Names in one certificate: what public CAs take, and what a TLS handshake carries without trouble.
pub const NAMES_MAX: usize = 100;

/// A certificate that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) name: CertName,
    pub(crate) names: BTreeSet<San>,
    /// What was said for this certificate in particular; the rest comes from the agent's defaults.
    pub settings: Settings,
}

impl Request {
    /// A certificate for these names, called after the first of them.
    ///
    /// # Errors
    /// [`AgentError`] for no name, too many, one that is no host name or address, or a wildcard.
    pub fn new<T: AsRef<str>>(names: &[T]) -> Result<Self, AgentError> {
        let sans = names
            .iter()
            .map(|name| read(name.as_ref()))
            .collect::<Result<Vec<San>, _>>()?;
        let first = sans.first().ok_or(AgentError::NoNames)?;
        let name = CertName::of(first);
        let names: BTreeSet<San> = sans.into_iter().collect();
        if names.len() > NAMES_MAX {
            return Err(AgentError::TooManyNames {
                count: names.len(),
                max: NAMES_MAX,
            });
        }
        Ok(Self {
            name,
            names,
            settings: Settings::default(),
        })
    }

    /// The same under another name on this machine.
    #[must_use]
    pub fn called(mut self, name: CertName) -> Self {
        self.name = name;
        self
    }

    /// The same with these settings.
    #[must_use]
    pub fn with(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// What it is called on this machine.
    #[must_use]
    pub fn name(&self) -> &CertName {
        &self.name
    }

    /// The names that it shall carry.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<San> {
        &self.names
    }
}

fn read(text: &str) -> Result<San, AgentError> {
    // `parse_dns` refuses addresses, `parse_ip` everything else.
    let san = San::parse_ip(text).or_else(|_| San::parse_dns(text));
    match san {
        Ok(San::Wildcard(base)) => Err(AgentError::Wildcard {
            base: base.to_string(),
        }),
        Ok(san) => Ok(san),
        Err(error) => Err(AgentError::BadName {
            name: shown(text),
            reason: error.to_string(),
        }),
    }
}

/// Which certificates are to be renewed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RenewRequest {
    /// One certificate; every one if `None`.
    pub name: Option<CertName>,
    /// Renew also what is not due, was revoked, or is held back after a failure.
    pub force: bool,
    /// What is different this time.
    pub settings: Settings,
}

/// A certificate that is to be revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokeRequest {
    /// What it is called on this machine.
    pub name: CertName,
    /// Why.
    pub reason: RevocationReason,
    /// Who says so.
    pub by: RevokeBy,
    /// What is different this time.
    pub settings: Settings,
}

/// Which key signs a revocation (RFC 8555 §7.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RevokeBy {
    /// The account that obtained the certificate.
    #[default]
    Account,
    /// The certificate's own key: also where the account is lost.
    CertificateKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_called_after_the_first_name_and_holds_each_name_once() {
        let request = Request::new(&["b.test", "a.test", "B.TEST", "192.0.2.1"]).expect("good");
        assert_eq!(request.name().as_str(), "b.test");
        let names: Vec<String> = request.names().iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn what_cannot_be_certified_is_told_before_any_ca_is_asked() {
        let check = |names: &[&str], told: &str| {
            let error = Request::new(names).expect_err("refused");
            assert!(error.is_usage(), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        };
        check(&[], "no name was given");
        check(&["*.corp.test"], "dns-01");
        check(&["a_b.test"], "a_b.test");
        check(&["a.test\u{1b}[2J"], "a.test[2J");
        check(&["a..test"], "empty label");
        let many: Vec<String> = (0..101).map(|n| format!("n{n}.test")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        check(&many, "101 names");
    }
}
