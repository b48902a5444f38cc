//! Chancery.

use chancery_tests::conform::{Column, checks};

use super::only_these;

/// What does not hold yet, or cannot be asked; whoever builds a thing takes it off.
const EXCEPTIONS: [(u8, &str, &str); 4] = [
    (81, "not offered", "orders live for a week"),
    (92, "not offered", "there is one chain only"),
    (119, "not offered", "nobody can see it"),
    (120, "not offered", "nobody can see it"),
];

#[test]
fn chancery_does_what_the_rfc_says_but_for_a_short_list() {
    let column = Column::of_chancery(&checks(), |_, _| ()).expect("it is examined");
    assert_eq!(column.found.len(), checks().len());
    only_these(&column, &EXCEPTIONS);
}
