//! The form of signed requests (RFC 8555 §6.2, failures B6).

use chancery_tests::jws::Parts;
use serde_json::{Value, json};

use super::bench::story;

#[test]
fn b6_there_is_one_signature_in_one_form() {
    story(|bench, _| {
        let malformed = |case: &str, body: String| bench.refused(case, body, "400 malformed");
        let Parts {
            protected,
            payload,
            signature,
        } = bench.parts();
        let general = format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}}]}}"#
        );
        malformed("the general form", general);
        let Parts {
            protected,
            payload,
            signature,
        } = bench.parts();
        let two = format!(
            r#"{{"payload":"{payload}","signatures":[{{"protected":"{protected}","signature":"{signature}"}},{{"protected":"{protected}","signature":"{signature}"}}]}}"#
        );
        malformed("two signatures", two);
        let with_more = |more: &str| {
            let flattened = bench.parts().flattened();
            format!("{},{more}}}", flattened.trim_end_matches('}'))
        };
        malformed(
            "signatures beside signature",
            with_more(r#""signatures":[]"#),
        );
        malformed("an unprotected header", with_more(r#""header":{}"#));
        malformed(
            "an unprotected header with alg",
            with_more(r#""header":{"alg":"none"}"#),
        );
        malformed("an unknown member", with_more(r#""extra":1"#));
        let Parts {
            protected,
            payload,
            signature,
        } = bench.parts();
        malformed(
            "the compact form",
            format!("{protected}.{payload}.{signature}"),
        );
        malformed("an array", format!("[{}]", bench.parts().flattened()));
        malformed("two objects", format!("{0}{0}", bench.parts().flattened()));
        malformed("nothing", String::new());
        malformed("null", "null".to_owned());
        malformed(
            "not UTF-8 is not tried as text",
            "{\"protected\":\"\u{fffd}\"}".to_owned(),
        );
        let raw = [b"{\"protected\":\"".as_slice(), &[0xff, 0xfe], b"\"}"].concat();
        let reply = bench.client.post(&bench.account.url, raw);
        assert_eq!(
            reply.in_short(),
            "400 malformed",
            "octets that are no UTF-8"
        );
        let mut without = bench.parts();
        without.signature = String::new();
        malformed("an empty signature", without.flattened());
        14
    });
}

#[test]
fn b6_critical_extensions_are_not_skipped() {
    story(|bench, _| {
        let add = |name: &str, value: Value| {
            bench.with(|header| drop(header.insert(name.to_owned(), value)))
        };
        let cases = [
            ("crit", add("crit", json!(["exp"]))),
            ("an empty crit", add("crit", json!([]))),
            ("b64 false", add("b64", json!(false))),
            ("b64 true", add("b64", json!(true))),
            (
                "b64 false and critical",
                bench.with(|header| {
                    header.insert("crit".into(), json!(["b64"]));
                    header.insert("b64".into(), json!(false));
                }),
            ),
        ];
        let count = cases.len();
        for (case, body) in cases {
            bench.refused(case, body, "400 malformed");
        }
        count
    });
}

#[test]
fn b6_nothing_is_said_twice_and_base64url_has_one_spelling() {
    story(|bench, _| {
        let malformed = |case: &str, body: String| bench.refused(case, body, "400 malformed");
        for member in ["protected", "payload", "signature"] {
            let flattened = bench.parts().flattened();
            let twice = format!(r#"{},"{member}":""}}"#, flattened.trim_end_matches('}'));
            malformed(&format!("{member} twice"), twice);
        }
        for member in ["alg", "kid", "url", "nonce"] {
            let header = bench.header();
            let value = header[member].clone();
            let text = header.to_string();
            let twice = format!(r#"{},"{member}":{value}}}"#, text.trim_end_matches('}'));
            malformed(
                &format!("{member} twice in the header"),
                bench.signed(&twice),
            );
        }
        // Each is signed as it stands, so that only its form is wrong.
        let key = &bench.account.key;
        let padded = |text: &str| format!("{text}=");
        let parts = bench.parts();
        malformed(
            "padding in the header",
            Parts::of_encoded(key, padded(&parts.protected), String::new()).flattened(),
        );
        let parts = bench.parts();
        malformed(
            "padding in the payload",
            Parts::of_encoded(key, parts.protected, "e30=".to_owned()).flattened(),
        );
        let mut parts = bench.parts();
        parts.signature.push_str("==");
        malformed("padding in the signature", parts.flattened());
        let parts = bench.parts();
        malformed(
            "bits beside the last octet",
            Parts::of_encoded(key, parts.protected, "e31".to_owned()).flattened(),
        );
        let mut parts = bench.parts();
        parts.signature = parts.signature.replace(['-', '_'], "+");
        parts.signature.replace_range(0..1, "+");
        malformed("the other alphabet", parts.flattened());
        let parts = bench.parts();
        malformed(
            "a line break",
            Parts::of_encoded(key, format!("{}\\n", parts.protected), String::new()).flattened(),
        );
        13
    });
}

#[test]
fn b6_the_url_is_that_of_the_request_to_the_letter() {
    story(|bench, authority| {
        let url = bench.account.url.clone();
        let port = authority.public().port();
        let status_port = authority.status_listener().port();
        let cases = [
            url.replace("127.0.0.1", "localhost"),
            url.replace("127.0.0.1", "ca.test"),
            url.replace(&port.to_string(), &status_port.to_string()),
            url.replace("https://", "http://"),
            url.replace("https://", "HTTPS://"),
            url.replace("/acme/", "/Acme/"),
            format!("{url}?x=1"),
            format!("{url}#x"),
            format!("{url}/"),
            format!(" {url}"),
            bench.client.url("newOrder"),
            String::new(),
        ];
        for other in &cases {
            let body = bench.with(|header| header["url"] = json!(other));
            bench.refused(other, body, "403 unauthorized");
        }
        bench.refused(
            "no url",
            bench.with(|header| drop(header.remove("url"))),
            "400 malformed",
        );
        // The same where the request itself goes to another spelling.
        let reply = bench
            .client
            .post(&format!("{url}?x=1"), bench.parts().flattened());
        assert_eq!(
            reply.status,
            400,
            "a query in the request: {}",
            reply.text()
        );
        cases.len() + 2
    });
}
