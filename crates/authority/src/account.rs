//! Accounts (RFC 8555 §7.1.2, §7.3).

use chancery_crypto::sha256;
use chancery_jose::Thumbprint;
use chancery_pki::UnixTime;
use minicbor::{Decode, Encode};

use crate::audit::Actor;
use crate::binding::Shown;
use crate::change::{Change, Need, Record};
use crate::gateway::{BindingRule, Gateway};
use crate::id::{AccountId, BindingId};
use crate::refusal::{Denied, Refusal};

/// Contacts kept per account.
pub const CONTACTS_MAX: usize = 10;

/// Keys that an account may have had before the present one. One a day for a year and a half.
pub const PAST_KEYS_MAX: usize = 500;

/// A key that an account is to have, whose possession was proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// The key, as a canonical JWK.
    pub jwk: String,
    /// How it is found.
    pub tag: KeyTag,
}

/// Finds an account by its key within one gateway: half a SHA-256, so that its index stays narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct KeyTag(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 16]);

impl KeyTag {
    /// The tag of a key at a gateway. The same key makes different accounts at different gateways.
    #[must_use]
    pub fn new(gateway: &str, thumbprint: &Thumbprint) -> Self {
        let digest = sha256(&[gateway.as_bytes(), &[0], &thumbprint.0].concat());
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest[..16]);
        Self(tag)
    }
}

/// A stored account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// Its number.
    #[n(0)]
    pub id: AccountId,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// The gateway it belongs to.
    #[n(2)]
    pub gateway: String,
    /// Its public key, as a canonical JWK.
    #[n(3)]
    pub jwk: String,
    /// How its key is found.
    #[n(4)]
    pub key_tag: KeyTag,
    /// Whether it may act.
    #[n(5)]
    pub status: AccountStatus,
    /// `mailto:` URLs, checked.
    #[n(6)]
    pub contact: Vec<String>,
    /// When it was made.
    #[n(7)]
    pub created: UnixTime,
    /// The terms it agreed to, by their URL.
    #[n(8)]
    pub terms_agreed: Option<String>,
    /// Thumbprints of the keys it had before, oldest first: what was proven under one of them stays recognisable.
    #[n(9)]
    pub past_keys: Option<Vec<PastKey>>,
    /// What it is bound to, if it is.
    #[n(10)]
    pub bound: Option<Bound>,
}

/// How an account is bound to one elsewhere (§7.3.4).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Bound {
    /// The binding.
    #[n(0)]
    pub binding: BindingId,
    /// The message that proved it, as the client wrote it.
    #[n(1)]
    pub jws: String,
}

/// A key that an account had, by its thumbprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct PastKey(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// Whether an account may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum AccountStatus {
    /// It may.
    #[n(0)]
    Valid,
    /// Its owner ended it, for good (§7.3.6).
    #[n(1)]
    Deactivated,
    /// An operator ended it.
    #[n(2)]
    Revoked,
}

/// The account that a decision is made for, as it was seen: if it has changed when the change is applied, that conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    pub(crate) id: AccountId,
    pub(crate) status: AccountStatus,
    version: Option<u32>,
    binding: Option<BindingId>,
}

impl Owner {
    /// The authority itself, which has no account.
    pub const AUTHORITY: Self = Self {
        id: AccountId::AUTHORITY,
        status: AccountStatus::Valid,
        version: None,
        binding: None,
    };

    /// An account in good standing of which nothing is stored: for worlds without accounts.
    #[cfg(any(test, feature = "world"))]
    #[must_use]
    pub const fn unstored(id: AccountId, status: AccountStatus) -> Self {
        Self {
            id,
            status,
            version: None,
            binding: None,
        }
    }

    /// The same, bound to an account elsewhere.
    #[cfg(any(test, feature = "world"))]
    #[must_use]
    pub fn bound_to(self, binding: BindingId) -> Self {
        Self {
            binding: Some(binding),
            ..self
        }
    }

    /// What must still hold of it when something is done for it.
    pub(crate) fn needs(self) -> impl Iterator<Item = Need> {
        let id = self.id;
        let account = self.version.map(|version| Need::Account { id, version });
        let binding = self.binding.map(Need::BindingHolds);
        account.into_iter().chain(binding)
    }
}

impl From<&Account> for Owner {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            status: account.status,
            version: Some(account.version),
            binding: account.bound.as_ref().map(|bound| bound.binding),
        }
    }
}

