use std::fmt;
use std::ops::BitOr;

use crate::der::{DerError, Reader, Writer};

/// The uses that keyUsage allows a key (RFC 5280 §4.2.1.3); at least one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// Signatures other than on certificates and CRLs: TLS handshakes.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// Encrypting keys: the old RSA key exchange of TLS.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// Signatures on certificates.
    pub const KEY_CERT_SIGN: Self = Self(1 << 5);
    /// Signatures on CRLs.
    pub const CRL_SIGN: Self = Self(1 << 6);

    /// Whether every use in `other` is allowed.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Reads the value of the extension: a named bit list without trailing zero bits (X.690 §11.2.2), not empty.
    pub(crate) fn read(value: &[u8]) -> Result<Self, DerError> {
        let mut reader = Reader::new(value);
        let (octets, unused) = reader.bit_string()?;
        reader.finish()?;
        let (first, second) = match octets {
            [first] => (*first, 0),
            [first, second] => (*first, *second),
            _ => {
                return Err(DerError(
                    "keyUsage has no bits, or more than there are uses",
                ));
            }
        };
        let last = if octets.len() == 1 { first } else { second };
        if last.trailing_zeros() != u32::from(unused) {
            return Err(DerError("keyUsage has trailing zero bits"));
        }
        // Bit 0 of a BIT STRING is the highest of its first octet.
        Ok(Self(u16::from_be_bytes([first, second]).reverse_bits()))
    }

    /// Writes the value of the extension.
    pub(crate) fn write(self, w: &mut Writer) {
        let octets = self.0.reverse_bits().to_be_bytes();
        let used = if let [first, 0] = octets {
            &[first][..]
        } else {
            &octets[..]
        };
        let unused = used.last().map_or(0, |last| last.trailing_zeros());
        w.bit_string(used, u8::try_from(unused).unwrap_or(0));
    }
}

impl BitOr for KeyUsage {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for KeyUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 9] = [
            "digitalSignature",
            "nonRepudiation",
            "keyEncipherment",
            "dataEncipherment",
            "keyAgreement",
            "keyCertSign",
            "cRLSign",
            "encipherOnly",
            "decipherOnly",
        ];
        let set = NAMES
            .iter()
            .enumerate()
            .filter(|(bit, _)| self.0 & (1 << bit) != 0);
        f.debug_set().entries(set.map(|(_, name)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(usage: KeyUsage) -> Vec<u8> {
        let mut w = Writer::new();
        usage.write(&mut w);
        w.finish()
    }

    #[test]
    fn a_named_bit_list_ends_at_its_last_one() {
        let leaf = KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_ENCIPHERMENT;
        assert_eq!(written(leaf), [0x03, 0x02, 0x05, 0xa0]);
        assert_eq!(
            written(KeyUsage::DIGITAL_SIGNATURE),
            [0x03, 0x02, 0x07, 0x80]
        );
        let ca = KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN;
        assert_eq!(written(ca), [0x03, 0x02, 0x01, 0x06]);
    }

    #[test]
    fn every_set_of_uses_comes_back() {
        for bits in 1..1 << 9 {
            let usage = KeyUsage(bits);
            assert_eq!(KeyUsage::read(&written(usage)), Ok(usage));
        }
    }

    #[test]
    fn empty_padded_and_overlong_lists_are_refused() {
        for bad in [
            &[0x03, 0x01, 0x00][..],
            &[0x03, 0x02, 0x00, 0x00],
            &[0x03, 0x02, 0x00, 0x80],
            &[0x03, 0x03, 0x00, 0x80, 0x00],
            &[0x03, 0x04, 0x00, 0x80, 0x80, 0x01],
            &[0x03, 0x02, 0x07, 0x80, 0x00],
            &[],
        ] {
            assert!(KeyUsage::read(bad).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn uses_are_shown_by_their_names() {
        let ca = KeyUsage::KEY_CERT_SIGN | KeyUsage::CRL_SIGN;
        assert_eq!(format!("{ca:?}"), r#"{"keyCertSign", "cRLSign"}"#);
        assert!(ca.contains(KeyUsage::CRL_SIGN) && !ca.contains(KeyUsage::DIGITAL_SIGNATURE));
    }
}
