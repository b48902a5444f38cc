//! Other people's clients: register, issue with ECDSA and RSA keys and several names, wildcards by dns-01 where the
//! client can, renew, revoke both ways, deactivate.

mod acme_client_npm;
mod acme_tiny;
mod certbot;
mod instant_acme;

use chancery_pki::{Certificate, pem};
use chancery_tests::Authority;
use chancery_tests::openssl::Dossier;

/// What a client was given: names as asked for, a chain that holds, an entry in the inventory. Gives the serial.
fn is_a_good_chain(authority: &Authority, chain_pem: &str, names: &[&str]) -> String {
    let chain = pem::decode(chain_pem, "CERTIFICATE", 8).expect("a chain in PEM");
    let leaf = Certificate::parse(&chain[0]).expect("a certificate");
    let mut wanted = names.to_vec();
    wanted.sort_unstable();
    let mut got: Vec<String> = leaf.sans().iter().map(ToString::to_string).collect();
    got.sort_unstable();
    assert_eq!(got, wanted);
    let serial = leaf.serial().to_hex();
    let judged = Dossier::collect(authority, &serial, chain_pem).verify();
    assert!(
        judged.status.success(),
        "{}{}",
        judged.stdout,
        judged.stderr
    );
    assert_eq!(status_of(authority, &serial), "good");
    serial
}

fn status_of(authority: &Authority, serial: &str) -> String {
    let shown = authority.told(&["cert", "show", serial]).remove(0);
    shown["status"].as_str().unwrap_or_default().to_owned()
}
