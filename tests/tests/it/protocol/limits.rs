//! What is limited, what is not, and how a client is told (RFC 8555 §6.6, RFC 9773 §5; failures A20).

use chancery_tests::{Account, Authority, Reply, Setup, csr_for, new_key};
use serde_json::{Value, json};

const OFF: [&str; 5] = [
    "accounts_per_address",
    "orders_per_account",
    "orders_per_name",
    "orders_per_exact_set",
    "failures_per_name",
];

/// An authority that limits one thing only.
fn limiting(what: &str, rate: &str) -> Authority {
    let mut setup = Setup::new().set("limits.enabled", true);
    for name in OFF {
        let rate = if name == what { rate } else { "off" };
        setup = setup.set(&format!("limits.{name}"), rate);
    }
    Authority::start_with(setup)
}

/// Looks at a refusal for a limit, and gives the seconds that it asks for.
fn limited(reply: &Reply) -> u64 {
    assert_eq!(reply.in_short(), "429 rateLimited", "{}", reply.text());
    let secs = reply.header("retry-after").parse().expect("seconds");
    assert!(
        reply.detail().contains(&format!("try again in {secs} s")),
        "{}",
        reply.detail()
    );
    secs
}

fn refused_by(authority: &Authority, limit: &str) -> f64 {
    let name = format!("chancery_rate_limited_total{{limit=\"{limit}\"}}");
    authority.metric(&name).expect("it is counted")
}

fn replace(account: &Account<'_>, name: &str, cert_id: &str) -> Reply {
    let identifier = json!({ "type": "dns", "value": name });
    let asked = json!({ "identifiers": [identifier], "replaces": cert_id });
    account.send(&account.client.url("newOrder"), &asked)
}

#[test]
fn orders_of_an_account_are_limited_and_the_client_learns_when_and_why() {
    let authority = limiting("orders_per_account", "3/1h");
    let client = authority.client();
    let account = client.register();
    for name in ["a.test", "b.test", "c.test"] {
        assert_eq!(account.ask_order(&[name]).status, 201);
    }
    let refused = account.ask_order(&["d.test"]);
    let secs = limited(&refused);
    assert!((1100..=1200).contains(&secs), "a third of an hour: {secs}");
    let link = refused.header("link");
    let help = link
        .split(',')
        .find(|one| one.contains("rel=\"help\""))
        .expect("a link to a page about it");
    let url = help.trim().trim_start_matches('<');
    let url = url.split('>').next().expect("a URL");
    let page = client.http.get(url);
    assert_eq!(page.status, 200);
    assert!(
        page.text().contains("orders_per_account    3/1h"),
        "{}",
        page.text()
    );

    // Others are not concerned, and neither is what the account has under way.
    assert_eq!(client.register().ask_order(&["d.test"]).status, 201);
    assert!(refused_by(&authority, "orders_per_account") >= 1.0);
    let status = authority.told(&["status"]);
    let lines = status[0]["limits"].as_array().expect("limits").clone();
    let line = lines
        .iter()
        .find(|line| line["limit"] == "orders_per_account")
        .expect("it is told");
    assert_eq!(
        (&line["rate"], &line["refused"]),
        (&json!("3/1h"), &json!(1))
    );
    authority.check_invariants();
}

#[test]
fn orders_with_one_name_are_limited_for_all_accounts_and_the_name_is_told() {
    let authority = limiting("orders_per_name", "2/1h");
    let client = authority.client();
    let (one, other) = (client.register(), client.register());
    assert_eq!(one.ask_order(&["a.test", "b.test"]).status, 201);
    assert_eq!(other.ask_order(&["a.test", "c.test"]).status, 201);
    let refused = other.ask_order(&["a.test", "d.test"]);
    limited(&refused);
    let about = refused.json()["subproblems"].clone();
    assert_eq!(about.as_array().map(Vec::len), Some(1));
    assert_eq!(about[0]["identifier"]["value"], "a.test");
    // Nothing was taken from the other name.
    for _ in 0..2 {
        assert_eq!(other.ask_order(&["d.test"]).status, 201);
    }
    limited(&other.ask_order(&["d.test"]));
}

#[test]
fn orders_for_the_same_names_are_limited_in_whatever_order_they_stand() {
    let authority = limiting("orders_per_exact_set", "2/1h");
    let client = authority.client();
    let account = client.register();
    assert_eq!(account.ask_order(&["a.test", "b.test"]).status, 201);
    assert_eq!(account.ask_order(&["b.test", "a.test"]).status, 201);
    limited(&account.ask_order(&["A.test", "b.test"]));
    assert_eq!(account.ask_order(&["a.test"]).status, 201);
    assert_eq!(
        client.register().ask_order(&["a.test", "b.test"]).status,
        201
    );
}

