//! What a request asks for: its common name, and the one extension of its attributes that is read.

use std::collections::BTreeSet;

use super::CsrError;
use crate::der::{Reader, boolean_content, tag};
use crate::name::{NameError, San};
use crate::oid;

/// Names in one request, as many as a profile can allow.
pub(super) const NAMES_MAX: usize = 1000;
/// Requested extensions; they are compared with each other, so the time is quadratic in this number.
pub(super) const EXTENSIONS_MAX: usize = 32;

/// The common name of a subject, whatever else that holds.
pub(super) fn read_common_name(mut subject: Reader<'_>) -> Result<Option<San>, CsrError> {
    let mut found = None;
    while !subject.is_empty() {
        let mut attributes = subject.enter(tag::SET)?;
        while !attributes.is_empty() {
            let mut attribute = attributes.sequence()?;
            let kind = attribute.oid()?;
            let value = attribute.read_any()?;
            attribute.finish()?;
            if kind != oid::COMMON_NAME {
                continue;
            }
            let name = match value.tag {
                tag::UTF8_STRING | tag::PRINTABLE_STRING | tag::IA5_STRING => {
                    let text = std::str::from_utf8(value.content);
                    text.map_err(|_| NameError::Character).and_then(San::parse)
                }
                _ => Err(NameError::Character),
            };
            if found.replace(name.map_err(CsrError::CommonName)?).is_some() {
                return Err(CsrError::CommonNames);
            }
        }
    }
    Ok(found)
}

/// The content of the requested subjectAltName, whatever else is requested.
pub(super) fn read_attributes(mut attributes: Reader<'_>) -> Result<Option<&[u8]>, CsrError> {
    let mut requested = None;
    while !attributes.is_empty() {
        let mut attribute = attributes.sequence()?;
        let kind = attribute.oid()?;
        let mut values = attribute.enter(tag::SET)?;
        attribute.finish()?;
        if kind != oid::EXTENSION_REQUEST {
            continue;
        }
        let extensions = values.sequence()?;
        values.finish()?;
        if requested.replace(extensions).is_some() {
            return Err(CsrError::DuplicateExtension);
        }
    }
    requested.map_or(Ok(None), read_extensions)
}

fn read_extensions(mut extensions: Reader<'_>) -> Result<Option<&[u8]>, CsrError> {
    let mut seen: Vec<&[u8]> = Vec::new();
    let mut names = None;
    while !extensions.is_empty() {
        let mut extension = extensions.sequence()?;
        let kind = extension.oid()?;
        // A critical flag that repeats its default is wrong, but no reason to refuse a client whose wish is ignored.
        extension
            .optional(tag::BOOLEAN)?
            .map(boolean_content)
            .transpose()?;
        let value = extension.octet_string()?;
        extension.finish()?;
        if seen.contains(&kind) {
            return Err(CsrError::DuplicateExtension);
        }
        if seen.len() >= EXTENSIONS_MAX {
            return Err(CsrError::TooManyExtensions);
        }
        seen.push(kind);
        if kind == oid::SUBJECT_ALT_NAME {
            names = Some(value);
        }
    }
    Ok(names)
}

