//! Orders: place, look at, finalize (RFC 8555 §7.4).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chancery_acme::CertId;
use chancery_authority::account::{Account, KeyTag, Owner};
use chancery_authority::audit::Actor;
use chancery_authority::authorization::{Authorization, ReuseTag};
use chancery_authority::gateway::{Gateway, NAMES_PER_ORDER_MAX, Offer};
use chancery_authority::issuance::{Finalize, KeyUse, claim};
use chancery_authority::order::{Order, OrderState, Proven, Replacing, Wanted};
use chancery_authority::refusal::Denied;
use chancery_authority::{
    AccountId, Action, Asking, Change, Decision, Object, OrderId, Outcome, Refusal, Subject,
    authorize,
};
use chancery_crypto::sha256;
use chancery_jose::Jwk;
use chancery_pki::{AskedValidity, Certificate as Parsed, Csr, San};

use crate::bindings::Entrance;
use crate::{Engine, EngineError, TRIES_MAX};

/// How long a finalize waits for its own signature before it answers `processing`.
const SIGNATURE_WAIT: Duration = Duration::from_secs(10);

/// How long a poll of something under way waits for news. Short enough for any client's time-out, long enough that most
/// validations need one poll.
pub(crate) const POLL_WAIT: Duration = Duration::from_secs(2);

/// When it is found out whether a CSR's key is an account's. The store looks with the claim in any case, so only a claim
/// that conflicted needs to know why.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyLookup {
    /// Before the decision.
    Before,
    /// With the commit alone.
    AtCommit,
}

/// What a client asks for in newOrder, checked for form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderWish {
    /// The names.
    pub names: BTreeSet<San>,
    /// The profile, if one was named.
    pub profile: Option<String>,
    /// The validity, as far as one was asked for.
    pub validity: AskedValidity,
    /// The certificate whose place it shall take (RFC 9773 §5).
    pub replaces: Option<CertId>,
}

impl Engine {
    /// Places an order.
    ///
    /// # Errors
    /// [`Refusal`], store errors.
    pub async fn new_order(
        &self,
        account: &Account,
        wanted: OrderWish,
    ) -> Result<(Order, Vec<Authorization>), EngineError> {
        let entrance = self.entrance(account).await?;
        let gateway = &*entrance.gateway;
        account.check_terms(gateway)?;
        if let Some(binding) = &entrance.binding {
            let admitted = binding.check_order(wanted.replaces.as_ref());
            admitted.map_err(Refusal::from)?;
        }
        self.limit_order(account.id, &wanted)?;
        let replaces = wanted.replaces.is_some();
        let mut owner = Owner::from(account);
        for _ in 0..TRIES_MAX {
            let proven = self.proven_before(gateway, account.id, &wanted).await?;
            let wanted = self.look_up(&wanted).await?;
            let created = {
                let asking = self.asking(gateway, owner);
                let mut ids = self.lock_ids();
                Order::create(&mut ids, &asking, wanted, Proven(&proven))
            };
            let (change, order, authorizations) = match created {
                Ok(created) => created,
                Err(refusal) => {
                    if replaces {
                        self.limit_refused_replacement(account.id)?;
                    }
                    self.remember_refusal(account, OrderId(0), &refusal);
                    return Err(refusal.into());
                }
            };
            if self.apply(change).await? == Outcome::Applied {
                return Ok((order, authorizations));
            }
            owner = self.owner_now(account.id).await?;
        }
        Err(EngineError::Contended)
    }

    /// A request that comes in now.
    pub(crate) fn asking<'a>(&'a self, gateway: &'a Gateway, owner: Owner) -> Asking<'a> {
        Asking {
            now: self.now(),
            now_millis: self.clock.now_millis(),
            entropy: &*self.entropy,
            gateway,
            issuer: self.issuer(),
            owner,
        }
    }

    /// What the account has proven already, where the gateway lets orders rest on that.
    async fn proven_before(
        &self,
        gateway: &Gateway,
        account: AccountId,
        wanted: &OrderWish,
    ) -> Result<Vec<Authorization>, EngineError> {
        match (gateway.reuse, gateway.pre_authorization) {
            (Offer::NotMade, Offer::NotMade) => Ok(Vec::new()),
            (Offer::Made, _) | (_, Offer::Made) => {
                let tag = |name| ReuseTag::new(account, name);
                // More names than an order may have are refused without a look.
                let tags = wanted.names.iter().take(NAMES_PER_ORDER_MAX).map(tag);
                Ok(self.store.reusable(tags.collect()).await?)
            }
        }
    }

