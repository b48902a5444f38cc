//! Authorization before an order (§7.4.1).

use serde_json::json;

use super::Target;
use super::judge::{answered, hold, refused, text};
use super::subscriber::dns;
use super::verdict::{Check, Outcome, Short};

pub(super) const CHECKS: &[Check] = &[
    Check::should(
        89,
        "§7.4.1",
        "A name against policy is refused with 403 and a reason",
        a_refused_name_is_told,
    ),
    Check::must(
        90,
        "§7.4.1",
        "A new authorization is 201 with its URL, pending or known to be valid; wildcards are refused",
        an_authorization_comes_first,
    ),
];

fn new_authz(target: &Target) -> Result<String, Short> {
    let url = target.directory("newAuthz").as_str().map(str::to_owned);
    url.ok_or_else(|| Short::NotOffered("it has no newAuthz".to_owned()))
}

fn a_refused_name_is_told(target: &Target) -> Outcome {
    let url = new_authz(target)?;
    let Some(name) = &target.refused_name else {
        let why = "no name is known that its policy refuses";
        return Err(Short::NotOffered(why.to_owned()));
    };
    let account = target.subscriber()?;
    let reply = account.send(&url, &json!({ "identifier": dns(name) }))?;
    answered(&reply, "newAuthz against policy", &[403])?;
    hold(!reply.detail().is_empty(), || {
        "it gives no reason".to_owned()
    })
}

fn an_authorization_comes_first(target: &Target) -> Outcome {
    let url = new_authz(target)?;
    let account = target.subscriber()?;
    let name = target.name();
    let reply = account.send(&url, &json!({ "identifier": dns(&name) }))?;
    answered(&reply, "newAuthz", &[201])?;
    let object = reply.json();
    hold(
        matches!(text(&object["status"]), "pending" | "valid"),
        || format!("a new authorization is {object}"),
    )?;
    let located = reply.header("location").to_owned();
    let read = account.look(&located)?.json();
    hold(read["identifier"] == dns(&name), || {
        format!("the new authorization is for {}", read["identifier"])
    })?;
    let wildcard = json!({ "identifier": dns(&format!("*.{name}")) });
    refused(&account.send(&url, &wildcard)?, "newAuthz for a wildcard")
}
