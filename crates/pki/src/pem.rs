//! The textual encoding of RFC 7468, strictly: blocks of one label, and only white space between them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Bytes of a text that are looked at: a chain of eight large certificates is a tenth of it.
pub const PEM_BYTES_MAX: usize = 256 * 1024;

/// Characters in a full line (RFC 7468 §2).
const LINE_COLUMNS: usize = 64;

/// A text is not the PEM that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// More than [`PEM_BYTES_MAX`].
    #[error("the PEM text has {bytes} bytes; {PEM_BYTES_MAX} are allowed")]
    TooLarge {
        /// Bytes seen.
        bytes: usize,
    },
    /// More blocks than the caller takes.
    #[error("the PEM text holds more than {max} blocks")]
    TooMany {
        /// Blocks allowed.
        max: usize,
    },
    /// No block at all.
    #[error("the PEM text holds no block")]
    NoBlock,
    /// Something that is neither a block of the label nor white space stands outside the blocks.
    #[error("line {line} of the PEM text is not the beginning of a block of the expected label")]
    Outside {
        /// Line seen, counted from 1.
        line: usize,
    },
    /// A block does not end as it began.
    #[error("a block of the PEM text has no end of the same label")]
    Unfinished,
    /// A block's content is empty or not base64.
    #[error("the block that ends on line {line} of the PEM text is not base64")]
    NotBase64 {
        /// Line of the end, counted from 1.
        line: usize,
    },
}

