use std::fmt;

use chancery_pki::UnixTime;
use serde::{Deserialize, Serialize};

use crate::json::{self, IDENTIFIERS_READ_MAX};
use crate::wire::{base64url, optional_time};
use crate::{Problem, WireIdentifier};

/// The Content-Type of a downloaded chain (RFC 8555 §9.1).
pub const CERTIFICATE_CHAIN_MEDIA_TYPE: &str = "application/pem-certificate-chain";

/// The payload of newOrder (RFC 8555 §7.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewOrder {
    /// The names that the certificate shall carry.
    #[serde(deserialize_with = "json::objects::<IDENTIFIERS_READ_MAX, _, _>")]
    pub identifiers: Vec<WireIdentifier>,
    /// When it shall begin to be valid.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_before: Option<UnixTime>,
    /// When it shall end.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<UnixTime>,
    /// Which profile it shall follow (draft-ietf-acme-profiles).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The certificate it takes the place of (RFC 9773 §5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// An order (RFC 8555 §7.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    /// Where it stands.
    pub status: OrderStatus,
    /// When it ends if nothing happens; there while it is pending or valid.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub expires: Option<UnixTime>,
    /// The names; they never change.
    #[serde(deserialize_with = "json::objects::<IDENTIFIERS_READ_MAX, _, _>")]
    pub identifiers: Vec<WireIdentifier>,
    /// As it was asked for.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_before: Option<UnixTime>,
    /// As it was asked for.
    #[serde(
        default,
        with = "optional_time",
        skip_serializing_if = "Option::is_none"
    )]
    pub not_after: Option<UnixTime>,
    /// The profile it follows (draft-ietf-acme-profiles).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// The certificate it takes the place of (RFC 9773 §5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Why it is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
    /// URLs of its authorizations; they never change.
    pub authorizations: Vec<String>,
    /// Where the CSR goes.
    pub finalize: String,
    /// Where the certificate is, once it is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Where an order stands (RFC 8555 §7.1.6). Clients know these five words and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderStatus {
    /// Some authorization is still open.
    Pending,
    /// It waits for a CSR.
    Ready,
    /// The certificate is being made.
    Processing,
    /// The certificate is there.
    Valid,
    /// It failed, or its time ran out.
    Invalid,
}

