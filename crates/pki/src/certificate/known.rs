use crate::certificate::CertificateError;
use crate::certificate::constraints::BasicConstraints;
use crate::certificate::extension::{Extension, Extensions};
use crate::certificate::key_id::{self, AuthorityKeyId};
use crate::certificate::key_usage::KeyUsage;
use crate::certificate::{alt_names, pointer, purposes};
use crate::der::DerError;
use crate::name::San;
use crate::oid;
use crate::profile::ExtKeyUsage;

/// What the extensions say that this crate understands.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) sans: Vec<San>,
    pub(super) has_other_sans: bool,
    pub(super) constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) ext_key_usages: Option<Vec<ExtKeyUsage>>,
    pub(super) authority_key_id: Option<Vec<u8>>,
    pub(super) subject_key_id: Option<Vec<u8>>,
    pub(super) crl_urls: Vec<String>,
    pub(super) ca_issuers_urls: Vec<String>,
    pub(super) has_unknown_critical: bool,
}

impl Known {
    /// Reads every extension once; those that are not known are skipped.
    pub(super) fn read(extensions: &Extensions<'_>) -> Result<Self, CertificateError> {
        if let Some(repeated) = extensions.repeated() {
            return Err(CertificateError::RepeatedExtension {
                extension: repeated.name(),
            });
        }
        let mut known = Self::default();
        for extension in extensions.iter() {
            known
                .take(extension)
                .map_err(|reason| CertificateError::Extension {
                    extension: extension.name(),
                    reason,
                })?;
        }
        Ok(known)
    }

    fn take(&mut self, extension: &Extension<'_>) -> Result<(), DerError> {
        let value = extension.value;
        match extension.oid {
            oid::SUBJECT_ALT_NAME => self.take_names(value)?,
            oid::BASIC_CONSTRAINTS => self.constraints = Some(BasicConstraints::read(value)?),
            oid::KEY_USAGE => self.key_usage = Some(KeyUsage::read(value)?),
            oid::EXT_KEY_USAGE => {
                let purposes = purposes::read(value)?;
                self.ext_key_usages = Some(
                    purposes
                        .into_iter()
                        .filter_map(purposes::from_oid)
                        .collect(),
                );
            }
            oid::AUTHORITY_KEY_IDENTIFIER => {
                let authority = AuthorityKeyId::read(value)?;
                self.authority_key_id = authority.key_identifier.map(<[u8]>::to_vec);
            }
            oid::SUBJECT_KEY_IDENTIFIER => {
                self.subject_key_id = Some(key_id::read_subject(value)?.to_vec());
            }
            oid::CRL_DISTRIBUTION_POINTS => self.crl_urls = owned(pointer::read_crl_urls(value)?),
            oid::AUTHORITY_INFO_ACCESS => {
                self.ca_issuers_urls = owned(pointer::read_ca_issuers_urls(value)?);
            }
            // Policies limit nothing as long as nobody asks for one (RFC 5280 §6.1.1 d and e).
            oid::CERTIFICATE_POLICIES => {}
            _ => self.has_unknown_critical |= extension.critical,
        }
        Ok(())
    }

    fn take_names(&mut self, value: &[u8]) -> Result<(), DerError> {
        for name in alt_names::read(value)? {
            match San::from_general_name(name.tag, name.content) {
                Ok(san) => self.sans.push(san),
                Err(_) => self.has_other_sans = true,
            }
        }
        Ok(())
    }
}

fn owned(urls: Vec<&str>) -> Vec<String> {
    urls.into_iter().map(str::to_owned).collect()
}
