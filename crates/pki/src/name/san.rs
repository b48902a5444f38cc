use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{DnsName, NAME_OCTETS_MAX, NameError};
use crate::der::{Writer, tag};

/// The longest text of an IPv6 address.
const ADDRESS_OCTETS_MAX: usize = 45;

/// GeneralName choices, RFC 5280 §4.2.1.6.
const DNS_NAME: u8 = 2;
const IP_ADDRESS: u8 = 7;

/// A subject alternative name, and the only kinds of it that exist here.
///
/// The order is that of the variants and then of their values; certificates list their names in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum San {
    /// A host.
    Dns(DnsName),
    /// `*.` before this name: every name with exactly one label more. Made by [`San::wildcard`], which refuses
    /// wildcards over a single label.
    Wildcard(DnsName),
    /// An address; never an IPv4-mapped IPv6 one where it was parsed here.
    Ip(IpAddr),
}

impl San {
    /// Reads what [`San`]'s `Display` writes: a host name, a wildcard or an address.
    ///
    /// # Errors
    /// Those of [`San::parse_dns`] and [`San::parse_ip`].
    pub fn parse(text: &str) -> Result<Self, NameError> {
        // No host name holds a colon, and none ends in a number.
        if text.contains(':') || text.parse::<Ipv4Addr>().is_ok() {
            Self::parse_ip(text)
        } else {
            Self::parse_dns(text)
        }
    }

    /// Reads a host name, or a wildcard as its whole left-most label.
    ///
    /// # Errors
    /// [`NameError`]; the text of an address is [`NameError::LooksLikeAddress`] or [`NameError::Character`].
    pub fn parse_dns(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_OCTETS_MAX {
            return Err(NameError::TooLong { octets: text.len() });
        }
        match text.strip_prefix("*.") {
            Some(base) => Self::wildcard(DnsName::parse(base)?),
            None => DnsName::parse(text).map(Self::Dns),
        }
    }

    /// Reads an address. IPv6 must be in the form of RFC 5952 (RFC 8738 §3), and carry no zone.
    ///
    /// # Errors
    /// [`NameError::NotAnAddress`], [`NameError::AddressForm`], [`NameError::MappedAddress`].
    pub fn parse_ip(text: &str) -> Result<Self, NameError> {
        if text.len() > ADDRESS_OCTETS_MAX {
            return Err(NameError::NotAnAddress);
        }
        let address: IpAddr = text.parse().map_err(|_| NameError::NotAnAddress)?;
        if address.to_string() != text {
            return Err(NameError::AddressForm);
        }
        Self::ip(address)
    }

    /// The wildcard `*.base`.
    ///
    /// # Errors
    /// [`NameError::WildcardTooWide`] for a base of one label, [`NameError::TooLong`] if `*.` does not fit.
    pub fn wildcard(base: DnsName) -> Result<Self, NameError> {
        if base.labels().nth(1).is_none() {
            return Err(NameError::WildcardTooWide);
        }
        let octets = base.as_str().len().saturating_add(2);
        if octets > NAME_OCTETS_MAX {
            return Err(NameError::TooLong { octets });
        }
        Ok(Self::Wildcard(base))
    }

    /// An address.
    ///
    /// # Errors
    /// [`NameError::MappedAddress`].
    pub fn ip(address: IpAddr) -> Result<Self, NameError> {
        match address {
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(NameError::MappedAddress),
            _ => Ok(Self::Ip(address)),
        }
    }

    /// The host name, or the name that the wildcard stands before; none for an address.
    #[must_use]
    pub fn dns_name(&self) -> Option<&DnsName> {
        match self {
            Self::Dns(name) | Self::Wildcard(name) => Some(name),
            Self::Ip(_) => None,
        }
    }

