//! acmetool, Debian's: told once what is wanted, it gets, links and renews; RSA and EC keys, own web server, hooks.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, Setup, eventually, script};

use super::{
    P256, RSA_2048, WITHIN, finish, is_a_good_chain_for, short_lived, short_lived_directory,
    succeed, text_of,
};

/// It asks for agreement by this URL.
const TERMS: &str = "https://a.test/terms";

/// acmetool with folders of its own, and the authority that it is used with.
struct Acmetool {
    program: PathBuf,
    authority: Authority,
    hooks: Hooks,
}

impl Acmetool {
    /// For certificates of a usual life.
    fn start(key: &str) -> Option<Self> {
        let setup = Setup::new().without_web_host();
        let setup = setup.set("gateway.server.terms_of_service", TERMS);
        Self::start_with(setup, key, |authority| authority.directory().to_owned())
    }

    /// `key` is what its configuration says of keys.
    fn start_with(
        setup: Setup,
        key: &str,
        directory: impl Fn(&Authority) -> String,
    ) -> Option<Self> {
        let program = require("acmetool")?;
        let authority = Authority::start_with(setup);
        let configuration = authority.scratch("acmetool/conf");
        fs::create_dir_all(&configuration).expect("a folder");
        let responses =
            format!("\"acme-enter-email\": admin@a.test\n\"acme-agreement:{TERMS}\": true\n");
        fs::write(configuration.join("responses"), responses).expect("its answers");
        let target = format!(
            "request:\n  provider: {}\n  key: {key}\n  challenge:\n    http-self-test: false\n    \
             http-ports: [\"127.0.0.1:{}\"]\n",
            directory(&authority),
            authority.http_port(),
        );
        fs::write(configuration.join("target"), target).expect("its defaults");
        // Every file in the folder of hooks is one, so ours stands there alone.
        let folder = authority.scratch("hooks");
        fs::create_dir(&folder).expect("a folder");
        fs::copy(script("acmetool_hook.sh"), folder.join("zone")).expect("a hook");
        let hooks = Hooks::open(authority.site());
        Some(Self {
            program,
            authority,
            hooks,
        })
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--state")
            .arg(self.authority.scratch("acmetool"));
        command.arg("--hooks").arg(self.authority.scratch("hooks"));
        command.arg("--batch").args(words);
        command.env("SSL_CERT_FILE", self.authority.root());
        command.env("HOOK_PORT", self.hooks.port().to_string());
        command
    }

    fn chain(&self, name: &str) -> String {
        let live = self.authority.scratch("acmetool/live");
        text_of(live.join(name).join("fullchain"))
    }
}

#[test]
fn acmetool_registers_issues_and_renews_when_it_is_time() {
    let setup = short_lived().set("gateway.short.terms_of_service", TERMS);
    let Some(acmetool) = Acmetool::start_with(setup, "{type: ecdsa}", short_lived_directory) else {
        return;
    };
    let authority = &acmetool.authority;
    let names = ["a.test", "www.a.test"];
    succeed(acmetool.command(&["want", "a.test", "www.a.test"]));
    let chain = acmetool.chain("a.test");
    let first = is_a_good_chain_for(authority, P256, &chain, &names);
    assert_eq!(acmetool.chain("www.a.test"), chain);

    // What its timer does. It does nothing until a third of the certificate's life is left.
    let renewed = eventually("another certificate", WITHIN, || {
        succeed(acmetool.command(&["reconcile"]));
        Some(acmetool.chain("a.test")).filter(|now| *now != chain)
    });
    let second = is_a_good_chain_for(authority, P256, &renewed, &names);
    assert_ne!(first, second);
    authority.check_invariants();
}

/// Its own delays for dns-01 take five seconds.
#[test]
fn acmetool_gets_a_wildcard_by_dns_01_for_rsa() {
    let Some(acmetool) = Acmetool::start("{type: rsa, rsa-size: 2048}") else {
        return;
    };
    let names = ["*.c.test", "*.d.test"];
    succeed(acmetool.command(&["want", "*.c.test", "*.d.test"]));
    let chain = acmetool.chain("*.c.test");
    is_a_good_chain_for(&acmetool.authority, RSA_2048, &chain, &names);
}

#[test]
fn acmetool_does_nothing_without_agreement_to_the_terms() {
    let Some(acmetool) = Acmetool::start("{type: ecdsa}") else {
        return;
    };
    let others = "\"acme-enter-email\": admin@a.test\n\"acme-agreement:https://b.test\": true\n";
    let responses = acmetool.authority.scratch("acmetool/conf/responses");
    fs::write(responses, others).expect("other answers");
    let refused = finish(acmetool.command(&["want", "a.test"]));
    assert!(!refused.status.success(), "{}", refused.stderr);
    let issued = acmetool.authority.certificates();
    assert_eq!(issued.len(), 1, "only the server's own: {issued:?}");
}
