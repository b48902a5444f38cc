//! Several entrances in one server; and what was offered when an order was placed and is no more: what is
//! configured now holds.

use chancery_tests::{Authority, Client, Setup, csr_for, new_key};
use serde_json::{Value, json};

const TWO: &str = r#"
[gateway.server]
profiles = ["server", "short"]
[gateway.partners]
external_account_required = true
terms_of_service = "https://partners.test/terms"
challenges = ["dns-01"]
profiles = ["short"]
names = { allow = ["*.partners.test"] }
[profile.short]
lifetime = "7d"
"#;

fn directory(client: &Client, authority: &Authority, gateway: &str) -> Value {
    let base = authority.directory().trim_end_matches("/acme/directory");
    let told = client.http.get(&format!("{base}/acme/{gateway}/directory"));
    assert_eq!(told.status, 200);
    told.json()
}

#[test]
fn each_gateway_has_its_own_rules_and_one_is_the_default() {
    let authority = Authority::start_with(Setup::new().configuration(TWO));
    let client = authority.client();
    let server = directory(&client, &authority, "server");
    let partners = directory(&client, &authority, "partners");
    let default = client.http.get(authority.directory()).json();
    assert_eq!(default, server, "the one of that name is the default");
    assert_eq!(server["meta"]["externalAccountRequired"], Value::Null);
    assert_eq!(partners["meta"]["externalAccountRequired"], true);
    assert_eq!(
        partners["meta"]["termsOfService"],
        "https://partners.test/terms"
    );
    let profiles = |directory: &Value| {
        let profiles = directory["meta"]["profiles"].as_object().cloned();
        let profiles = profiles.expect("profiles").into_iter();
        profiles.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(profiles(&server), ["server", "short"]);
    assert_eq!(profiles(&partners), ["short"]);

    // The open one lets anybody in; that account is nobody at the other.
    let account = client.register();
    let elsewhere = partners["newOrder"].as_str().expect("a URL");
    let asked = json!({ "identifiers": [{ "type": "dns", "value": "a.partners.test" }] });
    let refused = account.send(elsewhere, &asked);
    assert_eq!(refused.in_short(), "400 accountDoesNotExist");

    // A binding is for one of them.
    let for_server = authority.eab(&["--single-use"]);
    let at_partners = authority.client_of("partners");
    let url = at_partners.url("newAccount");
    let key = new_key();
    let refused = at_partners.ask_account(&key, Some(for_server.vouch(&key, &url)));
    assert_eq!(refused.in_short(), "403 unauthorized");
    let told = authority.told(&["eab", "create", "--gateway", "partners", "--single-use"]);
    let text = |name: &str| told[0][name].as_str().expect("a text").to_owned();
    let for_partners = chancery_tests::ExternalAccount {
        kid: text("kid"),
        hmac_key: text("hmac_key"),
    };
    let partner = at_partners.register_bound(&for_partners);
    let order = partner.order(&["a.partners.test"]);
    assert_eq!(partner.offered(&order.authorizations()[0]), ["dns-01"]);
    assert_eq!(order.object["profile"], "short");
    let outside = partner.ask_order(&["a.test"]);
    assert_eq!(outside.in_short(), "400 rejectedIdentifier");
    authority.check_invariants();
}

#[test]
fn a_profile_that_is_withdrawn_is_refused_at_finalize() {
    const BOTH: &str = "[gateway.server]\nprofiles = [\"server\", \"short\"]\n[profile.short]\nlifetime = \"7d\"\n";
    let mut authority = Authority::start_with(Setup::new().configuration(BOTH));
    let client = authority.client();
    let account = client.register();
    let asked = json!({
        "identifiers": [{ "type": "dns", "value": "a.test" }],
        "profile": "short",
    });
    let placed = account.send(&client.url("newOrder"), &asked);
    assert_eq!(placed.status, 201);
    let order = chancery_tests::Order {
        url: placed.header("location").to_owned(),
        object: placed.json(),
    };
    let ready = account.try_prove(&order).expect("proven");
    assert_eq!(ready.object["profile"], "short", "it is reflected");

    authority.set("gateway.server.profiles", "server");
    authority.restart();
    let client = authority.client();
    let account = client.register_with(account.key);
    let refused = account.finalize(&ready, &csr_for(&new_key(), &["a.test"]));
    assert_eq!(
        refused.in_short(),
        "400 invalidProfile",
        "{}",
        refused.text()
    );
    assert_eq!(
        account.send(&client.url("newOrder"), &asked).in_short(),
        "400 invalidProfile"
    );
    assert!(
        authority
            .certificates()
            .iter()
            .all(|it| it["names"] != json!(["a.test"]))
    );

    // It is there again: so is the order.
    authority.set("gateway.server.profiles", "server,short");
    authority.restart();
    let client = authority.client();
    let account = client.register_with(account.key);
    let key = new_key();
    let csr = csr_for(&key, &["a.test"]);
    let issued = account.try_fetch(&ready, key, &csr).expect("a certificate");
    let life = issued.leaf().not_after().0 - issued.leaf().not_before().0;
    assert!(life <= 7 * 24 * 3600, "{life}");
}

#[test]
fn a_name_that_is_denied_meanwhile_is_refused_at_finalize() {
    let mut authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let ready = account.ready_order(&["a.test", "b.test"]);
    authority.set("gateway.server.names.deny", "b.test");
    authority.restart();
    let client = authority.client();
    let account = client.register_with(account.key);
    let refused = account.finalize(&ready, &csr_for(&new_key(), &["a.test", "b.test"]));
    assert_eq!(refused.in_short(), "400 rejectedIdentifier");
    assert_eq!(
        refused.json()["subproblems"][0]["identifier"]["value"],
        "b.test"
    );
    authority.check_invariants();
}
