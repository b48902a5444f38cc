//! Orders (RFC 8555 §7.1.3, §7.1.6, §7.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use chancery_crypto::Digest32;
use chancery_pki::{AskedValidity, San, Serial, UnixTime};
use minicbor::{Decode, Encode};

use crate::account::Owner;
use crate::asking::Asking;
use crate::audit::Actor;
use crate::authorization::{
    Authorization, AuthorizationState, Evidence, EvidenceKind, Reuse, fresh_challenges,
};
use crate::certificate::Certificate;
use crate::change::{Change, Record};
use crate::gateway::{Gateway, NAMES_PER_ORDER_MAX, Offer};
use crate::id::{AccountId, AuthorizationId, CertificateId, IdSource, IssuerId, OrderId};
use crate::proof::{FailureKind, ProofFailure};
use crate::refusal::Refusal;

/// How long a client has to fulfil an order, and how long evidence counts.
pub const ORDER_LIFETIME_SECS: i64 = 7 * 24 * 3600;

/// The CSR digest of an order whose finalize was lost with the store; no CSR has it.
const UNKNOWN_CSR: Digest32 = [0; 32];

/// A stored order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Order {
    /// Its number.
    #[n(0)]
    pub id: OrderId,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// Whose it is.
    #[n(2)]
    pub account: AccountId,
    /// The gateway it came in by.
    #[n(3)]
    pub gateway: String,
    /// When it was placed.
    #[n(4)]
    pub created: UnixTime,
    /// When it ends if nothing happens.
    #[n(5)]
    pub expires: UnixTime,
    /// What the certificate shall name. Never changes.
    #[n(6)]
    pub names: BTreeSet<San>,
    /// What must be proven, one for each name. Only `satisfied` ever changes.
    #[n(7)]
    pub parts: Vec<Part>,
    /// The profile asked for.
    #[n(8)]
    pub profile: String,
    /// What policy said, kept for "why?".
    #[n(9)]
    pub verdict: Verdict,
    /// Where it stands.
    #[n(10)]
    pub state: OrderState,
    /// When the certificate shall begin and end, as far as that was asked for.
    #[n(11)]
    pub not_before: Option<UnixTime>,
    /// See `not_before`.
    #[n(12)]
    pub not_after: Option<UnixTime>,
    /// The certificate whose place it takes (RFC 9773 §5).
    #[n(13)]
    pub replaces: Option<Replaced>,
}

/// A certificate whose place an order takes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Replaced {
    /// Its number.
    #[n(0)]
    pub certificate: CertificateId,
    /// As the client named it.
    #[n(1)]
    pub cert_id: String,
}

/// One thing an order needs proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Part {
    /// The authorization.
    #[n(0)]
    pub authorization: AuthorizationId,
    /// Whether it was valid when it last changed.
    #[n(1)]
    pub satisfied: bool,
}

impl Part {
    fn of(authorization: &Authorization, now: UnixTime) -> Self {
        Self {
            authorization: authorization.id,
            satisfied: authorization.evidence_at(now).is_some(),
        }
    }
}

impl Replacing {
    /// RFC 9773 §5: the account's own, of at least one of the names, and nobody else is about to replace it.
    fn check(
        self,
        now: UnixTime,
        account: AccountId,
        names: &BTreeSet<San>,
    ) -> Result<(Replaced, Certificate), Refusal> {
        if self.certificate.account != account {
            return Err(Refusal::NotReplaceable("it is not this account's"));
        }
        if self.names.is_disjoint(names) {
            let why = "it has none of the order's names";
            return Err(Refusal::NotReplaceable(why));
        }
        if self
            .taken_by
            .is_some_and(|order| !order.came_to_nothing(now))
        {
            let serial = self.certificate.serial;
            return Err(Refusal::AlreadyReplaced { serial });
        }
        let replaced = Replaced {
            certificate: self.certificate.id,
            cert_id: self.cert_id,
        };
        Ok((replaced, self.certificate))
    }
}

/// Policy's answer.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Verdict {
    /// The policy that answered.
    #[n(0)]
    pub policy: String,
    /// Why, in words.
    #[n(1)]
    pub reasons: Vec<String>,
}

