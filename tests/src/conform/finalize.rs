//! Finalizing orders (§7.4, §11.1).

use chancery_pki::{San, csr};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::json;

use super::Target;
use super::judge::{answered, hold, kind, recommended, refused, refused_as, short, text};
use super::subscriber::{Obtained, Subscriber};
use super::verdict::{Check, Outcome, Short};
use crate::{Order, csr_for, new_key};

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        82,
        "§7.4",
        "Finalize of an order that is not ready is 403 orderNotReady",
        an_order_is_finalized_when_ready,
    ),
    Check::must(
        83,
        "§7.4",
        "The CSR names exactly what the order does, in its common name or its SAN",
        the_csr_names_what_the_order_does,
    ),
    Check::should(
        84,
        "§7.4",
        "A CSR that cannot be accepted is badCSR, and the order stays ready",
        a_bad_csr_is_told,
    ),
    Check::must(
        85,
        "§11.1",
        "A CSR with the account's own key is refused",
        the_account_key_is_not_certified,
    ),
    Check::own(
        86,
        "§7.4",
        "A CSR whose own signature does not verify is refused",
        a_csr_proves_its_key,
    ),
    Check::must(
        87,
        "§7.4",
        "A good finalize is 200 with the order, valid or processing, and leads to the certificate",
        a_good_csr_leads_to_a_certificate,
    ),
    Check::must(
        123,
        "§11.1",
        "A CSR with another account's key is refused",
        no_account_key_is_certified,
    ),
];

fn an_order_is_finalized_when_ready(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let order = account.order(&[&name])?;
    let csr = csr_for(&new_key(), &[&name]);
    let reply = account.finalize(&order, &csr)?;
    let what = "finalize of a pending order";
    refused_as(&reply, what, &[403], &["orderNotReady"])?;
    // What came too early spoils nothing.
    let ready = account.prove(&order)?;
    let done = account.fetch(&ready, &[&name])?;
    let reply = account.finalize(&done.order, &csr_for(&new_key(), &[&name]))?;
    refused(&reply, "finalize of a valid order for another key")
}

fn stays_ready(account: &Subscriber<'_>, order: &Order, what: &str) -> Outcome {
    let status = account.order_now(order)?.status().to_owned();
    hold(status == "ready", || {
        format!("after {what} the order is {status}")
    })
}

fn the_csr_names_what_the_order_does(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let (one, two, other) = (target.name(), target.name(), target.name());
    let order = account.ready_order(&[&one, &two])?;
    let key = new_key();
    let cases: [(&str, &[&str]); 3] = [
        ("a name more", &[&one, &two, &other]),
        ("a name less", &[&one]),
        ("another name", &[&one, &other]),
    ];
    for (what, names) in cases {
        let reply = account.finalize(&order, &csr_for(&key, names))?;
        refused(&reply, &format!("a CSR with {what}"))?;
    }
    account.fetch(&account.order_now(&order)?, &[&one, &two])?;
    let order = account.ready_order(&[&one])?;
    let key = KeyPair::generate().map_err(|error| error.to_string())?;
    let reply = account.finalize(&order, &by_common_name(&one, &key)?)?;
    // A CA may be unwilling to take a CSR that it could take.
    recommended(answered(
        &reply,
        "a CSR with the name as common name only",
        &[200],
    ))?;
    let leaf = account.download(&order, new_key())?.leaf()?;
    let named: Vec<String> = leaf.sans().iter().map(ToString::to_string).collect();
    hold(named == [one.as_str()], || {
        format!("the certificate names {named:?}, not {one}")
    })
}

fn by_common_name(name: &str, key: &KeyPair) -> Result<Vec<u8>, Short> {
    let params = CertificateParams::new(Vec::new());
    let mut params = params.map_err(|error| error.to_string())?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(key);
    let request = request.map_err(|error| error.to_string())?;
    Ok(request.der().to_vec())
}

fn a_bad_csr_is_told(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let order = account.ready_order(&[&name])?;
    let nothing = csr::build(&new_key(), &[]).map_err(|error| error.to_string())?;
    let cases: [(&str, &[u8]); 2] = [
        ("a CSR that is no CSR", b"not a CSR"),
        ("an empty CSR", b""),
    ];
    for (what, csr) in cases {
        let reply = account.finalize(&order, csr)?;
        refused_as(&reply, what, &[], &["badCSR", "malformed"])?;
        stays_ready(&account, &order, what)?;
    }
    let other = csr_for(&new_key(), &[&target.name()]);
    for (what, csr) in [
        ("a CSR for nothing", &nothing),
        ("a CSR for another name", &other),
    ] {
        let reply = account.finalize(&order, csr)?;
        refused_as(&reply, what, &[], &["badCSR", "unauthorized"])?;
        stays_ready(&account, &order, what)?;
    }
    account.fetch(&order, &[&name]).map(drop)
}

fn refuses_key(account: &Subscriber<'_>, key: &chancery_crypto::PrivateKey, what: &str) -> Outcome {
    let name = account.target.name();
    let order = account.ready_order(&[&name])?;
    let san = San::parse_dns(&name).map_err(|error| error.to_string())?;
    let csr = csr::build(key, &[san]).map_err(|error| error.to_string())?;
    let reply = account.finalize(&order, &csr)?;
    refused(&reply, what)?;
    hold(
        ["badCSR", "badPublicKey", "unauthorized", "malformed"].contains(&kind(&reply).as_str()),
        || format!("{what}: {}", short(&reply)),
    )
}

fn the_account_key_is_not_certified(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    refuses_key(&account, &account.key, "a CSR with the account's own key")
}

fn no_account_key_is_certified(target: &Target) -> Outcome {
    let (account, other) = (target.subscriber()?, target.subscriber()?);
    refuses_key(&account, &other.key, "a CSR with another account's key")
}

fn a_csr_proves_its_key(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let order = account.ready_order(&[&name])?;
    let mut csr = csr_for(&new_key(), &[&name]);
    if let Some(last) = csr.last_mut() {
        *last ^= 1;
    }
    let reply = account.finalize(&order, &csr)?;
    refused(&reply, "a CSR whose signature was changed")
}

fn a_good_csr_leads_to_a_certificate(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let name = target.name();
    let order = account.ready_order(&[&name])?;
    let key = new_key();
    let reply = account.finalize(&order, &csr_for(&key, &[&name]))?;
    answered(&reply, "finalize", &[200])?;
    let object = reply.json();
    match text(&object["status"]) {
        "valid" => hold(object["certificate"].is_string(), || {
            format!("a valid order has no certificate: {object}")
        })?,
        "processing" => {}
        other => return Err(format!("a finalized order is {other:?}").into()),
    }
    let done: Obtained = account.download(&order, key)?;
    hold(json!(done.order.status()) == "valid", || {
        format!("in the end the order is {}", done.order.object)
    })
}
