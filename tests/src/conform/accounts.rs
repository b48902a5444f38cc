//! Accounts (§7.3).

use chancery_crypto::PrivateKey;
use serde_json::{Value, json};

use super::Target;
use super::judge::{answered, hold, kind, links, recommended, refused, refused_as, short, text};
use super::verdict::{Check, Outcome, Short};
use crate::{Reply, new_key};

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        57,
        "§7.3",
        "A new account is 201 with its URL; what the server does not know is ignored and not repeated",
        a_new_account_is_what_was_understood,
    ),
    Check::must(
        58,
        "§7.3.1",
        "newAccount with a known key is 200 with the account's URL and changes nothing",
        a_known_key_finds_its_account,
    ),
    Check::must(
        59,
        "§7.3.1",
        "onlyReturnExisting makes no account: 400 accountDoesNotExist",
        looking_makes_no_account,
    ),
    Check::must(
        60,
        "§7.3",
        "mailto contacts are taken; a refused one is unsupportedContact or invalidContact, and bad ones should be",
        contacts_are_judged,
    ),
    Check::should(
        61,
        "§7.3",
        "A mailto with header fields or several addresses is refused",
        a_contact_is_one_address,
    ),
    Check::must(
        62,
        "§7.3",
        "Where there are terms, newAccount without agreement is refused",
        terms_have_to_be_agreed_to,
    ),
    Check::must(
        64,
        "§7.3.2",
        "An update ignores what cannot be updated and answers with the account",
        an_update_changes_what_it_may,
    ),
    Check::must(
        65,
        "§7.3.3",
        "After a change of terms requests are 403 userActionRequired with both links",
        changed_terms_are_told,
    ),
];

fn registered(target: &Target, key: &PrivateKey, more: Value) -> Result<Reply, Short> {
    let reply = target.register(key, more)?;
    answered(&reply, "newAccount", &[201])?;
    let located = reply.header("location").starts_with("https://");
    hold(located, || {
        format!("Location is {:?}", reply.header("location"))
    })?;
    Ok(reply)
}

fn a_new_account_is_what_was_understood(target: &Target) -> Outcome {
    let asked = json!({
        "conform": { "unknown": true },
        "orders": "https://elsewhere.test/orders",
        "onlyReturnExisting": false,
        "status": "deactivated",
    });
    let key = new_key();
    let reply = registered(target, &key, asked)?;
    let object = reply.json();
    hold(object["status"] == "valid", || {
        format!("a new account is {object}")
    })?;
    for member in ["conform", "onlyReturnExisting"] {
        hold(object.get(member).is_none(), || {
            format!("{member} is repeated in {object}")
        })?;
    }
    hold(
        text(&object["orders"]) != "https://elsewhere.test/orders",
        || "the orders list is where the client said".to_owned(),
    )
}

fn a_known_key_finds_its_account(target: &Target) -> Outcome {
    let key = new_key();
    let made = registered(target, &key, json!({}))?;
    let more = json!({ "contact": [target.mailbox()] });
    let found = target.register(&key, more)?;
    answered(&found, "newAccount with a known key", &[200])?;
    let urls = [&made, &found].map(|reply| reply.header("location").to_owned());
    hold(urls[0] == urls[1], || format!("one key has {urls:?}"))?;
    let contact = &found.json()["contact"];
    hold(contact.as_array().is_none_or(Vec::is_empty), || {
        format!("newAccount with a known key changed its contact to {contact}")
    })
}

fn looking_makes_no_account(target: &Target) -> Outcome {
    let key = new_key();
    for time in ["the first time", "again"] {
        let reply = target.register(&key, json!({ "onlyReturnExisting": true }))?;
        let what = format!("onlyReturnExisting {time}");
        refused_as(&reply, &what, &[400], &["accountDoesNotExist"])?;
    }
    registered(target, &key, json!({}))?;
    let reply = target.register(&key, json!({ "onlyReturnExisting": true }))?;
    answered(&reply, "onlyReturnExisting with an account", &[200])
}

