//! The way to a certificate, step by step (RFC 8555 §7.4, §7.5).

use std::time::{Duration, Instant};

use chancery_acme::{CertId, dns01_value};
use chancery_crypto::PrivateKey;
use chancery_jose::b64;
use chancery_pki::{Certificate, Crl, San, csr, pem};
use serde_json::{Value, json};

use crate::{Account, Http, Reply, new_key};

/// An order or authorization that is not decided by then never is: three attempts with their waits take a minute.
const DECIDED_WITHIN: Duration = Duration::from_secs(90);
/// Between two looks; the server holds a look back while something is under way.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Why a step did not work.
#[derive(Debug)]
pub enum Lost {
    /// No answer: the server or the connection is gone.
    NoAnswer(String),
    /// The server said no.
    Refused(Box<Reply>),
}

/// An order as it was last seen.
#[derive(Debug, Clone)]
pub struct Order {
    /// Its URL.
    pub url: String,
    /// The object.
    pub object: Value,
}

/// A certificate that was downloaded, with the key that it is for.
pub struct Issued {
    /// The chain as it came, leaf first.
    pub pem: String,
    /// The key.
    pub key: PrivateKey,
    /// Where it was downloaded.
    pub url: String,
    /// Its order.
    pub order: Order,
}

/// A CSR for these names, which may be wildcards or addresses.
///
/// # Panics
/// When one is no name.
#[must_use]
pub fn csr_for(key: &PrivateKey, names: &[&str]) -> Vec<u8> {
    let names: Vec<San> = names
        .iter()
        .map(|name| San::parse(name).expect("a name"))
        .collect();
    csr::build(key, &names).expect("a CSR")
}

impl Order {
    /// `pending`, `ready`, …
    #[must_use]
    pub fn status(&self) -> &str {
        text(&self.object["status"])
    }

    /// The URLs of its authorizations.
    #[must_use]
    pub fn authorizations(&self) -> Vec<String> {
        let all = self.object["authorizations"].as_array();
        all.into_iter()
            .flatten()
            .map(|url| text(url).to_owned())
            .collect()
    }

    /// Where it is finalized.
    #[must_use]
    pub fn finalize_url(&self) -> &str {
        text(&self.object["finalize"])
    }

    /// Where its certificate is, once it is valid.
    #[must_use]
    pub fn certificate_url(&self) -> Option<&str> {
        self.object["certificate"].as_str()
    }
}