    /// Adds what is stored of the certificate that is to be replaced.
    async fn look_up(&self, wish: &OrderWish) -> Result<Wanted, EngineError> {
        let replaces = match &wish.replaces {
            None => None,
            Some(cert_id) => Some(self.replacing(cert_id).await?),
        };
        Ok(Wanted {
            names: wish.names.clone(),
            profile: wish.profile.clone(),
            validity: wish.validity,
            replaces,
        })
    }

    async fn replacing(&self, cert_id: &CertId) -> Result<Replacing, EngineError> {
        let found = self.certificate_by_cert_id(cert_id).await?;
        let unknown = Refusal::NotReplaceable("it is not one of this authority's");
        let certificate = found.ok_or(unknown)?;
        let taken_by = match certificate.replaced_by {
            None => None,
            Some(order) => self.find_order(order).await?,
        };
        let parsed = Parsed::parse(&certificate.der)
            .map_err(|_| Refusal::NotReplaceable("it cannot be read"))?;
        Ok(Replacing {
            names: parsed.sans().iter().cloned().collect(),
            cert_id: cert_id.to_string(),
            taken_by,
            certificate,
        })
    }

    /// The account as it is stored, after a decision on how it was seen before has conflicted.
    pub(crate) async fn owner_now(&self, id: AccountId) -> Result<Owner, EngineError> {
        self.accounts.forget(id);
        let live = self.account(id).await?.ok_or(Denied::NotYours)?;
        Ok(Owner::from(&live.account))
    }

    /// An order of the account; one whose signature is under way is waited for a little.
    ///
    /// # Errors
    /// [`Denied`], store errors.
    pub async fn order(&self, by: &Account, id: OrderId) -> Result<Arc<Order>, EngineError> {
        let order = self.own_order(by, id).await?;
        if !matches!(order.state, OrderState::Processing { .. }) {
            return Ok(order);
        }
        self.wait_for_issuance(by, id, POLL_WAIT).await
    }

    /// Finalizes an order (§7.4). Repeated with the same CSR it answers with the order as it is.
    ///
    /// # Errors
    /// [`EngineError::Csr`], [`Refusal`], store errors.
    pub async fn finalize(
        &self,
        by: &Account,
        id: OrderId,
        csr: &[u8],
    ) -> Result<Arc<Order>, EngineError> {
        let answer = self.try_finalize(by, id, csr).await;
        if let Err(EngineError::Refused(refusal)) = &answer {
            self.remember_refusal(by, id, refusal);
            if let Refusal::NoEvidence { name } = refusal {
                self.give_up(id, name).await?;
            }
        }
        answer
    }

    async fn try_finalize(
        &self,
        by: &Account,
        id: OrderId,
        csr_der: &[u8],
    ) -> Result<Arc<Order>, EngineError> {
        let digest = sha256(csr_der);
        let mut csr = None;
        let (mut owner, mut key_lookup) = (Owner::from(by), KeyLookup::AtCommit);
        for _ in 0..TRIES_MAX {
            let order = self.own_order(by, id).await?;
            if order.finalized_with() == Some(&digest) {
                return self.wait_for_issuance(by, id, SIGNATURE_WAIT).await;
            }
            // Before the expensive look at the CSR: most late requests end here.
            if !matches!(order.state, OrderState::Ready) || order.is_expired(self.now()) {
                let state = order.status_at(self.now());
                return Err(Refusal::OrderState {
                    state,
                    needed: "ready",
                }
                .into());
            }
            let csr = match &csr {
                Some(csr) => csr,
                None => &*csr.insert(Csr::parse(csr_der)?),
            };
            self.recheck_caa(&order).await?;
            let entrance = self.entrance(by).await?;
            let counting = match entrance.binding.as_ref().and_then(|it| it.certificates.max) {
                None => None,
                Some(_) => Some(self.counting.lock().await),
            };
            // Looked up again inside the line, where the count stands still.
            let entrance = match counting {
                None => entrance,
                Some(_) => self.entrance(by).await?,
            };
            let deciding = self.decide_claim(&entrance, owner, &order, csr, key_lookup);
            let outcome = self.commit(deciding.await?).await?;
            drop(counting);
            if outcome == Outcome::Applied {
                return self.wait_for_issuance(by, id, SIGNATURE_WAIT).await;
            }
            (owner, key_lookup) = (self.owner_now(by.id).await?, KeyLookup::Before);
        }
        Err(EngineError::Contended)
    }

