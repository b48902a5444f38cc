//! Revocation (RFC 8555 §7.6, failures D2, D3, D6, D7, D10).

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use chancery_crypto::PrivateKey;
use chancery_jose::SignWith;
use chancery_pki::{Crl, RevocationReason, Serial};
use chancery_tests::{Authority, Client, Http, Issued, Reply, eventually, new_key, openssl};
use serde_json::json;

/// From the answer to the CRL.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(5);

fn listed(issued: &Issued) -> Crl {
    let serial = issued.leaf().serial();
    eventually("the revocation is on the CRL", PUBLISHED_WITHIN, || {
        let crl = issued.crl();
        crl.contains(&serial).then_some(crl)
    })
}

fn reason_on(crl: &Crl, serial: &Serial) -> Option<RevocationReason> {
    let entries: Vec<_> = crl
        .entries()
        .filter(|entry| entry.serial == *serial)
        .collect();
    let [entry] = entries.as_slice() else {
        panic!("one entry for {serial}, not {}", entries.len())
    };
    entry.reason
}

fn by_key(client: &Client, key: &PrivateKey, issued: &Issued, reason: Option<i64>) -> Reply {
    let url = client.url("revokeCert");
    let body = client.sign(key, SignWith::Jwk, &url, Some(&issued.revocation(reason)));
    client.post(&url, body)
}

#[test]
fn d2_three_revocations_at_once_are_one_entry() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let serial = issued.serial();
    let start = Barrier::new(3);
    let told: Vec<String> = std::thread::scope(|scope| {
        let account = scope.spawn(|| {
            let body = account.sign(&client.url("revokeCert"), Some(&issued.revocation(Some(1))));
            start.wait();
            client.post(&client.url("revokeCert"), body).in_short()
        });
        let key = scope.spawn(|| {
            start.wait();
            by_key(&client, &issued.key, &issued, Some(1)).in_short()
        });
        let operator = scope.spawn(|| {
            start.wait();
            let finished = authority.revoke(&serial, "keyCompromise");
            if finished.status.success() {
                "200".to_owned()
            } else {
                finished.stderr
            }
        });
        [account, key, operator]
            .map(|thread| thread.join().expect("an answer"))
            .into()
    });
    assert_eq!(
        told.iter().filter(|told| *told == "200").count(),
        1,
        "{told:?}"
    );
    for late in told.iter().filter(|told| *told != "200") {
        assert!(
            late.contains("alreadyRevoked") || late.contains("already revoked"),
            "{late}"
        );
    }
    let crl = listed(&issued);
    assert_eq!(
        reason_on(&crl, &issued.leaf().serial()),
        Some(RevocationReason::KeyCompromise)
    );
    let first = crl.entries().next().expect("the entry").at;
    // Later callers change nothing.
    for late in [
        account.revoke(&issued, None),
        by_key(&client, &issued.key, &issued, Some(4)),
    ] {
        assert_eq!(late.in_short(), "400 alreadyRevoked");
    }
    let again = authority.revoke(&serial, "superseded");
    assert!(
        !again.status.success() && again.stderr.contains("already revoked"),
        "{}",
        again.stderr
    );
    let shown = &authority.told(&["cert", "show", &serial])[0];
    assert_eq!(shown["revocation_reason"], "keyCompromise");
    assert_eq!(shown["revoked_at"], json!(first.to_rfc3339()));
    authority.check_invariants();
}

#[test]
fn d3_the_reasons_are_a_closed_set() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let calm = authority.calm();
    let bad = [2, 6, 7, 8, 10, 11, -1, 256, i64::MIN, i64::MAX];
    for reason in bad {
        let reply = account.revoke(&issued, Some(reason));
        assert_eq!(reply.in_short(), "400 badRevocationReason", "{reason}");
    }
    let url = client.url("revokeCert");
    for reason in [json!("keyCompromise"), json!(1.5), json!([1])] {
        let mut asked = issued.revocation(None);
        asked["reason"] = reason.clone();
        assert_eq!(
            account.send(&url, &asked).in_short(),
            "400 malformed",
            "{reason}"
        );
    }
    let refused = authority.revoke(&issued.serial(), "certificateHold");
    assert!(!refused.status.success(), "{}", refused.stdout);
    calm.holds_and_counted(&authority, bad.len() + 3);
    assert_eq!(
        authority.told(&["cert", "show", &issued.serial()])[0]["status"],
        "good"
    );
}

