//! Certificate revocation lists (RFC 5280 §5): written entry by entry, read strictly.
//!
//! [`CrlWriter`] makes the TBSCertList of one shard, [`Crl`] reads a signed list. A shard is tied to its
//! certificates by its issuingDistributionPoint, whose URL is byte for byte the one in their cRLDistributionPoints.
//! There are no delta lists, no indirect lists, and no reasons that could be taken back.

pub(crate) mod entry;
mod reason;
pub(crate) mod view;
mod writer;

use std::ops::Range;

use chancery_crypto::{CryptoError, PublicKey, SignatureAlgorithm, SignatureForm};

use crate::algorithm::{self, AlgorithmError};
use crate::certificate::signed::{Signed, place_of};
use crate::certificate::{distinguished_name, key_id::AuthorityKeyId, pointer};
use crate::der::{DerError, Reader};
use crate::oid;
use crate::serial::{Serial, SerialError};
use crate::time::UnixTime;

use self::entry::{Entries, Entry};
use self::view::CrlView;

pub use self::reason::RevocationReason;
pub use self::writer::{CrlRequest, CrlWriter};

/// The largest list that is read or written: 1.2 million entries with reasons.
pub const CRL_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A list cannot be made, or bytes are not a list that can be used here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CrlError {
    /// Too large to be looked at or to be made.
    #[error("the CRL has {octets} octets; {CRL_BYTES_MAX} are allowed")]
    TooLarge {
        /// Octets seen.
        octets: usize,
    },
    /// Not the DER of a version 2 CRL.
    #[error("the CRL is malformed: {0}")]
    Malformed(#[from] DerError),
    /// An extension whose value is not what its identifier says, or says what is not supported.
    #[error("{extension} of the CRL is malformed or not supported: {reason}")]
    Extension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
        /// What is wrong with it.
        reason: DerError,
    },
    /// An extension that stands there twice.
    #[error("the CRL has {extension} more than once")]
    RepeatedExtension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
    },
    /// A critical extension that is not understood; such a list must not be used (RFC 5280 §5.2).
    #[error("the CRL has a critical extension that is not supported")]
    UnknownCriticalExtension,
    /// An extension that every list of version 2 must have (RFC 5280 §5.2).
    #[error("the CRL has no {extension}")]
    MissingExtension {
        /// The name of the extension in RFC 5280.
        extension: &'static str,
    },
    /// The algorithm beside the signature is not the one under it.
    #[error("the CRL names two different signature algorithms")]
    AlgorithmsDiffer,
    /// A signature algorithm that is not accepted.
    #[error(transparent)]
    Algorithm(#[from] AlgorithmError),
    /// A serial number that cannot be one.
    #[error(transparent)]
    Serial(#[from] SerialError),
    /// A reason outside the closed set of [`RevocationReason`].
    #[error("an entry of the CRL has reason {code}, which is not supported")]
    Reason {
        /// The code seen.
        code: u64,
    },
    /// An entry that does not come behind the one before it.
    #[error(
        "serial {serial} comes after {previous} in the list; entries must ascend and be unique"
    )]
    NotAscending {
        /// The serial that came too late.
        serial: Serial,
        /// The one before it.
        previous: Serial,
    },
    /// A list that would be out of date before it is made.
    #[error("thisUpdate {} is not before nextUpdate {}", .this_update.to_rfc3339(), .next_update.to_rfc3339())]
    Window {
        /// thisUpdate
        this_update: UnixTime,
        /// nextUpdate
        next_update: UnixTime,
    },
    /// A URL that cannot stand in certificates.
    #[error("the distribution point is not a plain http:// URL of at most 512 ASCII characters")]
    DistributionPoint,
}

