use std::ops::Range;

use chancery_crypto::{CryptoError, PublicKey, SignatureAlgorithm, SignatureForm};

use crate::algorithm;
use crate::certificate::signed::{Signed, place_of};
use crate::certificate::{distinguished_name, key_id::AuthorityKeyId, pointer};
use crate::crl::entry::{Entries, Entry};
use crate::crl::view::CrlView;
use crate::crl::{CRL_BYTES_MAX, CrlError, RevocationReason, RevokedEntry};
use crate::der::{DerError, Reader};
use crate::oid;
use crate::serial::Serial;
use crate::time::UnixTime;

/// A revocation list that was read whole; its signature has not been checked.
#[derive(Clone)]
pub struct Crl {
    der: Vec<u8>,
    tbs: Range<usize>,
    issuer: Range<usize>,
    signature: Range<usize>,
    entries: Range<usize>,
    entry_count: usize,
    signature_algorithm: SignatureAlgorithm,
    number: u64,
    this_update: UnixTime,
    next_update: UnixTime,
    authority_key_id: Option<Vec<u8>>,
    distribution_point: Option<String>,
}

impl Crl {
    /// Reads one DER list of at most 64 MiB, with nothing behind it: every entry once, in time proportional to its size.
    ///
    /// # Errors
    /// [`CrlError`]. Lists that speak for other issuers, for some reasons or for some kinds of certificate only, and
    /// delta lists, are refused: taking one of them for the whole would hide a revocation.
    pub fn parse(der: impl Into<Vec<u8>>) -> Result<Self, CrlError> {
        let der = der.into();
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge { octets: der.len() });
        }
        let signed = Signed::read(&der)?;
        let view = CrlView::read(signed.tbs)?;
        if signed.algorithm != view.algorithm {
            return Err(CrlError::AlgorithmsDiffer);
        }
        distinguished_name::read(view.issuer)?;
        let known = Known::read(&view)?;
        let revoked = view.revoked.unwrap_or_default();
        let mut entry_count = 0_usize;
        for entry in Entries::over(revoked) {
            read_entry(entry?)?;
            entry_count = entry_count.saturating_add(1);
        }
        Ok(Self {
            tbs: place_of(signed.tbs, &der),
            issuer: place_of(view.issuer, &der),
            signature: place_of(signed.signature, &der),
            entries: if entry_count == 0 {
                0..0
            } else {
                place_of(revoked, &der)
            },
            entry_count,
            signature_algorithm: algorithm::parse(view.algorithm)?,
            number: known.number.ok_or(CrlError::MissingExtension {
                extension: "cRLNumber",
            })?,
            this_update: view.this_update,
            next_update: view.next_update,
            authority_key_id: known.authority_key_id,
            distribution_point: known.distribution_point,
            der,
        })
    }

    /// The whole list.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The whole TBSCertList: what the signature covers.
    #[must_use]
    pub fn tbs_der(&self) -> &[u8] {
        self.part(&self.tbs)
    }

    /// cRLNumber (RFC 5280 §5.2.3).
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When the list was made.
    #[must_use]
    pub fn this_update(&self) -> UnixTime {
        self.this_update
    }

    /// When the next list is out at the latest.
    #[must_use]
    pub fn next_update(&self) -> UnixTime {
        self.next_update
    }

    /// The whole Name of the issuer.
    #[must_use]
    pub fn issuer_der(&self) -> &[u8] {
        self.part(&self.issuer)
    }

    /// keyIdentifier of authorityKeyIdentifier.
    #[must_use]
    pub fn authority_key_id(&self) -> Option<&[u8]> {
        self.authority_key_id.as_deref()
    }

    /// The URL of issuingDistributionPoint: the list speaks for the certificates that name it in their
    /// cRLDistributionPoints, byte for byte (RFC 5280 §6.3.3 (b)). None: it speaks for all of its issuer's.
    #[must_use]
    pub fn idp_uri(&self) -> Option<&str> {
        self.distribution_point.as_deref()
    }

    /// The algorithm of the signature.
    #[must_use]
    pub fn signature_algorithm(&self) -> SignatureAlgorithm {
        self.signature_algorithm
    }

    /// How many entries there are.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entry_count
    }

    /// The entries in the order of the list, each read when it is asked for.
    pub fn entries(&self) -> impl Iterator<Item = RevokedEntry> {
        // Every entry was read once by `parse`, so none is lost here.
        let entries = Entries::over(self.part(&self.entries)).filter_map(Result::ok);
        entries.filter_map(|entry| read_entry(entry).ok())
    }

    /// Whether the certificate with this serial number is on the list. Looks at every entry: lists of other CAs need
    /// not be sorted.
    #[must_use]
    pub fn contains(&self, serial: &Serial) -> bool {
        self.entries().any(|entry| entry.serial == *serial)
    }

    /// Checks the signature with the issuer's key, over the bytes that arrived.
    ///
    /// # Errors
    /// [`CryptoError::AlgorithmMismatch`] or [`CryptoError::BadSignature`].
    pub fn verify_signed_by(&self, key: &PublicKey) -> Result<(), CryptoError> {
        let signature = self.part(&self.signature);
        key.verify(
            self.signature_algorithm,
            SignatureForm::Der,
            self.tbs_der(),
            signature,
        )
    }

    fn part(&self, range: &Range<usize>) -> &[u8] {
        self.der.get(range.clone()).unwrap_or_default()
    }
}

