//! What http-01 makes of odd web servers (failures B4, B5): an error in time, in little memory, without their words.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use chancery_testkit::hostile_http::{HostileHttp, Reply};
use chancery_tests::{Account, Authority, Setup, eventually, runtime};
use serde_json::Value;

const BYTES_MORE_MAX: u64 = 32 << 20;
/// One attempt to validate; twice that, for a machine that is busy.
const ATTEMPT_WITHIN: Duration = Duration::from_secs(20);
const SECRET: &str = "SECRET-123";

fn web(authority: &Authority) -> HostileHttp {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, authority.http_port()));
    runtime()
        .block_on(HostileHttp::start_on(addr))
        .expect("a web server")
}

/// The http-01 challenge of an authorization.
fn challenge(account: &Account<'_>, url: &str) -> Value {
    let object = account.read(url).json();
    let all = object["challenges"].as_array().cloned().unwrap_or_default();
    all.into_iter()
        .find(|challenge| challenge["type"] == "http-01")
        .expect("http-01")
}

struct Case {
    name: &'static str,
    /// The expected type of problem; none where the name is proven.
    problem: Option<&'static str>,
    script: Box<Script>,
}

/// Prepares the web server for a path with its key authorization.
type Script = dyn Fn(&HostileHttp, &str, &str);

fn case(
    name: &'static str,
    problem: &'static str,
    script: impl Fn(&HostileHttp, &str, &str) + 'static,
) -> Case {
    Case {
        name,
        problem: Some(problem),
        script: Box::new(script),
    }
}

fn answers(name: &'static str, problem: &'static str, reply: Reply) -> Case {
    case(name, problem, move |web, path, _| {
        web.on(path, [reply.clone()]);
    })
}

fn leads_to(name: &'static str, location: &str) -> Case {
    answers(name, "connection", Reply::redirect(302, location))
}

fn is_proven(name: &'static str, script: impl Fn(&HostileHttp, &str, &str) + 'static) -> Case {
    Case {
        name,
        problem: None,
        script: Box::new(script),
    }
}

fn cases() -> Vec<Case> {
    vec![
        is_proven("ten hops", |web, path, proof| {
            web.hops(path, 301, 10, Reply::page(200, proof));
        }),
        is_proven("a line break behind the answer", |web, path, proof| {
            web.on(path, [Reply::page(200, &format!("{proof}\r\n"))]);
        }),
        case("eleven hops", "connection", |web, path, proof| {
            web.hops(path, 302, 11, Reply::page(200, proof));
        }),
        answers(
            "a loop",
            "connection",
            Reply::RedirectToItself { status: 307 },
        ),
        case("303", "connection", |web, path, proof| {
            web.hops(path, 303, 1, Reply::page(200, proof));
        }),
        answers("no Location", "connection", Reply::page(302, "")),
        leads_to("ftp", "ftp://a.test/x"),
        leads_to("a file", "file:///etc/passwd"),
        leads_to("port 22", "http://a.test:22/x"),
        leads_to(
            "a host that swallowed the path",
            "https://bare.well-known/acme-challenge/x",
        ),
        leads_to("an address with a zone", "http://[fe80::1%25eth0]/x"),
        leads_to("credentials", "http://user:password@a.test/x"),
        leads_to("a path of 2001 octets", &format!("/{}", "x".repeat(2000))),
        answers(
            "a body of 10 MB",
            "incorrectResponse",
            Reply::HugeBody { octets: 10 << 20 },
        ),
        answers(
            "a body without end",
            "incorrectResponse",
            Reply::EndlessBody,
        ),
        answers(
            "headers of 10 MB",
            "connection",
            Reply::HugeHeaders { octets: 10 << 20 },
        ),
        answers(
            "another text",
            "incorrectResponse",
            Reply::page(200, SECRET),
        ),
        answers("an error page", "unauthorized", Reply::page(404, SECRET)),
        answers(
            "not HTTP",
            "connection",
            Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
        ),
        answers("nothing", "connection", Reply::Close),
    ]
}

