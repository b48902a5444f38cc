//! The way of one order through a CA (RFC 8555 §7.1.6, §7.4), without sockets, files or clock: an answer goes in, the
//! next thing to do comes out.
//!
//! Challenges are put up for all names before any is waited for. What is asked again is asked at the CA's pace, or
//! ever more slowly; everything together is bounded by [`Pace`]. An order that was found on disk and has ended without a
//! certificate is replaced by a new one, once.

mod authorizations;
mod pace;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::time::Duration;

use chancery_acme::{Authorization, Order, OrderStatus, Problem, Token};
use chancery_pki::{San, UnixTime};

use crate::AgentError;
use crate::request::NAMES_MAX;

use self::authorizations::{Authorizations, Next};
use self::pace::Pace;

/// What to do next. Where there is an `after`, wait that long first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// POST newOrder.
    Place,
    /// POST-as-GET of the order.
    ReadOrder { url: String, after: Duration },
    /// POST-as-GET of an authorization.
    ReadAuthorization { url: String, after: Duration },
    /// Put up the answer for the token, then POST to the challenge.
    Answer {
        challenge: String,
        token: Token,
        after: Duration,
    },
    /// POST the CSR.
    Finalize { url: String },
    /// POST-as-GET of the certificate. What comes is the end of the flow.
    Download { url: String, after: Duration },
}

/// What came of the last step.
#[derive(Debug)]
pub(crate) enum Event {
    /// The order as it stands, with its URL where the step was to place it.
    Order {
        url: Option<String>,
        order: Box<Order>,
        retry_after: Option<Duration>,
    },
    /// An authorization as it stands.
    Authorization {
        authorization: Box<Authorization>,
        retry_after: Option<Duration>,
    },
    /// The CA knows that the answer is up.
    Answered,
    /// The CA does not know the order.
    Gone(AgentError),
    /// No answer, or one that may be better next time.
    Lost(AgentError),
}

/// One order on its way.
#[derive(Debug)]
pub(crate) struct Flow {
    names: BTreeSet<San>,
    /// Whether the order was found on disk and may still be replaced.
    found: bool,
    order_url: String,
    /// The order's arrays as they were seen first; they never change (RFC 8555 §7.1.3).
    seen: Option<Order>,
    authorizations: Authorizations,
    pace: Pace,
    last: Step,
}

impl Flow {
    /// A new order for these names.
    pub(crate) fn new(names: BTreeSet<San>) -> (Self, Step) {
        Self::starting(names, Step::Place, String::new())
    }

    /// An order that was placed earlier.
    pub(crate) fn found(names: BTreeSet<San>, order_url: &str) -> (Self, Step) {
        let step = Step::ReadOrder {
            url: order_url.to_owned(),
            after: Duration::ZERO,
        };
        Self::starting(names, step, order_url.to_owned())
    }

    fn starting(names: BTreeSet<San>, step: Step, order_url: String) -> (Self, Step) {
        let flow = Self {
            names,
            found: step != Step::Place,
            order_url,
            seen: None,
            authorizations: Authorizations::default(),
            pace: Pace::default(),
            last: step.clone(),
        };
        (flow, step)
    }

    /// The order's URL as far as it is known.
    pub(crate) fn order_url(&self) -> &str {
        &self.order_url
    }

    /// Takes what came of the last step and says the next one.
    pub(crate) fn next(&mut self, now: UnixTime, event: Event) -> Result<Step, AgentError> {
        let step = match event {
            Event::Order {
                url,
                order,
                retry_after,
            } => self.on_order(now, url, *order, retry_after)?,
            Event::Authorization {
                authorization,
                retry_after,
            } => self.on_authorization(&authorization, retry_after)?,
            Event::Answered => self.on_answered()?,
            Event::Gone(error) => self.replaced_or(error)?,
            Event::Lost(error) => self.on_lost(error)?,
        };
        self.last = step.clone();
        Ok(step)
    }

    fn on_order(
        &mut self,
        now: UnixTime,
        url: Option<String>,
        order: Order,
        retry_after: Option<Duration>,
    ) -> Result<Step, AgentError> {
        self.pace.answered();
        if let Some(url) = url {
            self.order_url = url;
        }
        self.check(&order)?;
        let open = matches!(order.status, OrderStatus::Pending | OrderStatus::Ready);
        if self.found && open && order.expires.is_some_and(|expires| expires <= now) {
            return self.replaced_or(bad_order("it has expired"));
        }
        match order.status {
            OrderStatus::Pending if self.authorizations.is_fresh() => {
                self.authorizations.begin(&order.authorizations);
                self.next_authorization()
            }
            // All authorizations are valid, and the CA has not noticed yet.
            OrderStatus::Pending => self.read_order("the validation", retry_after),
            OrderStatus::Ready if matches!(self.last, Step::Finalize { .. }) => {
                Err(bad_order("it is ready again after the CSR was taken"))
            }
            OrderStatus::Ready => Ok(Step::Finalize {
                url: order.finalize,
            }),
            OrderStatus::Processing => self.read_order("issuing the certificate", retry_after),
            OrderStatus::Valid => match order.certificate {
                Some(url) => Ok(Step::Download {
                    url,
                    after: Duration::ZERO,
                }),
                None => Err(bad_order("it is valid and has no certificate")),
            },
            OrderStatus::Invalid => self.replaced_or(AgentError::OrderFailed {
                problem: Box::new(order.error.unwrap_or_else(no_reason)),
            }),
        }
    }

