use std::time::Duration;

use bytes::Bytes;
use chancery_acme::{Problem, from_slice_bounded};
use chancery_dial::{Answer, HeaderMap, StatusCode, header};
use chancery_pki::UnixTime;
use serde::de::DeserializeOwned;

use crate::AgentError;

/// A nonce is base64url (RFC 8555 §6.5.1); Pebble's have 43 characters, Boulder's 59.
const NONCE_CHARS_MAX: usize = 256;
/// `Sun, 06 Nov 1994 08:49:37 GMT`
const HTTP_DATE_CHARS: usize = 29;
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// An answer of the CA that is no refusal.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The URL of what was made or found, as the CA wrote it.
    pub(crate) location: Option<String>,
    /// When the CA wants to be asked again.
    pub(crate) retry_after: Option<Duration>,
    /// The body.
    pub(crate) body: Bytes,
}

impl Reply {
    /// Sorts an answer: one with a status of success, or the error that it is.
    pub(crate) fn of(
        what: &'static str,
        answer: Answer,
        now: UnixTime,
    ) -> Result<Self, AgentError> {
        let retry_after = retry_after(&answer.headers, now);
        if answer.status.is_success() {
            return Ok(Self {
                location: text(&answer.headers, &header::LOCATION).map(str::to_owned),
                retry_after,
                body: answer.body,
            });
        }
        Err(refusal(what, &answer, retry_after))
    }

    /// The body as one object of RFC 8555.
    pub(crate) fn json<T: DeserializeOwned>(&self, what: &'static str) -> Result<T, AgentError> {
        from_slice_bounded(&self.body).map_err(|error| AgentError::BadAnswer {
            what,
            reason: error.to_string(),
        })
    }
}

/// Every refusal carries its problem document, or says that there was none.
fn refusal(what: &'static str, answer: &Answer, retry_after: Option<Duration>) -> AgentError {
    let status = answer.status.as_u16();
    match from_slice_bounded::<Problem>(&answer.body) {
        Ok(problem) => AgentError::Refused {
            what,
            // The status line is what was really said; a document may repeat it wrongly or not at all.
            problem: Box::new(problem.with_status(status)),
            retry_after,
        },
        Err(_) => AgentError::Status {
            what,
            status,
            retry_after,
        },
    }
}

/// The nonce of an answer; one outside base64url counts as none (RFC 8555 §6.5.1).
pub(crate) fn nonce(headers: &HeaderMap) -> Option<String> {
    let nonce = text(headers, &header::HeaderName::from_static("replay-nonce"))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ((1..=NONCE_CHARS_MAX).contains(&nonce.len()) && nonce.bytes().all(allowed))
        .then(|| nonce.to_owned())
}

/// Whether the CA has too much to do at the moment.
pub(crate) fn is_busy(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    )
}

/// Retry-After as seconds or as a date (RFC 9110 §10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: UnixTime) -> Option<Duration> {
    let value = text(headers, &header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = http_date(value)?;
    Some(Duration::from_secs(
        u64::try_from(now.seconds_until(at)).unwrap_or_default(),
    ))
}

/// The one form of date that is still sent (RFC 9110 §5.6.7), read as RFC 3339.
fn http_date(text: &str) -> Option<UnixTime> {
    if text.len() != HTTP_DATE_CHARS || !text.ends_with(" GMT") {
        return None;
    }
    let (day, month, year) = (text.get(5..7)?, text.get(8..11)?, text.get(12..16)?);
    let month = MONTHS.iter().zip(1..).find(|(name, _)| **name == month)?.1;
    let time = text.get(17..25)?;
    UnixTime::parse_rfc3339(&format!("{year}-{month:02}-{day}T{time}Z")).ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use chancery_dial::HeaderValue;

    use super::*;

    fn with(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::from_str(value).expect("a value"));
        headers
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UnixTime::parse_rfc3339("1994-11-06T08:49:00Z").expect("a time");
        let check = |value, expected: Option<u64>| {
            assert_eq!(
                retry_after(&with("retry-after", value), now),
                expected.map(Duration::from_secs),
                "{value}"
            );
        };
        check("120", Some(120));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(37));
        check("Sun, 06 Nov 1994 08:48:37 GMT", Some(0));
        for nonsense in [
            "-1",
            "soon",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "1994-11-06T08:49:37Z",
            "",
        ] {
            check(nonsense, None);
        }
    }

    #[test]
    fn a_nonce_outside_base64url_counts_as_none() {
        assert_eq!(
            nonce(&with("replay-nonce", "aB3-_")),
            Some("aB3-_".to_owned())
        );
        for bad in ["", "a b", "a=", "a\"", "a/b", &"a".repeat(257)] {
            assert_eq!(nonce(&with("replay-nonce", bad)), None, "{bad}");
        }
        assert_eq!(nonce(&HeaderMap::new()), None);
    }

    #[test]
    fn a_refusal_tells_the_problem_with_all_its_parts() {
        let body = r#"{"type":"urn:ietf:params:acme:error:compound","detail":"two","status":200,"subproblems":[
            {"type":"urn:ietf:params:acme:error:caa","detail":"no CAA","identifier":{"type":"dns","value":"a.test"}}]}"#;
        let error = Reply::of("newOrder", answer(403, body), UnixTime(0)).expect_err("refused");
        assert_eq!(
            error.to_string(),
            "the CA refused newOrder: compound: two; a.test: caa: no CAA"
        );
        assert!(!error.is_passing());
    }

    #[test]
    fn a_redirect_or_a_page_is_an_error_with_its_status() {
        for status in [302, 404, 502] {
            let error = Reply::of("newOrder", answer(status, "<html>"), UnixTime(0));
            let text = error.expect_err("refused").to_string();
            assert!(text.contains(&status.to_string()), "{text}");
        }
    }
}
