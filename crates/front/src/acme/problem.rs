//! From causes to problem documents (RFC 8555 §6.7): the one place where this mapping is made.

use chancery_acme::{ErrorType, Problem, Subproblem, WireIdentifier};
use chancery_authority::gateway::Gateway;
use chancery_authority::proof::{FailureKind, ProofFailure};
use chancery_authority::refusal::Denied;
use chancery_authority::{AccountId, Refusal, StoreError};
use chancery_engine::EngineError;
use chancery_jose::{JwsAlgorithm, JwsError};
use http::StatusCode;
use http::header::{LOCATION, RETRY_AFTER};

use crate::acme::{AcmeFront, answer};
use crate::answer::set;
use crate::listener::Answer;

/// A page for people behind a problem.
#[derive(Debug, Clone, Copy)]
enum HelpPage {
    /// What is limited, and how.
    Limits,
}

/// A refusal on its way to the client.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Boxed: refusals are rare, and every answer would carry their size.
    problem: Box<Problem>,
    status: StatusCode,
    retry_after_secs: Option<u32>,
    /// Whether a page says more about it.
    help: Option<HelpPage>,
    terms_url: Option<String>,
    location: Option<String>,
    /// Whom a page where terms are agreed to is for.
    terms_for: Option<AccountId>,
}

impl Failure {
    pub(crate) fn new(kind: ErrorType, status: StatusCode, detail: impl Into<String>) -> Self {
        let problem = Problem::new(kind, detail.into()).with_status(status.as_u16());
        Self {
            problem: Box::new(problem),
            status,
            retry_after_secs: None,
            help: None,
            terms_url: None,
            location: None,
            terms_for: None,
        }
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(ErrorType::Malformed, StatusCode::BAD_REQUEST, detail)
    }

    /// A failure that has its own problem document already.
    pub(crate) fn of(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self {
            problem: Box::new(problem),
            status,
            retry_after_secs: None,
            help: None,
            terms_url: None,
            location: None,
            terms_for: None,
        }
    }

    /// §7.4.1: what policy does not let be authorized is forbidden.
    pub(crate) fn of_pre_authorization(error: EngineError) -> Self {
        let by_policy = matches!(
            error,
            EngineError::Refused(Refusal::RejectedNames(_) | Refusal::NoChallengeFor { .. })
        );
        let mut failure = Self::from(error);
        if by_policy {
            failure.status = StatusCode::FORBIDDEN;
            failure.problem.status = failure.status.as_u16();
        }
        failure
    }

    /// Whether this answers for what is another's, or nobody's: the two must not be told apart.
    pub(crate) fn is_not_yours(&self) -> bool {
        self.status == StatusCode::FORBIDDEN && self.problem.kind == ErrorType::Unauthorized.into()
    }

    /// Says where what stands in the way is.
    pub(crate) fn location(mut self, url: String) -> Self {
        self.location = Some(url);
        self
    }

    fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }

    fn subproblems(mut self, subproblems: Vec<Subproblem>) -> Self {
        for subproblem in subproblems {
            self.problem.subproblems.push(subproblem);
        }
        self
    }
}

impl AcmeFront {
    pub(crate) fn refuse(&self, gateway: &Gateway, mut failure: Failure) -> Answer {
        self.metrics.refused(&failure.problem);
        if let Some(account) = failure.terms_for {
            let page = self.urls.terms(gateway, account);
            failure.problem.instance = Some(page.into());
        }
        let mut answer = answer::problem(failure.status, &failure.problem);
        if let Some(secs) = failure.retry_after_secs {
            set(&mut answer, RETRY_AFTER, &secs.to_string());
        }
        if let Some(HelpPage::Limits) = failure.help {
            answer::add_link(&mut answer, &self.urls.fixed(gateway, "limits"), "help");
        }
        if let Some(url) = &failure.location {
            set(&mut answer, LOCATION, url);
        }
        if let Some(url) = &failure.terms_url {
            answer::add_link(&mut answer, url, "terms-of-service");
        }
        self.finish(gateway, answer)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let detail = error.to_string();
        match error {
            EngineError::Refused(refusal) => refusal.into(),
            EngineError::Csr(_) => Self::new(ErrorType::BadCsr, StatusCode::BAD_REQUEST, detail),
            EngineError::Busy {
                retry_after_secs, ..
            } => Self::new(
                ErrorType::RateLimited,
                StatusCode::SERVICE_UNAVAILABLE,
                detail,
            )
            .retry_after(retry_after_secs),
            EngineError::Store(StoreError::DiskLow { .. }) => unavailable(detail).retry_after(60),
            EngineError::Store(_) | EngineError::Signer(_) | EngineError::OlderJournal { .. } => {
                tracing::error!(%detail, "a request failed");
                // What broke inside is for the operator; the client learns that it may come back.
                unavailable("the authority cannot do this now".to_owned()).retry_after(10)
            }
            EngineError::Contended => unavailable(detail).retry_after(1),
        }
    }
}

