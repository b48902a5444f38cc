use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chancery_pki::RevocationReason;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, error::ErrorKind};

use crate::config::AgentConfig;
use crate::{
    AgentError, CertName, ExternalAccount, Http01, KeyType, RenewRequest, Request, RevokeBy,
    RevokeRequest, Settings,
};

/// Keeps certificates alive: obtains them from an ACME CA, puts them in place, renews and revokes them.
///
/// The shortest way: `chancery-agent -d www.corp.example --ca https://ca.corp.example/acme/directory --root root.pem`.
/// Then point the server at the files in /var/lib/chancery-agent/live/www.corp.example and let a timer run
/// `chancery-agent renew` twice a day.
#[derive(Debug, Parser)]
#[command(name = "chancery-agent", version, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    obtain: Obtain,
    #[command(subcommand)]
    command: Option<Command>,
}

const EXIT_CODES: &str = "\
Exit codes: 0 all good, 1 something failed, 2 usage or configuration, 3 some certificates good and some failed.";

/// What a command line asks for.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Obtain a certificate and keep it: the same as -d alone
    Obtain(Obtain),
    /// Renew what is due: run this by a timer
    Renew(Renew),
    /// Revoke a certificate at its CA
    Revoke(Revoke),
    /// Show every certificate, when it ends and what failed
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(super) struct Common {
    /// Keep configuration and state in this folder instead of /etc/chancery-agent and /var/lib/chancery-agent
    #[arg(long, global = true, value_name = "DIR")]
    prefix: Option<PathBuf>,
    /// The URL of the CA's directory (https)
    #[arg(long, global = true, value_name = "URL")]
    ca: Option<String>,
    /// The CA's root certificate (PEM): what its TLS certificate is believed by
    #[arg(long, global = true, value_name = "FILE")]
    root: Option<PathBuf>,
    /// Answer http-01 on this address; the CA asks on port 80 [default: [::]:80]
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS:PORT",
        conflicts_with = "webroot"
    )]
    http_listen: Option<SocketAddr>,
    /// Answer http-01 by files in this folder, which a web server serves on port 80
    #[arg(long, global = true, value_name = "DIR")]
    webroot: Option<PathBuf>,
    /// Where the CA reaches people, for a new account: mailto:ops@corp.example
    #[arg(long, global = true, value_name = "URL")]
    contact: Vec<String>,
    /// The key identifier of an external account, for a CA that takes no others
    #[arg(
        long,
        global = true,
        value_name = "KID",
        requires = "eab_hmac_key_file"
    )]
    eab_kid: Option<String>,
    /// The file with its MAC key, in base64url as the CA gave it
    #[arg(long, global = true, value_name = "FILE", requires = "eab_kid")]
    eab_hmac_key_file: Option<PathBuf>,
    /// You have read the CA's terms and agree to them
    #[arg(long, global = true)]
    agree_terms: bool,
    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Print every request
    #[arg(short, long, global = true)]
    verbose: bool,
}

/// How much is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verbosity {
    Quiet,
    Normal,
    Loud,
}

#[derive(Debug, Args)]
pub(super) struct Obtain {
    /// A host name or address for the certificate; repeat it, or give several
    #[arg(short = 'd', long = "domain", value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    domains: Vec<String>,
    /// What the certificate is called on this machine [default: its first name]
    #[arg(long, value_name = "NAME", value_parser = CertName::parse)]
    name: Option<CertName>,
    /// ecdsa-p256, ecdsa-p384, rsa-2048, rsa-3072 or rsa-4096 [default: ecdsa-p256]
    #[arg(long, value_name = "TYPE")]
    key_type: Option<KeyType>,
    /// Keep the private key when the certificate is renewed; a fresh one is made otherwise
    #[arg(long)]
    reuse_key: bool,
}

#[derive(Debug, Args)]
pub(super) struct Renew {
    /// Only this certificate
    #[arg(long, value_name = "NAME", value_parser = CertName::parse)]
    name: Option<CertName>,
    /// Also what is not due, was revoked, or is held back after a failure
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// What the certificate is called on this machine (see `status`)
    #[arg(value_name = "NAME", value_parser = CertName::parse)]
    name: CertName,
    /// unspecified, keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
    #[arg(long, value_name = "REASON", default_value = "unspecified", value_parser = reason)]
    reason: RevocationReason,
    /// Which key signs the revocation: certificate-key works even where the account is lost
    #[arg(long, value_name = "KEY", default_value = "account")]
    by: By,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum By {
    Account,
    CertificateKey,
}

impl Arguments {
    /// The command with what is common to all; names alone are `obtain`.
    pub(super) fn into_command(self) -> Result<(Common, Command), clap::Error> {
        match self.command {
            Some(_) if self.obtain.is_given() => Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                "names and their options stand behind the word obtain, or alone without another command",
            )),
            Some(command) => Ok((self.common, command)),
            None if self.obtain.is_given() => Ok((self.common, Command::Obtain(self.obtain))),
            None => Err(Self::command().error(
                ErrorKind::MissingSubcommand,
                "nothing to do was given; try -d NAME, status or --help",
            )),
        }
    }
}

