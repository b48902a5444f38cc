//! Carries out what the [`Flow`](crate::flow) of an order says: requests, answers to challenges, and what must be on
//! disk before the next step.

use std::time::Duration;

use chancery_acme::{
    Authorization, ChallengeAnswer, ErrorType, Finalize, NewOrder, Order, Token, WireIdentifier,
    key_authorization,
};

use crate::account::Account;
use crate::client::Client;
use crate::clock::Clock;
use crate::failpoint::failpoint;
use crate::flow::{Event, Flow, Step};
use crate::job::Job;
use crate::reply::Reply;
use crate::solver::Solver;
use crate::state::{OrderRecord, Published, State, Step as Stored};
use crate::{AgentError, Http01};

/// One order being carried out.
pub(crate) struct Run<'a> {
    pub(crate) job: &'a Job,
    pub(crate) client: &'a Client,
    pub(crate) account: &'a Account,
    pub(crate) state: &'a State,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) solver: &'a mut Solver,
    pub(crate) record: OrderRecord,
}

impl Run<'_> {
    /// Brings the order to its end and gives what the CA sent as the certificate, unchecked.
    pub(crate) async fn finish(mut self) -> Result<(OrderRecord, Vec<u8>), AgentError> {
        let names = self.job.names.clone();
        let (mut flow, mut step) = match &self.record.step {
            Stored::Placed { order } => Flow::found(names, order),
            Stored::Prepared | Stored::Downloaded { .. } => Flow::new(names),
        };
        loop {
            let event = match step {
                Step::Download { url, after } => match self.download(&url, after).await {
                    Ok(chain) => return Ok((self.record, chain)),
                    Err(error) => lost_or_gone(error)?,
                },
                step => self.perform(step).await.or_else(lost_or_gone)?,
            };
            step = flow.next(self.clock.now(), event)?;
            tracing::debug!("order {}: {step:?}", flow.order_url());
        }
    }

    async fn perform(&mut self, step: Step) -> Result<Event, AgentError> {
        match step {
            Step::Place => self.place().await,
            Step::ReadOrder { url, after } => {
                const WHAT: &str = "the order";
                pause(after).await;
                let reply = self.client.read(WHAT, &url, self.account.signer()).await?;
                order_event(None, &reply, WHAT)
            }
            Step::ReadAuthorization { url, after } => {
                const WHAT: &str = "the authorization";
                pause(after).await;
                let reply = self.client.read(WHAT, &url, self.account.signer()).await?;
                let authorization: Authorization = reply.json(WHAT)?;
                Ok(Event::Authorization {
                    authorization: Box::new(authorization),
                    retry_after: reply.retry_after,
                })
            }
            Step::Answer {
                challenge,
                token,
                after,
            } => {
                pause(after).await;
                self.answer(&challenge, &token).await
            }
            Step::Finalize { url } | Step::Download { url, .. } => self.finalize(&url).await,
        }
    }

    async fn place(&mut self) -> Result<Event, AgentError> {
        const WHAT: &str = "newOrder";
        tracing::info!("placing an order for {}", self.record.names.join(", "));
        let reply = match self.new_order(WHAT).await {
            Err(error) if self.record.replaces.is_some() && may_be_about_replaces(&error) => {
                tracing::warn!("{error}; ordering without saying what is replaced");
                self.record.replaces = None;
                // A run that goes on with this one does not ask the same again.
                self.state.keep_order(&self.job.name, &self.record)?;
                self.new_order(WHAT).await?
            }
            placed => placed?,
        };
        failpoint("order-placed");
        let location = reply
            .location
            .clone()
            .ok_or_else(|| AgentError::BadAnswer {
                what: WHAT,
                reason: "it has no Location".to_owned(),
            })?;
        // On disk before anything else is done with it: whatever happens now, the next run finds the order.
        self.record.step = Stored::Placed {
            order: location.clone(),
        };
        self.state.keep_order(&self.job.name, &self.record)?;
        failpoint("order-recorded");
        order_event(Some(location), &reply, WHAT)
    }

    async fn new_order(&self, what: &'static str) -> Result<Reply, AgentError> {
        let message = NewOrder {
            identifiers: self.job.names.iter().map(WireIdentifier::from).collect(),
            replaces: self.record.replaces.clone(),
            ..NewOrder::default()
        };
        let url = &self.client.directory().new_order;
        self.client
            .post(what, url, self.account.signer(), &message)
            .await
    }

    async fn answer(&mut self, challenge: &str, token: &Token) -> Result<Event, AgentError> {
        if let Http01::Webroot(webroot) = &self.job.http01 {
            let published = Published {
                webroot: webroot.clone(),
                token: token.to_string(),
            };
            if !self.record.published.contains(&published) {
                self.record.published.push(published);
                self.state.keep_order(&self.job.name, &self.record)?;
            }
        }
        let answer = key_authorization(token, &self.account.thumbprint());
        self.solver.put(token, &answer)?;
        failpoint("challenge-presented");
        let signer = self.account.signer();
        self.client
            .post("the challenge", challenge, signer, &ChallengeAnswer {})
            .await?;
        failpoint("challenge-answered");
        Ok(Event::Answered)
    }

    async fn finalize(&self, url: &str) -> Result<Event, AgentError> {
        const WHAT: &str = "finalize";
        let csr = self.record.csr().ok_or_else(|| AgentError::System {
            reason: "the stored certificate request is not base64url".to_owned(),
        })?;
        tracing::info!("validated; sending the certificate request");
        failpoint("before-finalize");
        let reply = self
            .client
            .post(WHAT, url, self.account.signer(), &Finalize { csr })
            .await?;
        failpoint("after-finalize");
        order_event(None, &reply, WHAT)
    }

    async fn download(&self, url: &str, after: Duration) -> Result<Vec<u8>, AgentError> {
        pause(after).await;
        let reply = self
            .client
            .read("the certificate", url, self.account.signer())
            .await?;
        Ok(reply.body.to_vec())
    }
}

fn order_event(
    url: Option<String>,
    reply: &Reply,
    what: &'static str,
) -> Result<Event, AgentError> {
    let order: Order = reply.json(what)?;
    Ok(Event::Order {
        url,
        order: Box::new(order),
        retry_after: reply.retry_after,
    })
}

/// Whether an order was perhaps refused for the certificate that it names. Only `alreadyReplaced` says so for certain: a CA
/// that does not find the certificate, or finds it with another account, says `malformed`, `unauthorized` or
/// `serverInternal`. Saying what is replaced is a courtesy, which must not cost the renewal, and one more order tells.
fn may_be_about_replaces(error: &AgentError) -> bool {
    let AgentError::Refused { problem, .. } = error else {
        return false;
    };
    // Too busy to look, or it does not know the account: neither is about a certificate.
    let is_busy = matches!(problem.status, 429 | 503);
    !is_busy && !problem.is(ErrorType::AccountDoesNotExist)
}

/// Sorts a failure for the flow: what may pass, what the CA refuses, and what is nobody's to repeat.
fn lost_or_gone(error: AgentError) -> Result<Event, AgentError> {
    if error.is_passing() {
        tracing::debug!("{error}");
        return Ok(Event::Lost(error));
    }
    match error {
        AgentError::Refused { .. } | AgentError::Status { .. } => Ok(Event::Gone(error)),
        other => Err(other),
    }
}

async fn pause(after: Duration) {
    if !after.is_zero() {
        tokio::time::sleep(after).await;
    }
}
