//! Debian's `pebble`, started to be examined beside ours.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use chancery_jose::b64;
use chancery_simulate::{Dns, Zone};
use chancery_testkit::process::Program;
use chancery_testkit::{TempDir, free_ports};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;

use super::{Credential, Surroundings, Target, Web};
use crate::runtime;

/// It is up in a tenth of a second.
const READY_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const DOMAIN: &str = "conform.test";

/// A running pebble. Dropping it ends it.
pub struct Pebble {
    program: Program,
    target: Target,
    _dns: Dns,
    _folder: TempDir,
}

impl Pebble {
    /// Starts it without its pauses and its refusals of good nonces. Accounts have to be bound to an external one, so
    /// that this is examined too.
    ///
    /// # Errors
    /// What did not work.
    pub fn start(program: &Path) -> Result<Self, String> {
        let folder = TempDir::new("conform").map_err(|error| error.to_string())?;
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let zone = Zone::new();
        zone.set_default_a(Ipv4Addr::LOCALHOST.into());
        let dns = runtime().block_on(Dns::start(any, zone.clone()));
        let dns = dns.map_err(|error| error.to_string())?;
        let web = Web::start(any)?;
        let credential = Credential {
            kid: "conform".to_owned(),
            key: b64(b"a secret that the suite and pebble share"),
        };
        let identity = Identity::new()?;
        let [port, unused_tls] = free_ports();
        let config = json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": "",
            "certificate": write(&folder, "cert.pem", &identity.chain)?,
            "privateKey": write(&folder, "key.pem", &identity.key)?,
            "httpPort": web.addr().port(),
            "tlsPort": unused_tls,
            "externalAccountBindingRequired": true,
            "externalAccountMACKeys": { &credential.kid: &credential.key },
        }});
        let config = write(&folder, "config.json", &config.to_string())?;
        let program = spawn(program, &config, dns.addr())?;
        wait_until_listening(&program, SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        let target = Target::open(Surroundings {
            directory: format!("https://localhost:{port}/dir"),
            root_pem: identity.root,
            web,
            zone: Some(zone),
            domain: DOMAIN.to_owned(),
            credential: Some(credential),
            refused_name: None,
            operator: None,
        })?;
        Ok(Self {
            program,
            target,
            _dns: dns,
            _folder: folder,
        })
    }

    /// What is examined.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether it has not ended by itself.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.program.is_running()
    }
}

fn write(folder: &TempDir, name: &str, text: &str) -> Result<PathBuf, String> {
    let path = folder.join(name);
    let written = std::fs::write(&path, text);
    written.map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

fn spawn(program: &Path, config: &Path, dns: SocketAddr) -> Result<Program, String> {
    let mut command = Command::new(program);
    command
        .arg("-config")
        .arg(config)
        .args(["-dnsserver", &dns.to_string()])
        .env("PEBBLE_VA_NOSLEEP", "1")
        .env("PEBBLE_WFE_NONCEREJECT", "0")
        .env("PEBBLE_AUTHZREUSE", "0");
    Program::spawn(command).map_err(|error| error.to_string())
}

fn wait_until_listening(program: &Program, addr: SocketAddr) -> Result<(), String> {
    let deadline = Instant::now() + READY_WITHIN;
    while std::net::TcpStream::connect(addr).is_err() {
        if Instant::now() > deadline || !program.is_running() {
            let said = program.lines();
            let said: Vec<&str> = said.iter().map(|line| line.text.as_str()).collect();
            return Err(format!(
                "pebble does not listen; it said: {}",
                said.join("; ")
            ));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// PEM texts of a TLS server's certificate, its key, and the root above.
struct Identity {
    chain: String,
    key: String,
    root: String,
}

impl Identity {
    fn new() -> Result<Self, String> {
        let made = || -> Result<Self, rcgen::Error> {
            let root_key = KeyPair::generate()?;
            let mut params = CertificateParams::new(Vec::new())?;
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let root = params.self_signed(&root_key)?;
            let issuer = Issuer::new(params, root_key);
            let key = KeyPair::generate()?;
            let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
            let leaf = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
            Ok(Self {
                chain: leaf.pem(),
                key: key.serialize_pem(),
                root: root.pem(),
            })
        };
        made().map_err(|error| format!("a TLS certificate: {error}"))
    }
}