impl Verdict {
    /// The only policy so far.
    #[must_use]
    pub fn permit_what_is_proven() -> Self {
        Self {
            policy: "permit-what-is-proven".to_owned(),
            reasons: Vec::new(),
        }
    }
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum OrderState {
    /// Something is still to be proven.
    #[n(0)]
    Pending,
    /// Everything is proven; it may be finalized.
    #[n(1)]
    Ready,
    /// Serial, TBS and profile are fixed; the signature is under way.
    #[n(2)]
    Processing {
        /// What will be signed.
        #[n(0)]
        claim: Claim,
    },
    /// The certificate is recorded under the order's number.
    #[n(3)]
    Valid {
        /// The CSR it was made from, to recognise a repeated finalize.
        #[cbor(n(0), with = "minicbor::bytes")]
        csr_digest: Digest32,
    },
    /// It failed.
    #[n(4)]
    Invalid {
        /// For which identifier, if for one.
        #[n(0)]
        identifier: Option<San>,
        /// Why.
        #[n(1)]
        failure: ProofFailure,
    },
    /// Ended by its account or an operator.
    #[n(5)]
    Cancelled,
}

impl OrderState {
    /// The state's ACME name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing { .. } => "processing",
            Self::Valid { .. } => "valid",
            Self::Invalid { .. } | Self::Cancelled => "invalid",
        }
    }
}

/// What one finalize fixed: exactly these bytes are signed, or nothing (failures A5, A7).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Claim {
    /// Who will sign.
    #[n(0)]
    pub issuer: IssuerId,
    /// The serial, never used before.
    #[n(1)]
    pub serial: Serial,
    /// The certificate to be signed.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub tbs: Vec<u8>,
    /// The content of the profile it was made by.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub profile_hash: Digest32,
    /// The CSR that brought the key.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub csr_digest: Digest32,
    /// The CRL shard that the certificate names.
    #[n(5)]
    pub shard: u16,
    /// notAfter of the certificate.
    #[n(6)]
    pub not_after: UnixTime,
}

/// What can happen to an order.
#[derive(Debug, Clone)]
pub enum OrderEvent {
    /// One of its authorizations became valid.
    AuthorizationValid(AuthorizationId),
    /// One of its authorizations became invalid or was given up.
    AuthorizationLost {
        /// Which one.
        authorization: AuthorizationId,
        /// For which identifier.
        identifier: San,
        /// Why.
        failure: ProofFailure,
    },
    /// Finalize fixed what will be signed.
    Claimed(Box<Claim>),
    /// The certificate is signed.
    Signed,
    /// The signature was lost, or was refused before it was begun; the claim is void.
    ClaimLost,
    /// Its certificate came back from the journal into a store that did not know it.
    Restored,
    /// Its account ended it.
    Cancelled,
}

/// What a client asks for, checked by the gateway for form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The names.
    pub names: BTreeSet<San>,
    /// The profile, if one was named.
    pub profile: Option<String>,
    /// The validity, as far as one was asked for.
    pub validity: AskedValidity,
    /// The certificate that is to be replaced.
    pub replaces: Option<Replacing>,
}

/// A certificate that a new order is to replace, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacing {
    /// It, as stored.
    pub certificate: Certificate,
    /// The names in it.
    pub names: BTreeSet<San>,
    /// How the client named it.
    pub cert_id: String,
    /// The last order that was placed to replace it, as stored.
    pub taken_by: Option<Arc<Order>>,
}

/// What an order may rest on that was proven before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Proven<'a>(pub &'a [Authorization]);

impl Order {
    /// A new order with an authorization for each name.
    ///
    /// # Errors
    /// [`Refusal::NameCount`], [`Refusal::RejectedNames`], [`Refusal::NoChallengeFor`], [`Refusal::UnknownProfile`],
    /// [`Refusal::Validity`], [`Refusal::NotReplaceable`], [`Refusal::AlreadyReplaced`].
    pub fn create(
        ids: &mut IdSource,
        asking: &Asking<'_>,
        wanted: Wanted,
        proven: Proven<'_>,
    ) -> Result<(Change, Self, Vec<Authorization>), Refusal> {
        let Asking {
            now,
            now_millis,
            entropy,
            gateway,
            issuer,
            owner,
        } = *asking;
        let account = owner.id;
        let profile = gateway.profile(wanted.profile.as_deref())?;
        let max = NAMES_PER_ORDER_MAX.min(usize::from(profile.names_max));
        let count = wanted.names.len();
        if count == 0 || count > max {
            return Err(Refusal::NameCount { count, max });
        }
        gateway.names.check_all(&wanted.names)?;
        issuer.check_names(&wanted.names)?;
        profile.check_asked(now, wanted.validity)?;
        let replaced = match wanted.replaces {
            None => None,
            Some(replacing) => Some(replacing.check(now, account, &wanted.names)?),
        };
        let id = OrderId(ids.next(now_millis));
        let mut made = Vec::new();
        let mut parts = Vec::with_capacity(wanted.names.len());
        let mut expires = UnixTime(now.0 + ORDER_LIFETIME_SECS);
        for name in &wanted.names {
            let serving = |it: &&Authorization| it.serves(now, owner, gateway, name);
            if let Some(found) = proven.0.iter().filter(serving).max_by_key(|it| it.expires) {
                expires = expires.min(found.expires);
                parts.push(Part::of(found, now));
                continue;
            }
            let authorization = Authorization {
                id: AuthorizationId(ids.next(now_millis)),
                version: 1,
                account,
                order: Some(id),
                identifier: name.clone(),
                state: AuthorizationState::Pending,
                expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
                challenges: fresh_challenges(gateway, name, entropy)?,
                reuse: match gateway.reuse {
                    Offer::Made => Some(Reuse::LaterOrders),
                    Offer::NotMade => None,
                },
            };
            parts.push(Part::of(&authorization, now));
            made.push(authorization);
        }
        let mut order = Self::new(now, id, gateway, account, wanted.names, parts);
        order.expires = expires;
        order.profile = profile.name.clone();
        order.not_before = wanted.validity.not_before;
        order.not_after = wanted.validity.not_after;
        let replaced = replaced.map(|(replaced, certificate)| {
            order.replaces = Some(replaced);
            certificate.replaced_by(id)
        });
        let change = Change::order_created(now, owner, order.clone(), made.clone(), replaced);
        Ok((change, order, made))
    }

