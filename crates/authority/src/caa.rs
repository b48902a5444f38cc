//! Who may issue for a name, as its owner says in DNS (CAA, RFC 8659 and RFC 8657): for which names that is asked, and
//! how long an answer counts. The records themselves are judged by the `prover`.

use std::sync::Arc;

use chancery_acme::ChallengeKind;
use chancery_pki::{DnsName, San, UnixTime};
use minicbor::{Decode, Encode};

use crate::audit::Actor;
use crate::authorization::{Authorization, AuthorizationState, Evidence, EvidenceKind};
use crate::change::{Change, ChangeKind};
use crate::id::AuthorizationId;
use crate::order::Order;
use crate::proof::Observation;
use crate::refusal::Refusal;

/// How long an answer counts (the CA/Browser Forum's Baseline Requirements §4.2.2.1; failures A1).
pub const CAA_FRESH_SECS: i64 = 8 * 3600;

/// An answer from the future is no answer, but the clocks of two nodes may differ a little.
const CLOCK_SLACK_SECS: i64 = 60;

/// A gateway's rules about CAA.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CaaRules {
    /// The names by which CAA records may permit this authority; without any, no record is asked for.
    pub identities: Vec<String>,
    /// Zones of one's own, whose names are not asked about.
    pub private_suffixes: Vec<DnsName>,
}

/// What a record must permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaTerms {
    /// The names of this authority.
    pub identities: Vec<String>,
    /// The URL of the account, as its client sees it (RFC 8657 §3).
    pub account_url: String,
}

/// One name to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaQuestion {
    /// The name; a wildcard has rules of its own.
    pub identifier: San,
    /// How control of it was proven (RFC 8657 §4).
    pub method: ChallengeKind,
    /// What must be permitted.
    pub terms: CaaTerms,
}

/// CAA permits the name: an entry of its authorization's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct CaaFinding {
    /// When the answer arrived.
    #[n(0)]
    pub at: UnixTime,
    /// What was seen.
    #[n(1)]
    pub observations: Vec<Observation>,
}

/// A name whose answer is too old.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaaDue {
    /// Where the new answer belongs.
    pub authorization: AuthorizationId,
    /// What to ask.
    pub question: CaaQuestion,
}

impl CaaRules {
    /// Whether this name is asked about. Addresses have no place in the tree of names.
    #[must_use]
    pub fn apply_to(&self, name: &San) -> bool {
        let (San::Dns(base) | San::Wildcard(base)) = name else {
            return false;
        };
        let is_private = |suffix: &DnsName| base == suffix || base.is_subdomain_of(suffix);
        !self.identities.is_empty() && !self.private_suffixes.iter().any(is_private)
    }

    /// What a record must permit for this name, if one is asked for.
    #[must_use]
    pub fn terms(&self, name: &San, account_url: &str) -> Option<CaaTerms> {
        self.apply_to(name).then(|| CaaTerms {
            identities: self.identities.clone(),
            account_url: account_url.to_owned(),
        })
    }

    /// The names among these authorizations that must be asked about anew, each for itself (failures A1).
    #[must_use]
    pub fn due(
        &self,
        now: UnixTime,
        authorizations: &[Arc<Authorization>],
        account_url: &str,
    ) -> Vec<CaaDue> {
        let due = |authorization: &Arc<Authorization>| {
            let evidence = authorization.evidence_at(now)?;
            let EvidenceKind::Challenge(method) = evidence.kind else {
                return None;
            };
            let identifier = &authorization.identifier;
            let terms = self.terms(identifier, account_url)?;
            let is_due = evidence
                .caa
                .as_ref()
                .is_none_or(|finding| !finding.counts_at(now));
            is_due.then(|| CaaDue {
                authorization: authorization.id,
                question: CaaQuestion {
                    identifier: identifier.clone(),
                    method,
                    terms,
                },
            })
        };
        authorizations.iter().filter_map(due).collect()
    }

    /// The last look before a certificate is composed: every name of the order that is asked about has an answer of its
    /// own that still counts. It goes by names, where [`CaaRules::due`] goes by authorizations (failures A1).
    ///
    /// # Errors
    /// [`Refusal::Caa`] with each name that has none.
    pub(crate) fn check(
        &self,
        now: UnixTime,
        order: &Order,
        authorizations: &[Arc<Authorization>],
    ) -> Result<(), Refusal> {
        let counts = |evidence: &Evidence| match evidence.kind {
            // The authority's own server, named by its operator.
            EvidenceKind::Configuration => true,
            EvidenceKind::Challenge(_) => evidence
                .caa
                .as_ref()
                .is_some_and(|finding| finding.counts_at(now)),
        };
        let lacks = |name: &&San| {
            let mut own = authorizations
                .iter()
                .filter(|authorization| authorization.identifier == **name);
            self.apply_to(name)
                && !own.any(|authorization| authorization.evidence_at(now).is_some_and(counts))
        };
        let without: Vec<_> = order.names.iter().filter(lacks).collect();
        if without.is_empty() {
            return Ok(());
        }
        let why = "the last CAA check is more than 8 hours old; finalize again";
        let without = without
            .into_iter()
            .map(|name| (name.clone(), why.to_owned()));
        Err(Refusal::Caa(without.collect()))
    }
}

impl CaaFinding {
    fn counts_at(&self, now: UnixTime) -> bool {
        (-CLOCK_SLACK_SECS..=CAA_FRESH_SECS).contains(&self.at.seconds_until(now))
    }
}

impl Authorization {
    /// CAA was asked about again, and permits the name still. `None` if it is no longer valid, so that nobody asks.
    #[must_use]
    pub fn caa_rechecked(&self, now: UnixTime, finding: CaaFinding) -> Option<Change> {
        let evidence = self.evidence_at(now)?.clone();
        let next = Self {
            version: self.version + 1,
            state: AuthorizationState::Valid {
                evidence: Evidence {
                    caa: Some(finding),
                    ..evidence
                },
            },
            ..self.clone()
        };
        let kind = ChangeKind::CaaRechecked;
        Some(Change::authorization_moved(
            now,
            Actor::Authority,
            kind,
            self.version,
            next,
        ))
    }
}

#[cfg(test)]
mod tests;
