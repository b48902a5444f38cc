//! Accounts with their keys decoded: decoding a key costs as much as a sixth of a verification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_authority::AccountId;
use chancery_authority::account::{Account, AccountStatus};
use chancery_jose::JwsKey;

/// Accounts in one generation: at about 1 KiB each, two generations are at most 40 MB.
const GENERATION_MAX: usize = 20_000;

/// An account ready to have its requests checked.
#[derive(Debug)]
pub struct LiveAccount {
    /// The record.
    pub account: Account,
    /// Its key, decoded.
    pub key: JwsKey,
}

impl LiveAccount {
    /// Whether it may act.
    #[must_use]
    pub fn is_active(&self) -> bool {
        match self.account.status {
            AccountStatus::Valid => true,
            AccountStatus::Deactivated | AccountStatus::Revoked => false,
        }
    }
}

/// Two generations: when the younger is full, it becomes the older, and what the older still held is forgotten unless it was
/// asked for meanwhile. Bounded, and no bookkeeping on a hit.
#[derive(Debug, Default)]
pub(crate) struct AccountCache {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<AccountId, Arc<LiveAccount>>,
    old: HashMap<AccountId, Arc<LiveAccount>>,
}

impl AccountCache {
    pub(crate) fn get(&self, id: AccountId) -> Option<Arc<LiveAccount>> {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.young.get(&id) {
            return Some(Arc::clone(found));
        }
        let found = generations.old.remove(&id)?;
        generations.insert(Arc::clone(&found));
        Some(found)
    }

    pub(crate) fn put(&self, live: Arc<LiveAccount>) {
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(live);
    }

    pub(crate) fn forget(&self, id: AccountId) {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(&id);
        generations.old.remove(&id);
    }
}

impl Generations {
    fn insert(&mut self, live: Arc<LiveAccount>) {
        let (id, version) = (live.account.id, live.account.version);
        let known = self.young.get(&id).or_else(|| self.old.get(&id));
        // Whoever loaded it before somebody changed it may put it here after that.
        if known.is_some_and(|known| known.account.version > version) {
            return;
        }
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, live);
    }
}
