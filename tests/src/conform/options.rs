//! The command line of the program `conform`: arguments in, [`Options`] or a reason out.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::Credential;

/// What `--help` prints.
pub const USAGE: &str = "\
usage: cargo xtask conform --url URL --root FILE [OPTION]...
       cargo xtask conform --server NAME [--server NAME]... [OPTION]...

asks an ACME server every statement that RFC 8555 makes about servers

  --url URL            the directory of a server that runs
  --root FILE          the certificates that its own may lead to, in PEM
  --server NAME        starts this one and examines it: chancery, pebble
  --web ADDRESS        where --url's server asks for http-01 answers (127.0.0.1:5002)
  --http-port PORT     the same on 127.0.0.1
  --dns ADDRESS        where --url's server asks DNS; without it names have to lead to --web by themselves,
                       and nothing is proven by DNS
  --domain DOMAIN      names are made below it (conform.test)
  --eab-kid ID         the external account that new accounts are bound to,
  --eab-key KEY        and its key in base64url
  --refused-name NAME  a name that the server's policy refuses
  --only NUMBER        one statement; may be given several times
  --json FILE          writes the report for programs
  --markdown FILE      writes it as a page
  --help               this text

Exit: 0 everything that the RFC demands holds, 1 it does not, 2 usage or no server";

/// Where pebble and its like ask for http-01 answers.
const WEB_PORT: u16 = 5002;

/// What was asked for.
#[derive(Clone)]
pub struct Options {
    /// The server that runs already.
    pub(super) url: Option<String>,
    pub(super) root: Option<PathBuf>,
    /// Those to be started.
    pub(super) servers: Vec<String>,
    pub(super) web: SocketAddr,
    pub(super) dns: Option<SocketAddr>,
    pub(super) domain: String,
    pub(super) credential: Option<Credential>,
    pub(super) refused_name: Option<String>,
    /// Numbers; none means all.
    pub(super) only: Vec<u8>,
    /// Where the report for programs goes.
    pub json: Option<PathBuf>,
    /// Where the page goes.
    pub markdown: Option<PathBuf>,
}

/// Why a command line is not understood.
#[derive(Debug, PartialEq, Eq)]
pub enum UsageError {
    /// The text of `--help` is wanted.
    Help,
    /// No server is named, or two ways at once.
    Server,
    /// `--url` needs `--root`.
    Root,
    /// One half of an external account.
    Credential,
    /// An argument that is not known.
    Unknown(String),
    /// An option without its value.
    Missing(String),
    /// A value that cannot be used.
    Value {
        /// The option.
        option: String,
        /// What was given.
        value: String,
    },
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Help => write!(f, "{USAGE}"),
            Self::Server => write!(f, "either --url or --server names who is examined"),
            Self::Root => write!(f, "--url needs --root, the certificates to believe it by"),
            Self::Credential => write!(f, "--eab-kid and --eab-key go together"),
            Self::Unknown(argument) => write!(f, "unknown argument `{argument}`"),
            Self::Missing(option) => write!(f, "{option} needs a value"),
            Self::Value { option, value } => write!(f, "{option} cannot be `{value}`"),
        }
    }
}

impl Options {
    /// Reads the arguments.
    ///
    /// # Errors
    /// [`UsageError`]
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, UsageError> {
        let mut options = Self {
            url: None,
            root: None,
            servers: Vec::new(),
            web: SocketAddr::from((Ipv4Addr::LOCALHOST, WEB_PORT)),
            dns: None,
            domain: "conform.test".to_owned(),
            credential: None,
            refused_name: None,
            only: Vec::new(),
            json: None,
            markdown: None,
        };
        let (mut kid, mut key) = (None, None);
        let mut arguments = arguments.into_iter();
        while let Some(option) = arguments.next() {
            if option == "--help" || option == "-h" {
                return Err(UsageError::Help);
            }
            let is_option = OPTIONS.contains(&option.as_str());
            if !is_option {
                return Err(UsageError::Unknown(option));
            }
            let value = arguments
                .next()
                .ok_or_else(|| UsageError::Missing(option.clone()))?;
            match option.as_str() {
                "--eab-kid" => kid = Some(value),
                "--eab-key" => key = Some(value),
                _ => options.set(&option, value)?,
            }
        }
        options.credential = match (kid, key) {
            (Some(kid), Some(key)) => Some(Credential { kid, key }),
            (None, None) => None,
            _ => return Err(UsageError::Credential),
        };
        options.checked()
    }

