//! The secret that opens the key files. It comes from a file that only the signer reads, never from an argument.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use chancery_crypto::{Entropy, SealingKey, SystemEntropy, derive_from_passphrase, sha256};
use zeroize::Zeroizing;

use crate::{SignerError, files};

/// Where the sealing secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A systemd credential: at least 32 bytes that are random already. Best where it is sealed by a TPM.
    Credential(PathBuf),
    /// A file with a passphrase; the salt is stored with the keys.
    Passphrase(PathBuf),
    /// A file that the first run makes beside the data folder. It protects a backup or a copy of the data folder,
    /// not against somebody who reads the disk of this machine.
    Generated(PathBuf),
}

/// The name of the systemd credential.
pub const CREDENTIAL_NAME: &str = "chancery-sealing-key";

const SECRET_BYTES_MAX: u64 = 4_096;
const CREDENTIAL_BYTES_MIN: usize = 32;
/// Fewer characters are guessed in spite of the stretching.
const PASSPHRASE_BYTES_MIN: usize = 12;
const SALT_FILE: &str = "salt";
const SALT_LEN: usize = 16;

impl SecretSource {
    /// The credential if systemd passed one, else the passphrase file if one is configured, else the generated file of `data`.
    #[must_use]
    pub fn choose(
        data: &Path,
        credentials_directory: Option<&Path>,
        passphrase_file: Option<&Path>,
    ) -> Self {
        let credential = credentials_directory.map(|dir| dir.join(CREDENTIAL_NAME));
        if let Some(credential) = credential.filter(|credential| credential.exists()) {
            return Self::Credential(credential);
        }
        match passphrase_file {
            Some(file) => Self::Passphrase(file.to_owned()),
            None => Self::Generated(generated_path(data)),
        }
    }

    /// Where the secret is read.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Credential(path) | Self::Passphrase(path) | Self::Generated(path) => path,
        }
    }

    /// The key that closes the files of a new keys folder `dir`; makes what is stored for it.
    pub(crate) fn create(&self, dir: &Path) -> Result<SealingKey, SignerError> {
        match self {
            Self::Credential(_) => {}
            Self::Passphrase(_) => {
                let mut salt = [0; SALT_LEN];
                SystemEntropy.fill(&mut salt);
                files::write(dir, SALT_FILE, &salt)?;
            }
            Self::Generated(path) => generate(path)?,
        }
        self.open(dir)
    }

    /// The key that opens the files of the keys folder `dir`.
    pub(crate) fn open(&self, dir: &Path) -> Result<SealingKey, SignerError> {
        let secret = self.read()?;
        match self {
            Self::Credential(path) | Self::Generated(path) => {
                if secret.len() < CREDENTIAL_BYTES_MIN {
                    return Err(unusable(
                        path,
                        "is too short; it needs at least 32 random bytes",
                    ));
                }
                Ok(SealingKey::new(&Zeroizing::new(sha256(&secret))))
            }
            Self::Passphrase(path) => {
                if secret.len() < PASSPHRASE_BYTES_MIN {
                    return Err(unusable(
                        path,
                        "is too short; it needs at least 12 characters",
                    ));
                }
                let salt_path = dir.join(SALT_FILE);
                let salt = files::read(&salt_path, SECRET_BYTES_MAX)?.ok_or_else(|| {
                    let what =
                        "is missing; the keys were sealed with another kind of secret".into();
                    SignerError::KeyFile {
                        path: salt_path,
                        what,
                    }
                })?;
                Ok(SealingKey::new(&derive_from_passphrase(&secret, &salt)))
            }
        }
    }

    /// The content of the file without the line end.
    fn read(&self) -> Result<Zeroizing<Vec<u8>>, SignerError> {
        let path = self.path();
        let missing = || {
            unusable(
                path,
                "is not there; the key files open only with it, put it back",
            )
        };
        let mode = match std::fs::metadata(path) {
            Ok(metadata) => metadata.permissions().mode(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
            Err(error) => return Err(SignerError::io("read", path)(error)),
        };
        self.check_mode(mode)?;
        let content = files::read(path, SECRET_BYTES_MAX)?
            .map(Zeroizing::new)
            .ok_or_else(missing)?;
        let line = content.strip_suffix(b"\n").unwrap_or(&content);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Ok(Zeroizing::new(line.to_vec()))
    }

    fn check_mode(&self, mode: u32) -> Result<(), SignerError> {
        match self {
            // systemd decides who reads its credentials, partly by other means than the mode.
            Self::Credential(_) => Ok(()),
            // Secret stores mount such files readable by the service's group.
            Self::Passphrase(path) if mode & 0o007 != 0 => Err(unusable(
                path,
                "may be read by every user; take the rights of others away",
            )),
            Self::Generated(path) if mode & 0o077 != 0 => Err(unusable(
                path,
                "may be read by other users; set its mode to 0600",
            )),
            Self::Passphrase(_) | Self::Generated(_) => Ok(()),
        }
    }
}

fn unusable(path: &Path, what: &'static str) -> SignerError {
    SignerError::Secret {
        path: path.to_owned(),
        what,
    }
}

