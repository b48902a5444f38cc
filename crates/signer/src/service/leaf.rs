use chancery_crypto::sha256;
use chancery_pki::certificate::Certificate;
use chancery_pki::tbs::{Tbs, assemble};
use chancery_pki::{Serial, UnixTime, lint};

use super::batch::Permitted;
use super::{Known, Service};
use crate::journal::{Entry, Intent, SerialUse};
use crate::keys::{Issuer, Keyring};
use crate::protocol::{Refusal, SignLeaf};

/// How far the clock may have gone back, or a serial number or a notBefore may lie ahead.
const CLOCK_SLACK_SECS: u64 = 60;
/// A claim older than this was made before an outage; its order claims anew.
const CLAIM_AGE_SECS_MAX: u64 = 3_600;

impl Service {
    /// Judges a leaf by itself: clock, claim, own copy of the profile, own lint, serial, disk, rate.
    pub(crate) fn check_leaf<'a>(
        &mut self,
        now: UnixTime,
        request: &SignLeaf<'a>,
    ) -> Result<Permitted<'a>, Refusal> {
        self.check_clock(now)?;
        if sha256(request.tbs) != request.tbs_digest {
            return Err(Refusal::DigestMismatch);
        }
        let known = self.profile(request)?;
        let keys = self.keys.as_ref().ok_or(Refusal::NotMade)?;
        let view = read(keys, request.tbs);
        let issuer = pick(keys, view.as_ref())?;
        let linted = lint::lint_leaf(
            Tbs::from_der(request.tbs.to_vec()),
            &known.profile,
            &issuer.certificate,
        )
        .map_err(|error| Refusal::lint(&error))?;
        let begins = view.ok_or(Refusal::Malformed)?.not_before();
        check_begin(begins, known.profile.backdate_secs, now)?;
        if linted.serial() != request.serial {
            return Err(Refusal::NumberMismatch);
        }
        self.check_serial(&request.serial, now)?;
        let intent = Intent {
            serial: request.serial,
            issuer: issuer.key_id,
            order: request.order,
            account: request.account,
            profile_hash: known.hash,
            tbs: linted.into_tbs().into_der(),
        };
        self.check_room()?;
        if !self.rate.take(now) {
            return Err(Refusal::RateLimited {
                per_second_max: self.rate.per_second_max(),
            });
        }
        Ok(Permitted {
            issuer: intent.issuer,
            intent: Entry::Intent(intent),
            crl_tbs: None,
        })
    }

    /// Refuses while the clock is behind the journal (failures G10); goes on by itself once it is right again.
    pub(crate) fn check_clock(&self, now: UnixTime) -> Result<(), Refusal> {
        let behind = u64::try_from(now.seconds_until(self.journal.head().time)).unwrap_or(0);
        if behind > CLOCK_SLACK_SECS {
            return Err(Refusal::ClockBehind { by_secs: behind });
        }
        Ok(())
    }

    /// The signer's own copy of the profile, which must be the one that the claim pinned.
    fn profile(&self, request: &SignLeaf<'_>) -> Result<&Known, Refusal> {
        let known = self
            .profiles
            .iter()
            .find(|known| known.profile.name == request.profile)
            .ok_or(Refusal::UnknownProfile)?;
        if known.hash != request.profile_hash {
            return Err(Refusal::ProfileMismatch {
                profile: known.profile.name.clone(),
            });
        }
        Ok(known)
    }

    /// A serial number is used once, for ever (failures A7).
    fn check_serial(&self, serial: &Serial, now: UnixTime) -> Result<(), Refusal> {
        // One far ahead would make all others look old one day.
        if *serial > Serial::new(now.plus(CLOCK_SLACK_SECS), [0xff; 16]) {
            return Err(Refusal::SerialAhead);
        }
        match self.journal.serial_use(serial) {
            SerialUse::New => Ok(()),
            SerialUse::Used => Err(Refusal::SerialUsed),
            SerialUse::Unknown => Err(Refusal::SerialTooOld),
        }
    }

    /// Certificates stop while the disk still has room for revocations.
    fn check_room(&self) -> Result<(), Refusal> {
        let available_percent = self.space.available_percent();
        if available_percent < self.config.disk_free_percent_min {
            return Err(Refusal::JournalDiskLow { available_percent });
        }
        Ok(())
    }
}

/// A certificate begins when it is made: the claim is of about now (failures G10).
fn check_begin(begins: UnixTime, backdate_secs: u64, now: UnixTime) -> Result<(), Refusal> {
    let claimed = begins.plus(backdate_secs);
    if claimed > now.plus(CLOCK_SLACK_SECS) || claimed < now.minus(CLAIM_AGE_SECS_MAX) {
        return Err(Refusal::NotNow { begins, now });
    }
    Ok(())
}

/// The TBS as a certificate, with a signature that is none; nothing but its fields is looked at.
fn read(keys: &Keyring, tbs: &[u8]) -> Option<Certificate> {
    keys.issuing().find_map(|issuer| {
        let algorithm = issuer.certificate.signature_algorithm();
        Certificate::parse(&assemble(tbs, algorithm, &[0])).ok()
    })
}

/// The issuing key that the TBS names. Bytes that cannot be read go to any one: its lint says what is wrong with them.
fn pick<'a>(keys: &'a Keyring, view: Option<&Certificate>) -> Result<&'a Issuer, Refusal> {
    let named = |issuer: &&Issuer| {
        view.is_none_or(|view| {
            view.authority_key_id() == Some(&issuer.key_id[..])
                && view.issuer_der() == issuer.certificate.subject_der()
        })
    };
    keys.issuing().find(named).ok_or(Refusal::UnknownIssuer)
}
