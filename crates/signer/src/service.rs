//! The signer's loop: one thread, one socket, one journal.
//!
//! It waits for a frame, takes what else has arrived, checks each request on its own, appends the intents of all that passed,
//! makes them durable with one sync, signs, appends the signatures, and answers. So the cost of a sync is shared by
//! whatever waits, and while one batch is being synced the next one fills itself.

mod batch;
mod crl;
mod first_run;
mod inbox;
mod leaf;
mod rate;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use chancery_crypto::Digest32;
use chancery_pki::{Profile, UnixTime};

use crate::clock::{Clock, SystemClock};
use crate::failpoint::failpoint;
use crate::journal::{Disk, Entry, Journal, JournalOptions, Records, Space, Start, SystemDisk};
use crate::keys::Keyring;
use crate::protocol::{
    Answer, FrameKind, Greeting, Refusal, Replay, Replayed, Request, short, write_frame,
};
use crate::secret::SecretSource;
use crate::{SignerError, sandbox};
use inbox::{Inbox, Woken};
use rate::Rate;

/// What a signer is started with.
pub struct SignerConfig {
    /// The data folder; `keys` and `journal` lie in it.
    pub data: PathBuf,
    /// What opens the key files.
    pub secret: SecretSource,
    /// The signer's own copy of the profiles.
    pub profiles: Vec<Profile>,
    /// Leaf signatures in one second at most. CRLs do not count: revocation has a lane of its own.
    pub signatures_per_second_max: u32,
    /// With less of the journal's disk free, in per cent, no leaf is signed. CRLs are, to the last byte.
    pub disk_free_percent_min: u8,
    /// Where the time comes from.
    pub clock: Box<dyn Clock>,
    /// Where the journal writes.
    pub disk: Box<dyn Disk>,
    /// How the journal is kept.
    pub journal: JournalOptions,
}

impl SignerConfig {
    /// The defaults: 5,000 signatures a second, 5 % free, the system's clock and disk.
    #[must_use]
    pub fn new(data: PathBuf, secret: SecretSource, profiles: Vec<Profile>) -> Self {
        Self {
            data,
            secret,
            profiles,
            signatures_per_second_max: 5_000,
            disk_free_percent_min: 5,
            clock: Box::new(SystemClock),
            disk: Box::new(SystemDisk),
            journal: JournalOptions::default(),
        }
    }
}

impl std::fmt::Debug for SignerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignerConfig({})", self.data.display())
    }
}

/// Serves one caller until it closes the socket.
///
/// # Errors
/// [`SignerError`]: what kept it from starting, or what it could not survive. The process ends with its sentence, and a
/// restart recovers; nothing that was answered is lost.
pub fn run(socket: UnixStream, config: SignerConfig) -> Result<(), SignerError> {
    sandbox::confine()?;
    let mut service = Service::start(config)?;
    let mut inbox = Inbox::new(socket);
    loop {
        match inbox.wait(service.journal.is_durable())? {
            Woken::Frames => service.serve(&mut inbox)?,
            Woken::Idle => service.journal.sync()?,
            Woken::Closed => return service.journal.sync(),
        }
    }
}

/// A profile and its hash.
pub(crate) struct Known {
    profile: Profile,
    hash: Digest32,
}

impl From<Profile> for Known {
    fn from(profile: Profile) -> Self {
        Self {
            hash: profile.hash(),
            profile,
        }
    }
}

/// Everything that the loop owns.
pub(crate) struct Service {
    config: SignerConfig,
    journal: Journal,
    keys: Option<Keyring>,
    profiles: Vec<Known>,
    rate: Rate,
    /// What the journal's disk had free when the present batch came.
    space: Space,
    /// Where the last replay stopped, so that the next one need not search.
    replay: Option<Records>,
}

impl Service {
    /// Opens journal and keys, and checks that they belong together.
    pub(crate) fn start(mut config: SignerConfig) -> Result<Self, SignerError> {
        let disk = std::mem::replace(&mut config.disk, Box::new(SystemDisk));
        let mut journal = Journal::open(&config.data.join("journal"), config.journal, disk)?;
        if let Some(torn) = journal.torn() {
            tracing::warn!(
                segment = %torn.path.display(), offset = torn.offset, bytes = torn.bytes,
                "cut off what a crash left at the end of the journal; nothing in it had been promised"
            );
        }
        let keys = Keyring::open(&config.data, &config.secret)?;
        if keys.is_none() && journal.has_issued() {
            return Err(SignerError::KeysMissing { data: config.data });
        }
        if keys.is_some() && !journal.has_ca() {
            return Err(SignerError::JournalMissing { data: config.data });
        }
        let version = env!("CARGO_PKG_VERSION").to_owned();
        journal.append(config.clock.now(), &Entry::Start(Start { version }))?;
        journal.flush()?;
        let space = journal.space()?;
        let rate = Rate::new(config.signatures_per_second_max);
        let profiles = config.profiles.iter().cloned().map(Known::from).collect();
        Ok(Self {
            config,
            journal,
            keys,
            profiles,
            rate,
            space,
            replay: None,
        })
    }