#[test]
fn d3_each_reason_is_on_the_crl_as_it_was_given() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let cases = [
        (None, None),
        (Some(0), None),
        (Some(1), Some(RevocationReason::KeyCompromise)),
        (Some(3), Some(RevocationReason::AffiliationChanged)),
        (Some(4), Some(RevocationReason::Superseded)),
        (Some(5), Some(RevocationReason::CessationOfOperation)),
        (Some(9), Some(RevocationReason::PrivilegeWithdrawn)),
    ];
    let issued: Vec<(Issued, Option<RevocationReason>)> = cases
        .into_iter()
        .map(|(code, expected)| {
            let issued = account.issue(&["a.test"]);
            assert_eq!(account.revoke(&issued, code).status, 200, "{code:?}");
            (issued, expected)
        })
        .collect();
    for (issued, expected) in &issued {
        let crl = listed(issued);
        assert_eq!(reason_on(&crl, &issued.leaf().serial()), *expected);
        // 0 is the absence of a reason (RFC 5280 §5.3.1), for other readers too.
        let text = openssl::crl_text(&authority, &crl);
        assert!(!text.contains("Unspecified"), "{text}");
    }
}

#[test]
fn d6_a_fresh_crl_has_no_empty_list() {
    let authority = Authority::start();
    let crls = authority.told(&["crl", "list"]);
    assert!(crls.len() > 2, "root and shards: {}", crls.len());
    let mut fresh = Vec::new();
    for listed in &crls {
        let (issuer, shard) = (&listed["issuer"], &listed["shard"]);
        let status = authority.status_listener();
        let url = format!("http://{status}/crl/{issuer}/{shard}.crl");
        let reply = Http::plain().get(&url);
        assert_eq!(
            (reply.status, reply.header("content-type")),
            (200, "application/pkix-crl")
        );
        let crl = Crl::parse(reply.body.to_vec()).expect("a CRL");
        assert_eq!(crl.entry_count(), 0, "{url}");
        // A list that speaks for all certificates of its issuer needs no name of its own.
        let shards = crls
            .iter()
            .filter(|other| other["issuer"] == *issuer)
            .count();
        assert_eq!(crl.idp_uri(), (shards > 1).then_some(url.as_str()));
        fresh.push(crl);
    }
    // All shards are made alike: the root's list and one of them go before another judge.
    for crl in [&fresh[0], &fresh[fresh.len() - 1]] {
        let structure = openssl::der_structure(&authority, crl.der());
        assert!(structure.contains("cons: SEQUENCE"), "{structure}");
        assert!(
            !structure.contains("l=   0 cons"),
            "an empty SEQUENCE: {structure}"
        );
        assert!(openssl::crl_text(&authority, crl).contains("No Revoked Certificates"));
    }
}

#[test]
fn d7_a_certificate_is_on_the_very_crl_that_it_names() {
    const CERTIFICATES: usize = 12;
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued: Vec<Issued> = (0..CERTIFICATES)
        .map(|_| account.issue(&["a.test"]))
        .collect();
    let urls: BTreeSet<String> = issued
        .iter()
        .flat_map(|i| i.leaf().crl_urls().to_vec())
        .collect();
    assert!(
        urls.len() > 1,
        "certificates are spread over shards: {urls:?}"
    );
    for issued in &issued {
        assert_eq!(account.revoke(issued, None).status, 200);
    }
    for issued in &issued {
        let crl = listed(issued);
        assert_eq!(
            crl.idp_uri(),
            issued.leaf().crl_urls().first().map(String::as_str)
        );
        let judged = issued.dossier(&authority).verify();
        assert!(
            judged.stderr.contains("certificate revoked"),
            "openssl: {}",
            judged.stderr
        );
        assert_eq!(
            judged_by_webpki(&authority, issued, &crl),
            Err(webpki::Error::CertRevoked)
        );
    }
}

