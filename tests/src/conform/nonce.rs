//! Getting a nonce (§7.2).

use http::Method;

use super::Target;
use super::judge::{answered, hold, is_base64url};
use super::verdict::{Check, Outcome};

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        54,
        "§7.2",
        "HEAD of newNonce is 200 with a nonce",
        head_gives_a_nonce,
    ),
    Check::must(
        55,
        "§7.2",
        "GET of newNonce is 204 with a nonce and no body",
        get_gives_a_nonce,
    ),
    Check::must(
        56,
        "§7.2",
        "Answers of newNonce are not stored by caches",
        nonces_are_not_cached,
    ),
];

fn head_gives_a_nonce(target: &Target) -> Outcome {
    let reply = target.ask(Method::HEAD, &target.url("newNonce")?)?;
    answered(&reply, "HEAD", &[200])?;
    let nonce = reply.header("replay-nonce");
    hold(is_base64url(nonce), || {
        format!("HEAD: the nonce is {nonce:?}")
    })
}

fn get_gives_a_nonce(target: &Target) -> Outcome {
    let reply = target.ask(Method::GET, &target.url("newNonce")?)?;
    answered(&reply, "GET", &[204])?;
    hold(reply.body.is_empty(), || "GET: there is a body".to_owned())?;
    let nonce = reply.header("replay-nonce");
    hold(is_base64url(nonce), || {
        format!("GET: the nonce is {nonce:?}")
    })
}

fn nonces_are_not_cached(target: &Target) -> Outcome {
    for method in [Method::HEAD, Method::GET] {
        let reply = target.ask(method.clone(), &target.url("newNonce")?)?;
        let control = reply.header("cache-control").to_ascii_lowercase();
        let mut words = control.split(',').map(str::trim);
        hold(words.any(|word| word == "no-store"), || {
            format!("{method}: Cache-Control is {control:?}")
        })?;
    }
    Ok(())
}
