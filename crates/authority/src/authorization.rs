//! Authorizations and their challenges (RFC 8555 §7.1.4, §7.1.5, §7.1.6, §7.5, §8).

use std::time::Duration;

use chancery_acme::ChallengeKind;
use chancery_crypto::{Entropy, sha256};
use chancery_pki::{San, UnixTime};
use minicbor::{Decode, Encode};

use crate::account::Owner;
use crate::asking::Asking;
use crate::audit::Actor;
use crate::caa::CaaFinding;
use crate::change::{Change, ChangeKind, Record};
use crate::effect::{Decision, Effect};
use crate::gateway::{Gateway, Offer};
use crate::id::{AccountId, AuthorizationId, IdSource, OrderId};
use crate::order::{ORDER_LIFETIME_SECS, Order, OrderEvent};
use crate::proof::{FailureKind, Observation, Proof, ProofFailure};
use crate::refusal::{Denied, Refusal};

/// Attempts at one challenge, the first included (RFC 8555 §8.2: servers should retry).
pub const ATTEMPTS_MAX: u8 = 3;

/// Wait before the second and the third attempt.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(4)];

/// A stored authorization.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Authorization {
    /// Its number.
    #[n(0)]
    pub id: AuthorizationId,
    /// Counts its writes.
    #[n(1)]
    pub version: u32,
    /// Whose it is.
    #[n(2)]
    pub account: AccountId,
    /// The order it was made for; none if it was asked for by itself (§7.4.1).
    #[n(3)]
    pub order: Option<OrderId>,
    /// What it authorizes. A wildcard's is never that of the plain name (failures A10).
    #[n(4)]
    pub identifier: San,
    /// Where it stands.
    #[n(5)]
    pub state: AuthorizationState,
    /// When it ends.
    #[n(6)]
    pub expires: UnixTime,
    /// The ways to satisfy it; any one suffices.
    #[n(7)]
    pub challenges: Vec<Challenge>,
    /// Whether later orders may rest on it.
    #[n(8)]
    pub reuse: Option<Reuse>,
}

/// What an authorization may serve for beside the order it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Reuse {
    /// For any later order of its account for the same identifier, as long as it is valid.
    #[n(0)]
    LaterOrders,
}

/// Finds the valid authorizations of one account for one identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReuseTag(pub [u8; 16]);

impl ReuseTag {
    /// The tag of an identifier for an account. A wildcard's is another than that of its base name (failures A10).
    #[must_use]
    pub fn new(account: AccountId, identifier: &San) -> Self {
        let digest = sha256(format!("{account} {identifier}").as_bytes());
        let mut tag = [0; 16];
        tag.copy_from_slice(&digest[..16]);
        Self(tag)
    }
}

/// Where an authorization stands.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AuthorizationState {
    /// No challenge is satisfied yet.
    #[n(0)]
    Pending,
    /// The identifier is proven.
    #[n(1)]
    Valid {
        /// What proved it.
        #[n(0)]
        evidence: Evidence,
    },
    /// A challenge failed.
    #[n(2)]
    Invalid,
    /// Its owner gave it up; it never suffices again (§7.5.2).
    #[n(3)]
    Deactivated,
}

impl AuthorizationState {
    fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid { .. } => "valid",
            Self::Invalid => "invalid",
            Self::Deactivated => "deactivated",
        }
    }
}

/// What proved an identifier, kept with it and with nothing else (failures A12).
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Evidence {
    /// How.
    #[n(0)]
    pub kind: EvidenceKind,
    /// When.
    #[n(1)]
    pub at: UnixTime,
    /// What was seen.
    #[n(2)]
    pub observations: Vec<Observation>,
    /// The last answer of CAA, where it is asked for.
    #[n(3)]
    pub caa: Option<CaaFinding>,
}

/// How an identifier was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum EvidenceKind {
    /// By this challenge.
    #[n(0)]
    Challenge(#[n(0)] ChallengeKind),
    /// The operator's configuration names it: the authority's own server certificate only.
    #[n(1)]
    Configuration,
}

/// One way to prove control.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Challenge {
    /// The method.
    #[n(0)]
    pub kind: ChallengeKind,
    /// 256 random bits (RFC 8555 §8.1).
    #[cbor(n(1), with = "minicbor::bytes")]
    pub token: [u8; 32],
    /// Where it stands.
    #[n(2)]
    pub state: ChallengeState,
}

