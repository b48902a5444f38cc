//! An honest account at the server that is examined, and its way to a certificate.

use std::time::{Duration, Instant};

use chancery_acme::dns01_value;
use chancery_crypto::PrivateKey;
use chancery_jose::{Jwk, b64};
use chancery_pki::{Certificate, pem};
use serde_json::{Value, json};

use super::Target;
use super::draft::Draft;
use super::external_account;
use super::judge::{answered, elements, short, text};
use super::verdict::Short;
use crate::jws::jwk;
use crate::{Order, Reply, csr_for, new_key};

/// An order or authorization that is not decided by then never is.
pub(super) const DECIDED_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks: one server at least locks up when it is looked at faster.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(60);
/// Certificates in one chain.
const CHAIN_MAX: usize = 8;

/// An account with its key.
pub(super) struct Subscriber<'t> {
    pub(super) target: &'t Target,
    pub(super) key: PrivateKey,
    pub(super) url: String,
}

/// A certificate that was downloaded.
pub(super) struct Obtained {
    pub(super) chain: Vec<Vec<u8>>,
    pub(super) key: PrivateKey,
    pub(super) url: String,
    pub(super) order: Order,
}

/// A challenge that the server offers for a name.
#[derive(Debug, Clone)]
pub(super) struct Challenge {
    pub(super) url: String,
    pub(super) token: String,
    pub(super) name: String,
}

impl Target {
    /// An account with a fresh key.
    pub(super) fn subscriber(&self) -> Result<Subscriber<'_>, Short> {
        self.subscriber_with(new_key())
    }

    /// An account with this key.
    pub(super) fn subscriber_with(&self, key: PrivateKey) -> Result<Subscriber<'_>, Short> {
        let reply = self.register(&key, json!({}))?;
        answered(&reply, "newAccount", &[200, 201])?;
        let url = reply.header("location").to_owned();
        Ok(Subscriber {
            target: self,
            key,
            url,
        })
    }

    /// Asks for an account with these members beside those that the server needs.
    pub(super) fn register(&self, key: &PrivateKey, more: Value) -> Result<Reply, Short> {
        let url = self.url("newAccount")?;
        let mut payload = json!({ "termsOfServiceAgreed": true });
        if let Some(credential) = &self.credential {
            payload["externalAccountBinding"] =
                external_account::binding(credential, &jwk(key), &url);
        }
        for (member, value) in more.as_object().into_iter().flatten() {
            payload[member] = value.clone();
        }
        self.draft(key, &url, Some(&payload)).send()
    }
}

