//! Challenges: tokens, key authorizations and tries (§8, §8.1, §8.2).

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use chancery_crypto::{KeyParts, PrivateKey};

use super::Target;
use super::judge::{elements, hold, is_base64url, text};
use super::key_change::changed;
use super::subscriber::{Challenge, LOOK_EVERY, Subscriber, first_authorization};
use super::verdict::{Check, Outcome, Short};
use crate::{Order, new_key};

/// 128 bits in base64url.
const TOKEN_LEN_MIN: usize = 22;
/// Until a first failed try can be seen.
const FAILED_WITHIN: Duration = Duration::from_secs(60);
/// Where nobody listens: the web host has one address only.
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// One key of 128 has a coordinate that begins with a zero octet; so many are enough for certain.
const KEYS_MAX: usize = 10_000;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        109,
        "§8.1",
        "A key authorization is the token and the thumbprint of the key, whatever octets it begins with",
        a_key_authorization_has_the_thumbprint,
    ),
    Check::must(
        110,
        "§8.1",
        "It is the thumbprint of the key that the account has now",
        the_thumbprint_is_of_the_key_of_now,
    ),
    Check::must(
        111,
        "§8",
        "Tokens are base64url, of 128 bits at least, and never come twice",
        tokens_cannot_be_guessed,
    ),
    Check::should(
        112,
        "§8.2",
        "A query that fails is tried again: the challenge is processing with the error meanwhile",
        failed_queries_are_tried_again,
    ),
    Check::should(
        113,
        "§8.2",
        "Another response of the client has it tried again at once",
        a_response_is_a_retry,
    ),
];

/// A key with a coordinate that begins with a zero octet, which its JWK has to keep.
fn key_with_a_zero() -> Result<PrivateKey, Short> {
    for _ in 0..KEYS_MAX {
        let key = new_key();
        if let KeyParts::Ec { point, .. } = key.public().parts() {
            // An octet for the form, then both coordinates.
            let coordinates = point.get(1..).unwrap_or_default();
            let half = coordinates.len() / 2;
            if coordinates.first() == Some(&0) || coordinates.get(half) == Some(&0) {
                return Ok(key);
            }
        }
    }
    Err(Short::Fails("no such key was found".to_owned()))
}

fn a_key_authorization_has_the_thumbprint(target: &Target) -> Outcome {
    let account = target.subscriber_with(key_with_a_zero()?)?;
    let (order, _) = account.fresh_challenge("http-01")?;
    account.prove(&order)?;
    let other = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    let theirs = other.key_authorization(&challenge.token);
    target.web.put(&challenge.token, &theirs);
    account.respond(&challenge)?;
    let decided = account.outcome_of(&first_authorization(&order)?, &["pending"])?;
    hold(decided["status"] == "invalid", || {
        format!(
            "another account's thumbprint makes it {}",
            decided["status"]
        )
    })
}

fn the_thumbprint_is_of_the_key_of_now(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (right, wrong) = (
        account.fresh_challenge("http-01")?,
        account.fresh_challenge("http-01")?,
    );
    account.provide(&wrong.1);
    let account = changed(account, new_key())?;
    account.provide(&right.1);
    for ((order, challenge), expected) in [(right, "valid"), (wrong, "invalid")] {
        account.respond(&challenge)?;
        let decided = account.outcome_of(&first_authorization(&order)?, &["pending"])?;
        hold(decided["status"] == expected, || {
            format!("it is {}, not {expected}", decided["status"])
        })?;
    }
    Ok(())
}

fn tokens_cannot_be_guessed(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let order = account.order(&[&target.name()])?;
        let object = account.look(&first_authorization(&order)?)?.json();
        // The challenges of one authorization may share a token.
        let challenges = elements(&object["challenges"]).iter();
        let tokens: BTreeSet<String> = challenges
            .filter_map(|challenge| challenge["token"].as_str().map(str::to_owned))
            .collect();
        for token in tokens {
            hold(is_base64url(&token) && token.len() >= TOKEN_LEN_MIN, || {
                format!("{token:?} is no token of 128 bits")
            })?;
            hold(seen.insert(token.clone()), || format!("{token} came twice"))?;
        }
    }
    hold(!seen.is_empty(), || "no challenge has a token".to_owned())
}

/// Sends who validates this name where nobody listens, or to the web host.
fn send_validator(target: &Target, challenge: &Challenge, to: IpAddr) -> Outcome {
    let set = target.zone()?.set_a(&challenge.name, to);
    set.map_err(|error| Short::Fails(error.to_string()))
}

/// A challenge of a name that leads nowhere; its first query is on the way.
fn unreachable(account: &Subscriber<'_>) -> Result<(Order, Challenge), Short> {
    let (order, challenge) = account.fresh_challenge("http-01")?;
    send_validator(account.target, &challenge, NOWHERE)?;
    account.respond(&challenge)?;
    Ok((order, challenge))
}

/// Gives the name its address and its answer.
fn mend(account: &Subscriber<'_>, challenge: &Challenge) -> Outcome {
    account.provide(challenge);
    let to = account.target.web.reached_at();
    send_validator(account.target, challenge, to)
}

/// Looks at a challenge until a first try has failed and it is still tried.
fn fails_once(account: &Subscriber<'_>, challenge: &Challenge) -> Outcome {
    let deadline = Instant::now() + FAILED_WITHIN;
    while Instant::now() < deadline {
        std::thread::sleep(LOOK_EVERY);
        let object = account.look(&challenge.url)?.json();
        let failed = object["error"].is_object();
        match text(&object["status"]) {
            "processing" if failed => return Ok(()),
            "pending" | "processing" => {}
            other => {
                return Err(format!("it is {other} before it was processing with an error").into());
            }
        }
    }
    Err(format!("no failed try is told within {FAILED_WITHIN:?}").into())
}

fn failed_queries_are_tried_again(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = unreachable(&account)?;
    fails_once(&account, &challenge)?;
    mend(&account, &challenge)?;
    let decided = account.outcome_of(&first_authorization(&order)?, &["pending"])?;
    hold(decided["status"] == "valid", || {
        format!("an answer that came late makes it {}", decided["status"])
    })
}

/// Two challenges fail one after the other; the later one is answered for again, and so has to be tried first.
fn a_response_is_a_retry(target: &Target) -> Outcome {
    const APART: Duration = Duration::from_millis(150);
    let account = target.subscriber()?;
    let (_, waiting) = unreachable(&account)?;
    std::thread::sleep(APART);
    let (_, asking) = unreachable(&account)?;
    fails_once(&account, &asking)?;
    mend(&account, &asking)?;
    mend(&account, &waiting)?;
    account.respond(&asking)?;
    let deadline = Instant::now() + FAILED_WITHIN;
    while Instant::now() < deadline {
        let asked = |challenge: &Challenge| target.web.asked(&challenge.token) > 0;
        // In this order: what is asked for between the two looks counts for the server.
        let (waiting, asking) = (asked(&waiting), asked(&asking));
        if asking && !waiting {
            return Ok(());
        }
        if waiting {
            let why = "another response did not bring the next try forward";
            return Err(Short::Fails(why.to_owned()));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err("it is not tried again at all".to_owned().into())
}