/// Where a challenge stands.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum ChallengeState {
    /// The client has not answered.
    #[n(0)]
    Pending,
    /// Validation is under way.
    #[n(1)]
    Processing {
        /// When the client answered.
        #[n(0)]
        since: UnixTime,
        /// Attempts that failed.
        #[n(1)]
        failed_attempts: u8,
        /// The last failure.
        #[n(2)]
        last: Option<ProofFailure>,
    },
    /// Satisfied.
    #[n(2)]
    Valid {
        /// When.
        #[n(0)]
        at: UnixTime,
    },
    /// Failed for good.
    #[n(3)]
    Invalid {
        /// Why.
        #[n(0)]
        failure: ProofFailure,
    },
}

impl Challenge {
    /// A fresh challenge.
    #[must_use]
    pub fn new(kind: ChallengeKind, token: [u8; 32]) -> Self {
        Self {
            kind,
            token,
            state: ChallengeState::Pending,
        }
    }
}

/// What a validator found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Control was shown.
    Proved(Proof),
    /// It was not.
    Failed(ProofFailure),
}

impl Authorization {
    /// An authorization before any order (§7.4.1).
    ///
    /// # Errors
    /// [`Refusal::NotOffered`], [`Refusal::WildcardNotAlone`], [`Refusal::RejectedNames`], [`Refusal::NoChallengeFor`].
    pub fn ask(
        ids: &mut IdSource,
        asking: &Asking<'_>,
        identifier: San,
    ) -> Result<(Change, Self), Refusal> {
        let (now, gateway, owner) = (asking.now, asking.gateway, asking.owner);
        match gateway.pre_authorization {
            Offer::Made => {}
            Offer::NotMade => return Err(Refusal::NotOffered { what: "newAuthz" }),
        }
        if matches!(identifier, San::Wildcard(_)) {
            return Err(Refusal::WildcardNotAlone);
        }
        gateway.names.check_all([&identifier])?;
        asking.issuer.check_names([&identifier])?;
        let made = Self {
            id: AuthorizationId(ids.next(asking.now_millis)),
            version: 1,
            account: owner.id,
            order: None,
            state: AuthorizationState::Pending,
            expires: UnixTime(now.0 + ORDER_LIFETIME_SECS),
            challenges: fresh_challenges(gateway, &identifier, asking.entropy)?,
            identifier,
            reuse: Some(Reuse::LaterOrders),
        };
        let change = Change::authorization_created(now, owner, made.clone());
        Ok((change, made))
    }

    /// How later orders find it, if they may rest on it.
    #[must_use]
    pub fn reuse_tag(&self) -> Option<ReuseTag> {
        match (&self.state, self.reuse) {
            (AuthorizationState::Valid { .. }, Some(Reuse::LaterOrders)) => {
                Some(ReuseTag::new(self.account, &self.identifier))
            }
            _ => None,
        }
    }

    /// Whether a new order of this account at this gateway may rest on it for `name`: it is valid, was meant for that, and was
    /// proven in a way that the gateway still offers for such a name (failures A10).
    pub(crate) fn serves(
        &self,
        now: UnixTime,
        owner: Owner,
        gateway: &Gateway,
        name: &San,
    ) -> bool {
        let offered = |evidence: &Evidence| match evidence.kind {
            EvidenceKind::Challenge(kind) => gateway.methods_for(name).contains(&kind),
            EvidenceKind::Configuration => false,
        };
        self.account == owner.id
            && self.identifier == *name
            && self.reuse == Some(Reuse::LaterOrders)
            && self.evidence_at(now).is_some_and(offered)
    }

    /// Whether it authorizes its identifier at `now`.
    #[must_use]
    pub fn evidence_at(&self, now: UnixTime) -> Option<&Evidence> {
        match &self.state {
            AuthorizationState::Valid { evidence } if now < self.expires => Some(evidence),
            _ => None,
        }
    }

