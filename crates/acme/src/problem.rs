use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{ErrorType, WireIdentifier};

/// The Content-Type of a problem document (RFC 9457 §3).
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Octets of a `detail`. What is longer is cut, whoever wrote it.
pub const DETAIL_BYTES_MAX: usize = 2048;

/// A problem document: why a request was refused, or a challenge or an order failed (RFC 8555 §6.7, RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: ProblemKind,
    /// What is wrong, in words for a person: one line, at most [`DETAIL_BYTES_MAX`].
    #[serde(default, deserialize_with = "detail")]
    pub detail: String,
    /// The HTTP status it was, or is to be, sent with; 500 where another server leaves it out.
    #[serde(default = "status_unknown")]
    pub status: u16,
    /// One for each identifier, if several are concerned (RFC 8555 §6.7.1).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subproblems: Vec<Subproblem>,
    /// With `badSignatureAlgorithm`: what would be accepted (RFC 8555 §6.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub algorithms: Vec<Cow<'static, str>>,
    /// With `userActionRequired`: the page to visit (RFC 8555 §7.3.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<Box<str>>,
}

/// Part of a problem that concerns one identifier. Only here does a problem name one (RFC 8555 §6.7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subproblem {
    /// Its type.
    #[serde(rename = "type", default)]
    pub kind: ProblemKind,
    /// What is wrong, in words for a person.
    #[serde(default, deserialize_with = "detail")]
    pub detail: String,
    /// The identifier concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<WireIdentifier>,
}

/// A problem's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// A registered one.
    Acme(ErrorType),
    /// Any other URI, from another server; `about:blank` if it gave none (RFC 9457 §4.2.1).
    Other(Box<str>),
}

impl Problem {
    /// A problem with the usual HTTP status of its type.
    #[must_use]
    pub fn new(kind: ErrorType, detail: impl AsRef<str>) -> Self {
        Self {
            kind: kind.into(),
            detail: line(detail.as_ref()),
            status: kind.http_status(),
            subproblems: Vec::new(),
            algorithms: Vec::new(),
            instance: None,
        }
    }

    /// The same with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same with one more subproblem.
    #[must_use]
    pub fn with_subproblem(mut self, subproblem: Subproblem) -> Self {
        self.subproblems.push(subproblem);
        self
    }

    /// The same with the algorithms that would be accepted.
    #[must_use]
    pub fn with_algorithms(mut self, names: &[&'static str]) -> Self {
        self.algorithms = names.iter().copied().map(Cow::Borrowed).collect();
        self
    }

    /// The same with a page for the person.
    #[must_use]
    pub fn with_instance(mut self, url: &str) -> Self {
        self.instance = Some(url.into());
        self
    }

    /// The problem as part of a larger one.
    #[must_use]
    pub fn about(self, identifier: WireIdentifier) -> Subproblem {
        Subproblem {
            kind: self.kind,
            detail: self.detail,
            identifier: Some(identifier),
        }
    }

    /// Whether it is of this type.
    #[must_use]
    pub fn is(&self, kind: ErrorType) -> bool {
        self.kind == ProblemKind::Acme(kind)
    }
}

/// `badNonce: the nonce was used before`, with subproblems behind it. Safe to print: it has no control characters.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)?;
        self.subproblems
            .iter()
            .try_for_each(|part| write!(f, "; {part}"))
    }
}

impl std::error::Error for Problem {}

impl fmt::Display for Subproblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(identifier) = &self.identifier {
            write!(f, "{}: ", line(&identifier.value))?;
        }
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

impl From<ErrorType> for ProblemKind {
    fn from(kind: ErrorType) -> Self {
        Self::Acme(kind)
    }
}

impl Default for ProblemKind {
    fn default() -> Self {
        Self::Other("about:blank".into())
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acme(kind) => f.write_str(kind.name()),
            Self::Other(uri) => f.write_str(uri),
        }
    }
}

impl Serialize for ProblemKind {
    fn serialize<S: Serializer>(&self, target: S) -> Result<S::Ok, S::Error> {
        target.serialize_str(match self {
            Self::Acme(kind) => kind.urn(),
            Self::Other(uri) => uri,
        })
    }
}

impl<'de> Deserialize<'de> for ProblemKind {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let uri = Cow::<'de, str>::deserialize(source)?;
        Ok(ErrorType::parse(&uri).map_or_else(|| Self::Other(line(&uri).into()), Self::Acme))
    }
}

fn detail<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    Cow::<'de, str>::deserialize(source).map(|text| line(&text))
}

