use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chancery_acme::Problem;
use chancery_crypto::CryptoError;
use chancery_dial::DialError;
use chancery_jose::JwsError;
use chancery_pki::CsrError;

use crate::check::CertificateFault;

/// Why the agent did not do what it was asked to. Each text says what happened and what to do; nothing that a CA
/// sent is repeated in it but problem documents, which are bounded and have no control characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgentError {
    // What the operator asked for or configured.
    /// No name was given.
    #[error(
        "no name was given; say which names the certificate is for, for example -d www.corp.example"
    )]
    NoNames,
    /// A name that no certificate can carry.
    #[error("{name:?} cannot be certified: {reason}")]
    BadName {
        /// The name, bounded.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// More names than one certificate should carry.
    #[error("{count} names were given; one certificate takes at most {max}")]
    TooManyNames {
        /// Names given.
        count: usize,
        /// Names allowed.
        max: usize,
    },
    /// A wildcard, which only dns-01 can prove.
    #[error(
        "*.{base} needs the dns-01 challenge, which this agent cannot answer yet; name the hosts instead"
    )]
    Wildcard {
        /// The name below which it stands.
        base: String,
    },
    /// A certificate's name that is no plain folder name.
    #[error(
        "{text:?} is not a name for a certificate: use 1 to 200 lower-case letters, digits, dots, hyphens and \
         underscores, beginning with a letter or digit"
    )]
    BadCertName {
        /// The text, bounded.
        text: String,
    },
    /// The account of the CA has this very key.
    #[error(
        "the certificate would have the same key as the account; remove {path} to have a new one made"
    )]
    KeyIsAccountKey {
        /// Where the certificate's key is.
        path: PathBuf,
    },
    /// No CA was named.
    #[error("no CA is known; give the URL of its directory with --ca, or as `ca` in {config}")]
    NoCa {
        /// The configuration file.
        config: PathBuf,
    },
    /// The CA's URL cannot be used.
    #[error("the URL of the CA's directory cannot be used: {reason}")]
    BadCa {
        /// What is wrong with it.
        reason: String,
    },
    /// No trust anchor was named.
    #[error(
        "no root certificate is known for {ca}; give the CA's root with --root FILE (for Chancery the file root.pem \
         in its data folder), or as `root` in {config}. The roots of the system are not used yet"
    )]
    NoRoot {
        /// The CA's directory.
        ca: String,
        /// The configuration file.
        config: PathBuf,
    },
    /// The trust anchor cannot be used.
    #[error("the root certificate {path} cannot be used: {reason}")]
    BadRoot {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration file cannot be used.
    #[error("the configuration {path} cannot be used: {reason}")]
    BadConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A contact that no CA can use.
    #[error("the contact cannot be used: {reason}")]
    BadContact {
        /// What is wrong with it.
        reason: String,
    },
    /// The CA has terms and nobody agreed to them.
    #[error("the CA asks for agreement to its terms at {url}; read them and give --agree-terms")]
    TermsNotAgreed {
        /// Where they are.
        url: String,
    },
    /// The external account that was given cannot be used.
    #[error("{reason}")]
    BadExternalAccount {
        /// What is wrong with it.
        reason: String,
    },
    /// The CA takes accounts by external binding only.
    #[error(
        "the CA takes accounts only that its operator vouches for: ask for a key identifier and a MAC key, then give \
         --eab-kid and --eab-hmac-key-file, or write eab = {{ kid = \"…\", hmac_key_file = \"…\" }} into agent.toml"
    )]
    ExternalAccountRequired,
    /// The account that obtained a certificate is not here any more.
    #[error("there is no account for {ca} here any more; revoke with --by certificate-key")]
    NoAccount {
        /// The CA's directory.
        ca: String,
    },
    /// No such certificate is kept.
    #[error("there is no certificate called {name:?} here; kept are: {}", .kept.join(", "))]
    UnknownCertificate {
        /// The name asked for, bounded.
        name: String,
        /// The names there are.
        kept: Vec<String>,
    },

    // This machine.
    /// A file or folder cannot be used.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the agent's own state makes no sense.
    #[error(
        "{path} is not what the agent wrote: {reason}; put it back from a backup or move it away"
    )]
    BrokenState {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another agent is at work on the same state.
    #[error("another chancery-agent is at work here ({path} is locked); wait until it is done")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The address for http-01 cannot be bound.
    #[error(
        "cannot listen on {addr} for http-01: {source}; if a web server has that port, give its folder with \
         --webroot DIR"
    )]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// A signal asked for the end.
    #[error("stopped by a signal; run the same command again to go on")]
    Stopped,
    /// The system gave no task or thread.
    #[error("the system could not run a task of the agent: {reason}")]
    System {
        /// What it said.
        reason: String,
    },

    // What the CA answers.
    /// No answer came.
    #[error("no answer to {what}: {source}")]
    Unreachable {
        /// The request.
        what: &'static str,
        /// What the connection met.
        source: DialError,
    },
    /// The CA refused.
    #[error("the CA refused {what}: {problem}")]
    Refused {
        /// The request.
        what: &'static str,
        /// What it said.
        problem: Box<Problem>,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The CA answered with an error and no problem document.
    #[error("the CA answered {what} with HTTP status {status} and no problem document")]
    Status {
        /// The request.
        what: &'static str,
        /// The status.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The CA's answer is not what RFC 8555 says it is.
    #[error("the CA's answer to {what} cannot be used: {reason}")]
    BadAnswer {
        /// The request.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A URL that the agent does not follow.
    #[error("the URL of {what} is not followed: {reason}")]
    UnsafeUrl {
        /// What it is the URL of.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// Nonces just handed out are refused, again and again.
    #[error(
        "the CA refused {count} of its own fresh nonces in a row; its nodes may not know each other's nonces: try \
         again later, and tell whoever runs it"
    )]
    NoncesRefused {
        /// Nonces refused.
        count: usize,
    },

    // The order.
    /// The CA did not find its proof for some names.
    #[error("the CA could not validate {}", failures(.0))]
    NotValidated(Vec<NameFailure>),
    /// The order ended without a certificate.
    #[error("the order failed: {problem}")]
    OrderFailed {
        /// What the CA said of it.
        problem: Box<Problem>,
    },
    /// The CA offers no challenge that can be answered.
    #[error("the CA offers no http-01 challenge for {name}; allow http-01 on its gateway")]
    NoChallenge {
        /// The name.
        name: String,
    },
    /// A token that could be a path or a command.
    #[error(
        "the CA sent a challenge token for {name} that is not 22 to 128 base64url characters; nothing was written"
    )]
    BadToken {
        /// The name.
        name: String,
    },
    /// The CA took longer than is waited for.
    #[error("the CA has not ended {what} after {} s; the order is kept: run the same command again later", .waited.as_secs())]
    Stuck {
        /// What is waited for.
        what: &'static str,
        /// How long it was.
        waited: Duration,
    },

    // The certificate.
    /// A certificate that must not be installed.
    #[error("the CA sent a certificate that was not installed: {0}")]
    BadCertificate(#[from] CertificateFault),
    /// The installed files are not a certificate with its key.
    #[error("the files in {folder} cannot be used: {reason}; obtain the certificate again")]
    BadFiles {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with them.
        reason: String,
    },

    // Keys.
    /// A key cannot be made or used.
    #[error("the key cannot be used: {0}")]
    Key(#[from] CryptoError),
    /// A request cannot be signed.
    #[error(transparent)]
    Signing(#[from] JwsError),
    /// A certificate request cannot be made.
    #[error(transparent)]
    Csr(#[from] CsrError),
}

/// A name that the CA could not validate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameFailure {
    /// The name.
    pub name: String,
    /// What the CA said, where it said something.
    pub problem: Option<Problem>,
}

impl fmt::Display for NameFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.problem {
            Some(problem) => write!(f, "{} ({problem})", self.name),
            None => write!(f, "{} (the CA gave no reason)", self.name),
        }
    }
}

