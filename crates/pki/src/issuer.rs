//! A CA certificate as the issuer of others: what building, linting and checking of certificates and CRLs need of it.

use chancery_crypto::SignatureAlgorithm;

use crate::certificate::name_constraints::NameConstraints;
use crate::certificate::{Certificate, CertificateError, KeyUsage};
use crate::der::DerError;
use crate::name::San;
use crate::profile::ExtKeyUsage;
use crate::spki::Spki;
use crate::time::UnixTime;

/// A certificate cannot stand as an issuer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// Not a certificate.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// basicConstraints does not say that it is a CA.
    #[error("the certificate is not a CA certificate: basicConstraints has no cA TRUE")]
    NotCa,
    /// keyUsage does not allow certificates and CRLs.
    #[error("the CA certificate's keyUsage is not keyCertSign and cRLSign")]
    KeyUsage,
    /// No name to put into issuer fields.
    #[error("the CA certificate has an empty subject")]
    EmptySubject,
    /// No subjectKeyIdentifier, which every authorityKeyIdentifier repeats (RFC 5280 §4.2.1.1).
    #[error("the CA certificate has no subjectKeyIdentifier")]
    NoKeyIdentifier,
    /// Name constraints that this crate cannot keep.
    #[error("the CA certificate's name constraints cannot be kept: {0}")]
    NameConstraints(DerError),
    /// A critical extension that this crate does not understand.
    #[error("the CA certificate has a critical extension that is not supported")]
    UnknownCriticalExtension,
}

/// A CA certificate that may sign certificates and CRLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerCertificate {
    certificate: Certificate,
    key_identifier: Vec<u8>,
    name_constraints: Option<NameConstraints>,
}

impl IssuerCertificate {
    /// Reads one DER certificate of a CA.
    ///
    /// # Errors
    /// [`IssuerError`].
    pub fn parse(der: &[u8]) -> Result<Self, IssuerError> {
        let certificate = Certificate::parse(der)?;
        if !certificate.is_ca() {
            return Err(IssuerError::NotCa);
        }
        let needed = KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN;
        if !certificate
            .key_usage()
            .is_some_and(|usage| usage.contains(needed))
        {
            return Err(IssuerError::KeyUsage);
        }
        if certificate.subject_der() == crate::certificate::distinguished_name::EMPTY {
            return Err(IssuerError::EmptySubject);
        }
        if certificate.has_critical_extension_besides_name_constraints() {
            return Err(IssuerError::UnknownCriticalExtension);
        }
        // Those that are not critical too: other readers keep them.
        let name_constraints = certificate
            .name_constraints()
            .map(NameConstraints::read)
            .transpose()
            .map_err(IssuerError::NameConstraints)?;
        let key_identifier = certificate
            .subject_key_id()
            .ok_or(IssuerError::NoKeyIdentifier)?;
        Ok(Self {
            key_identifier: key_identifier.to_vec(),
            name_constraints,
            certificate,
        })
    }

    /// The certificate itself.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The whole certificate as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// The whole Name that stands as issuer in what it signs.
    #[must_use]
    pub fn subject_der(&self) -> &[u8] {
        self.certificate.subject_der()
    }

    /// Its key.
    #[must_use]
    pub fn spki(&self) -> &Spki {
        self.certificate.spki()
    }

    /// The octets of its subjectKeyIdentifier, which authorityKeyIdentifier repeats.
    #[must_use]
    pub fn key_identifier(&self) -> &[u8] {
        &self.key_identifier
    }

    /// The first second of its validity.
    #[must_use]
    pub fn not_before(&self) -> UnixTime {
        self.certificate.not_before()
    }

    /// The last second of its validity.
    #[must_use]
    pub fn not_after(&self) -> UnixTime {
        self.certificate.not_after()
    }

