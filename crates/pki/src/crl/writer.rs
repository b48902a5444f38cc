use crate::algorithm;
use crate::certificate::extension::{write, write_critical};
use crate::certificate::{key_id, pointer};
use crate::crl::{CRL_BYTES_MAX, CrlError, RevocationReason, RevokedEntry};
use crate::der::{Writer, tag};
use crate::issuer::IssuerCertificate;
use crate::oid;
use crate::serial::Serial;
use crate::tbs::header;
use crate::time::UnixTime;

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
    /// The URL of the shard, byte for byte as in the certificates that it speaks for.
    pub distribution_point: &'a str,
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
    /// [`CrlError::Window`] and [`CrlError::DistributionPoint`].
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
        if !pointer::is_http_url(request.distribution_point) {
            return Err(CrlError::DistributionPoint);
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
            w.time(at);
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
            write_critical(w, oid::ISSUING_DISTRIBUTION_POINT, |w| {
                pointer::write_issuing_point(w, request.distribution_point);
            });
        });
    });
    w.finish()
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
