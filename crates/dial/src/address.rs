use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address leads to, from the least guarded to the most guarded.
///
/// An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo) is classed by the
/// address inside, because that is where a packet to it arrives. Where a form can be read in two ways, the more
/// guarded class counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AddressClass {
    /// Routed on the Internet.
    Public,
    /// RFC 1918, unique local IPv6 (RFC 4193), carrier-grade NAT (RFC 6598).
    Private,
    /// Unspecified, broadcast, documentation, benchmarking and everything else that IANA keeps back.
    Reserved,
    /// Multicast groups.
    Multicast,
    /// `169.254.0.0/16` and `fe80::/10`: the wire that this host sits on.
    LinkLocal,
    /// This host.
    Loopback,
    /// The places where clouds hand credentials to whoever asks from inside a machine.
    Metadata,
}

impl AddressClass {
    /// Every class.
    pub const ALL: [Self; 7] = [
        Self::Public,
        Self::Private,
        Self::Reserved,
        Self::Multicast,
        Self::LinkLocal,
        Self::Loopback,
        Self::Metadata,
    ];

    /// The class of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        readings(address)
            .map(class_of_reading)
            .max()
            .unwrap_or(Self::Reserved)
    }

    /// The word for it in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::Reserved => "reserved",
            Self::Multicast => "multicast",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
            Self::Metadata => "metadata",
        }
    }

    /// Reads the word of the configuration.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.name() == name)
    }
}

impl fmt::Display for AddressClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The addresses at which a packet to `address` may arrive: itself, or what it carries.
pub(crate) fn readings(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let (first, second) = match address {
        IpAddr::V4(_) => (address, None),
        IpAddr::V6(v6) => match embedded(v6) {
            [Some(inner), second] => (inner.into(), second.map(IpAddr::from)),
            [None, _] => (address, None),
        },
    };
    std::iter::once(first).chain(second)
}

/// The IPv4 addresses that an IPv6 address carries, by the form of its prefix.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    match address.segments() {
        // `::` and `::1` are what they are; all else below `::/96` is IPv4-compatible (RFC 4291 §2.5.5.1).
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // Compatible, mapped (RFC 4291 §2.5.5.2), translated (RFC 2765), NAT64 (RFC 6052 §2.1).
        [0, 0, 0, 0, 0, 0, a, b]
        | [0, 0, 0, 0, 0, 0xffff, a, b]
        | [0, 0, 0, 0, 0xffff, 0, a, b]
        | [0x64, 0xff9b, 0, 0, 0, 0, a, b] => [Some(ipv4(a, b)), None],
        // Local-use NAT64 (RFC 8215): a network picks a prefix of 48 to 96 bits in it. The address is in the last
        // 32 bits, or around the zero octet 8 (RFC 6052 §2.2); both readings count where both are there.
        [0x64, 0xff9b, 1, high, split, low, a, b] => {
            let [_, middle] = split.to_be_bytes();
            let [last, _] = low.to_be_bytes();
            let around = ipv4(high, u16::from_be_bytes([middle, last]));
            [
                Some(ipv4(a, b)),
                (!around.is_unspecified()).then_some(around),
            ]
        }
        // 6to4 (RFC 3056 §2).
        [0x2002, a, b, ..] => [Some(ipv4(a, b)), None],
        // Teredo (RFC 4380 §4): the relaying server, and the client with its bits inverted.
        [0x2001, 0, a, b, _, _, c, d] => [Some(ipv4(!c, !d)), Some(ipv4(a, b))],
        _ => [None, None],
    }
}

fn ipv4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

fn class_of_reading(address: IpAddr) -> AddressClass {
    match address {
        IpAddr::V4(address) => class_of_v4(address),
        IpAddr::V6(address) => class_of_v6(address),
    }
}

/// The IANA registry of special IPv4 addresses (RFC 6890), and the metadata services of the large clouds.
fn class_of_v4(address: Ipv4Addr) -> AddressClass {
    match address.octets() {
        // EC2 and most others, ECS tasks, Alibaba, Azure's host agent, Oracle.
        [169, 254, 169, 254]
        | [169, 254, 170, 2]
        | [100, 100, 100, 200]
        | [168, 63, 129, 16]
        | [192, 0, 0, 192] => AddressClass::Metadata,
        [127, ..] => AddressClass::Loopback,
        [169, 254, ..] => AddressClass::LinkLocal,
        [224..=239, ..] => AddressClass::Multicast,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => {
            AddressClass::Private
        }
        [0 | 240..=255, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _] => AddressClass::Reserved,
        _ => AddressClass::Public,
    }
}