impl std::fmt::Debug for Crl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Crl(number {}, {} entries)",
            self.number, self.entry_count
        )
    }
}

fn read_entry(entry: Entry<'_>) -> Result<RevokedEntry, CrlError> {
    let reason = match entry.reason {
        Some(code) => Some(RevocationReason::from_u64(code).ok_or(CrlError::Reason { code })?),
        None => None,
    };
    Ok(RevokedEntry {
        serial: Serial::from_bytes(entry.serial)?,
        at: entry.at,
        reason,
    })
}

/// What the extensions of a list say that this crate understands.
#[derive(Default)]
struct Known {
    number: Option<u64>,
    authority_key_id: Option<Vec<u8>>,
    distribution_point: Option<String>,
}

impl Known {
    fn read(view: &CrlView<'_>) -> Result<Self, CrlError> {
        if let Some(repeated) = view.extensions.repeated() {
            return Err(CrlError::RepeatedExtension {
                extension: repeated.name(),
            });
        }
        let mut known = Self::default();
        for extension in view.extensions.iter() {
            let value = extension.value;
            let taken = match extension.oid {
                oid::CRL_NUMBER => read_number(value).map(|n| known.number = Some(n)),
                oid::AUTHORITY_KEY_IDENTIFIER => AuthorityKeyId::read(value).map(|authority| {
                    known.authority_key_id = authority.key_identifier.map(<[u8]>::to_vec);
                }),
                oid::ISSUING_DISTRIBUTION_POINT => pointer::read_issuing_url(value)
                    .map(|url| known.distribution_point = Some(url.to_owned())),
                _ if extension.critical => return Err(CrlError::UnknownCriticalExtension),
                _ => Ok(()),
            };
            let extension = extension.name();
            taken.map_err(|reason| CrlError::Extension { extension, reason })?;
        }
        Ok(known)
    }
}

