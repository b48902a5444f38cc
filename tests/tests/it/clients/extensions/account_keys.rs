//! Accounts that get another key (RFC 8555 §7.3.5), also of another kind.

use chancery_tests::{Authority, new_key, runtime};
use instant_acme::{Account, NewOrder};

use super::{acme_client, chain_in};
use crate::clients::instant_acme::{NEW_ACCOUNT, dns, issue};
use crate::clients::uacme::Uacme;
use crate::clients::{P256, RSA_2048, is_a_good_chain, is_a_good_chain_for, text_of};

#[test]
fn uacme_changes_its_key_from_a_curve_to_rsa() {
    let Some(uacme) = Uacme::start() else {
        return;
    };
    let key = uacme.authority.scratch("uacme/private/key.pem");
    let made = uacme.run(&["--type", "EC", "new"]);
    let before = text_of(&key);
    let changed = uacme.run(&["--type", "RSA", "--bits", "2048", "newkey"]);
    assert_ne!(text_of(&key), before, "{}", changed.stderr);
    let account = |said: &str| {
        let at = said.find("/account/").expect("the account is told");
        said[at..].split_whitespace().next().map(str::to_owned)
    };
    assert_eq!(account(&changed.stderr), account(&made.stderr));
    uacme.issue("http-01", &["--type", "EC", "issue", "a.test"]);
    is_a_good_chain_for(&uacme.authority, P256, &uacme.chain("a.test"), &["a.test"]);
}

#[test]
fn acme_client_changes_its_key_and_the_old_one_is_nobodys() {
    let authority = Authority::start();
    let Some(steps) = acme_client(&authority, "key-change", &[]) else {
        return;
    };
    let names = ["a.test", "www.a.test"];
    is_a_good_chain_for(&authority, RSA_2048, chain_in(&steps), &names);
    let changed = steps.iter().find(|told| told["step"] == "changed");
    let changed = changed.expect("the key was changed");
    assert_eq!(changed["same"], true, "it is the same account");
    let refused = changed["refused"].as_str().unwrap_or_default();
    assert_ne!(refused, "an order", "the old key is refused");
    authority.check_invariants();
}

#[test]
fn instant_acme_changes_its_key_and_goes_on() {
    let authority = Authority::start();
    let builder = || Account::builder_with_root(authority.root()).expect("the root");
    let chain = runtime().block_on(async {
        let (mut account, old) = builder()
            .create(&NEW_ACCOUNT, authority.directory().to_owned(), None)
            .await
            .expect("an account");
        let fresh = account.update_key().await.expect("another key");
        let before = builder().from_credentials(old).await.expect("an account");
        let identifiers = dns(&["a.test"]);
        let refused = before.new_order(&NewOrder::new(&identifiers)).await;
        assert!(refused.is_err(), "the old key is refused");
        let after = builder()
            .from_credentials(fresh)
            .await
            .expect("the account");
        assert_eq!(after.id(), account.id());
        issue(&after, authority.site(), &new_key(), &["a.test"]).await
    });
    is_a_good_chain(&authority, &chain, &["a.test"]);
    authority.check_invariants();
}
