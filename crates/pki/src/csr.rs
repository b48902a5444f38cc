//! Certification requests (PKCS #10, RFC 2986): where a client's key enters, and the names it says it wants.
//!
//! A request is never a template (failures C1). What is taken from it is the key, whose possession its signature
//! proves, and a set of names to compare with what was proven elsewhere. Every other wish in it is ignored, and
//! every kind of name that could mean more than a host is refused.

#[cfg(test)]
mod fixture;
mod wishes;

use std::collections::BTreeSet;

use chancery_crypto::{CryptoError, Digest32, PrivateKey, SignatureForm, sha256};

use crate::algorithm::{self, AlgorithmError};
use crate::der::{DerError, Reader, Writer, tag};
use crate::name::{NameError, San};
use crate::oid;
use crate::spki::{Spki, SpkiError};
use wishes::{read_attributes, read_common_name, read_names};

/// Bytes of a request that are looked at: the largest key and 1000 names of ordinary length fit.
pub const CSR_BYTES_MAX: usize = 32 * 1024;

/// The `[0]` that holds the attributes.
const ATTRIBUTES: u8 = tag::context_constructed(0);

/// A certification request whose signature has been verified: whoever made it has the private key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Csr {
    spki: Spki,
    names: BTreeSet<San>,
    digest: Digest32,
}

/// A certification request is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// More than [`CSR_BYTES_MAX`].
    #[error("the request has {bytes} bytes; {CSR_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes seen.
        bytes: usize,
    },
    /// Not the DER of a CertificationRequest.
    #[error("the request is malformed: {0}")]
    Malformed(#[from] DerError),
    /// A version that is not 0, which is called v1.
    #[error("the request's version is {version}, where 0 was expected")]
    Version {
        /// The number seen.
        version: u64,
    },
    /// A key that is not accepted.
    #[error(transparent)]
    Key(#[from] SpkiError),
    /// A signature algorithm that is not accepted.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// The signature was not made with the key of the request.
    #[error("the request's own signature is wrong: {0}")]
    Signature(#[source] CryptoError),
    /// A common name that is not a name a certificate may carry.
    #[error("the request's common name is refused: {0}")]
    CommonName(#[source] NameError),
    /// Two common names.
    #[error("the request has more than one common name")]
    CommonNames,
    /// A subject alternative name that a certificate may not carry.
    #[error("a subject alternative name of the request is refused: {0}")]
    Name(#[source] NameError),
    /// A subject alternative name twice.
    #[error("the request names {name} twice")]
    DuplicateName {
        /// The name.
        name: San,
    },
    /// More names than any profile allows.
    #[error("the request has more than {} names", wishes::NAMES_MAX)]
    TooManyNames,
    /// An extension twice, or two lists of them.
    #[error("the request asks for an extension twice")]
    DuplicateExtension,
    /// More extensions than anybody needs.
    #[error("the request asks for more than {} extensions", wishes::EXTENSIONS_MAX)]
    TooManyExtensions,
    /// The private key did not sign the request that was being built.
    #[error("the request could not be signed: {0}")]
    Signing(#[source] CryptoError),
}

impl Csr {
    /// Reads and verifies a request. Its names are the subject alternative names and the common name together.
    ///
    /// The attributes may stand in any order and may be left out altogether, as real clients do.
    ///
    /// # Errors
    /// [`CsrError`].
    pub fn parse(der: &[u8]) -> Result<Self, CsrError> {
        if der.len() > CSR_BYTES_MAX {
            return Err(CsrError::TooLarge { bytes: der.len() });
        }
        let mut request = Reader::only(der, tag::SEQUENCE)?;
        let info = request.read_any()?;
        let algorithm = algorithm::read(&mut request)?;
        let signature = request.bit_string_octets()?;
        request.finish()?;
        let (spki, names) = read_info(info.whole)?;
        spki.key()
            .verify(algorithm, SignatureForm::Der, info.whole, signature)
            .map_err(CsrError::Signature)?;
        Ok(Self {
            spki,
            names,
            digest: sha256(der),
        })
    }

    /// The key.
    #[must_use]
    pub fn spki(&self) -> &Spki {
        &self.spki
    }

    /// The names asked for; perhaps none.
    #[must_use]
    pub fn names(&self) -> &BTreeSet<San> {
        &self.names
    }

    /// SHA-256 of the whole request as it arrived.
    #[must_use]
    pub fn digest(&self) -> Digest32 {
        self.digest
    }
}

/// A request for these names, signed: an empty subject, and the names as subjectAltName.
///
/// # Errors
/// [`CsrError::Signing`].
pub fn build(key: &PrivateKey, names: &[San]) -> Result<Vec<u8>, CsrError> {
    let mut w = Writer::new();
    w.sequence(|w| {
        w.integer_u64(0);
        w.sequence(|_| {});
        w.raw(Spki::of(key.public()).as_der());
        w.tlv(ATTRIBUTES, |w| {
            if !names.is_empty() {
                write_extension_request(w, names);
            }
        });
    });
    let info = w.finish();
    let signature = key
        .sign(SignatureForm::Der, &info)
        .map_err(CsrError::Signing)?;
    let mut w = Writer::new();
    w.sequence(|w| {
        w.raw(&info);
        algorithm::write(w, key.algorithm());
        w.bit_string(&signature, 0);
    });
    Ok(w.finish())
}

/// The one attribute with the one extension, subjectAltName.
fn write_extension_request(w: &mut Writer, names: &[San]) {
    let mut value = Writer::new();
    value.sequence(|w| names.iter().for_each(|name| name.write_general_name(w)));
    let value = value.finish();
    w.sequence(|w| {
        w.oid(oid::EXTENSION_REQUEST);
        w.tlv(tag::SET, |w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.oid(oid::SUBJECT_ALT_NAME);
                    w.octet_string(&value);
                });
            });
        });
    });
}