/// Reads the value of cRLNumber.
pub(crate) fn read_number(value: &[u8]) -> Result<u64, DerError> {
    let mut reader = Reader::new(value);
    let number = reader.integer_u64()?;
    reader.finish()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::certificate::extension::{write, write_critical};
    use crate::der::{Writer, tag};
    use crate::lint::lint_crl;
    use crate::tbs::fixture::{CRL_URL, DAY, NOW, P256, TestCa, revoked, sign, signed_crl};
    use crate::tbs::header;

    #[test]
    fn lists_of_another_maker_are_read() {
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut params = rcgen::CertificateParams::new(vec![]).expect("parameters");
        params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
        let issuer = rcgen::Issuer::new(params, key);
        let list = |reason_code, points: Option<rcgen::CrlIssuingDistributionPoint>| {
            let revoked = rcgen::RevokedCertParams {
                serial_number: rcgen::SerialNumber::from_slice(&[5]),
                revocation_time: rcgen::date_time_ymd(2026, 1, 2),
                reason_code,
                invalidity_date: None,
            };
            rcgen::CertificateRevocationListParams {
                this_update: rcgen::date_time_ymd(2026, 1, 1),
                next_update: rcgen::date_time_ymd(2051, 1, 1),
                crl_number: rcgen::SerialNumber::from_slice(&[9]),
                issuing_distribution_point: points,
                revoked_certs: vec![revoked],
                key_identifier_method: rcgen::KeyIdMethod::Sha256,
            }
            .signed_by(&issuer)
            .map(|crl| crl.der().to_vec())
            .expect("signs")
        };
        let crl = Crl::parse(list(Some(rcgen::RevocationReason::Superseded), None)).expect("reads");
        assert_eq!((crl.number(), crl.idp_uri()), (9, None));
        let entry = crl.entries().next().expect("one");
        assert_eq!(entry.reason, Some(RevocationReason::Superseded));
        assert_eq!(entry.serial, Serial::parse_hex("05").expect("a serial"));

        let hold = Crl::parse(list(Some(rcgen::RevocationReason::CertificateHold), None));
        assert_eq!(hold.expect_err("refused"), CrlError::Reason { code: 6 });
        // Speaks for end-entity certificates only: taken as a whole it would hide a revoked CA.
        let point = rcgen::CrlIssuingDistributionPoint {
            distribution_point: rcgen::CrlDistributionPoint {
                uris: vec![CRL_URL.to_owned()],
            },
            scope: Some(rcgen::CrlScope::UserCertsOnly),
        };
        let scoped = Crl::parse(list(None, Some(point))).expect_err("refused");
        assert!(matches!(scoped, CrlError::Extension { .. }), "{scoped}");
    }

    #[test]
    fn c7_hostile_lists_are_errors() {
        let ca = TestCa::root(P256);
        let good = signed_crl(&ca, &[revoked(1, None)]);
        let nested = (0..10_000).fold(vec![5, 0], |inner, _| {
            [header(tag::SEQUENCE, inner.len()), inner].concat()
        });
        for bad in [
            nested,
            [0x30, 0x80].repeat(10_000),
            vec![],
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            [&good[..], &[0]].concat(),
            good[..good.len() - 1].to_vec(),
        ] {
            assert!(Crl::parse(bad).is_err());
        }
        let octets = CRL_BYTES_MAX + 1;
        assert_eq!(
            Crl::parse(vec![0x30; octets]).expect_err("refused"),
            CrlError::TooLarge { octets }
        );
    }

    #[test]
    fn what_a_list_must_have_and_must_not_have_twice_is_asked_for() {
        let ca = TestCa::root(P256);
        let list = |extensions: &dyn Fn(&mut Writer)| {
            let mut w = Writer::new();
            w.sequence(|w| {
                w.integer_u64(1);
                algorithm::write(w, ca.certificate.signature_algorithm());
                w.raw(ca.certificate.subject_der());
                w.time(NOW);
                w.time(NOW.plus(DAY));
                w.tlv(tag::context_constructed(0), |w| w.sequence(extensions));
            });
            Crl::parse(sign(&w.finish(), &ca.key)).map(drop)
        };
        let number = |w: &mut Writer| write(w, oid::CRL_NUMBER, |w| w.integer_u64(1));
        assert_eq!(list(&number), Ok(()));
        let missing = CrlError::MissingExtension {
            extension: "cRLNumber",
        };
        let unknown = |w: &mut Writer| write(w, &[0x2a, 3], Writer::null);
        assert_eq!(list(&unknown), Err(missing));
        let twice = CrlError::RepeatedExtension {
            extension: "cRLNumber",
        };
        assert_eq!(
            list(&|w| [number(w), number(w)].into_iter().collect()),
            Err(twice)
        );
        // deltaCRLIndicator: the list is only what changed.
        let delta = |w: &mut Writer| {
            number(w);
            write_critical(w, &[0x55, 0x1d, 0x1b], |w| w.integer_u64(1));
        };
        assert_eq!(list(&delta), Err(CrlError::UnknownCriticalExtension));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let ca = TestCa::root(P256);
            let _ = lint_crl(&bytes, &ca.certificate);
            let _ = Crl::parse(bytes);
        }

        #[test]
        fn a_changed_list_is_refused_or_does_not_verify(
            at in any::<prop::sample::Index>(), bit in 0..8, cut in any::<bool>(),
        ) {
            let ca = TestCa::root(P256);
            let reason = Some(RevocationReason::KeyCompromise);
            let mut der = signed_crl(&ca, &[revoked(1, None), revoked(2, reason)]);
            let at = at.index(der.len());
            if cut {
                der.truncate(at);
            } else {
                der[at] ^= 1_u8 << bit;
            }
            if let Ok(changed) = Crl::parse(der) {
                prop_assert!(changed.verify_signed_by(ca.key.public()).is_err());
            }
        }
    }
}
