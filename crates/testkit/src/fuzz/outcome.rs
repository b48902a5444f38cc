use std::fmt::{Debug, Display, Write};

/// What a target said of an input, so far as it tells one path through the reader from another: a mark for each
/// reading. An input with a mark that was not seen before is news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome(Vec<u64>);

impl Outcome {
    /// From words such as an error's text. Digits and what stands in double quotes are left out: the same error
    /// about another number or another piece of input is no news.
    #[must_use]
    pub fn of(said: impl Display) -> Self {
        let mut hash = Fnv {
            sum: 0xcbf2_9ce4_8422_2325,
            quoted: false,
            escaped: false,
        };
        write!(hash, "{said}").expect("a hash takes every text");
        Self(vec![hash.sum])
    }

    /// From a result: its error's text, or that there was none.
    #[must_use]
    pub fn of_result<T, E: Display>(result: &Result<T, E>) -> Self {
        match result {
            Ok(_) => Self::of("accepted"),
            Err(error) => Self::of(error),
        }
    }

    /// From a value of an enum, such as an error that repeats its input: the variant's name alone.
    #[must_use]
    pub fn of_variant(value: &impl Debug) -> Self {
        let shown = format!("{value:?}");
        Self::of(
            shown
                .split(|c: char| !c.is_ascii_alphabetic())
                .next()
                .unwrap_or_default(),
        )
    }

    /// The marks of both, told apart by their places.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for mark in other.0 {
            let place = self.0.len() as u64;
            self.0
                .push(mark ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        }
        self
    }

    pub(super) fn marks(&self) -> &[u64] {
        &self.0
    }
}

/// FNV-1a: enough to tell texts apart.
struct Fnv {
    sum: u64,
    quoted: bool,
    /// After a backslash inside quotes.
    escaped: bool,
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for octet in text.bytes() {
            self.quoted ^= octet == b'"' && !self.escaped;
            self.escaped = self.quoted && octet == b'\\' && !self.escaped;
            if !self.quoted && !octet.is_ascii_digit() {
                self.sum = (self.sum ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_quotes_in_an_error_are_no_news() {
        assert_eq!(Outcome::of("has 2047 bits"), Outcome::of("has 9 bits"));
        assert_eq!(
            Outcome::of("not \"x\", but a"),
            Outcome::of("not \"yy\", but a")
        );
        assert_ne!(Outcome::of("has 9 bits"), Outcome::of("has 9 bytes"));
        assert_eq!(Outcome::of_variant(&Some(3)), Outcome::of_variant(&Some(4)));
    }

    #[test]
    fn the_place_of_a_mark_counts() {
        let (yes, no) = (Outcome::of("yes"), Outcome::of("no"));
        assert_ne!(yes.clone().and(no.clone()), no.and(yes));
    }
}
