//! CAA at finalize with the time in hand (failures A1): a whole engine with its signer, its store and a DNS server that a
//! test scripts.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use chancery_acme::{ChallengeKind, Token, dns01_value, key_authorization};
use chancery_authority::account::Account;
use chancery_authority::authorization::{Authorization, AuthorizationState};
use chancery_authority::caa::CaaRules;
use chancery_authority::gateway::{BindingRule, Gateway, NameRules, Offer};
use chancery_authority::limit::Rates;
use chancery_authority::order::{Order, OrderState};
use chancery_authority::urls::PublicNames;
use chancery_authority::{IdCipher, Refusal, Store};
use chancery_crypto::{Curve, KeyKind, PrivateKey, SystemEntropy};
use chancery_dial::{Policy, Resolver, Timing};
use chancery_engine::{
    AccountWish, Clock, Engine, EngineError, EngineParts, FirstRunPlan, OnMissing, OrderWish,
    Registered, first_run,
};
use chancery_jose::Jwk;
use chancery_pki::{AskedValidity, Profile, San, UnixTime, csr};
use chancery_prover::{Prover, ProverConfig};
use chancery_signer::{SecretSource, SignerClient, SignerConfig};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use chancery_testkit::hostile_dns::{Behaviour, HostileDns, RecordType};
use chancery_testkit::{FakeClock, TempDir};

const NAMES: [&str; 5] = ["a.test", "b.test", "c.test", "d.test", "e.test"];
const NINE_HOURS_SECS: i64 = 9 * 3600;
const OURS: (u8, &str, &str) = (0, "issue", "ca.test");
const OTHERS: (u8, &str, &str) = (0, "issue", "other-ca.test");

/// One time for the engine and for the signer.
#[derive(Clone)]
struct Time(FakeClock);

impl Clock for Time {
    fn now_millis(&self) -> i64 {
        self.0.now().0 * 1000
    }
}

impl chancery_signer::Clock for Time {
    fn now(&self) -> UnixTime {
        self.0.now()
    }
}

/// Everything that one authority is made of.
struct World {
    engine: Arc<Engine>,
    dns: HostileDns,
    clock: FakeClock,
    account: Account,
    key: Jwk,
    _folder: TempDir,
}

fn p256() -> PrivateKey {
    PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("a key")
}

fn signer(folder: &TempDir, clock: &Time) -> SignerClient {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let data = folder.path().to_owned();
    let secret = SecretSource::choose(&data, None, None);
    let config = SignerConfig {
        clock: Box::new(clock.clone()),
        ..SignerConfig::new(data, secret, vec![Profile::server("server")])
    };
    // It ends when the client's end of the socket is dropped.
    std::thread::spawn(move || chancery_signer::run(theirs, config));
    let (client, connection) = chancery_signer::connect(ours).expect("a client");
    tokio::spawn(connection);
    client
}

fn gateway(caa: CaaRules) -> Gateway {
    Gateway {
        name: "server".to_owned(),
        challenges: vec![ChallengeKind::Dns01],
        profiles: vec![Profile::server("server")],
        terms_of_service: None,
        names: NameRules::any(),
        caa,
        pre_authorization: Offer::NotMade,
        binding_rule: BindingRule::Accepted,
        reuse: Offer::NotMade,
    }
}

