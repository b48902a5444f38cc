//! `demo`: the whole life of a certificate, for real, on free loopback ports and in a temporary folder.
//!
//! Real are the authority (this program as `serve`, with its signer), the agent, the sockets, the DNS questions, the TLS
//! handshakes. The small DNS and the web host come from `chancery-simulate`, and reach the authority only through
//! ordinary configuration.

mod authority;
mod renewal;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_agent::{
    Agent, AgentConfig, Http01, Installed, Request, RevokeBy, RevokeRequest, Settings,
};
use chancery_dial::{Connector, HttpClient, Names, Policy, Tls, Url};
use chancery_pki::{Certificate, Crl, RevocationReason, pem};
use chancery_simulate::{Credentials, Dns, TlsSite, Zone, fetch_verified};

use crate::Exit;
use authority::{Authority, Ports};
use renewal::ShiftedClock;

/// The name that the demonstration proves.
const NAME: &str = "www.demo.example";

/// What a revocation may take to show (the promise is five seconds).
const REVOCATION_SHOWN: Duration = Duration::from_secs(6);

const LOCAL: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// Shows everything; ends well only if every step held.
pub(crate) fn demo(keep: bool) -> Result<(), Exit> {
    let folder = TemporaryFolder::new()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Exit::failed)?;
    runtime.block_on(async {
        let mut steps = Steps::new();
        let world = World::start(&folder.0, &mut steps).await?;
        world.life_of_a_certificate(&mut steps).await?;
        println!("the whole life of a certificate, for real: every step held");
        if keep {
            world.say_what_next();
            let _ = tokio::signal::ctrl_c().await;
        }
        world.authority.stop()
    })
}

/// Prints each step with the time it took.
struct Steps(Instant);

impl Steps {
    fn new() -> Self {
        Self(Instant::now())
    }

    fn done(&mut self, what: &str) {
        println!("{:>7.3} s  {what}", self.0.elapsed().as_secs_f64());
        self.0 = Instant::now();
    }
}

