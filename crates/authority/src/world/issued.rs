//! A whole order at once: every change of its way, ready to be applied one after the other.

use std::collections::BTreeSet;

use chancery_crypto::PrivateKey;
use chancery_pki::{San, UnixTime};

use super::{World, authorization_in, order_in};
use crate::audit::Actor;
use crate::authorization::Authorization;
use crate::certificate::{Certificate, Revocation};
use crate::change::Change;
use crate::id::AccountId;
use crate::order::Order;
use crate::recovery::JournalledIntent;

/// An order that went all its way.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Its changes, in order: placed; for each name taken up and proved; claimed; recorded.
    pub changes: Vec<Change>,
    /// The order at its end.
    pub order: Order,
    /// The order while its signature was under way.
    pub claimed: Order,
    /// Its authorizations at their end.
    pub authorizations: Vec<Authorization>,
    /// What the signer journalled.
    pub intent: JournalledIntent,
    /// The certificate.
    pub certificate: Certificate,
}

impl World {
    /// Decides a whole order, each step on the outcome of the one before.
    ///
    /// # Panics
    /// When the domain refuses a step.
    pub fn issue(&mut self, account: AccountId, names: BTreeSet<San>) -> Issued {
        let key = super::p256();
        self.issue_with_key(&key, account, names)
    }

    /// The same with a key at hand: making one costs more than all the rest.
    ///
    /// # Panics
    /// When the domain refuses a step.
    pub fn issue_with_key(
        &mut self,
        key: &PrivateKey,
        account: AccountId,
        names: BTreeSet<San>,
    ) -> Issued {
        let csr = self.csr_with_key(key, &names);
        let (placed, order, authorizations) = self.order(account, names).expect("an order");
        let mut changes = vec![placed];
        let (order, authorizations) = self.prove(order, &authorizations, &mut changes);
        let (claim, claimed) = self.claim(&order, &authorizations, &csr).expect("a claim");
        changes.push(claim);
        let sequence = u64::try_from(order.id.0).expect("numbers of records are positive");
        let intent = self.journalled(&claimed, sequence).expect("it claims");
        let (recorded, order, certificate) = self.record(&claimed, &intent).expect("a certificate");
        changes.push(recorded);
        Issued {
            changes,
            order,
            claimed,
            authorizations,
            intent,
            certificate,
        }
    }

    /// Takes up the first challenge of each authorization and proves it; the changes go to `changes`.
    ///
    /// # Panics
    /// When the domain refuses a step.
    pub fn prove(
        &self,
        mut order: Order,
        authorizations: &[Authorization],
        changes: &mut Vec<Change>,
    ) -> (Order, Vec<Authorization>) {
        let mut proven = Vec::with_capacity(authorizations.len());
        for authorization in authorizations {
            let taken = authorization.respond(self.now, 0).expect("a pending one");
            let taken = *taken.change.expect("the first answer is a change");
            let authorization = authorization_in(&taken).expect("it moves");
            changes.push(taken);
            let finding = authorization.on_finding(self.now, 0, self.proved(), Some(&order));
            let finding = *finding
                .expect("in time")
                .change
                .expect("a proof is a change");
            proven.push(authorization_in(&finding).expect("it moves"));
            order = order_in(&finding).unwrap_or(order);
            changes.push(finding);
        }
        (order, proven)
    }

    /// The revocation of a certificate that is good, and the certificate after it.
    ///
    /// # Panics
    /// When it is revoked already.
    #[must_use]
    pub fn revocation(&self, certificate: &Certificate, at: UnixTime) -> (Change, Certificate) {
        let revocation = certificate
            .revoke(at, Actor::Operator(0), None)
            .expect("no holds");
        let Revocation::Change(change) = revocation else {
            panic!("it is revoked already")
        };
        let revoked = super::only(&change, |record| match record {
            crate::change::Record::Certificate(certificate) => Some(certificate.clone()),
            _ => None,
        });
        (*change, revoked)
    }
}
