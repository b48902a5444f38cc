use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::der::{DerError, Reader, tag};
use crate::name::{DnsName, San};

/// Subtrees in one extension. Real ones have a handful; each name of a certificate is held against each.
const SUBTREES_MAX: usize = 256;

/// nameConstraints (RFC 5280 §4.2.1.10): which names a CA may certify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NameConstraints {
    permitted: Vec<Subtree>,
    excluded: Vec<Subtree>,
}

/// Names that belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Subtree {
    /// Every host name.
    AllHosts,
    /// This name and all below it.
    Hosts(DnsName),
    /// Addresses of one family which are the first in the bits of the mask.
    Addresses { first: IpAddr, mask: IpAddr },
}

impl NameConstraints {
    /// Reads the value of the extension. A constraint that cannot be kept here is an error, so that none is passed over:
    /// a type of name other than hosts and addresses, or a minimum or maximum, which RFC 5280 does not use.
    pub(crate) fn read(value: &[u8]) -> Result<Self, DerError> {
        let mut inner = Reader::only(value, tag::SEQUENCE)?;
        let permitted = inner.optional(tag::context_constructed(0))?;
        let excluded = inner.optional(tag::context_constructed(1))?;
        inner.finish()?;
        if permitted.is_none() && excluded.is_none() {
            return Err(DerError("neither permitted nor excluded names"));
        }
        Ok(Self {
            permitted: permitted.map(subtrees).transpose()?.unwrap_or_default(),
            excluded: excluded.map(subtrees).transpose()?.unwrap_or_default(),
        })
    }

    /// Whether every name that this one stands for may be certified. A wildcard stands for everything below its base:
    /// readers differ in how many labels it covers.
    pub(crate) fn permit(&self, name: &San) -> bool {
        // RFC 5280 §4.2.1.10: permitted names limit those of their own type.
        let of_its_type = |subtree: &&Subtree| subtree.is_for(name);
        let mut permitted = self.permitted.iter().filter(of_its_type).peekable();
        let inside = permitted.peek().is_none() || permitted.any(|subtree| subtree.holds(name));
        inside && !self.excluded.iter().any(|subtree| subtree.touches(name))
    }
}

impl Subtree {
    fn read(list: &mut Reader<'_>) -> Result<Self, DerError> {
        const DNS: u8 = tag::context(2);
        const IP: u8 = tag::context(7);
        let mut subtree = list.sequence()?;
        let base = subtree.read_any()?;
        subtree
            .finish()
            .map_err(|_| DerError("a subtree with a minimum or a maximum"))?;
        match base.tag {
            DNS => hosts(base.content),
            IP => addresses(base.content),
            _ => Err(DerError(
                "a constraint on other names than hosts and addresses",
            )),
        }
    }

    /// Whether it is about names of this type.
    fn is_for(&self, name: &San) -> bool {
        match (self, name) {
            (Self::AllHosts | Self::Hosts(_), San::Dns(_) | San::Wildcard(_)) => true,
            (Self::Addresses { first, .. }, San::Ip(address)) => {
                first.is_ipv4() == address.is_ipv4()
            }
            (Self::AllHosts | Self::Hosts(_), San::Ip(_))
            | (Self::Addresses { .. }, San::Dns(_) | San::Wildcard(_)) => false,
        }
    }

    /// Whether all that the name stands for lies inside.
    fn holds(&self, name: &San) -> bool {
        match (self, name) {
            (Self::AllHosts, San::Dns(_) | San::Wildcard(_)) => true,
            (Self::Hosts(base), San::Dns(host) | San::Wildcard(host)) => {
                host == base || host.is_subdomain_of(base)
            }
            (Self::Addresses { first, mask }, San::Ip(address)) => {
                masked(*address, *mask) == Some(*first)
            }
            (Self::AllHosts | Self::Hosts(_), San::Ip(_))
            | (Self::Addresses { .. }, San::Dns(_) | San::Wildcard(_)) => false,
        }
    }

    /// Whether anything that the name stands for lies inside.
    fn touches(&self, name: &San) -> bool {
        match (self, name) {
            (Self::Hosts(base), San::Wildcard(above)) => {
                self.holds(name) || base.is_subdomain_of(above)
            }
            _ => self.holds(name),
        }
    }
}

fn subtrees(content: &[u8]) -> Result<Vec<Subtree>, DerError> {
    let mut list = Reader::new(content);
    let mut subtrees = Vec::new();
    while !list.is_empty() {
        if subtrees.len() == SUBTREES_MAX {
            return Err(DerError("more than 256 subtrees"));
        }
        subtrees.push(Subtree::read(&mut list)?);
    }
    if subtrees.is_empty() {
        return Err(DerError("a list of subtrees is empty"));
    }
    Ok(subtrees)
}

fn hosts(content: &[u8]) -> Result<Subtree, DerError> {
    const NOT_A_NAME: DerError = DerError("a constraint on hosts is no host name");
    let text = std::str::from_utf8(content).map_err(|_| NOT_A_NAME)?;
    if text.is_empty() {
        return Ok(Subtree::AllHosts);
    }
    DnsName::parse(text)
        .map(Subtree::Hosts)
        .map_err(|_| NOT_A_NAME)
}

