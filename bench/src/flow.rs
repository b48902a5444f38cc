//! One complete order, as a client takes it through RFC 8555 §7.4.

use std::fmt;
use std::time::{Duration, Instant};

use chancery_acme::{
    Authorization, AuthorizationStatus, ChallengeAnswer, ChallengeKind, Finalize, NewOrder, Order,
    OrderStatus, Token, WireIdentifier, key_authorization,
};
use chancery_crypto::{Curve, Entropy, KeyKind, PrivateKey, SystemEntropy};
use chancery_pki::certificate::Certificate;
use chancery_pki::{DnsName, San, csr, pem};
use chancery_simulate::Tokens;

use crate::client::{self, Client, Good};
use crate::connection::RequestError;
use crate::pacing::Pacing;

/// An authorization or order that is still open after so long has failed. Below the watchdog's limit.
const OPEN_TIME: Duration = Duration::from_secs(15);
/// The same as a count, for pacings near zero.
const POLLS_MAX: usize = 20_000;
/// Certificates in one chain.
const CHAIN_MAX: usize = 10;

/// The signed requests of an order, in their order. A poll is one or more requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Step {
    NewOrder,
    Authorization,
    Challenge,
    AuthorizationPoll,
    Finalize,
    OrderPoll,
    Certificate,
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::NewOrder,
        Self::Authorization,
        Self::Challenge,
        Self::AuthorizationPoll,
        Self::Finalize,
        Self::OrderPoll,
        Self::Certificate,
    ];

    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NewOrder => "newOrder",
            Self::Authorization => "authz",
            Self::Challenge => "challenge",
            Self::AuthorizationPoll => "authz poll",
            Self::Finalize => "finalize",
            Self::OrderPoll => "order poll",
            Self::Certificate => "certificate",
        }
    }
}

/// Why an order brought no certificate. Displayed as a label that failures are counted by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    step: Step,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Reason {
    Request(RequestError),
    /// The authorization or order became something that leads nowhere, with the error it carries.
    Ended(String),
    StillOpen,
    /// What was downloaded does not certify this order's name and key.
    NotOurs,
    Own,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.step.name())?;
        match &self.reason {
            Reason::Request(error) => error.fmt(f),
            Reason::Ended(how) => f.write_str(how),
            Reason::StillOpen => f.write_str("still open after 15 s"),
            Reason::NotOurs => f.write_str("not a certificate for the order"),
            Reason::Own => f.write_str("the client's own failure"),
        }
    }
}

/// What the load does beside its requests.
#[derive(Debug)]
pub(crate) struct Flow<'a> {
    pub(crate) tokens: &'a Tokens,
    pub(crate) pacing: Pacing,
    /// How long each request took, of this order.
    pub(crate) requests: &'a mut Vec<(Step, Duration)>,
    /// Whether what is downloaded is parsed and compared; once per worker is enough to know what is measured.
    pub(crate) inspect: bool,
}

