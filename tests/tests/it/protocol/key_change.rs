//! Key change (RFC 8555 §7.3.5): each of its checks, and what stays as it was.

use chancery_crypto::PrivateKey;
use chancery_jose::{SignWith, sign};
use chancery_tests::{Account, Authority, Client, Reply, csr_for, new_key};
use serde_json::{Value, json};

/// An inner message as it should be; a test breaks one part of it.
struct Inner {
    url: String,
    nonce: Option<String>,
    account: String,
    old_key: Value,
}

impl Inner {
    fn of(account: &Account<'_>) -> Self {
        Self {
            url: account.client.url("keyChange"),
            nonce: None,
            account: account.url.clone(),
            old_key: jwk(&account.key),
        }
    }

    fn signed_by(&self, key: &PrivateKey, with: SignWith<'_>) -> Value {
        let payload = json!({ "account": self.account, "oldKey": self.old_key }).to_string();
        let body = sign(
            key,
            &self.url,
            self.nonce.as_deref(),
            with,
            Some(payload.as_bytes()),
        );
        serde_json::from_slice(&body.expect("signs")).expect("a JWS is JSON")
    }
}

fn jwk(key: &PrivateKey) -> Value {
    serde_json::from_str(&chancery_tests::jws::jwk(key)).expect("a JWK is JSON")
}

fn change(account: &Account<'_>, inner: &Value) -> Reply {
    account.send(&account.client.url("keyChange"), inner)
}

fn with_key<'c>(client: &'c Client, url: &str, key: PrivateKey) -> Account<'c> {
    Account {
        client,
        key,
        url: url.to_owned(),
    }
}

#[test]
fn after_a_key_change_the_new_key_has_everything_and_the_old_one_nothing() {
    let authority = Authority::start();
    let client = authority.client();
    let before = client.register();
    let issued = before.issue(&["done.test"]);
    let open = before.order(&["open.test"]);
    let new = new_key();
    let reply = change(&before, &Inner::of(&before).signed_by(&new, SignWith::Jwk));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("location"), before.url);

    let refused = before.read(&open.url);
    assert_eq!(refused.in_short(), "400 malformed", "{}", refused.text());
    let after = with_key(&client, &before.url, new);
    let ready = after
        .try_prove(&open)
        .expect("the order goes on under the new key");
    let key = new_key();
    let csr = csr_for(&key, &["open.test"]);
    after
        .try_fetch(&ready, key, &csr)
        .expect("and is fulfilled");
    assert_eq!(
        after.revoke(&issued, None).status,
        200,
        "what was issued before is its own"
    );
    // The old key may have an account of its own now.
    let again = client.register_with(before.key);
    assert_ne!(again.url, after.url);
    authority.check_invariants();
}

#[test]
fn each_check_of_a_key_change_refuses_and_leaves_the_key() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let other = client.register();
    let new = new_key();
    let good = || Inner::of(&account);
    let cases: [(&str, Value); 7] = [
        (
            "for another url",
            Inner {
                url: client.url("newOrder"),
                ..good()
            }
            .signed_by(&new, SignWith::Jwk),
        ),
        (
            "has a nonce",
            Inner {
                nonce: Some(client.nonce()),
                ..good()
            }
            .signed_by(&new, SignWith::Jwk),
        ),
        (
            "another account",
            Inner {
                account: other.url.clone(),
                ..good()
            }
            .signed_by(&new, SignWith::Jwk),
        ),
        (
            "oldKey",
            Inner {
                old_key: jwk(&other.key),
                ..good()
            }
            .signed_by(&new, SignWith::Jwk),
        ),
        (
            "oldKey",
            Inner {
                old_key: json!({}),
                ..good()
            }
            .signed_by(&new, SignWith::Jwk),
        ),
        ("jwk", good().signed_by(&new, SignWith::Kid(&account.url))),
        (
            "",
            json!({ "account": account.url, "oldKey": jwk(&account.key) }),
        ),
    ];
    for (says, inner) in cases {
        let reply = change(&account, &inner);
        assert_eq!(
            reply.in_short(),
            "400 malformed",
            "{says}: {}",
            reply.text()
        );
        assert!(reply.detail().contains(says), "{says}: {}", reply.detail());
    }
    let mut forged = good().signed_by(&new, SignWith::Jwk);
    forged["signature"] = good().signed_by(&other.key, SignWith::Jwk)["signature"].clone();
    assert_eq!(change(&account, &forged).in_short(), "400 malformed");
    assert_eq!(
        account.read(&account.url).status,
        200,
        "its key is still its key"
    );
}

#[test]
fn a_key_that_has_an_account_is_no_new_key() {
    let authority = Authority::start();
    let client = authority.client();
    let (account, other) = (client.register(), client.register());
    for taken in [&other, &account] {
        let reply = change(
            &account,
            &Inner::of(&account).signed_by(&taken.key, SignWith::Jwk),
        );
        assert_eq!(reply.status, 409, "{}", reply.text());
        assert_eq!(reply.header("location"), taken.url);
    }
    assert_eq!(account.read(&account.url).status, 200);
}

#[test]
fn of_two_key_changes_at_once_each_new_key_gets_at_most_one_account() {
    let authority = Authority::start();
    let client = authority.client();
    let accounts: Vec<Account<'_>> = (0..4).map(|_| client.register()).collect();
    let new = new_key();
    let replies: Vec<Reply> = std::thread::scope(|scope| {
        let running: Vec<_> = accounts
            .iter()
            .map(|account| {
                let inner = Inner::of(account).signed_by(&new, SignWith::Jwk);
                scope.spawn(move || change(account, &inner))
            })
            .collect();
        running
            .into_iter()
            .map(|one| one.join().expect("it answers"))
            .collect()
    });
    let with = |status| {
        replies
            .iter()
            .filter(|reply| reply.status == status)
            .count()
    };
    assert_eq!((with(200), with(409)), (1, accounts.len() - 1));
    authority.check_invariants();
}
