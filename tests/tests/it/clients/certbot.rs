//! certbot, the newest of PyPI.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::{Finished, run};
use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, Setup, script};

use super::{is_a_good_chain, status_of};

const WITHIN: Duration = Duration::from_secs(120);

/// certbot with folders of its own, and the authority that it is used with.
pub(super) struct Certbot {
    program: PathBuf,
    pub(super) authority: Authority,
    hooks: Hooks,
}

impl Certbot {
    pub(super) fn start() -> Option<Self> {
        Self::start_with(Setup::new().without_web_host())
    }

    pub(super) fn start_with(setup: Setup) -> Option<Self> {
        let program = require("certbot")?;
        let authority = Authority::start_with(setup);
        let hooks = Hooks::open(authority.site());
        Some(Self {
            program,
            authority,
            hooks,
        })
    }

    pub(super) fn try_run(&self, words: &[&str]) -> Finished {
        let mut command = Command::new(&self.program);
        command
            .args(words)
            .args(["--non-interactive", "--server", self.authority.directory()]);
        for folder in ["config", "work", "logs"] {
            command
                .arg(format!("--{folder}-dir"))
                .arg(self.authority.scratch(folder));
        }
        command.env("REQUESTS_CA_BUNDLE", self.authority.root());
        command.env("HOOK_PORT", self.hooks.port().to_string());
        run(command, WITHIN).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn run(&self, words: &[&str]) -> Finished {
        let finished = self.try_run(words);
        assert!(
            finished.status.success(),
            "certbot {words:?}: {}{}",
            finished.stdout,
            finished.stderr
        );
        finished
    }

    pub(super) fn register(&self) {
        self.run(&[
            "register",
            "--agree-tos",
            "--email",
            "admin@a.test",
            "--no-eff-email",
        ]);
    }

    /// `certonly` by http-01, with certbot's own web server.
    pub(super) fn standalone(&self, key_type: &str, names: &[&str]) -> String {
        let port = self.authority.http_port().to_string();
        let mut words = vec!["certonly", "--standalone", "--key-type", key_type];
        words.extend(["--http-01-port", &port, "--http-01-address", "127.0.0.1"]);
        names.iter().for_each(|name| words.extend(["-d", *name]));
        self.run(&words);
        self.chain(names[0])
    }

    fn live(&self, lineage: &str, file: &str) -> PathBuf {
        self.authority
            .scratch("config")
            .join("live")
            .join(lineage)
            .join(file)
    }

    pub(super) fn chain(&self, lineage: &str) -> String {
        fs::read_to_string(self.live(lineage, "fullchain.pem")).expect("certbot wrote the chain")
    }
}

#[test]
fn certbot_registers_issues_renews_and_revokes_by_account() {
    let Some(certbot) = Certbot::start() else {
        return;
    };
    certbot.register();
    let names = ["a.test", "www.a.test", "mail.a.test"];
    let first = is_a_good_chain(
        &certbot.authority,
        &certbot.standalone("ecdsa", &names),
        &names,
    );

    certbot.run(&["renew", "--force-renewal", "--no-random-sleep-on-renew"]);
    let second = is_a_good_chain(&certbot.authority, &certbot.chain("a.test"), &names);
    assert_ne!(first, second, "it is another certificate");

    certbot.run(&[
        "revoke",
        "--cert-name",
        "a.test",
        "--reason",
        "superseded",
        "--no-delete-after-revoke",
    ]);
    assert_eq!(status_of(&certbot.authority, &second), "revoked");
    assert_eq!(status_of(&certbot.authority, &first), "good");
    let again = certbot.try_run(&[
        "revoke",
        "--cert-name",
        "a.test",
        "--no-delete-after-revoke",
    ]);
    assert!(!again.status.success());
    certbot.authority.check_invariants();
}

#[test]
fn certbot_issues_for_rsa_and_revokes_by_the_certificates_key() {
    let Some(certbot) = Certbot::start() else {
        return;
    };
    certbot.register();
    let names = ["b.test"];
    let serial = is_a_good_chain(
        &certbot.authority,
        &certbot.standalone("rsa", &names),
        &names,
    );
    let (cert, key) = (
        certbot.live("b.test", "cert.pem"),
        certbot.live("b.test", "privkey.pem"),
    );
    // Without its account, only the key can speak.
    fs::remove_dir_all(certbot.authority.scratch("config").join("accounts")).expect("accounts");
    certbot.run(&[
        "revoke",
        "--cert-path",
        cert.to_str().expect("a plain path"),
        "--key-path",
        key.to_str().expect("a plain path"),
        "--reason",
        "keycompromise",
        "--no-delete-after-revoke",
    ]);
    assert_eq!(status_of(&certbot.authority, &serial), "revoked");
    let shown = certbot.authority.told(&["cert", "show", &serial]).remove(0);
    assert_eq!(shown["revocation_reason"], "keyCompromise");
}

#[test]
fn certbot_gets_a_wildcard_by_dns_01() {
    let Some(certbot) = Certbot::start() else {
        return;
    };
    certbot.register();
    let hook = script("certbot_hook.sh");
    let hook = hook.to_str().expect("a plain path");
    let names = ["wild.test", "*.wild.test", "other.test"];
    let (auth, cleanup) = (format!("{hook} txt+"), format!("{hook} txt-"));
    let mut words = vec!["certonly", "--manual", "--preferred-challenges", "dns"];
    words.extend([
        "--manual-auth-hook",
        &auth,
        "--manual-cleanup-hook",
        &cleanup,
    ]);
    names.iter().for_each(|name| words.extend(["-d", *name]));
    certbot.run(&words);
    is_a_good_chain(&certbot.authority, &certbot.chain("wild.test"), &names);

    certbot.run(&["renew", "--force-renewal", "--no-random-sleep-on-renew"]);
    is_a_good_chain(&certbot.authority, &certbot.chain("wild.test"), &names);
}

#[test]
fn certbot_deactivates_its_account() {
    let Some(certbot) = Certbot::start() else {
        return;
    };
    certbot.register();
    let shown = certbot.run(&["show_account"]);
    assert!(shown.stdout.contains("admin@a.test"), "{}", shown.stdout);
    certbot.run(&["update_account", "--email", "other@a.test"]);
    let (accounts, kept) = (
        certbot.authority.scratch("config").join("accounts"),
        certbot.authority.scratch("kept"),
    );
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&accounts)
        .arg(&kept)
        .status();
    assert!(copied.is_ok_and(|status| status.success()));

    certbot.run(&["unregister"]);

    // With its key put back, the account is still over.
    fs::remove_dir_all(&accounts).expect("accounts");
    fs::rename(&kept, &accounts).expect("accounts");
    let refused = certbot.try_run(&["show_account"]);
    assert!(!refused.status.success(), "{}", refused.stdout);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("deactivated"), "{said}");
}