/// One bounded line. Texts of other servers end up on terminals, where control characters are commands.
fn line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let end = text.floor_char_boundary(DETAIL_BYTES_MAX);
    text.get(..end)
        .unwrap_or_default()
        .chars()
        .map(plain)
        .collect()
}

fn status_unknown() -> u16 {
    500
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_slice_bounded;

    fn dns(value: &str) -> WireIdentifier {
        WireIdentifier {
            kind: "dns".into(),
            value: value.into(),
        }
    }

    #[test]
    fn a_problem_with_subproblems_is_written_as_the_rfc_prints_it() {
        let rejected = Problem::new(
            ErrorType::RejectedIdentifier,
            "This CA will not issue for \"example.net\"",
        );
        let problem = Problem::new(
            ErrorType::Malformed,
            "Some of the identifiers requested were rejected",
        )
        .with_status(403)
        .with_subproblem(
            Problem::new(
                ErrorType::Malformed,
                "Invalid underscore in DNS name \"_example.org\"",
            )
            .about(dns("_example.org")),
        )
        .with_subproblem(rejected.about(dns("example.net")));
        let json = concat!(
            r#"{"type":"urn:ietf:params:acme:error:malformed","#,
            r#""detail":"Some of the identifiers requested were rejected","status":403,"#,
            r#""subproblems":[{"type":"urn:ietf:params:acme:error:malformed","#,
            r#""detail":"Invalid underscore in DNS name \"_example.org\"","#,
            r#""identifier":{"type":"dns","value":"_example.org"}},"#,
            r#"{"type":"urn:ietf:params:acme:error:rejectedIdentifier","#,
            r#""detail":"This CA will not issue for \"example.net\"","#,
            r#""identifier":{"type":"dns","value":"example.net"}}]}"#,
        );
        assert_eq!(serde_json::to_string(&problem).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(problem));
    }

    #[test]
    fn algorithms_and_instance_have_their_members() {
        let problem = Problem::new(ErrorType::BadSignatureAlgorithm, "x")
            .with_algorithms(&["ES256", "EdDSA"]);
        let json = concat!(
            r#"{"type":"urn:ietf:params:acme:error:badSignatureAlgorithm","detail":"x","status":400,"#,
            r#""algorithms":["ES256","EdDSA"]}"#,
        );
        assert_eq!(serde_json::to_string(&problem).expect("writes"), json);
        let problem =
            Problem::new(ErrorType::UserActionRequired, "x").with_instance("https://a.test/terms");
        let json = concat!(
            r#"{"type":"urn:ietf:params:acme:error:userActionRequired","detail":"x","status":403,"#,
            r#""instance":"https://a.test/terms"}"#,
        );
        assert_eq!(serde_json::to_string(&problem).expect("writes"), json);
    }

    #[test]
    fn a_foreign_problem_is_read_whatever_it_lacks() {
        let read = |json: &str| from_slice_bounded::<Problem>(json.as_bytes()).expect("reads");
        assert_eq!(read("{}").to_string(), "about:blank: ");
        let own =
            read(r#"{"type":"https://b.test/oops","detail":"d","identifier":{"odd":1},"x":[]}"#);
        assert_eq!(own.kind, ProblemKind::Other("https://b.test/oops".into()));
        assert_eq!(own.status, 500);
        assert!(
            read(r#"{"type":"urn:ietf:params:acme:error:badNonce","status":400}"#)
                .is(ErrorType::BadNonce)
        );
    }

    #[test]
    fn an_operator_sees_each_identifier_with_its_reason() {
        let part = Problem::new(ErrorType::Dns, "NXDOMAIN").about(dns("a.test"));
        let problem = Problem::new(ErrorType::Compound, "two names failed")
            .with_subproblem(part.clone())
            .with_subproblem(Subproblem {
                identifier: None,
                ..part
            });
        assert_eq!(
            problem.to_string(),
            "compound: two names failed; a.test: dns: NXDOMAIN; dns: NXDOMAIN"
        );
    }

    #[test]
    fn a_detail_is_one_bounded_line_made_here_or_read() {
        let problem = Problem::new(ErrorType::Dns, "é".repeat(3000));
        assert_eq!(problem.detail.len(), DETAIL_BYTES_MAX);
        let odd = Problem::new(ErrorType::Dns, format!("a{}", "é".repeat(3000)));
        assert_eq!(odd.detail.len(), DETAIL_BYTES_MAX - 1);
        let json = r#"{"type":"x\u001b[2J","detail":"a\r\nb\u001b[31m\u009b","subproblems":[{"detail":"\u0007"}]}"#;
        let read: Problem = from_slice_bounded(json.as_bytes()).expect("reads");
        assert_eq!(read.to_string(), "x [2J: a  b [31m ; about:blank:  ");
    }
}
