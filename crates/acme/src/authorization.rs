use std::fmt;

use chancery_pki::UnixTime;
use serde::{Deserialize, Serialize};

use crate::wire::{is_false, optional_time};
use crate::{Challenge, WireIdentifier};

/// An authorization: the proof that an account controls an identifier (RFC 8555 §7.1.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// What is to be proven; never with `*.`.
    pub identifier: WireIdentifier,
    /// Where it stands.
    pub status: AuthorizationStatus,
    /// When it ends; there while it is valid.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<UnixTime>,
    /// The ways to prove it; one is enough.
    pub challenges: Vec<Challenge>,
    /// Whether it is for the wildcard below the identifier.
    #[serde(default, skip_serializing_if = "is_false")]
    pub wildcard: bool,
}

/// The payload of newAuthz (RFC 8555 §7.4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewAuthorization {
    /// What the account wants to prove; never a wildcard.
    pub identifier: WireIdentifier,
}

/// Where an authorization stands (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationStatus {
    /// Nothing is proven yet.
    Pending,
    /// It is proven.
    Valid,
    /// A challenge failed.
    Invalid,
    /// Its owner gave it up.
    Deactivated,
    /// Its time ran out.
    Expired,
    /// The server took it back.
    Revoked,
}

impl AuthorizationStatus {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
            Self::Deactivated => "deactivated",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for AuthorizationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The payload of a POST to an authorization's URL (RFC 8555 §7.5.2).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationUpdate {
    /// `deactivated` is the only word with a meaning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl AuthorizationUpdate {
    /// Asks for the authorization's end.
    #[must_use]
    pub fn deactivation() -> Self {
        Self {
            status: Some(AuthorizationStatus::Deactivated.name().to_owned()),
        }
    }

    /// Whether the authorization's end is asked for.
    #[must_use]
    pub fn deactivates(&self) -> bool {
        self.status.as_deref() == Some(AuthorizationStatus::Deactivated.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ChallengeKind, ChallengeStatus, from_slice_bounded};

    fn authorization() -> Authorization {
        Authorization {
            identifier: WireIdentifier {
                kind: "dns".into(),
                value: "www.example.org".into(),
            },
            status: AuthorizationStatus::Valid,
            expires: Some(UnixTime(1_429_712_409)),
            challenges: vec![Challenge {
                kind: ChallengeKind::Http01.name().into(),
                url: "https://example.com/acme/chall/prV_B7yEyA4".into(),
                status: ChallengeStatus::Valid,
                validated: Some(UnixTime(1_417_525_680)),
                error: None,
                token: Some("DGyRejmCefe7v4NfDGDKfA".into()),
            }],
            wildcard: false,
        }
    }

    #[test]
    fn a_valid_authorization_is_written_as_the_rfc_prints_it() {
        let json = concat!(
            r#"{"identifier":{"type":"dns","value":"www.example.org"},"status":"valid","#,
            r#""expires":"2015-04-22T14:20:09Z","challenges":[{"type":"http-01","#,
            r#""url":"https://example.com/acme/chall/prV_B7yEyA4","status":"valid","#,
            r#""validated":"2014-12-02T13:08:00Z","token":"DGyRejmCefe7v4NfDGDKfA"}]}"#,
        );
        assert_eq!(
            serde_json::to_string(&authorization()).expect("writes"),
            json
        );
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(authorization()));
    }

    #[test]
    fn wildcard_is_written_only_where_it_is_true() {
        let json = serde_json::to_string(&Authorization {
            wildcard: true,
            ..authorization()
        });
        assert!(json.expect("writes").ends_with(r#"],"wildcard":true}"#));
    }

    #[test]
    fn every_status_reads_as_it_is_named() {
        for name in [
            "pending",
            "valid",
            "invalid",
            "deactivated",
            "expired",
            "revoked",
        ] {
            let status: AuthorizationStatus =
                serde_json::from_str(&format!("\"{name}\"")).expect("known");
            assert_eq!(status.to_string(), name);
        }
    }

    #[test]
    fn only_the_word_deactivated_deactivates() {
        let read =
            |json: &str| from_slice_bounded::<AuthorizationUpdate>(json.as_bytes()).expect("good");
        assert!(read(r#"{"status":"deactivated"}"#).deactivates());
        assert!(!read(r#"{"status":"Deactivated","other":1}"#).deactivates());
        assert!(!read("{}").deactivates());
        let json = serde_json::to_string(&AuthorizationUpdate::deactivation()).expect("writes");
        assert_eq!(json, r#"{"status":"deactivated"}"#);
    }
}
