//! uacme, Debian's: a C program that trusts what the system trusts, with a hook for everything.

use std::path::PathBuf;
use std::process::Command;

use chancery_testkit::process::Finished;
use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, Setup, script, skip};

use super::{P256, RSA_2048, finish, is_a_good_chain_for, status_of, succeed, text_of};

/// The file that Debian's programs trust; in the client's own view of the file system our root stands in its place.
const SYSTEM_TRUST: &str = "/etc/ssl/certs/ca-certificates.crt";
const WITH_OUR_ROOT: &str = "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"";

/// uacme with a folder of its own, and the authority that it is used with.
pub(super) struct Uacme {
    program: PathBuf,
    /// Makes a view of the file system of its own, as root or as a user who is root there.
    view: Vec<&'static str>,
    pub(super) authority: Authority,
    hooks: Hooks,
}

impl Uacme {
    pub(super) fn start() -> Option<Self> {
        Self::start_with(Setup::new())
    }

    pub(super) fn start_with(setup: Setup) -> Option<Self> {
        let program = require("uacme")?;
        require("unshare")?;
        let view = own_view()?;
        let authority = Authority::start_with(setup);
        let hooks = Hooks::open(authority.site());
        Some(Self {
            program,
            view,
            authority,
            hooks,
        })
    }

    pub(super) fn command(&self, words: &[&str]) -> Command {
        self.command_with("uacme_hook.sh", words)
    }

    pub(super) fn command_with(&self, hook: &str, words: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(&self.view).args(["sh", "-c", WITH_OUR_ROOT]);
        command.arg(self.authority.root()).arg(SYSTEM_TRUST);
        command.arg(&self.program).args(["--verbose", "--yes"]);
        command.args(["--acme-url", self.authority.directory()]);
        command
            .arg("--confdir")
            .arg(self.authority.scratch("uacme"));
        command.arg("--hook").arg(script(hook)).args(words);
        command.env("HOOK_PORT", self.hooks.port().to_string());
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Finished {
        succeed(self.command(words))
    }

    pub(super) fn issue(&self, challenge: &str, words: &[&str]) {
        let mut command = self.command(words);
        command.env("CHALLENGE", challenge);
        succeed(command);
    }

    fn path(&self, file: &str) -> String {
        let path = self.authority.scratch("uacme").join(file);
        path.to_str().expect("a plain path").to_owned()
    }

    pub(super) fn chain(&self, name: &str) -> String {
        text_of(self.path(&format!("{name}/cert.pem")))
    }
}

/// The words for `unshare` that work here.
fn own_view() -> Option<Vec<&'static str>> {
    let ways = [vec!["--mount"], vec!["--map-root-user", "--mount"]];
    let works = |words: &Vec<&str>| {
        let mut command = Command::new("unshare");
        command.args(words);
        command.args(["mount", "--bind", SYSTEM_TRUST, SYSTEM_TRUST]);
        finish(command).status.success()
    };
    let way = ways.into_iter().find(works);
    if way.is_none() {
        skip("uacme trusts only what the system trusts, and no file can be mounted over that here");
    }
    way
}

#[test]
fn uacme_registers_issues_renews_revokes_and_deactivates() {
    let Some(uacme) = Uacme::start() else {
        return;
    };
    let authority = &uacme.authority;
    uacme.run(&["--type", "EC", "new", "admin@a.test"]);
    uacme.run(&["update", "other@a.test"]);
    let names = ["a.test", "www.a.test"];
    let issue = ["--type", "EC", "issue", "a.test", "www.a.test"];
    uacme.issue("http-01", &issue);
    let first = is_a_good_chain_for(authority, P256, &uacme.chain("a.test"), &names);

    let mut not_due = uacme.command(&issue);
    not_due.env("CHALLENGE", "http-01");
    assert_eq!(finish(not_due).status.code(), Some(1), "nothing was done");
    uacme.issue("http-01", &[&["--force"][..], &issue].concat());
    let second = is_a_good_chain_for(authority, P256, &uacme.chain("a.test"), &names);
    assert_ne!(first, second, "it is another certificate");

    uacme.run(&["--reason", "4", "revoke", &uacme.path("a.test/cert.pem")]);
    assert_eq!(status_of(authority, &second), "revoked");
    assert_eq!(status_of(authority, &first), "good");

    uacme.run(&["deactivate"]);
    let refused = finish(uacme.command(&["update", "again@a.test"]));
    assert!(!refused.status.success(), "the account is over");
    assert!(refused.stderr.contains("deactivated"), "{}", refused.stderr);
    authority.check_invariants();
}

#[test]
fn uacme_gets_a_wildcard_by_dns_01_for_rsa_and_revokes_by_the_certificates_key() {
    let Some(uacme) = Uacme::start() else {
        return;
    };
    let rsa = ["--type", "RSA", "--bits", "2048"];
    uacme.run(&[&rsa[..], &["new", "admin@a.test"]].concat());
    let names = ["c.test", "*.c.test"];
    uacme.issue("dns-01", &[&rsa[..], &["issue"], &names].concat());
    let serial = is_a_good_chain_for(&uacme.authority, RSA_2048, &uacme.chain("c.test"), &names);

    // Without its account's key, only the certificate's can speak.
    std::fs::remove_file(uacme.path("private/key.pem")).expect("the account's key");
    let (certificate, key) = (
        uacme.path("c.test/cert.pem"),
        uacme.path("private/c.test/key.pem"),
    );
    uacme.run(&["--reason", "1", "revoke", &certificate, &key]);
    let shown = uacme.authority.told(&["cert", "show", &serial]).remove(0);
    assert_eq!(shown["status"], "revoked");
    assert_eq!(shown["revocation_reason"], "keyCompromise");
}
