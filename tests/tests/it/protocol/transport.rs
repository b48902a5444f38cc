//! Media types, methods and HTTP versions (RFC 8555 §6.1–6.3).

use std::process::Command;
use std::time::Duration;

use chancery_testkit::process::run;
use chancery_testkit::require;
use chancery_tests::{Authority, Client, Http, Version};
use http::Method;
use serde_json::json;

#[test]
fn a_body_of_another_media_type_is_415() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let url = client.url("newOrder");
    let asked = json!({ "identifiers": [{ "type": "dns", "value": "a.test" }] });
    for media_type in [
        "application/json",
        "text/plain",
        "application/jose",
        "application/jose+json-x",
        "",
    ] {
        let body = account.sign(&url, Some(&asked));
        let reply = client.http.post(&url, media_type, body).expect("an answer");
        assert_eq!(reply.in_short(), "415 malformed", "{media_type:?}");
    }
    // Parameters and letter case do not matter.
    for media_type in [
        "application/jose+json; charset=utf-8",
        "Application/JOSE+JSON",
    ] {
        let body = account.sign(&url, Some(&asked));
        let reply = client.http.post(&url, media_type, body).expect("an answer");
        assert_eq!(reply.status, 201, "{media_type:?}: {}", reply.text());
    }
    calm.holds_and_counted(&authority, 5);
}

#[test]
fn resources_are_not_read_by_get() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    let order = &issued.order;
    let authorization = order.authorizations().remove(0);
    let challenge = account.read(&authorization).json()["challenges"][0]["url"].clone();
    let urls = [
        client.url("newAccount"),
        client.url("newOrder"),
        client.url("revokeCert"),
        order.url.clone(),
        order.finalize_url().to_owned(),
        authorization,
        challenge.as_str().expect("a URL").to_owned(),
        issued.url.clone(),
        account.url,
    ];
    for url in urls {
        for method in [
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            let reply = client.http.ask(method.clone(), &url);
            assert_eq!(reply.status, 405, "{method} {url}");
            assert_eq!(reply.header("allow"), "POST", "{method} {url}");
            if method != Method::HEAD {
                assert_eq!(reply.problem(), "malformed", "{method} {url}");
            }
        }
    }
}

#[test]
fn directory_and_nonces_are_for_everybody() {
    let authority = Authority::start();
    let client = authority.client();
    let directory = client.http.get(authority.directory());
    assert_eq!(
        (directory.status, directory.header("content-type")),
        (200, "application/json")
    );
    let nonce_url = client.url("newNonce");
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204)] {
        let reply = client.http.ask(method.clone(), &nonce_url);
        assert_eq!(reply.status, status, "{method}");
        assert_eq!(reply.header("cache-control"), "no-store");
        assert!(!reply.header("replay-nonce").is_empty());
        assert!(
            reply.header("link").contains("rel=\"index\""),
            "{}",
            reply.header("link")
        );
    }
    let known = client
        .http
        .get(&format!("https://{}/.well-known/acme", authority.public()));
    assert!(
        matches!(known.status, 301 | 302 | 307 | 308),
        "{}",
        known.status
    );
    assert!(
        known.header("location").ends_with("/directory"),
        "{}",
        known.header("location")
    );
}

#[test]
fn b12_only_the_canonical_path_leads_anywhere() {
    let authority = Authority::start();
    let client = authority.client();
    let base = format!("https://{}", authority.public());
    let paths = [
        "/acme//directory",
        "/acme/directory/",
        "/ACME/directory",
        "/acme/%64irectory",
        "/acme/server/../directory",
        "/acme/server%2fdirectory",
        "/acme/server/new-nonce/x",
        "/acme/serve/directory",
        "/acme/server-x/directory",
        "/",
    ];
    for path in paths {
        let reply = client.http.get(&format!("{base}{path}"));
        assert!(
            matches!(reply.status, 400 | 404),
            "{path}: {}",
            reply.status
        );
    }
}

#[test]
fn everything_works_over_http_2() {
    let authority = Authority::start();
    let http = Http::speaking(Version::Two, &authority.root_pem());
    let directory = http.get(authority.directory());
    assert_eq!(
        (directory.status, directory.version),
        (200, http::Version::HTTP_2)
    );
    let client = Client::connect(http, authority.directory(), authority.site().clone());
    let issued = client.register().issue(&["a.test", "*.b.test"]);
    assert_eq!(issued.leaf().sans().len(), 2);
}

#[test]
fn curl_agrees_on_http_2() {
    let Some(curl) = require("curl") else { return };
    let authority = Authority::start();
    for (option, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let mut command = Command::new(&curl);
        command.args([
            option,
            "--silent",
            "--show-error",
            "--output",
            "/dev/null",
            "--write-out",
        ]);
        command
            .arg("%{http_code} %{http_version}")
            .arg("--cacert")
            .arg(authority.root());
        command.arg(authority.directory());
        let finished = run(command, Duration::from_secs(20)).expect("curl ends");
        assert_eq!(
            finished.stdout.trim(),
            format!("200 {version}"),
            "{}",
            finished.stderr
        );
    }
}