#[test]
fn b4_odd_web_servers_get_an_error_in_time_and_in_little_memory() {
    let authority = Authority::start_with(Setup::new().without_web_host());
    let web = web(&authority);
    let client = authority.client();
    let account = client.register();
    let cases = cases();
    let names: Vec<String> = (0..cases.len()).map(|n| format!("n{n:02}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let order = account.order(&names);
    let before = authority.usage().rss_bytes;
    let calm = authority.calm();
    for (url, case) in order.authorizations().iter().zip(&cases) {
        let challenge = challenge(&account, url);
        let token = challenge["token"].as_str().expect("a token");
        let path = format!("/.well-known/acme-challenge/{token}");
        (case.script)(&web, &path, &account.key_authorization(token));
        account.respond(url, "http-01");
    }
    let mut said = String::new();
    for (url, case) in order.authorizations().iter().zip(&cases) {
        let object = account
            .decided(url, &["valid", "invalid"])
            .expect("an answer")
            .json();
        said += &object.to_string();
        match case.problem {
            None => assert_eq!(object["status"], "valid", "{}: {object}", case.name),
            Some(problem) => {
                assert_eq!(object["status"], "invalid", "{}: {object}", case.name);
                let kind = format!("urn:ietf:params:acme:error:{problem}");
                let told = challenge(&account, url)["error"].clone();
                assert_eq!(told["type"], kind.as_str(), "{}: {told}", case.name);
            }
        }
    }
    let after = authority.usage().rss_bytes;
    assert!(
        after < before + BYTES_MORE_MAX,
        "from {before} to {after} bytes"
    );
    calm.holds(&authority);

    // B5: what was fetched is nowhere: not with the client, not with the operator, not in the log.
    said += &account
        .look_at(&order)
        .expect("the order")
        .object
        .to_string();
    for line in authority.told(&["order", "list"]) {
        let id = line["id"].as_str().expect("an id").to_owned();
        said += &authority.told(&["order", "show", &id])[0].to_string();
    }
    said += &authority.output();
    assert!(said.contains("10 octets"), "its length may be told");
    assert!(!said.contains(SECRET), "{said}");
}

#[test]
fn b4_a_server_that_dribbles_does_not_hold_a_validation() {
    let authority = Authority::start_with(Setup::new().without_web_host());
    let web = web(&authority);
    let client = authority.client();
    let account = client.register();
    let second = Duration::from_secs(1);
    let replies = [
        (
            "slow-body.test",
            Reply::SlowBody {
                body: vec![b'x'; 87],
                every: second,
            },
        ),
        ("slow-headers.test", Reply::SlowHeaders { every: second }),
        ("silent.test", Reply::Silence),
    ];
    let names = replies.each_ref().map(|(name, _)| *name);
    let order = account.order(&names);
    let started = Instant::now();
    for url in order.authorizations() {
        let object = account.read(&url).json();
        let token = challenge(&account, &url)["token"]
            .as_str()
            .expect("a token")
            .to_owned();
        let name = object["identifier"]["value"].as_str().expect("a name");
        let reply = replies
            .iter()
            .find(|(of, _)| *of == name)
            .expect("its script")
            .1
            .clone();
        web.on(&format!("/.well-known/acme-challenge/{token}"), [reply]);
        account.respond(&url, "http-01");
    }
    // The first attempt tells its error while others are still to come.
    for url in order.authorizations() {
        let error = eventually("the first attempt is over", ATTEMPT_WITHIN, || {
            let error = challenge(&account, &url)["error"].clone();
            error.is_object().then_some(error)
        });
        assert_eq!(
            error["type"], "urn:ietf:params:acme:error:connection",
            "{error}"
        );
    }
    assert!(
        started.elapsed() < ATTEMPT_WITHIN + second,
        "{:?}",
        started.elapsed()
    );
    // Others are not kept waiting.
    let quick = account.order(&["quick.test"]);
    let url = quick.authorizations().remove(0);
    let token = challenge(&account, &url)["token"]
        .as_str()
        .expect("a token")
        .to_owned();
    let proof = account.key_authorization(&token);
    web.on(
        &format!("/.well-known/acme-challenge/{token}"),
        [Reply::page(200, &proof)],
    );
    account.respond(&url, "http-01");
    let object = account
        .decided(&url, &["valid", "invalid"])
        .expect("an answer")
        .json();
    assert_eq!(object["status"], "valid", "{object}");
}
