//! Serial numbers: unguessable, ascending, of fixed length.

use std::fmt;

use crate::time::UnixTime;

/// Octets of a serial number: the most that RFC 5280 §4.1.2.2 allows.
pub const SERIAL_LEN: usize = 20;

/// 2020-01-01T00:00:00Z; 31 bits of seconds from here reach into 2088.
const EPOCH: UnixTime = UnixTime(1_577_836_800);
/// Below this the first octet would be zero and DER would drop it. The number is passed in July 2020.
const SECONDS_MIN: u32 = 1 << 24;
/// Above this the number would be negative.
const SECONDS_MAX: u32 = (1 << 31) - 1;

/// The serial number of a certificate: positive, kept in 20 octets with leading zeros.
///
/// Our own are 31 bits of time, then 128 random bits, so they ascend in an index and nobody can guess one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial([u8; SERIAL_LEN]);

/// Bytes or text are not a serial number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SerialError {
    /// Empty, or longer than 20 octets.
    #[error("the serial number is not 1 to 20 octets long")]
    Length,
    /// Zero or negative.
    #[error("the serial number is not positive")]
    NotPositive,
    /// A text with other characters than hexadecimal digits.
    #[error("the serial number is not written in hexadecimal digits")]
    NotHex,
}

impl Serial {
    /// A new serial number from the time and 128 random bits. A clock outside 2020 to 2088 counts as its nearest end.
    #[must_use]
    pub fn new(now: UnixTime, random: [u8; 16]) -> Self {
        let seconds = EPOCH
            .seconds_until(now)
            .clamp(SECONDS_MIN.into(), SECONDS_MAX.into());
        let seconds = u32::try_from(seconds).unwrap_or(SECONDS_MAX);
        let mut octets = [0; SERIAL_LEN];
        let (time, chance) = octets.split_at_mut(4);
        time.copy_from_slice(&seconds.to_be_bytes());
        chance.copy_from_slice(&random);
        Self(octets)
    }

    /// The number in the content octets of an INTEGER.
    ///
    /// # Errors
    /// [`SerialError::Length`] and [`SerialError::NotPositive`].
    pub fn from_bytes(content: &[u8]) -> Result<Self, SerialError> {
        let zeros = SERIAL_LEN
            .checked_sub(content.len())
            .ok_or(SerialError::Length)?;
        match content.first() {
            None => return Err(SerialError::Length),
            Some(first) if *first >= 0x80 => return Err(SerialError::NotPositive),
            Some(_) if content.iter().all(|octet| *octet == 0) => {
                return Err(SerialError::NotPositive);
            }
            Some(_) => {}
        }
        let mut octets = [0; SERIAL_LEN];
        let (_, number) = octets.split_at_mut(zeros);
        number.copy_from_slice(content);
        Ok(Self(octets))
    }

