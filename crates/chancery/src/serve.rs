//! `serve`: everything wired together, brought up in order and taken down in order.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::process::Child;
use std::sync::Arc;

use chancery_authority::setting::SettingName;
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
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use crate::config::{Checked, Config};
use crate::data_folder::{Contents, DataFolder};
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
pub(crate) fn serve(place: &Place) -> Result<(), Exit> {
    start_log();
    let (config, checked) = load_config(place.config.as_deref())?;
    let folder = DataFolder::take(&place.data, &checked.database).map_err(Exit::failed)?;
    let contents = folder.contents().map_err(Exit::failed)?;
    // First of all, and before there is any thread: the signer inherits nothing of what follows.
    if contents == Contents::Nothing {
        folder.begin().map_err(Exit::failed)?;
    }
    let (signer, socket) = signer_process::start(place, folder.path())?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(Exit::failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Exit::failed(format!("no threads can be started: {error}")))?;
    let served = runtime.block_on(Server { config, checked, folder, contents, signer, socket }.run());
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    served
}

struct Server {
    config: Config,
    checked: Checked,
    folder: DataFolder,
    contents: Contents,
    signer: Child,
    socket: UnixStream,
}

/// The listeners, bound before anything is made, so that an occupied port leaves nothing behind.
struct Bound {
    public: TcpListener,
    status: TcpListener,
    metrics: TcpListener,
    admin: UnixListener,
}

impl Server {
    async fn run(self) -> Result<(), Exit> {
        let Self { config, checked, folder, contents, mut signer, socket } = self;
        let (client, connection) = chancery_signer::connect(socket)
            .map_err(|error| Exit::failed(format!("the signer's socket cannot be used: {error}")))?;
        let mut signer_line = tokio::spawn(connection);
        let bound = Bound::bind(&config, &folder).await;
        let started = match bound {
            Ok(bound) => {
                let listeners = bound.addresses()?;
                let starting = start(&config, checked, folder, contents, client, &listeners);
                tokio::select! {
                    started = starting => started.map(|started| (started, bound)),
                    _ = &mut signer_line => Err(Exit::failed("the signer ended while starting; its own message stands above")),
                }
            }
            Err(exit) => Err(exit),
        };
        let (started, bound) = match started {
            Ok(up) => up,
            Err(exit) => {
                drop(signer_line);
                let _ = signer.wait();
                return Err(exit);
            }
        };
        let ended = started.serve(bound, &mut signer_line).await;
        drop(signer_line);
        let _ = signer.wait();
        ended
    }
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
    contents: Contents,
    signer: SignerClient,
    listeners: &Listeners,
) -> Result<Started, Exit> {
    let store = SqliteStore::open(SqliteOptions { node: NODE, ..SqliteOptions::new(folder.database()) })
        .map_err(Exit::failed)?;
    let store: Arc<dyn Store> = Arc::new(store);
    let bases = listeners.bases(config);
    if contents == Contents::Nothing {
        make(config, &folder, &*store, &signer, &bases).await?;
    }
    let policy = checked.policy.avoiding(listeners.all());
    let prover = Prover::new(ProverConfig {
        http_port: config.validation.http_port,
        tls_port: config.validation.tls_port,
        ..ProverConfig::new(checked.resolver, policy)
    });
    let engine = Engine::start(EngineParts {
        store: Arc::clone(&store),
        signer,
        prover,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        gateways: checked.gateways,
        default_gateway: checked.default_gateway,
        node: NODE,
    })
    .await
    .map_err(Exit::failed)?;
    let names = server_names(&bases.acme, listeners)?;
    let certificate = own_certificate::obtain(&engine, &folder, &names).await?;
    if contents == Contents::Nothing {
        folder.finish().map_err(Exit::failed)?;
    }
    let key = certificate.key.to_pkcs8().map_err(Exit::failed)?;
    let identity = ServerIdentity::new(certificate.chain.clone(), &key).map_err(Exit::failed)?;
    let urls = Urls::new(&bases.acme, IdCipher::new(&url_key(&*store).await?));
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
        organization: config.server.organization.clone().unwrap_or_else(|| ORGANIZATION.to_owned()),
        status_url: bases.status.clone(),
    };
    let made = first_run(store, signer, SystemClock.now(), &SystemEntropy, &plan)
        .await
        .map_err(Exit::failed)?;
    let root = pem::encode("CERTIFICATE", &made.root);
    folder.write_private("root.pem", root.as_bytes()).map_err(Exit::failed)?;
    let fingerprint: Vec<String> =
        sha256(&made.root).iter().map(|byte| format!("{byte:02X}")).collect();
    let path = folder.path().display();
    println!("made a new authority in {path}:");
    println!("  root certificate  {path}/root.pem (give it to every client)");
    println!("  its SHA-256       {}", fingerprint.join(":"));
    println!("  keys              {path}/keys, sealed; the sealing key is {path}.sealing-key unless configured otherwise");
    println!("  keep apart        back up {path} and the sealing key to different places");
    Ok(())
}

async fn url_key(store: &dyn Store) -> Result<[u8; 16], Exit> {
    let setting = store.setting(SettingName::UrlKey).await.map_err(Exit::failed)?;
    let key = setting.and_then(|setting| setting.value.try_into().ok());
    key.ok_or_else(|| Exit::failed("the store has no URL key; put back the chancery.db that belongs to keys/"))
}

