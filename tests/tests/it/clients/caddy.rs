//! Caddy, Debian's: a web server that gets and renews what it needs, with nobody looking.

use std::process::Command;

use chancery_testkit::require;
use chancery_tests::openssl::served_chain;
use chancery_tests::{Authority, Setup};
use serde_json::{Value, json};

use super::{
    P256, RSA_2048, Unattended, is_a_good_chain_for, served_after, short_lived,
    short_lived_directory,
};

/// Its server for redirects stays on the port of http-01; without, it would open that for each challenge and close it under
/// the next. One site for each name: it gets a certificate for each, of this kind of key, and looks each second whether one is due.
fn configuration(authority: &Authority, key_type: &str, names: &[&str], more: Value) -> Value {
    let mut issuer = json!({
        "module": "acme",
        "ca": short_lived_directory(authority),
        "email": "admin@a.test",
        "trusted_roots_pem_files": [authority.root()],
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        issuer[key] = value.clone();
    }
    let policy = json!({ "subjects": names, "key_type": key_type, "issuers": [issuer] });
    let site = json!({
        "match": [{ "host": names }],
        "handle": [{ "handler": "static_response", "body": "hello" }],
    });
    json!({
        "admin": { "disabled": true, "config": { "persist": false } },
        "storage": { "module": "file_system", "root": authority.scratch("store") },
        "apps": {
            "http": {
                "http_port": authority.http_port(),
                "https_port": authority.tls_port(),
                "servers": { "sites": {
                    "listen": [format!("127.0.0.1:{}", authority.tls_port())],
                    "routes": [site],
                } },
            },
            "tls": { "automation": { "renew_interval": "1s", "policies": [policy] } },
        },
    })
}

/// `more` is more of what Caddy is told of the authority.
pub(super) fn serves_and_renews(
    setup: Setup,
    (key_type, kind): (&str, &str),
    names: &[&str],
    more: impl FnOnce(&Authority) -> Value,
) {
    let Some(program) = require("caddy") else {
        return;
    };
    let authority = Authority::start_with(setup);
    let file = authority.scratch("caddy.json");
    let text = configuration(&authority, key_type, names, more(&authority)).to_string();
    std::fs::write(&file, text).expect("a configuration");
    let mut command = Command::new(program);
    command.arg("run").arg("--config").arg(&file);
    // Whatever it keeps besides is in the test's folder too.
    let home = authority.scratch("home");
    command
        .env("HOME", &home)
        .env("XDG_DATA_HOME", &home)
        .env("XDG_CONFIG_HOME", &home);
    let caddy = Unattended::start(command);

    let port = authority.tls_port();
    let first = names.iter().map(|name| {
        let chain = served_after(&authority, port, name, "");
        is_a_good_chain_for(&authority, kind, &chain, &[name]);
        chain
    });
    let first: Vec<String> = first.collect();
    for (name, before) in names.iter().zip(&first) {
        let chain = served_after(&authority, port, name, before);
        is_a_good_chain_for(&authority, kind, &chain, &[name]);
    }
    assert_eq!(served_chain(&authority, port, "b.test"), None);
    caddy.0.terminate().expect("it ends");
    authority.check_invariants();
}

pub(super) fn by_http_01(authority: &Authority) -> Value {
    json!({ "challenges": {
        "http": { "alternate_port": authority.http_port() },
        "tls-alpn": { "disabled": true },
    } })
}

/// The second certificates come when a third of the first ones' life is left, six seconds after those.
#[test]
fn caddy_serves_what_it_got_by_itself_and_renews_it_in_time() {
    serves_and_renews(short_lived(), ("p256", P256), &["a.test"], by_http_01);
}

#[test]
fn caddy_serves_and_renews_rsa_too() {
    let rsa = ("rsa2048", RSA_2048);
    serves_and_renews(short_lived(), rsa, &["a.test", "www.a.test"], by_http_01);
}
