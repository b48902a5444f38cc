use std::borrow::Cow;
use std::fmt;

use chancery_pki::UnixTime;
use serde::{Deserialize, Serialize};

use crate::Problem;
use crate::wire::optional_time;

/// A challenge type that this software knows (RFC 8555 §8). Matches on it are exhaustive on purpose: a new type
/// must be thought about everywhere.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, minicbor::Encode, minicbor::Decode,
)]
#[cbor(index_only)]
pub enum ChallengeKind {
    /// `http-01`, RFC 8555 §8.3.
    #[n(0)]
    Http01,
    /// `dns-01`, RFC 8555 §8.4.
    #[n(1)]
    Dns01,
    /// `tls-alpn-01`, RFC 8737 §3.
    #[n(2)]
    TlsAlpn01,
}

impl ChallengeKind {
    /// Every kind, in the order in which challenges are offered.
    pub const ALL: [Self; 3] = [Self::Http01, Self::Dns01, Self::TlsAlpn01];

    /// The registered name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::Dns01 => "dns-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }

    /// Reads a registered name; `None` for one that this software does not know.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A challenge: one way to prove an authorization's identifier (RFC 8555 §7.1.5, §8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The registered type, also of kinds that only another server knows; see [`ChallengeKind::parse`].
    #[serde(rename = "type")]
    pub kind: Cow<'static, str>,
    /// Where the client says that it is ready.
    pub url: String,
    /// Where it stands.
    pub status: ChallengeStatus,
    /// When the server found the proof; there if it is valid.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub validated: Option<UnixTime>,
    /// What the last attempt met.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// The token, as written. A client that makes a file name of it reads it by [`Token::parse`](crate::Token::parse).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Where a challenge stands (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChallengeStatus {
    /// The client has not answered.
    Pending,
    /// The server is looking for the proof, or will look again.
    Processing,
    /// The proof was found.
    Valid,
    /// It was not.
    Invalid,
}

impl ChallengeStatus {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for ChallengeStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The payload by which a client says that it is ready (RFC 8555 §7.5.1): an object in which no member means anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChallengeAnswer {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorType, from_slice_bounded};

    #[test]
    fn every_kind_reads_as_it_is_named() {
        for kind in ChallengeKind::ALL {
            assert_eq!(ChallengeKind::parse(kind.name()), Some(kind));
        }
        assert_eq!(ChallengeKind::parse("HTTP-01"), None);
        assert_eq!(ChallengeKind::parse("tls-sni-01"), None);
    }

    #[test]
    fn a_kind_is_stored_as_its_number() {
        for (kind, stored) in [
            (ChallengeKind::Http01, [0]),
            (ChallengeKind::Dns01, [1]),
            (ChallengeKind::TlsAlpn01, [2]),
        ] {
            let bytes = minicbor::to_vec(kind).expect("encodes");
            assert_eq!(bytes, stored);
            assert_eq!(
                minicbor::decode::<ChallengeKind>(&bytes).expect("decodes"),
                kind
            );
        }
        assert!(minicbor::decode::<ChallengeKind>(&[9]).is_err());
    }

    #[test]
    fn a_challenge_that_is_retried_carries_its_last_error() {
        let challenge = Challenge {
            kind: ChallengeKind::Dns01.name().into(),
            url: "https://example.com/acme/chall/Rg5dV14Gh1Q".into(),
            status: ChallengeStatus::Processing,
            validated: None,
            error: Some(Problem::new(ErrorType::Dns, "NXDOMAIN")),
            token: Some("DGyRejmCefe7v4NfDGDKfA".into()),
        };
        let json = concat!(
            r#"{"type":"dns-01","url":"https://example.com/acme/chall/Rg5dV14Gh1Q","status":"processing","#,
            r#""error":{"type":"urn:ietf:params:acme:error:dns","detail":"NXDOMAIN","status":400},"#,
            r#""token":"DGyRejmCefe7v4NfDGDKfA"}"#,
        );
        assert_eq!(serde_json::to_string(&challenge).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(challenge));
    }

    #[test]
    fn a_kind_that_is_not_known_here_does_not_spoil_the_authorization() {
        let json = br#"{"type":"device-attest-01","url":"u","status":"pending"}"#;
        let challenge: Challenge = from_slice_bounded(json).expect("reads");
        assert_eq!(ChallengeKind::parse(&challenge.kind), None);
        assert_eq!(challenge.token, None);
    }

    #[test]
    fn an_answer_is_any_object_and_written_as_an_empty_one() {
        assert_eq!(
            serde_json::to_string(&ChallengeAnswer {}).expect("writes"),
            "{}"
        );
        for json in ["{}", r#"{"keyAuthorization":"x","type":7}"#] {
            assert_eq!(from_slice_bounded(json.as_bytes()), Ok(ChallengeAnswer {}));
        }
        assert!(from_slice_bounded::<ChallengeAnswer>(b"[]").is_err());
    }
}