/// CertificationRequestInfo, RFC 2986 §4.1.
fn read_info(der: &[u8]) -> Result<(Spki, BTreeSet<San>), CsrError> {
    let mut info = Reader::only(der, tag::SEQUENCE)?;
    let version = info.integer_u64()?;
    if version != 0 {
        return Err(CsrError::Version { version });
    }
    let common_name = read_common_name(info.sequence()?)?;
    let spki = Spki::parse(info.read_any()?.whole)?;
    let attributes = info.optional(ATTRIBUTES)?.unwrap_or_default();
    info.finish()?;
    let mut names = match read_attributes(Reader::new(attributes))? {
        Some(value) => read_names(value)?,
        None => BTreeSet::new(),
    };
    names.extend(common_name);
    Ok((spki, names))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use chancery_crypto::{Curve, KeyKind};
    use proptest::prelude::*;
    use x509_parser::prelude::{FromDer, X509CertificationRequest};

    use super::fixture::{check, general_names, key, sans, sign, signed, with_names};
    use super::*;

    #[test]
    fn what_is_built_is_read_back_by_us_and_by_an_oracle() {
        let names = ["a.test", "*.b.test", "192.0.2.1", "2001:db8::1"];
        for kind in [
            KeyKind::Ec(Curve::P256),
            KeyKind::Ec(Curve::P384),
            KeyKind::Ec(Curve::P521),
            KeyKind::Rsa2048,
            KeyKind::Ed25519,
        ] {
            let key = PrivateKey::generate(kind).expect("generates");
            let der = build(&key, &sans(&names)).expect("builds");
            check(&der, Ok(&names));
            let csr = Csr::parse(&der).expect("parses");
            assert_eq!(csr.spki().key(), key.public());
            assert_eq!(csr.digest(), sha256(&der));
            let (rest, oracle) = X509CertificationRequest::from_der(&der).expect("parses");
            assert!(rest.is_empty());
            assert_eq!(oracle.certification_request_info.subject.iter().count(), 0);
            assert_eq!(
                oracle
                    .requested_extensions()
                    .expect("has extensions")
                    .count(),
                1
            );
        }
    }

    #[test]
    fn requests_of_another_library_are_read() {
        let names = ["a.test", "*.b.test", "192.0.2.1"];
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ] {
            let pair = rcgen::KeyPair::generate_for(algorithm).expect("generates");
            let mut params =
                rcgen::CertificateParams::new(names.map(str::to_owned)).expect("names");
            params
                .distinguished_name
                .push(rcgen::DnType::CommonName, "c.test");
            params
                .distinguished_name
                .push(rcgen::DnType::OrganizationName, "Täst");
            let der = params.serialize_request(&pair).expect("builds");
            check(
                der.der(),
                Ok(&["a.test", "*.b.test", "192.0.2.1", "c.test"]),
            );
        }
    }

    #[test]
    fn c1_a_subject_of_a_megabyte_is_refused_unread() {
        let huge = signed(&[&[b'a'; 1 << 20]], |_| {});
        check(&huge, Err(CsrError::TooLarge { bytes: huge.len() }));
    }

    #[test]
    fn a_request_that_another_key_signed_is_refused() {
        let mine = build(&key(), &sans(&["a.test"])).expect("builds");
        let mut outer = Reader::only(&mine, tag::SEQUENCE).expect("reads");
        let info = outer.read_any().expect("reads").whole;
        let bad = CsrError::Signature(CryptoError::BadSignature);
        check(&sign(&key(), info), Err(bad));
        let ed = PrivateKey::generate(KeyKind::Ed25519).expect("generates");
        check(
            &sign(&ed, info),
            Err(CsrError::Signature(CryptoError::AlgorithmMismatch)),
        );
    }

    #[test]
    fn a_request_of_another_version_is_refused() {
        let key = key();
        let mut w = Writer::new();
        w.sequence(|w| {
            w.integer_u64(1);
            w.sequence(|_| {});
            w.raw(Spki::of(key.public()).as_der());
            w.tlv(ATTRIBUTES, |_| {});
        });
        check(
            &sign(&key, &w.finish()),
            Err(CsrError::Version { version: 1 }),
        );
    }

    #[test]
    fn a_request_without_names_or_attributes_is_a_request() {
        check(&build(&key(), &[]).expect("builds"), Ok(&[]));
        let key = key();
        let mut w = Writer::new();
        w.sequence(|w| {
            w.integer_u64(0);
            w.sequence(|_| {});
            w.raw(Spki::of(key.public()).as_der());
        });
        check(&sign(&key, &w.finish()), Ok(&[]));
        let empty = with_names(&[], |_| {});
        assert!(
            matches!(Csr::parse(&empty), Err(CsrError::Malformed(_))),
            "an empty list of names"
        );
    }

    #[test]
    fn c7_hostile_encodings_are_refused_at_once() {
        let nested =
            |depth: usize| (0..depth).fold(Vec::new(), |inner, _| general_names(|w| w.raw(&inner)));
        let good = build(&key(), &sans(&["a.test"])).expect("builds");
        let in_subject = {
            let key = key();
            let mut w = Writer::new();
            w.sequence(|w| {
                w.integer_u64(0);
                w.raw(&nested(6_000));
                w.raw(Spki::of(key.public()).as_der());
            });
            sign(&key, &w.finish())
        };
        let deep = nested(10_000);
        check(&deep, Err(CsrError::TooLarge { bytes: deep.len() }));
        let bad = [
            nested(8_000),
            in_subject,
            [0x30; 10_000].to_vec(),
            [&[0x30, 0x80], &good[4..], &[0, 0]].concat(),
            [&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff][..], &good[4..]].concat(),
            [
                &[0x30, 0x88, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..],
                &good[4..],
            ]
            .concat(),
            [&good[..], &[0]].concat(),
            good[..good.len() - 1].to_vec(),
            Vec::new(),
        ];
        let started = Instant::now();
        for bad in bad {
            let seen = Csr::parse(&bad);
            assert!(
                matches!(seen, Err(CsrError::Malformed(_) | CsrError::Algorithm(_))),
                "{:?}",
                &bad[..bad.len().min(8)]
            );
        }
        assert!(
            started.elapsed() < Duration::from_millis(200),
            "{:?}",
            started.elapsed()
        );
    }

    proptest! {
        #[test]
        fn one_changed_byte_is_always_refused(at in any::<prop::sample::Index>(), flip in 1_u8..) {
            let mut der = build(&key(), &sans(&["a.test", "192.0.2.1"])).expect("builds");
            let at = at.index(der.len());
            der[at] ^= flip;
            prop_assert!(Csr::parse(&der).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Csr::parse(&bytes);
        }
    }
}