/// What a client says of a new account, checked by the gateway for form.
#[derive(Debug, Clone, Default)]
pub struct Registration {
    /// Checked contact URLs.
    pub contact: Vec<String>,
    /// Whether the client says that it agrees to the terms.
    pub terms_agreed: TermsAgreement,
    /// The external account binding that it showed.
    pub shown: Option<Shown>,
}

/// Whether the client agrees to the gateway's terms.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TermsAgreement {
    /// It says so.
    Agreed,
    /// It does not say so.
    #[default]
    Silent,
}

impl Account {
    /// A new account for a proven key.
    ///
    /// # Errors
    /// [`Refusal::TermsNotAgreed`], [`Refusal::BindingRequired`], [`Refusal::Binding`].
    pub fn create(
        now: UnixTime,
        id: AccountId,
        gateway: &Gateway,
        jwk: String,
        key_tag: KeyTag,
        registration: Registration,
    ) -> Result<Change, Refusal> {
        if let (Some(url), TermsAgreement::Silent) =
            (&gateway.terms_of_service, registration.terms_agreed)
        {
            return Err(Refusal::TermsNotAgreed { url: url.clone() });
        }
        let (bound, counted) = match (registration.shown, gateway.binding_rule) {
            (None, BindingRule::Required) => return Err(Refusal::BindingRequired),
            (None, BindingRule::Accepted) => (None, None),
            (Some(shown), BindingRule::Required | BindingRule::Accepted) => {
                let next = shown.binding.with_account(now, gateway)?;
                let (binding, jws) = (shown.binding.id, shown.jws);
                (
                    Some(Bound { binding, jws }),
                    Some((shown.binding.version, next)),
                )
            }
        };
        let account = Self {
            id,
            version: 1,
            gateway: gateway.name.clone(),
            jwk,
            key_tag,
            status: AccountStatus::Valid,
            contact: registration.contact,
            created: now,
            terms_agreed: gateway.terms_of_service.clone(),
            past_keys: None,
            bound,
        };
        Ok(Change::account_created(now, account, counted))
    }

    /// The same account with other contacts.
    #[must_use]
    pub fn with_contact(&self, now: UnixTime, contact: Vec<String>) -> Change {
        let next = Self {
            version: self.version + 1,
            contact,
            ..self.clone()
        };
        Change::account_updated(now, Actor::Account(self.id), self.version, next)
    }

    /// The same account with another key (§7.3.5). Orders and authorizations stay as they are. `signer` is the account as it
    /// was when its key signed the request, and `old` that key.
    ///
    /// # Errors
    /// [`Denied::NotAllowed`] when the key has been replaced meanwhile, [`Refusal::TooManyKeys`].
    pub fn with_key(
        &self,
        now: UnixTime,
        signer: &Self,
        old: &Thumbprint,
        new: NewKey,
    ) -> Result<Change, Refusal> {
        if self.key_tag != signer.key_tag {
            return Err(Denied::NotAllowed.into());
        }
        let mut past = self.past_keys.clone().unwrap_or_default();
        if past.len() >= PAST_KEYS_MAX {
            return Err(Refusal::TooManyKeys { max: PAST_KEYS_MAX });
        }
        past.push(PastKey(old.0));
        let next = Self {
            version: self.version + 1,
            jwk: new.jwk,
            key_tag: new.tag,
            past_keys: Some(past),
            ..self.clone()
        };
        Ok(Change::account_rekeyed(now, self.version, next))
    }

    /// The same account, agreeing to the gateway's terms as they are now.
    #[must_use]
    pub fn with_terms(&self, now: UnixTime, terms: Option<String>) -> Change {
        let next = Self {
            version: self.version + 1,
            terms_agreed: terms,
            ..self.clone()
        };
        Change::account_updated(now, Actor::Account(self.id), self.version, next)
    }

