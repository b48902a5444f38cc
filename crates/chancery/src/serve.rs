//! `serve`: everything wired together, brought up in order and taken down in order.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use chancery_authority::setting::SettingName;
use chancery_authority::urls::PublicNames;
use chancery_authority::{IdCipher, Store};
use chancery_crypto::{Entropy, SystemEntropy, sha256};
use chancery_engine::{Clock, Engine, EngineParts, FirstRunPlan, SystemClock, first_run};
use chancery_front::acme::{AcmeFront, Nonces, Urls};
use chancery_front::api::ApiFront;
use chancery_front::health::HealthFront;
use chancery_front::limits::Limits;
use chancery_front::listener::{serve_tcp, serve_unix};
use chancery_front::status::StatusFront;
use chancery_front::{HttpMetrics, ServerIdentity};
use chancery_pki::{DnsName, San, pem};
use chancery_prover::{Prover, ProverConfig};
use chancery_signer::SignerClient;
use chancery_store::sqlite::{HeldFiles, SqliteOptions, SqliteStore};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::config::{Checked, Config};
use crate::data_folder::{Contents, DataFolder};
use crate::listeners::{Bases, Bound, Listeners, Listening};
use crate::sandbox::Sandboxed;
use crate::{Exit, Place, load_config, own_certificate, sandbox, signer_process};

/// This node's number, until several share a database.
const NODE: u8 = 1;

/// Part of both CA names when the configuration gives none.
const ORGANIZATION: &str = "Chancery";

/// Logs to standard error; `CHANCERY_LOG` sets the level as `RUST_LOG` would.
pub(crate) fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("CHANCERY_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let started = tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
    if started.is_err() {
        eprintln!("chancery: logging was started twice");
    }
}

/// Runs the authority until it is told to stop.
///
/// While there is one thread only: take the folder, start the signer, bind the listeners, make what the first run makes,
/// give up the signer's files. Then the threads, and whatever comes from outside.
pub(crate) fn serve(place: &Place) -> Result<(), Exit> {
    start_log();
    let (config, checked) = load_config(place.config.as_deref())?;
    for warning in &checked.warnings {
        tracing::warn!("{warning}");
    }
    let folder = DataFolder::take(&place.data, &checked.database).map_err(Exit::failed)?;
    let contents = folder.contents().map_err(Exit::failed)?;
    let bound = Bound::bind(&config, &folder)?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(Exit::failed)?;
    if contents == Contents::Nothing {
        folder.begin().map_err(Exit::failed)?;
        let bases = bound.addresses()?.bases(&config);
        let made = |socket| make_authority(&config, &folder, socket, &bases);
        with_signer(place, folder.path(), made)?;
        folder.finish().map_err(Exit::failed)?;
    }
    let data = folder.path().to_owned();
    with_signer(place, &data, |socket| {
        serve_with(&config, checked, folder, bound, socket)
    })
}

/// Starts a signer for as long as `work` lasts.
fn with_signer(
    place: &Place,
    data: &Path,
    work: impl FnOnce(UnixStream) -> Result<(), Exit>,
) -> Result<(), Exit> {
    let (mut signer, socket) = signer_process::start(place, data)?;
    // The work has the only end of the socket: when it is done, the signer sees that and ends.
    let done = work(socket);
    let ended = signer.wait();
    match ended {
        Ok(status) if status.success() => done,
        // It said why itself, and whatever followed from that would only confuse.
        Ok(status) if status.code().is_some() => Err(Exit {
            code: 1,
            sentence: String::new(),
        }),
        Ok(_) | Err(_) => Err(Exit::failed(SIGNER_ENDED)),
    }
}

fn serve_with(
    config: &Config,
    checked: Checked,
    folder: DataFolder,
    bound: Bound,
    socket: UnixStream,
) -> Result<(), Exit> {
    let listeners = bound.addresses()?;
    let held = HeldFiles::hold(folder.database()).map_err(Exit::failed)?;
    let tls = folder.tls_folder().map_err(Exit::failed)?;
    match sandbox::close_file_system(&tls, held.paths()) {
        Ok(Sandboxed::Yes) => {}
        Ok(Sandboxed::NotHere) => {
            tracing::warn!(
                "this kernel has no Landlock: the front could open the signer's sealed files"
            );
        }
        Err(error) => {
            return Err(Exit::failed(format!(
                "the front cannot give up the signer's files: {error}"
            )));
        }
    }
    let runtime = runtime(tokio::runtime::Builder::new_multi_thread())?;
    let served = runtime.block_on(async {
        let mut ends = Ends::install()?;
        let (client, mut signer_line) = to_signer(socket)?;
        let started = tokio::select! {
            () = ends.come() => return Ok(()),
            started = start(config, checked, folder, client, &listeners) => started?,
            _ = &mut signer_line => return Err(Exit::failed(SIGNER_ENDED)),
        };
        started
            .serve(bound.listening()?, &mut ends, &mut signer_line)
            .await
    });
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    served
}

