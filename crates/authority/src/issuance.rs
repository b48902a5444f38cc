//! From a ready order to a recorded certificate: claim, permit, record (design §2, law 2).
//!
//! [`claim`] decides whether a certificate is made and composes it; the change it returns fixes serial, bytes and profile
//! on the order, so that only one finalize can win. Once that is durable, its [`Permit`] goes to the signer. [`record`]
//! turns the signature into the order's certificate.

use std::sync::Arc;

use chancery_crypto::Digest32;
use chancery_pki::lint::lint_leaf;
use chancery_pki::tbs::{self, assemble};
use chancery_pki::{Csr, KeyClass, LeafRequest, Linted, Profile, San, Serial, Tbs, UnixTime};

use crate::account::{AccountStatus, KeyTag, Owner};
use crate::authorization::Authorization;
use crate::binding::Binding;
use crate::certificate::{Certificate, CertificateStatus};
use crate::change::{Change, Need};
use crate::effect::{Decision, Effect};
use crate::gateway::Gateway;
use crate::id::{AccountId, CertificateId, OrderId};
use crate::issuer::LiveIssuer;
use crate::order::{Claim, Order, OrderEvent, OrderState};
use crate::refusal::{CsrRefusal, Denied, Refusal};

/// Everything that [`claim`] decides on.
#[derive(Debug)]
pub struct Finalize<'a> {
    /// Now.
    pub now: UnixTime,
    /// The order, as stored.
    pub order: &'a Order,
    /// Its authorizations, as stored.
    pub authorizations: &'a [Arc<Authorization>],
    /// The order's account.
    pub owner: Owner,
    /// The request, whose signature was verified.
    pub csr: &'a Csr,
    /// Whether the CSR's key belongs to an account.
    pub key_use: KeyUse,
    /// The order's gateway, as it is configured now and as its account sees it.
    pub gateway: &'a Gateway,
    /// What its account is bound to.
    pub binding: Option<&'a Binding>,
    /// Who will sign.
    pub issuer: &'a LiveIssuer,
    /// Fresh randomness for the serial.
    pub random: [u8; 16],
}

/// Whether a key already serves as an account key (RFC 8555 §11.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyUse {
    /// Of an account.
    AccountKey,
    /// As far as known of none; the claim needs that no account is found by any of these.
    NotOf(Vec<KeyTag>),
}

/// The right to have one certificate signed: bytes that passed the lint, for the order that claimed exactly these bytes.
#[derive(Debug)]
pub struct Permit {
    linted: Linted,
    order: OrderId,
    account: AccountId,
    serial: Serial,
    profile: String,
}

impl Permit {
    /// Binds linted bytes to the claim of the order; a lint result cannot be spent twice.
    ///
    /// # Errors
    /// [`Refusal::OrderState`] when the order claims nothing, or claims other bytes.
    pub fn new(linted: Linted, order: &Order) -> Result<Self, Refusal> {
        let needed = "processing";
        let OrderState::Processing { claim } = &order.state else {
            return Err(Refusal::OrderState {
                state: order.state.name(),
                needed,
            });
        };
        if claim.tbs != linted.tbs().as_der() || claim.profile_hash != linted.profile_hash() {
            return Err(Refusal::OrderState {
                state: "processing other bytes",
                needed,
            });
        }
        Ok(Self {
            linted,
            order: order.id,
            account: order.account,
            serial: claim.serial,
            profile: order.profile.clone(),
        })
    }

    /// The permit of an order whose claim was stored before a restart; the bytes are linted anew.
    ///
    /// # Errors
    /// [`Refusal::Lint`], [`Refusal::OrderState`].
    pub fn resume(order: &Order, profile: &Profile, issuer: &LiveIssuer) -> Result<Self, Refusal> {
        let OrderState::Processing { claim } = &order.state else {
            return Err(Refusal::OrderState {
                state: order.state.name(),
                needed: "processing",
            });
        };
        let linted = lint(Tbs::from_der(claim.tbs.clone()), profile, issuer)?;
        Self::new(linted, order)
    }

    /// The order it is for.
    #[must_use]
    pub fn order(&self) -> OrderId {
        self.order
    }