    /// Whether it agreed to the terms that the gateway has now (§7.3.3).
    ///
    /// # Errors
    /// [`Refusal::TermsChanged`].
    pub fn check_terms(&self, gateway: &Gateway) -> Result<(), Refusal> {
        match &gateway.terms_of_service {
            Some(url) if self.terms_agreed.as_ref() != Some(url) => Err(Refusal::TermsChanged {
                url: url.clone(),
                account: self.id,
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// The account ended by its owner. Certificates stay valid (§7.3.6).
    #[must_use]
    pub fn deactivated(&self, now: UnixTime) -> Change {
        let next = Self {
            version: self.version + 1,
            status: AccountStatus::Deactivated,
            ..self.clone()
        };
        Change::account_updated(now, Actor::Account(self.id), self.version, next)
    }
}

impl From<Account> for Record {
    fn from(account: Account) -> Self {
        Self::Account(account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{ChangeKind, Expect, Write};
    use crate::world::World;

    fn create(terms: Option<&str>, terms_agreed: TermsAgreement) -> Result<Change, Refusal> {
        let mut world = World::new(1);
        world.gateway.terms_of_service = terms.map(str::to_owned);
        let registration = Registration {
            terms_agreed,
            ..Registration::default()
        };
        let tag = KeyTag([1; 16]);
        Account::create(
            world.now,
            AccountId(1),
            &world.gateway,
            "{}".to_owned(),
            tag,
            registration,
        )
    }

    #[test]
    fn terms_that_the_gateway_has_must_be_agreed_to() {
        let url = "https://a.test/terms";
        assert_eq!(
            create(Some(url), TermsAgreement::Silent),
            Err(Refusal::TermsNotAgreed {
                url: url.to_owned()
            })
        );
        let agreed = create(Some(url), TermsAgreement::Agreed).expect("agreed");
        let [
            Write {
                record: Record::Account(account),
                ..
            },
        ] = agreed.writes()
        else {
            panic!("{agreed:?}")
        };
        assert_eq!(account.terms_agreed.as_deref(), Some(url));
        assert!(create(None, TermsAgreement::Silent).is_ok());
    }

    #[test]
    fn the_same_key_is_another_account_at_another_gateway() {
        let thumbprint = Thumbprint([7; 32]);
        assert_eq!(
            KeyTag::new("one", &thumbprint),
            KeyTag::new("one", &thumbprint)
        );
        assert_ne!(
            KeyTag::new("one", &thumbprint),
            KeyTag::new("two", &thumbprint)
        );
        assert_ne!(
            KeyTag::new("one", &thumbprint),
            KeyTag::new("one", &Thumbprint([8; 32]))
        );
    }

    #[test]
    fn an_account_with_another_key_remembers_the_one_before() {
        let mut world = World::new(1);
        let (_, account) = world.account();
        let new = NewKey {
            jwk: "{}".to_owned(),
            tag: KeyTag([3; 16]),
        };
        let old = Thumbprint([7; 32]);
        let change = account
            .with_key(world.now, &account, &old, new.clone())
            .expect("done");
        let [
            Write {
                record: Record::Account(next),
                expect: Expect::Version(1),
            },
        ] = change.writes()
        else {
            panic!("{change:?}")
        };
        assert_eq!((&next.jwk, next.key_tag), (&new.jwk, new.tag));
        assert_eq!(next.past_keys, Some(vec![PastKey(old.0)]));
        assert_eq!((next.id, next.status), (account.id, account.status));
        let full = Account {
            past_keys: Some(vec![PastKey([0; 32]); PAST_KEYS_MAX]),
            ..account
        };
        let replaced = Account {
            key_tag: KeyTag([9; 16]),
            ..full.clone()
        };
        let refused = full.with_key(world.now, &replaced, &old, new.clone());
        assert_eq!(
            refused,
            Err(Denied::NotAllowed.into()),
            "its key is another by now"
        );
        let refused = full.with_key(world.now, &full, &old, new);
        let max = PAST_KEYS_MAX;
        assert_eq!(refused, Err(Refusal::TooManyKeys { max }));
    }

    #[test]
    fn terms_that_changed_bind_again() {
        let mut world = World::new(1);
        let (_, account) = world.account();
        assert_eq!(account.check_terms(&world.gateway), Ok(()));
        let url = "https://a.test/terms/2".to_owned();
        world.gateway.terms_of_service = Some(url.clone());
        let refused = Refusal::TermsChanged {
            url: url.clone(),
            account: account.id,
        };
        assert_eq!(account.check_terms(&world.gateway), Err(refused));
        let agreed = Account {
            terms_agreed: Some(url),
            ..account
        };
        assert_eq!(agreed.check_terms(&world.gateway), Ok(()));
    }

    #[test]
    fn an_account_changes_by_its_own_act_and_expects_what_it_was() {
        let mut world = World::new(1);
        let (_, account) = world.account();
        for (change, status) in [
            (
                account.with_contact(world.now, Vec::new()),
                AccountStatus::Valid,
            ),
            (account.deactivated(world.now), AccountStatus::Deactivated),
        ] {
            let [
                Write {
                    record: Record::Account(next),
                    expect,
                },
            ] = change.writes()
            else {
                panic!("{change:?}")
            };
            assert_eq!(
                (next.status, next.version, *expect),
                (status, 2, Expect::Version(1))
            );
            assert_eq!(change.kind(), ChangeKind::AccountUpdated);
            assert_eq!(change.audit().actor, Actor::Account(account.id));
        }
    }
}
