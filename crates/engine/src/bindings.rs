//! External account bindings: make, list, withdraw, and what they mean for a request (RFC 8555 §7.3.4).

use std::borrow::Cow;
use std::sync::LazyLock;

use chancery_authority::account::Account;
use chancery_authority::binding::{Binding, BindingWish, Shown};
use chancery_authority::gateway::{BindingRule, Gateway};
use chancery_authority::refusal::BindingRefusal;
use chancery_authority::store::Page;
use chancery_authority::{BindingId, Outcome, Refusal};
use chancery_crypto::MacKey;
use chancery_jose::{BindingJws, Jwk};

use crate::{Engine, EngineError, TRIES_MAX};

/// What a MAC is checked with where there is no binding, so that this takes as long as where there is one.
static NOBODYS: LazyLock<MacKey> = LazyLock::new(|| MacKey::new(&[0; 32]));

/// A number that no binding has.
const NO_BINDING: BindingId = BindingId(0);

/// A gateway as one account sees it.
pub(crate) struct Entrance<'a> {
    pub(crate) gateway: Cow<'a, Gateway>,
    pub(crate) binding: Option<Binding>,
}

impl<'a> Entrance<'a> {
    /// The gateway as it is.
    pub(crate) fn of_authority(gateway: &'a Gateway) -> Self {
        Self {
            gateway: Cow::Borrowed(gateway),
            binding: None,
        }
    }
}

impl Engine {
    /// Makes a binding for a gateway.
    ///
    /// # Errors
    /// [`Refusal::Scope`], [`chancery_authority::refusal::Denied`] when there is no such gateway, store errors.
    pub async fn create_binding(
        &self,
        gateway: &str,
        operator: u32,
        wish: BindingWish,
    ) -> Result<Binding, EngineError> {
        let gateway = self.gateway(gateway)?;
        let (change, made) = {
            let now = (self.now(), self.clock.now_millis());
            let mut ids = self.lock_ids();
            Binding::create(now, &mut ids, &*self.entropy, gateway, operator, wish)?
        };
        match self.apply(change).await? {
            Outcome::Applied => Ok(made),
            Outcome::Conflict => Err(EngineError::Contended),
        }
    }

    /// A page of bindings.
    ///
    /// # Errors
    /// Store errors.
    pub async fn bindings(&self, page: Page) -> Result<Vec<Binding>, EngineError> {
        Ok(self.store.bindings(page).await?)
    }

    /// The binding with this key identifier.
    ///
    /// # Errors
    /// Store errors.
    pub async fn binding(&self, kid: &str) -> Result<Option<Binding>, EngineError> {
        match self.public_names.read_kid(kid) {
            None => Ok(None),
            Some(id) => Ok(self.store.binding(id).await?),
        }
    }

    /// Takes a binding back; `None` when there is none with this key identifier.
    ///
    /// # Errors
    /// [`Refusal::Binding`] when that was done before, store errors.
    pub async fn withdraw_binding(
        &self,
        kid: &str,
        operator: u32,
    ) -> Result<Option<Binding>, EngineError> {
        for _ in 0..TRIES_MAX {
            let Some(found) = self.binding(kid).await? else {
                return Ok(None);
            };
            let change = found.withdraw(self.now(), operator)?;
            if self.apply(change).await? == Outcome::Applied {
                return self.binding(kid).await;
            }
        }
        Err(EngineError::Contended)
    }

    /// Looks the binding of a message up and checks its MAC for an account's key.
    ///
    /// # Errors
    /// [`BindingRefusal::Unproven`], store errors.
    pub(crate) async fn shown(
        &self,
        message: &BindingJws,
        text: &str,
        account: &Jwk,
    ) -> Result<Shown, EngineError> {
        // An identifier that is none costs the same look into the store.
        let id = self.public_names.read_kid(message.kid());
        let found = self.store.binding(id.unwrap_or(NO_BINDING)).await?;
        let secret = found.as_ref().map_or(&*NOBODYS, |it| &it.secret);
        let verified = message.clone().verify(secret, account);
        match (found, verified) {
            (Some(binding), Ok(verified)) => Ok(Shown {
                binding,
                verified,
                jws: text.to_owned(),
            }),
            (None, _) | (_, Err(_)) => Err(Refusal::from(BindingRefusal::Unproven).into()),
        }
    }

    /// The gateway as an account sees it: within the account's binding, which must still hold.
    ///
    /// # Errors
    /// [`Refusal::BindingRequired`], [`BindingRefusal::Withdrawn`], store errors.
    pub(crate) async fn entrance(&self, account: &Account) -> Result<Entrance<'_>, EngineError> {
        let gateway = self.gateway(&account.gateway)?;
        match (&account.bound, gateway.binding_rule) {
            (None, BindingRule::Accepted) => Ok(Entrance {
                gateway: Cow::Borrowed(gateway),
                binding: None,
            }),
            (None, BindingRule::Required) => Err(Refusal::BindingRequired.into()),
            (Some(bound), BindingRule::Accepted | BindingRule::Required) => {
                let found = self.store.binding(bound.binding).await?;
                // Bindings are never deleted; without one nothing says what the account may do.
                let binding = found
                    .ok_or(BindingRefusal::Withdrawn)
                    .map_err(Refusal::from)?;
                binding.check_holds().map_err(Refusal::from)?;
                Ok(Entrance {
                    gateway: Cow::Owned(gateway.within(&binding)),
                    binding: Some(binding),
                })
            }
        }
    }
}
