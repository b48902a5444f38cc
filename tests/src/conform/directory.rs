//! The directory (§7.1, §7.1.1).

use http::Method;
use serde_json::{Value, json};

use super::Target;
use super::judge::{answered, elements, hold, short, text};
use super::subscriber::dns;
use super::verdict::{Check, Outcome};

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        40,
        "§7.1",
        "The directory leads to every other resource, newNonce among them",
        the_directory_leads_everywhere,
    ),
    Check::must(
        41,
        "§7.1.1",
        "newAuthz is in the directory only where it works",
        pre_authorization_is_real,
    ),
    Check::must(
        42,
        "§7.1.1",
        "meta, where there is one, is an object with members of the right types",
        meta_is_well_formed,
    ),
];

fn the_directory_leads_everywhere(target: &Target) -> Outcome {
    let reply = target.ask(Method::GET, target.directory_url())?;
    answered(&reply, "GET of the directory", &[200])?;
    let media_type = reply.header("content-type");
    hold(media_type.starts_with("application/json"), || {
        format!("the directory is said to be {media_type:?}")
    })?;
    for resource in ["newNonce", "newAccount", "newOrder", "revokeCert"] {
        let url = target.url(resource)?;
        let absolute = url
            .parse::<http::Uri>()
            .is_ok_and(|uri| uri.host().is_some());
        hold(absolute, || format!("{resource} is {url:?}, no URL"))?;
    }
    Ok(())
}

fn pre_authorization_is_real(target: &Target) -> Outcome {
    let new_authz = target.directory("newAuthz");
    if new_authz.is_null() {
        return Ok(());
    }
    let account = target.subscriber()?;
    let asked = json!({ "identifier": dns(&target.name()) });
    let reply = account.send(text(new_authz), &asked)?;
    hold(matches!(reply.status, 201 | 403), || {
        format!(
            "newAuthz: {}, neither made nor refused by policy",
            short(&reply)
        )
    })
}

fn meta_is_well_formed(target: &Target) -> Outcome {
    let meta = target.directory("meta");
    if meta.is_null() {
        return Ok(());
    }
    hold(meta.is_object(), || format!("meta is {meta}"))?;
    for member in ["termsOfService", "website"] {
        let value = &meta[member];
        let is_url = value.is_null() || text(value).contains(':');
        hold(is_url, || format!("{member} is {value}"))?;
    }
    let required = &meta["externalAccountRequired"];
    hold(required.is_null() || required.is_boolean(), || {
        format!("externalAccountRequired is {required}")
    })?;
    let caa = &meta["caaIdentities"];
    let is_domain = |value: &Value| {
        let in_alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        !text(value).is_empty() && text(value).chars().all(in_alphabet)
    };
    let domains = caa.is_null() || caa.is_array() && elements(caa).iter().all(is_domain);
    hold(domains, || format!("caaIdentities is {caa}"))
}
