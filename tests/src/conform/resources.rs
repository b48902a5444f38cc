//! Resources and their relations (§7.1).

use std::collections::BTreeSet;
use std::time::Instant;

use chancery_acme::dns01_value;
use http::Method;
use serde_json::{Value, json};

use super::Target;
use super::judge::{answered, elements, hold, kind, links, refused, short, text};
use super::subscriber::{DECIDED_WITHIN, LOOK_EVERY, Subscriber, dns, first_authorization};
use super::verdict::{Check, Outcome, Short};
use crate::Order;

/// Pages of an orders list that are read before one that is wanted.
const PAGES_MAX: usize = 20;

pub(super) const CHECKS: &[Check] = &[
    Check::should(
        44,
        "§7.1",
        "Answers link to the directory, and challenges up to their authorization",
        answers_link_to_their_neighbours,
    ),
    Check::should(
        45,
        "§7.1.2.1",
        "The orders list of an account has its pending orders and not its invalid ones",
        the_orders_list_is_kept,
    ),
    Check::must(
        46,
        "§7.1.3",
        "Orders that are pending or valid and authorizations that are valid tell when they expire",
        what_is_good_expires,
    ),
    Check::must(
        47,
        "§7.1.3",
        "Identifiers and authorizations of an order never change",
        an_order_keeps_its_lists,
    ),
    Check::should(
        48,
        "§7.1.3",
        "An order lists every authorization that it rests on, reused ones too",
        reused_authorizations_are_listed,
    ),
    Check::must(
        50,
        "§7.1.4",
        "A wildcard's authorization names the domain and says so; no other does",
        wildcards_are_marked,
    ),
    Check::must(
        51,
        "§7.1.4",
        "Only names as they stand in certificates are taken, and xn-- labels that decode",
        names_are_in_their_certificate_form,
    ),
    Check::must(
        52,
        "§7.1.6",
        "Statuses change only along the state machines",
        statuses_follow_the_machines,
    ),
    Check::must(
        53,
        "§7.1.5",
        "A valid challenge tells when it was validated, one with an error is invalid or still tried",
        challenges_tell_their_story,
    ),
];

fn answers_link_to_their_neighbours(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let order = account.ask_order(&[&target.name()])?;
    answered(&order, "newOrder", &[201])?;
    let authorization = text(&order.json()["authorizations"][0]).to_owned();
    let challenge = account.challenge(&authorization, "http-01")?;
    let answers = [
        (
            "newNonce",
            target.ask(Method::HEAD, &target.url("newNonce")?)?,
        ),
        ("newOrder", order),
        ("an account", account.look(&account.url)?),
        ("an authorization", account.look(&authorization)?),
    ];
    for (what, reply) in answers {
        let index = links(&reply, "index");
        let [url] = index.as_slice() else {
            return Err(format!("{what}: the link `index` is {index:?}").into());
        };
        // The directory may have more than one URL.
        let led_to = target.ask(Method::GET, url)?.json();
        let same = led_to["newOrder"] == *target.directory("newOrder");
        hold(same, || {
            format!("{what}: the link `index` leads to {led_to}")
        })?;
    }
    account.provide(&challenge);
    let up = links(&account.respond(&challenge)?, "up");
    hold(up == [authorization.as_str()], || {
        format!("a challenge: the link `up` is {up:?}, not {authorization}")
    })
}

/// Every URL in the orders list of an account.
fn listed(account: &Subscriber<'_>) -> Result<Vec<String>, Short> {
    let object = account.look(&account.url)?.json();
    let Some(first) = object["orders"].as_str() else {
        return Err(format!("the account has no orders list: {object}").into());
    };
    let mut all = Vec::new();
    let mut next = Some(first.to_owned());
    for _ in 0..PAGES_MAX {
        let Some(url) = next else { break };
        let page = account.look(&url)?;
        let object = page.json();
        hold(object["orders"].is_array(), || {
            format!("a page of the orders list is {object}")
        })?;
        all.extend(
            elements(&object["orders"])
                .iter()
                .map(|url| text(url).to_owned()),
        );
        next = links(&page, "next").into_iter().next();
    }
    Ok(all)
}