/// The verifier that Rust programs have.
fn judged_by_webpki(
    authority: &Authority,
    issued: &Issued,
    crl: &Crl,
) -> Result<(), webpki::Error> {
    use rustls::pki_types::{CertificateDer, UnixTime};
    let root = chancery_pki::pem::decode(&authority.root_pem(), "CERTIFICATE", 1).expect("PEM");
    let root = CertificateDer::from(root[0].clone());
    let anchor = webpki::anchor_from_trusted_cert(&root).expect("an anchor");
    let chain: Vec<CertificateDer<'_>> = issued
        .chain()
        .into_iter()
        .map(CertificateDer::from)
        .collect();
    let crl: webpki::CertRevocationList<'_> = webpki::OwnedCertRevocationList::from_der(crl.der())
        .expect("a CRL for webpki")
        .into();
    let crls = [&crl];
    let revocation = webpki::RevocationOptionsBuilder::new(&crls)
        .expect("one CRL")
        .with_depth(webpki::RevocationCheckDepth::EndEntity)
        .build();
    let leaf = webpki::EndEntityCert::try_from(&chain[0]).expect("a leaf for webpki");
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &chain[1..],
        UnixTime::now(),
        webpki::KeyUsage::server_auth(),
        Some(revocation),
        None,
    )
    .map(drop)
}

#[test]
fn d10_only_its_account_its_key_and_the_operator_revoke() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let stranger = client.register();
    let issued = account.issue(&["a.test"]);
    let other = stranger.issue(&["b.test"]);
    let calm = authority.calm();
    let refused = [
        ("another account", stranger.revoke(&issued, None)),
        (
            "a key of nobody",
            by_key(&client, &new_key(), &issued, None),
        ),
        (
            "the account's key as a bare key",
            by_key(&client, &account.key, &issued, None),
        ),
        (
            "another certificate's key",
            by_key(&client, &other.key, &issued, None),
        ),
    ];
    for (who, reply) in &refused {
        assert_eq!(reply.in_short(), "403 unauthorized", "{who}");
    }
    calm.holds_and_counted(&authority, refused.len());
    assert_eq!(
        authority.told(&["cert", "show", &issued.serial()])[0]["status"],
        "good"
    );
    assert_eq!(by_key(&client, &issued.key, &issued, Some(1)).status, 200);
    let second = account.issue(&["a.test"]);
    assert_eq!(account.revoke(&second, None).status, 200);
    let third = account.issue(&["a.test"]);
    assert!(
        authority
            .revoke(&third.serial(), "superseded")
            .status
            .success()
    );
    for issued in [&issued, &second, &third] {
        listed(issued);
    }
}

#[test]
fn an_operator_sees_what_would_be_revoked_before_saying_yes() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let serial = issued.serial();
    let asked = authority.operator(&["cert", "revoke", &serial, "--reason", "superseded"]);
    assert!(
        asked.stdout.contains("would revoke") && asked.stdout.contains("a.test"),
        "{}",
        asked.stdout
    );
    assert_eq!(
        authority.told(&["cert", "show", &serial])[0]["status"],
        "good"
    );
    let revoked_at = Instant::now();
    assert!(authority.revoke(&serial, "superseded").status.success());
    listed(&issued);
    assert!(revoked_at.elapsed() < PUBLISHED_WITHIN);
    let unknown = authority.revoke("00112233445566778899aabbccddeeff00112233", "superseded");
    assert_eq!(unknown.status.code(), Some(1), "{}", unknown.stderr);
}