    /// The authority's order for its own server certificate: the names stand in the operator's configuration, which is
    /// the evidence.
    #[must_use]
    pub fn create_for_server(
        now: UnixTime,
        now_millis: i64,
        ids: &mut IdSource,
        gateway: &Gateway,
        names: BTreeSet<San>,
        profile: String,
    ) -> (Change, Self, Vec<Authorization>) {
        let id = OrderId(ids.next(now_millis));
        let evidence = Evidence {
            kind: EvidenceKind::Configuration,
            at: now,
            observations: Vec::new(),
            caa: None,
        };
        let authorizations: Vec<_> = names
            .iter()
            .map(|name| Authorization {
                id: AuthorizationId(ids.next(now_millis)),
                version: 1,
                account: AccountId::AUTHORITY,
                order: Some(id),
                reuse: None,
                identifier: name.clone(),
                state: AuthorizationState::Valid {
                    evidence: evidence.clone(),
                },
                expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
                challenges: Vec::new(),
            })
            .collect();
        let parts = authorizations.iter().map(|it| Part::of(it, now)).collect();
        let mut order = Self::new(now, id, gateway, AccountId::AUTHORITY, names, parts);
        order.profile = profile;
        let owner = Owner::AUTHORITY;
        (
            Change::order_created(now, owner, order.clone(), authorizations.clone(), None),
            order,
            authorizations,
        )
    }

    fn new(
        now: UnixTime,
        id: OrderId,
        gateway: &Gateway,
        account: AccountId,
        names: BTreeSet<San>,
        parts: Vec<Part>,
    ) -> Self {
        let state = if parts.iter().all(|part| part.satisfied) {
            OrderState::Ready
        } else {
            OrderState::Pending
        };
        Self {
            id,
            version: 1,
            account,
            gateway: gateway.name.clone(),
            created: now,
            expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
            names,
            parts,
            profile: String::new(),
            verdict: Verdict::permit_what_is_proven(),
            state,
            not_before: None,
            not_after: None,
            replaces: None,
        }
    }

    /// What was asked of the certificate's validity.
    #[must_use]
    pub fn asked_validity(&self) -> AskedValidity {
        AskedValidity {
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }

    /// An authorization that it rests on is gone; it cannot be fulfilled any more.
    #[must_use]
    pub fn without_evidence(&self, now: UnixTime, name: &San) -> Option<Change> {
        let part = self.parts.first()?;
        let event = OrderEvent::AuthorizationLost {
            authorization: part.authorization,
            identifier: name.clone(),
            failure: ProofFailure {
                kind: FailureKind::Unauthorized,
                detail: format!("no valid authorization for {name} is left"),
                observations: Vec::new(),
            },
        };
        let next = self.step(now, &event)?;
        Some(Change::order_ended(
            now,
            Actor::Authority,
            self.version,
            next,
        ))
    }

    /// The state as of `now`: an order that nobody fulfilled in time is invalid (§7.1.6).
    #[must_use]
    pub fn status_at(&self, now: UnixTime) -> &'static str {
        if self.is_expired(now) {
            "invalid"
        } else {
            self.state.name()
        }
    }

    /// Whether nothing can come of it any more: it failed, was ended, or ran out.
    #[must_use]
    pub fn came_to_nothing(&self, now: UnixTime) -> bool {
        match self.state {
            OrderState::Pending | OrderState::Ready => self.is_expired(now),
            OrderState::Processing { .. } | OrderState::Valid { .. } => false,
            OrderState::Invalid { .. } | OrderState::Cancelled => true,
        }
    }

    /// Whether it ran out before it was fulfilled.
    #[must_use]
    pub fn is_expired(&self, now: UnixTime) -> bool {
        matches!(self.state, OrderState::Pending | OrderState::Ready) && now >= self.expires
    }