fn the_orders_list_is_kept(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let mut pending = Vec::new();
    for _ in 0..3 {
        pending.push(account.order(&[&target.name()])?);
    }
    let lost = account.order(&[&target.name()])?;
    let end = json!({ "status": "deactivated" });
    let reply = account.send(&first_authorization(&lost)?, &end)?;
    answered(&reply, "deactivation of an authorization", &[200])?;
    let is_invalid = account.order_now(&lost)?.status() == "invalid";
    let all = listed(&account)?;
    for order in &pending {
        hold(all.contains(&order.url), || {
            format!("{} is pending and not in {all:?}", order.url)
        })?;
    }
    hold(!is_invalid || !all.contains(&lost.url), || {
        format!("{} is invalid and in the orders list", lost.url)
    })
}

fn what_is_good_expires(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let pending = account.order(&[&name])?;
    let ready = account.prove(&pending)?;
    let valid = account.fetch(&ready, &[&name])?.order;
    for order in [&pending, &valid] {
        has_time(&order.object, "expires", "an order")?;
    }
    let authorization = account.look(&first_authorization(&valid)?)?.json();
    has_time(&authorization, "expires", "an authorization")
}

fn has_time(object: &Value, member: &str, what: &str) -> Outcome {
    let time = text(&object[member]);
    let read = chancery_pki::UnixTime::parse_rfc3339(time);
    hold(read.is_ok(), || {
        let status = &object["status"];
        format!("{what} that is {status}: {member} is {}", object[member])
    })
}

fn an_order_keeps_its_lists(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (one, two) = (target.name(), target.name());
    let names = [one.as_str(), &two];
    let first = account.order(&names)?;
    let ready = account.prove(&first)?;
    let last = account.fetch(&ready, &names)?.order;
    for later in [&ready, &last] {
        for member in ["identifiers", "authorizations"] {
            let (was, is) = (set(&first.object[member]), set(&later.object[member]));
            hold(was == is, || {
                format!(
                    "{member} of an order that became {}: {was:?}, then {is:?}",
                    later.status()
                )
            })?;
        }
    }
    let asked: BTreeSet<String> = names.iter().map(|name| dns(name).to_string()).collect();
    let kept = set(&first.object["identifiers"]);
    hold(kept == asked, || {
        format!("asked for {asked:?}, got {kept:?}")
    })
}

fn set(list: &Value) -> BTreeSet<String> {
    elements(list).iter().map(Value::to_string).collect()
}

fn reused_authorizations_are_listed(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (one, two) = (target.name(), target.name());
    account.issue(&[&one])?;
    let order = account.order(&[&one, &two])?;
    let mut named = BTreeSet::new();
    for url in order.authorizations() {
        named.insert(account.look(&url)?.json()["identifier"]["value"].to_string());
    }
    let asked = BTreeSet::from([json!(one).to_string(), json!(two).to_string()]);
    hold(named == asked, || {
        format!("an order for {asked:?} lists authorizations for {named:?}")
    })
}

fn wildcards_are_marked(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let plain = account.order(&[&name])?;
    let plain = account.look(&first_authorization(&plain)?)?.json();
    hold(plain.get("wildcard").is_none(), || {
        format!("wildcard is {} for a plain name", plain["wildcard"])
    })?;
    let order = account.wildcard_order(&format!("*.{name}"))?;
    let object = account.look(&first_authorization(&order)?)?.json();
    hold(object["identifier"] == dns(&name), || {
        format!(
            "the wildcard's authorization is for {}",
            object["identifier"]
        )
    })?;
    hold(object["wildcard"] == true, || {
        format!("wildcard is {} for a wildcard", object["wildcard"])
    })
}

fn names_are_in_their_certificate_form(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let domain = target.name();
    let good = format!("xn--bcher-kva.{domain}");
    let reply = account.ask_order(&[&good])?;
    // Policy may be against all such names; their form may not.
    if kind(&reply) != "rejectedIdentifier" {
        answered(&reply, &good, &[201])?;
    }
    let long = "a".repeat(64);
    let bad = [
        // Letters beyond ASCII, and an encoding of them that ends within a number.
        "bücher",
        "xn--9999",
        "under score",
        "-a",
        "a..b",
        "a*",
        long.as_str(),
    ];
    for label in bad {
        let reply = account.ask_order(&[&format!("{label}.{domain}")])?;
        refused(&reply, &format!("an order for {label:?} below a domain"))?;
    }
    Ok(())
}