fn addresses(content: &[u8]) -> Result<Subtree, DerError> {
    let (first, mask) = content.split_at(content.len() >> 1);
    let read = |octets: &[u8]| {
        let v4 = <[u8; 4]>::try_from(octets).map(|v4| IpAddr::from(Ipv4Addr::from(v4)));
        let v6 = || <[u8; 16]>::try_from(octets).map(|v6| IpAddr::from(Ipv6Addr::from(v6)));
        v4.or_else(|_| v6()).ok()
    };
    match (read(first), read(mask)) {
        // What is set beyond the mask would never match: a constraint that was not meant so.
        (Some(first), Some(mask)) if masked(first, mask) == Some(first) && is_prefix(mask) => {
            Ok(Subtree::Addresses { first, mask })
        }
        _ => Err(DerError("a constraint on addresses is no range of them")),
    }
}

/// The bits of an address under a mask of its family.
fn masked(address: IpAddr, mask: IpAddr) -> Option<IpAddr> {
    match (address, mask) {
        (IpAddr::V4(address), IpAddr::V4(mask)) => Some((address & mask).into()),
        (IpAddr::V6(address), IpAddr::V6(mask)) => Some((address & mask).into()),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// RFC 4632 §3.1: ones, then zeros.
fn is_prefix(mask: IpAddr) -> bool {
    let zeros = match mask {
        IpAddr::V4(mask) => u128::from(!mask.to_bits()),
        IpAddr::V6(mask) => !mask.to_bits(),
    };
    zeros & zeros.wrapping_add(1) == 0
}

#[cfg(test)]
pub(crate) mod fixture;

#[cfg(test)]
mod tests {
    use super::fixture::{Base, value};
    use super::*;

    fn check(permitted: &[Base<'_>], excluded: &[Base<'_>], name: &str, expected: bool) {
        let read = NameConstraints::read(&value(permitted, excluded)).expect("constraints");
        let san = San::parse(name).expect("a name");
        assert_eq!(
            read.permit(&san),
            expected,
            "{name}: {permitted:?} but {excluded:?}"
        );
    }

    #[test]
    fn c5_a_permitted_name_permits_itself_and_what_is_below_it() {
        let permitted = [Base::Host("Accept.example.TEST")];
        for (name, expected) in [
            ("accept.example.test", true),
            ("ACCEPT.example.test", true),
            ("x.accept.example.test", true),
            ("*.accept.example.test", true),
            ("*.example.test", false),
            ("accept.example.test.evil.test", false),
            ("xaccept.example.test", false),
            ("example.test", false),
            // No address is among the names that it limits.
            ("10.0.0.1", true),
        ] {
            check(&permitted, &[], name, expected);
        }
        check(&[Base::Host("")], &[], "a.test", true);
    }

    #[test]
    fn c5_an_excluded_subtree_excludes_in_any_case_and_under_every_wildcard_above() {
        let excluded = [Base::Host("SECRET.b.example.test")];
        for (name, expected) in [
            ("secret.b.example.test", false),
            ("Secret.B.example.test", false),
            ("x.secret.b.example.test", false),
            ("*.secret.b.example.test", false),
            ("*.b.example.test", false),
            ("*.example.test", false),
            ("b.example.test", true),
            ("*.c.example.test", true),
            ("nosecret.b.example.test", true),
        ] {
            check(&[], &excluded, name, expected);
            check(&[Base::Host("example.test")], &excluded, name, expected);
        }
        check(&[], &[Base::Host("")], "a.test", false);
        check(&[], &[Base::Host("")], "*.a.test", false);
    }

    #[test]
    fn c5_addresses_are_limited_by_range_and_family() {
        let v4 = Base::Address(&[10, 0, 0, 0, 255, 0, 0, 0]);
        let v6 = {
            let mut octets = [0; 32];
            (octets[0], octets[16]) = (0xfd, 0xff);
            octets
        };
        for (name, expected) in [
            ("10.9.9.9", true),
            ("11.0.0.0", false),
            ("fd00::1", true),
            ("fe00::1", false),
            ("a.test", true),
        ] {
            check(&[v4, Base::Address(&v6)], &[], name, expected);
        }
        check(&[], &[v4], "10.9.9.9", false);
        check(&[], &[v4], "fd00::1", true);
        check(&[v4], &[], "fd00::1", true);
    }

    #[test]
    fn c5_a_constraint_that_cannot_be_kept_is_refused() {
        let refused = |value: &[u8]| NameConstraints::read(value).expect_err("refused");
        for base in [
            Base::Other(1, b"a.test"),
            Base::Other(6, b".a.test"),
            Base::Host(".a.test"),
            Base::Host("*.a.test"),
            Base::Host("a..test"),
            Base::Address(&[10, 0, 0, 0]),
            Base::Address(&[10, 0, 0, 1, 255, 0, 0, 0]),
            Base::Address(&[10, 0, 0, 0, 255, 0, 255, 0]),
            Base::Address(&[0; 7]),
        ] {
            refused(&value(&[base], &[]));
            refused(&value(&[], &[Base::Host("a.test"), base]));
        }
        for value in [
            &[][..],
            &[0x30, 0],
            &[0x30, 2, 0xa0, 0],
            &[0x30, 2, 0xa2, 0],
            // A minimum of 1 beside the name "a".
            &[0x30, 10, 0xa0, 8, 0x30, 6, 0x82, 1, b'a', 0x80, 1, 1],
        ] {
            refused(value);
        }
        let many = vec![Base::Host("a.test"); SUBTREES_MAX + 1];
        refused(&value(&many, &[]));
    }
}
