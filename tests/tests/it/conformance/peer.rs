//! Debian's pebble: that it fails is what proves that the suite can see a failure.

use chancery_testkit::require;
use chancery_tests::conform::{Column, checks};

use super::only_these;

const EXCEPTIONS: [(u8, &str, &str); 35] = [
    (5, "fails", "answers to POST are not for scripts"),
    (11, "fails", "it takes unencoded payloads"),
    (14, "partly", "Ed25519 is not accepted"),
    (18, "fails", "malformed, without the list"),
    (19, "fails", "RSA of 1024 bits is accepted"),
    (23, "fails", "the account's URL is not looked at"),
    (25, "fails", "malformed, not unauthorized"),
    (27, "fails", "URLs follow the Host header"),
    (32, "fails", "badNonce, not malformed"),
    (35, "not offered", "it has no limits"),
    (36, "fails", "404 without a problem document"),
    (37, "fails", "agreementRequired is not registered"),
    (51, "fails", "xn-- labels are not decoded"),
    (56, "fails", "no-cache, not no-store"),
    (61, "fails", "header fields of mailto are accepted"),
    (65, "not offered", "nobody changes its terms"),
    (70, "not offered", "it has no credentials for one use"),
    (73, "fails", "500"),
    (76, "fails", "the account's URL is not looked at"),
    (80, "fails", "malformed, not unsupportedIdentifier"),
    (81, "not offered", "orders live for a day"),
    (83, "partly", "a name in the common name only is not seen"),
    (86, "fails", "the CSR's signature is not verified"),
    (89, "not offered", "no newAuthz"),
    (90, "not offered", "no newAuthz"),
    (92, "not offered", "one chain"),
    (93, "fails", "404 after revocation"),
    (102, "fails", "not by another account that is authorized"),
    (106, "not offered", "no CRL"),
    (112, "fails", "tries again, but does not show it"),
    (113, "fails", "the same"),
    (114, "partly", "white space behind the answer counts"),
    (119, "not offered", "nobody can see it"),
    (120, "not offered", "nobody can see it"),
    (122, "fails", "no TCP for DNS"),
];

/// One key that registers several times at once: pebble looks for the key and saves the account in two steps, and answers
/// 500 to whoever comes between. Whether that is seen depends on how its threads meet.
const BY_CHANCE: u8 = 124;

#[test]
fn pebble_fails_what_it_is_known_to_fail_and_nothing_else() {
    if require("pebble").is_none() {
        return;
    }
    let mut asked = checks();
    asked.retain(|check| check.number != BY_CHANCE);
    let column = Column::of_pebble(&asked, |_, _| ()).expect("it is examined");
    only_these(&column, &EXCEPTIONS);
}
