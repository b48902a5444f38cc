//! Stored blobs: a version byte, then the record (design §8).

use chancery_authority::StoreError;
use minicbor::{Decode, Encode};

/// The only form so far. A later form gets the next number, and this file the code that reads both.
const FORM: u8 = 1;

pub(crate) fn encode<T: Encode<()>>(record: &T) -> Vec<u8> {
    let mut blob = Vec::with_capacity(512);
    blob.push(FORM);
    // Encoding into a Vec has no failure of its own; records have no failing fields.
    let encoded = minicbor::encode(record, &mut blob);
    assert!(encoded.is_ok(), "a record always encodes");
    blob
}

pub(crate) fn decode<T: for<'b> Decode<'b, ()>>(
    table: &str,
    key: impl std::fmt::Display,
    blob: &[u8],
) -> Result<T, StoreError> {
    let damaged = || StoreError::Damaged {
        what: format!("{table} {key}"),
    };
    match blob.split_first() {
        Some((&FORM, body)) => minicbor::decode(body).map_err(|_| damaged()),
        Some(_) | None => Err(damaged()),
    }
}
