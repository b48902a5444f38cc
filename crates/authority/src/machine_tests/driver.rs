//! The engine's part: load, decide, apply, and walk the journal after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chancery_pki::{Csr, RevocationReason, San};

use super::events::{Asked, Found, Op, Shown, Whose};
use super::laws;
use crate::account::{AccountStatus, Owner};
use crate::audit::Actor;
use crate::authorization::{Authorization, ChallengeState, Finding};
use crate::certificate::Revocation;
use crate::change::{Change, Outcome};
use crate::id::{AccountId, AuthorizationId, IdSource};
use crate::issuance::{self, Finalize, KeyUse};
use crate::order::{Order, OrderState};
use crate::recovery::{JournalledIntent, reconcile};
use crate::world::{Model, World, authorization_in, names};

const NAMES: [&str; 4] = ["a.test", "b.test", "*.a.test", "c.b.test"];
const ACCOUNTS_MAX: usize = 3;
/// Few, so that they get somewhere.
const ORDERS_MAX: usize = 6;
const COPIES_MAX: usize = 8;

/// The authority as far as it decides, with the store and the journal under it.
pub(super) struct Machine {
    pub(super) model: Model,
    /// What the signer wrote, in order; an intent without a signature was cut off by a crash.
    pub(super) journal: Vec<JournalledIntent>,
    world: World,
    copies: Vec<Model>,
    csrs: BTreeMap<BTreeSet<San>, Csr>,
    /// Authorizations for which a proof was delivered. Nothing else may count as evidence.
    proved: BTreeSet<AuthorizationId>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        let world = World::new(seed);
        let mut model = Model::default();
        assert_eq!(model.apply(&world.initialised()), Outcome::Applied);
        let mut machine = Self {
            copies: vec![model.clone()],
            model,
            world,
            journal: Vec::new(),
            csrs: BTreeMap::new(),
            proved: BTreeSet::new(),
        };
        machine.step(&Op::Register);
        machine.step(&Op::Place {
            account: 0,
            names: 1,
        });
        machine.step(&Op::Place {
            account: 0,
            names: 6,
        });
        machine
    }

    /// Carries one event out, and judges.
    pub(super) fn step(&mut self, op: &Op) {
        match op {
            Op::Advance { order } => {
                if let Some(next) = self.next_of(*order) {
                    self.step(&next);
                }
            }
            Op::Pass { secs } => self.world.now.0 += secs,
            Op::Sign { order } => self.sign(*order, Signed::Yes),
            Op::Crash => self.restart(),
            Op::CrashUnsigned { order } => {
                if let Some(number) = self.claimed(*order) {
                    self.sign(number, Signed::No);
                }
                self.restart();
            }
            Op::Copy if self.copies.len() < COPIES_MAX => self.copies.push(self.model.clone()),
            Op::Copy => {}
            Op::Restore { copy } => {
                self.put_back(*copy);
                self.restart();
            }
            _ => {
                if let Some(change) = self.decide(op) {
                    self.apply(&change);
                    self.note_proof(op, &change);
                }
            }
        }
        laws::hold(&self.model, self.world.now);
    }

    /// The domain's answer to an event on the state as it is now; nothing when it refuses or has nothing to do.
    pub(super) fn decide(&mut self, op: &Op) -> Option<Change> {
        let now = self.world.now;
        match op {
            Op::Register if self.model.accounts.len() < ACCOUNTS_MAX => {
                Some(self.world.account().0)
            }
            Op::Register => None,
            Op::Place {
                account,
                names: mask,
            } => self.place(*account, *mask),
            Op::Respond {
                authorization,
                challenge,
            } => {
                let found = nth(&self.model.authorizations, *authorization)?;
                found
                    .respond(now, *challenge)
                    .ok()?
                    .change
                    .map(|change| *change)
            }
            Op::Find {
                authorization,
                challenge,
                finding,
                order,
            } => {
                let found = nth(&self.model.authorizations, *authorization)?;
                let order = self.order_for(found, *order)?;
                let finding = self.finding(*finding);
                let decision = found
                    .on_finding(now, *challenge, finding, Some(order))
                    .ok()?;
                decision.change.map(|change| *change)
            }
            Op::GiveUp {
                authorization,
                order,
            } => {
                let found = nth(&self.model.authorizations, *authorization)?;
                let order = self.order_for(found, *order)?;
                found
                    .deactivate(now, Some(order))
                    .ok()?
                    .change
                    .map(|change| *change)
            }
            Op::Finalize { order, csr, shown } => self.finalize(*order, *csr, *shown),
            Op::Record { intent } => self.record(*intent),
            Op::Void { order } => {
                let order = nth(&self.model.orders, self.claimed(*order)?)?;
                let OrderState::Processing { claim } = &order.state else {
                    return None;
                };
                let journalled = self.journal.iter().any(|it| it.serial == claim.serial);
                (!journalled).then(|| issuance::void(now, order, "the signer refused").ok())?
            }
            Op::Cancel { order } => {
                let order = nth(&self.model.orders, *order)?;
                order.cancel(now, Actor::Account(order.account)).ok()
            }
            Op::Revoke {
                certificate,
                reason,
            } => {
                let found = nth(&self.model.certificates, *certificate)?;
                let reasons = [
                    None,
                    Some(RevocationReason::KeyCompromise),
                    Some(RevocationReason::Superseded),
                ];
                let reason = reasons[usize::from(*reason) % reasons.len()];
                match found.revoke(now, Actor::CertificateKey, reason).ok()? {
                    Revocation::Change(change) => Some(*change),
                    Revocation::Already(_) => None,
                }
            }
            Op::Contact { account } => {
                let found = nth(&self.model.accounts, *account)?;
                Some(found.with_contact(now, vec![format!("mailto:{}@a.test", now.0)]))
            }
            Op::DeactivateAccount { account } => {
                Some(nth(&self.model.accounts, *account)?.deactivated(now))
            }
            Op::Advance { .. }
            | Op::Sign { .. }
            | Op::Pass { .. }
            | Op::Crash
            | Op::CrashUnsigned { .. }
            | Op::Copy
            | Op::Restore { .. } => None,
        }
    }

    fn next_of(&self, order: usize) -> Option<Op> {
        let (number, order) = at(&self.model.orders, order)?;
        match &order.state {
            OrderState::Pending => {
                let open = order.parts.iter().find(|part| !part.satisfied)?;
                let (authorization, (_, found)) = self
                    .model
                    .authorizations
                    .iter()
                    .enumerate()
                    .find(|(_, (id, _))| **id == open.authorization)?;
                let under_way = found.challenges.iter().position(|challenge| {
                    matches!(challenge.state, ChallengeState::Processing { .. })
                });
                Some(match under_way {
                    None => {
                        let challenge = u8::from(found.challenges.len() > 1 && order.id.0 % 3 == 0);
                        Op::Respond {
                            authorization,
                            challenge,
                        }
                    }
                    Some(index) => Op::Find {
                        authorization,
                        challenge: u8::try_from(index).ok()?,
                        finding: Found::Proved,
                        order: Whose::Own,
                    },
                })
            }
            OrderState::Ready => {
                let (csr, shown) = (Asked::TheOrders, Shown::TheOrders);
                Some(Op::Finalize {
                    order: number,
                    csr,
                    shown,
                })
            }
            OrderState::Processing { claim } => {
                let signed = self
                    .journal
                    .iter()
                    .filter(|intent| intent.signature.is_some());
                let intent = signed
                    .map(|intent| intent.serial)
                    .position(|it| it == claim.serial);
                Some(match intent {
                    None => Op::Sign { order: number },
                    Some(intent) => Op::Record { intent },
                })
            }
            OrderState::Valid { .. } | OrderState::Invalid { .. } | OrderState::Cancelled => None,
        }
    }

    /// One of the orders that wait for a signature.
    fn claimed(&self, number: usize) -> Option<usize> {
        let orders = self.model.orders.values().enumerate();
        let claimed: Vec<usize> = orders
            .filter(|(_, order)| matches!(order.state, OrderState::Processing { .. }))
            .map(|(place, _)| place)
            .collect();
        claimed.get(number % claimed.len().max(1)).copied()
    }

    /// Loses what came after a copy.
    pub(super) fn put_back(&mut self, copy: usize) {
        self.model = self.copies[copy % self.copies.len()].clone();
    }

    /// What the engine does when it starts: signed intents as they come, then the unsigned ones.
    pub(super) fn restart(&mut self) {
        // A start takes time, and numbers go on above what is stored.
        self.world.now.0 += 1;
        self.world.ids = IdSource::new(1, self.model.highest_id());
        let journal = std::mem::take(&mut self.journal);
        let signed = journal.iter().filter(|intent| intent.signature.is_some());
        let unsigned = journal.iter().filter(|intent| intent.signature.is_none());
        for intent in signed.chain(unsigned) {
            self.settle(intent);
        }
        self.journal = journal;
        laws::reconciled(&self.model, &self.world.issuer.record, &self.journal);
        laws::hold(&self.model, self.world.now);
    }

    fn settle(&mut self, intent: &JournalledIntent) {
        let issuer = self.world.issuer.record.id;
        if self
            .model
            .certificate_by_serial(issuer, intent.serial)
            .is_some()
        {
            return;
        }
        let spare = self.world.spare();
        let order = self.model.orders.get(&intent.order);
        let change = reconcile(self.world.now, intent, order, &self.world.issuer, spare);
        self.apply(&change);
    }

    /// A decision on fresh state always applies; the laws judge it first.
    fn apply(&mut self, change: &Change) {
        laws::judge(&self.model, change, self.world.now, &self.proved);
        assert_eq!(
            self.model.apply(change),
            Outcome::Applied,
            "{:?}",
            change.kind()
        );
    }

    fn note_proof(&mut self, op: &Op, change: &Change) {
        if let (
            Op::Find {
                finding: Found::Proved,
                ..
            },
            Some(moved),
        ) = (op, authorization_in(change))
        {
            self.proved.insert(moved.id);
        }
    }

    fn place(&mut self, account: usize, mask: u8) -> Option<Change> {
        let account = nth(&self.model.accounts, account)?;
        if self.model.orders.len() >= ORDERS_MAX {
            return None;
        }
        if account.status != AccountStatus::Valid {
            return None;
        }
        let chosen = NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| mask & (1 << bit) != 0);
        let chosen: Vec<&str> = chosen.map(|(_, name)| *name).collect();
        let account: AccountId = account.id;
        let (change, ..) = self.world.order(account, names(&chosen).ok()?).ok()?;
        Some(change)
    }

    fn order_for(&self, authorization: &Authorization, whose: Whose) -> Option<&Order> {
        match whose {
            Whose::Own => self.model.orders.get(&authorization.order?),
            Whose::Other(number) => nth(&self.model.orders, number),
        }
    }

    fn finding(&self, finding: Found) -> Finding {
        match finding {
            Found::Proved => self.world.proved(),
            Found::Failed(kind) => self.world.failed(kind),
        }
    }

    fn finalize(&mut self, order: usize, asked: Asked, shown: Shown) -> Option<Change> {
        let order = nth(&self.model.orders, order)?.clone();
        let owner = Owner::from(self.model.accounts.get(&order.account)?);
        let mut wanted = order.names.clone();
        match asked {
            Asked::TheOrders => {}
            Asked::OneMore => wanted.extend(names(&["more.test"]).ok()?),
            Asked::OneLess => drop(wanted.pop_first()),
        }
        let csr = match self.csrs.get(&wanted) {
            Some(csr) => csr.clone(),
            None => {
                let csr = self.world.csr(&wanted);
                self.csrs.insert(wanted, csr.clone());
                csr
            }
        };
        let authorizations = match shown {
            Shown::TheOrders => self.model.authorizations_of(&order),
            Shown::Everybodys => self.model.authorizations.values().cloned().collect(),
            Shown::None => Vec::new(),
        };
        let authorizations: Vec<_> = authorizations.into_iter().map(Arc::new).collect();
        // Follows from the order and the journal, so that two decisions on one state are the same.
        let mut random = [0; 16];
        random[..8].copy_from_slice(&order.id.0.to_be_bytes());
        random[8..12].copy_from_slice(&order.version.to_be_bytes());
        random[12] = u8::try_from(self.journal.len()).expect("fewer than 256 steps");
        let (decision, _) = issuance::claim(&Finalize {
            now: self.world.now,
            order: &order,
            authorizations: &authorizations,
            owner,
            csr: &csr,
            key_use: KeyUse::NotOf(Vec::new()),
            gateway: &self.world.gateway,
            binding: None,
            issuer: &self.world.issuer,
            random,
        })
        .ok()?;
        decision.change.map(|change| *change)
    }

    fn record(&self, intent: usize) -> Option<Change> {
        let signed: Vec<_> = self
            .journal
            .iter()
            .filter(|it| it.signature.is_some())
            .collect();
        let intent = *signed.get(intent % signed.len().max(1))?;
        let order = self.model.orders.get(&intent.order)?;
        // The task that asked for the signature ends with its claim; a signature never meets another one.
        if let OrderState::Processing { claim } = &order.state
            && claim.serial != intent.serial
        {
            return None;
        }
        self.world
            .record(order, intent)
            .ok()
            .map(|(change, ..)| change)
    }

    fn sign(&mut self, order: usize, signed: Signed) {
        let Some(order) = nth(&self.model.orders, order) else {
            return;
        };
        let sequence = u64::try_from(self.journal.len()).expect("it is short") + 1;
        let Some(mut intent) = self.world.journalled(order, sequence) else {
            return;
        };
        if self.journal.iter().any(|it| it.serial == intent.serial) {
            return;
        }
        match signed {
            Signed::Yes => {}
            Signed::No => intent.signature = None,
        }
        self.journal.push(intent);
    }
}

enum Signed {
    Yes,
    No,
}

/// One of what is there, and its place.
fn at<K, V>(map: &BTreeMap<K, V>, number: usize) -> Option<(usize, &V)> {
    let place = number % map.len().max(1);
    map.values().nth(place).map(|found| (place, found))
}

fn nth<K, V>(map: &BTreeMap<K, V>, number: usize) -> Option<&V> {
    at(map, number).map(|(_, found)| found)
}
