//! Replay nonces (§6.5).

use std::collections::BTreeSet;
use std::sync::Barrier;

use serde_json::json;

use super::Target;
use super::draft::Nonce;
use super::judge::{answered, hold, is_base64url, kind, recommended, refused, refused_as, short};
use super::subscriber::{Subscriber, wanted};
use super::verdict::{Check, Outcome, Short};
use crate::Reply;

/// Of so many nonces none may come twice.
const NONCES: usize = 30;
/// 64 bits in base64url; a shorter one could be guessed.
const NONCE_LEN_MIN: usize = 11;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        28,
        "§6.5",
        "Every successful answer to a POST brings a nonce, and errors should",
        every_answer_brings_a_nonce,
    ),
    Check::must(
        29,
        "§6.5",
        "A nonce has to be the server's own and is used up by its first request, even by one that fails",
        a_nonce_is_good_once,
    ),
    Check::must(
        30,
        "§6.5",
        "A nonce that is bad or missing is 400 badNonce with a good one",
        a_bad_nonce_is_replaced,
    ),
    Check::must(
        32,
        "§6.5",
        "Nonces are unique and base64url; one that is not base64url is malformed",
        nonces_are_base64url,
    ),
    Check::own(
        34,
        "§6.5",
        "Of two requests at once with one nonce exactly one is taken",
        a_race_for_a_nonce_has_one_winner,
    ),
];

fn every_answer_brings_a_nonce(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let order = account.ask_order(&[&target.name()])?;
    let refusal = account.send(&target.url("newOrder")?, &json!({ "identifiers": [] }))?;
    refused(&refusal, "an order for nothing")?;
    let answers = [
        ("newAccount", target.register(&account.key, json!({}))?),
        ("newOrder", order),
        ("POST-as-GET", account.look(&account.url)?),
    ];
    let brings_one = |what: &str, reply: &Reply| {
        hold(!reply.header("replay-nonce").is_empty(), || {
            format!("{what}: {} brings no nonce", short(reply))
        })
    };
    for (what, reply) in &answers {
        brings_one(what, reply)?;
    }
    recommended(brings_one("an error", &refusal))
}

fn with_nonce(account: &Subscriber<'_>, nonce: &str) -> Result<Reply, Short> {
    let nonce = Nonce::Is(nonce.to_owned());
    account.draft(&account.url, None).nonce(nonce).send()
}

fn a_nonce_is_good_once(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let foreign = "bm9uY2Ugb2Ygbm9ib2R5IGVsc2U";
    let reply = with_nonce(&account, foreign)?;
    refused_as(&reply, "a nonce of nobody", &[400], &["badNonce"])?;
    let nonce = target.fresh_nonce()?;
    answered(&with_nonce(&account, &nonce)?, "a fresh nonce", &[200])?;
    let reply = with_nonce(&account, &nonce)?;
    refused_as(&reply, "a nonce used before", &[400], &["badNonce"])?;
    let nonce = target.fresh_nonce()?;
    let failing = account
        .draft(
            &target.url("newOrder")?,
            Some(&json!({ "identifiers": [] })),
        )
        .nonce(Nonce::Is(nonce.clone()));
    refused(&failing.send()?, "an order for nothing")?;
    let reply = with_nonce(&account, &nonce)?;
    let what = "a nonce used before by a request that failed";
    refused_as(&reply, what, &[400], &["badNonce"])
}

fn a_bad_nonce_is_replaced(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let missing = account.draft(&account.url, None).nonce(Nonce::Missing);
    let spent = target.fresh_nonce()?;
    answered(&with_nonce(&account, &spent)?, "a fresh nonce", &[200])?;
    let cases = [
        ("no nonce", missing.send()?),
        ("a spent nonce", with_nonce(&account, &spent)?),
    ];
    for (what, reply) in cases {
        refused_as(&reply, what, &[400], &["badNonce"])?;
        let next = reply.header("replay-nonce");
        hold(!next.is_empty(), || {
            format!("{what}: no nonce comes with it")
        })?;
        let retried = with_nonce(&account, next)?;
        answered(&retried, &format!("{what}, retried"), &[200])?;
    }
    Ok(())
}

fn nonces_are_base64url(target: &Target) -> Outcome {
    let mut seen = BTreeSet::new();
    for _ in 0..NONCES {
        let nonce = target.fresh_nonce()?;
        hold(is_base64url(&nonce) && nonce.len() >= NONCE_LEN_MIN, || {
            format!("{nonce:?} is no nonce")
        })?;
        hold(seen.insert(nonce.clone()), || {
            format!("{nonce:?} came twice")
        })?;
    }
    let account = target.subscriber()?;
    let reply = with_nonce(&account, "not base64url!")?;
    let what = "a nonce that is not base64url";
    refused_as(&reply, what, &[400], &["malformed"])
}

fn a_race_for_a_nonce_has_one_winner(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let url = target.url("newOrder")?;
    let asked = wanted(&[&target.name()]);
    let nonce = target.fresh_nonce()?;
    let start = Barrier::new(2);
    let send = || {
        let draft = account.draft(&url, Some(&asked));
        let draft = draft.nonce(Nonce::Is(nonce.clone()));
        start.wait();
        draft.send()
    };
    let replies = std::thread::scope(|scope| {
        let threads = [scope.spawn(send), scope.spawn(send)];
        threads.map(|thread| thread.join())
    });
    let mut taken = 0;
    for reply in replies {
        let reply = reply.map_err(|_| "a thread ended".to_owned())??;
        let is_taken = reply.status == 201;
        hold(is_taken || kind(&reply) == "badNonce", || {
            format!("one of two: {}", short(&reply))
        })?;
        taken += u32::from(is_taken);
    }
    hold(taken == 1, || format!("{taken} of two were taken"))
}