fn statuses_follow_the_machines(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    let name = challenge.name.clone();
    account.provide(&challenge);
    let first = [text(&order.object["status"]).to_owned()];
    hold(first == ["pending"], || format!("a new order is {first:?}"))?;
    account.respond(&challenge)?;
    let authorization = first_authorization(&order)?;
    watch(&account, &order, &authorization, &challenge.url)?;
    let done = account.fetch(&account.order_now(&order)?, &[&name])?;
    hold(done.order.status() == "valid", || {
        format!("an order with a certificate is {}", done.order.object)
    })?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    target.web.put(&challenge.token, "not the answer");
    account.respond(&challenge)?;
    let authorization = first_authorization(&order)?;
    watch(&account, &order, &authorization, &challenge.url)?;
    let status = account.order_now(&order)?.status().to_owned();
    hold(status == "invalid", || {
        format!("an order with an invalid authorization is {status}")
    })
}

/// Changes of status that are permitted, from one look to the next.
type Steps = [(&'static str, &'static str)];

const CHALLENGE_STEPS: &Steps = &[
    ("pending", "processing"),
    ("pending", "valid"),
    ("pending", "invalid"),
    ("processing", "valid"),
    ("processing", "invalid"),
];
const AUTHORIZATION_STEPS: &Steps = &[("pending", "valid"), ("pending", "invalid")];
const ORDER_STEPS: &Steps = &[("pending", "ready"), ("pending", "invalid")];

/// An object that is looked at, and how it was last.
struct Watched<'a> {
    what: &'static str,
    url: &'a str,
    steps: &'static Steps,
    status: String,
}

impl<'a> Watched<'a> {
    fn new(what: &'static str, url: &'a str, steps: &'static Steps) -> Self {
        let status = "pending".to_owned();
        Self {
            what,
            url,
            steps,
            status,
        }
    }

    fn look(&mut self, account: &Subscriber<'_>) -> Outcome {
        std::thread::sleep(LOOK_EVERY);
        let now = text(&account.look(self.url)?.json()["status"]).to_owned();
        let step = (self.status.as_str(), now.as_str());
        let known = self.status == now || self.steps.contains(&step);
        hold(known, || {
            format!("{} that was {} is {now}", self.what, self.status)
        })?;
        self.status = now;
        Ok(())
    }
}

/// Looks at all three objects until the authorization is decided, and compares each look with the one before.
fn watch(account: &Subscriber<'_>, order: &Order, authorization: &str, challenge: &str) -> Outcome {
    let mut challenge = Watched::new("a challenge", challenge, CHALLENGE_STEPS);
    let mut authorization = Watched::new("an authorization", authorization, AUTHORIZATION_STEPS);
    let mut order = Watched::new("an order", &order.url, ORDER_STEPS);
    let deadline = Instant::now() + DECIDED_WITHIN;
    while authorization.status == "pending" && Instant::now() < deadline {
        for watched in [&mut challenge, &mut authorization, &mut order] {
            watched.look(account)?;
        }
    }
    hold(authorization.status != "pending", || {
        "an authorization stays pending".to_owned()
    })
}

fn challenges_tell_their_story(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    account.prove(&order)?;
    let object = account.look(&challenge.url)?.json();
    has_time(&object, "validated", "a challenge")?;
    let (order, challenge) = account.fresh_challenge("http-01")?;
    target
        .web
        .put(&challenge.token, &dns01_value("not the answer"));
    account.respond(&challenge)?;
    let authorization = first_authorization(&order)?;
    account.outcome_of(&authorization, &["pending"])?;
    let reply = account.look(&challenge.url)?;
    let object = reply.json();
    hold(
        object["status"] == "invalid" && object["error"].is_object(),
        || format!("a challenge that failed: {} {object}", short(&reply)),
    )
}
