use std::path::PathBuf;

use chancery_acme::Token;
use chancery_crypto::PrivateKey;
use chancery_jose::{b64, unb64};
use serde::{Deserialize, Serialize};

use crate::state::{State, file, from_json, to_json};
use crate::{AgentError, CertName, key_file};

/// An order under way. It is on the disk with its key and CSR before the CA is asked for anything, so that whatever
/// the CA makes can be fetched and used after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OrderRecord {
    /// The names, as text.
    pub(crate) names: Vec<String>,
    /// The CA's directory.
    pub(crate) ca: String,
    /// The URL of the account that owns it.
    pub(crate) account: String,
    /// The CSR in base64url. A finalize that is repeated must carry the same one.
    pub(crate) csr: String,
    /// The certificate that it takes the place of (RFC 9773 §5), until the CA refuses to hear of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    /// How far it came.
    pub(crate) step: Step,
    /// Files of http-01 that were put into a web server's folder and are to be removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) published: Vec<Published>,
}

/// How far an order came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// Key and CSR are there.
    Prepared,
    /// The CA has the order.
    Placed {
        /// Its URL.
        order: String,
    },
    /// The certificate is here and was checked.
    Downloaded {
        /// The chain in PEM, leaf first.
        chain: String,
    },
}

/// A file of http-01.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Published {
    /// The web server's folder.
    pub(crate) webroot: PathBuf,
    /// The token, which is the file's name.
    pub(crate) token: String,
}

impl Step {
    /// The word for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Prepared => "prepared",
            Self::Placed { .. } => "placed",
            Self::Downloaded { .. } => "downloaded",
        }
    }
}

impl OrderRecord {
    pub(crate) fn new(names: Vec<String>, ca: &str, account: &str, csr: &[u8]) -> Self {
        Self {
            names,
            ca: ca.to_owned(),
            account: account.to_owned(),
            csr: b64(csr),
            replaces: None,
            step: Step::Prepared,
            published: Vec::new(),
        }
    }

    pub(crate) fn csr(&self) -> Option<Vec<u8>> {
        unb64(&self.csr).ok()
    }
}

impl Published {
    /// The token, if this record is really one of ours.
    pub(crate) fn token(&self) -> Option<Token> {
        Token::parse(&self.token)
    }
}

impl State {
    /// The order under way for a certificate, with its key. One without the other is of no use and counts as none.
    pub(crate) fn order(
        &self,
        name: &CertName,
    ) -> Result<Option<(OrderRecord, PrivateKey)>, AgentError> {
        let path = self.order_path(name);
        let Some(bytes) = file::read(&path)? else {
            return Ok(None);
        };
        let record = from_json(&path, &bytes)?;
        Ok(key_file::read(&self.order_key_path(name))?.map(|key| (record, key)))
    }

    /// Keeps the key of an order that is about to be placed.
    pub(crate) fn keep_order_key(
        &self,
        name: &CertName,
        key: &PrivateKey,
    ) -> Result<(), AgentError> {
        key_file::replace(&self.order_key_path(name), key)
    }

    pub(crate) fn keep_order(
        &self,
        name: &CertName,
        record: &OrderRecord,
    ) -> Result<(), AgentError> {
        let path = self.order_path(name);
        file::replace(&path, &to_json(&path, record)?, file::PRIVATE)
    }

    /// Forgets an order that is done or has failed. The record goes first: a key without it is never used.
    pub(crate) fn forget_order(&self, name: &CertName) -> Result<(), AgentError> {
        file::remove(&self.order_path(name))?;
        file::remove(&self.order_key_path(name))
    }

    fn order_path(&self, name: &CertName) -> PathBuf {
        self.join("orders", &format!("{name}.json"))
    }

    /// Where the key of the order under way is.
    pub(crate) fn order_key_path(&self, name: &CertName) -> PathBuf {
        self.join("orders", &format!("{name}.key"))
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;
    use crate::KeyType;

    #[tokio::test]
    async fn an_order_is_there_with_its_key_or_not_at_all() {
        let folder = TempDir::new("agent-order").expect("made");
        let state = State::new(folder.path());
        let _lock = state.open().expect("free");
        let name = CertName::parse("a.test").expect("a name");
        let key = KeyType::EcdsaP256.generate().await.expect("made");
        let mut record = OrderRecord::new(vec!["a.test".to_owned()], "ca", "account", &[1, 2, 3]);
        record.replaces = Some("AQ.Ag".to_owned());
        state.keep_order(&name, &record).expect("kept");
        assert!(state.order(&name).expect("readable").is_none());
        state.keep_order_key(&name, &key).expect("kept");
        for step in [
            Step::Prepared,
            Step::Placed {
                order: "https://ca.test/o/1".to_owned(),
            },
            Step::Downloaded {
                chain: "PEM".to_owned(),
            },
        ] {
            record.step = step;
            state.keep_order(&name, &record).expect("kept");
            let (read, read_key) = state.order(&name).expect("readable").expect("there");
            assert_eq!(read, record);
            assert_eq!(read_key.public(), key.public());
            assert_eq!(read.csr(), Some(vec![1, 2, 3]));
        }
        state.forget_order(&name).expect("forgotten");
        assert!(state.order(&name).expect("readable").is_none());
    }
}
