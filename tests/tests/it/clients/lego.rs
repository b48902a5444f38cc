//! lego, Debian's: one program for accounts and keys on curves and RSA, own web server, files, and a program for dns-01.

use std::path::PathBuf;
use std::process::Command;

use chancery_testkit::process::Finished;
use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, Setup, Webroot, script};

use super::{P256, P384, RSA_2048, finish, is_a_good_chain_for, status_of, succeed, text_of};

/// lego with a folder of its own, and the authority that it is used with.
pub(super) struct Lego {
    program: PathBuf,
    pub(super) authority: Authority,
    hooks: Hooks,
}

impl Lego {
    fn start() -> Option<Self> {
        Self::start_with(Setup::new().without_web_host())
    }

    pub(super) fn start_with(setup: Setup) -> Option<Self> {
        let program = require("lego")?;
        let authority = Authority::start_with(setup);
        let hooks = Hooks::open(authority.site());
        Some(Self {
            program,
            authority,
            hooks,
        })
    }

    pub(super) fn command(&self, names: &[&str], words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["--accept-tos", "--email", "admin@a.test"]);
        command.args(["--server", self.authority.directory()]);
        command.arg("--path").arg(self.authority.scratch("lego"));
        names.iter().for_each(|name| {
            command.args(["--domains", name]);
        });
        command.args(words);
        command.env("LEGO_CA_CERTIFICATES", self.authority.root());
        // The waits are for zones that take their time; ours is changed when the program ends.
        command
            .env("EXEC_PATH", script("lego_hook.sh"))
            .env("EXEC_SEQUENCE_INTERVAL", "1")
            .env("EXEC_POLLING_INTERVAL", "1");
        command.env("HOOK_PORT", self.hooks.port().to_string());
        command
    }

    pub(super) fn run(&self, names: &[&str], words: &[&str]) -> Finished {
        succeed(self.command(names, words))
    }

    /// By http-01 with lego's own web server.
    pub(super) fn standalone(&self, names: &[&str], words: &[&str]) {
        let port = format!("127.0.0.1:{}", self.authority.http_port());
        self.run(
            names,
            &[&["--http", "--http.port", &port][..], words].concat(),
        );
    }

    pub(super) fn chain(&self, file: &str) -> String {
        text_of(self.authority.scratch("lego/certificates").join(file))
    }
}

#[test]
fn lego_registers_issues_renews_and_revokes() {
    let Some(lego) = Lego::start() else {
        return;
    };
    let authority = &lego.authority;
    let names = ["a.test", "www.a.test", "mail.a.test"];
    lego.standalone(&names, &["run"]);
    let first = is_a_good_chain_for(authority, P256, &lego.chain("a.test.crt"), &names);

    // 47 days are more than the 30 that it waits for by itself.
    lego.standalone(&names, &["renew", "--no-random-sleep"]);
    assert_eq!(
        authority.certificates().len(),
        2,
        "ours, and one that is not due"
    );
    lego.standalone(&names, &["renew", "--days", "60", "--no-random-sleep"]);
    let second = is_a_good_chain_for(authority, P256, &lego.chain("a.test.crt"), &names);
    assert_ne!(first, second, "it is another certificate");

    lego.run(&["a.test"], &["revoke", "--keep", "--reason", "4"]);
    assert_eq!(status_of(authority, &second), "revoked");
    let shown = authority.told(&["cert", "show", &second]).remove(0);
    assert_eq!(shown["revocation_reason"], "superseded");
    assert_eq!(status_of(authority, &first), "good");
    let again = finish(lego.command(&["a.test"], &["revoke", "--keep"]));
    assert!(!again.status.success(), "only once");
    assert!(again.stderr.contains("alreadyRevoked"), "{}", again.stderr);
    authority.check_invariants();
}

#[test]
fn lego_issues_for_rsa_by_files() {
    let Some(lego) = Lego::start() else {
        return;
    };
    let answers = lego.authority.scratch("web/.well-known/acme-challenge");
    std::fs::create_dir_all(&answers).expect("a folder");
    let _web = Webroot::serve(lego.authority.http_port(), &answers);
    let web = lego.authority.scratch("web");
    let web = web.to_str().expect("a plain path");
    let words = ["--key-type", "rsa2048", "--http", "--http.webroot", web];
    lego.run(&["b.test", "www.b.test"], &[&words[..], &["run"]].concat());
    let names = ["b.test", "www.b.test"];
    is_a_good_chain_for(&lego.authority, RSA_2048, &lego.chain("b.test.crt"), &names);
}

/// Nothing of ours answers OCSP, so the certificate does not promise a staple, whatever the CSR asks for.
#[test]
fn lego_gets_a_certificate_for_a_request_that_wants_must_staple() {
    let Some(lego) = Lego::start() else {
        return;
    };
    let names = ["m.test"];
    lego.standalone(&names, &["run", "--must-staple"]);
    is_a_good_chain_for(&lego.authority, P256, &lego.chain("m.test.crt"), &names);
}

/// It files a renewed certificate under the first name in the old one, since ours have no common name, and that is the
/// name without the asterisk.
#[test]
fn lego_gets_a_wildcard_by_dns_01_and_renews_it_for_the_same_key() {
    let Some(lego) = Lego::start() else {
        return;
    };
    let names = ["c.test", "*.c.test"];
    let by_dns = ["--key-type", "ec384", "--dns", "exec", "--dns.disable-cp"];
    lego.run(&names, &[&by_dns[..], &["run"]].concat());
    let first = is_a_good_chain_for(&lego.authority, P384, &lego.chain("c.test.crt"), &names);
    let key = lego.chain("c.test.key");

    let renew = ["renew", "--days", "60", "--reuse-key", "--no-random-sleep"];
    lego.run(&names, &[&by_dns[..], &renew].concat());
    let second = is_a_good_chain_for(&lego.authority, P384, &lego.chain("c.test.crt"), &names);
    assert_ne!(first, second, "it is another certificate");
    assert_eq!(lego.chain("c.test.key"), key, "for the same key");
}
