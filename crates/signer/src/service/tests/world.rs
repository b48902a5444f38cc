//! A signer in a thread of its own, on a folder, a clock and a disk of the test.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering::SeqCst};
use std::thread::JoinHandle;
use std::time::Duration;

use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_pki::crl::{CrlRequest, CrlWriter, RevokedEntry};
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::tbs::{self, LeafRequest};
use chancery_pki::{AskedValidity, ExtKeyUsage, Profile, San, Serial, Spki, UnixTime};

use crate::SignerError;
use crate::journal::{JournalOptions, Record, Report, Revocation, verify};
use crate::protocol::{
    Answer, CaSpec, FirstRun, Greeting, IssuerInfo, IssuerSpec, Refusal, Replay, Request, SignCrl,
    SignLeaf, Signed, read_frame,
};
use crate::secret::SecretSource;
use crate::service::{SignerConfig, run};
use crate::testing::{DiskWatch, TempDir, TestDisk};

pub(crate) const NOW: i64 = 1_790_000_000;
pub(crate) const CRL_URL: &str = "http://ca.test/crl/1/0.crl";
const YEAR: u64 = 365 * 86_400;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) watch: Arc<DiskWatch>,
    pub(crate) profile: Profile,
    pub(crate) segment_bytes_max: u64,
    pub(crate) signatures_per_second_max: u32,
    spki: Spki,
    serials: AtomicU8,
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new();
        std::fs::create_dir(dir.path().join("data")).expect("creates");
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        Self {
            dir,
            clock: Arc::new(AtomicI64::new(NOW)),
            watch: Arc::new(DiskWatch::default()),
            profile: Profile::server("server"),
            segment_bytes_max: 16 << 20,
            signatures_per_second_max: 1_000,
            spki: Spki::of(key.public()),
            serials: AtomicU8::new(0),
        }
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn now(&self) -> UnixTime {
        UnixTime(self.clock.load(SeqCst))
    }

    pub(crate) fn config(&self) -> SignerConfig {
        let clock = self.clock.clone();
        let data = self.data();
        SignerConfig {
            secret: SecretSource::choose(&data, None, None),
            data,
            profiles: vec![self.profile.clone()],
            signatures_per_second_max: self.signatures_per_second_max,
            disk_free_percent_min: 5,
            clock: Box::new(move || UnixTime(clock.load(SeqCst))),
            disk: Box::new(TestDisk(self.watch.clone())),
            journal: JournalOptions {
                segment_bytes_max: self.segment_bytes_max,
                lock_wait: Duration::from_secs(5),
            },
        }
    }

    pub(crate) fn start(&self) -> Running {
        let (socket, its) = UnixStream::pair().expect("a socket pair");
        let config = self.config();
        let thread = std::thread::spawn(move || run(its, config));
        Running {
            socket,
            thread,
            bytes: Vec::new(),
            next_id: 1,
        }
    }

    /// A running signer with a CA, and the issuing certificate.
    pub(crate) fn made(&self) -> (Running, IssuerCertificate) {
        let mut signer = self.start();
        let made = signer.first_run(&spec()).expect("makes");
        (signer, parse(&made[1]))
    }

    /// A leaf that the profile allows, with a serial number of its own.
    pub(crate) fn leaf(&self, issuer: &IssuerCertificate) -> Leaf {
        let chance = self.serials.fetch_add(1, SeqCst);
        self.leaf_with(issuer, Serial::new(self.now(), [chance; 16]), &self.profile)
    }

    pub(crate) fn leaf_with(
        &self,
        issuer: &IssuerCertificate,
        serial: Serial,
        profile: &Profile,
    ) -> Leaf {
        let names = BTreeSet::from([San::parse_dns("a.test").expect("a name")]);
        let tbs = tbs::leaf(&LeafRequest {
            issuer,
            profile,
            serial,
            now: self.now(),
            asked: AskedValidity::default(),
            spki: &self.spki,
            names: &names,
            crl_url: CRL_URL,
            ca_issuers_url: "http://ca.test/issuer/1.cer",
        });
        let tbs = tbs.expect("a leaf").into_der();
        Leaf {
            serial,
            profile_hash: profile.hash(),
            tbs_digest: chancery_crypto::sha256(&tbs),
            tbs,
        }
    }

    /// A CRL of shard 0.
    pub(crate) fn crl(&self, issuer: &IssuerCertificate, number: u64, revoked: &[Serial]) -> Crl {
        let at = self.now();
        let request = CrlRequest {
            issuer,
            number,
            this_update: at,
            next_update: at.plus(86_400),
            distribution_point: Some(CRL_URL),
        };
        let mut writer = CrlWriter::new(&request).expect("a CRL");
        for serial in revoked {
            writer
                .push(&RevokedEntry {
                    serial: *serial,
                    at,
                    reason: None,
                })
                .expect("an entry");
        }
        let issuer = issuer.key_identifier().try_into().expect("20 octets");
        Crl {
            issuer,
            number,
            tbs: writer.finish(),
            added: revoked
                .iter()
                .map(|serial| Revocation {
                    serial: *serial,
                    at,
                    reason: 0,
                })
                .collect(),
        }
    }

    pub(crate) fn verify(&self, issuers: &[IssuerInfo]) -> Report {
        let certificates: Vec<_> = issuers.iter().map(parse).collect();
        verify(&self.data().join("journal"), &certificates).expect("reads")
    }
}

