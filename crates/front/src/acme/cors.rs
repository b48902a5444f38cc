//! Browsers may speak to the gateways from anywhere (RFC 8555 §6.1): what authorises a request is its signature, never a
//! cookie or an address.

use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, HeaderValue,
};

use crate::answer::empty;
use crate::listener::Answer;

/// The answer to a preflight: what scripts may send.
pub(crate) fn preflight() -> Answer {
    let mut answer = empty(StatusCode::NO_CONTENT);
    let headers = answer.headers_mut();
    let methods = HeaderValue::from_static("GET, HEAD, POST");
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let sent = HeaderValue::from_static("Content-Type");
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, sent);
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    answer
}

/// Lets scripts of any origin read the answer and the headers that the protocol needs.
pub(crate) fn allow_everyone(answer: &mut Answer) {
    const EXPOSED: HeaderValue =
        HeaderValue::from_static("Link, Location, Replay-Nonce, Retry-After");
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}
