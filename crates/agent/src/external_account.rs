//! An account elsewhere that vouches for the agent's (RFC 8555 §7.3.4): what the CA's operator hands out.

use std::fmt;
use std::path::Path;

use chancery_crypto::MacKey;
use chancery_jose::{Jwk, bind, unb64};

/// Octets of a file with a key; what is longer is another file.
const FILE_BYTES_MAX: usize = 4096;

/// A key identifier with its MAC key.
#[derive(Clone)]
pub struct ExternalAccount {
    kid: String,
    key: MacKey,
}

impl ExternalAccount {
    /// A key identifier with the key that stands in `file`, in base64url as the CA gave it.
    ///
    /// # Errors
    /// What is wrong, in words that name the file.
    pub fn read(kid: impl Into<String>, file: &Path) -> Result<Self, String> {
        let named = |what: &str| format!("the external account's key {}: {what}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| named(&error.to_string()))?;
        // Padding is not part of base64url here, but some CAs hand it out.
        let text = text.trim().trim_end_matches('=');
        if text.is_empty() || text.len() > FILE_BYTES_MAX {
            return Err(named(
                "it holds no key; write the MAC key as the CA gave it",
            ));
        }
        let key = unb64(text).map_err(|_| named("it is not in base64url"))?;
        Ok(Self {
            kid: kid.into(),
            key: MacKey::new(&key),
        })
    }

    /// The message that vouches for an account key at `url`.
    pub(crate) fn vouch(&self, url: &str, account: &Jwk) -> String {
        bind(&self.key, &self.kid, url, account)
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chancery_testkit::TempDir;

    use super::*;

    fn read(text: &str) -> Result<ExternalAccount, String> {
        let folder = TempDir::new("agent-eab").expect("made");
        let file = folder.join("eab.key");
        std::fs::write(&file, text).expect("written");
        ExternalAccount::read("k", &file)
    }

    #[test]
    fn a_key_is_read_as_the_ca_gave_it_and_never_printed() {
        for text in ["Y2FuYXJ5", "Y2FuYXJ5\n", " Y2FuYXJ5\r\n", "Y2FuYXJ5eQ=="] {
            let account = read(text).expect(text);
            assert!(!format!("{account:?}").contains("MacKey"));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_name_of_its_file() {
        for text in [
            "",
            "\n",
            "not a key",
            "+/+/",
            &"A".repeat(FILE_BYTES_MAX + 1),
        ] {
            let refused = read(text).expect_err("no key");
            assert!(refused.contains("eab.key"), "{refused}");
        }
        let missing = ExternalAccount::read("k", Path::new("/nowhere/eab.key"));
        assert!(missing.expect_err("no file").contains("/nowhere/eab.key"));
    }
}
