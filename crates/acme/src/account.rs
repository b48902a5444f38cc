use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{self, CONTACTS_READ_MAX};
use crate::wire::is_false;

/// The payload of newAccount (RFC 8555 §7.3).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewAccount {
    /// How people are reached: URLs, see [`check_contact`](crate::check_contact).
    #[serde(
        default,
        deserialize_with = "json::strings::<CONTACTS_READ_MAX, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub contact: Vec<String>,
    /// Whether the client agrees to the terms that `meta` names.
    #[serde(default, skip_serializing_if = "is_false")]
    pub terms_of_service_agreed: bool,
    /// Whether only an account that exists is wanted (§7.3.1).
    #[serde(default, skip_serializing_if = "is_false")]
    pub only_return_existing: bool,
    /// A JWS by a key of another system (§7.3.4), as the client wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
}

/// The payload of a POST to an account's URL (RFC 8555 §7.3.2, §7.3.6).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUpdate {
    /// All contacts from now on; an empty list takes them away, absence leaves them.
    #[serde(
        default,
        deserialize_with = "json::optional_strings::<CONTACTS_READ_MAX, _>",
        skip_serializing_if = "Option::is_none"
    )]
    pub contact: Option<Vec<String>>,
    /// `deactivated`; every other value is to be ignored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

impl AccountUpdate {
    /// Asks for the account's end.
    #[must_use]
    pub fn deactivation() -> Self {
        Self {
            contact: None,
            status: Some(AccountStatus::Deactivated.name().to_owned()),
        }
    }

    /// Whether the account's end is asked for.
    #[must_use]
    pub fn deactivates(&self) -> bool {
        self.status.as_deref() == Some(AccountStatus::Deactivated.name())
    }
}

/// An account (RFC 8555 §7.1.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Whether it may act.
    pub status: AccountStatus,
    /// How people are reached.
    #[serde(
        default,
        deserialize_with = "json::strings::<CONTACTS_READ_MAX, _>",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub contact: Vec<String>,
    /// Whether the terms were agreed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub terms_of_service_agreed: Option<bool>,
    /// The binding that was verified when it was made (§7.3.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_account_binding: Option<Value>,
    /// Where its orders are listed (§7.1.2.1). The RFC requires it; several servers leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub orders: Option<String>,
}

/// Whether an account may act (RFC 8555 §7.1.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountStatus {
    /// It may.
    Valid,
    /// Its owner ended it.
    Deactivated,
    /// The server ended it.
    Revoked,
}

impl AccountStatus {
    /// The word on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Deactivated => "deactivated",
            Self::Revoked => "revoked",
        }
    }
}

impl fmt::Display for AccountStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{JsonError, from_slice_bounded};

    fn new(json: &str) -> Result<NewAccount, JsonError> {
        from_slice_bounded(json.as_bytes())
    }

    #[test]
    fn a_new_account_is_written_and_read_as_the_rfc_prints_it() {
        let account = NewAccount {
            contact: vec![
                "mailto:cert-admin@example.org".into(),
                "mailto:admin@example.org".into(),
            ],
            terms_of_service_agreed: true,
            only_return_existing: true,
            external_account_binding: Some(
                json!({"payload": "p", "protected": "h", "signature": "s"}),
            ),
        };
        let json = concat!(
            r#"{"contact":["mailto:cert-admin@example.org","mailto:admin@example.org"],"termsOfServiceAgreed":true,"#,
            r#""onlyReturnExisting":true,"externalAccountBinding":{"payload":"p","protected":"h","signature":"s"}}"#,
        );
        assert_eq!(serde_json::to_string(&account).expect("writes"), json);
        assert_eq!(new(json), Ok(account));
    }

    #[test]
    fn everything_in_a_new_account_is_optional_and_orders_and_status_are_ignored() {
        assert_eq!(
            serde_json::to_string(&NewAccount::default()).expect("writes"),
            "{}"
        );
        assert_eq!(new("{}"), Ok(NewAccount::default()));
        assert_eq!(
            new(r#"{"contact":null,"orders":"x","status":7}"#),
            Ok(NewAccount::default())
        );
    }

    #[test]
    fn flags_are_booleans_and_contacts_strings() {
        assert!(new(r#"{"termsOfServiceAgreed":"true"}"#).is_err());
        assert!(new(r#"{"onlyReturnExisting":1}"#).is_err());
        assert!(new(r#"{"contact":"mailto:a@b.test"}"#).is_err());
        assert!(new(r#"{"contact":[7]}"#).is_err());
    }

    #[test]
    fn an_update_tells_no_contacts_from_contacts_left_alone() {
        let read = |json: &str| from_slice_bounded::<AccountUpdate>(json.as_bytes()).expect("good");
        assert_eq!(read("{}"), AccountUpdate::default());
        assert_eq!(read(r#"{"contact":[]}"#).contact, Some(vec![]));
        assert!(read(r#"{"status":"deactivated"}"#).deactivates());
        assert!(!read(r#"{"status":"valid","termsOfServiceAgreed":true}"#).deactivates());
        let json = serde_json::to_string(&AccountUpdate::deactivation()).expect("writes");
        assert_eq!(json, r#"{"status":"deactivated"}"#);
    }

    #[test]
    fn an_account_is_written_as_the_rfc_prints_it() {
        let account = Account {
            status: AccountStatus::Valid,
            contact: vec!["mailto:admin@example.org".into()],
            terms_of_service_agreed: Some(true),
            external_account_binding: None,
            orders: Some("https://a.test/acme/orders/rzGoeA".into()),
        };
        let json = concat!(
            r#"{"status":"valid","contact":["mailto:admin@example.org"],"termsOfServiceAgreed":true,"#,
            r#""orders":"https://a.test/acme/orders/rzGoeA"}"#,
        );
        assert_eq!(serde_json::to_string(&account).expect("writes"), json);
        assert_eq!(from_slice_bounded(json.as_bytes()), Ok(account));
    }

    #[test]
    fn every_status_reads_as_it_is_named() {
        for status in [
            AccountStatus::Valid,
            AccountStatus::Deactivated,
            AccountStatus::Revoked,
        ] {
            let json = serde_json::to_string(&status).expect("writes");
            assert_eq!(json, format!("\"{status}\""));
        }
    }
}
