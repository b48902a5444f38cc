//! Records as they were last written by this process: most requests ask for what was changed a moment ago.
//!
//! Filled by writes only, never by loads, and a record replaces only older versions of itself: whatever is found here was
//! durable, and nothing that this node wrote later is missed. A conflict drops the records it concerns, so that the next
//! look goes to the store.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use chancery_authority::authorization::Authorization;
use chancery_authority::certificate::Certificate;
use chancery_authority::order::Order;
use chancery_authority::{AuthorizationId, CertificateId, Change, OrderId, Record};

/// Records of one kind in one generation; two generations of three kinds are at most about 25 MB.
const GENERATION_MAX: usize = 4096;

/// What was written lately.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    orders: Generations<OrderId, Order>,
    authorizations: Generations<AuthorizationId, Authorization>,
    certificates: Generations<CertificateId, Certificate>,
}

/// The records of a change that is on its way to the store.
#[derive(Debug)]
pub(crate) struct Written(Vec<Record>);

impl Written {
    /// Keeps the records that are looked for often.
    pub(crate) fn of(change: &Change) -> Self {
        let kept = change.writes().iter().filter(|write| {
            matches!(
                write.record,
                Record::Order(_) | Record::Authorization(_) | Record::Certificate(_)
            )
        });
        Self(kept.map(|write| write.record.clone()).collect())
    }
}

impl Recent {
    /// The change was applied.
    pub(crate) fn remember(&self, written: Written) {
        for record in written.0 {
            match record {
                Record::Order(order) => {
                    self.orders.put(order.id, order.version, order);
                }
                Record::Authorization(authorization) => {
                    let (id, version) = (authorization.id, authorization.version);
                    self.authorizations.put(id, version, authorization);
                }
                Record::Certificate(certificate) => {
                    self.certificates
                        .put(certificate.id, certificate.version, certificate);
                }
                Record::Account(_)
                | Record::Issuer(_)
                | Record::Crl(_)
                | Record::Setting(_)
                | Record::Binding(_) => {}
            }
        }
    }

    /// The change met something else than it expected.
    pub(crate) fn forget(&self, written: &Written) {
        for record in &written.0 {
            match record {
                Record::Order(order) => self.orders.drop(order.id),
                Record::Authorization(authorization) => self.authorizations.drop(authorization.id),
                Record::Certificate(certificate) => self.certificates.drop(certificate.id),
                Record::Account(_)
                | Record::Issuer(_)
                | Record::Crl(_)
                | Record::Setting(_)
                | Record::Binding(_) => {}
            }
        }
    }

    pub(crate) fn order(&self, id: OrderId) -> Option<Arc<Order>> {
        self.orders.get(id)
    }

    pub(crate) fn authorization(&self, id: AuthorizationId) -> Option<Arc<Authorization>> {
        self.authorizations.get(id)
    }

    pub(crate) fn certificate(&self, id: CertificateId) -> Option<Arc<Certificate>> {
        self.certificates.get(id)
    }
}

/// When the young generation is full it becomes the old one, and what the old one held is forgotten.
#[derive(Debug)]
struct Generations<K, V>(Mutex<Pair<K, V>>);

#[derive(Debug)]
struct Pair<K, V> {
    young: HashMap<K, (u32, Arc<V>)>,
    old: HashMap<K, (u32, Arc<V>)>,
}

impl<K, V> Default for Generations<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Pair {
            young: HashMap::new(),
            old: HashMap::new(),
        }))
    }
}

impl<K: Eq + Hash + Copy, V> Generations<K, V> {
    fn get(&self, key: K) -> Option<Arc<V>> {
        let pair = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pair.young
            .get(&key)
            .or_else(|| pair.old.get(&key))
            .map(|(_, value)| Arc::clone(value))
    }

    fn put(&self, key: K, version: u32, value: V) {
        let mut pair = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pair
            .young
            .get(&key)
            .or_else(|| pair.old.get(&key))
            .map(|(known, _)| *known);
        // Two writes of one record may be remembered in the other order than they happened.
        if known.is_some_and(|known| known >= version) {
            return;
        }
        if pair.young.len() >= GENERATION_MAX {
            pair.old = std::mem::take(&mut pair.young);
        }
        pair.young.insert(key, (version, Arc::new(value)));
    }

    fn drop(&self, key: K) {
        let mut pair = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pair.young.remove(&key);
        pair.old.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_version_never_replaces_a_newer_one() {
        let kept: Generations<i64, &str> = Generations::default();
        kept.put(1, 3, "three");
        kept.put(1, 2, "two");
        assert_eq!(kept.get(1).as_deref(), Some(&"three"));
        kept.put(1, 4, "four");
        assert_eq!(kept.get(1).as_deref(), Some(&"four"));
        kept.drop(1);
        assert_eq!(kept.get(1), None);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_newest_stays() {
        let kept: Generations<usize, usize> = Generations::default();
        for key in 0..10 * GENERATION_MAX {
            kept.put(key, 1, key);
        }
        let held = (0..10 * GENERATION_MAX)
            .filter(|key| kept.get(*key).is_some())
            .count();
        assert!(held <= 2 * GENERATION_MAX, "{held}");
        assert!(kept.get(10 * GENERATION_MAX - 1).is_some());
        assert!(kept.get(0).is_none());
    }
}
