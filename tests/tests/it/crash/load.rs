//! Clients that obtain and revoke without a pause, and what they must find again after a crash.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chancery_crypto::PrivateKey;
use chancery_tests::{Account, Authority, Client, Issued, Lost, Order, csr_for, new_key};

/// What clients were told, and what they had asked for when they heard no more.
#[derive(Default)]
pub(super) struct Heard {
    pub(super) certificates: BTreeSet<String>,
    pub(super) revoked: BTreeSet<String>,
    open: Vec<Open>,
}

/// A finalize without an answer.
struct Open {
    worker: usize,
    order: Order,
    key: PrivateKey,
    csr: Vec<u8>,
}

/// An account that outlives connections.
pub(super) struct Subscriber {
    url: String,
    pkcs8: Vec<u8>,
}

impl Subscriber {
    pub(super) fn register(client: &Client) -> Self {
        let account = client.register();
        let pkcs8 = account.key.to_pkcs8().expect("a key can be kept").to_vec();
        Self {
            url: account.url,
            pkcs8,
        }
    }

    pub(super) fn account<'c>(&self, client: &'c Client) -> Account<'c> {
        let key = PrivateKey::from_pkcs8(&self.pkcs8).expect("it was kept");
        Account {
            client,
            key,
            url: self.url.clone(),
        }
    }
}

pub(super) fn note<T>(heard: &Mutex<Heard>, what: impl FnOnce(&mut Heard) -> T) -> T {
    what(&mut heard.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One certificate after the other until the server is gone; every third is revoked.
pub(super) fn work(account: &Account<'_>, worker: usize, round: u32, heard: &Mutex<Heard>) {
    for n in 0_u32.. {
        let name = format!("r{round}-w{worker}-{n}.test");
        match one(account, worker, &name, n % 3 == 2, heard) {
            Ok(()) => {}
            Err(Lost::NoAnswer(_)) => return,
            Err(Lost::Refused(reply)) => {
                // What is told while the server goes down: come back later.
                assert_eq!(reply.status, 503, "{}", reply.text());
                assert!(
                    !reply.header("retry-after").is_empty(),
                    "{:?}",
                    reply.headers
                );
                return;
            }
        }
    }
}

fn one(
    account: &Account<'_>,
    worker: usize,
    name: &str,
    revoke: bool,
    heard: &Mutex<Heard>,
) -> Result<(), Lost> {
    let order = account.try_order(&[name])?;
    let order = account.try_prove(&order)?;
    let key = new_key();
    let csr = csr_for(&key, &[name]);
    let pkcs8 = key.to_pkcs8().expect("a key can be kept");
    let issued = account.try_fetch(&order, key, &csr).inspect_err(|_| {
        let key = PrivateKey::from_pkcs8(&pkcs8).expect("it was kept");
        note(heard, |heard| {
            heard.open.push(Open {
                worker,
                order: order.clone(),
                key,
                csr: csr.clone(),
            })
        });
    })?;
    let serial = issued.serial();
    note(heard, |heard| heard.certificates.insert(serial.clone()));
    if revoke {
        account.try_revoke(&issued, Some(4))?;
        note(heard, |heard| heard.revoked.insert(serial));
    }
    Ok(())
}

/// Asks for what was under way: there is one certificate for it in the end, or the order may be tried again.
pub(super) fn take_up(client: &Client, subscribers: &[Subscriber], heard: &Mutex<Heard>) {
    let open = note(heard, |heard| std::mem::take(&mut heard.open));
    for Open {
        worker,
        order,
        key,
        csr,
    } in open
    {
        let account = subscribers[worker].account(client);
        let wanted = key.public().clone();
        let issued = account.try_fetch(&order, key, &csr);
        let issued: Issued = issued.unwrap_or_else(|lost| panic!("{}: {lost:?}", order.url));
        assert_eq!(issued.leaf().spki().key(), &wanted, "{}", order.url);
        note(heard, |heard| heard.certificates.insert(issued.serial()));
    }
}

pub(super) fn nothing_is_lost(authority: &Authority, heard: &Mutex<Heard>) {
    let known = authority.certificates();
    let serial = |one: &serde_json::Value| one["serial"].as_str().unwrap_or_default().to_owned();
    let serials: BTreeSet<String> = known.iter().map(serial).collect();
    assert_eq!(serials.len(), known.len(), "no serial is there twice");
    let revoked: BTreeSet<String> = known
        .iter()
        .filter(|one| one["status"] == "revoked")
        .map(serial)
        .collect();
    note(heard, |heard| {
        let lost: Vec<_> = heard.certificates.difference(&serials).collect();
        assert!(
            lost.is_empty(),
            "certificates that clients have are not in the store: {lost:?}"
        );
        let lost: Vec<_> = heard.revoked.difference(&revoked).collect();
        assert!(
            lost.is_empty(),
            "revocations that were promised are lost: {lost:?}"
        );
    });
    authority.check_invariants();
}
