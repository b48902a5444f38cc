use serde::{Deserialize, Serialize};

use crate::wire::base64url;

/// The payload of revokeCert (RFC 8555 §7.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevokeRequest {
    /// The certificate in DER.
    #[serde(with = "base64url")]
    pub certificate: Vec<u8>,
    /// A reason code of RFC 5280 §5.3.1; which ones are accepted is for the server to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<i64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{JsonError, from_slice_bounded};

    fn read(json: &str) -> Result<RevokeRequest, JsonError> {
        from_slice_bounded(json.as_bytes())
    }

    #[test]
    fn a_request_is_written_and_read_as_the_rfc_prints_it() {
        let request = RevokeRequest {
            certificate: vec![0x30, 0x82, 1],
            reason: Some(4),
        };
        let json = r#"{"certificate":"MIIB","reason":4}"#;
        assert_eq!(serde_json::to_string(&request).expect("writes"), json);
        assert_eq!(read(json), Ok(request.clone()));
        let silent = RevokeRequest {
            reason: None,
            ..request
        };
        assert_eq!(
            serde_json::to_string(&silent).expect("writes"),
            r#"{"certificate":"MIIB"}"#
        );
        assert_eq!(read(r#"{"certificate":"MIIB","reason":null}"#), Ok(silent));
    }

    #[test]
    fn d3_a_reason_is_an_integer_of_any_size_and_nothing_else() {
        let with = |reason: &str| read(&format!(r#"{{"certificate":"","reason":{reason}}}"#));
        assert_eq!(with("-1").map(|request| request.reason), Ok(Some(-1)));
        assert_eq!(with("255").map(|request| request.reason), Ok(Some(255)));
        for bad in [
            "1.5",
            r#""keyCompromise""#,
            "1e3",
            "99999999999999999999",
            "[]",
            "true",
        ] {
            assert!(matches!(with(bad), Err(JsonError::Invalid { .. })), "{bad}");
        }
    }
}
