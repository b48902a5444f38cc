use crate::algorithm;
use crate::certificate::extension::{write, write_critical};
use crate::certificate::{key_id, pointer};
use crate::crl::{CRL_BYTES_MAX, CrlError, RevocationReason, RevokedEntry};
use crate::der::{Writer, tag};
use crate::issuer::IssuerCertificate;
use crate::oid;
use crate::serial::Serial;
use crate::tbs::header;
use crate::time::{Civil, UnixTime};

/// Octets of a tag and a length of up to four octets.
const HEADER_OCTETS_MAX: usize = 6;
/// What comes around the entries and the signature: 4 KiB hold any name, extension and RSA signature.
const AROUND_OCTETS: usize = 4096;

/// What one list says beside its entries.
#[derive(Debug, Clone, Copy)]
pub struct CrlRequest<'a> {
    /// The CA that will sign.
    pub issuer: &'a IssuerCertificate,
    /// cRLNumber: above that of every earlier list of this shard.
    pub number: u64,
    /// When the list is made.
    pub this_update: UnixTime,
    /// When the next one is out at the latest.
    pub next_update: UnixTime,
    /// The URL of the shard, byte for byte as in the certificates that it speaks for. Only a root may have none: its
    /// list then speaks for all that it signed, itself too, as readers that check every link need it.
    pub distribution_point: Option<&'a str>,
}

/// Writes a TBSCertList entry by entry into one buffer: 39 or 53 octets each, and nothing is kept beside them.
#[derive(Debug)]
pub struct CrlWriter {
    /// Room for what comes before the entries, whose lengths are known only at the end; then the entries.
    body: Writer,
    /// Fields before the entries.
    front: Vec<u8>,
    /// The extensions, which come behind the entries.
    back: Vec<u8>,
    room: usize,
    last: Option<Serial>,
}

impl CrlWriter {
    /// Begins a list.
    ///
    /// # Errors
    /// [`CrlError::Window`], [`CrlError::DistributionPoint`] and [`CrlError::NoDistributionPoint`].
    pub fn new(request: &CrlRequest<'_>) -> Result<Self, CrlError> {
        let CrlRequest {
            this_update,
            next_update,
            ..
        } = *request;
        if this_update >= next_update {
            return Err(CrlError::Window {
                this_update,
                next_update,
            });
        }
        match request.distribution_point {
            Some(url) if !pointer::is_http_url(url) => return Err(CrlError::DistributionPoint),
            None if !request.issuer.is_self_issued() => return Err(CrlError::NoDistributionPoint),
            _ => {}
        }
        let front = front(request);
        let room = front
            .len()
            .saturating_add(HEADER_OCTETS_MAX)
            .saturating_add(HEADER_OCTETS_MAX);
        let mut body = Writer::with_capacity(AROUND_OCTETS);
        body.raw(&vec![0; room]);
        Ok(Self {
            body,
            front,
            back: back(request),
            room,
            last: None,
        })
    }

    /// Adds an entry. Entries come in ascending order of their serial numbers, so that a repetition cannot hide.
    ///
    /// # Errors
    /// [`CrlError::NotAscending`]; [`CrlError::TooLarge`] where the list would pass 64 MiB.
    pub fn push(&mut self, entry: &RevokedEntry) -> Result<(), CrlError> {
        let RevokedEntry { serial, at, reason } = *entry;
        if let Some(previous) = self.last
            && previous >= serial
        {
            return Err(CrlError::NotAscending { serial, previous });
        }
        let octets = self.body.len().saturating_add(AROUND_OCTETS);
        if octets > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge { octets });
        }
        self.last = Some(serial);
        self.body.sequence(|w| {
            w.integer_bytes(serial.as_bytes());
            write_time(w, at);
            write_reason(w, reason);
        });
        Ok(())
    }

    /// Ends the list: the whole TBSCertList, to be linted and signed. Without entries revokedCertificates is absent
    /// (RFC 5280 §5.1.2.6).
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let entries = self.body.len().saturating_sub(self.room);
        self.body.raw(&self.back);
        let mut front = self.front;
        if self.last.is_some() {
            front.extend(header(tag::SEQUENCE, entries));
        }
        let content = front
            .len()
            .saturating_add(entries)
            .saturating_add(self.back.len());
        let mut start = header(tag::SEQUENCE, content);
        start.append(&mut front);
        let mut out = self.body.finish();
        // The room is at most ten octets too large, so one move of the bytes closes it.
        let unused = self.room.saturating_sub(start.len());
        if let Some(place) = out.get_mut(unused..self.room) {
            place.copy_from_slice(&start);
        }
        out.drain(..unused);
        out
    }
}

/// version to nextUpdate.
fn front(request: &CrlRequest<'_>) -> Vec<u8> {
    let mut w = Writer::new();
    w.integer_u64(1);
    algorithm::write(&mut w, request.issuer.signature_algorithm());
    w.raw(request.issuer.subject_der());
    w.time(request.this_update);
    w.time(request.next_update);
    w.finish()
}

