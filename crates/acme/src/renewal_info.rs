use std::fmt;

use chancery_jose::{b64, unb64};
use chancery_pki::{Serial, UnixTime};
use serde::{Deserialize, Serialize};

use crate::wire::time;

/// When a certificate should be renewed (RFC 9773 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenewalInfo {
    /// A client renews at a random time in here, and at once when it is over.
    pub suggested_window: SuggestedWindow,
    /// A page for people on why.
    #[serde(
        rename = "explanationURL",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub explanation_url: Option<String>,
}

/// A span of time; it ends after it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuggestedWindow {
    /// Its first second.
    #[serde(with = "time")]
    pub start: UnixTime,
    /// Its end.
    #[serde(with = "time")]
    pub end: UnixTime,
}

/// What names a certificate without its issuer's help: the authority key identifier and the serial number that stand in it
/// (RFC 9773 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertId {
    /// The keyIdentifier of its authorityKeyIdentifier.
    pub authority_key_id: Vec<u8>,
    /// The content octets of its serial number.
    pub serial: Vec<u8>,
}

/// A text that is no [`CertId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a certificate is named by two base64url texts with a point between them (RFC 9773, section 4.1)"
)]
pub struct CertIdError;

/// Octets of either half; ours have 20.
const HALF_OCTETS_MAX: usize = 64;

impl CertId {
    /// Reads `base64url "." base64url`.
    ///
    /// # Errors
    /// [`CertIdError`].
    pub fn parse(text: &str) -> Result<Self, CertIdError> {
        let (authority_key_id, serial) = text.split_once('.').ok_or(CertIdError)?;
        let half = |text: &str| match unb64(text) {
            Ok(octets) if !octets.is_empty() && octets.len() <= HALF_OCTETS_MAX => Ok(octets),
            _ => Err(CertIdError),
        };
        Ok(Self {
            authority_key_id: half(authority_key_id)?,
            serial: half(serial)?,
        })
    }

    /// The serial number, if it has the form of ours.
    #[must_use]
    pub fn our_serial(&self) -> Option<Serial> {
        Serial::from_bytes(&self.serial).ok()
    }
}

impl fmt::Display for CertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", b64(&self.authority_key_id), b64(&self.serial))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_slice_bounded;

    #[test]
    fn the_example_of_the_rfc_is_written_and_read() {
        let text = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE";
        let id = CertId::parse(text).expect("reads");
        assert_eq!(id.serial, [0, 0x87, 0x65, 0x43, 0x21]);
        assert_eq!(id.authority_key_id.len(), 20);
        assert_eq!(id.to_string(), text);
        assert!(id.our_serial().is_some(), "it could be one of ours");
    }

    #[test]
    fn what_is_not_two_texts_with_a_point_is_refused() {
        let long = format!("AA.{}", "A".repeat(200));
        for odd in [
            "", ".", "AA", "AA.", ".AA", "AA.A", "AA.AA.AA", "AA=.AA", "A+.AA", " AA.AA", &long,
        ] {
            assert_eq!(CertId::parse(odd), Err(CertIdError), "{odd}");
        }
    }

    #[test]
    fn renewal_info_is_written_as_the_rfc_prints_it() {
        let info = RenewalInfo {
            suggested_window: SuggestedWindow {
                start: UnixTime(1_735_948_800),
                end: UnixTime(1_736_121_600),
            },
            explanation_url: Some("https://a.test/why".to_owned()),
        };
        let json = concat!(
            r#"{"suggestedWindow":{"start":"2025-01-04T00:00:00Z","end":"2025-01-06T00:00:00Z"},"#,
            r#""explanationURL":"https://a.test/why"}"#,
        );
        assert_eq!(serde_json::to_string(&info).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(info));
    }
}
