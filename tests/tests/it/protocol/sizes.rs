//! Sizes, depths and counts (failures B8): refused before they cost anything.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use chancery_jose::b64;
use chancery_tests::jws::{Parts, header, key_header};
use chancery_tests::{Account, Authority, Client, Http, Version, eventually, new_key};
use serde_json::json;

/// Processor time of one refusal, over this many of the same (the system counts in steps of 10 ms).
const CPU_MAX: Duration = Duration::from_millis(50);
const REPEATS: u32 = 10;
const BYTES_MORE_MAX: u64 = 32 << 20;
const BODY_BYTES: usize = 64 * 1024;

struct Case<'a> {
    name: &'static str,
    answer: &'static str,
    url: String,
    body: Box<dyn Fn() -> Vec<u8> + 'a>,
}

/// A signed request whose payload is `payload`, honest in everything else.
fn with_payload(account: &Account<'_>, url: &str, payload: &[u8]) -> Vec<u8> {
    let header = header(&account.key, &account.url, &account.client.nonce(), url).to_string();
    Parts::signed(&account.key, &header, payload)
        .flattened()
        .into_bytes()
}

fn identifiers(count: usize) -> Vec<u8> {
    let identifier = |n| json!({ "type": "dns", "value": format!("n{n}.b") });
    let all: Vec<_> = (0..count).map(identifier).collect();
    json!({ "identifiers": all }).to_string().into_bytes()
}

