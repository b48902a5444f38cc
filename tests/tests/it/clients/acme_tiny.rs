//! acme-tiny, Debian's: RSA accounts, a nonce by GET before each request, files for the answers.

use std::fs;
use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::run;
use chancery_testkit::require;
use chancery_tests::{Authority, Setup, Webroot, openssl};

use super::is_a_good_chain;

#[test]
fn acme_tiny_issues_for_ecdsa_and_rsa() {
    let Some(program) = require("acme-tiny") else {
        return;
    };
    let authority = Authority::start_with(Setup::new().without_web_host());
    let path = |name: &str| {
        authority
            .scratch(name)
            .to_str()
            .expect("a plain path")
            .to_owned()
    };
    fs::create_dir(authority.scratch("answers")).expect("a folder");
    let _web = Webroot::serve(authority.http_port(), &authority.scratch("answers"));
    openssl::must(&["genrsa", "-out", &path("account.key"), "2048"]);
    let kinds = [
        (
            "ecdsa",
            &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"][..],
        ),
        ("rsa", &["-newkey", "rsa:2048"]),
    ];
    for (kind, key) in kinds {
        let csr = path(&format!("{kind}.csr"));
        let common = ["req", "-new", "-nodes", "-subj", "/CN=a.test"];
        let names = ["-addext", "subjectAltName=DNS:a.test,DNS:www.a.test"];
        let files = ["-keyout", &path(&format!("{kind}.key")), "-out", &csr];
        openssl::must(&[&common[..], key, &names, &files].concat());
        let mut command = Command::new(&program);
        command.args(["--account-key", &path("account.key"), "--csr", &csr]);
        command.args([
            "--acme-dir",
            &path("answers"),
            "--directory-url",
            authority.directory(),
        ]);
        command.args(["--disable-check", "--contact", "mailto:admin@a.test"]);
        command.env("SSL_CERT_FILE", authority.root());
        let finished = run(command, Duration::from_secs(120)).expect("it ends");
        assert!(finished.status.success(), "{kind}: {}", finished.stderr);
        is_a_good_chain(&authority, &finished.stdout, &["a.test", "www.a.test"]);
    }
}