fn contact(target: &Target, url: &str) -> Result<Reply, Short> {
    target.register(&new_key(), json!({ "contact": [url] }))
}

fn contacts_are_judged(target: &Target) -> Outcome {
    let reply = contact(target, &target.mailbox())?;
    answered(&reply, "a mailto contact", &[201])?;
    let cases = [
        ("conform:nobody", "unsupportedContact"),
        ("mailto:", "invalidContact"),
        ("mailto:nobody", "invalidContact"),
        ("mailto:@", "invalidContact"),
    ];
    let mut taken = Vec::new();
    for (url, expected) in cases {
        let reply = contact(target, url)?;
        if reply.status < 400 {
            taken.push(url);
        } else {
            refused_as(&reply, url, &[], &[expected])?;
        }
    }
    recommended(hold(taken.is_empty(), || format!("it takes {taken:?}")))
}

fn a_contact_is_one_address(target: &Target) -> Outcome {
    let one = target.mailbox();
    let second = one.replacen("mailto:", "", 1);
    let kinds = ["invalidContact", "unsupportedContact", "malformed"];
    for url in [format!("{one}?subject=conform"), format!("{one},{second}")] {
        refused_as(&contact(target, &url)?, &url, &[], &kinds)?;
    }
    Ok(())
}

fn terms_have_to_be_agreed_to(target: &Target) -> Outcome {
    if target.directory("meta")["termsOfService"].is_null() {
        return Err(Short::NotOffered("it has no terms".to_owned()));
    }
    let key = new_key();
    let no = json!({ "termsOfServiceAgreed": false });
    let reply = target.register(&key, no)?;
    refused(&reply, "newAccount without agreement")?;
    let reply = target.register(&key, json!({ "onlyReturnExisting": true }))?;
    hold(kind(&reply) == "accountDoesNotExist", || {
        format!("after newAccount without agreement: {}", short(&reply))
    })
}

fn an_update_changes_what_it_may(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let before = account.look(&account.url)?.json();
    let asked = json!({
        "contact": [target.mailbox()],
        "orders": "https://elsewhere.test/orders",
        "termsOfServiceAgreed": false,
        "status": "valid",
        "conform": true,
    });
    let reply = account.send(&account.url, &asked)?;
    answered(&reply, "an update", &[200])?;
    let object = reply.json();
    hold(object["status"] == "valid", || {
        format!("an update makes it {object}")
    })?;
    let contact = &object["contact"];
    // Not to keep contacts at all is the server's choice.
    let kept = contact.is_null() || *contact == json!([]) || *contact == json!([target.mailbox()]);
    hold(kept, || {
        format!("an update of the contact leaves it {contact}")
    })?;
    hold(
        object.get("conform").is_none() && object["orders"] == before["orders"],
        || format!("what cannot be updated stands in {object}"),
    )?;
    let reply = account.send(&account.url, &json!({ "status": "revoked" }))?;
    let status = account.look(&account.url)?.json()["status"].clone();
    hold(status == "valid", || {
        format!("status revoked: {}, then it is {status}", short(&reply))
    })
}

fn changed_terms_are_told(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let changed = target.operator.as_ref().is_some_and(|it| it.change_terms());
    if !changed {
        let why = "only an operator can change the terms, and none helps here";
        return Err(Short::NotOffered(why.to_owned()));
    }
    let reply = account.ask_order(&[&target.name()])?;
    let what = "newOrder after a change of terms";
    refused_as(&reply, what, &[403], &["userActionRequired"])?;
    let terms = links(&reply, "terms-of-service");
    hold(!terms.is_empty(), || {
        format!("{what}: no link to the terms")
    })?;
    let instance = &reply.json()["instance"];
    hold(instance.is_string(), || {
        format!("{what}: instance is {instance}")
    })
}