impl Common {
    pub(super) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Loud,
            _ => Verbosity::Normal,
        }
    }

    /// The machine's configuration with what the command line says of accounts.
    pub(super) fn config(&self) -> Result<AgentConfig, AgentError> {
        let prefix = self.prefix.as_deref().map(absolute).transpose()?;
        let mut config = AgentConfig::load(prefix.as_deref())?;
        if !self.contact.is_empty() {
            config.contact.clone_from(&self.contact);
        }
        config.agree_terms |= self.agree_terms;
        if let (Some(kid), Some(file)) = (&self.eab_kid, &self.eab_hmac_key_file) {
            let read = ExternalAccount::read(kid.clone(), file);
            let read = read.map_err(|reason| AgentError::BadExternalAccount { reason })?;
            config.external_account = Some(read);
        }
        Ok(config)
    }

    /// What the command line says of certificates. Paths are made absolute: a timer starts elsewhere.
    fn settings(&self) -> Result<Settings, AgentError> {
        let http01 = match (self.http_listen, &self.webroot) {
            (_, Some(folder)) => Some(Http01::Webroot(absolute(folder)?)),
            (Some(addr), None) => Some(Http01::Listen(addr)),
            (None, None) => None,
        };
        Ok(Settings {
            ca: self.ca.clone(),
            root: self.root.as_deref().map(absolute).transpose()?,
            http01,
            ..Settings::default()
        })
    }
}

impl Obtain {
    fn is_given(&self) -> bool {
        !self.domains.is_empty() || self.name.is_some() || self.key_type.is_some() || self.reuse_key
    }

    pub(super) fn request(&self, common: &Common) -> Result<Request, AgentError> {
        let request = Request::new(&self.domains)?.with(Settings {
            key_type: self.key_type,
            reuse_key: self.reuse_key.then_some(true),
            ..common.settings()?
        });
        Ok(match &self.name {
            Some(name) => request.called(name.clone()),
            None => request,
        })
    }
}

impl Renew {
    pub(super) fn request(&self, common: &Common) -> Result<RenewRequest, AgentError> {
        Ok(RenewRequest {
            name: self.name.clone(),
            force: self.force,
            settings: common.settings()?,
        })
    }
}

impl Revoke {
    pub(super) fn request(&self, common: &Common) -> Result<RevokeRequest, AgentError> {
        Ok(RevokeRequest {
            name: self.name.clone(),
            reason: self.reason,
            by: match self.by {
                By::Account => RevokeBy::Account,
                By::CertificateKey => RevokeBy::CertificateKey,
            },
            settings: common.settings()?,
        })
    }
}

fn reason(text: &str) -> Result<RevocationReason, String> {
    RevocationReason::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = RevocationReason::ALL
            .iter()
            .map(|reason| reason.name())
            .collect();
        format!("use one of {}", names.join(", "))
    })
}

fn absolute(path: &Path) -> Result<PathBuf, AgentError> {
    std::path::absolute(path).map_err(|source| AgentError::File {
        doing: "find",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<(Common, Command), clap::Error> {
        Arguments::try_parse_from(line.split(' ')).and_then(Arguments::into_command)
    }

    fn obtain(line: &str) -> Request {
        match parse(line).expect("good") {
            (common, Command::Obtain(obtain)) => obtain.request(&common).expect("good"),
            (_, other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn names_alone_are_obtain() {
        let alone =
            obtain("chancery-agent -d b.test -d a.test,c.test --ca https://ca.test/ --root r.pem");
        let spelt = obtain(
            "chancery-agent obtain --ca https://ca.test/ -d b.test a.test c.test --root r.pem",
        );
        assert_eq!(alone, spelt);
        assert_eq!(alone.name().as_str(), "b.test");
        assert_eq!(alone.names().len(), 3);
        assert!(alone.settings.root.expect("given").is_absolute());
        let named = obtain("chancery-agent -d a.test --name shop --key-type rsa-3072 --reuse-key");
        assert_eq!(named.name().as_str(), "shop");
        assert_eq!(named.settings.key_type, Some(KeyType::Rsa3072));
        assert_eq!(named.settings.reuse_key, Some(true));
    }

    #[test]
    fn common_options_stand_before_or_behind_the_command() {
        for line in [
            "chancery-agent --prefix /p --webroot /srv renew --name a.test --force",
            "chancery-agent renew --force --name a.test --webroot /srv --prefix /p",
        ] {
            let (common, command) = parse(line).expect("good");
            let Command::Renew(renew) = command else {
                panic!("{line}")
            };
            let request = renew.request(&common).expect("good");
            assert!(request.force);
            assert_eq!(
                request.settings.http01,
                Some(Http01::Webroot("/srv".into()))
            );
            assert_eq!(common.prefix.as_deref(), Some(Path::new("/p")));
        }
    }

    #[test]
    fn revocation_takes_reasons_by_their_rfc_names() {
        let (common, command) =
            parse("chancery-agent revoke a.test --reason keyCompromise --by certificate-key")
                .expect("good");
        let Command::Revoke(revoke) = command else {
            panic!("revoke")
        };
        let request = revoke.request(&common).expect("good");
        assert_eq!(request.reason, RevocationReason::KeyCompromise);
        assert_eq!(request.by, RevokeBy::CertificateKey);
        assert!(parse("chancery-agent revoke a.test --reason removeFromCRL").is_err());
    }

    #[test]
    fn what_makes_no_sense_is_a_usage_error() {
        for line in [
            "chancery-agent",
            "chancery-agent --ca https://ca.test/",
            "chancery-agent -d a.test --http-listen 0.0.0.0:80 --webroot /srv",
            "chancery-agent --key-type rsa-2048 renew",
            "chancery-agent -d a.test --key-type rsa-1024",
            "chancery-agent revoke ../a",
            "chancery-agent revoke",
            "chancery-agent conquer",
        ] {
            let error = parse(line).expect_err(line);
            assert!(error.use_stderr(), "{line}");
        }
    }
}