impl Flow<'_> {
    /// Takes one order with a fresh name and key all the way; the time from its first request to its last answer.
    ///
    /// # Errors
    /// [`Failure`]
    pub(crate) async fn order(&mut self, client: &mut Client) -> Result<Duration, Failure> {
        let own = |()| Failure {
            step: Step::NewOrder,
            reason: Reason::Own,
        };
        let name = fresh_name().ok_or(()).map_err(own)?;
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).map_err(|_| own(()))?;
        let csr = csr::build(&key, &[San::Dns(name.clone())]).map_err(|_| own(()))?;
        let began = Instant::now();
        let (url, order) = self.place(client, &name).await?;
        for authorization in &order.authorizations {
            self.prove(client, authorization).await?;
        }
        let payload = client::json(&Finalize { csr }).map_err(at(Step::Finalize))?;
        self.post(client, Step::Finalize, &order.finalize, Some(&payload))
            .await?;
        let certificate = self.wait_for_order(client, &url).await?;
        let chain = self
            .post(client, Step::Certificate, &certificate, None)
            .await?;
        let took = began.elapsed();
        let ours = if self.inspect {
            certifies(&chain.body, &name, &key)
        } else {
            is_pem(&chain.body)
        };
        if ours {
            Ok(took)
        } else {
            Err(Failure {
                step: Step::Certificate,
                reason: Reason::NotOurs,
            })
        }
    }

    async fn place(
        &mut self,
        client: &mut Client,
        name: &DnsName,
    ) -> Result<(String, Order), Failure> {
        let step = Step::NewOrder;
        let asked = NewOrder {
            identifiers: vec![WireIdentifier::dns(name)],
            ..NewOrder::default()
        };
        let payload = client::json(&asked).map_err(at(step))?;
        let directory = client.directory();
        let answer = self
            .post(client, step, &directory.new_order, Some(&payload))
            .await?;
        let order = client::read(&answer.body, "order").map_err(at(step))?;
        let url = answer
            .location
            .ok_or(RequestError::Unreadable("newOrder answer"))
            .map_err(at(step))?;
        Ok((url, order))
    }

    /// Answers the http-01 challenge of an authorization and waits until it is found good.
    async fn prove(&mut self, client: &mut Client, url: &str) -> Result<(), Failure> {
        let step = Step::Authorization;
        let answer = self.post(client, step, url, None).await?;
        let authorization: Authorization =
            client::read(&answer.body, "authorization").map_err(at(step))?;
        let offered = authorization
            .challenges
            .iter()
            .find(|challenge| ChallengeKind::parse(&challenge.kind) == Some(ChallengeKind::Http01))
            .and_then(|challenge| Some((challenge, Token::parse(challenge.token.as_deref()?)?)));
        let Some((challenge, token)) = offered else {
            return Err(Failure {
                step,
                reason: Reason::Ended("no http-01 offered".to_owned()),
            });
        };
        self.tokens.put_token(
            token.as_str(),
            key_authorization(&token, client.thumbprint()),
        );
        let proven = self.answer_and_wait(client, &challenge.url, url).await;
        self.tokens.remove_token(token.as_str());
        proven
    }

    async fn answer_and_wait(
        &mut self,
        client: &mut Client,
        challenge: &str,
        authorization: &str,
    ) -> Result<(), Failure> {
        let payload = client::json(&ChallengeAnswer {}).map_err(at(Step::Challenge))?;
        self.post(client, Step::Challenge, challenge, Some(&payload))
            .await?;
        let step = Step::AuthorizationPoll;
        let mut polls = Polls::new(self.pacing);
        while polls.pause().await {
            let answer = self.post(client, step, authorization, None).await?;
            let seen: Authorization =
                client::read(&answer.body, "authorization").map_err(at(step))?;
            match seen.status {
                AuthorizationStatus::Valid => return Ok(()),
                AuthorizationStatus::Pending => {}
                status => {
                    let error = seen
                        .challenges
                        .iter()
                        .find_map(|challenge| challenge.error.as_ref());
                    let why = error.map_or_else(String::new, |error| format!(" ({})", error.kind));
                    return Err(Failure {
                        step,
                        reason: Reason::Ended(format!("{status}{why}")),
                    });
                }
            }
        }
        Err(Failure {
            step,
            reason: Reason::StillOpen,
        })
    }

    /// Waits until the order is valid: the URL of its certificate.
    async fn wait_for_order(&mut self, client: &mut Client, url: &str) -> Result<String, Failure> {
        let step = Step::OrderPoll;
        let mut polls = Polls::new(self.pacing);
        while polls.pause().await {
            let answer = self.post(client, step, url, None).await?;
            let seen: Order = client::read(&answer.body, "order").map_err(at(step))?;
            match (seen.status, seen.certificate) {
                (OrderStatus::Valid, Some(certificate)) => return Ok(certificate),
                (OrderStatus::Invalid, _) => {
                    let why = seen
                        .error
                        .map_or_else(String::new, |error| format!(" ({})", error.kind));
                    return Err(Failure {
                        step,
                        reason: Reason::Ended(format!("invalid{why}")),
                    });
                }
                _ => {}
            }
        }
        Err(Failure {
            step,
            reason: Reason::StillOpen,
        })
    }

    async fn post(
        &mut self,
        client: &mut Client,
        step: Step,
        url: &str,
        payload: Option<&[u8]>,
    ) -> Result<Good, Failure> {
        let answer = client.post(url, payload).await.map_err(at(step))?;
        self.requests.push((step, answer.took));
        Ok(answer)
    }
}