/// The names of the server's own certificate: the host in its URL, and the address it listens on.
fn server_names(acme_base: &str, listeners: &Listeners) -> Result<BTreeSet<San>, Exit> {
    let host = acme_base.trim_start_matches("https://").trim_end_matches('/');
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut names = BTreeSet::new();
    match host.parse::<IpAddr>() {
        Ok(address) => names.insert(San::Ip(address)),
        Err(_) => {
            let name = DnsName::parse(host)
                .map_err(|error| Exit::usage(format!("server.url has the host {host:?}: {error}")))?;
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
        bound: Bound,
        signer_line: &mut tokio::task::JoinHandle<std::io::Result<()>>,
    ) -> Result<(), Exit> {
        let (stop, stopped) = watch::channel(false);
        let metrics = Arc::new(HttpMetrics::default());
        let tls = TlsAcceptor::from(self.identity.config().map_err(Exit::failed)?);
        let mut epoch = [0; 4];
        SystemEntropy.fill(&mut epoch);
        let nonces = Nonces::new(NODE, u32::from_be_bytes(epoch), &SystemEntropy);
        let engine = &self.engine;
        let acme = Arc::new(AcmeFront::new(Arc::clone(engine), nonces, self.urls, Arc::clone(&metrics)));
        let status = Arc::new(StatusFront::new(Arc::clone(engine), Arc::clone(&metrics)));
        let health = Arc::new(HealthFront::new(Arc::clone(engine), metrics));
        let api = Arc::new(ApiFront::new(Arc::clone(engine), rustix::process::getuid().as_raw()));
        let limits = || self.limits.clone();
        let mut listeners = tokio::task::JoinSet::new();
        listeners.spawn(serve_tcp(bound.public, Some(tls), acme, limits(), stopped.clone()));
        listeners.spawn(serve_tcp(bound.status, None, status, limits(), stopped.clone()));
        listeners.spawn(serve_tcp(bound.metrics, None, health, limits(), stopped.clone()));
        listeners.spawn(serve_unix(bound.admin, api, limits(), stopped.clone()));
        listeners.spawn(own_certificate::keep_fresh(
            Arc::clone(engine),
            Arc::clone(&self.folder),
            self.names,
            Arc::clone(&self.identity),
            self.renew_at,
            stopped,
        ));
        match sandbox::close_file_system(self.folder.path()) {
            Ok(sandbox::Sandboxed::Yes) => {}
            Ok(sandbox::Sandboxed::NotHere) => tracing::warn!("this kernel has no Landlock: the front could open the signer's sealed files"),
            Err(error) => return Err(Exit::failed(format!("the front cannot give up the signer's files: {error}"))),
        }
        println!("ready {}", self.directory);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let ended = wait_for_end(signer_line).await;
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        stop.send_replace(true);
        while listeners.join_next().await.is_some() {}
        self.engine.stop().await;
        ended
    }
}

/// Ends with a signal, or with the signer.
async fn wait_for_end(
    signer_line: &mut tokio::task::JoinHandle<std::io::Result<()>>,
) -> Result<(), Exit> {
    let mut terminate = signal(SignalKind::terminate()).map_err(Exit::failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Exit::failed)?;
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = signer_line => Err(Exit::failed("the signer ended; nothing that was answered is lost: start again, which the service manager does by itself")),
    }
}

/// Where the server listens, as bound.
struct Listeners {
    public: SocketAddr,
    status: SocketAddr,
    metrics: SocketAddr,
}

/// Bases of URLs.
struct Bases {
    acme: String,
    status: String,
}

impl Listeners {
    fn all(&self) -> [SocketAddr; 3] {
        [self.public, self.status, self.metrics]
    }

    /// From the configuration, or else from where the server listens; never from a request.
    fn bases(&self, config: &Config) -> Bases {
        let of = |given: &Option<String>, scheme: &str, bound: SocketAddr| match given {
            Some(url) => url.trim_end_matches('/').to_owned(),
            None if bound.ip().is_unspecified() => format!("{scheme}://localhost:{}", bound.port()),
            None => format!("{scheme}://{bound}"),
        };
        Bases {
            acme: of(&config.server.url, "https", self.public),
            status: of(&config.server.status_url, "http", self.status),
        }
    }
}

impl Bound {
    async fn bind(config: &Config, folder: &DataFolder) -> Result<Self, Exit> {
        let socket = folder.path().join("admin.sock");
        // Left behind by a process that was killed; the lock says that nobody has it.
        let _ = std::fs::remove_file(&socket);
        let admin = UnixListener::bind(&socket)
            .map_err(|error| Exit::failed(format!("{} cannot be made: {error}", socket.display())))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&socket, private).map_err(Exit::failed)?;
        Ok(Self {
            public: tcp("public", config.listen.public).await?,
            status: tcp("status", config.listen.status).await?,
            metrics: tcp("metrics", config.listen.metrics).await?,
            admin,
        })
    }

    fn addresses(&self) -> Result<Listeners, Exit> {
        let of = |listener: &TcpListener| listener.local_addr().map_err(Exit::failed);
        Ok(Listeners {
            public: of(&self.public)?,
            status: of(&self.status)?,
            metrics: of(&self.metrics)?,
        })
    }
}

async fn tcp(name: &str, address: SocketAddr) -> Result<TcpListener, Exit> {
    TcpListener::bind(address).await.map_err(|error| {
        let advice = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                "another program listens there; stop it, or choose another address"
            }
            std::io::ErrorKind::PermissionDenied => {
                "ports below 1024 need CAP_NET_BIND_SERVICE; grant it, or choose a higher port"
            }
            _ => "choose an address of this machine",
        };
        Exit::failed(format!("listen.{name} = {address} cannot be used: {error}; {advice}"))
    })
}
