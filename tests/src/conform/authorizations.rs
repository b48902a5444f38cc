//! Authorizations (§7.5).

use serde_json::{Value, json};

use super::Target;
use super::judge::{answered, elements, hold, recommended, refused, text};
use super::subscriber::first_authorization;
use super::verdict::{Check, Outcome};
use crate::{csr_for, new_key};

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        96,
        "§7.5.1",
        "Unknown members of a challenge response are ignored",
        unknown_members_are_ignored,
    ),
    Check::must(
        97,
        "§7.5.1",
        "A challenge response that is no response is an error",
        a_bad_response_is_an_error,
    ),
    Check::must(
        98,
        "§7.1.4",
        "A valid authorization expires and keeps the challenge that was met; an invalid one should keep the one that failed",
        a_decided_authorization_tells_why,
    ),
    Check::must(
        99,
        "§7.5.1",
        "An authorization can be read at any time while it is validated",
        polling_is_answered,
    ),
    Check::must(
        101,
        "§7.5.2",
        "Only its account deactivates an authorization, and nothing is issued on it afterwards",
        a_deactivated_authorization_is_none,
    ),
];

fn unknown_members_are_ignored(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    account.provide(&challenge);
    let asked = json!({ "conform": { "unknown": [1] }, "more": "conform" });
    let reply = account.send(&challenge.url, &asked)?;
    answered(&reply, "a response with unknown members", &[200])?;
    let decided = account.outcome_of(&first_authorization(&order)?, &["pending"])?;
    hold(decided["status"] == "valid", || {
        format!("it makes the authorization {decided}")
    })
}

fn a_bad_response_is_an_error(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (_, challenge) = account.fresh_challenge("http-01")?;
    for bad in ["[]", "not JSON", "{", "1"] {
        let draft = account.draft(&challenge.url, None).saying(bad.as_bytes());
        refused(&draft.send()?, &format!("the response {bad:?}"))?;
    }
    let object = account.look(&challenge.url)?.json();
    let status = text(&object["status"]);
    hold(matches!(status, "pending" | "invalid"), || {
        format!("after responses that are none the challenge is {object}")
    })
}

fn a_decided_authorization_tells_why(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    account.prove(&order)?;
    let valid = account.look(&first_authorization(&order)?)?.json();
    hold(valid["expires"].is_string(), || {
        format!("a valid authorization is {valid}")
    })?;
    keeps(&valid, &challenge.url, "valid")?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    target.web.put(&challenge.token, "not the answer");
    account.respond(&challenge)?;
    let invalid = account.outcome_of(&first_authorization(&order)?, &["pending"])?;
    hold(invalid["status"] == "invalid", || {
        format!("a wrong answer makes it {invalid}")
    })?;
    recommended(keeps(&invalid, &challenge.url, "invalid"))
}

fn keeps(authorization: &Value, challenge: &str, status: &str) -> Outcome {
    let mut challenges = elements(&authorization["challenges"]).iter();
    let kept = challenges.any(|c| c["url"] == challenge && c["status"] == status);
    hold(kept, || {
        format!(
            "the {status} challenge {challenge} is not in {}",
            authorization["challenges"]
        )
    })
}

fn polling_is_answered(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    account.provide(&challenge);
    account.respond(&challenge)?;
    let authorization = first_authorization(&order)?;
    for url in [&authorization, &challenge.url, &order.url] {
        let reply = account.read(url)?;
        answered(&reply, "a look during validation", &[200])?;
        let status = reply.json()["status"].clone();
        hold(!text(&status).is_empty(), || {
            format!("a look during validation: {status}")
        })?;
    }
    let decided = account.outcome_of(&authorization, &["pending"])?;
    hold(decided["status"] == "valid", || {
        format!("in the end it is {decided}")
    })
}

fn a_deactivated_authorization_is_none(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    let name = target.name();
    let order = account.ready_order(&[&name])?;
    let authorization = first_authorization(&order)?;
    let end = json!({ "status": "deactivated" });
    refused(
        &other.send(&authorization, &end)?,
        "deactivation by another account",
    )?;
    let still = account.look(&authorization)?.json();
    hold(still["status"] == "valid", || {
        format!("after that it is {still}")
    })?;
    let reply = account.send(&authorization, &end)?;
    answered(&reply, "deactivation", &[200])?;
    let status = &reply.json()["status"];
    hold(status == "deactivated", || {
        format!("deactivation makes it {status}")
    })?;
    let reply = account.finalize(&order, &csr_for(&new_key(), &[&name]))?;
    refused(&reply, "finalize on a deactivated authorization")?;
    let again = account.order(&[&name])?;
    hold(again.status() == "pending", || {
        format!("a later order for the same name is {}", again.status())
    })
}