    /// Takes in and answers one batch.
    fn serve(&mut self, inbox: &mut Inbox) -> Result<(), SignerError> {
        let frames = inbox.frames()?;
        let now = self.config.clock.now();
        self.space = self.journal.space()?;
        let mut answers = Vec::new();
        let mut later = Vec::new();
        let mut batch = batch::Batch::default();
        for frame in &frames {
            match Request::decode(frame) {
                None => answer(&mut answers, frame.id, &Answer::Refused(Refusal::Malformed)),
                Some(Request::SignLeaf(request)) => {
                    let checked = self.check_leaf(now, &request);
                    self.admit(now, frame.id, checked, &mut batch, &mut answers)?;
                }
                Some(Request::SignCrl(request)) => {
                    let checked = self.check_crl(now, request);
                    self.admit(now, frame.id, checked, &mut batch, &mut answers)?;
                }
                Some(request) => later.push((frame.id, request)),
            }
        }
        self.sign(now, batch, &mut answers)?;
        for (id, request) in later {
            let reply = self.other(now, request)?;
            answer(&mut answers, id, &reply);
        }
        inbox.done();
        inbox.answer(&answers)?;
        failpoint("after-answer");
        Ok(())
    }

    /// What is not signed in batches.
    fn other(&mut self, now: UnixTime, request: Request<'_>) -> Result<Answer, SignerError> {
        Ok(match request {
            Request::Hello => Answer::Greeting(self.greeting()),
            Request::FirstRun(spec) => match self.first_run(now, &spec)? {
                Ok(issuers) => Answer::Made(issuers),
                Err(refusal) => Answer::Refused(refusal),
            },
            Request::Replay(request) => match self.replay(request) {
                Ok(replayed) => Answer::Replayed(replayed),
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be replayed");
                    let detail = short(error);
                    Answer::Refused(Refusal::JournalUnreadable { detail })
                }
            },
            Request::SignLeaf(_) | Request::SignCrl(_) => Answer::Refused(Refusal::Malformed),
        })
    }

    fn greeting(&self) -> Greeting {
        let head = self.journal.head();
        Greeting {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sequence: head.sequence,
            chain: head.chain,
            last_time: head.time,
            issuers: self.keys.as_ref().map(Keyring::infos).unwrap_or_default(),
            crls: self.journal.crls(),
            torn_bytes: self.journal.torn().map_or(0, |torn| torn.bytes),
        }
    }

    fn replay(&mut self, request: Replay) -> Result<Replayed, SignerError> {
        let kept = self
            .replay
            .take()
            .filter(|records| records.next_sequence() == request.from);
        let mut records = match kept {
            Some(records) => records,
            None => self.journal.read_from(request.from)?,
        };
        let mut replayed = Replayed {
            records: Vec::new(),
            next: request.from,
            last: self.journal.head().sequence,
        };
        let entries_max = usize::try_from(request.entries_max.min(REPLAY_ENTRIES_MAX)).unwrap_or(1);
        let mut bytes = 0_usize;
        while replayed.records.len() < entries_max && bytes < REPLAY_BYTES_MAX {
            let Some(record) = records.next() else { break };
            let record = record?;
            bytes = bytes.saturating_add(record.entry.bytes_hint());
            replayed.next = record.sequence.saturating_add(1);
            replayed.records.push(record);
        }
        self.replay = Some(records);
        Ok(replayed)
    }
}

/// Bounds what one answer to a replay holds: memory on both sides, and how long signing waits for it.
const REPLAY_ENTRIES_MAX: u32 = 2_000;
const REPLAY_BYTES_MAX: usize = 2 << 20;

fn answer(out: &mut Vec<u8>, id: u64, answer: &Answer) {
    write_frame(out, FrameKind::Answer, id, answer);
}

#[cfg(test)]
pub(crate) mod tests;
