//! Judging an answer: what was expected, and one sentence on what came instead.

use serde_json::Value;

use super::verdict::{Outcome, Short};
use crate::Reply;

/// The prefix of every error type that ACME knows (RFC 8555 §6.7).
pub(super) const ERROR_PREFIX: &str = "urn:ietf:params:acme:error:";
/// A `detail` that is longer than this is cut in reports.
const DETAIL_SHOWN: usize = 120;

/// The last word of a problem's type, whatever parameters the media type has; empty where this is no ACME problem.
pub(super) fn kind(reply: &Reply) -> String {
    let media_type = reply.header("content-type");
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/problem+json") {
        return String::new();
    }
    let kind = reply.json();
    let kind = text(&kind["type"]);
    kind.strip_prefix(ERROR_PREFIX)
        .unwrap_or_default()
        .to_owned()
}

/// An answer in one line: `400 malformed "no such thing"`.
pub(super) fn short(reply: &Reply) -> String {
    let kind = kind(reply);
    let detail: String = reply.detail().chars().take(DETAIL_SHOWN).collect();
    let mut told = reply.status.to_string();
    if !kind.is_empty() {
        told = format!("{told} {kind}");
    }
    if !detail.is_empty() {
        told = format!("{told} {detail:?}");
    }
    told
}

/// Fails unless the condition holds.
pub(super) fn hold(condition: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(Short::Fails(otherwise()))
    }
}

/// What the RFC only recommends; asked last, when what it demands has held.
pub(super) fn recommended(outcome: Outcome) -> Outcome {
    outcome.map_err(|short| match short {
        Short::Fails(text) => Short::Recommended(text),
        other => other,
    })
}

/// Fails unless the status is one of these.
pub(super) fn answered(reply: &Reply, what: &str, statuses: &[u16]) -> Outcome {
    hold(statuses.contains(&reply.status), || {
        format!("{what}: {}, not {}", short(reply), any_of(statuses))
    })
}

/// Fails unless the server says that the client is wrong, in whatever words.
pub(super) fn refused(reply: &Reply, what: &str) -> Outcome {
    hold((400..500).contains(&reply.status), || {
        format!("{what}: {}, not a refusal", short(reply))
    })
}

/// Fails unless it is refused with one of these statuses (any 4xx where none is named) and one of these types.
pub(super) fn refused_as(reply: &Reply, what: &str, statuses: &[u16], kinds: &[&str]) -> Outcome {
    let right_status = if statuses.is_empty() {
        (400..500).contains(&reply.status)
    } else {
        statuses.contains(&reply.status)
    };
    let wanted = || {
        let status = if statuses.is_empty() {
            "4xx".to_owned()
        } else {
            any_of(statuses)
        };
        format!("{status} {}", kinds.join(" or "))
    };
    hold(
        right_status && kinds.contains(&kind(reply).as_str()),
        || format!("{what}: {}, not {}", short(reply), wanted()),
    )
}

/// The text of a JSON value, empty where it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The elements of a JSON array, none where it is none.
pub(super) fn elements(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The targets of the Link fields with this relation (RFC 8288).
pub(super) fn links(reply: &Reply, relation: &str) -> Vec<String> {
    let fields = reply.headers.get_all("link").iter();
    fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(','))
        .filter_map(|link| {
            let (url, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let mut parameters = parameters.split(';').map(str::trim);
            let is_it = parameters.any(|parameter| {
                let value = parameter.strip_prefix("rel=").unwrap_or_default();
                value.trim_matches('"') == relation
            });
            is_it.then(|| url.to_owned())
        })
        .collect()
}

/// Whether the text is made of base64url characters only.
pub(super) fn is_base64url(text: &str) -> bool {
    let in_alphabet = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !text.is_empty() && text.chars().all(in_alphabet)
}

fn any_of(statuses: &[u16]) -> String {
    let words: Vec<String> = statuses.iter().map(u16::to_string).collect();
    words.join(" or ")
}