    /// Whether this is a wildcard.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        matches!(self, Self::Wildcard(_))
    }

    /// Reads one GeneralName of RFC 5280 §4.2.1.6 from its tag and content.
    pub(crate) fn from_general_name(found: u8, content: &[u8]) -> Result<Self, NameError> {
        const DNS: u8 = tag::context(DNS_NAME);
        const IP: u8 = tag::context(IP_ADDRESS);
        match found {
            DNS => Self::parse_dns(std::str::from_utf8(content).map_err(|_| NameError::Character)?),
            IP => {
                let v4 = || {
                    <[u8; 4]>::try_from(content)
                        .ok()
                        .map(|v4| Ipv4Addr::from(v4).into())
                };
                let v6 = || {
                    <[u8; 16]>::try_from(content)
                        .ok()
                        .map(|v6| Ipv6Addr::from(v6).into())
                };
                Self::ip(v4().or_else(v6).ok_or(NameError::NotAnAddress)?)
            }
            other => Err(NameError::UnsupportedKind {
                kind: kind_of(other),
            }),
        }
    }

    /// Writes the name as one GeneralName.
    pub(crate) fn write_general_name(&self, w: &mut Writer) {
        match self {
            Self::Dns(name) => w.context_ia5(DNS_NAME, name.as_str()),
            Self::Wildcard(_) => w.context_ia5(DNS_NAME, &self.to_string()),
            Self::Ip(IpAddr::V4(v4)) => w.primitive(tag::context(IP_ADDRESS), &v4.octets()),
            Self::Ip(IpAddr::V6(v6)) => w.primitive(tag::context(IP_ADDRESS), &v6.octets()),
        }
    }
}

fn kind_of(found: u8) -> &'static str {
    match found & 0x1f {
        0 => "otherName",
        1 => "rfc822Name",
        3 => "x400Address",
        4 => "directoryName",
        5 => "ediPartyName",
        6 => "uniformResourceIdentifier",
        8 => "registeredID",
        _ => "unknown",
    }
}

impl fmt::Display for San {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(name) => write!(f, "{name}"),
            Self::Wildcard(base) => write!(f, "*.{base}"),
            Self::Ip(address) => write!(f, "{address}"),
        }
    }
}
impl<C> minicbor::Encode<C> for San {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        match self {
            Self::Dns(name) => e.str(name.as_str())?.ok(),
            other => e.str(&other.to_string())?.ok(),
        }
    }
}

impl<'b, C> minicbor::Decode<'b, C> for San {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::parse(d.str()?).map_err(|_| minicbor::decode::Error::message("not a name or address"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: Result<&str, NameError>) {
        let seen = San::parse_dns(text).map(|san| san.to_string());
        assert_eq!(seen, expected.map(str::to_owned), "{text:?}");
    }

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect("a name")
    }

    #[test]
    fn c2_wildcards_and_labels_are_strict() {
        use NameError::*;
        check("*.a.test", Ok("*.a.test"));
        check("A.Test", Ok("a.test"));
        check("*.A.Test", Ok("*.a.test"));
        check("1host.a-b.test", Ok("1host.a-b.test"));
        check("single", Ok("single"));
        check("*", Err(Character));
        check("*.", Err(Empty));
        check("*.*.a.test", Err(Character));
        check("a.*.test", Err(Character));
        check("f*o.test", Err(Character));
        check("*o.test", Err(Character));
        check("*.com", Err(WildcardTooWide));
        check("", Err(Empty));
        check(".", Err(EmptyLabel));
        check("a..b", Err(EmptyLabel));
        check(".a.test", Err(EmptyLabel));
        check("a.test.", Err(EmptyLabel));
        check("-a.test", Err(Hyphen));
        check("a-.test", Err(Hyphen));
        check("ab--c.test", Err(ReservedLabel));
        check("_acme.test", Err(Character));
        check("a b.test", Err(Character));
        check("a\0.test", Err(Character));
        check("ä.test", Err(Character));
        check("192.0.2.1", Err(LooksLikeAddress));
        check("a.123", Err(LooksLikeAddress));
        check("a.0x7f", Err(LooksLikeAddress));
        check("a.0x", Err(LooksLikeAddress));
        check("2001:db8::1", Err(Character));
        check("[2001:db8::1]", Err(Character));
    }

    #[test]
    fn c2_lengths_are_those_of_dns() {
        let label = |len: usize| "a".repeat(len);
        check(
            &format!("{}.test", label(63)),
            Ok(&format!("{}.test", label(63))),
        );
        check(
            &format!("{}.test", label(64)),
            Err(NameError::LabelTooLong { octets: 64 }),
        );
        let longest = [label(63), label(63), label(63), label(61)].join(".");
        assert_eq!(longest.len(), 253);
        check(&longest, Ok(&longest));
        check(
            &format!("a{longest}"),
            Err(NameError::TooLong { octets: 254 }),
        );
        check(
            &format!("*.{}", &longest[1..]),
            Err(NameError::TooLong { octets: 254 }),
        );
        assert_eq!(
            San::wildcard(name(&longest)),
            Err(NameError::TooLong { octets: 255 }),
            "the wildcard counts"
        );
    }

