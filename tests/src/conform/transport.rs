//! Characters, TLS and encodings (§5, §6.1).

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::Target;
use super::judge::{answered, hold, refused, short};
use super::verdict::{Check, Outcome};
use crate::{Http, Reply, Version, new_key};

/// A server that speaks TLS only may wait for its first octets.
const PLAIN_ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        1,
        "§5",
        "Everything is UTF-8: answers are, and signatures cover UTF-8 octets",
        texts_are_utf8,
    ),
    Check::must(
        2,
        "§6.1",
        "Resources are served over TLS only",
        plain_http_is_not_served,
    ),
    Check::should(
        5,
        "§6.1",
        "Scripts of any origin may read the answers (CORS)",
        browsers_may_read_answers,
    ),
    Check::must(
        6,
        "§6.1",
        "Base64url with padding is refused",
        padding_is_refused,
    ),
];

fn texts_are_utf8(target: &Target) -> Outcome {
    let account = target.subscriber_with(new_key())?;
    let new_account = target.url("newAccount")?;
    let payload = json!({ "termsOfServiceAgreed": true, "conform": "Grüße, ☃" });
    let reply = target
        .draft(&account.key, &new_account, Some(&payload))
        .send()?;
    answered(&reply, "a payload beyond ASCII", &[200])?;
    is_utf8_json(&reply, "the account")?;
    is_utf8_json(
        &target.ask(Method::GET, target.directory_url())?,
        "the directory",
    )?;
    let reply = account.ask_order(&["grüße.☃.test"])?;
    refused(&reply, "a name that is not ASCII")?;
    is_utf8_json(&reply, "the problem with a name that is not ASCII")
}

fn is_utf8_json(reply: &Reply, what: &str) -> Outcome {
    let is_json = std::str::from_utf8(&reply.body).is_ok() && !reply.json().is_null();
    hold(is_json, || format!("{what} is not JSON in UTF-8"))?;
    let media_type = reply.header("content-type").to_ascii_lowercase();
    let other = media_type.contains("charset=") && !media_type.contains("utf-8");
    hold(!other, || format!("{what} is said to be {media_type}"))
}

fn plain_http_is_not_served(target: &Target) -> Outcome {
    let urls = ["newNonce", "newAccount", "newOrder", "revokeCert"];
    for resource in urls {
        let url = target.url(resource)?;
        hold(url.starts_with("https://"), || {
            format!("{resource} is at {url}")
        })?;
    }
    let Some(rest) = target.directory_url().strip_prefix("https://") else {
        return Err(format!("the directory is at {}", target.directory_url()).into());
    };
    let plain = Http::try_speaking(Version::One, "")?.within(PLAIN_ANSWER_WITHIN);
    let url = format!("http://{rest}");
    let request = http::Request::get(&url).body(http_body_util::Full::default());
    // No answer is as good as a refusal.
    let Ok(reply) = plain.send(request.map_err(|error| error.to_string())?) else {
        return Ok(());
    };
    let served = reply.status < 300 && reply.json().get("newOrder").is_some();
    hold(!served, || format!("{url} serves a directory"))
}

fn browsers_may_read_answers(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let origin = [("origin", "https://browser.example")];
    let new_nonce = target.url("newNonce")?;
    let answers = [
        (
            "the directory",
            target.ask_with(Method::GET, target.directory_url(), &origin)?,
        ),
        (
            "newNonce",
            target.ask_with(Method::HEAD, &new_nonce, &origin)?,
        ),
        ("POST", account.read(&account.url)?),
    ];
    for (what, reply) in answers {
        let allowed = reply.header("access-control-allow-origin");
        hold(allowed == "*", || {
            format!("{what}: Access-Control-Allow-Origin is {allowed:?}")
        })?;
    }
    Ok(())
}

/// The padding that plain base64 would have, and some where it would have none.
fn pad(text: &mut String) {
    text.push('=');
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
}

fn padding_is_refused(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let asked = json!({ "contact": [target.mailbox()] });
    let draft = || account.draft(&account.url, Some(&asked));
    let honest = draft().send()?;
    answered(&honest, "the same without padding", &[200])?;
    let reply = draft().encoded(|protected, _| pad(protected)).send()?;
    refused(&reply, "a padded header")?;
    let reply = draft().encoded(|_, payload| pad(payload)).send()?;
    refused(&reply, "a padded payload")?;
    let padded = draft().shaped(|parts| {
        let mut parts = parts.clone();
        pad(&mut parts.signature);
        parts.flattened().into_bytes()
    });
    let reply = padded.send()?;
    hold((400..500).contains(&reply.status), || {
        format!("a padded signature: {}", short(&reply))
    })
}