    fn set(&mut self, option: &str, value: String) -> Result<(), UsageError> {
        let bad = || UsageError::Value {
            option: option.to_owned(),
            value: value.clone(),
        };
        let address = || value.parse::<SocketAddr>().map_err(|_| bad());
        match option {
            "--url" if value.starts_with("https://") => self.url = Some(value),
            "--root" => self.root = Some(value.into()),
            "--server" if SERVERS.contains(&value.as_str()) => {
                if !self.servers.contains(&value) {
                    self.servers.push(value);
                }
            }
            "--web" => self.web = address()?,
            "--http-port" => self.web.set_port(value.parse().map_err(|_| bad())?),
            "--dns" => self.dns = Some(address()?),
            "--domain" if !value.is_empty() => self.domain = value,
            "--refused-name" => self.refused_name = Some(value),
            "--only" => {
                let number = value.parse().ok().filter(|n| is_asked(*n));
                self.only.push(number.ok_or_else(bad)?);
            }
            "--json" => self.json = Some(value.into()),
            "--markdown" => self.markdown = Some(value.into()),
            _ => return Err(bad()),
        }
        Ok(())
    }

    fn checked(self) -> Result<Self, UsageError> {
        if self.url.is_some() != self.servers.is_empty() {
            return Err(UsageError::Server);
        }
        if self.url.is_some() && self.root.is_none() {
            return Err(UsageError::Root);
        }
        Ok(self)
    }
}

/// Those that can be started.
const SERVERS: [&str; 2] = ["chancery", "pebble"];
/// Every option that takes a value.
const OPTIONS: [&str; 13] = [
    "--url",
    "--root",
    "--server",
    "--web",
    "--http-port",
    "--dns",
    "--domain",
    "--eab-kid",
    "--eab-key",
    "--refused-name",
    "--only",
    "--json",
    "--markdown",
];

fn is_asked(number: u8) -> bool {
    super::checks().iter().any(|check| check.number == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn a_running_server_is_examined_by_its_url_and_root() {
        let options = parsed("--url https://ca.test/dir --root root.pem --http-port 80 --only 7");
        let options = options.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(options.url.as_deref(), Some("https://ca.test/dir"));
        assert_eq!((options.web.port(), options.only), (80, vec![7]));
    }

    #[test]
    fn servers_are_started_once_each() {
        let options = parsed("--server chancery --server pebble --server chancery");
        let options = options.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(options.servers, ["chancery", "pebble"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let refusal = |line: &str| parsed(line).err().unwrap_or_else(|| panic!("{line}"));
        assert_eq!(refusal("--help"), UsageError::Help);
        assert_eq!(refusal(""), UsageError::Server);
        assert_eq!(
            refusal("--url https://a --server pebble"),
            UsageError::Server
        );
        assert_eq!(refusal("--url https://a"), UsageError::Root);
        assert_eq!(
            refusal("--server pebble --eab-kid a"),
            UsageError::Credential
        );
        assert_eq!(
            refusal("--verbose"),
            UsageError::Unknown("--verbose".into())
        );
        assert_eq!(refusal("--url"), UsageError::Missing("--url".into()));
        for line in [
            "--url http://a",
            "--server boulder",
            "--web 80",
            "--only 3",
            "--only 0",
        ] {
            assert!(matches!(refusal(line), UsageError::Value { .. }), "{line}");
        }
    }
}
