//! Private keys as files: PKCS#8 in PEM, for their owner only.

use std::path::Path;

use chancery_crypto::PrivateKey;
use chancery_pki::pem;
use zeroize::Zeroizing;

use crate::AgentError;
use crate::state::{self, PRIVATE};

const LABEL: &str = "PRIVATE KEY";

/// The key as PEM text.
pub(crate) fn to_pem(key: &PrivateKey) -> Result<Zeroizing<String>, AgentError> {
    Ok(Zeroizing::new(pem::encode(LABEL, &key.to_pkcs8()?)))
}

pub(crate) fn replace(path: &Path, key: &PrivateKey) -> Result<(), AgentError> {
    state::replace(path, to_pem(key)?.as_bytes(), PRIVATE)
}

/// Reads a key; `None` if the file is not there.
pub(crate) fn read(path: &Path) -> Result<Option<PrivateKey>, AgentError> {
    let Some(bytes) = state::read(path)?.map(Zeroizing::new) else {
        return Ok(None);
    };
    let broken = |reason: String| AgentError::BrokenState {
        path: path.to_owned(),
        reason,
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| broken(error.to_string()))?;
    let blocks = pem::decode(text, LABEL, 1).map_err(|error| broken(error.to_string()))?;
    let der = Zeroizing::new(blocks.into_iter().next().unwrap_or_default());
    let key = PrivateKey::from_pkcs8(&der).map_err(|error| broken(error.to_string()))?;
    Ok(Some(key))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use chancery_testkit::TempDir;

    use super::*;
    use crate::KeyType;

    #[tokio::test]
    async fn a_key_comes_back_and_is_its_owners_only() {
        let folder = TempDir::new("agent-key").expect("made");
        let path = folder.join("privkey.pem");
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Rsa2048] {
            let key = kind.generate().await.expect("made");
            replace(&path, &key).expect("written");
            let read = read(&path).expect("readable").expect("there");
            assert_eq!(read.public(), key.public());
            let mode = path.metadata().expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_key_is_told_with_its_path() {
        let folder = TempDir::new("agent-key").expect("made");
        let path = folder.join("privkey.pem");
        assert!(read(&path).expect("no file").is_none());
        for text in [
            "",
            "not PEM",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::write(&path, text).expect("written");
            let error = read(&path).expect_err("refused").to_string();
            assert!(error.contains("privkey.pem"), "{error}");
        }
    }
}
