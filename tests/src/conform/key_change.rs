//! Changing an account's key (§7.3.5).

use chancery_crypto::PrivateKey;
use serde_json::{Value, json};

use super::Target;
use super::draft::Draft;
use super::judge::{answered, hold, recommended, refused, short};
use super::subscriber::Subscriber;
use super::verdict::{Check, Outcome, Short};
use crate::jws::{Parts, jwk, key_header};
use crate::{Reply, new_key};

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        71,
        "§7.3.5",
        "A key changes only by a message of the new key, inside one of the old, that agree in everything",
        both_keys_have_to_agree,
    ),
    Check::must(
        72,
        "§7.3.5",
        "The inner message needs no nonce",
        the_inner_message_has_no_nonce,
    ),
    Check::must(
        73,
        "§7.3.5",
        "A key that another account has is refused, with that account's URL and should be with 409",
        a_taken_key_is_refused,
    ),
    Check::must(
        74,
        "§7.3.5",
        "Pending orders and authorizations outlive a change of key",
        orders_outlive_the_key,
    ),
];

/// The inner message of a change to `new`, every part of which can be another than it should be.
struct Inner<'a> {
    signer: &'a PrivateKey,
    header: Value,
    payload: Value,
}

impl<'a> Inner<'a> {
    fn honest(account: &Subscriber<'_>, new: &'a PrivateKey, url: &str) -> Self {
        let mut header = key_header(new, "", url);
        if let Some(header) = header.as_object_mut() {
            header.remove("nonce");
        }
        let old: Value = serde_json::from_str(&jwk(&account.key)).unwrap_or_default();
        Self {
            signer: new,
            header,
            payload: json!({ "account": account.url, "oldKey": old }),
        }
    }

    fn signed(&self) -> Value {
        let payload = self.payload.to_string();
        let parts = Parts::signed(self.signer, &self.header.to_string(), payload.as_bytes());
        let Parts {
            protected,
            payload,
            signature,
        } = parts;
        json!({ "protected": protected, "payload": payload, "signature": signature })
    }
}

pub(super) fn change(account: &Subscriber<'_>, new: &PrivateKey) -> Result<Reply, Short> {
    let url = account.target.url("keyChange")?;
    account.send(&url, &Inner::honest(account, new, &url).signed())
}

/// The same account with its new key.
pub(super) fn changed<'t>(
    account: Subscriber<'t>,
    new: PrivateKey,
) -> Result<Subscriber<'t>, Short> {
    answered(&change(&account, &new)?, "the right change of key", &[200])?;
    let account = Subscriber {
        key: new,
        ..account
    };
    answered(
        &account.read(&account.url)?,
        "the account with its new key",
        &[200],
    )?;
    Ok(account)
}

fn both_keys_have_to_agree(target: &Target) -> Outcome {
    let url = target.url("keyChange")?;
    let account = target.subscriber()?;
    let (new, stranger) = (new_key(), target.subscriber()?);
    let honest = || Inner::honest(&account, &new, &url);
    let without = |member: &str| {
        let mut inner = honest();
        if let Some(header) = inner.header.as_object_mut() {
            header.remove(member);
        }
        inner
    };
    let saying = |member: &str, value: Value| {
        let mut inner = honest();
        inner.payload[member] = value;
        inner
    };
    let theirs: Value = serde_json::from_str(&jwk(&stranger.key)).unwrap_or_default();
    let mut elsewhere = honest();
    elsewhere.header["url"] = json!(target.url("newOrder")?);
    let mut forged = honest();
    forged.signer = &stranger.key;
    let cases = [
        ("no jwk in the inner message", without("jwk")),
        ("a forged inner message", forged),
        ("another inner url", elsewhere),
        (
            "another account in it",
            saying("account", json!(stranger.url)),
        ),
        ("another old key in it", saying("oldKey", theirs)),
        ("no account in it", saying("account", Value::Null)),
        ("no old key in it", saying("oldKey", Value::Null)),
    ];
    for (what, inner) in cases {
        let reply = account.send(&url, &inner.signed())?;
        refused(&reply, &format!("a change of key with {what}"))?;
    }
    let reply = account.send(&url, &honest().payload)?;
    refused(&reply, "a change of key without an inner message")?;
    let outer = Draft::by_account(target, &new, &account.url, &url, Some(&honest().signed()));
    refused(
        &outer.send()?,
        "a change of key signed outside by the new one",
    )?;
    answered(
        &account.read(&account.url)?,
        "the account with its old key",
        &[200],
    )?;
    let old = Subscriber {
        target,
        key: copy_of(&account.key)?,
        url: account.url.clone(),
    };
    changed(account, copy_of(&new)?)?;
    refused(&old.read(&old.url)?, "the account with the key that it had")
}

/// A second handle on a key.
fn copy_of(key: &PrivateKey) -> Result<PrivateKey, Short> {
    let pkcs8 = key.to_pkcs8().map_err(|error| error.to_string())?;
    PrivateKey::from_pkcs8(&pkcs8).map_err(|error| Short::Fails(error.to_string()))
}

fn the_inner_message_has_no_nonce(target: &Target) -> Outcome {
    changed(target.subscriber()?, new_key()).map(drop)
}

fn a_taken_key_is_refused(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    let reply = change(&account, &other.key)?;
    refused(&reply, "a change to another account's key")?;
    let located = reply.header("location");
    hold(located == other.url, || {
        format!("the account that has the key is told as {located:?}")
    })?;
    recommended(hold(reply.status == 409, || {
        format!(
            "a change to another account's key: {}, not 409",
            short(&reply)
        )
    }))
}

fn orders_outlive_the_key(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let order = account.order(&[&name])?;
    let account = changed(account, new_key())?;
    let now = account.order_now(&order)?;
    hold(now.status() == "pending", || {
        format!("a pending order is {} after a change of key", now.status())
    })?;
    let ready = account.prove(&now)?;
    account.fetch(&ready, &[&name]).map(drop)
}
