//! External account binding (RFC 8555 §7.3.4): who may have an account, and what that account may ask for.
//!
//! An operator makes a [`Binding`] for a gateway and hands its key identifier and secret to somebody. Whoever shows the
//! secret gets an account, which stays within the binding's [`Scope`] for good: it sees the gateway as
//! [`Gateway::within`] narrows it. A binding that is withdrawn lets its accounts order nothing more.

use chancery_acme::{CertId, ChallengeKind};
use chancery_crypto::{Entropy, MacKey};
use chancery_jose::VerifiedBinding;
use chancery_pki::UnixTime;
use minicbor::{Decode, Encode};

use crate::change::{Change, Record};
use crate::gateway::{Gateway, NamePattern};
use crate::id::{BindingId, IdSource};
use crate::refusal::{BindingRefusal, Refusal, ScopeFault};

/// Octets of a secret.
const SECRET_LEN: usize = 32;

/// Entries in one list of a scope.
pub const SCOPE_LIST_MAX: usize = 100;

/// Characters of a note.
pub const NOTE_CHARS_MAX: usize = 200;

/// A stored binding.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Binding {
    /// Its number. Outside, its key identifier stands for it.
    #[n(0)]
    pub id: BindingId,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// The gateway it is for.
    #[n(2)]
    pub gateway: String,
    /// What proves that somebody has it.
    #[cbor(n(3), with = "secret")]
    pub secret: MacKey,
    /// For whom it was made, in the operator's words.
    #[n(4)]
    pub note: Option<String>,
    /// When it was made.
    #[n(5)]
    pub created: UnixTime,
    /// When it stops making accounts; those that it made go on.
    #[n(6)]
    pub usable_until: Option<UnixTime>,
    /// What its accounts may ask for.
    #[n(7)]
    pub scope: Scope,
    /// Accounts it may make, and those it has made.
    #[n(8)]
    pub accounts: Quota,
    /// Certificates that its accounts may get, beside renewals, and those they have got.
    #[n(9)]
    pub certificates: Quota,
    /// When it was withdrawn.
    #[n(10)]
    pub withdrawn: Option<UnixTime>,
}

/// What the accounts of a binding may ask for, within what their gateway offers. An empty list allows nothing.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Scope {
    /// Patterns of names and ranges of addresses, as [`NamePattern`] reads them.
    #[n(0)]
    pub names: Vec<String>,
    /// Profiles by name; none named means those of the gateway.
    #[n(1)]
    pub profiles: Option<Vec<String>>,
    /// Challenges; none named means those of the gateway.
    #[n(2)]
    pub challenges: Option<Vec<ChallengeKind>>,
}

/// Something that is counted, and how often it may happen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Quota {
    /// How often it may happen; without one, as often as anybody likes.
    #[n(0)]
    pub max: Option<u32>,
    /// How often it has happened.
    #[n(1)]
    pub used: u32,
}

impl Quota {
    /// Nothing used of `max`.
    #[must_use]
    pub fn of(max: Option<u32>) -> Self {
        Self { max, used: 0 }
    }

    /// Whether it may not happen again.
    #[must_use]
    pub fn is_used_up(self) -> bool {
        self.max.is_some_and(|max| self.used >= max)
    }

    fn with_one_more(self) -> Self {
        Self {
            used: self.used.saturating_add(1),
            ..self
        }
    }
}

/// What an operator wants of a new binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingWish {
    /// For whom it is.
    pub note: Option<String>,
    /// When it stops making accounts.
    pub usable_until: Option<UnixTime>,
    /// What its accounts may ask for.
    pub scope: Scope,
    /// Accounts it may make.
    pub accounts_max: Option<u32>,
    /// Certificates that its accounts may get.
    pub certificates_max: Option<u32>,
}

/// A binding that a client showed, whose MAC was checked for the client's account key.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The binding, as stored.
    pub binding: Binding,
    /// The proof.
    pub verified: VerifiedBinding,
    /// The client's message as it came, which the account object repeats.
    pub jws: String,
}

/// How a binding stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindingStatus {
    /// It makes accounts.
    Usable,
    /// It has made all the accounts it may make.
    Spent,
    /// Its time is over.
    Expired,
    /// An operator took it back.
    Withdrawn,
}

impl BindingStatus {
    /// The word that operators see.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Usable => "usable",
            Self::Spent => "spent",
            Self::Expired => "expired",
            Self::Withdrawn => "revoked",
        }
    }
}

impl Scope {
    /// Everything that a gateway offers.
    #[must_use]
    pub fn whole_gateway() -> Self {
        Self {
            names: vec!["*".to_owned()],
            profiles: None,
            challenges: None,
        }
    }

    fn check(&self, gateway: &Gateway) -> Result<(), ScopeFault> {
        let profiles = self.profiles.as_deref().unwrap_or_default();
        let challenges = self.challenges.as_deref().unwrap_or_default();
        let longest = self.names.len().max(profiles.len()).max(challenges.len());
        if longest > SCOPE_LIST_MAX {
            return Err(ScopeFault::TooLong {
                max: SCOPE_LIST_MAX,
            });
        }
        for text in &self.names {
            NamePattern::parse(text).map_err(ScopeFault::Name)?;
        }
        for name in profiles {
            if gateway.profile(Some(name)).is_err() {
                return Err(ScopeFault::Profile(name.clone()));
            }
        }
        for kind in challenges {
            if !gateway.challenges.contains(kind) {
                return Err(ScopeFault::Challenge(kind.name()));
            }
        }
        Ok(())
    }

