use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::is_false;

/// The directory (RFC 8555 §7.1.1): the one object whose URL a client is given. Every member is an absolute URL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Directory {
    /// Where nonces come from (§7.2).
    pub new_nonce: String,
    /// Where accounts are made and found (§7.3).
    pub new_account: String,
    /// Where orders are placed (§7.4).
    pub new_order: String,
    /// Where authorizations can be had without an order (§7.4.1); absent if they cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_authz: Option<String>,
    /// Where certificates are revoked (§7.6).
    pub revoke_cert: String,
    /// Where accounts change their key (§7.3.5).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_change: Option<String>,
    /// Where renewal is advised on (RFC 9773 §4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewal_info: Option<String>,
    /// What the server says about itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Meta>,
}

/// What a server says about itself (RFC 8555 §7.1.1, §9.7.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// The terms that an account must agree to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service: Option<String>,
    /// A page for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// The issuer names that CAA records may carry (RFC 8659 §4.2).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caa_identities: Vec<String>,
    /// Whether new accounts need an external account binding (§7.3.4).
    #[serde(default, skip_serializing_if = "is_false")]
    pub external_account_required: bool,
    /// Profiles by name, each with a sentence or URL about it (draft-ietf-acme-profiles).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub profiles: BTreeMap<String, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::from_slice_bounded;

    #[test]
    fn a_directory_is_written_as_the_rfc_prints_it() {
        let url = |path: &str| format!("https://a.test/acme/{path}");
        let directory = Directory {
            new_nonce: url("new-nonce"),
            new_account: url("new-account"),
            new_order: url("new-order"),
            new_authz: Some(url("new-authz")),
            revoke_cert: url("revoke-cert"),
            key_change: Some(url("key-change")),
            renewal_info: Some(url("renewal-info")),
            meta: Some(Meta {
                terms_of_service: Some(url("terms")),
                website: Some("https://a.test/".into()),
                caa_identities: vec!["a.test".into()],
                external_account_required: true,
                profiles: [("server".to_owned(), "TLS servers".to_owned())].into(),
            }),
        };
        let json = concat!(
            r#"{"newNonce":"https://a.test/acme/new-nonce","newAccount":"https://a.test/acme/new-account","#,
            r#""newOrder":"https://a.test/acme/new-order","newAuthz":"https://a.test/acme/new-authz","#,
            r#""revokeCert":"https://a.test/acme/revoke-cert","keyChange":"https://a.test/acme/key-change","#,
            r#""renewalInfo":"https://a.test/acme/renewal-info","meta":{"termsOfService":"https://a.test/acme/terms","#,
            r#""website":"https://a.test/","caaIdentities":["a.test"],"externalAccountRequired":true,"#,
            r#""profiles":{"server":"TLS servers"}}}"#,
        );
        assert_eq!(serde_json::to_string(&directory).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(directory));
    }

    #[test]
    fn what_does_not_apply_is_left_out_and_what_is_unknown_ignored() {
        let directory = Directory {
            meta: Some(Meta::default()),
            new_nonce: "n".into(),
            ..Directory::default()
        };
        let json = r#"{"newNonce":"n","newAccount":"","newOrder":"","revokeCert":"","meta":{}}"#;
        assert_eq!(serde_json::to_string(&directory).expect("writes"), json);
        let noisy = json.replacen(
            '{',
            r#"{"xK3":"https://community.test/t/adding-random-entries","#,
            1,
        );
        assert_eq!(from_slice_bounded(noisy.as_bytes()), Ok(directory));
    }
}