    #[test]
    fn c2_addresses_have_one_form() {
        let check = |text: &str, expected| {
            assert_eq!(
                San::parse_ip(text).map(|san| san.to_string()),
                expected,
                "{text}"
            );
        };
        check("192.0.2.1", Ok("192.0.2.1".to_owned()));
        check("2001:db8::1", Ok("2001:db8::1".to_owned()));
        check("::1", Ok("::1".to_owned()));
        for long in [
            "2001:DB8::1",
            "2001:0db8::1",
            "2001:db8:0:0:0:0:0:1",
            "2001:db8::0:1",
            "2001:db8::1:0:0:0:1",
        ] {
            check(long, Err(NameError::AddressForm));
        }
        for text in [
            "",
            "192.0.2",
            "192.0.2.01",
            "192.0.2.256",
            "fe80::1%eth0",
            "[::1]",
            "a.test",
            "::1 ",
        ] {
            check(text, Err(NameError::NotAnAddress));
        }
        check(&"1".repeat(100_000), Err(NameError::NotAnAddress));
        check("::ffff:192.0.2.1", Err(NameError::MappedAddress));
    }

    #[test]
    fn c3_every_text_of_one_or_two_bytes_is_a_name_or_an_error() {
        for first in 0..=u8::MAX {
            let one = [first];
            if let Ok(text) = std::str::from_utf8(&one) {
                assert_eq!(
                    San::parse_dns(text).is_ok(),
                    first.is_ascii_alphabetic(),
                    "{first}"
                );
            }
            let _ = San::from_general_name(0x82, &one);
            for second in 0..=u8::MAX {
                let two = [first, second];
                let _ = San::from_general_name(0x82, &two);
                let _ = San::from_general_name(0x87, &two);
                if let Ok(text) = std::str::from_utf8(&two) {
                    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric())
                        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
                    let expected = plain && !text.eq_ignore_ascii_case("0x");
                    assert_eq!(San::parse_dns(text).is_ok(), expected, "{text:?}");
                    let _ = San::parse(text);
                }
            }
        }
    }

    #[test]
    fn general_names_of_other_types_are_named_in_the_refusal() {
        for (found, kind) in [
            (0xa0, "otherName"),
            (0x81, "rfc822Name"),
            (0xa4, "directoryName"),
            (0x86, "uniformResourceIdentifier"),
            (0x88, "registeredID"),
            (0x9e, "unknown"),
            (0x02, "unknown"),
        ] {
            let _ = kind;
            let seen = San::from_general_name(found, b"a.test");
            assert!(
                matches!(seen, Err(NameError::UnsupportedKind { .. })),
                "{found:x}: {seen:?}"
            );
        }
        let seen = San::from_general_name(0x87, &[1, 2, 3, 4, 5]);
        assert_eq!(seen, Err(NameError::NotAnAddress));
    }

    fn any_san() -> impl Strategy<Value = San> {
        let host = "[a-z]([a-z0-9]{0,8}[a-z])?(\\.[a-z]{1,5}){1,4}";
        prop_oneof![
            host.prop_map(|text| San::Dns(name(&text))),
            host.prop_map(|text| San::Wildcard(name(&text))),
            any::<[u8; 4]>().prop_map(|v4| San::Ip(v4.into())),
            any::<[u8; 16]>().prop_map(|v6| San::Ip(v6.into())),
        ]
    }

    proptest! {
        #[test]
        fn text_storage_and_der_bring_a_name_back(san in any_san()) {
            prop_assert_eq!(San::parse(&san.to_string()), Ok(san.clone()));
            let stored = minicbor::to_vec(&san).expect("encodes");
            prop_assert_eq!(&minicbor::decode::<San>(&stored).expect("decodes"), &san);
            let mut w = Writer::new();
            san.write_general_name(&mut w);
            let der = w.finish();
            let element = crate::der::Reader::new(&der).read_any().expect("reads");
            prop_assert_eq!(San::from_general_name(element.tag, element.content), Ok(san));
        }

        #[test]
        fn what_parses_is_lower_case_and_parses_to_itself(text in "[a-zA-Z0-9.*-]{0,80}") {
            if let Ok(san) = San::parse_dns(&text) {
                let out = san.to_string();
                prop_assert_eq!(&out, &text.to_ascii_lowercase());
                prop_assert_eq!(San::parse(&out), Ok(san));
            }
        }

        #[test]
        fn no_text_or_bytes_panic(text in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300), found in any::<u8>()) {
            let _ = San::parse(&text);
            let _ = San::parse_dns(&text);
            let _ = San::parse_ip(&text);
            let _ = San::from_general_name(found, &bytes);
            let _ = minicbor::decode::<San>(&bytes);
        }
    }
}
