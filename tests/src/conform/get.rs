//! Reading resources (§6.3).

use http::Method;
use serde_json::json;

use super::Target;
use super::judge::{answered, hold, kind, refused, short, text};
use super::subscriber::first_authorization;
use super::verdict::{Check, Outcome};
use crate::new_key;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        21,
        "§6.3",
        "GET of anything but directory and newNonce is 405 malformed",
        resources_are_not_read_by_get,
    ),
    Check::must(
        23,
        "§6.3",
        "POST-as-GET is authenticated, and shows nobody's objects to others",
        reading_is_for_the_owner,
    ),
    Check::must(
        24,
        "§6.3",
        "Directory and newNonce answer GET and POST-as-GET",
        two_resources_answer_both_ways,
    ),
];

fn resources_are_not_read_by_get(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let order = account.order(&[&target.name()])?;
    let authorization = first_authorization(&order)?;
    let challenges = account.look(&authorization)?.json();
    let challenge = text(&challenges["challenges"][0]["url"]).to_owned();
    let urls = [
        ("newAccount", target.url("newAccount")?),
        ("newOrder", target.url("newOrder")?),
        ("revokeCert", target.url("revokeCert")?),
        ("an account", account.url),
        ("an order", order.url.clone()),
        ("finalize", order.finalize_url().to_owned()),
        ("an authorization", authorization),
        ("a challenge", challenge),
    ];
    for (what, url) in urls {
        let reply = target.ask(Method::GET, &url)?;
        hold(reply.status == 405 && kind(&reply) == "malformed", || {
            format!("GET of {what}: {}, not 405 malformed", short(&reply))
        })?;
    }
    Ok(())
}

fn reading_is_for_the_owner(target: &Target) -> Outcome {
    let (owner, other) = (target.subscriber()?, target.subscriber()?);
    let order = owner.order(&[&target.name()])?;
    let authorization = first_authorization(&order)?;
    let objects = [
        ("an order", &order.url),
        ("an account", &owner.url),
        ("an authorization", &authorization),
    ];
    for (what, url) in objects {
        owner.look(url)?;
        refused(&other.read(url)?, &format!("{what} of another account"))?;
        let forger = new_key();
        let forged = owner.draft(url, None).forged_by(&forger);
        refused(&forged.send()?, &format!("{what} by a forged signature"))?;
    }
    Ok(())
}

fn two_resources_answer_both_ways(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let new_nonce = target.url("newNonce")?;
    let get = target.ask(Method::GET, target.directory_url())?;
    answered(&get, "GET of the directory", &[200])?;
    let reply = account.read(target.directory_url())?;
    answered(&reply, "POST-as-GET of the directory", &[200])?;
    hold(
        reply.json()["newOrder"] == json!(target.url("newOrder")?),
        || "POST-as-GET of the directory gives another one".to_owned(),
    )?;
    let get = target.ask(Method::GET, &new_nonce)?;
    answered(&get, "GET of newNonce", &[200, 204])?;
    let reply = account.read(&new_nonce)?;
    answered(&reply, "POST-as-GET of newNonce", &[200, 204])?;
    hold(!reply.header("replay-nonce").is_empty(), || {
        "POST-as-GET of newNonce brings no nonce".to_owned()
    })
}