impl<'t> Subscriber<'t> {
    /// A request of this account.
    pub(super) fn draft(&self, url: &str, payload: Option<&Value>) -> Draft<'_> {
        Draft::by_account(self.target, &self.key, &self.url, url, payload)
    }

    /// POST-as-GET.
    pub(super) fn read(&self, url: &str) -> Result<Reply, Short> {
        self.draft(url, None).send()
    }

    /// POST-as-GET that must be answered with the object.
    pub(super) fn look(&self, url: &str) -> Result<Reply, Short> {
        let reply = self.read(url)?;
        answered(&reply, "POST-as-GET", &[200])?;
        Ok(reply)
    }

    /// POST.
    pub(super) fn send(&self, url: &str, payload: &Value) -> Result<Reply, Short> {
        self.draft(url, Some(payload)).send()
    }

    /// Asks for an order of DNS names.
    pub(super) fn ask_order(&self, names: &[&str]) -> Result<Reply, Short> {
        self.send(&self.target.url("newOrder")?, &wanted(names))
    }

    /// An order of DNS names.
    pub(super) fn order(&self, names: &[&str]) -> Result<Order, Short> {
        let reply = self.ask_order(names)?;
        answered(&reply, "newOrder", &[201])?;
        Ok(order_of(&reply))
    }

    /// An order that has a wildcard; not offered where the server does not issue such.
    pub(super) fn wildcard_order(&self, name: &str) -> Result<Order, Short> {
        let reply = self.ask_order(&[name])?;
        if (400..500).contains(&reply.status) {
            let why = format!("no wildcards: {}", short(&reply));
            return Err(Short::NotOffered(why));
        }
        answered(&reply, "newOrder", &[201])?;
        Ok(order_of(&reply))
    }

    /// The order as it is now.
    pub(super) fn order_now(&self, order: &Order) -> Result<Order, Short> {
        let reply = self.look(&order.url)?;
        Ok(Order {
            url: order.url.clone(),
            object: reply.json(),
        })
    }

    /// The challenge of this kind in an authorization, none where it has none.
    pub(super) fn challenge(&self, authorization: &str, kind: &str) -> Result<Challenge, Short> {
        let object = self.look(authorization)?.json();
        let challenges = elements(&object["challenges"]);
        let found = challenges.iter().find(|c| c["type"] == kind);
        let none = || Short::NotOffered(format!("no {kind} for {}", object["identifier"]));
        let found = found.ok_or_else(none)?;
        Ok(Challenge {
            url: text(&found["url"]).to_owned(),
            token: text(&found["token"]).to_owned(),
            name: text(&object["identifier"]["value"]).to_owned(),
        })
    }

    /// The challenge of this kind in a fresh order for one name.
    pub(super) fn fresh_challenge(&self, kind: &str) -> Result<(Order, Challenge), Short> {
        let order = self.order(&[&self.target.name()])?;
        let authorization = first_authorization(&order)?;
        let challenge = self.challenge(&authorization, kind)?;
        Ok((order, challenge))
    }

    /// What proves control of a token's name (§8.1).
    pub(super) fn key_authorization(&self, token: &str) -> String {
        format!("{token}.{}", Jwk::from_key(self.key.public()).thumbprint())
    }

    /// Puts the right answer where the server will look for it.
    pub(super) fn provide(&self, challenge: &Challenge) {
        let proof = self.key_authorization(&challenge.token);
        self.target.web.put(&challenge.token, &proof);
    }

    /// Says that a challenge can be checked.
    pub(super) fn respond(&self, challenge: &Challenge) -> Result<Reply, Short> {
        let reply = self.send(&challenge.url, &json!({}))?;
        answered(&reply, "the response to a challenge", &[200])?;
        Ok(reply)
    }

    /// Looks at an object until its status is none of these.
    pub(super) fn outcome_of(&self, url: &str, passing: &[&str]) -> Result<Value, Short> {
        let deadline = Instant::now() + DECIDED_WITHIN;
        loop {
            std::thread::sleep(LOOK_EVERY);
            let object = self.look(url)?.json();
            if !passing.contains(&text(&object["status"])) {
                return Ok(object);
            }
            if Instant::now() > deadline {
                let status = &object["status"];
                return Err(format!("still {status} after {DECIDED_WITHIN:?}").into());
            }
        }
    }

    /// Proves every name of an order: wildcards by dns-01, others by http-01.
    pub(super) fn prove(&self, order: &Order) -> Result<Order, Short> {
        for url in order.authorizations() {
            let object = self.look(&url)?.json();
            if object["status"] == "valid" {
                continue;
            }
            let by_dns = object["wildcard"] == true;
            let kind = if by_dns { "dns-01" } else { "http-01" };
            let challenge = self.challenge(&url, kind)?;
            if by_dns {
                let value = dns01_value(&self.key_authorization(&challenge.token));
                self.add_txt(&challenge.name, &value)?;
            } else {
                self.provide(&challenge);
            }
            self.respond(&challenge)?;
            let decided = self.outcome_of(&url, &["pending"])?;
            if decided["status"] != "valid" {
                return Err(format!("the right answer for {kind} made it {decided}").into());
            }
        }
        let object = self.outcome_of(&order.url, &["pending"])?;
        Ok(Order {
            url: order.url.clone(),
            object,
        })
    }

    pub(super) fn add_txt(&self, name: &str, value: &str) -> Result<(), Short> {
        let owner = format!("_acme-challenge.{name}");
        let added = self.target.zone()?.add_txt(&owner, value);
        added.map_err(|error| Short::Fails(error.to_string()))
    }

    /// An order that only waits for its CSR.
    pub(super) fn ready_order(&self, names: &[&str]) -> Result<Order, Short> {
        let order = self.prove(&self.order(names)?)?;
        if order.status() != "ready" {
            return Err(format!("a proven order is {}, not ready", order.object).into());
        }
        Ok(order)
    }

    /// Sends a CSR, whatever it is.
    pub(super) fn finalize(&self, order: &Order, csr: &[u8]) -> Result<Reply, Short> {
        self.send(order.finalize_url(), &json!({ "csr": b64(csr) }))
    }

    /// Finalizes a ready order with the right CSR and downloads.
    pub(super) fn fetch(&self, order: &Order, names: &[&str]) -> Result<Obtained, Short> {
        let key = new_key();
        let reply = self.finalize(order, &csr_for(&key, names))?;
        answered(&reply, "finalize with the right CSR", &[200])?;
        self.download(order, key)
    }

    /// Downloads once the order is valid.
    pub(super) fn download(&self, order: &Order, key: PrivateKey) -> Result<Obtained, Short> {
        let object = self.outcome_of(&order.url, &["ready", "processing"])?;
        let Some(url) = object["certificate"].as_str().map(str::to_owned) else {
            return Err(format!("a finalized order has no certificate: {object}").into());
        };
        let reply = self.look(&url)?;
        let chain = pem::decode(&reply.text(), "CERTIFICATE", CHAIN_MAX);
        let chain = chain.map_err(|error| format!("the chain is not PEM: {error}"))?;
        let order = Order {
            url: order.url.clone(),
            object,
        };
        Ok(Obtained {
            chain,
            key,
            url,
            order,
        })
    }

    /// The whole way.
    pub(super) fn issue(&self, names: &[&str]) -> Result<Obtained, Short> {
        self.fetch(&self.ready_order(names)?, names)
    }

    /// Asks for a revocation.
    pub(super) fn revoke(&self, what: &Obtained, reason: Option<i64>) -> Result<Reply, Short> {
        self.send(&self.target.url("revokeCert")?, &what.revocation(reason)?)
    }
}