impl Account<'_> {
    /// Places an order.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn order(&self, names: &[&str]) -> Order {
        self.try_order(names)
            .unwrap_or_else(|lost| panic!("an order for {names:?}: {lost:?}"))
    }

    /// Places an order for identifiers of any type, each with its type before its value.
    ///
    /// # Panics
    /// When the server refuses.
    #[must_use]
    pub fn order_typed(&self, identifiers: &[(&str, &str)]) -> Order {
        let identifier = |(kind, value): &(&str, &str)| json!({ "type": kind, "value": value });
        let all: Vec<Value> = identifiers.iter().map(identifier).collect();
        let asked = json!({ "identifiers": all });
        let reply = self.try_send(&self.client.url("newOrder"), &asked, 201);
        let reply = reply.unwrap_or_else(|lost| panic!("{identifiers:?}: {lost:?}"));
        Order {
            url: reply.header("location").to_owned(),
            object: reply.json(),
        }
    }

    /// The challenge of this kind.
    ///
    /// # Panics
    /// When the authorization has none.
    #[must_use]
    pub fn challenge(&self, authorization_url: &str, kind: &str) -> Value {
        let authorization = self.read(authorization_url).json();
        let challenge = challenge_of(&authorization, kind).cloned();
        challenge.unwrap_or_else(|| panic!("{kind} in {authorization}"))
    }

    /// The kinds of challenge that an authorization offers, in order.
    #[must_use]
    pub fn offered(&self, authorization_url: &str) -> Vec<String> {
        let authorization = self.read(authorization_url).json();
        let challenges = authorization["challenges"].as_array().cloned();
        let kinds = challenges.unwrap_or_default();
        kinds
            .iter()
            .map(|challenge| text(&challenge["type"]).to_owned())
            .collect()
    }

    /// Asks for an order, whatever the names are.
    #[must_use]
    pub fn ask_order(&self, names: &[&str]) -> Reply {
        self.send(&self.client.url("newOrder"), &wanted(names))
    }

    /// The same in which the server may refuse or vanish.
    ///
    /// # Errors
    /// [`Lost`]
    pub fn try_order(&self, names: &[&str]) -> Result<Order, Lost> {
        let reply = self.try_send(&self.client.url("newOrder"), &wanted(names), 201)?;
        Ok(Order {
            url: reply.header("location").to_owned(),
            object: reply.json(),
        })
    }

    /// Looks at an order again.
    ///
    /// # Errors
    /// [`Lost`]
    pub fn look_at(&self, order: &Order) -> Result<Order, Lost> {
        let reply = self.try_read(&order.url)?;
        Ok(Order {
            url: order.url.clone(),
            object: reply.json(),
        })
    }

    /// Proves every name of an order: wildcards by dns-01, others by http-01.
    ///
    /// # Errors
    /// [`Lost`]; an authorization that becomes invalid is a refusal with its object.
    pub fn try_prove(&self, order: &Order) -> Result<Order, Lost> {
        for url in order.authorizations() {
            self.take_up(&url)?;
        }
        for url in order.authorizations() {
            let reply = self.decided(&url, &["valid", "invalid"])?;
            if reply.json()["status"] != "valid" {
                return Err(Lost::Refused(Box::new(reply)));
            }
        }
        self.look_at(order)
    }

    /// Provides the proof of an authorization and says that it is ready: a wildcard's by dns-01, any other's by http-01.
    ///
    /// # Errors
    /// [`Lost`]
    pub fn take_up(&self, url: &str) -> Result<(), Lost> {
        let authorization = self.try_read(url)?.json();
        let kind = if authorization["wildcard"] == true {
            "dns-01"
        } else {
            "http-01"
        };
        let Some(challenge) = challenge_of(&authorization, kind) else {
            return Ok(());
        };
        let token = text(&challenge["token"]);
        let proof = self.key_authorization(token);
        if kind == "http-01" {
            self.client.site.tokens.put_token(token, proof);
        } else {
            let name = text(&authorization["identifier"]["value"]);
            self.client.site.add_dns01(name, &dns01_value(&proof));
        }
        self.try_send(text(&challenge["url"]), &json!({}), 200)
            .map(drop)
    }

    /// Says that the challenge of this kind is ready, without any proof.
    ///
    /// # Panics
    /// When the authorization has no such challenge.
    pub fn respond(&self, authorization_url: &str, kind: &str) {
        let authorization = self.read(authorization_url).json();
        let challenge = challenge_of(&authorization, kind);
        let challenge = challenge.unwrap_or_else(|| panic!("{kind} in {authorization}"));
        let reply = self.send(text(&challenge["url"]), &json!({}));
        assert_eq!(reply.status, 200, "{}", reply.text());
    }

    /// Reads an object until its status is one of these.
    ///
    /// # Errors
    /// [`Lost`]
    ///
    /// # Panics
    /// When that takes too long.
    pub fn decided(&self, url: &str, statuses: &[&str]) -> Result<Reply, Lost> {
        let deadline = Instant::now() + DECIDED_WITHIN;
        loop {
            let reply = self.try_read(url)?;
            if statuses.contains(&text(&reply.json()["status"])) {
                return Ok(reply);
            }
            assert!(
                Instant::now() < deadline,
                "{url} is undecided: {}",
                reply.text()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// An order that only waits for its CSR.
    ///
    /// # Panics
    /// When it does not come that far.
    #[must_use]
    pub fn ready_order(&self, names: &[&str]) -> Order {
        let order = self.order(names);
        let order = self
            .try_prove(&order)
            .unwrap_or_else(|lost| panic!("{names:?}: {lost:?}"));
        assert_eq!(order.status(), "ready", "{}", order.object);
        order
    }

    /// Sends a CSR, whatever it is.
    pub fn finalize(&self, order: &Order, csr: &[u8]) -> Reply {
        self.send(order.finalize_url(), &json!({ "csr": b64(csr) }))
    }

    /// Finalizes and downloads.
    ///
    /// # Errors
    /// [`Lost`]
    pub fn try_fetch(&self, order: &Order, key: PrivateKey, csr: &[u8]) -> Result<Issued, Lost> {
        let asked = json!({ "csr": b64(csr) });
        let mut reply = self.try_send(order.finalize_url(), &asked, 200)?;
        if reply.json()["status"] == "processing" {
            reply = self.decided(&order.url, &["valid", "invalid"])?;
        }
        let order = Order {
            url: order.url.clone(),
            object: reply.json(),
        };
        self.try_download(order, key)
    }

    /// Downloads the certificate of a valid order.
    ///
    /// # Errors
    /// [`Lost`]
    ///
    /// # Panics
    /// When the order has no certificate.
    pub fn try_download(&self, order: Order, key: PrivateKey) -> Result<Issued, Lost> {
        let url = order.certificate_url();
        let url = url
            .unwrap_or_else(|| panic!("a certificate: {}", order.object))
            .to_owned();
        let pem = self.try_read(&url)?.text();
        Ok(Issued {
            pem,
            key,
            url,
            order,
        })
    }

    /// The whole way, with a fresh key on P-256.
    ///
    /// # Panics
    /// When it does not lead to a certificate.
    #[must_use]
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_for(new_key(), names)
    }

    /// The whole way for a key.
    ///
    /// # Panics
    /// When it does not lead to a certificate.
    #[must_use]
    pub fn issue_for(&self, key: PrivateKey, names: &[&str]) -> Issued {
        let order = self.ready_order(names);
        let csr = csr_for(&key, names);
        self.try_fetch(&order, key, &csr)
            .unwrap_or_else(|lost| panic!("{names:?}: {lost:?}"))
    }

    /// Asks for a revocation.
    pub fn revoke(&self, issued: &Issued, reason: Option<i64>) -> Reply {
        self.send(&self.client.url("revokeCert"), &issued.revocation(reason))
    }

    /// The same in which the server may refuse or vanish.
    ///
    /// # Errors
    /// [`Lost`]
    pub fn try_revoke(&self, issued: &Issued, reason: Option<i64>) -> Result<(), Lost> {
        let url = self.client.url("revokeCert");
        self.try_send(&url, &issued.revocation(reason), 200)
            .map(drop)
    }

    fn try_read(&self, url: &str) -> Result<Reply, Lost> {
        answered(self.try_request(url, None), 200)
    }

    fn try_send(&self, url: &str, payload: &Value, status: u16) -> Result<Reply, Lost> {
        answered(self.try_request(url, Some(payload)), status)
    }
}

impl Issued {
    /// The certificate.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn leaf(&self) -> Certificate {
        Certificate::parse(&self.chain()[0]).expect("a certificate that we made")
    }

    /// The chain in DER, leaf first.
    ///
    /// # Panics
    /// When it is not PEM, or empty.
    #[must_use]
    pub fn chain(&self) -> Vec<Vec<u8>> {
        pem::decode(&self.pem, "CERTIFICATE", 8).expect("a chain in PEM")
    }

    /// The serial as operators see it.
    #[must_use]
    pub fn serial(&self) -> String {
        self.leaf().serial().to_hex()
    }

    /// What names it in renewal information (RFC 9773 §4.1).
    ///
    /// # Panics
    /// When it has no authority key identifier.
    #[must_use]
    pub fn cert_id(&self) -> String {
        let leaf = self.leaf();
        let id = CertId {
            authority_key_id: leaf.authority_key_id().expect("it has one").to_vec(),
            serial: leaf.serial().as_bytes().to_vec(),
        };
        id.to_string()
    }

    /// The CRL that the certificate points to, as it is published now.
    #[must_use]
    pub fn crl(&self) -> Crl {
        crl_of(&self.leaf())
    }

    /// What a request to revoke it says.
    #[must_use]
    pub fn revocation(&self, reason: Option<i64>) -> Value {
        let mut asked = json!({ "certificate": b64(self.leaf().der()) });
        if let Some(reason) = reason {
            asked["reason"] = json!(reason);
        }
        asked
    }
}

/// The CRL that a certificate points to, as it is published now.
///
/// # Panics
/// When there is none.
fn crl_of(certificate: &Certificate) -> Crl {
    let [url] = certificate.crl_urls() else {
        panic!("one CRL: {:?}", certificate.crl_urls())
    };
    let reply = Http::plain().get(url);
    assert_eq!(reply.status, 200, "{url}");
    Crl::parse(reply.body.to_vec()).expect("a CRL that we made")
}

fn answered(reply: Result<Reply, String>, status: u16) -> Result<Reply, Lost> {
    let reply = reply.map_err(Lost::NoAnswer)?;
    if reply.status == status {
        Ok(reply)
    } else {
        Err(Lost::Refused(Box::new(reply)))
    }
}

fn wanted(names: &[&str]) -> Value {
    let identifier = |name: &&str| json!({ "type": "dns", "value": name });
    json!({ "identifiers": names.iter().map(identifier).collect::<Vec<_>>() })
}

fn challenge_of<'a>(authorization: &'a Value, kind: &str) -> Option<&'a Value> {
    let challenges = authorization["challenges"].as_array()?;
    challenges
        .iter()
        .find(|challenge| challenge["type"] == kind)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