impl World {
    async fn new() -> Self {
        let folder = TempDir::new("engine").expect("a folder");
        let clock = FakeClock::new(UnixTime(1_800_000_000));
        let time = Time(clock.clone());
        let signer = signer(&folder, &time);
        let options = SqliteOptions::new(folder.join("chancery.db"));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(options).expect("a store"));
        let plan = FirstRunPlan {
            organization: "Test".to_owned(),
            status_url: "http://status.test".to_owned(),
        };
        let made = first_run(&*store, &signer, clock.now(), &SystemEntropy, &plan).await;
        made.expect("a new authority");
        let dns = HostileDns::start().await.expect("a DNS server");
        let resolver = Resolver::new(&[dns.addr().to_string()], Timing::default());
        let prover = ProverConfig::new(resolver.expect("an address"), Policy::default());
        let caa = CaaRules {
            identities: vec!["ca.test".to_owned()],
            private_suffixes: Vec::new(),
        };
        let engine = Engine::start(EngineParts {
            store,
            signer,
            prover: Prover::new(prover),
            clock: Arc::new(time),
            entropy: Arc::new(SystemEntropy),
            gateways: [("server".to_owned(), gateway(caa))].into(),
            default_gateway: "server".to_owned(),
            rates: Rates::NONE,
            public_names: PublicNames::new("https://ca.test", IdCipher::new(&[7; 16])),
            node: 1,
        })
        .await
        .expect("starts");
        let key = Jwk::from_key(p256().public());
        let missing = OnMissing::Create(AccountWish::default());
        let registered = engine.register("server", &key, missing).await;
        let Ok(Registered::Created(live)) = registered else {
            panic!("a new account")
        };
        let account = live.account.clone();
        Self {
            engine,
            dns,
            clock,
            account,
            key,
            _folder: folder,
        }
    }

    fn says(&self, name: &str, record: (u8, &str, &str)) {
        self.dns
            .on(name, RecordType::CAA, [Behaviour::caa(&[record])]);
    }

    /// An order of these names, ready to be finalized.
    async fn ready_order(&self, names: &[&str]) -> Order {
        let wanted = OrderWish {
            names: set(names),
            profile: None,
            validity: AskedValidity::default(),
            replaces: None,
        };
        let placed = self.engine.new_order(&self.account, wanted).await;
        let (order, authorizations) = placed.expect("an order");
        for authorization in &authorizations {
            self.prove(authorization).await;
        }
        let order = self.engine.order(&self.account, order.id).await;
        let order = order.expect("the order");
        assert_eq!(order.state, OrderState::Ready);
        order.as_ref().clone()
    }

    async fn prove(&self, authorization: &Authorization) {
        let challenge = authorization.challenges.first().expect("dns-01");
        let proof = key_authorization(&Token::new(challenge.token), &self.key.thumbprint());
        let owner = format!("_acme-challenge.{}", authorization.identifier);
        let text = Behaviour::texts(&[&dns01_value(&proof)]);
        self.dns.on(&owner, RecordType::TXT, [text]);
        let (account, id) = (&self.account, authorization.id);
        let taken = self.engine.respond(account, id, 0).await;
        taken.expect("taken up");
        // Each look waits a little for news.
        for _ in 0..20 {
            let found = self.engine.authorization(account, id).await;
            match &found.expect("the authorization").state {
                AuthorizationState::Pending => {}
                AuthorizationState::Valid { evidence } => {
                    assert!(evidence.caa.is_some(), "CAA was asked about with the proof");
                    return;
                }
                other => panic!("{}: {other:?}", authorization.identifier),
            }
        }
        panic!("{} is not decided", authorization.identifier);
    }

    async fn finalize(&self, order: &Order) -> Result<Arc<Order>, EngineError> {
        let names: Vec<San> = order.names.iter().cloned().collect();
        let csr = csr::build(&p256(), &names).expect("a request");
        self.engine.finalize(&self.account, order.id, &csr).await
    }

    /// How often each name was asked for its CAA records.
    fn asked(&self) -> [usize; 5] {
        NAMES.map(|name| self.dns.asked(name, RecordType::CAA))
    }
}

fn set(names: &[&str]) -> BTreeSet<San> {
    let parse = |name: &&str| San::parse(name).expect("a name");
    names.iter().map(parse).collect()
}

fn refused_names(outcome: Result<Arc<Order>, EngineError>) -> Vec<String> {
    match outcome {
        Err(EngineError::Refused(Refusal::Caa(names))) => {
            names.iter().map(|(name, _)| name.to_string()).collect()
        }
        Err(other) => panic!("{other}"),
        Ok(order) => panic!("{:?}", order.state),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_after_eight_hours_every_name_is_asked_about_and_the_refusal_names_exactly_those_that_fail()
 {
    let world = World::new().await;
    for name in NAMES {
        world.says(name, OURS);
    }
    let order = world.ready_order(&NAMES).await;
    assert_eq!(world.asked(), [1; 5]);
    for (k, name) in NAMES.into_iter().enumerate() {
        world.clock.advance(NINE_HOURS_SECS);
        world.says(name, OTHERS);
        assert_eq!(refused_names(world.finalize(&order).await), [name]);
        assert_eq!(world.asked(), [k + 2; 5], "all five were asked about");
        world.says(name, OURS);
    }
    let issued = world.finalize(&order).await.expect("all permit");
    assert!(matches!(issued.state, OrderState::Valid { .. }));
    // The four that had an answer that counts were not asked about once more.
    assert_eq!(world.asked(), [6, 6, 6, 6, 7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a1_several_names_that_fail_are_all_named_and_silence_is_a_failure() {
    let world = World::new().await;
    for name in NAMES {
        world.says(name, OURS);
    }
    let order = world.ready_order(&NAMES).await;
    world.clock.advance(NINE_HOURS_SECS);
    world.says("b.test", OTHERS);
    let broken = Behaviour::Code(chancery_testkit::hostile_dns::ResponseCode::ServFail);
    world.dns.on("d.test", RecordType::CAA, [broken]);
    let outcome = world.finalize(&order).await;
    assert_eq!(refused_names(outcome), ["b.test", "d.test"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn within_eight_hours_nothing_is_asked_again() {
    let world = World::new().await;
    for name in NAMES {
        world.says(name, OURS);
    }
    let order = world.ready_order(&NAMES).await;
    world.clock.advance(NINE_HOURS_SECS - 3600);
    for name in NAMES {
        world.says(name, OTHERS);
    }
    let issued = world.finalize(&order).await.expect("the answers count");
    assert!(matches!(issued.state, OrderState::Valid { .. }));
    assert_eq!(world.asked(), [1; 5]);
}