pub(crate) fn parse(info: &IssuerInfo) -> IssuerCertificate {
    IssuerCertificate::parse(&info.certificate).expect("a CA certificate")
}

pub(crate) fn spec() -> FirstRun {
    let ca = |common_name: &str, years: u64| CaSpec {
        common_name: common_name.into(),
        organization: Some("Example".into()),
        key: KeyKind::Ec(Curve::P256),
        lifetime_secs: years * YEAR,
    };
    FirstRun {
        root: ca("Example Root", 20),
        issuers: vec![IssuerSpec {
            name: "issuer-1".into(),
            ca: ca("Example Issuing CA 1", 5),
            ext_key_usages: vec![ExtKeyUsage::ServerAuth],
            crl_url: "http://ca.test/crl/root/0.crl".into(),
            ca_issuers_url: "http://ca.test/issuer/root.cer".into(),
        }],
    }
}

pub(crate) struct Leaf {
    pub(crate) serial: Serial,
    pub(crate) profile_hash: [u8; 32],
    pub(crate) tbs_digest: [u8; 32],
    pub(crate) tbs: Vec<u8>,
}

impl Leaf {
    pub(crate) fn request(&self) -> SignLeaf<'_> {
        SignLeaf {
            serial: self.serial,
            order: 7,
            account: 9,
            profile: "server",
            profile_hash: self.profile_hash,
            tbs_digest: self.tbs_digest,
            tbs: &self.tbs,
        }
    }
}

pub(crate) struct Crl {
    pub(crate) issuer: [u8; 20],
    pub(crate) number: u64,
    pub(crate) tbs: Vec<u8>,
    pub(crate) added: Vec<Revocation>,
}

impl Crl {
    pub(crate) fn request(&self) -> SignCrl<'_> {
        SignCrl {
            issuer: self.issuer,
            shard: 0,
            number: self.number,
            tbs: &self.tbs,
            added: self.added.clone(),
        }
    }
}

/// The caller's end of a running signer.
pub(crate) struct Running {
    pub(crate) socket: UnixStream,
    thread: JoinHandle<Result<(), SignerError>>,
    bytes: Vec<u8>,
    next_id: u64,
}

impl Running {
    /// Sends all requests in one write and gives the answers in their order; `None` where the signer ended instead.
    pub(crate) fn calls(&mut self, requests: &[Request<'_>]) -> Vec<Option<Answer>> {
        let first = self.next_id;
        let mut bytes = Vec::new();
        for request in requests {
            request.write(&mut bytes, self.next_id);
            self.next_id += 1;
        }
        let mut answers: Vec<_> = requests.iter().map(|_| None).collect();
        if self.socket.write_all(&bytes).is_err() {
            return answers;
        }
        while answers.iter().any(Option::is_none) {
            let Some((id, answer)) = self.next() else {
                break;
            };
            answers[usize::try_from(id - first).expect("small")] = Some(answer);
        }
        answers
    }

    pub(crate) fn next(&mut self) -> Option<(u64, Answer)> {
        loop {
            if let Some((frame, rest)) = read_frame(&self.bytes).expect("framed") {
                let answer = (frame.id, Answer::decode(frame.body).expect("an answer"));
                self.bytes = rest.to_vec();
                return Some(answer);
            }
            let mut piece = [0; 65_536];
            let got = self.socket.read(&mut piece).ok().filter(|got| *got > 0)?;
            self.bytes.extend_from_slice(&piece[..got]);
        }
    }

    pub(crate) fn call(&mut self, request: Request<'_>) -> Answer {
        self.calls(&[request]).remove(0).expect("an answer")
    }

    pub(crate) fn hello(&mut self) -> Greeting {
        let Answer::Greeting(greeting) = self.call(Request::Hello) else {
            panic!("a greeting")
        };
        greeting
    }

    pub(crate) fn first_run(&mut self, spec: &FirstRun) -> Result<Vec<IssuerInfo>, Refusal> {
        match self.call(Request::FirstRun(spec.clone())) {
            Answer::Made(issuers) => Ok(issuers),
            answer => Err(refusal(answer)),
        }
    }

    pub(crate) fn sign(&mut self, leaf: &Leaf) -> Result<Signed, Refusal> {
        signed(self.call(Request::SignLeaf(leaf.request())))
    }

    pub(crate) fn sign_crl(&mut self, crl: &Crl) -> Result<Signed, Refusal> {
        signed(self.call(Request::SignCrl(crl.request())))
    }

    /// The journal from entry `from` on, `entries_max` at a time.
    pub(crate) fn replay(&mut self, mut from: u64, entries_max: u32) -> Vec<Record> {
        let mut records = Vec::new();
        loop {
            let Answer::Replayed(part) = self.call(Request::Replay(Replay { from, entries_max }))
            else {
                panic!("entries")
            };
            records.extend(part.records);
            if part.next > part.last {
                return records;
            }
            from = part.next;
        }
    }

    /// Closes the socket and waits for the signer's end.
    pub(crate) fn stop(self) -> Result<(), SignerError> {
        drop(self.socket);
        self.thread.join().expect("no panic")
    }
}

pub(crate) fn signed(answer: Answer) -> Result<Signed, Refusal> {
    match answer {
        Answer::Signed(signed) => Ok(signed),
        answer => Err(refusal(answer)),
    }
}

fn refusal(answer: Answer) -> Refusal {
    let Answer::Refused(refusal) = answer else {
        panic!("{answer:?}")
    };
    refusal
}