#[test]
fn a_name_that_fails_again_and_again_waits_and_another_does_not() {
    let authority = limiting("failures_per_name", "2/1h");
    let client = authority.client();
    let account = client.register();
    for _ in 0..2 {
        let order = account.order(&["a.test"]);
        // Nobody published the answer: the web host answers 404, which is final.
        let url = &order.authorizations()[0];
        account.respond(url, "http-01");
        account.decided(url, &["invalid"]).expect("it fails");
    }
    let refused = account.ask_order(&["a.test", "b.test"]);
    limited(&refused);
    assert_eq!(
        refused.json()["subproblems"][0]["identifier"]["value"],
        "a.test"
    );
    assert_eq!(account.ask_order(&["b.test"]).status, 201);
    assert_eq!(client.register().ask_order(&["a.test"]).status, 201);
}

#[test]
fn accounts_of_one_address_are_limited_and_known_keys_are_not() {
    let authority = limiting("accounts_per_address", "2/1h");
    let client = authority.client();
    let keys = [new_key(), new_key()];
    for key in &keys {
        assert_eq!(client.ask_account(key, None).status, 201);
    }
    limited(&client.ask_account(&new_key(), None));
    for key in &keys {
        assert_eq!(client.ask_account(key, None).status, 200);
    }
}

#[test]
fn a20_what_replaces_a_certificate_is_not_limited_and_is_done_once() {
    const CERTIFICATES: usize = 8;
    let authority = limiting("orders_per_account", &format!("{CERTIFICATES}/1d"));
    let client = authority.client();
    let account = client.register();
    let names: Vec<String> = (0..CERTIFICATES).map(|n| format!("n{n}.a.test")).collect();
    let issued: Vec<_> = names.iter().map(|name| account.issue(&[name])).collect();
    limited(&account.ask_order(&["more.a.test"]));
    for (name, issued) in names.iter().zip(&issued) {
        let placed = replace(&account, name, &issued.cert_id());
        assert_eq!(placed.status, 201, "{}", placed.text());
        let url = placed.header("location").to_owned();
        let order = chancery_tests::Order {
            url,
            object: placed.json(),
        };
        let ready = account.try_prove(&order).expect("proven");
        let key = new_key();
        let csr = csr_for(&key, &[name]);
        account.try_fetch(&ready, key, &csr).expect("a certificate");
        let again = replace(&account, name, &issued.cert_id());
        // Refused for what it is; being refused is what counts against the account.
        assert!(
            matches!(
                again.in_short().as_str(),
                "409 alreadyReplaced" | "429 rateLimited"
            ),
            "{}",
            again.text()
        );
    }
    authority.check_invariants();
}

#[test]
fn a20_a_second_replacement_is_told_so_and_refused_ones_are_counted() {
    let authority = limiting("orders_per_account", "4/1d");
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["a.test"]);
    assert_eq!(replace(&account, "a.test", &issued.cert_id()).status, 201);
    for _ in 0..3 {
        let again = replace(&account, "a.test", &issued.cert_id());
        assert_eq!(again.in_short(), "409 alreadyReplaced");
    }
    limited(&replace(&account, "a.test", &issued.cert_id()));
}

#[test]
fn a_rate_that_is_none_is_named() {
    for rate in ["many", "0/1h", "5/0s", "5/h", "5/1w", "-5/1h", ""] {
        let mut authority = Authority::prepare(
            Setup::new()
                .set("limits.enabled", true)
                .set("limits.orders_per_name", rate),
        );
        let refused = authority
            .try_serve()
            .expect_err("it cannot be used")
            .to_string();
        assert!(
            refused.contains("limits.orders_per_name") && refused.contains("300/3h"),
            "{rate}: {refused}"
        );
    }
}

#[test]
fn without_limits_the_page_says_so() {
    let authority = Authority::start();
    let client = authority.client();
    let told: Vec<Value> = authority.told(&["status"]);
    let lines = told[0]["limits"].as_array().expect("limits");
    assert!(lines.iter().all(|line| line["rate"].is_null()), "{lines:?}");
    let account = client.register();
    for _ in 0..30 {
        assert_eq!(account.ask_order(&["a.test"]).status, 201);
    }
}
