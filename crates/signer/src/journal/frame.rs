//! How one entry lies in a segment.
//!
//! ```text
//!  0  magic        "CHJe"
//!  4  body length  u32      (numbers are little-endian)
//!  8  kind         u8
//!  9  version      u8       of the body
//! 10  time         i64      Unix seconds, never before the previous entry's
//! 18  synced       u32      how many bytes of this segment were durable when this entry was written
//! 22  check        4 bytes  the first of SHA-256 over the 22 bytes before, so that a length is believed only if it was written
//! 26  body         CBOR
//!  …  chain        32 bytes SHA-256(chain before ‖ SHA-256(0x00 ‖ header ‖ body))
//! ```
//!
//! The inner hash is the leaf hash of RFC 6962 §2.1 over header and body, so the entries can become the leaves of a
//! Merkle tree as they are. `synced` tells a torn tail from damage: an entry whose `synced` lies beyond the damage
//! proves that the damaged bytes had once been durable.

use chancery_crypto::{Digest32, Sha256, sha256};
use chancery_pki::UnixTime;

use super::entry::Entry;
use crate::SignerError;

/// The most bytes of one body: a CRL entry with every revocation that fits into one request.
pub(crate) const BODY_BYTES_MAX: usize = 72 << 20;
pub(crate) const HEADER_LEN: usize = 26;
pub(crate) const CHAIN_LEN: usize = 32;
pub(crate) const MAGIC: [u8; 4] = *b"CHJe";
const CHECKED_LEN: usize = 22;

/// The first 26 bytes of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) body_len: usize,
    pub(crate) kind: u8,
    pub(crate) version: u8,
    pub(crate) time: UnixTime,
    pub(crate) synced: u32,
}

impl Header {
    /// Reads a header; `None` if it was never written like this.
    pub(crate) fn parse(bytes: &[u8; HEADER_LEN]) -> Option<Self> {
        let (checked, check) = bytes.split_first_chunk::<CHECKED_LEN>()?;
        let (magic, rest) = checked.split_first_chunk::<4>()?;
        if *magic != MAGIC || !sha256(checked).starts_with(check) {
            return None;
        }
        let (body_len, rest) = rest.split_first_chunk::<4>()?;
        let ([kind, version], rest) = rest.split_first_chunk::<2>()?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let (synced, _) = rest.split_first_chunk::<4>()?;
        let body_len = usize::try_from(u32::from_le_bytes(*body_len)).ok()?;
        (body_len <= BODY_BYTES_MAX).then_some(Self {
            body_len,
            kind: *kind,
            version: *version,
            time: UnixTime(i64::from_le_bytes(*time)),
            synced: u32::from_le_bytes(*synced),
        })
    }

    /// Bytes of the whole entry.
    pub(crate) fn entry_len(&self) -> usize {
        HEADER_LEN + self.body_len + CHAIN_LEN
    }
}

/// Writes an entry behind what `out` holds and gives the chain value that it ends with.
///
/// # Errors
/// [`SignerError::EntryTooLarge`]; `out` is then as before.
pub(crate) fn write(
    out: &mut Vec<u8>,
    entry: &Entry,
    time: UnixTime,
    synced: u32,
    before: &Digest32,
) -> Result<Digest32, SignerError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LEN]);
    entry.encode_body(out);
    let body_len = out.len() - start - HEADER_LEN;
    let length = match u32::try_from(body_len) {
        Ok(length) if body_len <= BODY_BYTES_MAX => length,
        _ => {
            out.truncate(start);
            return Err(SignerError::EntryTooLarge {
                bytes: body_len,
                max: BODY_BYTES_MAX,
            });
        }
    };
    let (kind, version) = entry.kind();
    let mut header = [0; HEADER_LEN];
    let fields = MAGIC
        .into_iter()
        .chain(length.to_le_bytes())
        .chain([kind, version])
        .chain(time.0.to_le_bytes())
        .chain(synced.to_le_bytes());
    header
        .iter_mut()
        .zip(fields)
        .for_each(|(to, from)| *to = from);
    if let Some((checked, check)) = header.split_first_chunk_mut::<CHECKED_LEN>() {
        check
            .iter_mut()
            .zip(sha256(checked))
            .for_each(|(to, from)| *to = from);
    }
    let written = out.split_at_mut(start).1;
    written
        .iter_mut()
        .zip(header)
        .for_each(|(to, from)| *to = from);
    let chain = chain_after(before, &leaf_hash(written));
    out.extend_from_slice(&chain);
    Ok(chain)
}

/// RFC 6962 §2.1: the hash of a leaf.
pub(crate) fn leaf_hash(header_and_body: &[u8]) -> Digest32 {
    let mut hash = Sha256::new();
    hash.update(&[0]);
    hash.update(header_and_body);
    hash.finish()
}

/// The chain value behind an entry.
pub(crate) fn chain_after(before: &Digest32, leaf: &Digest32) -> Digest32 {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(leaf);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::entry::samples;

    #[test]
    fn a_header_with_any_bit_changed_is_no_header() {
        let mut entry = Vec::new();
        let time = UnixTime(1_770_000_000);
        write(&mut entry, &samples::intent(1, 300), time, 77, &[0; 32]).expect("fits");
        let header: [u8; HEADER_LEN] = *entry.first_chunk().expect("long enough");
        let parsed = Header::parse(&header).expect("a header");
        assert_eq!(
            (parsed.time, parsed.synced, parsed.entry_len()),
            (time, 77, entry.len())
        );
        for bit in 0..HEADER_LEN * 8 {
            let mut changed = header;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::parse(&changed), None, "bit {bit}");
        }
    }

    #[test]
    fn an_entry_above_the_limit_leaves_the_buffer_as_it_was() {
        let mut out = vec![1, 2, 3];
        let entry = samples::intent(1, BODY_BYTES_MAX);
        let refused = write(&mut out, &entry, UnixTime(0), 0, &[0; 32]);
        assert!(matches!(refused, Err(SignerError::EntryTooLarge { .. })));
        assert_eq!(out, [1, 2, 3]);
    }
}