    /// Patterns that this program cannot read allow nothing.
    pub(crate) fn patterns(&self) -> Vec<NamePattern> {
        let read = self.names.iter().map(|text| NamePattern::parse(text));
        read.filter_map(Result::ok).collect()
    }
}

impl Binding {
    /// A new binding for a gateway.
    ///
    /// # Errors
    /// [`Refusal::Scope`].
    pub fn create(
        (now, now_millis): (UnixTime, i64),
        ids: &mut IdSource,
        entropy: &dyn Entropy,
        gateway: &Gateway,
        operator: u32,
        wish: BindingWish,
    ) -> Result<(Change, Self), Refusal> {
        wish.scope.check(gateway)?;
        let note = wish.note.as_deref().unwrap_or_default();
        if note.chars().count() > NOTE_CHARS_MAX || note.contains(char::is_control) {
            return Err(ScopeFault::Note {
                max: NOTE_CHARS_MAX,
            }
            .into());
        }
        let made = Self {
            id: BindingId(ids.next(now_millis)),
            version: 1,
            gateway: gateway.name.clone(),
            secret: fresh_secret(entropy),
            note: wish.note,
            created: now,
            usable_until: wish.usable_until,
            scope: wish.scope,
            accounts: Quota::of(wish.accounts_max),
            certificates: Quota::of(wish.certificates_max),
            withdrawn: None,
        };
        let change = Change::binding_created(now, operator, made.clone());
        Ok((change, made))
    }

    /// How it stands.
    #[must_use]
    pub fn status_at(&self, now: UnixTime) -> BindingStatus {
        if self.withdrawn.is_some() {
            BindingStatus::Withdrawn
        } else if self.accounts.is_used_up() {
            BindingStatus::Spent
        } else if self.usable_until.is_some_and(|end| end <= now) {
            BindingStatus::Expired
        } else {
            BindingStatus::Usable
        }
    }

    /// The same binding, having made one more account at `gateway`.
    pub(crate) fn with_account(
        &self,
        now: UnixTime,
        gateway: &Gateway,
    ) -> Result<Self, BindingRefusal> {
        if self.gateway != gateway.name {
            return Err(BindingRefusal::Unproven);
        }
        match self.status_at(now) {
            BindingStatus::Usable => {}
            BindingStatus::Spent => return Err(BindingRefusal::Spent),
            BindingStatus::Expired => return Err(BindingRefusal::Expired),
            BindingStatus::Withdrawn => return Err(BindingRefusal::Withdrawn),
        }
        Ok(Self {
            version: self.version.saturating_add(1),
            accounts: self.accounts.with_one_more(),
            ..self.clone()
        })
    }

    /// Whether its accounts may order at all.
    ///
    /// # Errors
    /// [`BindingRefusal::Withdrawn`].
    pub fn check_holds(&self) -> Result<(), BindingRefusal> {
        match self.withdrawn {
            None => Ok(()),
            Some(_) => Err(BindingRefusal::Withdrawn),
        }
    }

    /// Whether its accounts may place an order, as far as certificates are counted. Renewals are not: they take another's
    /// place.
    ///
    /// # Errors
    /// [`BindingRefusal::CertificatesUsedUp`].
    pub fn check_order(&self, replaces: Option<&CertId>) -> Result<(), BindingRefusal> {
        if replaces.is_none() && self.certificates.is_used_up() {
            return Err(BindingRefusal::CertificatesUsedUp);
        }
        Ok(())
    }

    /// The same binding with one more certificate counted, if it counts them.
    ///
    /// # Errors
    /// [`BindingRefusal::CertificatesUsedUp`].
    pub(crate) fn with_certificate(&self) -> Result<Option<Self>, BindingRefusal> {
        if self.certificates.max.is_none() {
            return Ok(None);
        }
        if self.certificates.is_used_up() {
            return Err(BindingRefusal::CertificatesUsedUp);
        }
        Ok(Some(Self {
            version: self.version.saturating_add(1),
            certificates: self.certificates.with_one_more(),
            ..self.clone()
        }))
    }

    /// Takes it back: no more accounts, and no more orders by those that it made. Certificates stay as they are.
    ///
    /// # Errors
    /// [`BindingRefusal::Withdrawn`] when that was done before.
    pub fn withdraw(&self, now: UnixTime, operator: u32) -> Result<Change, Refusal> {
        self.check_holds()?;
        let next = Self {
            version: self.version.saturating_add(1),
            withdrawn: Some(now),
            ..self.clone()
        };
        Ok(Change::binding_withdrawn(now, operator, self.version, next))
    }
}

/// A secret whose text does not begin with a hyphen: many a command line takes that for an option.
fn fresh_secret(entropy: &dyn Entropy) -> MacKey {
    /// The first six bits of a text that begins with `-` in base64url.
    const HYPHEN: u8 = 62;
    let mut bytes = [0; SECRET_LEN];
    loop {
        entropy.fill(&mut bytes);
        let [first, ..] = bytes;
        if first >> 2 != HYPHEN {
            return MacKey::new(&bytes);
        }
    }
}

impl From<Binding> for Record {
    fn from(binding: Binding) -> Self {
        Self::Binding(binding)
    }
}

/// How the secret lies in the record.
mod secret {
    use chancery_crypto::MacKey;
    use minicbor::decode::Error;
    use minicbor::encode::Write;
    use minicbor::{Decoder, Encoder};

    pub(super) fn encode<C, W: Write>(
        key: &MacKey,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(key.expose())?;
        Ok(())
    }

    pub(super) fn decode<C>(d: &mut Decoder<'_>, _: &mut C) -> Result<MacKey, Error> {
        d.bytes().map(MacKey::new)
    }
}

#[cfg(test)]
mod tests;
