//! Failures B5: what a target serves while a name is proven is told to nobody: not in the problem, not by the operator's
//! verbs, not in the log. A validator that repeats what it fetched reads the inside of a network aloud.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chancery_pki::San;
use chancery_testkit::hostile_alpn::{AltName, Answer, ChallengeCertificate, HostileAlpn};
use chancery_testkit::hostile_http::{HostileHttp, Reply};
use chancery_tests::{Account, Authority, Setup, eventually, runtime};

const SECRET: &str = "SECRET-123";
/// As it would stand in the name of a host.
const SECRET_NAME: &str = "secret-123.test";
/// A first attempt fails at once here; a busy machine takes longer.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(30);

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Answers with the secret in every place that an answer has.
fn replies(port: u16) -> Vec<Reply> {
    let raw = |text: String| Reply::Raw(text.into_bytes());
    let page = |status, name: &str| Reply::Page {
        status,
        headers: vec![(name.to_owned(), SECRET.to_owned())],
        body: SECRET.as_bytes().to_vec(),
    };
    vec![
        Reply::page(200, SECRET),
        Reply::page(404, SECRET),
        Reply::page(500, &SECRET.repeat(100)),
        page(401, "WWW-Authenticate"),
        page(200, "Content-Type"),
        raw(format!(
            "HTTP/1.1 500 {SECRET}\r\nContent-Length: 0\r\n\r\n"
        )),
        raw(format!("HTTP/1.1 {SECRET} OK\r\n\r\n")),
        raw(format!("SSH-2.0-{SECRET}\r\n")),
        raw(format!(
            "HTTP/1.1 200 OK\r\n{SECRET}: {SECRET}\r\nContent-Length: x{SECRET}\r\n\r\n"
        )),
        Reply::redirect(
            302,
            &format!("http://a.test:{port}/{SECRET}?token={SECRET}"),
        ),
        Reply::redirect(302, &format!("gopher://a.test/{SECRET}")),
        Reply::redirect(302, &format!("http://{SECRET}:{SECRET}@a.test/")),
        Reply::redirect(302, &format!("http://a.test:1/{SECRET}")),
        Reply::redirect(302, &format!("http://a.test/{SECRET} {SECRET}")),
    ]
}

/// Answers of a TLS server with the secret in them.
fn shown(name: &San, proof: &str) -> Vec<Answer> {
    let right = || ChallengeCertificate::right(name, proof);
    vec![
        Answer::Plain(format!("220 {SECRET} ESMTP\r\n").into_bytes()),
        Answer::Show(ChallengeCertificate::right(name, SECRET)),
        Answer::Show(right().but(|shown| shown.names = vec![AltName::Dns(SECRET_NAME.to_owned())])),
    ]
}

/// Takes a challenge up and waits until an attempt has failed; gives what the client is told.
fn failure(account: &Account<'_>, url: &str, kind: &str) -> String {
    account.respond(url, kind);
    eventually("an attempt fails", ATTEMPT_WITHIN, || {
        let challenge = account.challenge(url, kind);
        challenge["error"]
            .is_object()
            .then(|| challenge.to_string())
    })
}

#[test]
fn b5_what_targets_serve_is_told_to_nobody() {
    let authority = Authority::start_with(Setup::new().without_web_host().environment(
        "CHANCERY_LOG",
        "info,chancery_prover=trace,chancery_dial=trace,chancery_engine=trace,chancery_front=trace",
    ));
    let web = runtime().block_on(HostileHttp::start_on(local(authority.http_port())));
    let web = web.expect("a web server");
    web.otherwise([Reply::page(403, SECRET)]);
    let tls = runtime().block_on(HostileAlpn::start_on(local(authority.tls_port())));
    let tls = tls.expect("a TLS server");
    let client = authority.client();
    let account = client.register();
    let mut said = Vec::new();

    let replies = replies(authority.http_port());
    let asked = replies.len();
    for reply in replies {
        let url = account.order(&["h.test"]).authorizations().remove(0);
        let token = account.challenge(&url, "http-01")["token"].clone();
        let path = format!(
            "/.well-known/acme-challenge/{}",
            token.as_str().expect("a token")
        );
        web.on(&path, [reply]);
        said.push(failure(&account, &url, "http-01"));
    }
    assert!(web.requests().len() >= asked, "every answer was served");

    let san = San::parse("t.test").expect("a name");
    let count = shown(&san, "").len();
    for index in 0..count {
        let url = account.order(&["t.test"]).authorizations().remove(0);
        let token = account.challenge(&url, "tls-alpn-01")["token"].clone();
        let proof = account.key_authorization(token.as_str().expect("a token"));
        tls.on("t.test", shown(&san, &proof).swap_remove(index));
        said.push(failure(&account, &url, "tls-alpn-01"));
    }
    assert!(tls.hellos().len() >= count, "every certificate was shown");

    authority.site().add_dns01("d.test", SECRET);
    authority.site().add_dns01("d.test", &SECRET.repeat(20));
    let url = account.order(&["d.test"]).authorizations().remove(0);
    said.push(failure(&account, &url, "dns-01"));

    let orders = authority.told(&["order", "list"]);
    assert!(orders.len() >= said.len(), "every order is listed");
    for line in orders {
        said.push(line.to_string());
        let id = line["id"].as_str().expect("an id").to_owned();
        for verb in ["show", "why"] {
            said.push(authority.told(&["order", verb, &id])[0].to_string());
            said.push(authority.operator(&["order", verb, &id]).stdout);
        }
    }
    let log = authority.output();
    assert!(log.contains("ready "), "the log is looked at");
    said.push(log);
    for text in said {
        let lower = text.to_ascii_lowercase();
        assert!(!lower.contains(&SECRET.to_ascii_lowercase()), "{text}");
    }
}
