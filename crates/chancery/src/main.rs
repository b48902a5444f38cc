//! `chancery`: the authority as one program.
//!
//! [`serve`] wires the parts together and runs them; [`signer_process`] is the same program as the signer, which `serve`
//! starts first; [`operator`] are the verbs that talk to a running server; [`demo`] shows the main job from end to end.

mod config;
mod data_folder;
mod demo;
mod eab;
mod journal;
mod listeners;
mod operator;
mod order;
mod own_certificate;
mod sandbox;
mod serve;
mod signer_process;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Config;

/// An organisation's own certificate authority, spoken to by ACME.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

/// Where the data of a server lies.
#[derive(Debug, Clone, clap::Args)]
struct Place {
    /// The configuration (TOML); without it, defaults and the environment
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The data folder
    #[arg(long, value_name = "DIR", default_value = "/var/lib/chancery")]
    data: PathBuf,
}

/// Which running server to ask.
#[derive(Debug, Clone, clap::Args)]
struct Server {
    /// The data folder of the running server
    #[arg(long, value_name = "DIR", default_value = "/var/lib/chancery")]
    data: PathBuf,
    /// Print JSON, one object a line
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the authority; the first time, make everything it needs and say what was made
    Serve(Place),
    /// Show the whole life of a certificate, for real, in a temporary folder
    Demo {
        /// Stay up afterwards and say what to try next
        #[arg(long)]
        keep: bool,
    },
    /// Say whether a configuration can be used, and what is wrong if not
    CheckConfig {
        /// The configuration (TOML)
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// How the running server is
    Status(Server),
    /// Certificates: list, show, revoke
    #[command(subcommand)]
    Cert(CertVerb),
    /// Orders: list, show, and why one stands where it stands
    #[command(subcommand)]
    Order(OrderVerb),
    /// External account bindings: who may have an account, and for what
    #[command(subcommand)]
    Eab(eab::EabVerb),
    /// Revocation lists
    #[command(subcommand)]
    Crl(CrlVerb),
    /// Check the running server
    Doctor {
        /// Check the invariants over everything stored and journalled; exits 1 if one is broken
        #[arg(long)]
        invariants: bool,
        #[command(flatten)]
        server: Server,
    },
    /// The audit trail
    #[command(subcommand)]
    Audit(AuditVerb),
    /// The signer's journal, offline
    #[command(subcommand)]
    Journal(JournalVerb),
    /// The signer itself; started by `serve`, never by hand
    #[command(hide = true)]
    SignerProcess(Place),
}

#[derive(Debug, Subcommand)]
enum CertVerb {
    /// List certificates, oldest first
    List {
        /// Only revoked ones
        #[arg(long)]
        revoked: bool,
        /// Only those that end before this time (2026-12-31T00:00:00Z)
        #[arg(long, value_name = "TIME")]
        expires_before: Option<String>,
        #[command(flatten)]
        server: Server,
    },
    /// Show one certificate
    Show {
        /// Its serial, in hexadecimal
        serial: String,
        #[command(flatten)]
        server: Server,
    },
    /// Revoke one certificate; without --yes, say what would be revoked
    Revoke {
        /// Its serial, in hexadecimal
        serial: String,
        /// keyCompromise, affiliationChanged, superseded, cessationOfOperation or privilegeWithdrawn
        #[arg(long)]
        reason: Option<String>,
        /// Do it
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
enum OrderVerb {
    /// List orders, oldest first
    List(Server),
    /// Show one order with what was seen while its names were proven
    Show {
        /// Its id, from `order list`, or its URL, from the client
        id: String,
        #[command(flatten)]
        server: Server,
    },
    /// Tell what happened to one order: DNS answers, addresses dialled, status codes, refusals, each with its time
    Why {
        /// Its id, from `order list`, or its URL, from the client
        id: String,
        #[command(flatten)]
        server: Server,
    },
}

#[derive(Debug, Subcommand)]
enum CrlVerb {
    /// List the published CRLs
    List(Server),
}

#[derive(Debug, Subcommand)]
enum AuditVerb {
    /// Check that no record was changed, removed or put in between; exits 1 if one was
    Verify(Server),
}

#[derive(Debug, Subcommand)]
enum JournalVerb {
    /// Check the journal from its files and the CA certificates alone; exits 1 if anything is wrong
    Verify {
        /// The data folder, or a copy of it
        #[arg(long, value_name = "DIR", default_value = "/var/lib/chancery")]
        data: PathBuf,
        /// CA certificates (PEM), root and issuers; by default those in the folder's `keys`
        #[arg(long, value_name = "FILE")]
        issuers: Vec<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A sentence for the operator, and the exit code that goes with it.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: u8,
    pub(crate) sentence: String,
}

impl Exit {
    /// Something failed.
    pub(crate) fn failed(sentence: impl std::fmt::Display) -> Self {
        Self {
            code: 1,
            sentence: sentence.to_string(),
        }
    }

    /// The configuration or the command is not right.
    pub(crate) fn usage(sentence: impl std::fmt::Display) -> Self {
        Self {
            code: 2,
            sentence: sentence.to_string(),
        }
    }
}

/// Prints one line for the operator. When nobody reads any more (`… | head`), there is nothing left to do.
pub(crate) fn say(line: impl std::fmt::Display) {
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.verb) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => {
            if !exit.sentence.is_empty() {
                eprintln!("chancery: {}", exit.sentence);
            }
            ExitCode::from(exit.code)
        }
    }
}

fn run(verb: Verb) -> Result<(), Exit> {
    match verb {
        Verb::Serve(place) => serve::serve(&place),
        Verb::Demo { keep } => demo::demo(keep),
        Verb::CheckConfig { file } => check_config(file.as_deref()),
        Verb::SignerProcess(place) => signer_process::run(&place),
        Verb::Status(server) => operator::status(&server),
        Verb::Cert(CertVerb::List {
            revoked,
            expires_before,
            server,
        }) => operator::list_certificates(&server, revoked, expires_before.as_deref()),
        Verb::Cert(CertVerb::Show { serial, server }) => {
            operator::show_certificate(&server, &serial)
        }
        Verb::Cert(CertVerb::Revoke {
            serial,
            reason,
            yes,
            server,
        }) => operator::revoke_certificate(&server, &serial, reason.as_deref(), yes),
        Verb::Order(OrderVerb::List(server)) => order::list(&server),
        Verb::Order(OrderVerb::Show { id, server }) => order::show_order(&server, &id),
        Verb::Order(OrderVerb::Why { id, server }) => order::why(&server, &id),
        Verb::Eab(verb) => eab::run(verb),
        Verb::Crl(CrlVerb::List(server)) => operator::list_crls(&server),
        Verb::Doctor { invariants, server } => operator::doctor(&server, invariants),
        Verb::Audit(AuditVerb::Verify(server)) => operator::verify_audit(&server),
        Verb::Journal(JournalVerb::Verify {
            data,
            issuers,
            json,
        }) => journal::verify(&data, &issuers, json),
    }
}

/// Reads and checks the configuration of a place.
pub(crate) fn load_config(file: Option<&Path>) -> Result<(Config, config::Checked), Exit> {
    let config = Config::load(file, std::env::vars()).map_err(Exit::usage)?;
    let checked = config.check().map_err(Exit::usage)?;
    Ok((config, checked))
}

fn check_config(file: Option<&Path>) -> Result<(), Exit> {
    let (_, checked) = load_config(file)?;
    for warning in &checked.warnings {
        println!("warning: {warning}");
    }
    let gateways: Vec<&str> = checked.gateways.keys().map(String::as_str).collect();
    println!(
        "the configuration can be used; gateways: {}",
        gateways.join(", ")
    );
    Ok(())
}
