//! What every ACME answer has, and problem documents.

use chancery_acme::{ErrorType, PROBLEM_MEDIA_TYPE, Problem};
use chancery_authority::gateway::Gateway;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, LINK};

use crate::acme::AcmeFront;
use crate::answer::{body, set};
use crate::listener::Answer;

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");

pub(crate) fn add_link(answer: &mut Answer, url: &str, relation: &str) {
    if let Ok(value) = HeaderValue::from_str(&format!("<{url}>;rel=\"{relation}\"")) {
        answer.headers_mut().append(LINK, value);
    }
}

pub(crate) fn problem(status: StatusCode, problem: &Problem) -> Answer {
    let bytes = serde_json::to_vec(problem).unwrap_or_default();
    body(status, PROBLEM_MEDIA_TYPE, bytes)
}

/// A path that names nothing: outside ACME, so without a nonce.
pub(crate) fn not_found() -> Answer {
    let told = Problem::new(ErrorType::Malformed, "there is nothing at this path");
    problem(StatusCode::NOT_FOUND, &told.with_status(404))
}

/// RFC 8555 §6.3: reads are POSTs.
pub(crate) fn method_not_allowed(front: &AcmeFront, gateway: &Gateway) -> Answer {
    let told = Problem::new(
        ErrorType::Malformed,
        "this resource is read and changed by signed POST requests (RFC 8555, section 6.3)",
    );
    let mut answer = problem(StatusCode::METHOD_NOT_ALLOWED, &told.with_status(405));
    answer
        .headers_mut()
        .insert(http::header::ALLOW, HeaderValue::from_static("POST"));
    front.finish(gateway, answer)
}

impl AcmeFront {
    /// Adds what every answer to a request of the protocol has: a fresh nonce, the link to the directory, and no caching.
    pub(crate) fn finish(&self, gateway: &Gateway, mut answer: Answer) -> Answer {
        set(&mut answer, REPLAY_NONCE, &self.nonces.issue());
        add_link(&mut answer, &self.urls.directory(gateway), "index");
        answer
            .headers_mut()
            .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        answer
    }
}
