//! A server that agrees to everything and checks nothing: what holds of it tells nothing about refusals.

mod server;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use chancery_simulate::Zone;
use chancery_tests::conform::{Surroundings, Target, Verdict, Web, checks, run};

use server::YesSayer;

/// The statements that ask for a refusal of any kind: each has to see that none comes.
const ABOUT_REFUSALS: [u8; 46] = [
    6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 18, 19, 20, 21, 23, 25, 29, 30, 32, 34, 51, 59, 61, 62,
    67, 71, 73, 76, 78, 80, 82, 83, 84, 85, 86, 89, 90, 95, 97, 101, 103, 104, 105, 107, 123,
];

#[test]
fn no_refusal_is_taken_for_granted() {
    let server = YesSayer::start();
    let any = (Ipv4Addr::LOCALHOST, 0).into();
    let target = Target::open(Surroundings {
        directory: server.directory(),
        root_pem: String::new(),
        web: Web::start(any).expect("a web host"),
        zone: Some(Zone::new()),
        domain: "conform.test".to_owned(),
        credential: Some(server.credential()),
        refused_name: Some("refused.conform.test".to_owned()),
        operator: None,
    });
    let target = target.expect("a directory");
    let mut asked = checks();
    asked.retain(|check| ABOUT_REFUSALS.contains(&check.number));
    assert_eq!(asked.len(), ABOUT_REFUSALS.len());
    let found = run(&target, &asked, |_, _| ());
    let fooled: BTreeSet<u8> = found
        .iter()
        .filter(|(_, verdict)| !matches!(verdict, Verdict::Fails(_) | Verdict::Partly(_)))
        .map(|(check, _)| check.number)
        .collect();
    for (check, verdict) in &found {
        eprintln!("{} {verdict:?}", check.number);
    }
    assert!(
        fooled.is_empty(),
        "of a server that agrees to all, {fooled:?} hold"
    );
}
