//! Values that are written as text: lists and spans of time.

use std::fmt;

use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// A list, or one text with commas (as the environment gives it).
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of texts, or one text with commas")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Ok(items.map(str::to_owned).collect())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                list.push(item);
            }
            Ok(list)
        }
    }
    from.deserialize_any(List)
}

/// The same where nothing said is another thing than an empty list.
pub(super) fn some_one_or_many<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<String>>, D::Error> {
    one_or_many(from).map(Some)
}

/// A span such as `47d`, `12h`, `90m`, `3600s`, in seconds.
pub(super) fn span<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    struct Span;
    impl Visitor<'_> for Span {
        type Value = u64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a span of time such as \"47d\", \"12h\", \"90m\" or \"3600s\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            parse_span(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    from.deserialize_any(Span)
}

/// Reads a span such as `47d`, in seconds.
pub(crate) fn parse_span(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let secs = match unit {
        'd' => 86_400,
        'h' => 3600,
        'm' => 60,
        's' => 1,
        _ => return None,
    };
    number.checked_mul(secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_number_and_a_unit() {
        assert_eq!(parse_span("47d"), Some(4_060_800));
        assert_eq!(parse_span("90m"), Some(5400));
        for odd in [
            "",
            "d",
            "47",
            "4 7d",
            "-1d",
            "47w",
            "99999999999999999999d",
            "ü",
        ] {
            assert_eq!(parse_span(odd), None, "{odd:?}");
        }
    }
}
