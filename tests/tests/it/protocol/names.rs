//! Names in orders (RFC 8555 §7.1.3, failures C2–C4).

use chancery_tests::{Account, Authority, Reply};
use serde_json::{Value, json};

fn ask(account: &Account<'_>, kind: &str, values: &[String]) -> Reply {
    let identifier = |value: &String| json!({ "type": kind, "value": value });
    let asked = json!({ "identifiers": values.iter().map(identifier).collect::<Vec<_>>() });
    account.send(&account.client.url("newOrder"), &asked)
}

fn is_refused(account: &Account<'_>, kind: &str, value: &str) {
    let reply = ask(account, kind, &[value.to_owned()]);
    assert!(
        ["400 malformed", "400 rejectedIdentifier"].contains(&reply.in_short().as_str()),
        "{kind} {value:?}: {} {}",
        reply.in_short(),
        reply.text()
    );
}

#[test]
fn c2_wildcards_and_labels_are_strict() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let label = "a".repeat(64);
    let long = format!("{}.{0}.{0}.{}.test", "a".repeat(63), "a".repeat(57));
    assert_eq!(long.len(), 254);
    let names = [
        "*",
        "*.",
        "*.*",
        "*.*.a.test",
        "a.*.test",
        "f*o.test",
        "*o.test",
        "**.a.test",
        "*.com",
        "*.test",
        "",
        ".",
        "..",
        "a..b",
        ".a.test",
        "a.test.",
        "a.test..",
        "-a.test",
        "a-.test",
        "ab--c.test",
        "a_b.test",
        "_a.test",
        "a b.test",
        "a.test ",
        "\ta.test",
        "a.test\n",
        "a,b.test",
        "a/b.test",
        "a.test/x",
        "a.test:80",
        "http://a.test",
        "user@a.test",
        "a.te\u{0}st",
        "ä.test",
        "a.123",
        "test",
        "127.0.0.1",
        "1.2.3",
        "::1",
        "[::1]",
        "0x7f.1",
        "2130706433",
        &format!("{label}.test"),
        &long,
        &"a.".repeat(5000),
    ];
    for name in names {
        is_refused(&account, "dns", name);
    }
    for address in [
        "::0001",
        "0:0:0:0:0:0:0:1",
        "2001:DB8::1",
        "fe80::1%eth0",
        "1.2.3",
        "01.2.3.4",
        "a.test",
        "[::1]",
        "",
    ] {
        is_refused(&account, "ip", address);
    }
    let unknown = ask(&account, "email", &["a@a.test".to_owned()]);
    assert_eq!(unknown.in_short(), "400 unsupportedIdentifier");
    calm.holds_and_counted(&authority, names.len() + 10);
}

#[test]
fn c2_letter_case_does_not_matter() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let reply = account.ask_order(&["WWW.Example.TEST", "*.Example.Test"]);
    assert_eq!(reply.status, 201, "{}", reply.text());
    let values: Vec<Value> = reply.json()["identifiers"]
        .as_array()
        .expect("identifiers")
        .iter()
        .map(|identifier| identifier["value"].clone())
        .collect();
    assert!(values.contains(&json!("www.example.test")), "{values:?}");
    assert!(values.contains(&json!("*.example.test")), "{values:?}");
}

#[test]
fn c2_each_bad_name_of_an_order_is_told() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let reply = account.ask_order(&["good.test", "-bad.test", "also..bad"]);
    let told = reply.json();
    let about: Vec<&str> = told["subproblems"]
        .as_array()
        .expect("subproblems")
        .iter()
        .filter_map(|problem| problem["identifier"]["value"].as_str())
        .collect();
    assert_eq!(about, ["-bad.test", "also..bad"], "{told}");
}

/// Every string of one octet value, and of two: as characters, since JSON carries nothing else.
#[test]
fn c3_short_names_are_refused_and_harmless() {
    const TOGETHER: usize = 400;
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let all = || (0..=255_u8).map(char::from);
    let strings = all()
        .map(String::from)
        .chain(all().flat_map(|a| all().map(move |b| String::from_iter([a, b]))));
    // What may be a name by its letters is refused by another rule, and not beside what is no name at all.
    let plain = |c: char| c.is_ascii_alphanumeric();
    let (words, rest): (Vec<String>, Vec<String>) =
        strings.partition(|text| text.chars().all(plain));
    let mut refused = 0;
    for word in &words {
        is_refused(&account, "dns", word);
    }
    for batch in rest.chunks(TOGETHER) {
        let reply = ask(&account, "dns", batch);
        assert_eq!(reply.status, 400, "{batch:?}: {}", reply.text());
        assert_ne!(reply.problem(), "serverInternal");
        let told = reply.json()["subproblems"].as_array().map_or(0, Vec::len);
        assert_eq!(
            told,
            batch.len(),
            "every one of {batch:?} is refused: {}",
            reply.text()
        );
        refused += 1;
    }
    assert!(refused > 150, "{refused} orders were tried");
    calm.holds_and_counted(&authority, refused + words.len());
}

#[test]
fn c4_only_a_labels_that_survive_the_round_trip_are_taken() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let names = [
        "xn--example-.org",
        "example.org.xn--",
        "xn--.test",
        "xn--a.test",
        "xn---.test",
        "xn--\u{fc}.test",
        "xn--zzzzzzzzzzzzzzzz9999.test",
        // "A" and a combining diaeresis: not in normal form C.
        "xn--a-ccb.test",
        "b\u{fc}cher.test",
        "\u{ff41}.test",
        "a\u{3002}test",
    ];
    for name in names {
        is_refused(&account, "dns", name);
        is_refused(&account, "dns", &format!("*.{name}"));
    }
    let reply = account.ask_order(&["xn--bcher-kva.test", "*.xn--bcher-kva.test"]);
    assert_eq!(reply.status, 201, "{}", reply.text());
    calm.holds_and_counted(&authority, 2 * names.len());
}
