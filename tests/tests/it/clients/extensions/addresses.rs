//! Addresses as identifiers (RFC 8738), proven by http-01.

use chancery_tests::{Authority, runtime};
use instant_acme::{ChallengeType, Identifier, NewOrder};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};

use crate::clients::certbot::Certbot;
use crate::clients::instant_acme::{complete, present, register};
use crate::clients::uacme::Uacme;
use crate::clients::{P256, is_a_good_chain_for};

const ADDRESS: &str = "127.0.0.1";

#[test]
fn certbot_gets_a_certificate_for_a_name_and_an_address() {
    let Some(certbot) = Certbot::start() else {
        return;
    };
    certbot.register();
    let authority = &certbot.authority;
    let port = authority.http_port().to_string();
    let mut words = vec!["certonly", "--standalone", "--key-type", "ecdsa"];
    words.extend(["--http-01-port", &port, "--http-01-address", ADDRESS]);
    words.extend(["-d", "a.test", "--ip-address", ADDRESS]);
    certbot.run(&words);
    let names = ["a.test", ADDRESS];
    is_a_good_chain_for(authority, P256, &certbot.chain("a.test"), &names);
}

#[test]
fn uacme_gets_a_certificate_for_an_address() {
    let Some(uacme) = Uacme::start() else {
        return;
    };
    uacme.run(&["--type", "EC", "new"]);
    uacme.issue("http-01", &["--type", "EC", "issue", ADDRESS]);
    is_a_good_chain_for(&uacme.authority, P256, &uacme.chain(ADDRESS), &[ADDRESS]);
}

#[test]
fn instant_acme_gets_a_certificate_for_an_address() {
    let authority = Authority::start();
    let identifiers = [Identifier::Ip(ADDRESS.parse().expect("an address"))];
    let mut params = CertificateParams::new([ADDRESS.to_owned()]).expect("an address");
    // The common name that it would give is no name that the authority knows of.
    params.distinguished_name = DistinguishedName::new();
    let key = KeyPair::generate().expect("a key");
    let csr = params.serialize_request(&key).expect("a CSR");
    let chain = runtime().block_on(async {
        let account = register(&authority).await;
        let asked = NewOrder::new(&identifiers);
        let site = authority.site();
        complete(
            &account,
            &asked,
            csr.der(),
            |_| ChallengeType::Http01,
            present(site),
        )
        .await
    });
    is_a_good_chain_for(&authority, P256, &chain, &[ADDRESS]);
}
