//! What goes beyond the first steps of RFC 8555, with the clients that can do it.

mod account_keys;
mod addresses;
mod external_accounts;
mod profiles;
mod renewal_info;
mod tls_alpn_01;

use std::path::PathBuf;
use std::process::Command;

use chancery_testkit::require;
use chancery_tests::hooks::Hooks;
use chancery_tests::{Authority, script};
use serde_json::Value;

use super::{acme_client_npm, succeed};

/// Runs acme-client of npm with one of these; gives the steps that it told.
fn acme_client(
    authority: &Authority,
    what: &str,
    environment: &[(&str, PathBuf)],
) -> Option<Vec<Value>> {
    let (node, modules) = (require("node")?, acme_client_npm::modules()?);
    let hooks = Hooks::open(authority.site());
    let mut command = Command::new(node);
    command.arg(script("acme_client_extensions.js")).arg(what);
    command
        .env("NODE_PATH", modules)
        .env("NODE_EXTRA_CA_CERTS", authority.root());
    command
        .env("DIRECTORY", authority.directory())
        .env("HOOK_PORT", hooks.port().to_string());
    command.envs(environment.iter().map(|(key, value)| (key, value)));
    let finished = succeed(command);
    let lines = finished.stdout.lines();
    let steps = lines.map(|line| serde_json::from_str(line).expect("JSON"));
    Some(steps.collect())
}

/// The chain of the first certificate that was told.
fn chain_in(steps: &[Value]) -> &str {
    let told = steps.iter().find(|told| told["step"] == "certificate");
    let chain = told.and_then(|told| told["chain"].as_str());
    chain.unwrap_or_else(|| panic!("a certificate: {steps:?}"))
}