/// A folder that goes when the demonstration ends.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> Result<Self, Exit> {
        let path = std::env::temp_dir().join(format!("chancery-demo-{}", std::process::id()));
        std::fs::create_dir(&path)
            .map_err(|error| Exit::failed(format!("{} cannot be made: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Everything that takes part.
struct World {
    authority: Authority,
    agent: Agent,
    /// The agent's.
    clock: ShiftedClock,
    root_pem: String,
    _dns: Dns,
    state: PathBuf,
}

impl World {
    async fn start(folder: &Path, steps: &mut Steps) -> Result<Self, Exit> {
        let zone = Zone::new();
        zone.set_default_a(LOCAL.into());
        let dns = Dns::start(SocketAddr::from((LOCAL, 0)), zone)
            .await
            .map_err(Exit::failed)?;
        let ports = Ports::free()?;
        steps.done("a small DNS answers on loopback, where every name is this machine");
        let authority = Authority::start(&folder.join("authority"), &ports, dns.addr()).await?;
        steps.done("the authority made its root and issuer, and serves ACME");
        let root = authority.data.join("root.pem");
        let root_pem = std::fs::read_to_string(&root).map_err(Exit::failed)?;
        let state = folder.join("agent");
        let mut config = AgentConfig::new(&state);
        let clock = ShiftedClock::default();
        config.clock = Arc::new(clock.clone());
        config.defaults = Settings {
            ca: Some(authority.directory.clone()),
            root: Some(root),
            http01: Some(Http01::Listen(SocketAddr::from((LOCAL, ports.http01)))),
            ..Settings::default()
        };
        Ok(Self {
            authority,
            agent: Agent::new(config),
            clock,
            root_pem,
            _dns: dns,
            state,
        })
    }

    async fn life_of_a_certificate(&self, steps: &mut Steps) -> Result<(), Exit> {
        let request = Request::new(&[NAME]).map_err(Exit::failed)?;
        let first = self.agent.obtain(&request).await.map_err(Exit::failed)?;
        steps.done("the agent proved the name by http-01 and installed a certificate");
        let site = TlsSite::start(SocketAddr::from((LOCAL, 0)), &credentials(&first)?)
            .await
            .map_err(Exit::failed)?;
        let seen = self.seen_by_a_client(&site).await?;
        expect(
            seen == first.serial.to_hex(),
            "the server shows another certificate",
        )?;
        steps.done("a TLS server serves it, and a client verified it against the root");
        let second = self.renew(&first, steps).await?;
        site.replace(&credentials(&second)?);
        let seen = self.seen_by_a_client(&site).await?;
        expect(
            seen == second.serial.to_hex(),
            "the server still shows the old certificate",
        )?;
        steps.done("the server was given the new one, and the client sees it");
        let leaf = leaf(&second)?;
        expect(
            !self.is_on_its_crl(&leaf).await?,
            "the new certificate is on the CRL already",
        )?;
        let revocation = RevokeRequest {
            name: second.name.clone(),
            reason: RevocationReason::Superseded,
            by: RevokeBy::Account,
            settings: Settings::default(),
        };
        self.agent.revoke(&revocation).await.map_err(Exit::failed)?;
        steps.done("the agent revoked it");
        self.wait_for_crl(&leaf).await?;
        steps.done("the revocation list that the certificate names has it");
        self.authority.check_invariants()?;
        steps.done("everything stored and journalled agrees");
        Ok(())
    }

    async fn seen_by_a_client(&self, site: &TlsSite) -> Result<String, Exit> {
        let seen = fetch_verified(site.addr(), NAME, &self.root_pem)
            .await
            .map_err(Exit::failed)?;
        Ok(seen.serial)
    }

    async fn is_on_its_crl(&self, leaf: &Certificate) -> Result<bool, Exit> {
        let url = leaf
            .crl_urls()
            .first()
            .ok_or_else(|| Exit::failed("it names no CRL"))?;
        let url = Url::parse(url).map_err(Exit::failed)?;
        let answer = self.http_client()?.get(&url).await;
        let answer = answer.map_err(Exit::failed)?;
        let crl = Crl::parse(answer.body.to_vec()).map_err(Exit::failed)?;
        Ok(crl.contains(&leaf.serial()))
    }

    fn http_client(&self) -> Result<HttpClient, Exit> {
        Ok(HttpClient::new(
            Connector::new(Names::System, Policy::anywhere()),
            Tls::with_roots(&[self.root_pem.as_str()]).map_err(Exit::failed)?,
            HttpClient::LIMITS,
            REVOCATION_SHOWN,
        ))
    }

    async fn wait_for_crl(&self, leaf: &Certificate) -> Result<(), Exit> {
        let revoked = Instant::now();
        while revoked.elapsed() < REVOCATION_SHOWN {
            if self.is_on_its_crl(leaf).await? {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(Exit::failed(
            "the revocation did not show on the CRL in time",
        ))
    }

    fn say_what_next(&self) {
        let data = self.authority.data.display();
        println!(
            "\nstill up; to try next:\n\
             \x20 curl --cacert {data}/root.pem {directory}\n\
             \x20 chancery cert list --data {data}\n\
             \x20 chancery order list --data {data}\n\
             \x20 chancery doctor --invariants --data {data}\n\
             \x20 ls -l {state}/live/{NAME}\n\
             end with Ctrl-C; everything is removed then",
            directory = self.authority.directory,
            state = self.state.display(),
        );
    }
}

fn credentials(installed: &Installed) -> Result<Credentials, Exit> {
    let read = |name| std::fs::read_to_string(installed.folder.join(name)).map_err(Exit::failed);
    Credentials::from_pem(&read("fullchain.pem")?, &read("privkey.pem")?).map_err(Exit::failed)
}

fn leaf(installed: &Installed) -> Result<Certificate, Exit> {
    let text = std::fs::read_to_string(installed.folder.join("cert.pem")).map_err(Exit::failed)?;
    let blocks = pem::decode(&text, "CERTIFICATE", 1).map_err(Exit::failed)?;
    let der = blocks
        .first()
        .ok_or_else(|| Exit::failed("cert.pem is empty"))?;
    Certificate::parse(der).map_err(Exit::failed)
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Exit> {
    if holds {
        Ok(())
    } else {
        Err(Exit::failed(otherwise))
    }
}
