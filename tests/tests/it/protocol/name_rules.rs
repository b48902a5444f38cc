//! Which names a gateway takes (failures B15, C5): nothing where nothing is allowed, and no way around a rule by a
//! wildcard, by the case of letters or by a name that only looks like an allowed one.

use chancery_tests::{Authority, Client, Setup};
use serde_json::json;

const RULES: &str = r#"
[gateway.server]
names = { allow = ["accept.example.test"] }
[gateway.below]
names = { allow = ["*.Example.TEST"], deny = ["*.Excluded.Example.test", "ONE.example.test"] }
[gateway.nothing]
names = { allow = [] }
[gateway.both]
names = { allow = [], deny = ["*"] }
"#;

/// Orders each name alone and beside one that is taken, if there is such a one.
fn are_rejected(client: &Client, names: &[&str], beside: Option<&str>) -> usize {
    let account = client.register();
    let mut refused = 0;
    for name in names {
        let alone = std::iter::once(vec![*name]);
        for asked in alone.chain(beside.map(|good| vec![good, *name])) {
            let reply = account.ask_order(&asked);
            assert_eq!(
                reply.in_short(),
                "400 rejectedIdentifier",
                "{asked:?}: {}",
                reply.text()
            );
            refused += 1;
        }
    }
    refused
}

fn are_taken(client: &Client, names: &[&str]) {
    let account = client.register();
    for name in names {
        let reply = account.ask_order(&[name]);
        assert_eq!(reply.status, 201, "{name}: {}", reply.text());
    }
}

#[test]
fn c5_an_allowed_name_allows_neither_wildcards_nor_names_that_look_like_it() {
    let authority = Authority::start_with(Setup::new().configuration(RULES));
    let calm = authority.calm();
    let client = authority.client();
    are_taken(&client, &["accept.example.test", "ACCEPT.Example.Test"]);
    let refused = are_rejected(
        &client,
        &[
            "*.example.test",
            "*.EXAMPLE.test",
            "*.accept.example.test",
            "x.accept.example.test",
            "accept.example.test.evil.test",
            "xaccept.example.test",
            "Xaccept.Example.Test",
            "accept-example.test",
            "example.test",
            "other.example.test",
        ],
        Some("accept.example.test"),
    );
    calm.holds_and_counted(&authority, refused);
}

#[test]
fn c5_what_is_excluded_stays_so_in_other_letters_and_under_a_wildcard() {
    let authority = Authority::start_with(Setup::new().configuration(RULES));
    let calm = authority.calm();
    let client = authority.client_of("below");
    are_taken(
        &client,
        &[
            "a.example.test",
            "A.EXAMPLE.TEST",
            "*.b.example.test",
            "excluded.example.test",
            "one.a.example.test",
        ],
    );
    let refused = are_rejected(
        &client,
        &[
            "a.excluded.example.test",
            "A.EXCLUDED.EXAMPLE.TEST",
            "a.b.eXcLuDeD.example.test",
            "*.excluded.example.test",
            "*.EXCLUDED.Example.Test",
            "*.b.excluded.example.test",
            // It would stand for what is excluded.
            "*.example.test",
            "*.EXAMPLE.test",
            "one.example.test",
            "One.Example.Test",
            // Allowed is what lies below, not the name itself nor what ends in its letters.
            "example.test",
            "notexample.test",
            "a.notexample.test",
            "a.example.test.evil.test",
        ],
        Some("a.example.test"),
    );
    calm.holds_and_counted(&authority, refused);
}

#[test]
fn b15_where_nothing_is_allowed_every_order_is_rejected() {
    let authority = Authority::start_with(
        Setup::new()
            .configuration(RULES)
            .set("gateway.nothing.pre_authorization", true),
    );
    let calm = authority.calm();
    let mut refused = 0;
    for gateway in ["nothing", "both"] {
        let client = authority.client_of(gateway);
        refused += are_rejected(
            &client,
            &[
                "a.test",
                "*.a.test",
                "accept.example.test",
                "localhost.test",
            ],
            None,
        );
        let account = client.register();
        for address in ["10.0.0.1", "2001:db8::1"] {
            let asked = json!({ "identifiers": [{ "type": "ip", "value": address }] });
            let reply = account.send(&client.url("newOrder"), &asked);
            assert_eq!(reply.in_short(), "400 rejectedIdentifier", "{address}");
            refused += 1;
        }
    }
    // Nor is anything proven without an order.
    let client = authority.client_of("nothing");
    let account = client.register();
    let asked = json!({ "identifier": { "type": "dns", "value": "a.test" } });
    let reply = account.send(&client.url("newAuthz"), &asked);
    assert_eq!(reply.in_short(), "403 rejectedIdentifier");
    calm.holds_and_counted(&authority, refused + 1);
    let said = authority.output();
    for key in ["gateway.nothing.names.allow", "gateway.both.names.allow"] {
        assert!(said.contains(key), "the log warns of {key}: {said}");
    }
    assert!(!said.contains("gateway.server.names.allow"), "{said}");
}