    /// An order must be about the names that were asked for, and stay about them.
    fn check(&mut self, order: &Order) -> Result<(), AgentError> {
        if let Some(seen) = &self.seen {
            let same = |a: &[String], b: &[String]| {
                a.iter().collect::<BTreeSet<_>>() == b.iter().collect()
            };
            if !same(&seen.authorizations, &order.authorizations) || seen.finalize != order.finalize
            {
                return Err(bad_order("its authorizations or its finalize URL changed"));
            }
        }
        let names: Option<BTreeSet<San>> = order
            .identifiers
            .iter()
            .map(|wire| wire.to_san().ok())
            .collect();
        if names.as_ref() != Some(&self.names) {
            return Err(bad_order("it is for other names than were ordered"));
        }
        if order.authorizations.len() > NAMES_MAX {
            return Err(bad_order(
                "it has more authorizations than names can be ordered",
            ));
        }
        self.seen.get_or_insert_with(|| order.clone());
        Ok(())
    }

    fn on_authorization(
        &mut self,
        authorization: &Authorization,
        retry_after: Option<Duration>,
    ) -> Result<Step, AgentError> {
        self.pace.answered();
        let Step::ReadAuthorization { url, .. } = self.last.clone() else {
            return Err(bad_order("an authorization came that was not asked for"));
        };
        match self
            .authorizations
            .on_read(url, authorization, &self.names, retry_after)?
        {
            Some((challenge, token)) => Ok(Step::Answer {
                challenge,
                token,
                after: Duration::ZERO,
            }),
            None => self.next_authorization(),
        }
    }

    fn on_answered(&mut self) -> Result<Step, AgentError> {
        self.pace.answered();
        self.authorizations.on_answered();
        self.next_authorization()
    }

    fn next_authorization(&mut self) -> Result<Step, AgentError> {
        match self.authorizations.next() {
            Next::Read(url) => Ok(Step::ReadAuthorization {
                url,
                after: Duration::ZERO,
            }),
            Next::ReadAgain { url, retry_after } => {
                let after = self.pace.wait("the validation", retry_after)?;
                Ok(Step::ReadAuthorization { url, after })
            }
            Next::Done => Ok(Step::ReadOrder {
                url: self.order_url.clone(),
                after: Duration::ZERO,
            }),
            Next::Failed(failures) => self.replaced_or(AgentError::NotValidated(failures)),
        }
    }

    fn read_order(
        &mut self,
        what: &'static str,
        retry_after: Option<Duration>,
    ) -> Result<Step, AgentError> {
        Ok(Step::ReadOrder {
            url: self.order_url.clone(),
            after: self.pace.wait(what, retry_after)?,
        })
    }

    /// An order of an earlier run that came to nothing gives way to a new one; one of this run is an error.
    fn replaced_or(&mut self, error: AgentError) -> Result<Step, AgentError> {
        if !self.found {
            return Err(error);
        }
        tracing::info!("the order of an earlier run is of no use any more; placing a new one");
        (*self, _) = Self::new(std::mem::take(&mut self.names));
        Ok(Step::Place)
    }

    /// Reading again does no harm. What changes something is not repeated blindly: the CA's view is read first.
    fn on_lost(&mut self, error: AgentError) -> Result<Step, AgentError> {
        let wish = error.retry_after();
        let wait = |flow: &mut Self, error| flow.pace.lost(wish).ok_or(error);
        match self.last.clone() {
            // A second order could be made, which nobody would ever end.
            Step::Place => Err(error),
            Step::ReadOrder { url, .. } => Ok(Step::ReadOrder {
                url,
                after: wait(self, error)?,
            }),
            Step::ReadAuthorization { url, .. } => Ok(Step::ReadAuthorization {
                url,
                after: wait(self, error)?,
            }),
            Step::Answer {
                challenge, token, ..
            } => Ok(Step::Answer {
                challenge,
                token,
                after: wait(self, error)?,
            }),
            Step::Finalize { .. } => Ok(Step::ReadOrder {
                url: self.order_url.clone(),
                after: wait(self, error)?,
            }),
            Step::Download { url, .. } => Ok(Step::Download {
                url,
                after: wait(self, error)?,
            }),
        }
    }
}

fn bad_order(reason: &str) -> AgentError {
    AgentError::BadAnswer {
        what: "the order",
        reason: reason.to_owned(),
    }
}

fn no_reason() -> Problem {
    Problem::new(
        chancery_acme::ErrorType::ServerInternal,
        "the CA gave no reason",
    )
}