    /// The account that will get the certificate.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// The claimed serial.
    #[must_use]
    pub fn serial(&self) -> Serial {
        self.serial
    }

    /// The profile's name.
    #[must_use]
    pub fn profile(&self) -> &str {
        &self.profile
    }

    /// The linted bytes.
    #[must_use]
    pub fn linted(&self) -> &Linted {
        &self.linted
    }
}

/// Decides on a finalize (§7.4). The CSR gives a key and a set of names to compare, nothing else.
///
/// # Errors
/// The [`Refusal`] to answer; the order stays as it is.
pub fn claim(finalize: &Finalize<'_>) -> Result<(Decision, Order), Refusal> {
    let Finalize {
        now,
        order,
        csr,
        gateway,
        issuer,
        ..
    } = finalize;
    match finalize.owner.status {
        AccountStatus::Valid => {}
        AccountStatus::Deactivated | AccountStatus::Revoked => {
            return Err(Denied::AccountInactive.into());
        }
    }
    if !matches!(order.state, OrderState::Ready) || order.is_expired(*now) {
        return Err(Refusal::OrderState {
            state: order.status_at(*now),
            needed: "ready",
        });
    }
    let profile = gateway.profile(Some(&order.profile))?;
    // The authority's own names stand in its configuration, not in the rules for clients.
    if order.account != AccountId::AUTHORITY {
        gateway.names.check_all(&order.names)?;
        issuer.check_names(&order.names)?;
    }
    check_csr(finalize, profile)?;
    check_evidence(*now, order, finalize.authorizations)?;
    gateway.caa.check(*now, order, finalize.authorizations)?;
    let counted = counted_by_binding(order, finalize.binding)?;
    let serial = Serial::new(*now, finalize.random);
    let shard = shard_of(&serial, issuer.record.crl_shards);
    let tbs = tbs::leaf(&LeafRequest {
        issuer: &issuer.certificate,
        profile,
        serial,
        now: *now,
        asked: order.asked_validity(),
        spki: csr.spki(),
        names: &order.names,
        crl_url: &issuer.record.crl_url(shard),
        ca_issuers_url: &issuer.record.certificate_url(),
    })
    .map_err(|error| Refusal::NotIssuable(error.to_string()))?;
    let linted = lint(tbs, profile, issuer)?;
    let (_, not_after) = profile.validity_within(*now, order.asked_validity())?;
    let claim = Claim {
        issuer: issuer.record.id,
        serial,
        tbs: linted.tbs().as_der().to_vec(),
        profile_hash: linted.profile_hash(),
        csr_digest: csr.digest(),
        shard,
        not_after,
    };
    let next = order
        .step(*now, &OrderEvent::Claimed(Box::new(claim)))
        .ok_or_else(|| Refusal::OrderState {
            state: order.state.name(),
            needed: "ready",
        })?;
    let permit = Permit::new(linted, &next)?;
    let change = Change::order_claimed(
        *now,
        needs(finalize),
        (order.version, next.clone()),
        counted,
        serial.to_hex(),
    );
    Ok((
        Decision::new(change, vec![Effect::Sign(Box::new(permit))]),
        next,
    ))
}

/// The account's binding, with the version it had, if this certificate is one that it counts. Renewals are not: they take
/// another's place.
fn counted_by_binding(
    order: &Order,
    binding: Option<&Binding>,
) -> Result<Option<(u32, Binding)>, Refusal> {
    let Some(binding) = binding else {
        return Ok(None);
    };
    binding.check_holds()?;
    if order.replaces.is_some() {
        return Ok(None);
    }
    let next = binding.with_certificate()?;
    Ok(next.map(|next| (binding.version, next)))
}

/// What the claim was decided on, beside the order: the account as it was, and that no account has the key.
fn needs(finalize: &Finalize<'_>) -> Vec<Need> {
    let free: &[KeyTag] = match &finalize.key_use {
        KeyUse::AccountKey => &[],
        KeyUse::NotOf(tags) => tags,
    };
    let free = free.iter().copied().map(Need::NoAccountWith);
    finalize.owner.needs().chain(free).collect()
}

