use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use chancery_agent::{AgentConfig, Http01, Settings};
use chancery_pki::{Certificate, pem};
use chancery_simulate::{Dns, Zone};
use chancery_testkit::process::{Finished, Program, run};
use chancery_testkit::{TempDir, free_ports, require};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Everything that is awaited comes within this time on a machine that does other things too.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Pebble with a DNS server of our own, and a folder for agents.
pub(crate) struct Environment {
    pub(crate) folder: TempDir,
    pub(crate) zone: Zone,
    /// Where Pebble asks for http-01.
    pub(crate) http_port: u16,
    directory: String,
    _dns: Dns,
    _pebble: Program,
}

impl Environment {
    /// Starts Pebble with these variables; `None` where it is not installed.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Option<Self> {
        let pebble = require("pebble")?;
        let folder = TempDir::new("agent-pebble").expect("made");
        let dns = Dns::start(SocketAddr::from((LOCALHOST, 0)), Zone::new())
            .await
            .expect("a free port");
        let [port, management, http_port, tls_port] = free_ports();
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": folder.join("tls.pem"),
            "privateKey": folder.join("tls.key"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
        }});
        fs::write(folder.join("pebble.json"), config.to_string()).expect("written");
        write_tls(&folder);
        let mut command = Command::new(pebble);
        command
            .arg("-config")
            .arg(folder.join("pebble.json"))
            .args(["-dnsserver", &dns.addr().to_string()])
            // Pebble sleeps up to 15 s before each validation otherwise. Its refused nonces stay.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .envs(variables.iter().copied());
        let program = Program::spawn(command).expect("started");
        program
            .wait_for_line(|line| line.contains("ACME directory available"), WITHIN)
            .expect("ready");
        Some(Self {
            zone: dns.zone().clone(),
            folder,
            http_port,
            directory: format!("https://127.0.0.1:{port}/dir"),
            _dns: dns,
            _pebble: program,
        })
    }

    /// Makes these names lead here.
    pub(crate) fn host(&self, names: &[&str]) {
        for name in names {
            self.zone.set_a(name, LOCALHOST).expect("a name");
        }
    }

    fn listen(&self) -> SocketAddr {
        SocketAddr::from((LOCALHOST, self.http_port))
    }

    /// The configuration of an agent in a folder of its own, for use in this process.
    pub(crate) fn config(&self, agent: &str) -> AgentConfig {
        let mut config = AgentConfig::new(self.folder.join(agent));
        config.agree_terms = true;
        config.contact = vec!["mailto:ops@corp.test".to_owned()];
        config.defaults = Settings {
            ca: Some(self.directory.clone()),
            root: Some(self.folder.join("root.pem")),
            http01: Some(Http01::Listen(self.listen())),
            ..Settings::default()
        };
        config
    }

    /// The program with the prefix `agent`, told of the CA and its root by its configuration file.
    pub(crate) fn program(&self, agent: &str, arguments: &[&str]) -> Command {
        let prefix = self.folder.join(agent);
        fs::create_dir_all(&prefix).expect("made");
        let config = format!(
            "ca = {:?}\nroot = \"../root.pem\"\nagree_terms = true\nhttp_listen = \"{}\"\n",
            self.directory,
            self.listen(),
        );
        fs::write(prefix.join("agent.toml"), config).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_chancery-agent"));
        command
            .arg("--prefix")
            .arg(prefix)
            .args(arguments)
            .env_remove("CHANCERY_FAILPOINT");
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, agent: &str, arguments: &[&str]) -> Finished {
        run(self.program(agent, arguments), WITHIN).expect("ends in time")
    }

    /// Runs the program, which must succeed, and gives its standard output.
    pub(crate) fn succeed(&self, agent: &str, arguments: &[&str]) -> String {
        let finished = self.run(agent, arguments);
        assert!(finished.status.success(), "{arguments:?}: {finished:?}");
        finished.stdout
    }

    /// The one certificate of `status --json`.
    pub(crate) fn status(&self, agent: &str) -> serde_json::Value {
        let text = self.run(agent, &["status", "--json"]).stdout;
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document
            .pointer("/certificates/0")
            .expect("one certificate")
            .clone()
    }
}

/// Four files of one generation, read by following the link once.
pub(crate) struct Files {
    pub(crate) folder: PathBuf,
    pub(crate) leaf: Certificate,
    pub(crate) key: chancery_crypto::PrivateKey,
}

impl Files {
    /// What is live; it must be complete and belong together.
    pub(crate) fn live(prefix: &Path, name: &str) -> Option<Self> {
        let folder = fs::canonicalize(prefix.join("live").join(name)).ok()?;
        let read = |file: &str| fs::read_to_string(folder.join(file)).expect("each file is there");
        let (cert, chain) = (read("cert.pem"), read("chain.pem"));
        assert_eq!(read("fullchain.pem"), format!("{cert}{chain}"));
        assert!(!chain.is_empty());
        let one = |text: &str, label| {
            let blocks = pem::decode(text, label, 1).expect("one block");
            blocks.into_iter().next().expect("one block")
        };
        let leaf = Certificate::parse(&one(&cert, "CERTIFICATE")).expect("a certificate");
        let key = one(&read("privkey.pem"), "PRIVATE KEY");
        let key = chancery_crypto::PrivateKey::from_pkcs8(&key).expect("a key");
        assert_eq!(leaf.spki().key(), key.public());
        Some(Self { folder, leaf, key })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.leaf.sans().iter().map(ToString::to_string).collect()
    }
}

/// A root and Pebble's own TLS certificate under it.
fn write_tls(folder: &TempDir) {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root =
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("made")).expect("signed");
    let key = KeyPair::generate().expect("made");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    let leaf = params.signed_by(&key, &root).expect("signed");
    fs::write(folder.join("root.pem"), root.pem()).expect("written");
    fs::write(folder.join("tls.pem"), leaf.pem()).expect("written");
    fs::write(folder.join("tls.key"), key.serialize_pem()).expect("written");
}
