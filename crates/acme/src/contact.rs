use chancery_pki::DnsName;

use crate::{ErrorType, Problem};

/// Octets of an address (RFC 5321 §4.5.3.1.3, without the angle brackets).
const ADDRESS_OCTETS_MAX: usize = 254;

/// Octets in front of the `@` (RFC 5321 §4.5.3.1.1).
const LOCAL_PART_OCTETS_MAX: usize = 64;

/// Checks one contact URL (RFC 8555 §7.3): `mailto` with exactly one address and no header fields.
///
/// # Errors
/// `unsupportedContact` for another scheme, `invalidContact` for anything else.
pub fn check_contact(url: &str) -> Result<(), Problem> {
    let Some((scheme, address)) = url.split_once(':') else {
        return Err(invalid(
            "a contact is a URL such as mailto:admin@example.org",
        ));
    };
    if !scheme.eq_ignore_ascii_case("mailto") {
        let detail = "only mailto contacts are supported";
        return Err(Problem::new(ErrorType::UnsupportedContact, detail));
    }
    if address.len() > ADDRESS_OCTETS_MAX {
        return Err(invalid("a contact's address is longer than 254 octets"));
    }
    if address.contains(',') {
        return Err(invalid(
            "a contact names one address; list several contacts instead",
        ));
    }
    if address.contains('?') {
        return Err(invalid("a contact has no header fields"));
    }
    let one_address = address.split_once('@');
    if !one_address
        .is_some_and(|(local, domain)| is_local_part(local) && DnsName::parse(domain).is_ok())
    {
        return Err(invalid(
            "a contact's address is not of the form name@host, in plain ASCII",
        ));
    }
    Ok(())
}

fn invalid(detail: &'static str) -> Problem {
    Problem::new(ErrorType::InvalidContact, detail)
}

/// A dot-atom (RFC 5322 §3.2.3), less the characters that a `mailto` URL would have to escape (RFC 6068 §2): an escape
/// could smuggle in a second address or a line break.
fn is_local_part(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!$&'*+-=_~".contains(&byte);
    text.len() <= LOCAL_PART_OCTETS_MAX
        && text
            .split('.')
            .all(|atom| !atom.is_empty() && atom.bytes().all(allowed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ProblemKind;

    fn check(url: &str) -> Result<(), ProblemKind> {
        check_contact(url).map_err(|problem| problem.kind)
    }

    #[test]
    fn one_plain_address_is_accepted() {
        for good in [
            "mailto:admin@example.org",
            "MailTo:cert+acme.tls_1-x@a.b.example",
            "mailto:root@localhost",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn other_schemes_are_unsupported() {
        for url in [
            "tel:+1-201-555-0123",
            "https://example.org",
            ":",
            "mail:a@b.test",
            "mailto :a@b.test",
        ] {
            assert_eq!(
                check(url),
                Err(ErrorType::UnsupportedContact.into()),
                "{url}"
            );
        }
    }

    #[test]
    fn several_addresses_headers_and_bad_ones_are_invalid() {
        let long = format!("mailto:{}@b.test", "a".repeat(65));
        let longer = format!("mailto:a@{}", "b.".repeat(130));
        for url in [
            "",
            "admin@example.org",
            "mailto:",
            "mailto:@",
            "mailto:a@",
            "mailto:@b.test",
            "mailto:a",
            "mailto:a@b.test,c@d.test",
            "mailto:a@b.test%2Cc@d.test",
            "mailto:a@b.test?subject=x",
            "mailto:a@b.test?",
            "mailto:a@b@c.test",
            "mailto:a b@c.test",
            "mailto: a@b.test",
            "mailto:a@b.test\r\nBcc:c@d.test",
            "mailto:a..b@c.test",
            "mailto:.a@c.test",
            "mailto:\"a\"@c.test",
            "mailto:<a@c.test>",
            "mailto:é@c.test",
            "mailto:a@é.test",
            "mailto:a@192.0.2.1",
            "mailto:a@b_c.test",
            "mailto://a@c.test",
            &long,
            &longer,
        ] {
            assert_eq!(check(url), Err(ErrorType::InvalidContact.into()), "{url:?}");
        }
    }

    #[test]
    fn a_refusal_repeats_nothing() {
        for url in ["mailto:SECRET", "SECRET:x", "SECRET"] {
            assert!(
                check_contact(url).is_err_and(|problem| !problem.to_string().contains("SECRET"))
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_accepted_has_one_at_and_no_escape(address in "[a-z@.,?%&=\\r\\n <>\"-]{0,20}") {
            if check(&format!("mailto:{address}")).is_ok() {
                prop_assert_eq!(address.matches('@').count(), 1);
                prop_assert!(!address.contains(['%', ',', '?', '\r', '\n', ' ', '<', '"']));
            }
        }
    }
}
