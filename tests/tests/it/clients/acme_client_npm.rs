//! acme-client of npm, driven by `clients/acme_client.js`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::run;
use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, script, skip};
use serde_json::Value;

use super::{is_a_good_chain, status_of};

/// The folder of modules that has it.
pub(super) fn modules() -> Option<PathBuf> {
    let tools = std::env::var_os("CHANCERY_TOOLS")
        .map(PathBuf::from)
        .unwrap_or_default();
    let modules = tools.join("npm/node_modules");
    if modules.join("acme-client/package.json").is_file() {
        return Some(modules);
    }
    skip("acme-client (npm) is not in CHANCERY_TOOLS");
    None
}

#[test]
fn acme_client_registers_issues_revokes_and_deactivates() {
    let (Some(node), Some(modules)) = (require("node"), modules()) else {
        return;
    };
    let authority = Authority::start();
    let hooks = Hooks::open(authority.site());
    let mut command = Command::new(node);
    command.arg(script("acme_client.js"));
    command
        .env("NODE_PATH", modules)
        .env("NODE_EXTRA_CA_CERTS", authority.root());
    command
        .env("DIRECTORY", authority.directory())
        .env("HOOK_PORT", hooks.port().to_string());
    let finished = run(command, Duration::from_secs(120)).expect("it ends");
    assert!(
        finished.status.success(),
        "{}{}",
        finished.stdout,
        finished.stderr
    );

    let steps: Vec<Value> = finished
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of = |step: &str| {
        steps
            .iter()
            .filter(|told| told["step"] == step)
            .collect::<Vec<_>>()
    };
    assert_eq!(of("account").len(), 2, "an ECDSA and an RSA account");
    let certificates = of("certificate");
    assert_eq!(certificates.len(), 6);
    let revoked: Vec<&str> = of("revoked")
        .iter()
        .filter_map(|told| told["chain"].as_str())
        .collect();
    assert_eq!(revoked.len(), 2);
    for told in certificates {
        let chain = told["chain"].as_str().expect("a chain");
        let names: Vec<&str> = told["names"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        if revoked.contains(&chain) {
            let leaf = chancery_pki::pem::decode(chain, "CERTIFICATE", 8)
                .expect("PEM")
                .remove(0);
            let leaf = chancery_pki::Certificate::parse(&leaf).expect("a certificate");
            assert_eq!(status_of(&authority, &leaf.serial().to_hex()), "revoked");
        } else {
            is_a_good_chain(&authority, chain, &names);
        }
    }
    for told in of("deactivated") {
        assert_eq!(told["status"], "deactivated");
        assert!(
            told["refused"]
                .as_str()
                .is_some_and(|why| why.contains("deactivated")),
            "{told}"
        );
    }
    authority.check_invariants();
}
