//! dehydrated, Debian's: a shell script that reads JSON with sed, files for http-01 and a hook for dns-01.

use std::path::PathBuf;
use std::process::Command;

use chancery_pki::pem;
use chancery_testkit::process::Finished;
use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, Setup, Webroot, openssl, script};

use super::{P256, RSA_2048, finish, is_a_good_chain_for, status_of, succeed, text_of};

/// dehydrated with a folder of its own, and the authority that it is used with.
pub(super) struct Dehydrated {
    program: PathBuf,
    hooks: Hooks,
    _web: Webroot,
    pub(super) authority: Authority,
}

impl Dehydrated {
    /// With more lines for its configuration, which is a shell script too.
    fn start(more: &str) -> Option<Self> {
        Self::start_with(Setup::new().without_web_host(), more)
    }

    pub(super) fn start_with(setup: Setup, more: &str) -> Option<Self> {
        let program = require("dehydrated")?;
        let terms = "https://a.test/terms";
        let authority = Authority::start_with(setup.set("gateway.server.terms_of_service", terms));
        let base = authority.scratch("dehydrated");
        let answers = base.join("answers");
        std::fs::create_dir_all(&answers).expect("a folder");
        let configuration = format!(
            "CA={}\nBASEDIR={}\nWELLKNOWN={}\nCONTACT_EMAIL=admin@a.test\nCURL_OPTS='--cacert {}'\n\
             KEYSIZE=2048\n{more}\n",
            authority.directory(),
            base.display(),
            answers.display(),
            authority.root().display(),
        );
        std::fs::write(base.join("config"), configuration).expect("a configuration");
        Some(Self {
            program,
            hooks: Hooks::open(authority.site()),
            _web: Webroot::serve(authority.http_port(), &answers),
            authority,
        })
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let configuration = self.authority.scratch("dehydrated/config");
        command.arg("--config").arg(configuration).args(words);
        command.env("HOOK_PORT", self.hooks.port().to_string());
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Finished {
        succeed(self.command(words))
    }

    fn path(&self, certificate: &str, file: &str) -> String {
        let certs = self.authority.scratch("dehydrated/certs");
        let path = certs.join(certificate).join(file);
        path.to_str().expect("a plain path").to_owned()
    }

    pub(super) fn chain(&self, certificate: &str) -> String {
        text_of(self.path(certificate, "fullchain.pem"))
    }
}

#[test]
fn dehydrated_registers_issues_by_files_renews_revokes_and_deactivates() {
    let Some(dehydrated) = Dehydrated::start("ACCOUNT_KEYSIZE=2048") else {
        return;
    };
    let authority = &dehydrated.authority;
    let refused = finish(dehydrated.command(&["--register"]));
    assert!(!refused.status.success(), "the terms were not agreed to");
    assert!(
        refused.stderr.contains("https://a.test/terms"),
        "{}",
        refused.stderr
    );
    dehydrated.run(&["--register", "--accept-terms"]);
    dehydrated.run(&["--account"]);

    let names = ["a.test", "www.a.test"];
    let cron = [
        "--cron",
        "--algo",
        "prime256v1",
        "--domain",
        "a.test www.a.test",
    ];
    dehydrated.run(&cron);
    let first = is_a_good_chain_for(authority, P256, &dehydrated.chain("a.test"), &names);
    dehydrated.run(&cron);
    assert_eq!(
        authority.certificates().len(),
        2,
        "ours, and one that is not due"
    );
    dehydrated.run(&[&cron[..], &["--force"]].concat());
    let second = is_a_good_chain_for(authority, P256, &dehydrated.chain("a.test"), &names);
    assert_ne!(first, second, "it is another certificate");

    dehydrated.run(&["--revoke", &dehydrated.path("a.test", "cert.pem")]);
    assert_eq!(status_of(authority, &second), "revoked");
    assert_eq!(status_of(authority, &first), "good");

    dehydrated.run(&["--deactivate"]);
    let refused = finish(dehydrated.command(&["--cron", "--domain", "b.test"]));
    assert!(!refused.status.success(), "the account is over");
    authority.check_invariants();
}

#[test]
fn dehydrated_gets_a_wildcard_by_dns_01_for_rsa() {
    let Some(dehydrated) = Dehydrated::start("ACCOUNT_KEY_ALGO=prime256v1") else {
        return;
    };
    dehydrated.run(&["--register", "--accept-terms"]);
    let hook = script("dehydrated_hook.sh");
    let hook = hook.to_str().expect("a plain path");
    let by_dns = [
        "--cron",
        "--algo",
        "rsa",
        "--challenge",
        "dns-01",
        "--hook",
        hook,
    ];
    let names = ["c.test", "*.c.test"];
    dehydrated.run(
        &[
            &by_dns[..],
            &["--domain", "c.test *.c.test", "--alias", "c"],
        ]
        .concat(),
    );
    is_a_good_chain_for(
        &dehydrated.authority,
        RSA_2048,
        &dehydrated.chain("c"),
        &names,
    );
}

/// It fetches the issuer from the URL in the certificate, whatever came with it.
#[test]
fn dehydrated_signs_a_foreign_request_and_finds_the_issuer_by_its_url() {
    let Some(dehydrated) = Dehydrated::start("ACCOUNT_KEYSIZE=2048") else {
        return;
    };
    dehydrated.run(&["--register", "--accept-terms"]);
    let path = |name: &str| {
        let path = dehydrated.authority.scratch(name);
        path.to_str().expect("a plain path").to_owned()
    };
    let (csr, key) = (path("d.csr"), path("d.key"));
    openssl::must(&[
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-subj",
        "/CN=d.test",
        "-addext",
        "subjectAltName=DNS:d.test",
        "-keyout",
        &key,
        "-out",
        &csr,
    ]);
    let signed = dehydrated.run(&["--signcsr", &csr, "--full-chain"]);
    let parts = signed.stdout.split_once("# CHAIN #\n");
    let (certificate, issuer) = parts.unwrap_or_else(|| panic!("two parts: {}", signed.stdout));
    let chain = certificate.replace("# CERT #\n", "");
    is_a_good_chain_for(&dehydrated.authority, RSA_2048, &chain, &["d.test"]);
    let issuer = pem::decode(issuer, "CERTIFICATE", 1).expect("one certificate");
    let chain = pem::decode(&chain, "CERTIFICATE", 2).expect("leaf and issuer");
    assert_eq!(issuer[0], chain[1], "the URL leads to what came with it");
}