    /// The number of its certificate, once there is one.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateId> {
        matches!(self.state, OrderState::Valid { .. }).then(|| CertificateId::of(self.id))
    }

    /// The CSR digest of the finalize that won, if one has.
    #[must_use]
    pub fn finalized_with(&self) -> Option<&Digest32> {
        match &self.state {
            OrderState::Processing { claim } => Some(&claim.csr_digest),
            OrderState::Valid { csr_digest } => Some(csr_digest),
            OrderState::Pending
            | OrderState::Ready
            | OrderState::Invalid { .. }
            | OrderState::Cancelled => None,
        }
    }

    /// RFC 8555 §7.1.6: the only place where an order changes state. `None`: the event changes nothing here.
    #[must_use]
    pub fn step(&self, now: UnixTime, event: &OrderEvent) -> Option<Self> {
        if self.is_expired(now) && !matches!(event, OrderEvent::Restored) {
            return None;
        }
        match (&self.state, event) {
            (OrderState::Pending, OrderEvent::AuthorizationValid(id)) => self.satisfied(*id),
            (
                OrderState::Pending | OrderState::Ready,
                OrderEvent::AuthorizationLost {
                    identifier,
                    failure,
                    ..
                },
            ) => Some(self.moved(OrderState::Invalid {
                identifier: Some(identifier.clone()),
                failure: failure.clone(),
            })),
            (OrderState::Ready, OrderEvent::Claimed(claim)) => {
                Some(self.moved(OrderState::Processing {
                    claim: claim.as_ref().clone(),
                }))
            }
            (OrderState::Processing { claim }, OrderEvent::Signed) => {
                Some(self.moved(OrderState::Valid {
                    csr_digest: claim.csr_digest,
                }))
            }
            // The certificate that is being signed was earned; but another one would not be.
            (
                OrderState::Processing { .. },
                OrderEvent::AuthorizationLost { authorization, .. },
            ) => Some(self.unsatisfied(*authorization)),
            (OrderState::Processing { .. }, OrderEvent::ClaimLost) => Some(self.without_claim()),
            // Also behind a claim of an older copy of the store: that claim was lost, and the order was claimed anew.
            (
                OrderState::Pending
                | OrderState::Ready
                | OrderState::Processing { .. }
                | OrderState::Invalid { .. }
                | OrderState::Cancelled,
                OrderEvent::Restored,
            ) => Some(self.moved(OrderState::Valid {
                csr_digest: UNKNOWN_CSR,
            })),
            (OrderState::Pending | OrderState::Ready, OrderEvent::Cancelled) => {
                Some(self.moved(OrderState::Cancelled))
            }
            (
                OrderState::Pending
                | OrderState::Ready
                | OrderState::Processing { .. }
                | OrderState::Valid { .. }
                | OrderState::Invalid { .. }
                | OrderState::Cancelled,
                _,
            ) => None,
        }
    }

    /// Its account or an operator ends it before it is fulfilled.
    ///
    /// # Errors
    /// [`Refusal::OrderState`] when it is fulfilled, under way, or ended already.
    pub fn cancel(&self, now: UnixTime, actor: Actor) -> Result<Change, Refusal> {
        let refused = Refusal::OrderState {
            state: self.status_at(now),
            needed: "pending or ready",
        };
        let next = self.step(now, &OrderEvent::Cancelled).ok_or(refused)?;
        Ok(Change::order_ended(now, actor, self.version, next))
    }

    fn unsatisfied(&self, id: AuthorizationId) -> Self {
        let mut next = self.moved(self.state.clone());
        for part in &mut next.parts {
            part.satisfied &= part.authorization != id;
        }
        next
    }

    /// Ready again, unless an authorization was lost while the claim stood.
    fn without_claim(&self) -> Self {
        if self.parts.iter().all(|part| part.satisfied) {
            return self.moved(OrderState::Ready);
        }
        self.moved(OrderState::Invalid {
            identifier: None,
            failure: ProofFailure {
                kind: FailureKind::Unauthorized,
                detail: "an authorization of this order was deactivated".to_owned(),
                observations: Vec::new(),
            },
        })
    }

    fn satisfied(&self, id: AuthorizationId) -> Option<Self> {
        let mut next = self.moved(OrderState::Pending);
        let news = |part: &&mut Part| part.authorization == id && !part.satisfied;
        next.parts.iter_mut().find(news)?.satisfied = true;
        if next.parts.iter().all(|part| part.satisfied) {
            next.state = OrderState::Ready;
        }
        Some(next)
    }

    fn moved(&self, state: OrderState) -> Self {
        Self {
            version: self.version + 1,
            state,
            ..self.clone()
        }
    }
}

impl From<Order> for Record {
    fn from(order: Order) -> Self {
        Self::Order(order)
    }
}

#[cfg(test)]
mod tests;
