//! Placing orders (§7.4).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chancery_pki::UnixTime;
use serde_json::{Value, json};

use super::Target;
use super::judge::{answered, elements, hold, kind, refused_as, short, text};
use super::subscriber::{dns, order_of, wanted};
use super::verdict::{Check, Outcome, Short};

/// The longest life of an order that is waited for.
const LIFE_WAITED_FOR_SECS: i64 = 60;
/// Of the certificate that is asked for with an end of its own.
const LIFETIME_SECS: u64 = 24 * 3600;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        79,
        "§7.4",
        "An order is 201 with its URL and issues what was asked for, its times too, or is refused",
        an_order_is_kept_to_the_letter,
    ),
    Check::must(
        80,
        "§7.4",
        "An identifier of another type is unsupportedIdentifier, a refused one rejectedIdentifier",
        bad_identifiers_are_told,
    ),
    Check::should(
        81,
        "§7.1.6",
        "An order whose time is over is invalid",
        an_old_order_is_invalid,
    ),
];

fn now() -> UnixTime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let secs = now.unwrap_or_default().as_secs();
    UnixTime(i64::try_from(secs).unwrap_or(i64::MAX))
}

fn an_order_is_kept_to_the_letter(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let plain = account.ask_order(&[&name])?;
    answered(&plain, "newOrder", &[201])?;
    let located = plain.header("location").starts_with("https://");
    hold(located, || {
        format!("Location is {:?}", plain.header("location"))
    })?;
    let asked = elements(&plain.json()["identifiers"]) == [dns(&name)];
    hold(asked, || {
        format!("the order is for {}", plain.json()["identifiers"])
    })?;
    let times = [
        ("notBefore", now()),
        ("notAfter", now().plus(LIFETIME_SECS)),
    ];
    for (member, time) in times {
        let mut wanted = wanted(&[&name]);
        wanted[member] = json!(time.to_rfc3339());
        let reply = account.send(&target.url("newOrder")?, &wanted)?;
        // It may say that it cannot.
        if (400..500).contains(&reply.status) {
            continue;
        }
        answered(&reply, &format!("newOrder with {member}"), &[201])?;
        let kept = reply.json()[member].clone();
        let same = UnixTime::parse_rfc3339(text(&kept)).is_ok_and(|kept| kept == time);
        hold(same, || {
            format!(
                "{member} of an order: asked {}, got {kept}",
                time.to_rfc3339()
            )
        })?;
        let ready = account.prove(&order_of(&reply))?;
        let leaf = account.fetch(&ready, &[&name])?.leaf()?;
        let issued = if member == "notBefore" {
            leaf.not_before()
        } else {
            leaf.not_after()
        };
        hold(issued == time, || {
            let (time, issued) = (time.to_rfc3339(), issued.to_rfc3339());
            format!("{member} of a certificate: asked {time}, got {issued}")
        })?;
    }
    Ok(())
}

fn bad_identifiers_are_told(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let strange = |name: &str| json!({ "type": "conform-thing", "value": name });
    let ask = |identifiers: Value| {
        let url = target.url("newOrder")?;
        account.send(&url, &json!({ "identifiers": identifiers }))
    };
    let name = target.name();
    let reply = ask(json!([strange("a")]))?;
    refused_as(&reply, "an unknown type", &[], &["unsupportedIdentifier"])?;
    let reply = ask(json!([dns(&name), strange("a")]))?;
    let kinds = ["unsupportedIdentifier", "compound"];
    refused_as(&reply, "an unknown type beside a name", &[], &kinds)?;
    let Some(refused) = &target.refused_name else {
        return Ok(());
    };
    let reply = ask(json!([dns(refused)]))?;
    let kinds = ["rejectedIdentifier"];
    refused_as(&reply, "a name against policy", &[], &kinds)?;
    let reply = ask(json!([dns(refused), strange("a")]))?;
    let both = ["compound", "rejectedIdentifier", "unsupportedIdentifier"];
    refused_as(&reply, "two bad identifiers", &[], &both)?;
    let object = reply.json();
    let below = elements(&object["subproblems"]);
    hold(kind(&reply) != "compound" || below.len() == 2, || {
        format!(
            "two bad identifiers: {} with {} subproblems",
            short(&reply),
            below.len()
        )
    })
}

fn an_old_order_is_invalid(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let order = account.order(&[&target.name()])?;
    let expires = UnixTime::parse_rfc3339(text(&order.object["expires"]));
    let expires = expires.map_err(|_| format!("expires is {}", order.object["expires"]))?;
    let left = now().seconds_until(expires);
    if left > LIFE_WAITED_FOR_SECS {
        let why = format!("orders live for {left} s here, longer than is waited for");
        return Err(Short::NotOffered(why));
    }
    let wait = u64::try_from(left + 1).unwrap_or_default();
    std::thread::sleep(Duration::from_secs(wait));
    let status = account.order_now(&order)?.status().to_owned();
    hold(status == "invalid", || {
        format!("an order after its end is {status}")
    })
}
