//! Accounts: create, find, update, deactivate (RFC 8555 §7.3).

use std::sync::Arc;

use chancery_authority::account::{Account, KeyTag, Registration};
use chancery_authority::refusal::Denied;
use chancery_authority::{AccountId, Action, Change, Object, Outcome, Refusal, Subject, authorize};
use chancery_jose::{Jwk, JwsKey};

use crate::account_cache::LiveAccount;
use crate::{Engine, EngineError, TRIES_MAX};

/// An account and whether this request made it.
#[derive(Debug)]
pub enum Registered {
    /// It is new.
    Created(Arc<LiveAccount>),
    /// The key had it already.
    Existing(Arc<LiveAccount>),
}

/// What to do when the key has no account yet.
#[derive(Debug)]
pub enum OnMissing {
    /// Make one.
    Create(Registration),
    /// Say so (`onlyReturnExisting`).
    Refuse,
}

impl Engine {
    /// The account with this number, with its key decoded.
    ///
    /// # Errors
    /// [`EngineError::Store`].
    pub async fn account(&self, id: AccountId) -> Result<Option<Arc<LiveAccount>>, EngineError> {
        if let Some(live) = self.accounts.get(id) {
            return Ok(Some(live));
        }
        match self.store.account(id).await? {
            Some(account) => self.enliven(account).map(Some),
            None => Ok(None),
        }
    }

    /// Finds the account of a proven key at a gateway, or makes it.
    ///
    /// # Errors
    /// [`Refusal::AccountDoesNotExist`], [`Refusal::TermsNotAgreed`], [`Refusal::AccountDeactivated`], store errors.
    pub async fn register(
        &self,
        gateway: &str,
        key: &Jwk,
        on_missing: OnMissing,
    ) -> Result<Registered, EngineError> {
        let gateway = self.gateway(gateway)?;
        let tag = KeyTag::new(&gateway.name, &key.thumbprint());
        if let Some(account) = self.store.account_by_key(tag).await? {
            return self.existing(account);
        }
        let registration = match on_missing {
            OnMissing::Refuse => return Err(Refusal::AccountDoesNotExist.into()),
            OnMissing::Create(registration) => registration,
        };
        let id = AccountId(self.next_id());
        let change = Account::create(self.now(), id, gateway, key.to_json(), tag, registration)?;
        match self.apply(change).await? {
            Outcome::Applied => {
                let account = self.store.account(id).await?.ok_or(Denied::NotYours)?;
                self.enliven(account).map(Registered::Created)
            }
            // The same key registered at the same moment: one of the two requests made the account.
            Outcome::Conflict => {
                let account = self
                    .store
                    .account_by_key(tag)
                    .await?
                    .ok_or(EngineError::Contended)?;
                self.existing(account)
            }
        }
    }

    /// Replaces the contacts.
    ///
    /// # Errors
    /// [`Refusal`], store errors.
    pub async fn set_contact(
        &self,
        by: &Account,
        contact: &[String],
    ) -> Result<Arc<LiveAccount>, EngineError> {
        self.move_account(by, |account| {
            account.with_contact(self.now(), contact.to_vec())
        })
        .await
    }

    /// Ends the account for good (§7.3.6).
    ///
    /// # Errors
    /// [`Refusal`], store errors.
    pub async fn deactivate_account(&self, by: &Account) -> Result<Arc<LiveAccount>, EngineError> {
        self.move_account(by, |account| account.deactivated(self.now()))
            .await
    }

    async fn move_account(
        &self,
        by: &Account,
        change: impl Fn(&Account) -> Change,
    ) -> Result<Arc<LiveAccount>, EngineError> {
        for _ in 0..TRIES_MAX {
            let account = self.store.account(by.id).await?.ok_or(Denied::NotYours)?;
            authorize(
                Subject::Account(&account),
                Action::Write,
                Object::Account(account.id),
            )?;
            if self.apply(change(&account)).await? == Outcome::Applied {
                self.accounts.forget(account.id);
                return self
                    .account(account.id)
                    .await?
                    .ok_or_else(|| Denied::NotYours.into());
            }
        }
        Err(EngineError::Contended)
    }

    fn existing(&self, account: Account) -> Result<Registered, EngineError> {
        self.enliven(account).map(Registered::Existing)
    }

    fn enliven(&self, account: Account) -> Result<Arc<LiveAccount>, EngineError> {
        let damaged = |_| {
            EngineError::Store(chancery_authority::StoreError::Damaged {
                what: format!("key of account {}", account.id),
            })
        };
        let jwk = Jwk::from_json(&account.jwk).map_err(damaged)?;
        let key = JwsKey::new(jwk.key()).map_err(damaged)?;
        let live = Arc::new(LiveAccount { account, key });
        self.accounts.put(Arc::clone(&live));
        Ok(live)
    }
}
