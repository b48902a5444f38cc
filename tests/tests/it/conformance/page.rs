//! The page in the documentation.

use std::path::Path;

use chancery_tests::conform::checks;

#[test]
fn the_page_has_every_statement_as_it_is_asked() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/conformance.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    for check in checks() {
        let row = format!(
            "| {} | {} | {} | {} |",
            check.number,
            check.section,
            check.level.word(),
            check.says
        );
        assert!(
            page.contains(&row),
            "`cargo xtask conform --server chancery --server pebble --markdown docs/conformance.md` makes it: {row}"
        );
    }
}
