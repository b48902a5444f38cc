//! Accounts that belong to somebody whom the operator knows (RFC 8555 §7.3.4), where none are made without.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

use chancery_jose::unb64;
use chancery_tests::{Authority, Setup, new_key, runtime};
use instant_acme::{Account, ExternalAccountKey};
use serde_json::json;

use super::{acme_client, chain_in};
use crate::clients::certbot::Certbot;
use crate::clients::dehydrated::Dehydrated;
use crate::clients::instant_acme::{NEW_ACCOUNT, issue};
use crate::clients::lego::Lego;
use crate::clients::uacme::Uacme;
use crate::clients::{
    P256, P384, RSA_2048, apache, caddy, finish, is_a_good_chain, is_a_good_chain_for, short_lived,
};

/// What an operator hands out.
struct Binding {
    kid: String,
    hmac_key: String,
}

fn create(authority: &Authority, words: &[&str]) -> Binding {
    let told = authority.told(&[&["eab", "create"][..], words].concat());
    let text = |key: &str| {
        let value = told[0][key].as_str();
        value
            .unwrap_or_else(|| panic!("{key}: {told:?}"))
            .to_owned()
    };
    Binding {
        kid: text("kid"),
        hmac_key: text("hmac_key"),
    }
}

fn demanding() -> Setup {
    let setup = Setup::new().without_web_host();
    setup.set("gateway.server.external_account_required", true)
}

fn demanding_and_short_lived() -> Setup {
    short_lived().set("gateway.short.external_account_required", true)
}

#[test]
fn certbot_needs_a_binding_that_serves_once() {
    let Some(certbot) = Certbot::start_with(demanding()) else {
        return;
    };
    let authority = &certbot.authority;
    let register = [
        "register",
        "--agree-tos",
        "--email",
        "admin@a.test",
        "--no-eff-email",
    ];
    let refused = certbot.try_run(&register);
    assert!(!refused.status.success(), "it has none");

    let binding = create(authority, &["--gateway", "server", "--single-use"]);
    let bound = [
        "--eab-kid",
        &binding.kid,
        "--eab-hmac-key",
        &binding.hmac_key,
    ];
    let bound = [&register[..], &bound].concat();
    certbot.run(&bound);
    is_a_good_chain_for(
        authority,
        P256,
        &certbot.standalone("ecdsa", &["a.test"]),
        &["a.test"],
    );

    std::fs::remove_dir_all(authority.scratch("config/accounts")).expect("its account");
    let refused = certbot.try_run(&bound);
    assert!(
        !refused.status.success(),
        "another account, the same binding"
    );
    authority.check_invariants();
}

#[test]
fn lego_binds_its_account() {
    let Some(lego) = Lego::start_with(demanding()) else {
        return;
    };
    let refused = finish(lego.command(&["a.test"], &["--http", "run"]));
    assert!(!refused.status.success(), "it has none");
    let binding = create(&lego.authority, &["--gateway", "server"]);
    let words = [
        "--eab",
        "--kid",
        &binding.kid,
        "--hmac",
        &binding.hmac_key,
        "run",
    ];
    lego.standalone(&["a.test"], &words);
    is_a_good_chain_for(
        &lego.authority,
        P256,
        &lego.chain("a.test.crt"),
        &["a.test"],
    );
}

#[test]
fn dehydrated_binds_its_account() {
    let Some(dehydrated) = Dehydrated::start_with(demanding(), "ACCOUNT_KEYSIZE=2048") else {
        return;
    };
    let authority = &dehydrated.authority;
    let register = ["--register", "--accept-terms"];
    let refused = finish(dehydrated.command(&register));
    assert!(!refused.status.success(), "it has none");
    let binding = create(authority, &["--gateway", "server"]);
    let lines = format!(
        "EAB_KID={}\nEAB_HMAC_KEY={}\n",
        binding.kid, binding.hmac_key
    );
    let configuration = OpenOptions::new()
        .append(true)
        .open(authority.scratch("dehydrated/config"));
    let written = configuration.and_then(|mut file| file.write_all(lines.as_bytes()));
    written.expect("two more lines");
    dehydrated.run(&register);
    dehydrated.run(&["--cron", "--domain", "a.test"]);
    is_a_good_chain_for(authority, P384, &dehydrated.chain("a.test"), &["a.test"]);
}

#[test]
fn uacme_binds_its_account() {
    let setup = Setup::new().set("gateway.server.external_account_required", true);
    let Some(uacme) = Uacme::start_with(setup) else {
        return;
    };
    let new = ["--type", "EC", "new"];
    let refused = finish(uacme.command(&new));
    assert!(!refused.status.success(), "it has none");
    let binding = create(&uacme.authority, &["--gateway", "server"]);
    let bound = format!("{}:{}", binding.kid, binding.hmac_key);
    uacme.run(&[&["--eab", &bound][..], &new].concat());
    uacme.issue("http-01", &["--type", "EC", "issue", "a.test"]);
    is_a_good_chain_for(&uacme.authority, P256, &uacme.chain("a.test"), &["a.test"]);
}

#[test]
fn acme_client_binds_its_account() {
    let setup = Setup::new().set("gateway.server.external_account_required", true);
    let authority = Authority::start_with(setup);
    let binding = create(&authority, &["--gateway", "server"]);
    let environment = [
        ("EAB_KID", PathBuf::from(binding.kid)),
        ("EAB_HMAC_KEY", PathBuf::from(binding.hmac_key)),
    ];
    let Some(steps) = acme_client(&authority, "binding", &environment) else {
        return;
    };
    is_a_good_chain_for(
        &authority,
        RSA_2048,
        chain_in(&steps),
        &["a.test", "www.a.test"],
    );
}

#[test]
fn instant_acme_binds_its_account() {
    let setup = Setup::new().set("gateway.server.external_account_required", true);
    let authority = Authority::start_with(setup);
    let binding = create(&authority, &["--gateway", "server"]);
    let key = unb64(&binding.hmac_key).expect("base64url");
    let key = ExternalAccountKey::new(binding.kid, &key);
    let chain = runtime().block_on(async {
        let builder = || Account::builder_with_root(authority.root()).expect("the root");
        let directory = || authority.directory().to_owned();
        let refused = builder().create(&NEW_ACCOUNT, directory(), None).await;
        let refused = refused.map(drop).expect_err("it has none");
        assert!(
            refused.to_string().contains("externalAccountRequired"),
            "{refused}"
        );
        let bound = builder()
            .create(&NEW_ACCOUNT, directory(), Some(&key))
            .await;
        let (account, _) = bound.expect("an account");
        issue(&account, authority.site(), &new_key(), &["a.test"]).await
    });
    is_a_good_chain(&authority, &chain, &["a.test"]);
}

#[test]
fn caddy_binds_its_account() {
    caddy::serves_and_renews(
        demanding_and_short_lived(),
        ("p256", P256),
        &["a.test"],
        |authority| {
            let binding = create(authority, &["--gateway", "short"]);
            let mut more = caddy::by_http_01(authority);
            more["external_account"] =
                json!({ "key_id": binding.kid, "mac_key": binding.hmac_key });
            more
        },
    );
}

#[test]
fn apache_binds_its_account() {
    let setup = demanding_and_short_lived();
    apache::gets_and_renews(setup, &["a.test", "www.a.test"], P256, |authority| {
        let binding = create(authority, &["--gateway", "short"]);
        format!(
            "MDCAChallenges http-01\nMDPrivateKeys P-256\nMDExternalAccountBinding {} {}\n",
            binding.kid, binding.hmac_key
        )
    });
}