/// The IANA registry of special IPv6 addresses; what is outside `2000::/3` and not named is reserved.
fn class_of_v6(address: Ipv6Addr) -> AddressClass {
    match address.segments() {
        // EC2 and Google.
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x254] => {
            AddressClass::Metadata
        }
        [0, 0, 0, 0, 0, 0, 0, 1] => AddressClass::Loopback,
        [0xfe80..=0xfebf, ..] => AddressClass::LinkLocal,
        [0xff00..=0xffff, ..] => AddressClass::Multicast,
        [0xfc00..=0xfdff, ..] => AddressClass::Private,
        [0x2001, 0..=0x01ff, ..] | [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => {
            AddressClass::Reserved
        }
        [0x2000..=0x3fff, ..] => AddressClass::Public,
        _ => AddressClass::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expected: AddressClass, addresses: &[&str]) {
        for text in addresses {
            let address: IpAddr = text.parse().expect("an address");
            assert_eq!(AddressClass::of(address), expected, "{text}");
        }
    }

    #[test]
    fn addresses_have_the_class_of_their_registry() {
        check(
            AddressClass::Public,
            &["8.8.8.8", "100.63.0.1", "172.32.0.1", "2606:4700::1111"],
        );
        check(
            AddressClass::Private,
            &[
                "10.0.0.1",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "100.64.0.1",
                "fd12::1",
            ],
        );
        check(
            AddressClass::Loopback,
            &["127.0.0.1", "127.255.255.254", "::1"],
        );
        check(
            AddressClass::LinkLocal,
            &["169.254.0.1", "fe80::1", "febf::1"],
        );
        check(
            AddressClass::Multicast,
            &["224.0.0.1", "239.255.255.255", "ff02::1"],
        );
        check(
            AddressClass::Metadata,
            &[
                "169.254.169.254",
                "100.100.100.200",
                "fd00:ec2::254",
                "168.63.129.16",
            ],
        );
        check(
            AddressClass::Reserved,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "255.255.255.255",
                "240.0.0.1",
                "192.0.2.1",
                "198.18.0.1",
                "198.51.100.1",
                "203.0.113.1",
                "::",
                "2001:db8::1",
                "100::1",
                "4000::1",
                "fec0::1",
            ],
        );
    }

    #[test]
    fn b3_an_address_inside_another_is_judged_by_itself() {
        check(
            AddressClass::Loopback,
            &[
                "::ffff:127.0.0.1",
                "::127.0.0.1",
                "::ffff:0:127.0.0.1",
                "64:ff9b::7f00:1",
                "64:ff9b:1::7f00:1",
                "64:ff9b:1:7f00:0:100::",
                "2002:7f00:1::",
                "2001:0:808:808:0:0:80ff:fffe",
                "2001:0:7f00:1:0:0:f7f7:f7f7",
            ],
        );
        check(
            AddressClass::Metadata,
            &["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"],
        );
        check(AddressClass::Private, &["::ffff:10.0.0.1", "2002:a00:1::1"]);
        check(AddressClass::Reserved, &["::ffff:0.0.0.0", "::2"]);
        check(
            AddressClass::Public,
            &["::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"],
        );
    }

    #[test]
    fn a_class_is_read_by_its_name() {
        for class in AddressClass::ALL {
            assert_eq!(AddressClass::parse(class.name()), Some(class));
        }
        assert_eq!(AddressClass::parse("Loopback"), None);
    }

    proptest::proptest! {
        #[test]
        fn every_carrier_of_an_ipv4_address_is_at_least_as_guarded(bits: u32) {
            let inner = Ipv4Addr::from(bits);
            let [a, b, c, d] = inner.octets().map(u16::from);
            let (high, low) = (a << 8 | b, c << 8 | d);
            let class = AddressClass::of(inner.into());
            let carriers = [
                inner.to_ipv6_mapped(),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 1, high, c, d << 8, 0, 0),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low),
            ];
            for carrier in carriers {
                proptest::prop_assert!(AddressClass::of(carrier.into()) >= class, "{carrier}");
            }
        }
    }
}
