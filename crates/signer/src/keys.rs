//! The CA's keys: `DATA/keys/NAME.key` sealed, `NAME.crt` beside it.
//!
//! A first run makes the whole folder under another name and renames it at the end, so there is never half a CA.

use std::fs;
use std::path::{Path, PathBuf};

use chancery_crypto::{PrivateKey, SealingKey, SignatureForm, SystemEntropy};
use chancery_pki::issuer::IssuerCertificate;
use chancery_pki::pem;

use crate::journal::IssuerKeyId;
use crate::protocol::IssuerInfo;
use crate::secret::SecretSource;
use crate::{SignerError, files};

const KEYS_DIR: &str = "keys";
/// The folder while a first run fills it.
const UNFINISHED_DIR: &str = "keys.new";
/// Opens every key file, so that a later form can be told from this one.
const KEY_FILE_MAGIC: &[u8] = b"chancery key 1\n";
const KEY_BYTES_MAX: u64 = 16 << 10;
const CERTIFICATE_LABEL: &str = "CERTIFICATE";
/// Far more issuers than anybody runs beside each other; all are opened at start.
const ISSUERS_MAX: usize = 64;

/// A CA certificate with its key.
pub(crate) struct Issuer {
    pub(crate) name: String,
    pub(crate) certificate: IssuerCertificate,
    pub(crate) key_id: IssuerKeyId,
    key: PrivateKey,
}

impl Issuer {
    /// Joins a certificate and its key.
    ///
    /// # Errors
    /// What does not fit, for the operator.
    pub(crate) fn new(
        name: &str,
        certificate: IssuerCertificate,
        key: PrivateKey,
    ) -> Result<Self, String> {
        let key_id = certificate.key_identifier().try_into();
        let key_id = key_id.map_err(|_| "its subjectKeyIdentifier has not 20 octets")?;
        if certificate.spki().key() != key.public() {
            return Err("the certificate is not for this key".into());
        }
        Ok(Self {
            name: name.to_owned(),
            certificate,
            key_id,
            key,
        })
    }

    /// A root signs CRLs and CA certificates, no leaf.
    pub(crate) fn is_root(&self) -> bool {
        self.certificate.is_self_issued()
    }

    /// Signs a TBS that is in the journal.
    pub(crate) fn sign(&self, tbs: &[u8]) -> Result<Vec<u8>, chancery_crypto::CryptoError> {
        self.key.sign(SignatureForm::Der, tbs)
    }

    pub(crate) fn info(&self) -> IssuerInfo {
        IssuerInfo {
            name: self.name.clone(),
            root: self.is_root(),
            key_id: self.key_id,
            certificate: self.certificate.der().to_vec(),
        }
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issuer({})", self.name)
    }
}

/// All keys of the CA, roots first.
#[derive(Debug)]
pub(crate) struct Keyring(Vec<Issuer>);

impl Keyring {
    /// Roots first, then by name.
    pub(crate) fn new(mut issuers: Vec<Issuer>) -> Self {
        issuers.sort_by_key(|issuer| (!issuer.is_root(), issuer.name.clone()));
        Self(issuers)
    }

    /// Opens the keys of the data folder; `None` before the first run.
    pub(crate) fn open(data: &Path, secret: &SecretSource) -> Result<Option<Self>, SignerError> {
        let dir = data.join(KEYS_DIR);
        if !dir.exists() {
            return Ok(None);
        }
        let names = key_names(&dir)?;
        if names.is_empty() || names.len() > ISSUERS_MAX {
            let what = format!(
                "it has {} key files; 1 to {ISSUERS_MAX} are expected",
                names.len()
            );
            return Err(SignerError::KeyFile { path: dir, what });
        }
        let sealing = secret.open(&dir)?;
        let issuers = names.iter().map(|name| open_one(&dir, name, &sealing));
        Ok(Some(Self::new(issuers.collect::<Result<_, _>>()?)))
    }