    /// The algorithm with which its key signs.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.spki().key().default_algorithm()
    }

    /// How many CA certificates may stand below it on a path, if that is limited.
    #[must_use]
    pub fn path_len(&self) -> Option<u8> {
        self.certificate.path_len()
    }

    /// Whether what it signs may have this purpose: its own extKeyUsage, where it has one, limits those below it.
    #[must_use]
    pub fn permits(&self, purpose: ExtKeyUsage) -> bool {
        self.certificate
            .ext_key_usages()
            .is_none_or(|purposes| purposes.contains(&purpose))
    }

    /// Whether it may certify only some names.
    pub(crate) fn limits_names(&self) -> bool {
        self.name_constraints.is_some()
    }

    /// Whether it may certify this name, and if it is a wildcard everything below its base (RFC 5280 §4.2.1.10).
    #[must_use]
    pub fn permits_name(&self, name: &San) -> bool {
        let constraints = self.name_constraints.as_ref();
        constraints.is_none_or(|constraints| constraints.permit(name))
    }

    /// Whether issuer and subject are the same Name, as in a root.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.certificate.is_self_issued()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::constraints::BasicConstraints;
    use crate::certificate::extension::{write, write_critical};
    use crate::certificate::name_constraints::fixture::{Base, value};
    use crate::certificate::{distinguished_name, key_id};
    use crate::der::{Writer, tag};
    use crate::oid;
    use crate::tbs::fixture::{DAY, NOW, P256, TestCa, new_key, serial, sign, spki};

    /// A self-signed certificate with these extensions.
    fn with_extensions(name: Option<&str>, extensions: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let key = new_key(P256);
        let mut subject = Writer::new();
        match name {
            Some(name) => distinguished_name::write(&mut subject, None, name),
            None => subject.raw(distinguished_name::EMPTY),
        }
        let subject = subject.finish();
        let mut w = Writer::new();
        w.sequence(|w| {
            w.tlv(tag::context_constructed(0), |w| w.integer_u64(2));
            w.integer_bytes(serial(1).as_bytes());
            crate::algorithm::write(w, key.algorithm());
            w.raw(&subject);
            w.sequence(|w| {
                w.time(NOW);
                w.time(NOW.plus(DAY));
            });
            w.raw(&subject);
            w.raw(spki(&key).as_der());
            w.tlv(tag::context_constructed(3), |w| w.sequence(extensions));
        });
        sign(&w.finish(), &key)
    }

    fn constraints(w: &mut Writer, ca: bool) {
        let constraints = BasicConstraints { ca, path_len: None };
        write_critical(w, oid::BASIC_CONSTRAINTS, |w| constraints.write(w));
    }

    fn usage(w: &mut Writer, usage: KeyUsage) {
        write_critical(w, oid::KEY_USAGE, |w| usage.write(w));
    }

    fn identifier(w: &mut Writer) {
        write(w, oid::SUBJECT_KEY_IDENTIFIER, |w| w.octet_string(&[9; 20]));
    }

    #[test]
    fn a_ca_certificate_is_an_issuer_and_says_what_it_permits() {
        let root = TestCa::root(P256);
        let issuing = root.issuing(P256).certificate;
        assert!(root.certificate.is_self_issued() && !issuing.is_self_issued());
        assert_eq!(
            (root.certificate.path_len(), issuing.path_len()),
            (None, Some(0))
        );
        assert!(
            issuing.permits(ExtKeyUsage::ServerAuth)
                && root.certificate.permits(ExtKeyUsage::ClientAuth)
        );
        assert_eq!(issuing.key_identifier(), issuing.spki().key_identifier());
        assert_eq!(
            issuing.signature_algorithm(),
            SignatureAlgorithm::EcdsaSha256
        );
    }

    #[test]
    fn what_is_no_ca_certificate_is_refused_with_the_reason() {
        let both = KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN;
        let check = |name, expected, extensions: &dyn Fn(&mut Writer)| {
            let parsed = IssuerCertificate::parse(&with_extensions(name, extensions));
            assert_eq!(parsed.map(drop), expected);
        };
        let name = Some("CA");
        check(name, Ok(()), &|w| {
            constraints(w, true);
            usage(w, both);
            identifier(w);
        });
        check(name, Err(IssuerError::NotCa), &|w| {
            constraints(w, false);
            usage(w, both);
        });
        check(name, Err(IssuerError::NotCa), &|w| usage(w, both));
        check(name, Err(IssuerError::KeyUsage), &|w| constraints(w, true));
        check(name, Err(IssuerError::KeyUsage), &|w| {
            constraints(w, true);
            usage(w, KeyUsage::KEY_CERT_SIGN);
        });
        check(name, Err(IssuerError::NoKeyIdentifier), &|w| {
            constraints(w, true);
            usage(w, both);
            write(w, oid::AUTHORITY_KEY_IDENTIFIER, |w| {
                key_id::write_authority(w, &[9; 20])
            });
        });
        check(None, Err(IssuerError::EmptySubject), &|w| {
            constraints(w, true);
            usage(w, both);
            identifier(w);
        });
        // Policy constraints, which are not understood here.
        check(name, Err(IssuerError::UnknownCriticalExtension), &|w| {
            constraints(w, true);
            usage(w, both);
            identifier(w);
            write_critical(w, &[0x55, 0x1d, 0x24], |w| w.sequence(|_| ()));
        });
    }

    #[test]
    fn c5_name_constraints_are_kept_critical_or_not_and_refused_where_they_cannot_be() {
        let parsed = |critical: bool, base: Base<'_>| {
            let value = value(&[base], &[]);
            IssuerCertificate::parse(&with_extensions(Some("CA"), |w| {
                constraints(w, true);
                usage(w, KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN);
                identifier(w);
                match critical {
                    true => write_critical(w, oid::NAME_CONSTRAINTS, |w| w.raw(&value)),
                    false => write(w, oid::NAME_CONSTRAINTS, |w| w.raw(&value)),
                }
            }))
        };
        for critical in [true, false] {
            let issuer = parsed(critical, Base::Host("a.test")).expect("an issuer");
            for (name, expected) in [
                ("x.a.test", true),
                ("b.test", false),
                ("*.test.test", false),
            ] {
                let san = San::parse(name).expect("a name");
                assert_eq!(issuer.permits_name(&san), expected, "{name}");
            }
            // Who follows a chain does not keep them, and says so where that matters.
            let certificate = issuer.certificate();
            assert_eq!(certificate.has_unknown_critical_extension(), critical);
            let uri = parsed(critical, Base::Other(6, b"a.test")).map(drop);
            assert!(
                matches!(uri, Err(IssuerError::NameConstraints(_))),
                "{uri:?}"
            );
        }
    }
}