const SIGNER_ENDED: &str = "the signer ended; nothing that was answered is lost: start again, which a service manager does by itself";

fn runtime(mut builder: tokio::runtime::Builder) -> Result<tokio::runtime::Runtime, Exit> {
    let built = builder.enable_all().build();
    built.map_err(|error| Exit::failed(format!("no threads can be started: {error}")))
}

type SignerLine = tokio::task::JoinHandle<std::io::Result<()>>;

/// A client over the socket, and the task that carries its frames.
fn to_signer(socket: UnixStream) -> Result<(SignerClient, SignerLine), Exit> {
    let unusable = |error| Exit::failed(format!("the signer's socket cannot be used: {error}"));
    let (client, connection) = chancery_signer::connect(socket).map_err(unusable)?;
    Ok((client, tokio::spawn(connection)))
}

/// The first run, on this thread alone.
fn make_authority(
    config: &Config,
    folder: &DataFolder,
    socket: UnixStream,
    bases: &Bases,
) -> Result<(), Exit> {
    runtime(tokio::runtime::Builder::new_current_thread())?.block_on(async {
        let (client, mut signer_line) = to_signer(socket)?;
        let store = open_store(folder)?;
        tokio::select! {
            made = make(config, folder, &store, &client, bases) => made,
            _ = &mut signer_line => Err(Exit::failed("the signer ended before the authority was made; its own message stands above")),
        }
    })
}

fn open_store(folder: &DataFolder) -> Result<SqliteStore, Exit> {
    SqliteStore::open(SqliteOptions {
        node: NODE,
        ..SqliteOptions::new(folder.database())
    })
    .map_err(Exit::failed)
}

/// Everything that runs behind the listeners.
struct Started {
    engine: Arc<Engine>,
    identity: Arc<ServerIdentity>,
    names: BTreeSet<San>,
    renew_at: chancery_pki::UnixTime,
    folder: Arc<DataFolder>,
    urls: Urls,
    directory: String,
    limits: Limits,
}

async fn start(
    config: &Config,
    checked: Checked,
    folder: DataFolder,
    signer: SignerClient,
    listeners: &Listeners,
) -> Result<Started, Exit> {
    let store: Arc<dyn Store> = Arc::new(open_store(&folder)?);
    let bases = listeners.bases(config);
    let policy = checked.policy.avoiding(listeners.all());
    let prover = Prover::new(ProverConfig {
        http_port: config.validation.http_port,
        tls_port: config.validation.tls_port,
        ..ProverConfig::new(checked.resolver, policy)
    });
    let url_key = url_key(&*store).await?;
    let engine = Engine::start(EngineParts {
        store: Arc::clone(&store),
        signer,
        prover,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        gateways: checked.gateways,
        default_gateway: checked.default_gateway,
        rates: checked.rates,
        public_names: PublicNames::new(&bases.acme, IdCipher::new(&url_key)),
        node: NODE,
    })
    .await
    .map_err(Exit::failed)?;
    let names = server_names(&bases.acme, listeners)?;
    let certificate = own_certificate::obtain(&engine, &folder, &names).await?;
    let key = certificate.key.to_pkcs8().map_err(Exit::failed)?;
    let identity = ServerIdentity::new(certificate.chain.clone(), &key).map_err(Exit::failed)?;
    let urls = Urls::new(&bases.acme, IdCipher::new(&url_key));
    let directory = format!("{}/acme/directory", bases.acme.trim_end_matches('/'));
    let mut limits = Limits::default();
    if !config.limits.enabled {
        limits.connections_per_address_max = limits.connections_max;
    }
    Ok(Started {
        renew_at: certificate.renew_at(engine.now()),
        engine,
        identity,
        names,
        folder: Arc::new(folder),
        urls,
        directory,
        limits,
    })
}