fn failures(failures: &[NameFailure]) -> String {
    let parts: Vec<String> = failures.iter().map(ToString::to_string).collect();
    parts.join("; ")
}

impl AgentError {
    /// Whether the fault lies in what the operator asked for or configured: exit code 2.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::NoNames
                | Self::BadName { .. }
                | Self::TooManyNames { .. }
                | Self::Wildcard { .. }
                | Self::BadCertName { .. }
                | Self::NoCa { .. }
                | Self::BadCa { .. }
                | Self::NoRoot { .. }
                | Self::BadRoot { .. }
                | Self::BadConfig { .. }
                | Self::BadContact { .. }
                | Self::TermsNotAgreed { .. }
                | Self::BadExternalAccount { .. }
                | Self::ExternalAccountRequired
                | Self::NoAccount { .. }
                | Self::UnknownCertificate { .. }
        )
    }

    /// How long the CA wants to be left alone, where it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the order cannot come to a good end any more, so that the next attempt needs a new one.
    pub(crate) fn ends_order(&self) -> bool {
        matches!(
            self,
            Self::NotValidated(_)
                | Self::OrderFailed { .. }
                | Self::NoChallenge { .. }
                | Self::BadToken { .. }
                | Self::BadCertificate(_)
                | Self::BadAnswer { .. }
                | Self::UnsafeUrl { .. }
        ) || matches!(self, Self::Refused { problem, .. } if !is_passing(problem))
    }

    /// Whether the same request may be answered well the next time.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Status { status, .. } => *status >= 500 || *status == 429,
            Self::Refused { problem, .. } => is_passing(problem),
            _ => false,
        }
    }
}

fn is_passing(problem: &Problem) -> bool {
    problem.status >= 500 || problem.status == 429
}

/// What a text of somebody else may take in a message: no control characters, 100 characters at most.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use chancery_acme::ErrorType;

    use super::*;

    #[test]
    fn every_name_that_failed_is_told_with_its_reason() {
        let error = AgentError::NotValidated(vec![
            NameFailure {
                name: "a.test".to_owned(),
                problem: Some(Problem::new(ErrorType::Connection, "connection refused")),
            },
            NameFailure {
                name: "b.test".to_owned(),
                problem: None,
            },
        ]);
        assert_eq!(
            error.to_string(),
            "the CA could not validate a.test (connection: connection refused); b.test (the CA gave no reason)"
        );
    }

    #[test]
    fn an_order_outlives_what_passes_and_ends_with_what_does_not() {
        let refused = |problem: Problem| AgentError::Refused {
            what: "newOrder",
            problem: Box::new(problem),
            retry_after: None,
        };
        assert!(!refused(Problem::new(ErrorType::RateLimited, "later")).ends_order());
        assert!(!refused(Problem::new(ErrorType::ServerInternal, "oops")).ends_order());
        assert!(refused(Problem::new(ErrorType::BadCsr, "no")).ends_order());
        let lost = AgentError::Stuck {
            what: "the validation",
            waited: Duration::from_secs(300),
        };
        assert!(!lost.ends_order());
    }
}
