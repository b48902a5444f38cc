//! Ranges of addresses, as name rules write them.

use std::net::IpAddr;

/// Addresses of one family that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressRange {
    first: IpAddr,
    prefix_bits: u8,
}

/// A text is not a range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRangeError {
    /// No address before the slash.
    #[error("it begins with no IPv4 or IPv6 address")]
    Address,
    /// No number, or too large a one, behind the slash.
    #[error("behind the slash stands a number of bits, {bits_max} at most")]
    Bits {
        /// Bits of an address of the family.
        bits_max: u8,
    },
    /// The address is not the first of the range: a slip of one bit would allow or deny something else.
    #[error("the range begins at {first}")]
    NotTheFirst {
        /// The first address.
        first: IpAddr,
    },
}

impl AddressRange {
    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone.
    ///
    /// # Errors
    /// [`AddressRangeError`].
    pub fn parse(text: &str) -> Result<Self, AddressRangeError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| AddressRangeError::Address)?;
        let bits_max = match address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let prefix_bits = match bits {
            None => bits_max,
            Some(bits) => bits
                .parse()
                .ok()
                .filter(|bits| *bits <= bits_max)
                .ok_or(AddressRangeError::Bits { bits_max })?,
        };
        let first = masked(address, prefix_bits);
        if first != address {
            return Err(AddressRangeError::NotTheFirst { first });
        }
        Ok(Self { first, prefix_bits })
    }

    /// Whether the address is in it. An IPv4 address is in no range of IPv6.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.prefix_bits) == self.first
    }
}

/// The address with every bit behind the prefix cleared.
fn masked(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let shift = 32_u32.saturating_sub(prefix_bits.into());
            let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let shift = 128_u32.saturating_sub(prefix_bits.into());
            let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
            IpAddr::V6((u128::from(v6) & mask).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_holds_its_first_and_its_last_address_and_no_other() {
        for (range, inside, outside) in [
            (
                "10.0.0.0/8",
                ["10.0.0.0", "10.255.255.255"],
                ["9.255.255.255", "11.0.0.0"],
            ),
            (
                "192.0.2.6/31",
                ["192.0.2.6", "192.0.2.7"],
                ["192.0.2.5", "192.0.2.8"],
            ),
            (
                "192.0.2.7",
                ["192.0.2.7", "192.0.2.7"],
                ["192.0.2.6", "192.0.2.8"],
            ),
            (
                "0.0.0.0/0",
                ["0.0.0.0", "255.255.255.255"],
                ["::", "::ffff:1.2.3.4"],
            ),
            ("fd00::/8", ["fd00::", "fdff:ffff::1"], ["fcff::", "fe00::"]),
            ("::/0", ["::", "ffff::1"], ["0.0.0.0", "1.2.3.4"]),
            (
                "2001:db8::7/128",
                ["2001:db8::7", "2001:db8::7"],
                ["2001:db8::6", "2001:db8::8"],
            ),
        ] {
            let parsed = AddressRange::parse(range).expect("a range");
            let contains = |text: &str| parsed.contains(text.parse().expect("an address"));
            assert!(inside.into_iter().all(contains), "{range}");
            assert!(!outside.into_iter().any(contains), "{range}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused_with_what_to_write() {
        use AddressRangeError::{Address, Bits, NotTheFirst};
        let first = "10.0.0.0".parse().expect("an address");
        for (text, expected) in [
            ("", Address),
            ("10/8", Address),
            ("a.test/8", Address),
            ("[fd00::]/8", Address),
            ("10.0.0.0/", Bits { bits_max: 32 }),
            ("10.0.0.0/33", Bits { bits_max: 32 }),
            ("10.0.0.0/-1", Bits { bits_max: 32 }),
            ("10.0.0.0/8/8", Bits { bits_max: 32 }),
            ("fd00::/129", Bits { bits_max: 128 }),
            ("10.0.0.1/8", NotTheFirst { first }),
        ] {
            assert_eq!(AddressRange::parse(text), Err(expected), "{text:?}");
        }
    }
}
