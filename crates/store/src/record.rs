//! Stored blobs: a version byte, four octets of checksum, then the record (design §8).

use chancery_authority::StoreError;
use chancery_crypto::sha256;
use minicbor::{Decode, Encode};

/// The only form so far. A later form gets the next number, and this file the code that reads both.
const FORM: u8 = 1;

/// Octets of the digest that are kept: a disk that lies is caught, and a row grows by no more than its number.
const CHECKSUM: usize = 4;

const HEAD: usize = 1 + CHECKSUM;

pub(crate) fn encode<T: Encode<()>>(record: &T) -> Vec<u8> {
    let mut blob = Vec::with_capacity(512);
    blob.extend([FORM; HEAD]);
    // Encoding into a Vec has no failure of its own; records have no failing fields.
    let encoded = minicbor::encode(record, &mut blob);
    assert!(encoded.is_ok(), "a record always encodes");
    let (head, body) = blob.split_at_mut(HEAD);
    head[1..].copy_from_slice(&sha256(body)[..CHECKSUM]);
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
    let Some(([FORM, checksum @ ..], body)) = blob.split_first_chunk::<HEAD>() else {
        return Err(damaged());
    };
    if sha256(body)[..CHECKSUM] != *checksum {
        return Err(damaged());
    }
    minicbor::decode(body).map_err(|_| damaged())
}

#[cfg(test)]
mod tests {
    use super::*;

    use chancery_authority::account::Account;
    use chancery_authority::world::World;

    fn read(blob: &[u8]) -> Result<Account, StoreError> {
        decode("account", 7, blob)
    }

    #[test]
    fn a_record_comes_back_equal() {
        let account = World::new(1).account().1;
        assert_eq!(read(&encode(&account)), Ok(account));
    }

    /// Also where the changed bytes would be another record.
    #[test]
    fn g1_every_flipped_bit_and_every_missing_end_is_damage_that_names_its_record() {
        let blob = encode(&World::new(1).account().1);
        let what = "account 7".to_owned();
        let damaged = Err(StoreError::Damaged { what });
        for bit in 0..blob.len() * 8 {
            let mut changed = blob.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&changed), damaged, "bit {bit}");
        }
        for length in 0..blob.len() {
            assert_eq!(read(&blob[..length]), damaged, "{length} octets");
        }
        assert_eq!(read(&[&blob[..], &[0]].concat()), damaged);
    }

    #[test]
    fn a_form_of_a_later_program_is_refused() {
        let mut blob = encode(&World::new(1).account().1);
        blob[0] = FORM + 1;
        assert!(read(&blob).is_err());
    }
}
