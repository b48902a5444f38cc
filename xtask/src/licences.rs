//! Which licences we take, and what an SPDX licence expression means by that.

use std::fmt;

/// Licences that ask nothing of us but a notice. `deny.toml` has the same list.
pub(crate) const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// The licence of everything in this workspace.
pub(crate) const OURS: &str = "Apache-2.0 OR MIT";

/// The longest expression seen has 20 words.
const WORDS_MAX: usize = 128;
/// Brackets within brackets; it bounds the reader's recursion.
const DEPTH_MAX: usize = 16;

/// Why an expression cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ExpressionError {
    TooLong,
    TooDeep,
    /// The word that does not fit; empty at the end.
    Unexpected(String),
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "over {WORDS_MAX} words"),
            Self::TooDeep => write!(f, "over {DEPTH_MAX} brackets deep"),
            Self::Unexpected(word) if word.is_empty() => write!(f, "it ends too early"),
            Self::Unexpected(word) => write!(f, "`{word}` does not fit where it stands"),
        }
    }
}

/// Whether an expression can be met with the licences of [`ALLOWED`] alone.
///
/// `AND` binds closer than `OR` (SPDX 2.3, annex D.4); `a/b` is the old form of `a OR b`. A licence `WITH` an
/// exception is another licence and would have to stand on the list as a whole.
pub(crate) fn is_allowed(expression: &str) -> Result<bool, ExpressionError> {
    let words = words_of(expression);
    if words.len() > WORDS_MAX {
        return Err(ExpressionError::TooLong);
    }
    let mut reader = Reader { words: &words };
    let allowed = reader.any_of(DEPTH_MAX)?;
    match reader.words {
        [] => Ok(allowed),
        [word, ..] => Err(ExpressionError::Unexpected((*word).to_owned())),
    }
}

fn words_of(expression: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for part in expression.split_whitespace() {
        let mut rest = part;
        while let Some(at) = rest.find(['(', ')', '/']) {
            let (before, from) = rest.split_at(at);
            let (sign, after) = from.split_at(1);
            words.extend([before, sign].into_iter().filter(|word| !word.is_empty()));
            rest = after;
        }
        words.extend(Some(rest).filter(|word| !word.is_empty()));
    }
    words
}

struct Reader<'a> {
    words: &'a [&'a str],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> &'a str {
        let Some((word, rest)) = self.words.split_first() else {
            return "";
        };
        self.words = rest;
        word
    }

    fn take(&mut self, wanted: &[&str]) -> bool {
        let found = self.words.first().is_some_and(|word| wanted.contains(word));
        if found {
            self.next();
        }
        found
    }

    fn any_of(&mut self, depth: usize) -> Result<bool, ExpressionError> {
        let mut allowed = self.all_of(depth)?;
        while self.take(&["OR", "/"]) {
            allowed |= self.all_of(depth)?;
        }
        Ok(allowed)
    }

    fn all_of(&mut self, depth: usize) -> Result<bool, ExpressionError> {
        let mut allowed = self.one(depth)?;
        while self.take(&["AND"]) {
            allowed &= self.one(depth)?;
        }
        Ok(allowed)
    }

    fn one(&mut self, depth: usize) -> Result<bool, ExpressionError> {
        match self.next() {
            "(" => {
                let allowed = self.any_of(depth.checked_sub(1).ok_or(ExpressionError::TooDeep)?)?;
                if self.take(&[")"]) {
                    return Ok(allowed);
                }
                Err(ExpressionError::Unexpected(self.next().to_owned()))
            }
            word @ ("" | ")" | "/" | "OR" | "AND" | "WITH") => {
                Err(ExpressionError::Unexpected(word.to_owned()))
            }
            licence if self.take(&["WITH"]) => {
                let whole = format!("{licence} WITH {}", self.next());
                Ok(ALLOWED.contains(&whole.as_str()))
            }
            licence => Ok(ALLOWED.contains(&licence)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: bool) {
        assert_eq!(is_allowed(expression), Ok(expected), "{expression}");
    }

    #[test]
    fn one_licence_is_on_the_list_or_not() {
        check("MIT", true);
        check("Unicode-3.0", true);
        check("GPL-3.0-only", false);
        check("Apache-2.0+", false);
        check("mit", false);
    }

    #[test]
    fn any_side_of_or_will_do_and_both_of_and_must() {
        check("GPL-2.0 OR MIT", true);
        check("MIT/Apache-2.0", true);
        check("GPL-2.0 / MIT", true);
        check("MIT AND BSD-3-Clause", true);
        check("MIT AND GPL-2.0", false);
        check("GPL-2.0 OR LGPL-2.1", false);
    }

    #[test]
    fn and_binds_closer_than_or_and_brackets_closer_still() {
        check("MIT OR MIT AND GPL-2.0", true);
        check("GPL-2.0 AND MIT OR ISC", true);
        check("(MIT OR ISC) AND GPL-2.0", false);
        check("(MIT OR GPL-2.0) AND (ISC OR GPL-2.0)", true);
        check(
            "ISC AND (Apache-2.0 OR ISC) AND (Apache-2.0 OR ISC OR MIT-0)",
            true,
        );
    }

    #[test]
    fn a_licence_with_an_exception_is_another_licence() {
        check("Apache-2.0 WITH LLVM-exception", false);
        check("Apache-2.0 WITH LLVM-exception OR Apache-2.0 OR MIT", true);
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_never_a_permission() {
        for expression in [
            "",
            "()",
            "MIT OR",
            "OR MIT",
            "MIT ISC",
            "(MIT",
            "MIT)",
            "MIT AND OR ISC",
        ] {
            assert!(is_allowed(expression).is_err(), "{expression}");
        }
        let deep = format!("{}MIT{}", "(".repeat(40), ")".repeat(40));
        assert_eq!(is_allowed(&deep), Err(ExpressionError::TooDeep));
        assert_eq!(
            is_allowed(&"MIT OR ".repeat(500)),
            Err(ExpressionError::TooLong)
        );
    }

    #[test]
    fn our_own_licence_is_one_we_take() {
        check(OURS, true);
    }
}