    /// Writes all keys of a first run; they are there whole or not at all.
    pub(crate) fn store(&self, data: &Path, secret: &SecretSource) -> Result<(), SignerError> {
        let dir = data.join(UNFINISHED_DIR);
        if dir.exists() {
            fs::remove_dir_all(&dir).map_err(SignerError::io("remove", &dir))?;
        }
        files::create_dir(&dir)?;
        let sealing = secret.create(&dir)?;
        for issuer in &self.0 {
            store_one(&dir, issuer, &sealing)?;
        }
        let finished = data.join(KEYS_DIR);
        fs::rename(&dir, &finished).map_err(SignerError::io("create", &finished))?;
        files::sync_dir(data)
    }

    pub(crate) fn by_key_id(&self, key_id: &[u8]) -> Option<&Issuer> {
        self.0.iter().find(|issuer| issuer.key_id == key_id)
    }

    /// The issuers whose keys sign leaf certificates.
    pub(crate) fn issuing(&self) -> impl Iterator<Item = &Issuer> {
        self.0.iter().filter(|issuer| !issuer.is_root())
    }

    pub(crate) fn infos(&self) -> Vec<IssuerInfo> {
        self.0.iter().map(Issuer::info).collect()
    }
}

/// Whether `name` can be a file's name in the keys folder: 1 to 32 lower-case letters, digits and hyphens.
pub(crate) fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

fn key_names(dir: &Path) -> Result<Vec<String>, SignerError> {
    let reading = |error| SignerError::io("read the names in", dir)(error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(reading)? {
        let name = entry.map_err(reading)?.file_name();
        let stem = name.to_str().and_then(|name| name.strip_suffix(".key"));
        names.extend(stem.filter(|stem| is_name(stem)).map(str::to_owned));
    }
    Ok(names)
}

fn store_one(dir: &Path, issuer: &Issuer, sealing: &SealingKey) -> Result<(), SignerError> {
    let name = &issuer.name;
    let certificate = pem::encode(CERTIFICATE_LABEL, issuer.certificate.der());
    files::write(dir, &format!("{name}.crt"), certificate.as_bytes())?;
    let key_file = format!("{name}.key");
    let sealed = sealing.seal(key_file.as_bytes(), &issuer.key.to_pkcs8()?, &SystemEntropy);
    files::write(dir, &key_file, &[KEY_FILE_MAGIC, &sealed].concat())?;
    Ok(())
}

fn open_one(dir: &Path, name: &str, sealing: &SealingKey) -> Result<Issuer, SignerError> {
    let (key_file, certificate_file) = (format!("{name}.key"), format!("{name}.crt"));
    let path = dir.join(&key_file);
    let wrong = |what: &str| wrong(&path, what);
    let content = files::read(&path, KEY_BYTES_MAX)?.ok_or_else(|| wrong("it is missing"))?;
    let sealed = content
        .strip_prefix(KEY_FILE_MAGIC)
        .ok_or_else(|| wrong("it is not a key file of this version"))?;
    let pkcs8 = sealing
        .open(key_file.as_bytes(), sealed)
        .map_err(|_| wrong("it does not open: another sealing key, or it was changed"))?;
    let key = PrivateKey::from_pkcs8(&pkcs8).map_err(|error| wrong(&error.to_string()))?;
    let certificate = read_certificate(&dir.join(certificate_file))?;
    Issuer::new(name, certificate, key).map_err(|what| wrong(&what))
}

fn read_certificate(path: &Path) -> Result<IssuerCertificate, SignerError> {
    let limit = u64::try_from(pem::PEM_BYTES_MAX).unwrap_or(u64::MAX);
    let content = files::read(path, limit)?.ok_or_else(|| wrong(path, "it is missing"))?;
    let text = std::str::from_utf8(&content).map_err(|_| wrong(path, "it is not text"))?;
    let blocks =
        pem::decode(text, CERTIFICATE_LABEL, 1).map_err(|error| wrong(path, &error.to_string()))?;
    let der = blocks
        .first()
        .ok_or_else(|| wrong(path, "it holds no certificate"))?;
    IssuerCertificate::parse(der).map_err(|error| wrong(path, &error.to_string()))
}

fn wrong(path: &Path, what: &str) -> SignerError {
    SignerError::KeyFile {
        path: PathBuf::from(path),
        what: what.to_owned(),
    }
}