/// The signature arrived: the certificate and the valid order, as one change.
///
/// # Errors
/// [`Refusal::OrderState`] when the order no longer waits for it.
pub fn record(
    now: UnixTime,
    order: &Order,
    issuer: &LiveIssuer,
    signature: &[u8],
    journal_sequence: u64,
) -> Result<(Change, Order, Certificate), Refusal> {
    let refused = || Refusal::OrderState {
        state: order.state.name(),
        needed: "processing",
    };
    let OrderState::Processing { claim } = &order.state else {
        return Err(refused());
    };
    let certificate = Certificate {
        id: CertificateId::of(order.id),
        version: 1,
        issuer: claim.issuer,
        serial: claim.serial,
        order: order.id,
        account: order.account,
        profile: order.profile.clone(),
        profile_hash: claim.profile_hash,
        not_after: claim.not_after,
        shard: claim.shard,
        der: assemble(
            &claim.tbs,
            issuer.certificate.signature_algorithm(),
            signature,
        ),
        status: CertificateStatus::Good,
        journal_sequence,
        created: now,
        replaced_by: None,
    };
    let next = order.step(now, &OrderEvent::Signed).ok_or_else(refused)?;
    let change =
        Change::certificate_recorded(now, order.version, next.clone(), certificate.clone());
    Ok((change, next, certificate))
}

/// The signer refused the claim before it journalled anything: the order may claim anew, under a new serial.
///
/// # Errors
/// [`Refusal::OrderState`] when the order waits for no signature.
pub fn void(now: UnixTime, order: &Order, why: &str) -> Result<Change, Refusal> {
    let refused = Refusal::OrderState {
        state: order.state.name(),
        needed: "processing",
    };
    let next = order.step(now, &OrderEvent::ClaimLost).ok_or(refused)?;
    Ok(Change::claim_voided(now, order.version, next, why))
}

/// Which CRL shard a serial belongs to; even, because the serial ends in random bits.
#[must_use]
pub fn shard_of(serial: &Serial, shards: u16) -> u16 {
    let [.., high, low] = serial.as_bytes();
    u16::from_be_bytes([*high, *low]) % shards.max(1)
}

fn lint(tbs: Tbs, profile: &Profile, issuer: &LiveIssuer) -> Result<Linted, Refusal> {
    lint_leaf(tbs, profile, &issuer.certificate).map_err(|error| Refusal::Lint {
        rule: error.rule,
        detail: error.detail,
    })
}

fn check_csr(finalize: &Finalize<'_>, profile: &Profile) -> Result<(), Refusal> {
    let (order, csr) = (finalize.order, finalize.csr);
    let extra: Vec<San> = csr.names().difference(&order.names).cloned().collect();
    if !extra.is_empty() {
        return Err(CsrRefusal::ExtraNames(extra).into());
    }
    let missing: Vec<San> = order.names.difference(csr.names()).cloned().collect();
    if !missing.is_empty() {
        return Err(CsrRefusal::MissingNames(missing).into());
    }
    match &finalize.key_use {
        KeyUse::AccountKey => return Err(CsrRefusal::AccountKey.into()),
        KeyUse::NotOf(_) => {}
    }
    let class = KeyClass::of(csr.spki().key());
    if !profile.keys.contains(&class) {
        let profile = profile.name.clone();
        return Err(CsrRefusal::KeyClass {
            profile,
            class: class.name().to_owned(),
        }
        .into());
    }
    Ok(())
}

/// Each name needs fresh evidence of its own (failures A1, A12): the evidence is looked for by identifier, not by position.
fn check_evidence(
    now: UnixTime,
    order: &Order,
    authorizations: &[Arc<Authorization>],
) -> Result<(), Refusal> {
    for name in &order.names {
        let proven = authorizations.iter().any(|authorization| {
            authorization.account == order.account
                && authorization.identifier == *name
                && order
                    .parts
                    .iter()
                    .any(|part| part.authorization == authorization.id)
                && authorization.evidence_at(now).is_some()
        });
        if !proven {
            return Err(Refusal::NoEvidence { name: name.clone() });
        }
    }
    Ok(())
}

/// The digest that names a claim to the signer.
#[must_use]
pub fn claim_digest(tbs: &[u8]) -> Digest32 {
    chancery_crypto::sha256(tbs)
}

#[cfg(test)]
mod tests;