fn unavailable(detail: String) -> Failure {
    Failure::new(
        ErrorType::ServerInternal,
        StatusCode::SERVICE_UNAVAILABLE,
        detail,
    )
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        use ErrorType as T;
        let detail = refusal.to_string();
        let bad = |kind| Self::new(kind, StatusCode::BAD_REQUEST, detail.clone());
        let forbidden = |kind| Self::new(kind, StatusCode::FORBIDDEN, detail.clone());
        match refusal {
            Refusal::AccountDoesNotExist => bad(T::AccountDoesNotExist),
            Refusal::AccountDeactivated | Refusal::Denied(Denied::AccountInactive) => {
                Self::new(T::Unauthorized, StatusCode::UNAUTHORIZED, detail)
            }
            Refusal::TermsNotAgreed { url } => Self {
                terms_url: Some(url),
                ..forbidden(T::UserActionRequired)
            },
            Refusal::TermsChanged { url, account } => Self {
                terms_url: Some(url),
                terms_for: Some(account),
                ..forbidden(T::UserActionRequired)
            },
            Refusal::KeyInUse { .. } => Self::new(T::Malformed, StatusCode::CONFLICT, detail),
            Refusal::TooManyKeys { .. } => bad(T::Malformed),
            Refusal::TooOften(often) => {
                let status = StatusCode::TOO_MANY_REQUESTS;
                let mut failure = Self::new(T::RateLimited, status, detail.clone())
                    .retry_after(often.retry_after_secs);
                failure.help = Some(HelpPage::Limits);
                if let Some(name) = &often.name {
                    let about = Problem::new(T::RateLimited, &detail).about(name.into());
                    failure = failure.subproblems(vec![about]);
                }
                failure
            }
            Refusal::BindingRequired => forbidden(T::ExternalAccountRequired),
            Refusal::Binding(_) => forbidden(T::Unauthorized),
            // Operators make bindings; no client sees this.
            Refusal::Scope(_) => bad(T::Malformed),
            Refusal::Denied(Denied::NotYours | Denied::NotAllowed) => forbidden(T::Unauthorized),
            Refusal::RejectedNames(names) => {
                let subproblems = names.iter().map(|(name, why)| {
                    Problem::new(T::RejectedIdentifier, why.to_string()).about(name.into())
                });
                bad(T::RejectedIdentifier).subproblems(subproblems.collect())
            }
            Refusal::Caa(names) => {
                let subproblems = names
                    .iter()
                    .map(|(name, why)| Problem::new(T::Caa, why).about(name.into()));
                forbidden(T::Caa).subproblems(subproblems.collect())
            }
            Refusal::NoChallengeFor { name } => {
                let about = Problem::new(T::RejectedIdentifier, &detail).about((&name).into());
                bad(T::RejectedIdentifier).subproblems(vec![about])
            }
            Refusal::NameCount { .. } | Refusal::NoSuchChallenge => bad(T::Malformed),
            Refusal::UnknownProfile { .. } => bad(T::InvalidProfile),
            Refusal::NotOffered { .. } => Self::new(T::Malformed, StatusCode::NOT_FOUND, detail),
            Refusal::WildcardNotAlone | Refusal::Validity(_) | Refusal::NotReplaceable(_) => {
                bad(T::Malformed)
            }
            Refusal::AlreadyReplaced { .. } => {
                Self::new(T::AlreadyReplaced, StatusCode::CONFLICT, detail)
            }
            Refusal::OrderState { .. } => forbidden(T::OrderNotReady),
            Refusal::AuthorizationState { .. } => bad(T::Malformed),
            Refusal::Csr(_) => bad(T::BadCsr),
            Refusal::NoEvidence { .. } => forbidden(T::Unauthorized),
            Refusal::AlreadyRevoked { .. } => bad(T::AlreadyRevoked),
            Refusal::RevocationReason { .. } => bad(T::BadRevocationReason),
            Refusal::Lint { .. } | Refusal::NotIssuable(_) => {
                tracing::error!(%detail, "a certificate could not be made");
                Self::new(T::ServerInternal, StatusCode::INTERNAL_SERVER_ERROR, detail)
            }
        }
    }
}

impl From<JwsError> for Failure {
    fn from(error: JwsError) -> Self {
        let detail = error.to_string();
        match error {
            JwsError::BadSignatureAlgorithm => {
                let problem = Problem::new(ErrorType::BadSignatureAlgorithm, detail);
                Self::of(problem.with_algorithms(&JwsAlgorithm::NAMES))
            }
            JwsError::BadPublicKey(_) | JwsError::UnsupportedKey => {
                Self::new(ErrorType::BadPublicKey, StatusCode::BAD_REQUEST, detail)
            }
            JwsError::TooLarge { .. } => {
                Self::new(ErrorType::Malformed, StatusCode::PAYLOAD_TOO_LARGE, detail)
            }
            JwsError::Malformed { .. }
            | JwsError::Base64Url
            | JwsError::BadMacAlgorithm
            | JwsError::BadMac
            | JwsError::BadSignature
            | JwsError::Signing(_) => Self::malformed(detail),
        }
    }
}

/// A failed proof as the client sees it in the challenge and the order.
pub(crate) fn of_proof(failure: &ProofFailure, about: Option<WireIdentifier>) -> Problem {
    let (kind, status) = match failure.kind {
        FailureKind::Connection => (ErrorType::Connection, 400),
        FailureKind::Dns => (ErrorType::Dns, 400),
        FailureKind::IncorrectResponse => (ErrorType::IncorrectResponse, 403),
        FailureKind::Unauthorized => (ErrorType::Unauthorized, 403),
        FailureKind::Tls => (ErrorType::Tls, 400),
        FailureKind::Caa | FailureKind::CaaLookup => (ErrorType::Caa, 403),
    };
    let problem = Problem::new(kind, &failure.detail).with_status(status);
    match about {
        None => problem,
        Some(identifier) => {
            let about = Problem::new(kind, &failure.detail).about(identifier);
            problem.with_subproblem(about)
        }
    }
}
