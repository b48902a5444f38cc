//! @root/acme of npm, driven by `clients/root_acme.js`: it polls by taking the challenge up again and again. It can
//! neither revoke nor end its account.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, script, skip};
use serde_json::Value;

use super::{P256, RSA_2048, is_a_good_chain_for, succeed};

/// The folder of modules that has it.
fn modules() -> Option<PathBuf> {
    let tools = std::env::var_os("CHANCERY_TOOLS")
        .map(PathBuf::from)
        .unwrap_or_default();
    let modules = tools.join("npm/node_modules");
    if modules.join("@root/acme/package.json").is_file() {
        return Some(modules);
    }
    skip("@root/acme (npm) is not in CHANCERY_TOOLS");
    None
}

/// Five of its seconds are its own.
#[test]
fn root_acme_registers_and_issues_again_and_again() {
    let (Some(node), Some(modules)) = (require("node"), modules()) else {
        return;
    };
    let authority = Authority::start();
    let hooks = Hooks::open(authority.site());
    let mut command = Command::new(node);
    command.arg(script("root_acme.js"));
    command
        .env("NODE_PATH", modules)
        .env("NODE_EXTRA_CA_CERTS", authority.root());
    command
        .env("DIRECTORY", authority.directory())
        .env("HOOK_PORT", hooks.port().to_string());
    let finished = succeed(command);

    let steps = finished.stdout.lines();
    let steps: Vec<Value> = steps
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let accounts = steps.iter().filter(|told| told["step"] == "account");
    let accounts: Vec<&Value> = accounts.collect();
    assert_eq!(accounts.len(), 2, "an ECDSA and an RSA account");
    for account in accounts {
        assert!(account["url"].is_string(), "{account}");
        assert_eq!(account["url"], account["again"], "it is found again");
    }
    let mut serials = BTreeSet::new();
    for told in steps.iter().filter(|told| told["step"] == "certificate") {
        let kind = if told["kind"] == "EC" { P256 } else { RSA_2048 };
        let chain = told["chain"].as_str().expect("a chain");
        let names = told["names"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(Value::as_str).collect();
        serials.insert(is_a_good_chain_for(&authority, kind, chain, &names));
    }
    assert_eq!(serials.len(), 5, "each is another");
    authority.check_invariants();
}