    /// The client says that challenge number `index` is ready (§7.5.1). Answering again changes nothing.
    ///
    /// # Errors
    /// [`Refusal::NoSuchChallenge`], [`Refusal::AuthorizationState`].
    pub fn respond(&self, now: UnixTime, index: u8) -> Result<Decision, Refusal> {
        let challenge = self
            .challenges
            .get(usize::from(index))
            .ok_or(Refusal::NoSuchChallenge)?;
        match (&self.state, &challenge.state) {
            (AuthorizationState::Pending, _) if now >= self.expires => {
                Err(Refusal::AuthorizationState { state: "expired" })
            }
            (AuthorizationState::Pending, ChallengeState::Pending) => {
                let state = ChallengeState::Processing {
                    since: now,
                    failed_attempts: 0,
                    last: None,
                };
                let next = self.with_challenge(index, state);
                let change = Change::authorization_moved(
                    now,
                    Actor::Account(self.account),
                    ChangeKind::ChallengeTaken,
                    self.version,
                    next,
                );
                Ok(Decision::new(
                    change,
                    vec![self.validation(index, Duration::ZERO)],
                ))
            }
            (AuthorizationState::Deactivated, _) => Err(Refusal::AuthorizationState {
                state: "deactivated",
            }),
            (
                AuthorizationState::Pending
                | AuthorizationState::Valid { .. }
                | AuthorizationState::Invalid,
                _,
            ) => Ok(Decision::nothing()),
        }
    }

    /// A validator is done with challenge number `index`. `order` is the order this was made for, as stored now.
    ///
    /// # Errors
    /// [`Refusal::AuthorizationState`] when the finding comes too late to matter, [`Denied::NotYours`] for another order.
    pub fn on_finding(
        &self,
        now: UnixTime,
        index: u8,
        finding: Finding,
        order: Option<&Order>,
    ) -> Result<Decision, Refusal> {
        self.check_order(order)?;
        let challenge = self
            .challenges
            .get(usize::from(index))
            .ok_or(Refusal::NoSuchChallenge)?;
        let (
            AuthorizationState::Pending,
            ChallengeState::Processing {
                since,
                failed_attempts,
                ..
            },
        ) = (&self.state, &challenge.state)
        else {
            return Err(Refusal::AuthorizationState {
                state: self.state.name(),
            });
        };
        if now >= self.expires {
            // Nobody can use it any more; it is closed, so that no start takes it up again.
            let detail = format!("the authorization for {} ran out first", self.identifier);
            let failure = ProofFailure {
                kind: FailureKind::Unauthorized,
                detail,
                observations: Vec::new(),
            };
            return Ok(self.failed(now, index, failure, order));
        }
        match finding {
            Finding::Proved(proof) => Ok(self.proved(now, index, proof, order)),
            Finding::Failed(failure) => {
                let failed = failed_attempts.saturating_add(1);
                match retry_delay(&failure, failed) {
                    Some(delay) => {
                        let why = failure.detail.clone();
                        let state = ChallengeState::Processing {
                            since: *since,
                            failed_attempts: failed,
                            last: Some(failure),
                        };
                        let next = self.with_challenge(index, state);
                        let change = Change::validation_retried(now, self.version, next, &why);
                        Ok(Decision::new(change, vec![self.validation(index, delay)]))
                    }
                    None => Ok(self.failed(now, index, failure, order)),
                }
            }
        }
    }

    /// The owner gives it up (§7.5.2); the order it was for cannot be fulfilled any more.
    ///
    /// # Errors
    /// [`Refusal::AuthorizationState`] when it is neither pending nor valid, [`Denied::NotYours`] for another order.
    pub fn deactivate(&self, now: UnixTime, order: Option<&Order>) -> Result<Decision, Refusal> {
        self.check_order(order)?;
        match self.state {
            AuthorizationState::Pending | AuthorizationState::Valid { .. }
                if now >= self.expires =>
            {
                Err(Refusal::AuthorizationState { state: "expired" })
            }
            AuthorizationState::Pending | AuthorizationState::Valid { .. } => {
                let next = Self {
                    version: self.version + 1,
                    state: AuthorizationState::Deactivated,
                    ..self.clone()
                };
                let failure = ProofFailure {
                    kind: FailureKind::Unauthorized,
                    detail: format!("the authorization for {} was deactivated", self.identifier),
                    observations: Vec::new(),
                };
                let actor = Actor::Account(self.account);
                Ok(self.lost(now, actor, next, order, failure))
            }
            AuthorizationState::Invalid | AuthorizationState::Deactivated => {
                Err(Refusal::AuthorizationState {
                    state: self.state.name(),
                })
            }
        }
    }

    /// The validations that were under way when the process ended.
    #[must_use]
    pub fn open_effects(&self) -> Vec<Effect> {
        if !matches!(self.state, AuthorizationState::Pending) {
            return Vec::new();
        }
        (0_u8..)
            .zip(&self.challenges)
            .filter(|(_, challenge)| matches!(challenge.state, ChallengeState::Processing { .. }))
            .map(|(index, _)| self.validation(index, Duration::ZERO))
            .collect()
    }

