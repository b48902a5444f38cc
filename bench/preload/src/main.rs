//! `preload DATA N`: fills the store of a server that does not run with N certificates, for measurements.
//!
//! The records are made by the domain's own constructors and written by the store's own writer; only the signatures are
//! not real, because nobody looks at them. The signer's journal knows nothing of these certificates, so
//! `doctor --invariants` would complain: never use it on a store that matters.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use chancery_authority::account::Owner;
use chancery_authority::caa::CaaRules;
use chancery_authority::gateway::{BindingRule, Gateway, NameRules, Offer};
use chancery_authority::issuance::{Finalize, KeyUse, claim, record};
use chancery_authority::issuer::LiveIssuer;
use chancery_authority::order::Order;
use chancery_authority::{Change, IdSource, Outcome, Store};
use chancery_crypto::{Curve, Entropy, KeyKind, PrivateKey, SystemEntropy};
use chancery_pki::{Csr, IssuerCertificate, Profile, San, UnixTime, csr};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use tokio::task::JoinSet;

/// Certificates under way at once; enough to fill the writer's batches.
const TOGETHER: u64 = 256;

/// As long as a P-256 signature.
const SIGNATURE: [u8; 71] = [0x30; 71];

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(data), Some(count), None) = (arguments.next(), arguments.next(), arguments.next())
    else {
        eprintln!("usage: preload DATA N");
        return ExitCode::from(2);
    };
    let Some(count) = count.to_str().and_then(|count| count.parse().ok()) else {
        eprintln!("preload: N is a number");
        return ExitCode::from(2);
    };
    match run(PathBuf::from(data), count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("preload: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(data: PathBuf, count: u64) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let store = SqliteStore::open(SqliteOptions::new(data.join("chancery.db")))?;
        let world = Arc::new(World::new(Arc::new(store)).await?);
        let mut running = JoinSet::new();
        for number in 0..count {
            if number >= TOGETHER
                && let Some(done) = running.join_next().await
            {
                done??;
            }
            let world = Arc::clone(&world);
            running.spawn(async move { world.one().await });
        }
        while let Some(done) = running.join_next().await {
            done??;
        }
        Ok(())
    })
}

struct World {
    store: Arc<dyn Store>,
    issuer: LiveIssuer,
    gateway: Gateway,
    csr: Csr,
    names: BTreeSet<San>,
    ids: Mutex<IdSource>,
}

impl World {
    async fn new(store: Arc<dyn Store>) -> Result<Self, Failure> {
        let issuers = store.issuers().await?;
        let issuer = issuers
            .into_iter()
            .filter_map(|record| {
                let certificate = IssuerCertificate::parse(&record.certificate).ok()?;
                (!certificate.is_self_issued()).then_some(LiveIssuer {
                    record,
                    certificate,
                })
            })
            .next()
            .ok_or("the store has no issuer; start the server on it once")?;
        let name = San::parse_dns("host-0123456789.preload.example")?;
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256))?;
        let csr = Csr::parse(&csr::build(&key, std::slice::from_ref(&name))?)?;
        let gateway = Gateway {
            name: "server".to_owned(),
            challenges: Vec::new(),
            profiles: vec![Profile::server("server")],
            terms_of_service: None,
            names: NameRules::any(),
            pre_authorization: Offer::NotMade,
            binding_rule: BindingRule::Accepted,
            reuse: Offer::NotMade,
            caa: CaaRules::default(),
        };
        let highest = store.health().await?.highest_id;
        let ids = Mutex::new(IdSource::new(1, highest));
        Ok(Self {
            store,
            issuer,
            gateway,
            csr,
            names: BTreeSet::from([name]),
            ids,
        })
    }

    async fn one(&self) -> Result<(), Failure> {
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let millis = i64::try_from(millis)?;
        let now = UnixTime(millis / 1000);
        let profile = self.gateway.profile(None)?;
        let (change, order, authorizations) = {
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            let (names, name) = (self.names.clone(), profile.name.clone());
            Order::create_for_server(now, millis, &mut ids, &self.gateway, names, name)
        };
        self.apply(change).await?;
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        let authorizations: Vec<_> = authorizations.into_iter().map(Arc::new).collect();
        let (decision, claimed) = claim(&Finalize {
            now,
            order: &order,
            authorizations: &authorizations,
            owner: Owner::AUTHORITY,
            csr: &self.csr,
            key_use: KeyUse::NotOf(Vec::new()),
            gateway: &self.gateway,
            binding: None,
            issuer: &self.issuer,
            random,
        })?;
        self.apply(*decision.change.ok_or("a claim changes the order")?)
            .await?;
        let (change, ..) = record(now, &claimed, &self.issuer, &SIGNATURE, 0)?;
        self.apply(change).await
    }

    async fn apply(&self, change: Change) -> Result<(), Failure> {
        match self.store.apply(change).await? {
            Outcome::Applied => Ok(()),
            Outcome::Conflict => Err("another process writes to this store".into()),
        }
    }
}