/// GeneralNames, RFC 5280 §4.2.1.6: at least one.
pub(super) fn read_names(value: &[u8]) -> Result<BTreeSet<San>, CsrError> {
    let mut list = Reader::only(value, tag::SEQUENCE)?;
    let mut names = BTreeSet::new();
    loop {
        let element = list.read_any()?;
        let name = San::from_general_name(element.tag, element.content).map_err(CsrError::Name)?;
        if names.len() >= NAMES_MAX {
            return Err(CsrError::TooManyNames);
        }
        if names.contains(&name) {
            return Err(CsrError::DuplicateName { name });
        }
        names.insert(name);
        if list.is_empty() {
            return Ok(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::csr::Csr;
    use crate::csr::fixture::{
        check, extension, general_names, request_attribute, signed, with_names,
    };
    use crate::der::Writer;

    const BASIC_CONSTRAINTS_CA: &[u8] = &[0x30, 0x03, 0x01, 0x01, 0xff];

    #[test]
    fn c1_a_common_name_is_a_host_name_or_a_refusal() {
        let refused =
            |text: &[u8], why| check(&signed(&[text], |_| {}), Err(CsrError::CommonName(why)));
        check(&signed(&[b"Good.test"], |_| {}), Ok(&["good.test"]));
        check(&signed(&[b"*.good.test"], |_| {}), Ok(&["*.good.test"]));
        check(&signed(&[b"192.0.2.1"], |_| {}), Ok(&["192.0.2.1"]));
        refused(b"good.test\0.evil.test", NameError::Character);
        refused(b"'; DROP TABLE certificates; --", NameError::Character);
        refused(b"John Smith", NameError::Character);
        refused(b"\xff\xfe", NameError::Character);
        refused(b"", NameError::Empty);
        refused(&[b'a'; 20_000], NameError::TooLong { octets: 20_000 });
        check(
            &signed(&[b"a.test", b"b.test"], |_| {}),
            Err(CsrError::CommonNames),
        );
        check(
            &signed(&[b"a.test", b"a.test"], |_| {}),
            Err(CsrError::CommonNames),
        );
    }

    #[test]
    fn c1_the_common_name_joins_the_alternative_names() {
        let name = |w: &mut Writer| w.context_ia5(2, "san.test");
        check(
            &with_names(&[b"cn.test"], name),
            Ok(&["cn.test", "san.test"]),
        );
        check(&with_names(&[b"san.test"], name), Ok(&["san.test"]));
    }

    #[test]
    fn c1_names_that_mean_more_than_a_host_are_refused() {
        for (found, kind) in [
            (0xa0, "otherName"),
            (0x81, "rfc822Name"),
            (0xa4, "directoryName"),
            (0x86, "uniformResourceIdentifier"),
            (0x88, "registeredID"),
        ] {
            let der = with_names(&[], |w| {
                w.context_ia5(2, "a.test");
                w.primitive(found, b"a@b.test");
            });
            check(
                &der,
                Err(CsrError::Name(NameError::UnsupportedKind { kind })),
            );
        }
        let nul = with_names(&[], |w| w.context_ia5(2, "good.test\0.evil.test"));
        check(&nul, Err(CsrError::Name(NameError::Character)));
        let short = with_names(&[], |w| w.primitive(0x87, &[192, 0, 2]));
        check(&short, Err(CsrError::Name(NameError::NotAnAddress)));
    }

    #[test]
    fn c1_a_name_or_an_extension_twice_is_refused() {
        let twice = with_names(&[], |w| {
            w.context_ia5(2, "a.test");
            w.context_ia5(2, "A.test");
        });
        let name = San::parse("a.test").expect("a name");
        check(&twice, Err(CsrError::DuplicateName { name }));
        let value = general_names(|w| w.context_ia5(2, "a.test"));
        let two_extensions = signed(&[], |w| {
            request_attribute(w, |w| {
                extension(w, oid::SUBJECT_ALT_NAME, &value);
                extension(w, oid::SUBJECT_ALT_NAME, &value);
            });
        });
        check(&two_extensions, Err(CsrError::DuplicateExtension));
        let two_attributes = signed(&[], |w| {
            request_attribute(w, |w| extension(w, oid::SUBJECT_ALT_NAME, &value));
            request_attribute(w, |w| {
                extension(w, oid::BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_CA)
            });
        });
        check(&two_attributes, Err(CsrError::DuplicateExtension));
    }

    #[test]
    fn c1_wishes_beyond_key_and_names_are_ignored() {
        let value = general_names(|w| w.context_ia5(2, "a.test"));
        let wishes = signed(&[], |w| {
            // A challenge password stands before the extension request, which is not the order of a DER SET.
            request_attribute(w, |w| {
                extension(w, oid::BASIC_CONSTRAINTS, BASIC_CONSTRAINTS_CA);
                // codeSigning
                extension(
                    w,
                    oid::EXT_KEY_USAGE,
                    &[0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 3],
                );
                extension(w, oid::KEY_USAGE, b"not even DER");
                extension(w, oid::SUBJECT_ALT_NAME, &value);
            });
            w.sequence(|w| {
                w.oid(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x07]);
                w.tlv(tag::SET, |w| w.utf8_string("secret"));
            });
        });
        check(&wishes, Ok(&["a.test"]));
    }

    #[test]
    fn c8_counts_of_names_and_extensions_are_bounded() {
        let names = |count: usize| {
            with_names(&[], |w| {
                (0..count).for_each(|n| w.context_ia5(2, &format!("n{n}.test")))
            })
        };
        assert_eq!(
            Csr::parse(&names(1000)).expect("parses").names().len(),
            1000
        );
        check(&names(1001), Err(CsrError::TooManyNames));
        let extensions = signed(&[], |w| {
            request_attribute(w, |w| {
                (0..=32_u8).for_each(|n| extension(w, &[0x55, 0x1d, n], &[]));
            });
        });
        check(&extensions, Err(CsrError::TooManyExtensions));
    }

    proptest! {
        #[test]
        fn no_names_of_any_bytes_panic(names in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..5)) {
            let value = general_names(|w| {
                names.iter().for_each(|(tag, content)| w.primitive(*tag, content));
            });
            let _ = read_names(&value);
        }
    }
}