    fn proved(&self, now: UnixTime, index: u8, proof: Proof, order: Option<&Order>) -> Decision {
        let mut next = self.with_challenge(index, ChallengeState::Valid { at: proof.at });
        let kind = next.challenges[usize::from(index)].kind;
        next.state = AuthorizationState::Valid {
            evidence: Evidence {
                kind: EvidenceKind::Challenge(kind),
                at: proof.at,
                observations: proof.observations,
                caa: proof.caa,
            },
        };
        // A valid authorization may drop the other challenges (§7.1.4); nobody will need their tokens. Those before the one
        // that was satisfied stay, because a challenge's URL holds its place.
        while let Some(Challenge {
            state: ChallengeState::Pending,
            ..
        }) = next.challenges.last()
        {
            next.challenges.pop();
        }
        let event = OrderEvent::AuthorizationValid(self.id);
        let order = moved_order(now, order, &event);
        let change = Change::authorization_and_order_moved(
            now,
            Actor::Authority,
            ChangeKind::AuthorizationProved,
            (self.version, next),
            order,
        );
        Decision::new(change, Vec::new())
    }

    fn failed(
        &self,
        now: UnixTime,
        index: u8,
        failure: ProofFailure,
        order: Option<&Order>,
    ) -> Decision {
        let state = ChallengeState::Invalid {
            failure: failure.clone(),
        };
        let mut next = self.with_challenge(index, state);
        next.state = AuthorizationState::Invalid;
        self.lost(now, Actor::Authority, next, order, failure)
    }

    /// It suffices no more, and neither does the order.
    fn lost(
        &self,
        now: UnixTime,
        actor: Actor,
        next: Self,
        order: Option<&Order>,
        failure: ProofFailure,
    ) -> Decision {
        let why = failure.detail.clone();
        let event = OrderEvent::AuthorizationLost {
            authorization: self.id,
            identifier: self.identifier.clone(),
            failure,
        };
        let order = moved_order(now, order, &event);
        let change = Change::authorization_lost(now, actor, (self.version, next), order, &why);
        Decision::new(change, Vec::new())
    }

    /// What happens to an authorization concerns the order that it was made for, and no other (failures A12).
    fn check_order(&self, order: Option<&Order>) -> Result<(), Refusal> {
        if order.map(|order| order.id) == self.order {
            Ok(())
        } else {
            Err(Denied::NotYours.into())
        }
    }

    fn with_challenge(&self, index: u8, state: ChallengeState) -> Self {
        let mut next = Self {
            version: self.version + 1,
            ..self.clone()
        };
        if let Some(challenge) = next.challenges.get_mut(usize::from(index)) {
            challenge.state = state;
        }
        next
    }

    fn validation(&self, index: u8, after: Duration) -> Effect {
        Effect::Validate {
            authorization: self.id,
            challenge: index,
            after,
        }
    }
}

/// Challenges for an identifier, as the gateway offers them.
pub(crate) fn fresh_challenges(
    gateway: &Gateway,
    name: &San,
    entropy: &dyn Entropy,
) -> Result<Vec<Challenge>, Refusal> {
    let kinds = gateway.methods_for(name);
    if kinds.is_empty() {
        return Err(Refusal::NoChallengeFor { name: name.clone() });
    }
    let challenge = |kind| {
        let mut token = [0; 32];
        entropy.fill(&mut token);
        Challenge::new(kind, token)
    };
    Ok(kinds.into_iter().map(challenge).collect())
}

fn moved_order(now: UnixTime, order: Option<&Order>, event: &OrderEvent) -> Option<(u32, Order)> {
    let order = order?;
    Some((order.version, order.step(now, event)?))
}

/// Network trouble may pass; a wrong answer was given on purpose.
fn retry_delay(failure: &ProofFailure, failed_attempts: u8) -> Option<Duration> {
    match failure.kind {
        FailureKind::Connection | FailureKind::Dns | FailureKind::Tls | FailureKind::CaaLookup => {
            if failed_attempts >= ATTEMPTS_MAX {
                return None;
            }
            RETRY_AFTER
                .get(usize::from(failed_attempts).saturating_sub(1))
                .copied()
        }
        FailureKind::IncorrectResponse | FailureKind::Unauthorized | FailureKind::Caa => None,
    }
}

impl From<Authorization> for Record {
    fn from(authorization: Authorization) -> Self {
        Self::Authorization(authorization)
    }
}

#[cfg(test)]
mod tests;