/// crlExtensions, which version 2 is there for (RFC 5280 §5.2).
fn back(request: &CrlRequest<'_>) -> Vec<u8> {
    let mut w = Writer::new();
    w.tlv(tag::context_constructed(0), |w| {
        w.sequence(|w| {
            write(w, oid::AUTHORITY_KEY_IDENTIFIER, |w| {
                key_id::write_authority(w, request.issuer.key_identifier());
            });
            write(w, oid::CRL_NUMBER, |w| w.integer_u64(request.number));
            if let Some(url) = request.distribution_point {
                write_critical(w, oid::ISSUING_DISTRIBUTION_POINT, |w| {
                    pointer::write_issuing_point(w, url);
                });
            }
        });
    });
    w.finish()
}

/// revocationDate, digit by digit: a million times per list, a `format!` each would take most of the work.
fn write_time(w: &mut Writer, at: UnixTime) {
    let Civil {
        year,
        month,
        day,
        hour,
        minute,
        second,
    } = at.civil();
    let of_century = match year {
        2000..=2049 => u8::try_from(year.saturating_sub(2000)),
        _ => return w.time(at),
    };
    let digits = |number: u8| {
        [
            b'0'.saturating_add(number / 10),
            b'0'.saturating_add(number % 10),
        ]
    };
    let [[y, y1], [mo, mo1], [d, d1]] = [of_century.unwrap_or(0), month, day].map(digits);
    let [[h, h1], [mi, mi1], [s, s1]] = [hour, minute, second].map(digits);
    w.primitive(
        tag::UTC_TIME,
        &[y, y1, mo, mo1, d, d1, h, h1, mi, mi1, s, s1, b'Z'],
    );
}

