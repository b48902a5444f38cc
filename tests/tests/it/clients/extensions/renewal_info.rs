//! Renewal information (RFC 9773): a certificate that was revoked has to be replaced at once, and clients that ask do so
//! long before its end.

use std::time::Duration;

use chancery_tests::{Authority, csr_for, new_key, runtime};
use instant_acme::{CertificateIdentifier, ChallengeType, NewOrder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::clients::apache::Apache;
use crate::clients::certbot::Certbot;
use crate::clients::instant_acme::{complete, dns, present, register};
use crate::clients::{is_a_good_chain, served_after, short_lived, status_of};

fn revoke(authority: &Authority, serial: &str) {
    let revoked = authority.revoke(serial, "superseded");
    assert!(revoked.status.success(), "{}", revoked.stderr);
}

#[test]
fn certbot_replaces_what_was_revoked_though_it_is_not_due() {
    let Some(certbot) = Certbot::start() else {
        return;
    };
    certbot.register();
    let authority = &certbot.authority;
    let names = ["a.test"];
    let first = is_a_good_chain(authority, &certbot.standalone("ecdsa", &names), &names);
    revoke(authority, &first);
    certbot.run(&["renew", "--no-random-sleep-on-renew"]);
    let second = is_a_good_chain(authority, &certbot.chain("a.test"), &names);
    assert_ne!(first, second, "it is another certificate");
    assert_eq!(status_of(authority, &first), "revoked");
}

#[test]
fn instant_acme_is_told_when_to_renew_and_what_it_replaces() {
    let authority = Authority::start();
    let (identifiers, site) = (dns(&["a.test"]), authority.site());
    let csr = || csr_for(&new_key(), &["a.test"]);
    let http_01 = |_| ChallengeType::Http01;
    let (account, first) = runtime().block_on(async {
        let account = register(&authority).await;
        let asked = NewOrder::new(&identifiers);
        let chain = complete(&account, &asked, &csr(), http_01, present(site)).await;
        (account, chain)
    });
    let serial = is_a_good_chain(&authority, &first, &["a.test"]);
    let leaf = CertificateDer::from_pem_slice(first.as_bytes()).expect("a certificate");
    let id = || CertificateIdentifier::try_from(&leaf).expect("its name");
    let info = || {
        let told = runtime().block_on(account.renewal_info(&id()));
        told.expect("the window and when to ask again")
    };

    let (before, ask_again) = info();
    assert!(before.suggested_window.start < before.suggested_window.end);
    assert!(ask_again > Duration::ZERO, "{ask_again:?}");
    revoke(&authority, &serial);
    let (after, _) = info();
    assert!(
        after.suggested_window.end < before.suggested_window.start,
        "it is time already: {after:?}"
    );

    let second = runtime().block_on(async {
        let asked = NewOrder::new(&identifiers).replaces(id());
        complete(&account, &asked, &csr(), http_01, present(site)).await
    });
    is_a_good_chain(&authority, &second, &["a.test"]);
    authority.check_invariants();
}

/// It asks when it is started with a certificate, and this one lives for 47 days.
#[test]
fn apache_replaces_what_was_revoked_though_it_is_not_due() {
    let setup = short_lived().set("gateway.short.profiles", "server");
    let names = ["a.test", "www.a.test"];
    let more = "MDCAChallenges http-01\nMDRenewViaARI on\n";
    let Some(apache) = Apache::start(setup, &names, |_| more.to_owned()) else {
        return;
    };
    let (authority, port) = (&apache.authority, apache.authority.tls_port());
    apache.wait_until_staged();
    let mut issued = authority.certificates().into_iter();
    let got = issued.find(|got| got["names"] == serde_json::json!(names));
    let got = got.expect("what it got");
    revoke(authority, got["serial"].as_str().unwrap_or_default());
    apache.reload();
    let first = served_after(authority, port, "a.test", "");
    apache.wait_until_staged();
    apache.reload();
    let second = served_after(authority, port, "a.test", &first);
    is_a_good_chain(authority, &second, &names);
}