/// One block: `-----BEGIN label-----`, lines of 64 columns, `-----END label-----`, each ended by a line feed.
#[must_use]
pub fn encode(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut text = String::with_capacity(
        body.len()
            .saturating_mul(66)
            .div_euclid(64)
            .saturating_add(100),
    );
    text.extend(["-----BEGIN ", label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(LINE_COLUMNS).unwrap_or((rest, ""));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

/// The contents of 1 to `max_blocks` blocks of this label, in order. Lines may have any length and either line ending.
///
/// One pass: the time is linear in the text.
///
/// # Errors
/// [`PemError`].
pub fn decode(text: &str, label: &str, max_blocks: usize) -> Result<Vec<Vec<u8>>, PemError> {
    if text.len() > PEM_BYTES_MAX {
        return Err(PemError::TooLarge { bytes: text.len() });
    }
    let (begin, end) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    let mut blocks = Vec::new();
    let mut body: Option<String> = None;
    for (line, number) in text.lines().map(str::trim_ascii).zip(1_usize..) {
        match &mut body {
            None if line.is_empty() => {}
            None if line == begin && blocks.len() >= max_blocks => {
                return Err(PemError::TooMany { max: max_blocks });
            }
            None if line == begin => body = Some(String::new()),
            None => return Err(PemError::Outside { line: number }),
            Some(base64) if line == end => {
                let der = STANDARD.decode(base64).ok().filter(|der| !der.is_empty());
                blocks.push(der.ok_or(PemError::NotBase64 { line: number })?);
                body = None;
            }
            Some(_) if line.starts_with('-') => return Err(PemError::Unfinished),
            Some(base64) => base64.push_str(line),
        }
    }
    match body {
        Some(_) => Err(PemError::Unfinished),
        None if blocks.is_empty() => Err(PemError::NoBlock),
        None => Ok(blocks),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::*;

    const LABEL: &str = "CERTIFICATE";

    fn check(text: &str, expected: Result<&[&[u8]], PemError>) {
        let expected = expected.map(|blocks| blocks.iter().map(|block| block.to_vec()).collect());
        assert_eq!(decode(text, LABEL, 2), expected, "{text}");
    }

    #[test]
    fn lines_have_64_columns() {
        let text = encode(LABEL, &[0; 49]);
        let lengths: Vec<usize> = text.lines().map(str::len).collect();
        assert_eq!(lengths, [27, 64, 4, 25]);
        assert_eq!(encode(LABEL, &[0; 48]).lines().count(), 3);
    }

    #[test]
    fn blocks_are_read_in_order_with_white_space_between() {
        let (a, b) = (encode(LABEL, b"first"), encode(LABEL, b"second"));
        check(&format!("{a}{b}"), Ok(&[b"first", b"second"]));
        let spaced = format!("\n \t\n{a}\n\n{b}  \n").replace('\n', "\r\n");
        check(&spaced, Ok(&[b"first", b"second"]));
        check(a.trim_end(), Ok(&[b"first"]));
        check(&format!("{a}{b}{a}"), Err(PemError::TooMany { max: 2 }));
    }

    #[test]
    fn anything_else_is_refused() {
        check("", Err(PemError::NoBlock));
        check(" \n", Err(PemError::NoBlock));
        check("hello", Err(PemError::Outside { line: 1 }));
        check(
            &encode("PRIVATE KEY", b"first"),
            Err(PemError::Outside { line: 1 }),
        );
        check(
            &format!("{}subject=x\n", encode(LABEL, b"first")),
            Err(PemError::Outside { line: 4 }),
        );
        let begin = "-----BEGIN CERTIFICATE-----\n";
        let end = "-----END CERTIFICATE-----\n";
        check(begin, Err(PemError::Unfinished));
        check(&format!("{begin}AAAA\n"), Err(PemError::Unfinished));
        check(
            &format!("{begin}AAAA\n-----END PRIVATE KEY-----\n"),
            Err(PemError::Unfinished),
        );
        check(
            &format!("{begin}{begin}AAAA\n{end}"),
            Err(PemError::Unfinished),
        );
        check(
            &format!("{begin}{end}"),
            Err(PemError::NotBase64 { line: 2 }),
        );
        check(
            &format!("{begin}Proc-Type: 4,ENCRYPTED\nAAAA\n{end}"),
            Err(PemError::NotBase64 { line: 4 }),
        );
        for body in ["AAA", "AA=A", "AAAA====", "AAB=", "A*AA", "AA AA"] {
            check(
                &format!("{begin}{body}\n{end}"),
                Err(PemError::NotBase64 { line: 3 }),
            );
        }
        check(
            &format!("-----BEGIN CERTIFICATE----- AAAA\n{end}"),
            Err(PemError::Outside { line: 1 }),
        );
    }

    #[test]
    fn c8_a_text_full_of_beginnings_costs_linear_time() {
        let line = "-----BEGIN CERTIFICATE-----\n";
        let begins = line.repeat(PEM_BYTES_MAX / line.len());
        let halves = format!("{line}{}", "A\n".repeat((PEM_BYTES_MAX - line.len()) / 2));
        let dashes = "-".repeat(PEM_BYTES_MAX);
        let small = encode(LABEL, b"x").repeat(PEM_BYTES_MAX / 60);
        let started = Instant::now();
        check(&begins, Err(PemError::Unfinished));
        check(&halves, Err(PemError::Unfinished));
        check(&dashes, Err(PemError::Outside { line: 1 }));
        check(&small, Err(PemError::TooMany { max: 2 }));
        assert!(
            started.elapsed() < Duration::from_millis(200),
            "{:?}",
            started.elapsed()
        );
        let large = "\n".repeat(PEM_BYTES_MAX + 1);
        check(
            &large,
            Err(PemError::TooLarge {
                bytes: PEM_BYTES_MAX + 1,
            }),
        );
    }

    #[test]
    fn another_implementation_reads_what_is_written() {
        let text = encode(LABEL, &[7; 100]);
        let (rest, block) = x509_parser::pem::parse_x509_pem(text.as_bytes()).expect("parses");
        assert!(rest.is_empty());
        assert_eq!(
            (block.label.as_str(), block.contents),
            (LABEL, vec![7; 100])
        );
    }

    proptest! {
        #[test]
        fn blocks_come_back(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..5)) {
            let text: String = blocks.iter().map(|der| encode("X", der)).collect();
            prop_assert_eq!(decode(&text, "X", 5), Ok(blocks));
        }

        #[test]
        fn no_text_panics(text in "(-----BEGIN X-----|-----END X-----|[A-Za-z0-9+/=]{0,8}|\\PC|\n|\r){0,40}") {
            let _ = decode(&text, "X", 3);
        }
    }
}