impl OrderStatus {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Processing => "processing",
            Self::Valid => "valid",
            Self::Invalid => "invalid",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The payload of a POST to an order's finalize URL (RFC 8555 §7.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalize {
    /// The CSR in DER.
    #[serde(with = "base64url")]
    pub csr: Vec<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ErrorType, JsonError, from_slice_bounded};

    fn dns(value: &str) -> WireIdentifier {
        WireIdentifier {
            kind: "dns".into(),
            value: value.into(),
        }
    }

    /// 2016-01-01T00:04:00Z
    const BEFORE: UnixTime = UnixTime(1_451_606_640);

    #[test]
    fn a_new_order_is_written_and_read_as_the_rfc_prints_it() {
        let order = NewOrder {
            identifiers: vec![dns("www.example.org"), dns("example.org")],
            not_before: Some(BEFORE),
            not_after: Some(BEFORE.plus(7 * 86_400)),
            ..NewOrder::default()
        };
        let json = concat!(
            r#"{"identifiers":[{"type":"dns","value":"www.example.org"},{"type":"dns","value":"example.org"}],"#,
            r#""notBefore":"2016-01-01T00:04:00Z","notAfter":"2016-01-08T00:04:00Z"}"#,
        );
        assert_eq!(serde_json::to_string(&order).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(order));
    }

    #[test]
    fn extensions_of_a_new_order_have_their_members() {
        let order = NewOrder {
            identifiers: vec![dns("a.test")],
            profile: Some("server".into()),
            replaces: Some("aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE".into()),
            ..NewOrder::default()
        };
        let json = concat!(
            r#"{"identifiers":[{"type":"dns","value":"a.test"}],"profile":"server","#,
            r#""replaces":"aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"}"#,
        );
        assert_eq!(serde_json::to_string(&order).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(order));
    }

    #[test]
    fn a_time_that_is_none_is_refused_and_null_is_absence() {
        let with = |time: &str| {
            from_slice_bounded::<NewOrder>(
                format!(r#"{{"identifiers":[],"notBefore":{time}}}"#).as_bytes(),
            )
        };
        assert_eq!(with("null").map(|order| order.not_before), Ok(None));
        assert_eq!(
            with(r#""2016-01-01T01:04:00.5+01:00""#).map(|order| order.not_before),
            Ok(Some(BEFORE))
        );
        for bad in [
            r#""tomorrow""#,
            r#""2016-13-01T00:04:00Z""#,
            "1451606640",
            r#""""#,
        ] {
            assert!(matches!(with(bad), Err(JsonError::Invalid { .. })), "{bad}");
        }
    }

    #[test]
    fn a_valid_order_is_written_as_the_rfc_prints_it() {
        let order = Order {
            status: OrderStatus::Valid,
            expires: Some(BEFORE),
            identifiers: vec![dns("www.example.org")],
            not_before: Some(BEFORE),
            not_after: Some(BEFORE),
            profile: None,
            replaces: None,
            error: None,
            authorizations: vec!["https://example.com/acme/authz/PAniVnsZcis".into()],
            finalize: "https://example.com/acme/order/TOlocE8rfgo/finalize".into(),
            certificate: Some("https://example.com/acme/cert/mAt3xBGaobw".into()),
        };
        let json = concat!(
            r#"{"status":"valid","expires":"2016-01-01T00:04:00Z","#,
            r#""identifiers":[{"type":"dns","value":"www.example.org"}],"#,
            r#""notBefore":"2016-01-01T00:04:00Z","notAfter":"2016-01-01T00:04:00Z","#,
            r#""authorizations":["https://example.com/acme/authz/PAniVnsZcis"],"#,
            r#""finalize":"https://example.com/acme/order/TOlocE8rfgo/finalize","#,
            r#""certificate":"https://example.com/acme/cert/mAt3xBGaobw"}"#,
        );
        assert_eq!(serde_json::to_string(&order).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(order));
    }

    #[test]
    fn an_invalid_order_says_why_and_leaves_out_the_rest() {
        let order = Order {
            status: OrderStatus::Invalid,
            expires: None,
            identifiers: vec![],
            not_before: None,
            not_after: None,
            profile: None,
            replaces: None,
            error: Some(Problem::new(ErrorType::Unauthorized, "no answer")),
            authorizations: vec![],
            finalize: "f".into(),
            certificate: None,
        };
        let json = concat!(
            r#"{"status":"invalid","identifiers":[],"error":{"type":"urn:ietf:params:acme:error:unauthorized","#,
            r#""detail":"no answer","status":403},"authorizations":[],"finalize":"f"}"#,
        );
        assert_eq!(serde_json::to_string(&order).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(order));
    }

    #[test]
    fn the_five_states_are_a_closed_list() {
        for name in ["pending", "ready", "processing", "valid", "invalid"] {
            let status: OrderStatus = serde_json::from_str(&format!("\"{name}\"")).expect("known");
            assert_eq!(status.to_string(), name);
        }
        assert!(serde_json::from_str::<OrderStatus>("\"deactivated\"").is_err());
    }

    #[test]
    fn b6_a_csr_is_base64url_without_padding() {
        let read =
            |csr: &str| from_slice_bounded::<Finalize>(format!(r#"{{"csr":"{csr}"}}"#).as_bytes());
        assert_eq!(
            read("MIIB"),
            Ok(Finalize {
                csr: vec![0x30, 0x82, 1]
            })
        );
        for bad in [
            "MIIBAA==",
            "MI+B",
            "MII B",
            "-----BEGIN CERTIFICATE REQUEST-----",
        ] {
            assert!(matches!(read(bad), Err(JsonError::Invalid { .. })), "{bad}");
        }
        let json = serde_json::to_string(&Finalize {
            csr: vec![0xfb, 0xff],
        })
        .expect("writes");
        assert_eq!(json, r#"{"csr":"-_8"}"#);
    }
}
