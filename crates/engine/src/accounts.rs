//! Accounts: create, find, update, deactivate (RFC 8555 §7.3).

use std::net::IpAddr;
use std::sync::Arc;

use chancery_authority::account::{Account, KeyTag, NewKey, Registration, TermsAgreement};
use chancery_authority::audit::Actor;
use chancery_authority::order::ORDER_LIFETIME_SECS;
use chancery_authority::refusal::Denied;
use chancery_authority::{
    AccountId, Action, Change, Object, OrderId, Outcome, Refusal, Subject, authorize,
};
use chancery_jose::{BindingJws, Jwk, JwsKey};

use crate::account_cache::LiveAccount;
use crate::{Engine, EngineError, TRIES_MAX};

/// Orders in one page of an account's list.
const ORDERS_PER_PAGE: u16 = 100;

/// An account and whether this request made it.
#[derive(Debug)]
pub enum Registered {
    /// It is new.
    Created(Arc<LiveAccount>),
    /// The key had it already.
    Existing(Arc<LiveAccount>),
}

/// What a client says of the account it wants, checked for form.
#[derive(Debug, Default)]
pub struct AccountWish {
    /// Checked contact URLs.
    pub contact: Vec<String>,
    /// Whether the client says that it agrees to the terms.
    pub terms_agreed: TermsAgreement,
    /// Where it comes from, as far as that is a network address.
    pub from: Option<IpAddr>,
    /// The external account binding, with its text as the client wrote it.
    pub binding: Option<(BindingJws, String)>,
}

/// What to do when the key has no account yet.
#[derive(Debug)]
pub enum OnMissing {
    /// Make one.
    Create(AccountWish),
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
    /// [`Refusal::AccountDoesNotExist`], [`Refusal::TermsNotAgreed`], [`Refusal::AccountDeactivated`],
    /// [`Refusal::BindingRequired`], [`Refusal::Binding`], store errors.
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
        let wish = match on_missing {
            OnMissing::Refuse => return Err(Refusal::AccountDoesNotExist.into()),
            OnMissing::Create(wish) => wish,
        };
        if let Some(from) = wish.from {
            self.limit_account(from)?;
        }
        let (shown, _counting) = match &wish.binding {
            None => (None, None),
            Some((message, text)) => {
                let counting = self.counting.lock().await;
                (Some(self.shown(message, text, key).await?), Some(counting))
            }
        };
        let registration = Registration {
            contact: wish.contact,
            terms_agreed: wish.terms_agreed,
            shown,
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
        let ended = self.move_account(by, |account| account.deactivated(self.now()));
        let ended = ended.await?;
        self.cancel_orders(by.id);
        Ok(ended)
    }

    /// Gives the account another key, whose possession was proven (§7.3.5).
    ///
    /// # Errors
    /// [`Refusal::KeyInUse`], [`Refusal::TooManyKeys`], [`Denied`], store errors.
    pub async fn change_key(
        &self,
        by: &LiveAccount,
        new: &Jwk,
    ) -> Result<Arc<LiveAccount>, EngineError> {
        let tag = KeyTag::new(&by.account.gateway, &new.thumbprint());
        let old = by.key.thumbprint();
        for _ in 0..TRIES_MAX {
            if let Some(holder) = self.store.account_by_key(tag).await? {
                return Err(Refusal::KeyInUse { account: holder.id }.into());
            }
            let account = self.own_account(by.account.id).await?;
            let jwk = new.to_json();
            let change = account.with_key(self.now(), &by.account, &old, NewKey { jwk, tag })?;
            if self.apply(change).await? == Outcome::Applied {
                return self.reload(account.id).await;
            }
        }
        Err(EngineError::Contended)
    }

    /// The account's owner agrees to the terms as they are now.
    ///
    /// # Errors
    /// [`Denied`], store errors.
    pub async fn agree_to_terms(&self, id: AccountId) -> Result<Arc<LiveAccount>, EngineError> {
        for _ in 0..TRIES_MAX {
            let account = self.own_account(id).await?;
            let terms = self.gateway(&account.gateway)?.terms_of_service.clone();
            let change = account.with_terms(self.now(), terms);
            if self.apply(change).await? == Outcome::Applied {
                return self.reload(id).await;
            }
        }
        Err(EngineError::Contended)
    }

    /// A page of the account's orders below `before`, newest first, without those that ended in nothing (§7.1.2.1); and where
    /// the next page begins, if there is one.
    ///
    /// # Errors
    /// [`Denied`], store errors.
    pub async fn orders_of(
        &self,
        by: &Account,
        before: OrderId,
    ) -> Result<(Vec<OrderId>, Option<OrderId>), EngineError> {
        authorize(Subject::Account(by), Action::Read, Object::Account(by.id))?;
        let page = self.store.orders_of(by.id, before, ORDERS_PER_PAGE).await?;
        let full = page.len() == usize::from(ORDERS_PER_PAGE);
        let next = page.last().filter(|_| full).map(|last| last.id);
        let now = self.now();
        let shown = page.iter().filter(|order| !order.came_to_nothing(now));
        Ok((shown.map(|order| order.id).collect(), next))
    }

    /// Ends what the account had under way (§7.3.6). Nobody waits for it: without a valid account nothing of it can go on.
    fn cancel_orders(&self, by: AccountId) {
        self.spawn(async move |engine: Arc<Self>| {
            if let Err(error) = engine.cancel_open_orders(by).await {
                tracing::warn!(%error, account = by.0, "the open orders of an ended account stay as they are until they run out");
            }
        });
    }

    async fn cancel_open_orders(&self, by: AccountId) -> Result<(), EngineError> {
        let mut before = OrderId(i64::MAX);
        loop {
            let page = self.store.orders_of(by, before, ORDERS_PER_PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            before = last.id;
            for order in &page {
                if let Ok(change) = order.cancel(self.now(), Actor::Account(by)) {
                    // Whatever moved it in between ended it as well.
                    let _ = self.apply(change).await?;
                }
            }
            // Older ones have run out by themselves.
            if last.created.seconds_until(self.now()) > ORDER_LIFETIME_SECS {
                return Ok(());
            }
        }
    }

    async fn own_account(&self, id: AccountId) -> Result<Account, EngineError> {
        let account = self.store.account(id).await?.ok_or(Denied::NotYours)?;
        authorize(
            Subject::Account(&account),
            Action::Write,
            Object::Account(id),
        )?;
        Ok(account)
    }

    /// The account as it is stored now.
    async fn reload(&self, id: AccountId) -> Result<Arc<LiveAccount>, EngineError> {
        self.accounts.forget(id);
        let live = self.account(id).await?;
        live.ok_or_else(|| Denied::NotYours.into())
    }

    async fn move_account(
        &self,
        by: &Account,
        change: impl Fn(&Account) -> Change,
    ) -> Result<Arc<LiveAccount>, EngineError> {
        for _ in 0..TRIES_MAX {
            let account = self.own_account(by.id).await?;
            if self.apply(change(&account)).await? == Outcome::Applied {
                return self.reload(account.id).await;
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
