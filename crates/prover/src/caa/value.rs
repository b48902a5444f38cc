/// Parameters of one property that are looked at; with more of them it counts as malformed.
const PARAMETERS_MAX: usize = 32;

/// The value of an `issue` or `issuewild` property (RFC 8659 §4.2, with erratum 7139).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct IssueValue<'a> {
    /// Who may issue; empty for nobody.
    pub(super) issuer: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

/// A parameter that may stand there once stands there more often.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated;

impl<'a> IssueValue<'a> {
    /// `None` where the grammar does not fit.
    pub(super) fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (issuer, rest) = match text.split_once(';') {
            Some((issuer, rest)) => (trimmed(issuer), trimmed(rest)),
            None => (trimmed(text), ""),
        };
        if !issuer.is_empty() && !issuer.split('.').all(is_label) {
            return None;
        }
        let mut parameters = Vec::new();
        if !rest.is_empty() {
            for parameter in rest.split(';') {
                if parameters.len() == PARAMETERS_MAX {
                    return None;
                }
                let (tag, value) = parameter.split_once('=')?;
                let (tag, value) = (trimmed(tag), trimmed(value));
                if !is_label(tag) || !value.bytes().all(is_value_octet) {
                    return None;
                }
                parameters.push((tag, value));
            }
        }
        Some(Self { issuer, parameters })
    }

    /// The value of a parameter that may stand there once.
    pub(super) fn only(&self, tag: &str) -> Result<Option<&'a str>, Repeated> {
        let mut values = self
            .parameters
            .iter()
            .filter(|(found, _)| found.eq_ignore_ascii_case(tag))
            .map(|(_, value)| *value);
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            (_, Some(_)) => Err(Repeated),
        }
    }
}

/// Without the grammar's white space at both ends.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// Letters and digits, with hyphens between them.
fn is_label(text: &str) -> bool {
    let inner = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-';
    !text.is_empty() && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// What is printed, but space and semicolon.
fn is_value_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b';'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_that_of_the_rfc() {
        let parse = |text: &'static str| IssueValue::parse(text.as_bytes());
        for (text, issuer, parameters) in [
            ("", "", &[][..]),
            (";", "", &[]),
            (" \t; ", "", &[]),
            ("ca.test", "ca.test", &[]),
            ("  ca.test\t", "ca.test", &[]),
            ("ca.test;", "ca.test", &[]),
            ("c-a--x.1test", "c-a--x.1test", &[]),
            ("ca.test; a=b", "ca.test", &[("a", "b")]),
            (
                "ca.test ;a = b ; c= ; d=e=f",
                "ca.test",
                &[("a", "b"), ("c", ""), ("d", "e=f")],
            ),
            ("; a=b", "", &[("a", "b")]),
        ] {
            let expected = IssueValue {
                issuer,
                parameters: parameters.to_vec(),
            };
            assert_eq!(parse(text), Some(expected), "{text:?}");
        }
        for text in [
            "ca test",
            "ca..test",
            ".test",
            "ca.test.",
            "-ca.test",
            "ca_.test",
            "ca.test; a",
            "ca.test; a=b;",
            "ca.test;; a=b",
            "ca.test; =b",
            "ca.test; a_b=c",
            "ca.test; a=b c",
            "ca.test; a=\u{e4}",
            "%%%%%",
            "ca.test, a=b",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
        assert_eq!(IssueValue::parse(&[0xff]), None);
    }

    #[test]
    fn more_parameters_than_anybody_needs_are_malformed() {
        let many = |count: usize| format!("ca.test; {}", vec!["a=b"; count].join(";"));
        assert!(IssueValue::parse(many(PARAMETERS_MAX).as_bytes()).is_some());
        assert_eq!(IssueValue::parse(many(PARAMETERS_MAX + 1).as_bytes()), None);
    }

    #[test]
    fn a_parameter_is_found_once_or_its_repetition_is() {
        let value = IssueValue::parse(b"ca.test; a=1; A=2; b=3").expect("parses");
        assert_eq!(value.only("a"), Err(Repeated));
        assert_eq!(value.only("b"), Ok(Some("3")));
        assert_eq!(value.only("c"), Ok(None));
    }

    proptest::proptest! {
        #[test]
        fn any_octets_give_an_answer_and_what_parses_has_no_space_in_it(
            octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200),
            text in "[a-c.; \\t=-]{0,40}",
        ) {
            for value in [octets.as_slice(), text.as_bytes()] {
                let Some(parsed) = IssueValue::parse(value) else { continue };
                let parts = parsed.parameters.iter().flat_map(|(tag, value)| [*tag, *value]);
                for part in parts.chain([parsed.issuer]) {
                    proptest::prop_assert!(!part.contains([' ', '\t', ';']), "{part:?}");
                }
            }
        }
    }
}