/// First run: the CA, and what clients need to trust it. Says what it made.
async fn make(
    config: &Config,
    folder: &DataFolder,
    store: &dyn Store,
    signer: &SignerClient,
    bases: &Bases,
) -> Result<(), Exit> {
    let plan = FirstRunPlan {
        organization: config
            .server
            .organization
            .clone()
            .unwrap_or_else(|| ORGANIZATION.to_owned()),
        status_url: bases.status.clone(),
    };
    let made = first_run(store, signer, SystemClock.now(), &SystemEntropy, &plan)
        .await
        .map_err(Exit::failed)?;
    let root = pem::encode("CERTIFICATE", &made.root);
    folder
        .write_private("root.pem", root.as_bytes())
        .map_err(Exit::failed)?;
    let fingerprint: Vec<String> = sha256(&made.root)
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    let path = folder.path().display();
    println!("made a new authority in {path}:");
    println!("  root certificate  {path}/root.pem (give it to every client)");
    println!("  its SHA-256       {}", fingerprint.join(":"));
    println!(
        "  keys              {path}/keys, sealed; the sealing key is {path}.sealing-key unless configured otherwise"
    );
    println!("  keep apart        back up {path} and the sealing key to different places");
    Ok(())
}

async fn url_key(store: &dyn Store) -> Result<[u8; 16], Exit> {
    let setting = store
        .setting(SettingName::UrlKey)
        .await
        .map_err(Exit::failed)?;
    let key = setting.and_then(|setting| setting.value.try_into().ok());
    key.ok_or_else(|| {
        Exit::failed("the store has no URL key; put back the chancery.db that belongs to keys/")
    })
}

/// The names of the server's own certificate: the host in its URL, and the address it listens on.
fn server_names(acme_base: &str, listeners: &Listeners) -> Result<BTreeSet<San>, Exit> {
    let host = acme_base
        .trim_start_matches("https://")
        .trim_end_matches('/');
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut names = BTreeSet::new();
    match host.parse::<IpAddr>() {
        Ok(address) => names.insert(San::Ip(address)),
        Err(_) => {
            let name = DnsName::parse(host).map_err(|error| {
                Exit::usage(format!("server.url has the host {host:?}: {error}"))
            })?;
            names.insert(San::Dns(name))
        }
    };
    let address = listeners.public.ip();
    if address.is_loopback() {
        names.insert(San::Ip(address));
        names.extend(DnsName::parse("localhost").map(San::Dns));
    }
    Ok(names)
}

impl Started {
    async fn serve(
        self,
        bound: Listening,
        ends: &mut Ends,
        signer_line: &mut SignerLine,
    ) -> Result<(), Exit> {
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::new(HttpMetrics::default());
        let tls = TlsAcceptor::from(self.identity.config().map_err(Exit::failed)?);
        let mut epoch = [0; 4];
        SystemEntropy.fill(&mut epoch);
        let nonces = Nonces::new(NODE, u32::from_be_bytes(epoch), &SystemEntropy);
        let engine = &self.engine;
        let acme = Arc::new(AcmeFront::new(
            Arc::clone(engine),
            nonces,
            self.urls,
            Arc::clone(&metrics),
        ));
        let status = Arc::new(StatusFront::new(Arc::clone(engine), Arc::clone(&metrics)));
        let health = Arc::new(HealthFront::new(Arc::clone(engine), metrics));
        let api = Arc::new(ApiFront::new(
            Arc::clone(engine),
            rustix::process::getuid().as_raw(),
        ));
        let limits = || self.limits.clone();
        let mut listeners = tokio::task::JoinSet::new();
        listeners.spawn(serve_tcp(
            bound.public,
            Some(tls),
            acme,
            limits(),
            stopped.clone(),
        ));
        listeners.spawn(serve_tcp(
            bound.status,
            None,
            status,
            limits(),
            stopped.clone(),
        ));
        listeners.spawn(serve_tcp(
            bound.metrics,
            None,
            health,
            limits(),
            stopped.clone(),
        ));
        listeners.spawn(serve_unix(bound.admin, api, limits(), stopped.clone()));
        listeners.spawn(own_certificate::keep_fresh(
            Arc::clone(engine),
            Arc::clone(&self.folder),
            self.names,
            Arc::clone(&self.identity),
            self.renew_at,
            stopped,
        ));
        println!("ready {}", self.directory);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let ended = wait_for_end(ends, signer_line).await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        stop.send_replace(true);
        while listeners.join_next().await.is_some() {}
        self.engine.stop().await;
        ended
    }
}

/// The signals that end the server in order.
struct Ends {
    terminate: Signal,
    interrupt: Signal,
}

impl Ends {
    /// To be installed before anything is announced, so that a signal at any moment ends in order.
    fn install() -> Result<Self, Exit> {
        let install = |kind| signal(kind).map_err(Exit::failed);
        Ok(Self {
            terminate: install(SignalKind::terminate())?,
            interrupt: install(SignalKind::interrupt())?,
        })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ends with a signal, or with the signer.
async fn wait_for_end(ends: &mut Ends, signer_line: &mut SignerLine) -> Result<(), Exit> {
    tokio::select! {
        () = ends.come() => Ok(()),
        _ = signer_line => Err(Exit::failed(SIGNER_ENDED)),
    }
}
