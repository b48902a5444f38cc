//! tls-alpn-01 (RFC 8737), where nothing else is offered: who shows the certificate is the client itself, a companion of
//! it, or a server of ours for what the client wrote.

use std::fs;
use std::path::Path;
use std::process::Command;

use chancery_testkit::process::Program;
use chancery_testkit::require;
use chancery_tests::{Authority, Setup, TlsHost, csr_for, eventually, new_key, runtime};
use instant_acme::{ChallengeType, NewOrder};
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls_acme::UseChallenge;
use serde_json::json;

use super::{acme_client, chain_in};
use crate::clients::dehydrated::Dehydrated;
use crate::clients::instant_acme::{complete, dns, register};
use crate::clients::lego::Lego;
use crate::clients::rustls_acme::Server;
use crate::clients::uacme::Uacme;
use crate::clients::{
    P256, P384, RSA_2048, WITHIN, apache, caddy, is_a_good_chain_for, served_after, short_lived,
    short_lived_directory, succeed,
};

const NAMES: [&str; 2] = ["a.test", "www.a.test"];

fn alone() -> Setup {
    let setup = Setup::new().without_web_host();
    setup.set("gateway.server.challenges", "tls-alpn-01")
}

fn alone_and_short_lived() -> Setup {
    short_lived().set("gateway.short.challenges", "tls-alpn-01")
}

#[test]
fn lego_answers_tls_alpn_01_by_itself() {
    let Some(lego) = Lego::start_with(alone()) else {
        return;
    };
    let port = format!("127.0.0.1:{}", lego.authority.tls_port());
    lego.run(&NAMES, &["--tls", "--tls.port", &port, "run"]);
    is_a_good_chain_for(&lego.authority, P256, &lego.chain("a.test.crt"), &NAMES);
}

#[test]
fn dehydrated_writes_what_is_to_be_shown_for_tls_alpn_01() {
    let Some(dehydrated) = Dehydrated::start_with(alone(), "ACCOUNT_KEYSIZE=2048") else {
        return;
    };
    let authority = &dehydrated.authority;
    let written = authority.scratch("dehydrated/alpn-certs");
    let _tls = TlsHost::serve(authority.tls_port(), &written);
    dehydrated.run(&["--register", "--accept-terms"]);
    let domain = NAMES.join(" ");
    dehydrated.run(&["--cron", "--challenge", "tls-alpn-01", "--domain", &domain]);
    is_a_good_chain_for(authority, P384, &dehydrated.chain("a.test"), &NAMES);
}

#[test]
fn uacme_has_a_companion_that_answers_tls_alpn_01() {
    let (Some(ualpn), Some(uacme)) = (require("ualpn"), Uacme::start_with(alone())) else {
        return;
    };
    let authority = &uacme.authority;
    let socket = authority.scratch("ualpn.sock");
    let mut command = Command::new(&ualpn);
    let at = |port| format!("127.0.0.1@{port}");
    command.args(["--bind", &at(authority.tls_port())]);
    command.args(["--connect", &at(authority.spare_port())]);
    command.arg("--sock").arg(&socket);
    command.arg("--pidfile").arg(authority.scratch("ualpn.pid"));
    let _responder = Program::spawn(command).expect("it starts");
    eventually("ualpn listens", WITHIN, || socket.exists().then_some(()));

    uacme.run(&["--type", "EC", "new"]);
    let words = ["--type", "EC", "issue", "a.test", "www.a.test"];
    let mut command = uacme.command_with("uacme_alpn_hook.sh", &words);
    command.env("UALPN", ualpn).env("UALPN_SOCKET", socket);
    succeed(command);
    is_a_good_chain_for(authority, P256, &uacme.chain("a.test"), &NAMES);
}

#[test]
fn acme_client_makes_what_is_to_be_shown_for_tls_alpn_01() {
    let authority = Authority::start_with(alone());
    let folder = authority.scratch("shown");
    fs::create_dir(&folder).expect("a folder");
    let _tls = TlsHost::serve(authority.tls_port(), &folder);
    let Some(steps) = acme_client(&authority, "tls-alpn-01", &[("ALPN_FOLDER", folder)]) else {
        return;
    };
    is_a_good_chain_for(&authority, RSA_2048, chain_in(&steps), &NAMES);
}

#[test]
fn instant_acme_gives_the_digest_for_tls_alpn_01() {
    let authority = Authority::start_with(alone());
    let folder = authority.scratch("shown");
    fs::create_dir(&folder).expect("a folder");
    let _tls = TlsHost::serve(authority.tls_port(), &folder);
    let identifiers = dns(&NAMES);
    let chain = runtime().block_on(async {
        let account = register(&authority).await;
        let asked = NewOrder::new(&identifiers);
        let csr = csr_for(&new_key(), &NAMES);
        complete(
            &account,
            &asked,
            &csr,
            |_| ChallengeType::TlsAlpn01,
            |challenge| {
                let digest = challenge.key_authorization().digest();
                show(
                    &folder,
                    &challenge.identifier().to_string(),
                    digest.as_ref(),
                );
            },
        )
        .await
    });
    is_a_good_chain_for(&authority, P256, &chain, &NAMES);
}

/// Writes the certificate of RFC 8737 §3.
fn show(folder: &Path, name: &str, digest: &[u8]) {
    let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
    let identifier = CustomExtension::new_acme_identifier(digest);
    params.custom_extensions.push(identifier);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let file = |kind: &str| folder.join(format!("{name}.{kind}.pem"));
    fs::write(file("key"), key.serialize_pem()).expect("written");
    fs::write(file("crt"), certificate.pem()).expect("written");
}

#[test]
fn rustls_acme_answers_tls_alpn_01_where_it_serves() {
    let authority = Authority::start_with(alone_and_short_lived());
    let directory = short_lived_directory(&authority);
    let server = Server::start(&authority, &directory, UseChallenge::TlsAlpn01);
    let mut before = String::new();
    for _ in 0..2 {
        before = served_after(&authority, authority.tls_port(), "a.test", &before);
        is_a_good_chain_for(&authority, P256, &before, &NAMES);
    }
    let events = server.events();
    assert!(
        !events.iter().any(|said| said.contains("error")),
        "{events:?}"
    );
}

#[test]
fn caddy_answers_tls_alpn_01_where_it_serves() {
    caddy::serves_and_renews(
        alone_and_short_lived(),
        ("p256", P256),
        &["a.test"],
        |authority| {
            json!({ "challenges": {
            "http": { "disabled": true },
            "tls-alpn": { "alternate_port": authority.tls_port() },
        } })
        },
    );
}

#[test]
fn apache_answers_tls_alpn_01_where_it_serves() {
    let more = "Protocols http/1.1 acme-tls/1\nMDCAChallenges tls-alpn-01\nMDPrivateKeys P-256\n";
    apache::gets_and_renews(alone_and_short_lived(), &NAMES, P256, |_| more.to_owned());
}