/// The pauses before looking at something that changes by itself.
struct Polls {
    pacing: Pacing,
    began: Instant,
    count: usize,
}

impl Polls {
    fn new(pacing: Pacing) -> Self {
        Self {
            pacing,
            began: Instant::now(),
            count: 0,
        }
    }

    /// Waits; false when it has taken too long already.
    async fn pause(&mut self) -> bool {
        if self.count >= POLLS_MAX || self.began.elapsed() > OPEN_TIME {
            return false;
        }
        let pause = if self.count == 0 {
            self.pacing.first
        } else {
            self.pacing.next
        };
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
        self.count += 1;
        true
    }
}

fn at(step: Step) -> impl FnOnce(RequestError) -> Failure {
    move |error| Failure {
        step,
        reason: Reason::Request(error),
    }
}

/// A name that nobody had before: 64 random bits below a domain that does not exist outside.
fn fresh_name() -> Option<DnsName> {
    let mut random = [0; 8];
    SystemEntropy.fill(&mut random);
    DnsName::parse(&format!("b{:016x}.bench.test", u64::from_be_bytes(random))).ok()
}

fn is_pem(chain: &[u8]) -> bool {
    chain
        .trim_ascii_start()
        .starts_with(b"-----BEGIN CERTIFICATE-----")
}

fn certifies(chain: &[u8], name: &DnsName, key: &PrivateKey) -> bool {
    let leaf = std::str::from_utf8(chain)
        .ok()
        .and_then(|text| pem::decode(text, "CERTIFICATE", CHAIN_MAX).ok())
        .and_then(|chain| Certificate::parse(chain.first()?).ok());
    leaf.is_some_and(|leaf| {
        leaf.sans() == [San::Dns(name.clone())] && leaf.spki().key() == key.public()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_fresh() {
        let names: Vec<_> = (0..100).filter_map(|_| fresh_name()).collect();
        assert_eq!(names.len(), 100);
        let different: std::collections::BTreeSet<_> = names.iter().map(DnsName::as_str).collect();
        assert_eq!(different.len(), 100);
    }

    #[test]
    fn what_is_not_a_chain_is_no_certificate() {
        assert!(is_pem(b"\n-----BEGIN CERTIFICATE-----\nMIIB"));
        assert!(!is_pem(b"{}"));
        let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
        let name = fresh_name().expect("a name");
        assert!(!certifies(
            b"-----BEGIN CERTIFICATE-----\nMIIB",
            &name,
            &key
        ));
    }

    #[test]
    fn a_failure_is_told_by_its_step_and_kind() {
        let refused = RequestError::Refused {
            status: 400,
            kind: "badCSR".to_owned(),
        };
        assert_eq!(
            at(Step::Finalize)(refused).to_string(),
            "finalize: 400 badCSR"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn polling_pauses_and_has_an_end() {
        let ms = Duration::from_millis;
        let mut polls = Polls::new(Pacing {
            first: ms(0),
            next: ms(1),
            per_worker: ms(0),
        });
        let mut count = 0;
        while polls.pause().await {
            count += 1;
        }
        assert_eq!(count, POLLS_MAX);
    }
}