    /// All 20 octets, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; SERIAL_LEN] {
        &self.0
    }

    /// All 20 octets as 40 lower-case digits, leading zeros kept.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.to_string()
    }

    /// Reads 1 to 40 hexadecimal digits of either case; leading zeros may be missing.
    ///
    /// # Errors
    /// [`SerialError`].
    pub fn parse_hex(text: &str) -> Result<Self, SerialError> {
        if text.is_empty() || text.len() > 2 * SERIAL_LEN {
            return Err(SerialError::Length);
        }
        let mut octets = [0_u8; SERIAL_LEN];
        // From the right, so that an odd number of digits needs no care.
        for (octet, pair) in octets.iter_mut().rev().zip(text.as_bytes().rchunks(2)) {
            for digit in pair {
                *octet = (*octet << 4) | hex_digit(*digit).ok_or(SerialError::NotHex)?;
            }
        }
        Self::from_bytes(&octets)
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

impl<C> minicbor::Encode<C> for Serial {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.bytes(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for Serial {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = d.bytes()?;
        if bytes.len() != SERIAL_LEN {
            return Err(minicbor::decode::Error::message(
                "a serial number is 20 octets",
            ));
        }
        Self::from_bytes(bytes)
            .map_err(|_| minicbor::decode::Error::message("a serial number is positive"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chancery_crypto::sha256;
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixTime = UnixTime(1_770_000_000);

    fn random(seed: u32) -> [u8; 16] {
        let digest = sha256(&seed.to_be_bytes());
        *digest.first_chunk().expect("a digest is longer")
    }

    #[test]
    fn a8_a_million_serials_differ_are_positive_and_use_every_random_bit() {
        const COUNT: u32 = 1_000_000;
        let mut seen = BTreeSet::new();
        let mut ones = [0_u32; 128];
        for seed in 0..COUNT {
            let serial = Serial::new(NOW.plus(u64::from(seed / 1000)), random(seed));
            let octets = serial.as_bytes();
            assert!(
                (0x01..0x80).contains(&octets[0]),
                "twenty octets and positive"
            );
            for (at, ones) in ones.iter_mut().enumerate() {
                *ones += u32::from((octets[4 + at / 8] >> (at % 8)) & 1);
            }
            assert!(seen.insert(serial), "no repeats");
        }
        let expected = COUNT * 498 / 1000..=COUNT * 502 / 1000;
        for (at, ones) in ones.iter().enumerate() {
            assert!(expected.contains(ones), "bit {at} was set {ones} times");
        }
    }

    #[test]
    fn serials_ascend_with_time() {
        assert!(Serial::new(NOW, [0xff; 16]) < Serial::new(NOW.plus(1), [0; 16]));
    }

    #[test]
    fn a_wrong_clock_still_gives_twenty_positive_octets() {
        for now in [i64::MIN, 0, EPOCH.0, 4_000_000_000, i64::MAX] {
            let first = Serial::new(UnixTime(now), [0; 16]).as_bytes()[0];
            assert!((0x01..0x80).contains(&first), "{now}");
        }
    }

    #[test]
    fn numbers_that_are_no_serial_are_refused() {
        assert_eq!(Serial::from_bytes(&[]), Err(SerialError::Length));
        assert_eq!(Serial::from_bytes(&[1; 21]), Err(SerialError::Length));
        assert_eq!(Serial::from_bytes(&[0]), Err(SerialError::NotPositive));
        assert_eq!(Serial::from_bytes(&[0; 20]), Err(SerialError::NotPositive));
        assert_eq!(Serial::from_bytes(&[0x80]), Err(SerialError::NotPositive));
        assert_eq!(Serial::parse_hex(""), Err(SerialError::Length));
        assert_eq!(Serial::parse_hex(&"1".repeat(41)), Err(SerialError::Length));
        assert_eq!(Serial::parse_hex("12g4"), Err(SerialError::NotHex));
        assert_eq!(Serial::parse_hex("é"), Err(SerialError::NotHex));
        assert_eq!(Serial::parse_hex("0"), Err(SerialError::NotPositive));
        assert_eq!(
            Serial::parse_hex(&"f".repeat(40)),
            Err(SerialError::NotPositive)
        );
    }

    #[test]
    fn short_serials_of_foreign_certificates_are_padded() {
        let serial = Serial::from_bytes(&[0x01, 0x02]).expect("positive");
        assert_eq!(serial.to_hex(), format!("{}0102", "0".repeat(36)));
        assert_eq!(Serial::parse_hex("102"), Ok(serial));
        assert_eq!(Serial::from_bytes(&[0x00, 0x01, 0x02]), Ok(serial));
    }

    proptest! {
        #[test]
        fn text_and_storage_bring_a_serial_back(secs in any::<i64>(), random in any::<[u8; 16]>()) {
            let serial = Serial::new(UnixTime(secs), random);
            prop_assert_eq!(serial.to_hex().len(), 40);
            prop_assert_eq!(Serial::parse_hex(&serial.to_hex()), Ok(serial));
            prop_assert_eq!(Serial::parse_hex(&serial.to_hex().to_uppercase()), Ok(serial));
            prop_assert_eq!(Serial::from_bytes(serial.as_bytes()), Ok(serial));
            let stored = minicbor::to_vec(serial).expect("encodes");
            prop_assert_eq!(minicbor::decode::<Serial>(&stored).expect("decodes"), serial);
        }

        #[test]
        fn no_bytes_or_text_panic(bytes in prop::collection::vec(any::<u8>(), 0..40), text in "\\PC{0,50}") {
            let _ = Serial::from_bytes(&bytes);
            let _ = minicbor::decode::<Serial>(&bytes);
            let _ = Serial::parse_hex(&text);
        }
    }
}
