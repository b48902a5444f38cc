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
    pub(super) name_constraints: Option<Unread>,
    pub(super) has_unknown_critical: bool,
}

/// An extension that is kept as it is: not everybody who holds the certificate understands it.
#[derive(Debug, Clone)]
pub(super) struct Unread {
    pub(super) critical: bool,
    pub(super) value: Vec<u8>,
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
            oid::NAME_CONSTRAINTS => {
                self.name_constraints = Some(Unread {
                    critical: extension.critical,
                    value: value.to_vec(),
                });
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};

    use crate::certificate::{Certificate, CertificateError};
    use crate::der::Writer;
    use crate::tbs::fixture::names;

    fn rcgen(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["a.test".to_owned()]).expect("parameters");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        params.self_signed(&key).expect("signs").der().to_vec()
    }

    #[test]
    fn names_of_other_types_and_strange_hosts_are_told_of_and_not_shown() {
        let ip = SanType::IpAddress([10, 0, 0, 1].into());
        let mail = SanType::Rfc822Name("a@a.test".try_into().expect("ASCII"));
        let strange = SanType::DnsName("under_score.a.test".try_into().expect("ASCII"));
        for other in [mail, strange] {
            let sans = vec![ip.clone(), other];
            let der = rcgen(|params| params.subject_alt_names = sans);
            let certificate = Certificate::parse(&der).expect("reads");
            assert!(certificate.sans().iter().eq(&names(&["10.0.0.1"])));
            assert!(certificate.has_other_sans());
        }
    }

    #[test]
    fn an_unknown_extension_is_skipped_and_told_of_if_it_is_critical() {
        for critical in [true, false] {
            let der = rcgen(|params| {
                let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                extension.set_criticality(critical);
                params.custom_extensions = vec![extension];
            });
            let certificate = Certificate::parse(&der).expect("reads");
            assert_eq!(certificate.has_unknown_critical_extension(), critical);
        }
    }

    #[test]
    fn a_malformed_extension_is_named() {
        let der = rcgen(|params| {
            let usage = CustomExtension::from_oid_content(&[2, 5, 29, 15], vec![5, 0]);
            params.custom_extensions = vec![usage];
        });
        let error = Certificate::parse(&der).expect_err("refused").to_string();
        assert!(
            error.starts_with("keyUsage of the certificate is malformed"),
            "{error}"
        );
    }

    #[test]
    fn c8_as_many_names_as_fit_are_read_in_proportionate_time() {
        let sans = |count: usize| {
            let mut w = Writer::new();
            w.sequence(|w| (0..count).for_each(|n| w.context_ia5(2, &format!("{n:04}.t"))));
            w.finish()
        };
        let der = |count| {
            rcgen(|params| {
                params.subject_alt_names = vec![];
                let names = CustomExtension::from_oid_content(&[2, 5, 29, 17], sans(count));
                params.custom_extensions = vec![names];
            })
        };
        let started = std::time::Instant::now();
        let certificate = Certificate::parse(&der(8_000)).expect("reads");
        assert_eq!(certificate.sans().len(), 8_000);
        let refused = Certificate::parse(&der(10_000));
        assert!(
            matches!(refused, Err(CertificateError::TooLarge { .. })),
            "{refused:?}"
        );
        assert!(
            started.elapsed().as_secs() < 2,
            "quadratic work would take longer"
        );
    }
}
