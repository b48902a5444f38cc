//! pkilint's linters: no error on anything that the authority signs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chancery_crypto::{KeyKind, PrivateKey};
use chancery_pki::pem;
use chancery_testkit::process::run;
use chancery_testkit::require;
use chancery_tests::{Authority, Http, Issued, eventually, new_key};

/// Python starts slowly on a machine that is busy.
const WITHIN: Duration = Duration::from_secs(120);

fn has_no_error(linter: &Path, words: &[&str], file: &Path) {
    let mut command = Command::new(linter);
    command
        .arg("lint")
        .args(words)
        .args(["--severity", "ERROR"])
        .arg(file);
    let finished = run(command, WITHIN).unwrap_or_else(|error| panic!("{error}"));
    assert!(
        finished.status.success()
            && !finished.stdout.contains("ERROR")
            && !finished.stdout.contains("FATAL"),
        "{}: {}{}",
        file.display(),
        finished.stdout,
        finished.stderr
    );
}

fn certificate(authority: &Authority, linter: &Path, name: &str, der: &[u8]) {
    let file = authority.scratch(&format!("{name}.pem"));
    std::fs::write(&file, pem::encode("CERTIFICATE", der)).expect("a file in the test's folder");
    has_no_error(linter, &[], &file);
}

#[test]
fn pkilint_finds_no_error_in_certificates() {
    let Some(linter) = require("lint_pkix_cert") else {
        return;
    };
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let rsa = PrivateKey::generate(KeyKind::Rsa2048).expect("a key");
    // No wildcard: this linter holds names to RFC 5280, which has no word about wildcards (RFC 9525 does).
    let ecdsa = account.issue_for(new_key(), &["a.test", "www.a.test"]);
    let root = pem::decode(&authority.root_pem(), "CERTIFICATE", 1)
        .expect("PEM")
        .remove(0);
    certificate(&authority, &linter, "root", &root);
    certificate(&authority, &linter, "issuer", &ecdsa.chain()[1]);
    certificate(&authority, &linter, "ecdsa", &ecdsa.chain()[0]);
    certificate(
        &authority,
        &linter,
        "rsa",
        &account.issue_for(rsa, &["a.test"]).chain()[0],
    );
}

#[test]
fn pkilint_finds_no_error_in_crls() {
    let Some(linter) = require("lint_crl") else {
        return;
    };
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let crl = |name: &str, url: &str, kind: &str| {
        let reply = Http::plain().get(url);
        assert_eq!(reply.status, 200, "{url}");
        let file = authority.scratch(name);
        std::fs::write(&file, pem::encode("X509 CRL", &reply.body)).expect("a file");
        has_no_error(&linter, &["--type", kind, "--profile", "PKIX"], &file);
    };
    let url = |issued: &Issued| issued.leaf().crl_urls()[0].clone();
    let empty = account.issue(&["a.test"]);
    crl("empty.crl", &url(&empty), "CRL");
    for (n, reason) in [None, Some(1)].into_iter().enumerate() {
        let revoked = account.issue(&["a.test"]);
        assert_eq!(account.revoke(&revoked, reason).status, 200);
        eventually("it is on the CRL", Duration::from_secs(5), || {
            revoked
                .crl()
                .contains(&revoked.leaf().serial())
                .then_some(())
        });
        crl(&format!("revoked-{n}.crl"), &url(&revoked), "CRL");
    }
    let issuer = chancery_pki::Certificate::parse(&empty.chain()[1]).expect("a certificate");
    crl("root.crl", &issuer.crl_urls()[0], "ARL");
}