impl Obtained {
    /// The leaf's DER.
    pub(super) fn leaf_der(&self) -> Result<&[u8], Short> {
        let leaf = self.chain.first().map(Vec::as_slice);
        leaf.ok_or_else(|| Short::Fails("the chain is empty".to_owned()))
    }

    /// The leaf.
    pub(super) fn leaf(&self) -> Result<Certificate, Short> {
        let leaf = Certificate::parse(self.leaf_der()?);
        leaf.map_err(|error| Short::Fails(format!("the leaf cannot be read: {error}")))
    }

    /// What a request to revoke it says.
    pub(super) fn revocation(&self, reason: Option<i64>) -> Result<Value, Short> {
        let mut asked = json!({ "certificate": b64(self.leaf_der()?) });
        if let Some(reason) = reason {
            asked["reason"] = json!(reason);
        }
        Ok(asked)
    }
}

/// The payload of newOrder.
pub(super) fn wanted(names: &[&str]) -> Value {
    let identifiers: Vec<Value> = names.iter().map(|name| dns(name)).collect();
    json!({ "identifiers": identifiers })
}

/// A DNS name as an identifier.
pub(super) fn dns(name: &str) -> Value {
    json!({ "type": "dns", "value": name })
}

/// The order that newOrder answered with.
pub(super) fn order_of(reply: &Reply) -> Order {
    Order {
        url: reply.header("location").to_owned(),
        object: reply.json(),
    }
}

/// The first of an order's authorizations.
pub(super) fn first_authorization(order: &Order) -> Result<String, Short> {
    let first = order.authorizations().into_iter().next();
    first.ok_or_else(|| Short::Fails(format!("no authorizations: {}", order.object)))
}
