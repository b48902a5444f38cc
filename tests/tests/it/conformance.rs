//! What RFC 8555 says about servers, asked of ours and of Debian's pebble (`chancery_tests::conform`).

mod ours;
mod page;
mod peer;
mod yes;

use std::collections::BTreeMap;

use chancery_tests::conform::{Column, Verdict};

/// What was found other than that a statement holds.
fn exceptions(column: &Column) -> BTreeMap<u8, String> {
    let told = column.found.iter().filter_map(|(check, verdict)| {
        let told = match verdict {
            Verdict::Holds => return None,
            Verdict::Partly(why) => format!("partly: {why}"),
            Verdict::Fails(why) => format!("fails: {why}"),
            Verdict::NotOffered(why) => format!("not offered: {why}"),
        };
        Some((check.number, told))
    });
    told.collect()
}

/// Every statement holds but those that are listed, and those do not.
fn only_these(column: &Column, expected: &[(u8, &str, &str)]) {
    let found = exceptions(column);
    let listed: BTreeMap<u8, (&str, &str)> = expected
        .iter()
        .map(|(number, word, why)| (*number, (*word, *why)))
        .collect();
    assert_eq!(listed.len(), expected.len(), "no statement is listed twice");
    for (number, told) in &found {
        let word = listed.get(number).map(|(word, _)| *word);
        assert!(
            word.is_some_and(|word| told.starts_with(word)),
            "{} {number}: {told}",
            column.server
        );
    }
    for (number, (word, why)) in listed {
        assert!(
            found.contains_key(&number),
            "{} {number} holds now; it is listed as {word} ({why})",
            column.server
        );
    }
}
