//! The names a certificate can be for, checked once and then carried as types.

use std::fmt;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

mod san;

pub use san::San;

/// Octets of a name as text (RFC 1035 §2.3.4: 255 on the wire).
const NAME_OCTETS_MAX: usize = 253;
/// Octets of one label (RFC 1035 §2.3.4).
const LABEL_OCTETS_MAX: usize = 63;

/// A host name as it stands in DNS and in certificates: lower-case letters, digits and hyphens, no trailing dot.
///
/// Two names are the same host if and only if they are equal, byte for byte: internationalised labels exist
/// only as A-labels that survive the round trip to Unicode and back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DnsName(String);

/// A text or a GeneralName is not a name that a certificate may carry here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty")]
    Empty,
    /// More than 253 octets.
    #[error("the name has {octets} octets; 253 are allowed")]
    TooLong {
        /// Octets seen.
        octets: usize,
    },
    /// Two dots in a row, or a dot at either end.
    #[error("the name has an empty label")]
    EmptyLabel,
    /// More than 63 octets between two dots.
    #[error("a label of the name has {octets} octets; 63 are allowed")]
    LabelTooLong {
        /// Octets seen.
        octets: usize,
    },
    /// Something else than letters, digits, hyphens and dots.
    #[error("the name holds a character that is not an ASCII letter, digit, hyphen or dot")]
    Character,
    /// A hyphen at either end of a label.
    #[error("a label of the name begins or ends with a hyphen")]
    Hyphen,
    /// `--` behind two characters that are not `xn` (RFC 5891 §4.2.3.1).
    #[error("a label of the name has \"--\" as third and fourth characters, which is reserved")]
    ReservedLabel,
    /// An `xn--` label that is not the one encoding of the Unicode label it stands for.
    #[error("an \"xn--\" label of the name is not valid IDNA")]
    Punycode,
    /// The last label is a number, as in an IPv4 address.
    #[error("the name ends in a number, so it could be taken for an IP address")]
    LooksLikeAddress,
    /// A wildcard over a single label.
    #[error("a wildcard needs at least two labels behind it")]
    WildcardTooWide,
    /// Not an IP address in its usual text or octets.
    #[error("the address is neither IPv4 nor IPv6")]
    NotAnAddress,
    /// An IPv6 text with another spelling than RFC 5952 gives it.
    #[error("the IPv6 address is not in the form of RFC 5952")]
    AddressForm,
    /// An IPv4 address inside an IPv6 one: a second name for one host, past any rule for the first.
    #[error("the address is an IPv4-mapped IPv6 address; use the IPv4 address")]
    MappedAddress,
    /// A GeneralName of another type.
    #[error("a name of type {kind} where only dNSName and iPAddress are accepted")]
    UnsupportedKind {
        /// The name of the type in RFC 5280.
        kind: &'static str,
    },
}

impl DnsName {
    /// Reads a host name; upper case becomes lower case. One label is a name too: policy decides about those.
    ///
    /// # Errors
    /// [`NameError`] for anything but letters, digits and hyphens in labels of 1 to 63 octets, 253 in all; for
    /// hyphens at the ends of a label, reserved `--`, `xn--` that is not strict IDNA, and a number as last label.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_OCTETS_MAX {
            return Err(NameError::TooLong { octets: text.len() });
        }
        let text = text.to_ascii_lowercase();
        text.split('.').try_for_each(check_label)?;
        if text.rsplit('.').next().is_some_and(is_number) {
            return Err(NameError::LooksLikeAddress);
        }
        Ok(Self(text))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels from left to right; at least one.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// Whether this name lies below `other`. No name lies below itself.
    #[must_use]
    pub fn is_subdomain_of(&self, other: &Self) -> bool {
        self.0
            .strip_suffix(&other.0)
            .is_some_and(|front| front.ends_with('.'))
    }

    /// The name as people read it, A-labels turned to Unicode. For showing only: never compare or sign it.
    #[must_use]
    pub fn to_unicode(&self) -> String {
        let labels: Vec<_> = self
            .labels()
            .map(|label| unicode(label).unwrap_or_else(|| label.into()))
            .collect();
        labels.join(".")
    }
}

