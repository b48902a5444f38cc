use std::fs;
use std::path::PathBuf;

use chancery_crypto::{PrivateKey, sha256};
use chancery_dial::Url;
use serde::{Deserialize, Serialize};

use crate::AgentError;
use crate::key_file;
use crate::state::{CLOSED_FOLDER, State, file, from_json, to_json};

/// An account as it was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AccountRecord {
    /// The CA's directory.
    pub(crate) ca: String,
    /// The account's URL, which every request names.
    pub(crate) url: String,
}

impl State {
    /// The key of the account at `ca`, if it was made.
    pub(crate) fn account_key(&self, ca: &str) -> Result<Option<PrivateKey>, AgentError> {
        key_file::read(&self.account_folder(ca).join("account.key"))
    }

    /// Keeps a new account key, before the CA hears of it.
    pub(crate) fn keep_account_key(&self, ca: &str, key: &PrivateKey) -> Result<(), AgentError> {
        let folder = self.account_folder(ca);
        file::make_folder(&folder, CLOSED_FOLDER)?;
        key_file::replace(&folder.join("account.key"), key)
    }

    /// The account at `ca`, if it was registered.
    pub(crate) fn account(&self, ca: &str) -> Result<Option<AccountRecord>, AgentError> {
        let path = self.account_folder(ca).join("account.json");
        let record = file::read(&path)?.map(|bytes| from_json::<AccountRecord>(&path, &bytes));
        Ok(record.transpose()?.filter(|record| record.ca == ca))
    }

    /// Keeps what the CA said of a new account.
    pub(crate) fn keep_account(&self, record: &AccountRecord) -> Result<(), AgentError> {
        let path = self.account_folder(&record.ca).join("account.json");
        file::replace(&path, &to_json(&path, record)?, file::PRIVATE)
    }

    /// Puts an account aside that its CA does not know any more. Its key stays, for whoever wants to know.
    pub(crate) fn set_account_aside(&self, ca: &str) -> Result<(), AgentError> {
        let folder = self.account_folder(ca);
        let aside = folder.with_added_extension("lost");
        match fs::remove_dir_all(&aside) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(file::failed("remove", &aside, error)),
        }
        fs::rename(&folder, &aside).map_err(|error| file::failed("put aside", &folder, error))?;
        file::sync_parent(&folder)
    }

    /// Named after the CA's host for people, and after the whole URL for certainty.
    fn account_folder(&self, ca: &str) -> PathBuf {
        let host = Url::parse(ca).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or("ca");
        let safe = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        let host: String = host.chars().take(100).map(safe).collect();
        let digest: String = sha256(ca.as_bytes())
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.join(
            "accounts",
            &format!("{}-{digest}", host.trim_start_matches('.')),
        )
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;
    use crate::KeyType;

    const CA: &str = "https://ca.test:8443/acme/directory";

    #[tokio::test]
    async fn each_ca_has_an_account_of_its_own_and_a_lost_one_is_put_aside() {
        let folder = TempDir::new("agent-account").expect("made");
        let state = State::new(folder.path());
        let _lock = state.open().expect("free");
        let key = KeyType::EcdsaP256.generate().await.expect("made");
        state.keep_account_key(CA, &key).expect("kept");
        let record = AccountRecord {
            ca: CA.to_owned(),
            url: "https://ca.test:8443/acme/a/1".to_owned(),
        };
        state.keep_account(&record).expect("kept");
        assert_eq!(state.account(CA).expect("readable"), Some(record));
        let kept = state.account_key(CA).expect("readable").expect("there");
        assert_eq!(kept.public(), key.public());
        let other = "https://ca.test:8443/acme/other/directory";
        assert_eq!(state.account(other).expect("readable"), None);

        for _ in 0..2 {
            state.set_account_aside(CA).expect("moved");
            assert!(state.account_key(CA).expect("readable").is_none());
            state.keep_account_key(CA, &key).expect("kept");
        }
    }

    #[test]
    fn h11_an_accounts_folder_is_a_plain_name() {
        let state = State::new("/state");
        for ca in [
            CA,
            "https://[2001:db8::1]/d",
            "https://a/../..",
            "x",
            "https://..../",
        ] {
            let folder = state.account_folder(ca);
            assert_eq!(
                folder.parent(),
                Some(std::path::Path::new("/state/accounts")),
                "{ca}"
            );
        }
    }
}