/// crlEntryExtensions with a reasonCode. "unspecified" is said by leaving it out (RFC 5280 §5.3.1).
fn write_reason(w: &mut Writer, reason: Option<RevocationReason>) {
    if let Some(reason) = reason.filter(|reason| *reason != RevocationReason::Unspecified) {
        w.sequence(|w| {
            write(w, oid::REASON_CODE, |w| {
                w.primitive(tag::ENUMERATED, &[reason.code()])
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chancery_crypto::CryptoError;
    use proptest::prelude::*;
    use x509_parser::prelude::{CertificateRevocationList, FromDer};

    use super::*;
    use crate::crl::Crl;
    use crate::crl::view::CrlView;
    use crate::lint::lint_crl;
    use crate::tbs::fixture::{
        CRL_URL, DAY, NOW, P256, TestCa, crl_request, new_key, revoked, serial, signed_crl,
    };

    #[test]
    fn what_was_written_is_read_and_an_oracle_agrees() {
        let ca = TestCa::root(P256);
        let reasons = RevocationReason::ALL.into_iter().map(Some).chain([None]);
        let entries: Vec<_> = (1..)
            .zip(reasons)
            .map(|(n, reason)| revoked(n, reason))
            .collect();
        let der = signed_crl(&ca, &entries);
        let crl = Crl::parse(der.clone()).expect("reads");
        assert_eq!(
            (crl.number(), crl.this_update(), crl.next_update()),
            (12, NOW, NOW.plus(DAY))
        );
        assert_eq!(crl.issuer_der(), ca.certificate.subject_der());
        assert_eq!(
            crl.authority_key_id(),
            Some(ca.certificate.key_identifier())
        );
        assert_eq!(crl.idp_uri(), Some(CRL_URL));
        assert_eq!((crl.entry_count(), crl.der()), (7, &der[..]));
        assert_eq!(crl.verify_signed_by(ca.key.public()), Ok(()));
        let other = crl.verify_signed_by(new_key(P256).public());
        assert_eq!(other, Err(CryptoError::BadSignature));
        assert!(crl.contains(&serial(3)) && !crl.contains(&serial(100)));
        let spoken = |entry: &RevokedEntry| {
            entry
                .reason
                .filter(|reason| *reason != RevocationReason::Unspecified)
        };
        let expected: Vec<_> = entries
            .iter()
            .map(|entry| RevokedEntry {
                reason: spoken(entry),
                ..*entry
            })
            .collect();
        assert_eq!(crl.entries().collect::<Vec<_>>(), expected);

        let (rest, oracle) = CertificateRevocationList::from_der(&der).expect("reads");
        assert_eq!(
            (rest.len(), oracle.version()),
            (0, Some(x509_parser::x509::X509Version(1)))
        );
        assert_eq!(oracle.crl_number(), Some(&12_u32.into()));
        assert_eq!(oracle.tbs_cert_list.as_ref(), crl.tbs_der());
        assert_eq!(oracle.last_update().timestamp(), NOW.0);
        assert!(oracle.last_update().is_utctime());
        for (seen, entry) in oracle.iter_revoked_certificates().zip(&expected) {
            assert_eq!(seen.raw_serial(), entry.serial.as_bytes());
            assert_eq!(seen.revocation_date.timestamp(), entry.at.0);
            let code = entry.reason.map(RevocationReason::code);
            assert_eq!(
                seen.reason_code()
                    .map(|(critical, code)| (critical, code.0)),
                code.map(|code| (false, code))
            );
        }
    }

    #[test]
    fn d3_reason_unspecified_leaves_the_extension_out() {
        let ca = TestCa::root(P256);
        let said = signed_crl(&ca, &[revoked(1, Some(RevocationReason::Unspecified))]);
        let crl = Crl::parse(said).expect("reads");
        let silent = Crl::parse(signed_crl(&ca, &[revoked(1, None)])).expect("reads");
        assert_eq!(crl.tbs_der(), silent.tbs_der());
        let reason_code = [&[tag::OID, 3], oid::REASON_CODE].concat();
        assert!(!crl.tbs_der().windows(5).any(|part| part == reason_code));
    }

    #[test]
    fn d6_a_list_without_entries_has_no_revoked_certificates() {
        let ca = TestCa::root(P256);
        let der = signed_crl(&ca, &[]);
        let crl = Crl::parse(der.clone()).expect("reads");
        assert_eq!((crl.entry_count(), crl.entries().count()), (0, 0));
        assert!(!crl.contains(&serial(1)));
        assert!(
            !crl.tbs_der()
                .windows(2)
                .any(|pair| pair == [tag::SEQUENCE, 0])
        );
        let (_, oracle) = CertificateRevocationList::from_der(&der).expect("reads");
        assert_eq!(oracle.iter_revoked_certificates().count(), 0);
        assert!(webpki::BorrowedCertRevocationList::from_der(&der).is_ok());
        let view = CrlView::read(crl.tbs_der()).expect("reads");
        assert_eq!(view.revoked, None);
    }

    #[test]
    fn lists_that_cannot_be_made_are_refused() {
        let ca = TestCa::root(P256);
        let good = crl_request(&ca);
        let refused = |request: &CrlRequest<'_>| CrlWriter::new(request).expect_err("refused");
        for next_update in [NOW, NOW.minus(1)] {
            let window = refused(&CrlRequest {
                next_update,
                ..good
            });
            assert_eq!(
                window,
                CrlError::Window {
                    this_update: NOW,
                    next_update
                }
            );
        }
        let https = CrlRequest {
            distribution_point: Some("https://ca.test/0.crl"),
            ..good
        };
        assert_eq!(refused(&https), CrlError::DistributionPoint);
        let below = ca.issuing(P256);
        let whole = CrlRequest {
            distribution_point: None,
            ..crl_request(&below)
        };
        assert_eq!(refused(&whole), CrlError::NoDistributionPoint);
        let mut writer = CrlWriter::new(&good).expect("a writer");
        writer.push(&revoked(2, None)).expect("the first");
        for number in [2, 1] {
            let answer = writer.push(&revoked(number, None));
            let (late, previous) = (serial(number), serial(2));
            assert_eq!(
                answer,
                Err(CrlError::NotAscending {
                    serial: late,
                    previous
                })
            );
        }
        assert_eq!(
            Crl::parse(ca.sign(&writer.finish()))
                .expect("reads")
                .entry_count(),
            1
        );
    }

    #[test]
    fn a_list_past_its_limit_is_refused_before_it_grows() {
        let ca = TestCa::root(P256);
        let mut writer = CrlWriter::new(&crl_request(&ca)).expect("a writer");
        writer.body.raw(&vec![0; CRL_BYTES_MAX - AROUND_OCTETS]);
        let octets = writer.body.len() + AROUND_OCTETS;
        let answer = writer.push(&revoked(1, None));
        assert_eq!(answer, Err(CrlError::TooLarge { octets }));
        assert_eq!(writer.body.len(), octets - AROUND_OCTETS);
        let rule = lint_crl(&vec![0; CRL_BYTES_MAX + 1], &ca.certificate)
            .expect_err("refused")
            .rule;
        assert_eq!(rule, "crl_form");
    }

    #[test]
    fn dates_of_entries_are_written_as_every_other_time() {
        let mut year = UnixTime(-4_000_000_000);
        while year < UnixTime(4_200_000_000) {
            let [mut fast, mut slow] = [Writer::new(), Writer::new()];
            write_time(&mut fast, year);
            slow.time(year);
            assert_eq!(fast.finish(), slow.finish(), "{year:?}");
            // A prime number of seconds, so that every field takes many values.
            year = year.plus(10_000_019);
        }
    }

    #[test]
    fn short_serials_are_written_as_the_numbers_they_are() {
        let ca = TestCa::root(P256);
        let serials = ["01", "7f", "80", "0100", &"7f".repeat(20)];
        let serials = serials.map(|hex| Serial::parse_hex(hex).expect("a serial"));
        let entries = serials.map(|serial| RevokedEntry {
            serial,
            at: NOW,
            reason: None,
        });
        let crl = Crl::parse(signed_crl(&ca, &entries)).expect("reads");
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
                RevokedEntry {
                    serial,
                    at: NOW,
                    reason: None,
                }
            };
            let entries: Vec<_> = (0..count).map(entry).collect();
            let crl = Crl::parse(signed_crl(&ca, &entries)).expect("reads");
            assert!(crl.entries().eq(entries), "{count} entries");
        }
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
            let crl = Crl::parse(signed_crl(&ca, &entries)).expect("reads");
            prop_assert!(crl.entries().eq(entries));
        }
    }
}
