//! Validation by HTTP and DNS (§8.3, §8.4, §10.2, §11.2).

use chancery_acme::dns01_value;

use super::Target;
use super::judge::{elements, hold, recommended, text};
use super::subscriber::{Challenge, Subscriber, first_authorization};
use super::verdict::{Check, Level, Outcome, Short};
use crate::Order;

/// TXT records of an answer that no UDP packet holds.
const MANY: usize = 60;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        114,
        "§8.3",
        "http-01 wants exactly the key authorization, and should follow redirects and ignore white space behind it",
        http_answers_are_read_as_meant,
    ),
    Check::must(
        116,
        "§8.4",
        "dns-01 wants the digest in one of the TXT records, through CNAMEs too",
        dns_answers_are_read_as_meant,
    ),
    Check::own(
        118,
        "§8.3",
        "Wildcards are proven by DNS only",
        wildcards_are_proven_by_dns,
    ),
    Check::unseen(
        119,
        "§10.2",
        Level::Should,
        "Names are validated from several points of the network",
        "from where a server validates cannot be seen by names on one machine",
    ),
    Check::unseen(
        120,
        "§10.4",
        Level::Should,
        "Validation does not reach addresses that policy has not opened",
        "which addresses are open is the operator's policy, and what a server tried to reach there cannot be seen",
    ),
    Check::should(
        122,
        "§11.2",
        "DNS answers that are too long for UDP are fetched by TCP (whether DNSSEC is checked cannot be seen)",
        long_answers_are_fetched,
    ),
];

fn decided(
    account: &Subscriber<'_>,
    order: &Order,
    challenge: &Challenge,
) -> Result<String, Short> {
    account.respond(challenge)?;
    let object = account.outcome_of(&first_authorization(order)?, &["pending"])?;
    Ok(text(&object["status"]).to_owned())
}

fn is(status: &str, expected: &str, what: &str) -> Outcome {
    hold(status == expected, || {
        format!("{what} makes it {status}, not {expected}")
    })
}

fn http_answers_are_read_as_meant(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    let right = account.key_authorization(&challenge.token);
    target.web.put(&challenge.token, &format!("{right}x"));
    let status = decided(&account, &order, &challenge)?;
    is(&status, "invalid", "one character more")?;
    hold(target.web.asked(&challenge.token) > 0, || {
        "it was decided without asking for the answer".to_owned()
    })?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    account.provide(&challenge);
    let status = decided(&account, &order, &challenge)?;
    is(&status, "valid", "the right answer")?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    let right = account.key_authorization(&challenge.token);
    target.web.put_behind_redirect(&challenge.token, &right);
    let status = decided(&account, &order, &challenge)?;
    recommended(is(&status, "valid", "an answer behind a redirect"))?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    let right = account.key_authorization(&challenge.token);
    let spaced = format!("{right} \r\n\t\n");
    target.web.put(&challenge.token, &spaced);
    let status = decided(&account, &order, &challenge)?;
    recommended(is(&status, "valid", "white space behind the answer"))
}

fn dns_value(account: &Subscriber<'_>, challenge: &Challenge) -> String {
    dns01_value(&account.key_authorization(&challenge.token))
}

fn dns_answers_are_read_as_meant(target: &Target) -> Outcome {
    let zone = target.zone()?;
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("dns-01")?;
    account.add_txt(&challenge.name, "another record")?;
    account.add_txt(&challenge.name, &dns_value(&account, &challenge))?;
    account.add_txt(&challenge.name, "one more")?;
    is(
        &decided(&account, &order, &challenge)?,
        "valid",
        "one of three records",
    )?;
    let (order, challenge) = account.fresh_challenge("dns-01")?;
    let elsewhere = target.name();
    let owner = format!("_acme-challenge.{}", challenge.name);
    let set = zone.set_cname(&owner, &elsewhere);
    set.map_err(|error| error.to_string())?;
    let set = zone.set_txt(&elsewhere, &dns_value(&account, &challenge));
    set.map_err(|error| error.to_string())?;
    is(
        &decided(&account, &order, &challenge)?,
        "valid",
        "a record behind a CNAME",
    )?;
    let (order, challenge) = account.fresh_challenge("dns-01")?;
    let undigested = account.key_authorization(&challenge.token);
    account.add_txt(&challenge.name, &undigested)?;
    is(
        &decided(&account, &order, &challenge)?,
        "invalid",
        "a record without the digest",
    )
}

fn wildcards_are_proven_by_dns(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let order = account.wildcard_order(&format!("*.{}", target.name()))?;
    let object = account.look(&first_authorization(&order)?)?.json();
    let challenges = elements(&object["challenges"]);
    hold(!challenges.is_empty(), || {
        "a wildcard has no challenge".to_owned()
    })?;
    let kinds: Vec<&str> = challenges.iter().map(|c| text(&c["type"])).collect();
    hold(kinds.iter().all(|kind| kind.starts_with("dns-")), || {
        format!("a wildcard can be proven by {kinds:?}")
    })
}

fn long_answers_are_fetched(target: &Target) -> Outcome {
    target.zone()?;
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("dns-01")?;
    let right = dns_value(&account, &challenge);
    for n in 0..MANY {
        if n == MANY / 2 {
            account.add_txt(&challenge.name, &right)?;
        }
        account.add_txt(&challenge.name, &format!("{n:0>43}"))?;
    }
    is(
        &decided(&account, &order, &challenge)?,
        "valid",
        "one record of many",
    )
}
