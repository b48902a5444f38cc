//! `openssl verify` with every CRL checked.

use std::time::Duration;

use chancery_testkit::require;
use chancery_tests::{Authority, Issued, eventually};

/// From the answer to a revocation until nobody accepts the certificate any more.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

fn is_accepted(authority: &Authority, issued: &Issued) -> bool {
    issued.dossier(authority).verify().status.success()
}

#[test]
fn openssl_accepts_a_chain_until_it_is_revoked() {
    if require("openssl").is_none() {
        return;
    }
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let names = ["a.test", "www.a.test", "*.wild.test"];
    let (revoked, kept) = (account.issue(&names), account.issue(&names));
    let judged = revoked.dossier(&authority).verify();
    assert!(
        judged.status.success(),
        "{}{}",
        judged.stdout,
        judged.stderr
    );

    assert_eq!(account.revoke(&revoked, Some(1)).status, 200);

    let said = eventually("openssl refuses it", REFUSED_WITHIN, || {
        let judged = revoked.dossier(&authority).verify();
        (!judged.status.success()).then_some(judged.stderr)
    });
    assert!(said.contains("certificate revoked"), "{said}");
    assert!(
        is_accepted(&authority, &kept),
        "the other one is still good"
    );
}

#[test]
fn the_servers_own_certificate_is_judged_like_any_other() {
    if require("openssl").is_none() {
        return;
    }
    let authority = Authority::start();
    let shown = chancery_tests::openssl::must(&[
        "s_client",
        "-connect",
        &authority.public().to_string(),
        "-showcerts",
        "-verify_return_error",
        "-verify_ip",
        "127.0.0.1",
        "-CAfile",
        authority.root().to_str().expect("a plain path"),
    ]);
    let begin = "-----BEGIN CERTIFICATE-----";
    let end = "-----END CERTIFICATE-----\n";
    let chain: String = shown
        .split(begin)
        .skip(1)
        .filter_map(|rest| rest.split_inclusive(end).next())
        .map(|block| format!("{begin}{block}"))
        .collect();
    let dossier = chancery_tests::openssl::Dossier::collect(&authority, "server", &chain);
    let judged = dossier.verify();
    assert!(
        judged.status.success(),
        "{}{}",
        judged.stdout,
        judged.stderr
    );
}

#[test]
fn the_issuer_is_where_the_certificate_says() {
    let authority = Authority::start();
    let client = authority.client();
    let issued = client.register().issue(&["a.test"]);
    let leaf = issued.leaf();
    let [url] = leaf.ca_issuers_urls() else {
        panic!("one URL: {:?}", leaf.ca_issuers_urls())
    };
    let reply = chancery_tests::Http::plain().get(url);
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, "application/pkix-cert")
    );
    assert_eq!(reply.body.as_ref(), issued.chain()[1].as_slice());
    let roots = chancery_tests::Http::plain()
        .get(&format!("http://{}/roots.pem", authority.status_listener()));
    assert_eq!(roots.text(), authority.root_pem());
}
