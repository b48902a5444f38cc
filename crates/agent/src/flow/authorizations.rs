use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use chancery_acme::{
    Authorization, AuthorizationStatus, Challenge, ChallengeKind, ChallengeStatus, Token,
};
use chancery_pki::San;

use crate::AgentError;
use crate::error::{NameFailure, shown};

/// The authorizations of one order: which are still unread, which are being validated, which failed.
#[derive(Debug, Default)]
pub(crate) struct Authorizations {
    begun: bool,
    unread: VecDeque<String>,
    /// Answered by us and not decided yet; each is read once a round.
    waiting: VecDeque<String>,
    /// Those of the round that is being read, still to come.
    round: VecDeque<String>,
    /// The authorization whose challenge is being answered.
    answering: Option<String>,
    /// The longest wish of the CA in this round.
    retry_after: Option<Duration>,
    failures: Vec<NameFailure>,
    /// Whether those that are still undecided were looked at after one failed.
    asked_for_last_words: bool,
}

/// What is to be read next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This one, at once.
    Read(String),
    /// This one, the first of a new round.
    ReadAgain {
        url: String,
        retry_after: Option<Duration>,
    },
    /// All are valid.
    Done,
    /// Some are not and will not be.
    Failed(Vec<NameFailure>),
}

impl Authorizations {
    pub(crate) fn is_fresh(&self) -> bool {
        !self.begun
    }

    pub(crate) fn begin(&mut self, urls: &[String]) {
        self.begun = true;
        self.unread = urls.iter().cloned().collect();
    }

    /// Takes one authorization; gives the challenge that is to be answered, if that is what it needs.
    pub(crate) fn on_read(
        &mut self,
        url: String,
        authorization: &Authorization,
        names: &BTreeSet<San>,
        retry_after: Option<Duration>,
    ) -> Result<Option<(String, Token)>, AgentError> {
        let name = name_of(authorization, names)?;
        let answered = self.take_from_round(&url);
        match authorization.status {
            AuthorizationStatus::Valid => Ok(None),
            AuthorizationStatus::Pending if answered => {
                self.wait_for(url, retry_after);
                Ok(None)
            }
            AuthorizationStatus::Pending => {
                self.on_unanswered(url, authorization, name, retry_after)
            }
            AuthorizationStatus::Invalid
            | AuthorizationStatus::Deactivated
            | AuthorizationStatus::Expired
            | AuthorizationStatus::Revoked => {
                self.failures.push(NameFailure {
                    name,
                    problem: problem_of(authorization),
                });
                Ok(None)
            }
        }
    }

    fn on_unanswered(
        &mut self,
        url: String,
        authorization: &Authorization,
        name: String,
        retry_after: Option<Duration>,
    ) -> Result<Option<(String, Token)>, AgentError> {
        let Some(challenge) = http01(authorization) else {
            return Err(AgentError::NoChallenge { name });
        };
        if challenge.status != ChallengeStatus::Pending {
            self.wait_for(url, retry_after);
            return Ok(None);
        }
        match challenge.token.as_deref().and_then(Token::parse) {
            Some(token) => {
                self.answering = Some(url);
                Ok(Some((challenge.url.clone(), token)))
            }
            None => Err(AgentError::BadToken { name }),
        }
    }

    fn wait_for(&mut self, url: String, retry_after: Option<Duration>) {
        self.retry_after = self.retry_after.max(retry_after);
        self.waiting.push_back(url);
    }

    /// The answer to the challenge reached the CA.
    pub(crate) fn on_answered(&mut self) {
        self.waiting.extend(self.answering.take());
    }

    pub(crate) fn next(&mut self) -> Next {
        if let Some(url) = self.unread.pop_front() {
            return Next::Read(url);
        }
        if let Some(url) = self.round.front().cloned() {
            return Next::Read(url);
        }
        let is_lost = !self.failures.is_empty();
        if is_lost && self.asked_for_last_words {
            return Next::Failed(std::mem::take(&mut self.failures));
        }
        self.round = std::mem::take(&mut self.waiting);
        // Once one name failed the order is lost. The others are not waited for, but they may have failed as well.
        self.asked_for_last_words = is_lost;
        match self.round.front().cloned() {
            None if is_lost => Next::Failed(std::mem::take(&mut self.failures)),
            Some(url) if is_lost => Next::Read(url),
            Some(url) => Next::ReadAgain {
                url,
                retry_after: self.retry_after.take(),
            },
            None => Next::Done,
        }
    }

    /// Takes `url` out of the round; whether it was in it.
    fn take_from_round(&mut self, url: &str) -> bool {
        let in_round = self.round.front().is_some_and(|front| front == url);
        if in_round {
            self.round.pop_front();
        }
        in_round
    }
}

/// The name that an authorization is for, if it is one of those ordered (RFC 8555 §7.1.4).
fn name_of(authorization: &Authorization, names: &BTreeSet<San>) -> Result<String, AgentError> {
    let san = authorization.identifier.to_san().ok();
    match san.filter(|san| names.contains(san) && !authorization.wildcard) {
        Some(san) => Ok(san.to_string()),
        None => Err(AgentError::BadAnswer {
            what: "the authorization",
            reason: format!(
                "it is for {:?}, which was not ordered",
                shown(&authorization.identifier.value)
            ),
        }),
    }
}

fn http01(authorization: &Authorization) -> Option<&Challenge> {
    let mut challenges = authorization.challenges.iter();
    challenges
        .find(|challenge| ChallengeKind::parse(&challenge.kind) == Some(ChallengeKind::Http01))
}

/// What the CA met: the error of the challenge that was tried.
fn problem_of(authorization: &Authorization) -> Option<chancery_acme::Problem> {
    authorization
        .challenges
        .iter()
        .find_map(|challenge| challenge.error.clone())
}