/// `<DATA>.sealing-key`: beside the data folder, so that a backup of the folder does not hold it.
fn generated_path(data: &Path) -> PathBuf {
    let data = std::fs::canonicalize(data)
        .or_else(|_| std::path::absolute(data))
        .unwrap_or_else(|_| data.to_owned());
    let mut name = data.file_name().unwrap_or_default().to_owned();
    name.push(".sealing-key");
    data.with_file_name(name)
}

/// Writes a random secret, unless an earlier first run that did not end has already.
fn generate(path: &Path) -> Result<(), SignerError> {
    if path.exists() {
        return Ok(());
    }
    let (Some(dir), Some(name)) = (
        path.parent(),
        path.file_name().and_then(|name| name.to_str()),
    ) else {
        return Err(unusable(path, "is no place for a file"));
    };
    let mut random = Zeroizing::new([0; 32]);
    SystemEntropy.fill(random.as_mut());
    let mut text = Zeroizing::new(String::with_capacity(65));
    for byte in random.iter() {
        text.push_str(&Zeroizing::new(format!("{byte:02x}")));
    }
    text.push('\n');
    files::write(dir, name, text.as_bytes()).map(|_| ())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::testing::TempDir;

    fn file(dir: &TempDir, name: &str, mode: u32, content: &[u8]) -> PathBuf {
        let path = dir.path().join(name);
        fs::write(&path, content).expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("sets the mode");
        path
    }

    fn sealed_by(source: &SecretSource, dir: &Path) -> Vec<u8> {
        source
            .create(dir)
            .expect("makes")
            .seal(b"x.key", b"secret", &SystemEntropy)
    }

    fn opens(source: &SecretSource, dir: &Path, sealed: &[u8]) -> bool {
        source
            .open(dir)
            .expect("opens")
            .open(b"x.key", sealed)
            .is_ok()
    }

    #[test]
    fn each_source_opens_what_it_sealed_and_a_changed_secret_does_not() {
        let dir = TempDir::new();
        let path = file(&dir, "credential", 0o440, &[b'r'; 32]);
        let credential = SecretSource::Credential(path.clone());
        let sealed = sealed_by(&credential, dir.path());
        assert!(opens(&credential, dir.path(), &sealed));
        fs::write(&path, [&[b'r'; 32][..], b"\r\n"].concat()).expect("writes");
        assert!(
            opens(&credential, dir.path(), &sealed),
            "a line end does not count"
        );
        fs::write(&path, [b's'; 32]).expect("writes");
        assert!(!opens(&credential, dir.path(), &sealed));

        let path = file(&dir, "passphrase", 0o640, b"correct horse battery\n");
        let passphrase = SecretSource::Passphrase(path);
        let sealed = sealed_by(&passphrase, dir.path());
        assert!(opens(&passphrase, dir.path(), &sealed));
        fs::write(dir.path().join("salt"), [0; 16]).expect("writes");
        assert!(!opens(&passphrase, dir.path(), &sealed));

        let generated = SecretSource::Generated(dir.path().join("data.sealing-key"));
        let sealed = sealed_by(&generated, dir.path());
        let mode = fs::metadata(generated.path())
            .expect("made")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(opens(&generated, dir.path(), &sealed));
        generated
            .create(dir.path())
            .expect("an interrupted first run goes on");
        assert!(opens(&generated, dir.path(), &sealed));
    }

    #[test]
    fn secrets_that_are_missing_short_or_readable_by_others_are_refused_with_advice() {
        let dir = TempDir::new();
        let short = SecretSource::Credential(file(&dir, "short", 0o400, b"short"));
        let weak = SecretSource::Passphrase(file(&dir, "weak", 0o600, b"hunter2"));
        let open = SecretSource::Passphrase(file(&dir, "open", 0o644, b"correct horse battery"));
        let group = SecretSource::Generated(file(&dir, "group", 0o640, &[b'r'; 64]));
        let missing = SecretSource::Generated(dir.path().join("missing"));
        for (source, advice) in [
            (short, "at least 32 random bytes"),
            (weak, "at least 12 characters"),
            (open, "take the rights of others away"),
            (group, "set its mode to 0600"),
            (missing, "put it back"),
        ] {
            let refused = source.open(dir.path()).expect_err("is refused").to_string();
            assert!(refused.contains(advice), "{refused}");
        }
    }

    #[test]
    fn the_credential_goes_before_the_passphrase_and_that_before_the_generated_file() {
        let dir = TempDir::new();
        let data = dir.path().join("data");
        let generated = SecretSource::choose(&data, Some(dir.path()), None);
        assert_eq!(
            generated,
            SecretSource::Generated(dir.path().join("data.sealing-key"))
        );
        let phrase = dir.path().join("phrase");
        let passphrase = SecretSource::choose(&data, Some(dir.path()), Some(&phrase));
        assert_eq!(passphrase, SecretSource::Passphrase(phrase.clone()));
        let given = file(&dir, CREDENTIAL_NAME, 0o400, &[1; 32]);
        let credential = SecretSource::choose(&data, Some(dir.path()), Some(&phrase));
        assert_eq!(credential, SecretSource::Credential(given));
    }
}
