use crate::der::{DerError, Reader, Writer, tag};
use crate::oid;

/// Attributes of one name that are read.
const ATTRIBUTES_MAX: usize = 32;

/// The Name without attributes, which leaf certificates carry.
pub(crate) const EMPTY: &[u8] = &[tag::SEQUENCE, 0];

/// One AttributeTypeAndValue of a Name (RFC 5280 §4.1.2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// Content octets of the type.
    pub(crate) oid: &'a [u8],
    /// Tag of the value.
    pub(crate) tag: u8,
    /// Content of the value.
    pub(crate) value: &'a [u8],
    /// Whether it shares its RelativeDistinguishedName with the attribute before.
    pub(crate) joined: bool,
}

/// Reads a whole Name into its attributes, in order.
pub(crate) fn read(name: &[u8]) -> Result<Vec<Attribute<'_>>, DerError> {
    let mut names = Reader::only(name, tag::SEQUENCE)?;
    let mut attributes = Vec::new();
    while !names.is_empty() {
        let mut set = names.enter(tag::SET)?;
        let mut joined = false;
        while !set.is_empty() || !joined {
            if attributes.len() == ATTRIBUTES_MAX {
                return Err(DerError("a name has more than 32 attributes"));
            }
            let mut pair = set.sequence()?;
            let oid = pair.oid()?;
            let value = pair.read_any()?;
            pair.finish()?;
            attributes.push(Attribute {
                oid,
                tag: value.tag,
                value: value.content,
                joined,
            });
            joined = true;
        }
    }
    Ok(attributes)
}

/// Writes a CA's Name: the organisation, if any, then the common name, each a UTF8String of its own.
pub(crate) fn write(w: &mut Writer, organization: Option<&str>, common_name: &str) {
    let attribute = |w: &mut Writer, oid: &[u8], text: &str| {
        w.tlv(tag::SET, |w| {
            w.sequence(|w| {
                w.oid(oid);
                w.utf8_string(text);
            });
        });
    };
    w.sequence(|w| {
        if let Some(organization) = organization {
            attribute(w, oid::ORGANIZATION, organization);
        }
        attribute(w, oid::COMMON_NAME, common_name);
    });
}

/// Whether a text may stand in a CA's Name: 1 to 64 characters (ub-common-name and ub-organization-name of RFC 5280
/// appendix A.1), no control characters, no space at either end.
pub(crate) fn is_attribute_text(text: &str) -> bool {
    (1..=64).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_name_is_read_attribute_by_attribute() {
        let mut w = Writer::new();
        write(&mut w, Some("Müller"), "Issuing CA 1");
        let name = w.finish();
        let attributes = read(&name).expect("a name");
        let texts: Vec<_> = attributes.iter().map(|a| (a.oid, a.tag, a.value)).collect();
        let utf8 = tag::UTF8_STRING;
        let expected = [
            (oid::ORGANIZATION, utf8, "Müller".as_bytes()),
            (oid::COMMON_NAME, utf8, b"Issuing CA 1"),
        ];
        assert_eq!(texts, expected);
        assert_eq!(read(EMPTY), Ok(vec![]));
    }

    #[test]
    fn an_empty_set_and_a_missing_value_are_refused() {
        assert!(read(&[0x30, 2, 0x31, 0]).is_err());
        assert!(read(&[0x30, 9, 0x31, 7, 0x30, 5, 6, 3, 0x55, 4, 3]).is_err());
        assert!(read(&[0x31, 0]).is_err());
    }

    #[test]
    fn attribute_texts_are_short_and_printable() {
        assert!(is_attribute_text("Chancery Root 2026") && is_attribute_text(&"ä".repeat(64)));
        for bad in ["", " a", "a ", "a\nb", "a\0", &"a".repeat(65)] {
            assert!(!is_attribute_text(bad), "{bad:?}");
        }
    }
}
