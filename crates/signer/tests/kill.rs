//! The signer as a process of its own, killed: at random moments, and at each named place (with the feature `failpoints`).
//!
//! After every kill: the journal opens and verifies, every signature that was handed out is in it behind its intent, and no serial
//! number is in it twice (invariants 1 and 3 of the design).

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use chancery_crypto::{Curve, Entropy, KeyKind, PrivateKey, SystemEntropy, sha256};
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::tbs::{self, LeafRequest};
use chancery_pki::{AskedValidity, ExtKeyUsage, Profile, San, Serial, Spki, UnixTime};
use chancery_signer::journal::{Entry, verify};
use chancery_signer::{
    CaSpec, CallError, FirstRun, IssuerInfo, IssuerSpec, Replay, SecretSource, SignLeaf,
    SignerClient, SignerConfig, connect, run,
};

const DATA: &str = "CHANCERY_SIGNER_TEST_DATA";

/// Not a test of its own: the other tests start this binary again with a data folder, and a socket as its standard input.
#[test]
fn the_process_that_the_other_tests_kill() {
    let Some(data) = std::env::var_os(DATA).map(PathBuf::from) else {
        return;
    };
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .expect("a socket");
    let secret = SecretSource::choose(&data, None, None);
    let config = SignerConfig::new(data, secret, vec![Profile::server("server")]);
    run(UnixStream::from(socket), config).expect("ends without error");
}

struct World {
    dir: PathBuf,
    spki: Spki,
    profile: Profile,
}

impl World {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("chancery-signer-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("data")).expect("creates");
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        Self {
            dir,
            spki: Spki::of(key.public()),
            profile: Profile::server("server"),
        }
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn start(&self, failpoint: Option<&str>) -> (Child, UnixStream) {
        let (ours, its) = UnixStream::pair().expect("a socket pair");
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["--exact", "the_process_that_the_other_tests_kill"])
            .env(DATA, self.data())
            .stdin(Stdio::from(OwnedFd::from(its)))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if let Some(failpoint) = failpoint {
            command.env("CHANCERY_FAILPOINT", failpoint);
        }
        (command.spawn().expect("starts"), ours)
    }

    fn leaf(&self, issuer: &IssuerCertificate) -> (Serial, Vec<u8>) {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        let now = UnixTime(i64::try_from(since.as_secs()).expect("before the end of time"));
        let mut random = [0; 16];
        SystemEntropy.fill(&mut random);
        let serial = Serial::new(now, random);
        let tbs = tbs::leaf(&LeafRequest {
            issuer,
            profile: &self.profile,
            serial,
            now,
            asked: AskedValidity::default(),
            spki: &self.spki,
            names: &BTreeSet::from([San::parse_dns("a.test").expect("a name")]),
            crl_url: "http://ca.test/crl/1/0.crl",
            ca_issuers_url: "http://ca.test/issuer/1.cer",
        });
        (serial, tbs.expect("a leaf").into_der())
    }

