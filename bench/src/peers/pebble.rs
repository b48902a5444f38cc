use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use chancery_crypto::{Curve, Entropy, KeyKind, PrivateKey, SignatureForm, SystemEntropy};
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::tbs::{self, CaRequest, LeafRequest, Tbs};
use chancery_pki::{AskedValidity, DnsName, Profile, San, Serial, Spki, UnixTime, pem};
use serde_json::json;

use crate::cli::Peer;
use crate::error::BenchError;
use crate::pacing::Pacing;
use crate::peers::{Ground, Started};
use crate::process::{self, Launch, Process, free_ports};
use crate::scratch::Scratch;
use crate::site::Site;

/// Its issue 554: a look at an order that is about to change can make it lock up for good, so the looks come late. On
/// two cores these pauses leave it more than half idle, which is what keeps its work from falling behind them.
const PACING: Pacing = Pacing {
    first: Duration::from_millis(10),
    next: Duration::from_millis(50),
    per_worker: Duration::from_millis(6),
};
const DAY_SECS: u64 = 86_400;
/// The certificate is used for minutes; that it names places that do not exist concerns nobody.
const NOWHERE: &str = "http://localhost/nowhere";

/// Debian's program.
pub(super) fn program() -> Result<PathBuf, BenchError> {
    process::find("pebble").ok_or_else(|| BenchError::Missing {
        peer: Peer::Pebble.name(),
        advice: "install Debian's package pebble".to_owned(),
    })
}

/// Starts it without its pauses and its refusals of good nonces. It stores nothing.
pub(super) async fn start(ground: &Ground<'_>) -> Result<Started, BenchError> {
    let program = program()?;
    let scratch = Scratch::new(&ground.folder)?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let site = Site::start(any, any).await?;
    let [port, unused_tls] = free_ports()?;
    let identity = Identity::new()?;
    let config = json!({"pebble": {
        "listenAddress": format!("127.0.0.1:{port}"),
        "managementListenAddress": "",
        "certificate": scratch.write("cert.pem", identity.chain)?,
        "privateKey": scratch.write("key.pem", identity.key)?,
        "httpPort": site.web().port(),
        "tlsPort": unused_tls,
    }});
    let config = scratch.write("config.json", config.to_string())?;
    let root = scratch.write("root.pem", identity.root)?;
    let launch = Launch {
        program: &program,
        arguments: [
            "-config",
            &config.display().to_string(),
            "-dnsserver",
            &site.dns().to_string(),
        ]
        .map(str::to_owned)
        .to_vec(),
        environment: vec![
            ("PEBBLE_VA_NOSLEEP", "1".to_owned()),
            ("PEBBLE_WFE_NONCEREJECT", "0".to_owned()),
            ("PEBBLE_AUTHZREUSE", "0".to_owned()),
        ],
        folder: scratch.path(),
        reads_output: false,
    };
    let began = Instant::now();
    let process = Process::start(launch, scratch.path().join("pebble.log"))?;
    Ok(Started {
        directory_url: format!("https://localhost:{port}/dir"),
        root,
        pid: Some(process.pid()),
        process: Some(process),
        data: None,
        site,
        pacing: ground.cli.pacing(PACING),
        began,
        _scratch: Some(scratch),
    })
}

/// PEM texts of a TLS server's certificate, its key, and the root above.
struct Identity {
    chain: String,
    key: String,
    root: String,
}

impl Identity {
    fn new() -> Result<Self, BenchError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs();
        let now = UnixTime(i64::try_from(now).unwrap_or(i64::MAX));
        let root_key = key()?;
        let spki = Spki::of(root_key.public());
        let root = tbs::ca(&CaRequest {
            subject_cn: "Chancery bench",
            organization: None,
            serial: serial(now),
            not_before: now.minus(DAY_SECS),
            not_after: now.plus(100 * DAY_SECS),
            spki: &spki,
            issuer: None,
            path_len: None,
            urls: None,
            ext_key_usages: Vec::new(),
        });
        let root = signed(&root.map_err(material)?, &root_key)?;
        let leaf_key = key()?;
        let leaf = tbs::leaf(&LeafRequest {
            issuer: &IssuerCertificate::parse(&root).map_err(material)?,
            profile: &Profile::server("server"),
            serial: serial(now),
            now,
            asked: AskedValidity::default(),
            spki: &Spki::of(leaf_key.public()),
            names: &names()?,
            crl_url: NOWHERE,
            ca_issuers_url: NOWHERE,
        });
        let leaf = signed(&leaf.map_err(material)?, &root_key)?;
        Ok(Self {
            chain: pem::encode("CERTIFICATE", &leaf),
            key: pem::encode("PRIVATE KEY", &leaf_key.to_pkcs8().map_err(material)?),
            root: pem::encode("CERTIFICATE", &root),
        })
    }
}

fn names() -> Result<BTreeSet<San>, BenchError> {
    let localhost = DnsName::parse("localhost").map_err(material)?;
    Ok(BTreeSet::from([
        San::Dns(localhost),
        San::Ip(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    ]))
}

fn key() -> Result<PrivateKey, BenchError> {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).map_err(material)
}

fn serial(now: UnixTime) -> Serial {
    let mut random = [0; 16];
    SystemEntropy.fill(&mut random);
    Serial::new(now, random)
}

fn signed(tbs: &Tbs, key: &PrivateKey) -> Result<Vec<u8>, BenchError> {
    let signature = key
        .sign(SignatureForm::Der, tbs.as_der())
        .map_err(material)?;
    Ok(tbs::assemble(tbs.as_der(), key.algorithm(), &signature))
}

fn material(error: impl std::error::Error) -> BenchError {
    BenchError::Material {
        what: "a TLS certificate",
        detail: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::roots;

    #[test]
    fn the_server_gets_a_certificate_that_leads_to_the_root_we_trust() {
        let identity = Identity::new().expect("made");
        assert!(roots(identity.root.as_bytes()).is_ok());
        chancery_simulate::Credentials::from_pem(&identity.chain, &identity.key)
            .expect("usable by TLS");
    }
}
