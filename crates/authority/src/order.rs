//! Orders (RFC 8555 §7.1.3, §7.1.6, §7.4).

use std::collections::BTreeSet;

use chancery_crypto::{Digest32, Entropy};
use chancery_pki::{San, Serial, UnixTime};
use minicbor::{Decode, Encode};

use crate::account::Owner;
use crate::audit::Actor;
use crate::authorization::{Authorization, AuthorizationState, Challenge, Evidence, EvidenceKind};
use crate::change::{Change, Record};
use crate::gateway::{Gateway, NAMES_PER_ORDER_MAX};
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
}

impl Order {
    /// A new order with an authorization for each name.
    ///
    /// # Errors
    /// [`Refusal::NameCount`], [`Refusal::RejectedNames`], [`Refusal::NoChallengeFor`], [`Refusal::UnknownProfile`].
    pub fn create(
        now: UnixTime,
        now_millis: i64,
        ids: &mut IdSource,
        entropy: &dyn Entropy,
        gateway: &Gateway,
        owner: Owner,
        wanted: Wanted,
    ) -> Result<(Change, Self, Vec<Authorization>), Refusal> {
        let account = owner.id;
        let profile = gateway.profile(wanted.profile.as_deref())?;
        let max = NAMES_PER_ORDER_MAX.min(usize::from(profile.names_max));
        let count = wanted.names.len();
        if count == 0 || count > max {
            return Err(Refusal::NameCount { count, max });
        }
        let rejected: Vec<_> = wanted
            .names
            .iter()
            .filter_map(|name| {
                gateway
                    .names
                    .check(name)
                    .err()
                    .map(|why| (name.clone(), why))
            })
            .collect();
        if !rejected.is_empty() {
            return Err(Refusal::RejectedNames(rejected));
        }
        let id = OrderId(ids.next(now_millis));
        let authorization = |name: &San| {
            let kinds = gateway.methods_for(name);
            if kinds.is_empty() {
                return Err(Refusal::NoChallengeFor { name: name.clone() });
            }
            let challenge = |kind| {
                let mut token = [0; 32];
                entropy.fill(&mut token);
                Challenge::new(kind, token)
            };
            Ok(Authorization {
                id: AuthorizationId(ids.next(now_millis)),
                version: 1,
                account,
                order: id,
                identifier: name.clone(),
                state: AuthorizationState::Pending,
                expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
                challenges: kinds.into_iter().map(challenge).collect(),
            })
        };
        let authorizations: Vec<_> = wanted
            .names
            .iter()
            .map(authorization)
            .collect::<Result<_, _>>()?;
        let order = Self::with_parts(
            now,
            id,
            gateway,
            account,
            wanted.names,
            &authorizations,
            profile.name.clone(),
        );
        Ok((
            Change::order_created(now, owner, order.clone(), authorizations.clone()),
            order,
            authorizations,
        ))
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
                order: id,
                identifier: name.clone(),
                state: AuthorizationState::Valid {
                    evidence: evidence.clone(),
                },
                expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
                challenges: Vec::new(),
            })
            .collect();
        let order = Self::with_parts(
            now,
            id,
            gateway,
            AccountId::AUTHORITY,
            names,
            &authorizations,
            profile,
        );
        (
            Change::order_created(now, Owner::AUTHORITY, order.clone(), authorizations.clone()),
            order,
            authorizations,
        )
    }

    fn with_parts(
        now: UnixTime,
        id: OrderId,
        gateway: &Gateway,
        account: AccountId,
        names: BTreeSet<San>,
        authorizations: &[Authorization],
        profile: String,
    ) -> Self {
        let parts: Vec<_> = authorizations
            .iter()
            .map(|authorization| Part {
                authorization: authorization.id,
                satisfied: authorization.evidence_at(now).is_some(),
            })
            .collect();
        let all = parts.iter().all(|part| part.satisfied);
        Self {
            id,
            version: 1,
            account,
            gateway: gateway.name.clone(),
            created: now,
            expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
            names,
            parts,
            profile,
            verdict: Verdict::permit_what_is_proven(),
            state: if all {
                OrderState::Ready
            } else {
                OrderState::Pending
            },
        }
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