fn check_label(label: &str) -> Result<(), NameError> {
    let bytes = label.as_bytes();
    if bytes.is_empty() {
        return Err(NameError::EmptyLabel);
    }
    if bytes.len() > LABEL_OCTETS_MAX {
        return Err(NameError::LabelTooLong {
            octets: bytes.len(),
        });
    }
    let allowed = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-';
    if !bytes.iter().all(allowed) {
        return Err(NameError::Character);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(NameError::Hyphen);
    }
    if label.starts_with("xn--") {
        return unicode(label).map(drop).ok_or(NameError::Punycode);
    }
    if bytes.get(2..4) == Some(b"--") {
        return Err(NameError::ReservedLabel);
    }
    Ok(())
}

/// The Unicode form of an A-label, if it has one and encodes to the same A-label again (RFC 5891 §4.2, UTS 46).
///
/// Label by label: the rule for mixed directions over a whole name protects how a name looks, not whose it is.
fn unicode(label: &str) -> Option<String> {
    let idna = Uts46::new();
    let rules = (AsciiDenyList::STD3, Hyphens::Check);
    let (unicode, decoded) = idna.to_unicode(label.as_bytes(), rules.0, rules.1);
    decoded.ok()?;
    let encoded = idna
        .to_ascii(unicode.as_bytes(), rules.0, rules.1, DnsLength::Verify)
        .ok()?;
    (!unicode.is_ascii() && encoded == label).then(|| unicode.into_owned())
}

/// Whether URL parsers would take a host with this last label for an IPv4 address: digits, or `0x` and hex digits.
fn is_number(label: &str) -> bool {
    let digits = |text: &str, radix| text.chars().all(|digit| digit.is_digit(radix));
    digits(label, 10) || label.strip_prefix("0x").is_some_and(|hex| digits(hex, 16))
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl<C> minicbor::Encode<C> for DnsName {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0)?.ok()
    }
}

impl<'b, C> minicbor::Decode<'b, C> for DnsName {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::parse(d.str()?).map_err(|_| minicbor::decode::Error::message("not a host name"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).expect("a name")
    }

    #[test]
    fn c4_only_a_labels_that_survive_the_round_trip_are_names() {
        for good in ["xn--bcher-kva.test", "XN--BCHER-KVA.test", "xn--fiqs8s"] {
            assert_eq!(name(good).as_str(), good.to_ascii_lowercase());
        }
        for masked in [
            "xn--example-.org",
            "example.org.xn--",
            "xn--.org",
            "xn---.org",
            "xn--a.org",
            "xn--99999999.org",
            "xn--0.org",
            // U+212B ANGSTROM SIGN, which NFC turns into another character.
            "xn--72g.org",
            // "ü" decomposed.
            "xn--u-ccb.org",
            // A joiner where no script needs one, and a mark that follows nothing.
            "xn--a-ugn.org",
            "xn--a-wbb.org",
            // An A-label inside an A-label.
            "xn--xn--bcher-kva-8ob.org",
        ] {
            let seen = DnsName::parse(masked);
            assert!(
                matches!(seen, Err(NameError::Punycode | NameError::Hyphen)),
                "{masked}: {seen:?}"
            );
        }
        assert_eq!(
            name("www.xn--bcher-kva.test").to_unicode(),
            "www.bücher.test"
        );
    }

    #[test]
    fn a_name_lies_below_another_only_at_a_dot() {
        assert!(name("a.b.test").is_subdomain_of(&name("b.test")));
        assert!(name("a.b.test").is_subdomain_of(&name("test")));
        assert!(!name("b.test").is_subdomain_of(&name("b.test")));
        assert!(!name("ab.test").is_subdomain_of(&name("b.test")));
        assert!(!name("b.test").is_subdomain_of(&name("a.b.test")));
    }

    proptest! {
        #[test]
        fn no_a_label_panics_or_changes(label in "xn--[a-z0-9-]{0,59}") {
            if let Ok(name) = DnsName::parse(&label) {
                prop_assert_eq!(name.as_str(), &label);
                prop_assert!(!name.to_unicode().is_ascii());
            }
        }

        #[test]
        fn no_text_or_bytes_panic(text in "\\PC{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = DnsName::parse(&text);
            let _ = minicbor::decode::<DnsName>(&bytes);
        }
    }
}
