//! Errors (§6.6, §6.7): judged on what every other check was answered with.

use serde_json::{Value, json};

use super::Target;
use super::judge::{ERROR_PREFIX, elements, hold, kind, short, text};
use super::target::Refusal;
use super::verdict::{Check, Level, Outcome, Short};

/// The names that are registered for this prefix, those of extensions included.
const REGISTERED: [&str; 35] = [
    "accountDoesNotExist",
    "alreadyReplaced",
    "alreadyRevoked",
    "autoRenewalCanceled",
    "autoRenewalCancellationInvalid",
    "autoRenewalExpired",
    "autoRenewalRevocationNotSupported",
    "badAttestationStatement",
    "badCSR",
    "badNonce",
    "badPublicKey",
    "badRevocationReason",
    "badSignatureAlgorithm",
    "caa",
    "compound",
    "connection",
    "dns",
    "externalAccountRequired",
    "incorrectResponse",
    "invalidContact",
    "invalidProfile",
    "malformed",
    "onionCAARequired",
    "openIDFederationCertificateValidity",
    "openIDFederationEntity",
    "orderNotReady",
    "rateLimited",
    "rejectedIdentifier",
    "serverInternal",
    "tls",
    "unauthorized",
    "unknownDelegation",
    "unsupportedContact",
    "unsupportedIdentifier",
    "userActionRequired",
];

pub(super) const CHECKS: &[Check] = &[
    Check::look_back(
        35,
        "§6.6",
        Level::Must,
        "A client over a limit is told rateLimited, and should be told when to come back",
        limits_say_when_to_come_back,
    ),
    Check::look_back(
        36,
        "§6.7",
        Level::Should,
        "Errors are problem documents with type, detail and status",
        errors_are_problem_documents,
    ),
    Check::look_back(
        37,
        "§6.7",
        Level::Must,
        "Under the ACME prefix only registered error types are used",
        error_types_are_registered,
    ),
    Check::look_back(
        38,
        "§6.7.1",
        Level::Must,
        "Identifiers stand in subproblems, never beside them",
        identifiers_stand_in_subproblems,
    ),
];

fn limits_say_when_to_come_back(target: &Target) -> Outcome {
    go_over_a_limit(target)?;
    let refusals = target.refusals();
    let mut limited = refusals
        .iter()
        .filter(|seen| seen.reply.status == 429 || kind(&seen.reply) == "rateLimited")
        .peekable();
    if limited.peek().is_none() {
        let why = "no limit was met, and none is known from outside";
        return Err(Short::NotOffered(why.to_owned()));
    }
    for seen in limited {
        told(
            seen,
            kind(&seen.reply) == "rateLimited",
            "is not rateLimited",
        )?;
        let has_time = !seen.reply.header("retry-after").is_empty();
        told(seen, has_time, "has no Retry-After")?;
    }
    Ok(())
}

/// Asks for one name more often than the operator says is accepted.
fn go_over_a_limit(target: &Target) -> Result<(), Short> {
    let max = target
        .operator
        .as_ref()
        .and_then(|it| it.orders_for_one_name_max());
    let Some(max) = max else { return Ok(()) };
    let account = target.subscriber()?;
    let name = target.name();
    for _ in 0..=max {
        account.ask_order(&[&name])?;
    }
    Ok(())
}

/// Makes some errors, so that there is something to judge when this is all that is asked.
fn some_refusals(target: &Target) -> Result<Vec<Refusal>, Short> {
    let account = target.subscriber()?;
    let new_order = target.url("newOrder")?;
    let strange = json!({ "type": "conform-a", "value": "a" });
    let stranger = json!({ "type": "conform-b", "value": "b" });
    for identifiers in [json!([]), json!([strange]), json!([strange, stranger])] {
        account.send(&new_order, &json!({ "identifiers": identifiers }))?;
    }
    account.read(&format!("{}0", account.url))?;
    Ok(target.refusals())
}

fn told(seen: &Refusal, condition: bool, otherwise: &str) -> Outcome {
    hold(condition, || {
        format!("{}: {} {otherwise}", seen.asked, short(&seen.reply))
    })
}

fn errors_are_problem_documents(target: &Target) -> Outcome {
    for seen in some_refusals(target)? {
        let object = seen.reply.json();
        let media_type = seen.reply.header("content-type");
        let is_problem = media_type.starts_with("application/problem+json") && object.is_object();
        told(&seen, is_problem, "is no problem document")?;
        for member in ["type", "detail"] {
            let named = object[member].is_string();
            told(&seen, named, &format!("has no {member}"))?;
        }
        let status = object["status"] == json!(seen.reply.status);
        told(&seen, status, &format!("says status {}", object["status"]))?;
    }
    Ok(())
}

fn error_types_are_registered(target: &Target) -> Outcome {
    for seen in some_refusals(target)? {
        let object = seen.reply.json();
        let below = elements(&object["subproblems"]).iter();
        for problem in std::iter::once(&object).chain(below) {
            let name = text(&problem["type"]).strip_prefix(ERROR_PREFIX);
            let registered = name.is_none_or(|name| REGISTERED.contains(&name));
            told(&seen, registered, "is of no registered type")?;
        }
    }
    Ok(())
}

fn identifiers_stand_in_subproblems(target: &Target) -> Outcome {
    for seen in some_refusals(target)? {
        let object = seen.reply.json();
        let aside = object.get("identifier").is_none();
        told(&seen, aside, "has an identifier at the top")?;
        let Some(below) = object.get("subproblems") else {
            let whole = kind(&seen.reply) != "compound";
            told(&seen, whole, "is compound without subproblems")?;
            continue;
        };
        told(&seen, below.is_array(), "has subproblems that are no list")?;
        for problem in elements(below) {
            let typed = problem["type"].is_string();
            told(&seen, typed, "has a subproblem without type")?;
            let identifier = problem.get("identifier");
            let named = identifier.is_none_or(is_identifier);
            told(&seen, named, "has a subproblem of no identifier")?;
        }
    }
    Ok(())
}

fn is_identifier(value: &Value) -> bool {
    value["type"].is_string() && value["value"].is_string()
}
