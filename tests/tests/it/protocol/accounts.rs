//! Accounts over time: their list of orders, terms that change, their end (RFC 8555 §7.1.2.1, §7.3.3, §7.3.6).

use std::collections::BTreeSet;
use std::time::Duration;

use chancery_tests::{Account, Authority, Http, Setup, eventually};
use http::Method;
use serde_json::json;

fn orders_url(account: &Account<'_>) -> String {
    let object = account.read(&account.url).json();
    object["orders"].as_str().expect("a list").to_owned()
}

/// The pages of the list, by the links that lead from one to the next.
fn pages(account: &Account<'_>) -> Vec<Vec<String>> {
    let mut url = Some(orders_url(account));
    let mut pages = Vec::new();
    while let Some(page) = url.take() {
        let reply = account.read(&page);
        assert_eq!(reply.status, 200, "{}", reply.text());
        let listed = reply.json()["orders"].as_array().cloned().expect("orders");
        let urls = listed
            .iter()
            .filter_map(|url| url.as_str().map(str::to_owned));
        pages.push(urls.collect());
        url = reply
            .headers
            .get_all("link")
            .iter()
            .filter_map(|link| link.to_str().ok())
            .find_map(|link| link.strip_prefix('<')?.strip_suffix(">;rel=\"next\""))
            .map(str::to_owned);
        assert!(pages.len() < 10, "it ends");
    }
    pages
}

#[test]
fn the_list_of_orders_has_every_order_that_came_to_something_or_may_still() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let stranger = client.register();
    assert_eq!(stranger.order(&["s.test"]).status(), "pending");
    let mut expected: BTreeSet<String> = (0..105)
        .map(|n| account.order(&[&format!("n{n}.test")]).url)
        .collect();
    expected.insert(account.issue(&["done.test"]).order.url);
    let given_up = account.order(&["gone.test"]);
    for url in given_up.authorizations() {
        account.send(&url, &json!({ "status": "deactivated" }));
    }
    assert_eq!(account.read(&given_up.url).json()["status"], "invalid");

    let pages = pages(&account);
    assert!(pages.len() >= 2, "{} orders come in pages", expected.len());
    let listed: Vec<String> = pages.into_iter().flatten().collect();
    assert_eq!(listed.len(), expected.len(), "none twice");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(
        stranger.read(&orders_url(&account)).in_short(),
        "403 unauthorized"
    );
}

#[test]
fn orders_wait_until_changed_terms_are_agreed_to() {
    let mut authority = Authority::start_with(
        Setup::new().set("gateway.server.terms_of_service", "https://a.test/terms/1"),
    );
    let url = {
        let client = authority.client();
        let account = client.register();
        assert!(!account.issue(&["before.test"]).serial().is_empty());
        authority.set("gateway.server.terms_of_service", "https://a.test/terms/2");
        (account.url.clone(), account.key)
    };
    authority.restart();
    let client = authority.client();
    let account = Account {
        client: &client,
        url: url.0,
        key: url.1,
    };
    let refused = account.ask_order(&["after.test"]);
    assert_eq!(
        refused.in_short(),
        "403 userActionRequired",
        "{}",
        refused.text()
    );
    let link = "<https://a.test/terms/2>;rel=\"terms-of-service\"";
    assert!(
        refused.headers.get_all("link").iter().any(|it| it == link),
        "{:?}",
        refused.headers
    );
    let page = refused.json()["instance"]
        .as_str()
        .expect("a page for a person")
        .to_owned();

    // What a program sends does not stand for a person's agreement (§7.3.2).
    account.send(&account.url, &json!({ "termsOfServiceAgreed": true }));
    assert_eq!(
        account.ask_order(&["after.test"]).in_short(),
        "403 userActionRequired"
    );

    let http = Http::trusting(&authority.root_pem());
    let shown = http.get(&page);
    assert_eq!(shown.status, 200);
    assert!(shown.text().contains("https://a.test/terms/2") && shown.text().contains("<form"));
    assert_eq!(http.ask(Method::POST, &page).status, 200);
    assert!(!account.issue(&["after.test"]).serial().is_empty());
    assert!(
        !http.get(&page).text().contains("<form"),
        "nothing is left to agree to"
    );
    // The account's own URL may stand in CAA records for everybody to read; the page cannot be made of it.
    let (_, word) = account.url.rsplit_once('/').expect("a path");
    let (above, _) = page.rsplit_once('/').expect("a path");
    let guessed = http.get(&format!("{above}/{word}"));
    assert_eq!(guessed.in_short(), "403 unauthorized");
    let nobody = format!("{}x", &page[..page.len() - 1]);
    assert_eq!(http.get(&nobody).in_short(), "403 unauthorized");
}

#[test]
fn an_account_that_ends_takes_its_open_orders_along_and_leaves_its_certificates() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let issued = account.issue(&["done.test"]);
    assert_eq!(account.order(&["open.test"]).status(), "pending");
    assert_eq!(account.ready_order(&["ready.test"]).status(), "ready");
    account.deactivate();
    eventually("its open orders are ended", Duration::from_secs(5), || {
        let orders = authority.told(&["order", "list"]);
        let of = |status: &str| orders.iter().filter(|one| one["status"] == status).count();
        // The authority's own certificate has an order too.
        (of("invalid") == 2 && of("valid") == 2).then_some(())
    });
    let kept = authority.certificates();
    let kept = kept
        .iter()
        .find(|one| one["serial"] == issued.serial().as_str());
    assert_eq!(kept.expect("it is there")["status"], "good");
    authority.check_invariants();
}

#[test]
fn a_script_of_any_origin_may_speak_acme() {
    let authority = Authority::start();
    let client = authority.client();
    let http = Http::trusting(&authority.root_pem());
    let directory = http.get(authority.directory());
    assert_eq!(directory.header("access-control-allow-origin"), "*");
    let nonce = http.head(&client.url("newNonce"));
    for name in ["Replay-Nonce", "Location", "Link", "Retry-After"] {
        let exposed = nonce.header("access-control-expose-headers");
        assert!(exposed.contains(name), "{exposed}");
    }
    let asked = http.ask(Method::OPTIONS, &client.url("newOrder"));
    assert_eq!(asked.status, 204);
    assert!(
        asked
            .header("access-control-allow-methods")
            .contains("POST")
    );
    assert_eq!(asked.header("access-control-allow-headers"), "Content-Type");
    let refused = http.ask(Method::POST, &client.url("newOrder"));
    assert_eq!(
        refused.header("access-control-allow-origin"),
        "*",
        "errors are readable too"
    );
}
