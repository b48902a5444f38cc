//! The end of an account (§7.3.6).

use serde_json::{Value, json};

use super::Target;
use super::judge::{answered, hold, kind, refused, refused_as, short, text};
use super::subscriber::Subscriber;
use super::verdict::{Check, Outcome, Short};
use crate::Reply;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        76,
        "§7.3.6",
        "Only its key ends an account; every later request of it is 401 unauthorized",
        an_account_ends_by_its_own_key,
    ),
    Check::should(
        77,
        "§7.3.6",
        "The end of an account cancels its pending orders and revokes no certificate",
        the_end_touches_orders_only,
    ),
    Check::must(
        78,
        "§7.3.6",
        "An account that has ended never comes back",
        the_end_is_for_ever,
    ),
];

fn end() -> Value {
    json!({ "status": "deactivated" })
}

fn ended(target: &Target) -> Result<Subscriber<'_>, Short> {
    let account = target.subscriber()?;
    deactivate(&account)?;
    Ok(account)
}

fn deactivate(account: &Subscriber<'_>) -> Outcome {
    let reply = account.send(&account.url, &end())?;
    answered(&reply, "deactivation", &[200])?;
    let status = &reply.json()["status"];
    hold(status == "deactivated", || {
        format!("an ended account is {status}")
    })
}

fn an_account_ends_by_its_own_key(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    let order = account.order(&[&target.name()])?;
    let reply = other.send(&account.url, &end())?;
    refused(&reply, "deactivation by another account")?;
    account.look(&account.url)?;
    deactivate(&account)?;
    let later: [(&str, Reply); 4] = [
        ("newOrder", account.ask_order(&[&target.name()])?),
        ("the account", account.read(&account.url)?),
        ("an order", account.read(&order.url)?),
        (
            "an update",
            account.send(&account.url, &json!({ "contact": [] }))?,
        ),
    ];
    for (what, reply) in later {
        let what = format!("{what} after deactivation");
        refused_as(&reply, &what, &[401], &["unauthorized"])?;
    }
    Ok(())
}

fn the_end_touches_orders_only(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let certificate = account.issue(&[&target.name()])?;
    let name = target.name();
    account.order(&[&name])?;
    deactivate(&account)?;
    // Where it can be revoked by its own key, it was not.
    let url = target.url("revokeCert")?;
    let asked = certificate.revocation(None)?;
    let reply = target.draft(&certificate.key, &url, Some(&asked)).send()?;
    hold(reply.status == 200, || {
        format!("the certificate of an ended account: {}", short(&reply))
    })?;
    // The order can only be seen from the other side.
    let operator = target.operator.as_ref();
    let status = operator.and_then(|it| it.order_status(&name));
    hold(
        status.as_deref().is_none_or(|status| status == "invalid"),
        || format!("a pending order of an ended account is {status:?}"),
    )
}

fn the_end_is_for_ever(target: &Target) -> Outcome {
    let account = ended(target)?;
    let reply = account.send(&account.url, &json!({ "status": "valid" }))?;
    refused(&reply, "status valid after deactivation")?;
    let reply = target.register(&account.key, json!({}))?;
    if reply.status < 400 {
        let status = text(&reply.json()["status"]).to_owned();
        hold(status == "deactivated", || {
            format!("newAccount with an ended account's key: {status}")
        })?;
    } else {
        let known = kind(&reply) != "serverInternal" && reply.status < 500;
        hold(known, || {
            format!("newAccount with an ended account's key: {}", short(&reply))
        })?;
    }
    let url = reply.header("location").to_owned();
    let url = if url.is_empty() {
        account.url.clone()
    } else {
        url
    };
    let again = Subscriber {
        target,
        url,
        ..account
    };
    refused(
        &again.ask_order(&[&target.name()])?,
        "newOrder after newAccount",
    )
}