    /// An order that lost what it rested on can never be fulfilled: it says so from now on.
    async fn give_up(&self, id: OrderId, name: &San) -> Result<(), EngineError> {
        for _ in 0..TRIES_MAX {
            let order = self.find_order(id).await?;
            let change = order.and_then(|order| order.without_evidence(self.now(), name));
            let Some(change) = change else { return Ok(()) };
            if self.apply(change).await? == Outcome::Applied {
                return Ok(());
            }
        }
        Err(EngineError::Contended)
    }

    /// The authorizations that an order rests on, as they are now.
    pub(crate) async fn authorizations_of(
        &self,
        order: &Order,
    ) -> Result<Vec<Arc<Authorization>>, EngineError> {
        let mut found = Vec::with_capacity(order.parts.len());
        for part in &order.parts {
            found.extend(self.find_authorization(part.authorization).await?);
        }
        Ok(found)
    }

    pub(crate) async fn decide_claim(
        &self,
        entrance: &Entrance<'_>,
        owner: Owner,
        order: &Order,
        csr: &Csr,
        key_lookup: KeyLookup,
    ) -> Result<Decision, EngineError> {
        let authorizations = self.authorizations_of(order).await?;
        let mut random = [0; 16];
        self.entropy.fill(&mut random);
        let (decision, _) = claim(&Finalize {
            now: self.now(),
            order,
            authorizations: &authorizations,
            owner,
            csr,
            key_use: self.key_use(csr, key_lookup).await?,
            gateway: &entrance.gateway,
            binding: entrance.binding.as_ref(),
            issuer: self.issuer(),
            random,
        })?;
        Ok(decision)
    }

    /// RFC 8555 §11.1: an account key never becomes a certificate's key, at no gateway.
    async fn key_use(&self, csr: &Csr, lookup: KeyLookup) -> Result<KeyUse, EngineError> {
        let thumbprint = Jwk::from_key(csr.spki().key()).thumbprint();
        let tags = self.gateways.keys();
        let tags: Vec<_> = tags.map(|name| KeyTag::new(name, &thumbprint)).collect();
        match lookup {
            KeyLookup::AtCommit => {}
            KeyLookup::Before => {
                for tag in &tags {
                    if self.store.account_by_key(*tag).await?.is_some() {
                        return Ok(KeyUse::AccountKey);
                    }
                }
            }
        }
        Ok(KeyUse::NotOf(tags))
    }

    async fn wait_for_issuance(
        &self,
        by: &Account,
        id: OrderId,
        limit: Duration,
    ) -> Result<Arc<Order>, EngineError> {
        let wait = self.waiters.register(id.0);
        let order = self.own_order(by, id).await?;
        if !matches!(order.state, OrderState::Processing { .. }) {
            drop(wait);
            self.waiters.tidy(id.0);
            return Ok(order);
        }
        wait.at_most(limit).await;
        self.waiters.tidy(id.0);
        self.own_order(by, id).await
    }

    async fn own_order(&self, by: &Account, id: OrderId) -> Result<Arc<Order>, EngineError> {
        let order = self.find_order(id).await?.ok_or(Denied::NotYours)?;
        authorize(Subject::Account(by), Action::Write, Object::Order(&order))?;
        Ok(order)
    }

    /// Refusals of certificates are remembered, but nobody waits for that.
    fn remember_refusal(&self, by: &Account, order: OrderId, refusal: &Refusal) {
        let actor = Actor::Account(by.id);
        self.remember(Change::refused_order(
            self.now(),
            actor,
            order,
            refusal.to_string(),
        ));
    }
}
