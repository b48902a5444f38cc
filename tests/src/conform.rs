//! The conformance suite: each statement that RFC 8555 makes about a server, asked of a server from outside.
//!
//! A [`Check`] is one statement with its number in our reading of the RFC (1 to 124), its section, how strongly it is
//! said ([`Level`]), one sentence, and the function that finds out. A check gets a [`Target`], any ACME server: it sends
//! raw HTTP and JWS, well formed or not, proves names by http-01 answers ([`Web`]) and a DNS zone of its own, and gives a
//! [`Verdict`]. Statements about clients are left out; those that nobody can see from outside are in the list too and say
//! why. [`run`] takes a whole [`Target`] through them, [`Report`] writes down what came out.
//!
//! Every behaviour that the RFC permits passes: where it leaves the status or type of an error open, so does the check.
//!
//! What this never does: look into a server, remember anything between two checks but what was seen of the answers, or
//! poll faster than a patient client.

mod accounts;
mod authentication;
mod authorizations;
mod challenges;
mod deactivation;
mod directory;
mod download;
mod draft;
mod errors;
mod external_account;
mod finalize;
mod get;
mod judge;
mod key_change;
mod keys;
mod mac;
mod nonce;
mod options;
mod orders;
mod ours;
mod peer;
mod preauthorization;
mod replay;
mod report;
mod resources;
mod revocation;
mod servers;
mod subscriber;
mod target;
mod transport;
mod urls;
mod validation;
mod verdict;
mod weak_rsa;
mod web;

pub use options::{Options, USAGE, UsageError};
pub use peer::Pebble;
pub use report::{Column, Report};
pub use servers::examine;
pub use target::{Credential, Operator, Surroundings, Target};
pub use verdict::{Check, Level, Verdict};
pub use web::Web;

/// Every statement about a server, by number.
#[must_use]
pub fn checks() -> Vec<&'static Check> {
    let groups = [
        transport::CHECKS,
        authentication::CHECKS,
        get::CHECKS,
        urls::CHECKS,
        replay::CHECKS,
        errors::CHECKS,
        directory::CHECKS,
        resources::CHECKS,
        nonce::CHECKS,
        accounts::CHECKS,
        external_account::CHECKS,
        key_change::CHECKS,
        deactivation::CHECKS,
        orders::CHECKS,
        finalize::CHECKS,
        preauthorization::CHECKS,
        download::CHECKS,
        authorizations::CHECKS,
        revocation::CHECKS,
        challenges::CHECKS,
        validation::CHECKS,
        keys::CHECKS,
    ];
    let mut all: Vec<&'static Check> = groups.into_iter().flatten().collect();
    all.sort_by_key(|check| check.number);
    all
}

/// Asks these of a server, one after the other; `each` hears of every verdict as it falls.
///
/// What was seen of all answers is judged last ([`Check::looks_back`]).
pub fn run(
    target: &Target,
    checks: &[&'static Check],
    mut each: impl FnMut(&'static Check, &Verdict),
) -> Vec<(&'static Check, Verdict)> {
    let (back, ahead): (Vec<&'static Check>, Vec<&'static Check>) =
        checks.iter().partition(|check| check.looks_back());
    let mut found: Vec<(&'static Check, Verdict)> = ahead
        .into_iter()
        .chain(back)
        .map(|check| {
            let verdict = check.verdict(target);
            each(check, &verdict);
            (check, verdict)
        })
        .collect();
    found.sort_by_key(|(check, _)| check.number);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What only clients can keep or break.
    const OF_CLIENTS: [u8; 17] = [
        3, 4, 22, 26, 31, 33, 39, 43, 49, 63, 75, 88, 94, 100, 108, 115, 117,
    ];

    #[test]
    fn every_statement_about_a_server_is_asked_once() {
        let expected: Vec<u8> = (1..=124).filter(|n| !OF_CLIENTS.contains(n)).collect();
        let numbers: Vec<u8> = checks().iter().map(|check| check.number).collect();
        assert_eq!(numbers, expected);
    }

    #[test]
    fn each_is_one_line_that_a_table_can_hold() {
        for check in checks() {
            assert!(check.section.starts_with('§'), "{}", check.number);
            assert!(
                !check.says.contains(['|', '\n']) && check.says.len() < 140,
                "{}: {}",
                check.number,
                check.says
            );
        }
    }
}