fn all_cost_little(authority: &Authority, cases: &[Case<'_>]) {
    // Over HTTP/2 a client hears of a refusal while it is still writing.
    let http = Http::speaking(Version::Two, &authority.root_pem());
    let client = Client::connect(http, authority.directory(), authority.site().clone());
    let before = authority.usage().rss_bytes;
    let calm = authority.calm();
    for case in cases {
        let bodies: Vec<Vec<u8>> = (0..REPEATS).map(|_| (case.body)()).collect();
        let cpu_before = authority.usage().cpu;
        for body in bodies {
            let reply = client.post(&case.url, body);
            assert_eq!(
                reply.in_short(),
                case.answer,
                "{}: {}",
                case.name,
                reply.detail()
            );
        }
        let each = (authority.usage().cpu - cpu_before) / REPEATS;
        assert!(each < CPU_MAX, "{}: {each:?} of processor time", case.name);
    }
    let after = authority.usage().rss_bytes;
    assert!(
        after < before + BYTES_MORE_MAX,
        "from {before} to {after} bytes"
    );
    calm.holds(authority);
}

#[test]
fn b8_bodies_that_are_too_large_too_deep_or_too_many_are_cheap_to_refuse() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let url = client.url("newOrder");
    let raw = |name, answer, body: Vec<u8>| Case {
        name,
        answer,
        url: url.clone(),
        body: Box::new(move || body.clone()),
    };
    let signed = |name, answer, payload: Vec<u8>| {
        let to = url.clone();
        Case {
            name,
            answer,
            url: url.clone(),
            body: Box::new({
                let account = &account;
                move || with_payload(account, &to, &payload)
            }),
        }
    };
    let dots = |count: usize| {
        let text = ".".repeat(count);
        format!(r#"{{"protected":"{text}","payload":"","signature":""}}"#).into_bytes()
    };
    // What base64url leaves of 64 KiB for a payload, after header and signature.
    let room = BODY_BYTES * 3 / 4 - 600;
    let deep = |open: &str| open.repeat(room / open.len()).into_bytes();
    let gzip = {
        let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
        bomb.extend([0xec, 0xc1, 0x01, 0x01, 0x00, 0x00, 0x00, 0x80, 0x90, 0xfe].repeat(3000));
        bomb
    };
    let cases = [
        raw("64 KiB of [", "400 malformed", vec![b'['; BODY_BYTES]),
        raw("64 KiB of {", "400 malformed", vec![b'{'; BODY_BYTES]),
        raw(
            "64 KiB of {\"a\":",
            "400 malformed",
            br#"{"a":"#.repeat(BODY_BYTES / 5),
        ),
        raw(
            "an octet more than 64 KiB",
            "413 malformed",
            vec![b'['; BODY_BYTES + 1],
        ),
        raw("a megabyte of dots", "413 malformed", dots(1_000_000)),
        raw("60,000 dots", "400 malformed", dots(60_000)),
        raw(
            "60,000 dots in no JSON",
            "400 malformed",
            vec![b'.'; 60_000],
        ),
        raw(
            "a text that never ends",
            "400 malformed",
            [b"{\"protected\":\"".to_vec(), vec![b'A'; 60_000]].concat(),
        ),
        raw("64 KiB of spaces", "400 malformed", vec![b' '; BODY_BYTES]),
        raw("64 KiB of quotes", "400 malformed", vec![b'"'; BODY_BYTES]),
        raw(
            "64 KiB of escapes",
            "400 malformed",
            [b"{\"".to_vec(), br"\u0000".repeat(10_000)].concat(),
        ),
        raw(
            "a number of 60,000 digits",
            "400 malformed",
            vec![b'9'; 60_000],
        ),
        raw("gzip", "400 malformed", gzip),
        signed("[ in the payload", "400 malformed", deep("[")),
        signed(
            "{\"identifiers\": in the payload",
            "400 malformed",
            deep(r#"{"identifiers":"#),
        ),
        signed(
            "a thousand identifiers",
            "400 malformed",
            identifiers(1_000),
        ),
        signed("1,100 identifiers", "400 malformed", identifiers(1_100)),
        signed("100,000 identifiers", "413 malformed", identifiers(100_000)),
        signed("a name of 40,000 octets", "400 malformed", {
            let name = "a.".repeat(20_000);
            json!({ "identifiers": [{ "type": "dns", "value": name }] })
                .to_string()
                .into_bytes()
        }),
    ];
    all_cost_little(&authority, &cases);
    assert_eq!(account.issue(&["a.test"]).order.status(), "valid");
}

#[test]
fn b8_enormous_keys_are_cheap_to_refuse() {
    let authority = Authority::start();
    let client = &authority.client();
    let url = client.url("newAccount");
    let key = &new_key();
    let rsa = |name, bits: usize, exponent: Vec<u8>| {
        let to = url.clone();
        Case {
            name,
            answer: "400 badPublicKey",
            url: url.clone(),
            body: Box::new(move || {
                let modulus = vec![0xc5; bits / 8];
                let mut header = key_header(key, &client.nonce(), &to);
                header["alg"] = json!("RS256");
                header["jwk"] = json!({ "kty": "RSA", "n": b64(&modulus), "e": b64(&exponent) });
                Parts::signed(key, &header.to_string(), b"{}")
                    .flattened()
                    .into_bytes()
            }),
        }
    };
    let large = [vec![1], vec![0; 7], vec![1]].concat();
    let cases = [
        rsa("16,384 bits with e = 2^64+1", 16_384, large.clone()),
        rsa("16,384 bits", 16_384, vec![1, 0, 1]),
        rsa("4,096 bits with e = 2^64+1", 4_096, large),
        rsa("200,000 bits", 200_000, vec![1, 0, 1]),
        rsa(
            "2,048 bits with an exponent of 2,048",
            2_048,
            vec![0xc5; 256],
        ),
    ];
    all_cost_little(&authority, &cases);
}

#[test]
fn b8_an_announced_length_is_not_believed() {
    let authority = Authority::start();
    let calm = authority.calm();
    let client = authority.client();
    let url = client.url("newOrder");
    let before = authority.usage().rss_bytes;
    for length in [
        "99999999999999999999999",
        "-1",
        "1e9",
        "18446744073709551615",
        "4294967296",
    ] {
        let told = over_tls(&authority, &url, length);
        assert!(told.starts_with("HTTP/1.1 4"), "{length}: {told}");
    }
    let after = authority.usage().rss_bytes;
    assert!(
        after < before + BYTES_MORE_MAX,
        "from {before} to {after} bytes"
    );
    calm.holds(&authority);
}

/// What is answered to a request whose length is a lie, as no HTTP library would write it.
fn over_tls(authority: &Authority, url: &str, length: &str) -> String {
    let host = authority.public().to_string();
    let path = url
        .strip_prefix(&format!("https://{host}"))
        .expect("a URL of this server");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/jose+json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{{}}"
    );
    let mut tls = Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-no_ign_eof",
            "-connect",
            &host,
            "-CAfile",
        ])
        .arg(authority.root())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl runs");
    let mut input = tls.stdin.take().expect("a pipe");
    input
        .write_all(request.as_bytes())
        .expect("the request is written");
    eventually("an answer", Duration::from_secs(20), || {
        tls.try_wait().ok().flatten()
    });
    let told = tls.wait_with_output().expect("it ended");
    drop(input);
    String::from_utf8_lossy(&told.stdout).into_owned()
}
