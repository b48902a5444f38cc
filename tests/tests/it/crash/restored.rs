//! An older copy of the store put back (failures A9, D8): the signer's journal has what is missing.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use chancery_tests::{Account, Authority, Client, Issued, eventually};

const PUBLISHED_WITHIN: Duration = Duration::from_secs(5);

/// The files of the store.
fn store_files(folder: &Path) -> Vec<std::ffi::OsString> {
    let entries = fs::read_dir(folder).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .filter(|name| name.to_string_lossy().starts_with("chancery.db"))
        .collect()
}

fn copy_store(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for name in store_files(to) {
        fs::remove_file(to.join(name)).expect("it can be removed");
    }
    for name in store_files(from) {
        fs::copy(from.join(&name), to.join(&name)).expect("it can be copied");
    }
}

fn revoke(account: &Account<'_>, issued: &Issued, reason: i64) {
    assert_eq!(account.revoke(issued, Some(reason)).status, 200);
    eventually("it is on the CRL", PUBLISHED_WITHIN, || {
        issued.crl().contains(&issued.leaf().serial()).then_some(())
    });
}

/// By issuer and shard.
fn crl_numbers(authority: &Authority) -> BTreeMap<(u64, u64), u64> {
    let number = |value: &serde_json::Value| value.as_u64().expect("a number");
    let crls = authority.told(&["crl", "list"]);
    crls.iter()
        .map(|crl| {
            (
                (number(&crl["issuer"]), number(&crl["shard"])),
                number(&crl["number"]),
            )
        })
        .collect()
}

fn again<'c>(client: &'c Client, account: &Account<'_>) -> Account<'c> {
    let pkcs8 = account.key.to_pkcs8().expect("a key");
    let key = chancery_crypto::PrivateKey::from_pkcs8(&pkcs8).expect("a key");
    Account {
        client,
        key,
        url: account.url.clone(),
    }
}

#[test]
fn a9_an_older_store_gets_back_every_certificate_and_revocation() {
    let mut authority = Authority::start();
    let copy = authority.scratch("copy");
    let first_client = authority.client();
    let early_account = first_client.register();
    let before: Vec<Issued> = (0..3).map(|_| early_account.issue(&["a.test"])).collect();
    revoke(&early_account, &before[0], 1);

    authority.stop();
    copy_store(authority.data(), &copy);
    authority.serve();

    let second_client = authority.client();
    let early_account = again(&second_client, &early_account);
    let late_account = second_client.register();
    let after: Vec<Issued> = (0..3)
        .map(|_| early_account.issue(&["a.test", "b.test"]))
        .collect();
    let by_late_account = late_account.issue(&["c.test"]);
    revoke(&early_account, &before[1], 4);
    revoke(&early_account, &after[0], 5);
    assert!(
        authority
            .revoke(&by_late_account.serial(), "keyCompromise")
            .status
            .success()
    );
    eventually("it is on the CRL", PUBLISHED_WITHIN, || {
        by_late_account
            .crl()
            .contains(&by_late_account.leaf().serial())
            .then_some(())
    });
    let known = authority.certificates();
    let numbers = crl_numbers(&authority);

    authority.stop();
    copy_store(&copy, authority.data());
    authority.serve();

    let restored = authority.certificates();
    let in_short = |all: &[serde_json::Value]| -> BTreeMap<String, (String, String)> {
        let text = |value: &serde_json::Value| value.to_string();
        all.iter()
            .map(|one| {
                (
                    text(&one["serial"]),
                    (text(&one["status"]), text(&one["names"])),
                )
            })
            .collect()
    };
    assert_eq!(
        in_short(&restored),
        in_short(&known),
        "every certificate with its state"
    );
    authority.check_invariants();
    for (issued, reason) in [
        (&before[0], "keyCompromise"),
        (&before[1], "superseded"),
        (&after[0], "cessationOfOperation"),
        (&by_late_account, "keyCompromise"),
    ] {
        let shown = authority
            .told(&["cert", "show", &issued.serial()])
            .remove(0);
        assert_eq!(shown["revocation_reason"], reason, "{shown}");
        assert!(
            issued.crl().contains(&issued.leaf().serial()),
            "{} is on its CRL",
            issued.serial()
        );
    }
    // D8: the lists went on, and did not begin again.
    for (shard, number) in crl_numbers(&authority) {
        assert!(
            number >= numbers[&shard],
            "shard {shard:?}: {number} after {}",
            numbers[&shard]
        );
    }

    let third_client = authority.client();
    let early_account = again(&third_client, &early_account);
    let next = early_account.issue(&["d.test"]);
    revoke(&early_account, &next, 4);
    let (shard, shown) = (next.crl().number(), &numbers);
    assert!(shown.values().all(|number| *number >= 1) && shard >= 1);
    // The account that the old store does not know is made anew by its key.
    let late = third_client.register_with({
        let pkcs8 = late_account.key.to_pkcs8().expect("a key");
        chancery_crypto::PrivateKey::from_pkcs8(&pkcs8).expect("a key")
    });
    let _ = late.issue(&["e.test"]);
    authority.check_invariants();

    authority.restart();
    authority.check_invariants();
}