/// One revoked certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RevokedEntry {
    /// Its serial number.
    pub serial: Serial,
    /// When it was revoked.
    pub at: UnixTime,
    /// Why, if that is said. `None` and [`RevocationReason::Unspecified`] are written alike: not at all.
    pub reason: Option<RevocationReason>,
}

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
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use x509_parser::prelude::{CertificateRevocationList, FromDer};

    use super::*;
    use crate::certificate::Certificate;
    use crate::der::{Writer, tag};
    use crate::lint::lint_crl;
    use crate::tbs::fixture::{
        CRL_URL, DAY, NOW, P256, TestCa, new_key, serial, sign, webpki_verdict,
    };
    use crate::tbs::header;

    fn request(ca: &TestCa) -> CrlRequest<'_> {
        CrlRequest {
            issuer: &ca.certificate,
            number: 12,
            this_update: NOW,
            next_update: NOW.plus(DAY),
            distribution_point: CRL_URL,
        }
    }

    fn tbs_of(request: &CrlRequest<'_>, entries: &[RevokedEntry]) -> Vec<u8> {
        let mut writer = CrlWriter::new(request).expect("a writer");
        entries.iter().for_each(|entry| writer.push(entry).expect("ascends"));
        let tbs = writer.finish();
        let facts = lint_crl(&tbs, request.issuer).expect("passes the lint");
        assert_eq!((facts.number, facts.entry_count), (request.number, entries.len()));
        tbs
    }

    fn signed(ca: &TestCa, entries: &[RevokedEntry]) -> Vec<u8> {
        ca.sign(&tbs_of(&request(ca), entries))
    }

    fn revoked(number: u8, reason: Option<RevocationReason>) -> RevokedEntry {
        RevokedEntry { serial: serial(number), at: NOW.minus(u64::from(number)), reason }
    }

    #[test]
    fn what_was_written_is_read_and_an_oracle_agrees() {
        let ca = TestCa::root(P256);
        let reasons = RevocationReason::ALL.into_iter().map(Some).chain([None]);
        let entries: Vec<_> = (1..).zip(reasons).map(|(n, reason)| revoked(n, reason)).collect();
        let der = signed(&ca, &entries);
        let crl = Crl::parse(der.clone()).expect("reads");
        assert_eq!((crl.number(), crl.this_update(), crl.next_update()), (12, NOW, NOW.plus(DAY)));
        assert_eq!(crl.issuer_der(), ca.certificate.subject_der());
        assert_eq!(crl.authority_key_id(), Some(ca.certificate.key_identifier()));
        assert_eq!(crl.idp_uri(), Some(CRL_URL));
        assert_eq!((crl.entry_count(), crl.der()), (7, &der[..]));
        assert_eq!(crl.verify_signed_by(ca.key.public()), Ok(()));
        let other = crl.verify_signed_by(new_key(P256).public());
        assert_eq!(other, Err(CryptoError::BadSignature));
        assert!(crl.contains(&serial(3)) && !crl.contains(&serial(100)));
        let spoken = |entry: &RevokedEntry| {
            entry.reason.filter(|reason| *reason != RevocationReason::Unspecified)
        };
        let expected: Vec<_> =
            entries.iter().map(|entry| RevokedEntry { reason: spoken(entry), ..*entry }).collect();
        assert_eq!(crl.entries().collect::<Vec<_>>(), expected);

        let (rest, oracle) = CertificateRevocationList::from_der(&der).expect("reads");
        assert_eq!((rest.len(), oracle.version()), (0, Some(x509_parser::x509::X509Version(1))));
        assert_eq!(oracle.crl_number(), Some(&12_u32.into()));
        assert_eq!(oracle.tbs_cert_list.as_ref(), crl.tbs_der());
        assert_eq!(oracle.last_update().timestamp(), NOW.0);
        assert!(oracle.last_update().is_utctime());
        for (seen, entry) in oracle.iter_revoked_certificates().zip(&expected) {
            assert_eq!(seen.raw_serial(), entry.serial.as_bytes());
            assert_eq!(seen.revocation_date.timestamp(), entry.at.0);
            let code = entry.reason.map(RevocationReason::code);
            assert_eq!(seen.reason_code().map(|(critical, code)| (critical, code.0)), code.map(|code| (false, code)));
        }
    }

    #[test]
    fn d3_reason_unspecified_leaves_the_extension_out() {
        let ca = TestCa::root(P256);
        let said = signed(&ca, &[revoked(1, Some(RevocationReason::Unspecified))]);
        let crl = Crl::parse(said).expect("reads");
        let silent = Crl::parse(signed(&ca, &[revoked(1, None)])).expect("reads");
        assert_eq!(crl.tbs_der(), silent.tbs_der());
        let reason_code = [&[tag::OID, 3], oid::REASON_CODE].concat();
        assert!(!crl.tbs_der().windows(5).any(|part| part == reason_code));
    }

    #[test]
    fn d6_a_list_without_entries_has_no_revoked_certificates() {
        let ca = TestCa::root(P256);
        let der = signed(&ca, &[]);
        let crl = Crl::parse(der.clone()).expect("reads");
        assert_eq!((crl.entry_count(), crl.entries().count()), (0, 0));
        assert!(!crl.contains(&serial(1)));
        assert!(!crl.tbs_der().windows(2).any(|pair| pair == [tag::SEQUENCE, 0]));
        let (_, oracle) = CertificateRevocationList::from_der(&der).expect("reads");
        assert_eq!(oracle.iter_revoked_certificates().count(), 0);
        assert!(webpki::BorrowedCertRevocationList::from_der(&der).is_ok());
        let view = CrlView::read(crl.tbs_der()).expect("reads");
        assert_eq!(view.revoked, None);
    }

    #[test]
    fn d7_the_list_of_a_certificates_own_distribution_point_decides_and_no_other() {
        let root = TestCa::root(P256);
        let ca = root.issuing(P256);
        let leaf = ca.sign(ca.leaf_tbs(&["a.test"]).as_der());
        let parsed = Certificate::parse(&leaf).expect("reads");
        let here = request(&ca);
        assert_eq!(parsed.crl_urls(), [here.distribution_point]);
        let verdict = |crls: &[Vec<u8>]| {
            webpki_verdict(&leaf, &[ca.certificate.der()], root.certificate.der(), crls)
        };
        let entry = RevokedEntry { serial: parsed.serial(), at: NOW, reason: None };
        let revoked_here = ca.sign(&tbs_of(&here, &[entry]));
        assert_eq!(verdict(&[revoked_here]), Err(webpki::Error::CertRevoked));
        assert_eq!(verdict(&[ca.sign(&tbs_of(&here, &[]))]), Ok(()));
        let elsewhere = CrlRequest { distribution_point: "http://ca.test/crl/1/1.crl", ..here };
        for entries in [&[entry][..], &[]] {
            let other_shard = ca.sign(&tbs_of(&elsewhere, entries));
            assert_eq!(verdict(&[other_shard]), Err(webpki::Error::UnknownRevocationStatus));
        }
    }

    #[test]
    fn lists_that_cannot_be_made_are_refused() {
        let ca = TestCa::root(P256);
        let good = request(&ca);
        let refused = |request: &CrlRequest<'_>| CrlWriter::new(request).expect_err("refused");
        for next_update in [NOW, NOW.minus(1)] {
            let window = refused(&CrlRequest { next_update, ..good });
            assert_eq!(window, CrlError::Window { this_update: NOW, next_update });
        }
        let https = CrlRequest { distribution_point: "https://ca.test/0.crl", ..good };
        assert_eq!(refused(&https), CrlError::DistributionPoint);
        let mut writer = CrlWriter::new(&good).expect("a writer");
        writer.push(&revoked(2, None)).expect("the first");
        for number in [2, 1] {
            let answer = writer.push(&revoked(number, None));
            let (late, previous) = (serial(number), serial(2));
            assert_eq!(answer, Err(CrlError::NotAscending { serial: late, previous }));
        }
        assert_eq!(Crl::parse(ca.sign(&writer.finish())).expect("reads").entry_count(), 1);
    }

    #[test]
    fn short_serials_are_written_as_the_numbers_they_are() {
        let ca = TestCa::root(P256);
        let serials = ["01", "7f", "80", "0100", &"7f".repeat(20)];
        let serials = serials.map(|hex| Serial::parse_hex(hex).expect("a serial"));
        let entries = serials.map(|serial| RevokedEntry { serial, at: NOW, reason: None });
        let crl = Crl::parse(signed(&ca, &entries)).expect("reads");
        assert!(crl.entries().map(|entry| entry.serial).eq(serials));
    }

    #[test]
    fn every_length_of_a_list_is_written_right() {
        let ca = TestCa::root(P256);
        // Around the sizes at which a length takes one octet more.
        for count in [1, 2, 3, 4, 6, 7, 8, 1_600, 1_700, 2_000] {
            let entry = |n: u32| {
                let mut octets = [1; 20];
                octets[16..].copy_from_slice(&n.to_be_bytes());
                let serial = Serial::from_bytes(&octets).expect("a serial");
                RevokedEntry { serial, at: NOW, reason: None }
            };
            let entries: Vec<_> = (0..count).map(entry).collect();
            let crl = Crl::parse(signed(&ca, &entries)).expect("reads");
            assert!(crl.entries().eq(entries), "{count} entries");
        }
    }

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
            distribution_point: rcgen::CrlDistributionPoint { uris: vec![CRL_URL.to_owned()] },
            scope: Some(rcgen::CrlScope::UserCertsOnly),
        };
        let scoped = Crl::parse(list(None, Some(point))).expect_err("refused");
        assert!(matches!(scoped, CrlError::Extension { .. }), "{scoped}");
    }

    #[test]
    fn c7_hostile_lists_are_errors() {
        let ca = TestCa::root(P256);
        let good = signed(&ca, &[revoked(1, None)]);
        let nested = (0..10_000).fold(vec![5, 0], |inner, _| {
            [header(tag::SEQUENCE, inner.len()), inner].concat()
        });
        for bad in [
            nested,
            vec![0x30, 0x80].repeat(10_000),
            vec![],
            vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff],
            [&good[..], &[0]].concat(),
            good[..good.len() - 1].to_vec(),
        ] {
            assert!(Crl::parse(bad).is_err());
        }
        let octets = CRL_BYTES_MAX + 1;
        assert_eq!(Crl::parse(vec![0x30; octets]).expect_err("refused"), CrlError::TooLarge { octets });
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
        use crate::certificate::extension::{write, write_critical};
        let number = |w: &mut Writer| write(w, oid::CRL_NUMBER, |w| w.integer_u64(1));
        assert_eq!(list(&number), Ok(()));
        let missing = CrlError::MissingExtension { extension: "cRLNumber" };
        let unknown = |w: &mut Writer| write(w, &[0x2a, 3], Writer::null);
        assert_eq!(list(&unknown), Err(missing));
        let twice = CrlError::RepeatedExtension { extension: "cRLNumber" };
        assert_eq!(list(&|w| [number(w), number(w)].into_iter().collect()), Err(twice));
        // deltaCRLIndicator: the list is only what changed.
        let delta = |w: &mut Writer| {
            number(w);
            write_critical(w, &[0x55, 0x1d, 0x1b], |w| w.integer_u64(1));
        };
        assert_eq!(list(&delta), Err(CrlError::UnknownCriticalExtension));
    }

    fn any_entries() -> impl Strategy<Value = BTreeMap<[u8; 20], (u32, usize)>> {
        let serial = any::<[u8; 20]>().prop_map(|mut octets| {
            octets[0] &= 0x7f;
            octets[19] |= 1;
            octets
        });
        proptest::collection::btree_map(serial, (any::<u32>(), 1..6_usize), 0..20)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_entries_come_back(entries in any_entries()) {
            let ca = TestCa::root(P256);
            let entries: Vec<_> = entries.into_iter().map(|(octets, (at, reason))| RevokedEntry {
                serial: Serial::from_bytes(&octets).expect("positive"),
                at: UnixTime(at.into()),
                reason: RevocationReason::ALL.get(reason).copied(),
            }).collect();
            let crl = Crl::parse(signed(&ca, &entries)).expect("reads");
            prop_assert!(crl.entries().eq(entries));
        }

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
            let mut der = signed(&ca, &[revoked(1, None), revoked(2, reason)]);
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