    /// Opens the journal in a fresh signer and checks it against what the callers got.
    fn check(&self, issuers: &[IssuerInfo], got: &BTreeMap<Serial, u64>) {
        let (mut child, socket) = self.start(None);
        let records = block_on(async {
            let (client, connection) = connect(socket).expect("connects");
            let replay = async move {
                let (mut from, mut records) = (1, Vec::new());
                loop {
                    let part = client
                        .replay(Replay {
                            from,
                            entries_max: 500,
                        })
                        .await
                        .expect("replays");
                    records.extend(part.records);
                    from = part.next;
                    if part.next > part.last {
                        return records;
                    }
                }
            };
            tokio::join!(replay, connection).0
        });
        assert!(child.wait().expect("ends").success());
        let mut serials = BTreeMap::new();
        let mut signed = BTreeSet::new();
        for record in records {
            match record.entry {
                Entry::Intent(intent) => {
                    let earlier = serials.insert(intent.serial, record.sequence);
                    assert_eq!(earlier, None, "serial twice");
                }
                Entry::Signature(signature) => {
                    assert!(signed.insert(signature.intent), "signed twice");
                }
                _ => {}
            }
        }
        for (serial, sequence) in got {
            assert_eq!(serials.get(serial), Some(sequence), "the intent is there");
            assert!(signed.contains(sequence), "the signature is there");
        }
        let certificates: Vec<_> = issuers.iter().map(parse).collect();
        let report = verify(&self.data().join("journal"), &certificates).expect("reads");
        assert!(report.is_sound(), "{:?}", report.problems);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

fn parse(info: &IssuerInfo) -> IssuerCertificate {
    IssuerCertificate::parse(&info.certificate).expect("a CA certificate")
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_io()
        .build()
        .expect("a runtime")
        .block_on(future)
}

fn spec() -> FirstRun {
    let ca = |name: &str, lifetime_secs| CaSpec {
        common_name: name.into(),
        organization: None,
        key: KeyKind::Ec(Curve::P256),
        lifetime_secs,
    };
    FirstRun {
        root: ca("Test Root", 400_000_000),
        issuers: vec![IssuerSpec {
            name: "issuer-1".into(),
            ca: ca("Test Issuer", 200_000_000),
            ext_key_usages: vec![ExtKeyUsage::ServerAuth],
            crl_url: "http://ca.test/crl/root/0.crl".into(),
            ca_issuers_url: "http://ca.test/issuer/root.cer".into(),
        }],
    }
}

/// A CA in `world`, made by a process of its own.
fn made(world: &World) -> Vec<IssuerInfo> {
    let (mut child, socket) = world.start(None);
    let issuers = block_on(async {
        let (client, connection) = connect(socket).expect("connects");
        let make = async move { client.first_run(spec()).await.expect("makes") };
        tokio::join!(make, connection).0
    });
    assert!(child.wait().expect("ends").success());
    issuers
}

/// Asks for leaves with 16 callers at once until the signer is gone; `kill_after` answers it is killed. Gives what was answered.
async fn load(
    world: &Arc<World>,
    client: SignerClient,
    issuer: &IssuerCertificate,
    child: &mut Child,
    kill_after: Option<usize>,
) -> Vec<(Serial, u64)> {
    let (answered, mut answers) = tokio::sync::mpsc::unbounded_channel();
    let callers = tokio::task::LocalSet::new();
    for _ in 0..16 {
        let (client, answered) = (client.clone(), answered.clone());
        let (world, issuer) = (world.clone(), issuer.clone());
        callers.spawn_local(async move {
            loop {
                let (serial, tbs) = world.leaf(&issuer);
                let request = SignLeaf {
                    serial,
                    order: 1,
                    account: 1,
                    profile: "server",
                    profile_hash: world.profile.hash(),
                    tbs_digest: sha256(&tbs),
                    tbs: &tbs,
                };
                match client.sign_leaf(request).await {
                    Ok(signed) => answered
                        .send((serial, signed.sequence))
                        .expect("is counted"),
                    Err(CallError::SignerGone) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    drop((client, answered));
    let counting = async {
        let mut got = Vec::new();
        while let Some(answer) = answers.recv().await {
            got.push(answer);
            if Some(got.len()) == kill_after {
                child.kill().expect("kills");
            }
        }
        got
    };
    tokio::join!(counting, callers).0
}

fn round(
    world: &Arc<World>,
    issuers: &[IssuerInfo],
    failpoint: Option<&str>,
    kill_after: Option<usize>,
) -> Vec<(Serial, u64)> {
    let issuer = parse(&issuers[1]);
    let (mut child, socket) = world.start(failpoint);
    let got = block_on(async {
        let (client, connection) = connect(socket).expect("connects");
        let load = load(world, client, &issuer, &mut child, kill_after);
        tokio::join!(load, connection).0
    });
    assert!(!child.wait().expect("ends").success(), "it was killed");
    got
}

#[test]
fn a7_killed_at_random_moments_under_load_it_loses_nothing_and_signs_nothing_twice() {
    let world = Arc::new(World::new("random"));
    let issuers = made(&world);
    let mut got = BTreeMap::new();
    for kill_after in [1, 2, 3, 17, 40, 100, 101, 250] {
        got.extend(round(&world, &issuers, None, Some(kill_after)));
        world.check(&issuers, &got);
    }
    assert!(got.len() >= 514);
    let journal: &Path = &world.data().join("journal");
    assert!(journal.exists());
}

#[cfg(feature = "failpoints")]
#[test]
fn a9_killed_at_each_named_place_it_loses_nothing_and_signs_nothing_twice() {
    let world = Arc::new(World::new("named"));
    let issuers = made(&world);
    let mut got = BTreeMap::new();
    for place in chancery_signer::FAILPOINTS {
        for times in [1, 20] {
            let failpoint = format!("{place}@{times}");
            let answered = round(&world, &issuers, Some(&failpoint), None);
            got.extend(answered);
            world.check(&issuers, &got);
        }
    }
}
