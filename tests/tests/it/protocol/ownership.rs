//! Whose objects are whose (RFC 8555 §7, failures B9): a stranger learns nothing, not even that something exists.

use chancery_crypto::PrivateKey;
use chancery_jose::{SignWith, b64, sign, unb64};
use chancery_tests::{Account, Authority, Client, Reply, csr_for, new_key};
use serde_json::{Value, json};

/// What is compared: everything that an answer says besides its nonce.
fn told(reply: &Reply) -> (u16, Value) {
    (reply.status, reply.json())
}

/// The URL of something that does not exist, as well formed as the other.
fn missing(url: &str) -> String {
    let (path, finalize) = match url.strip_suffix("/finalize") {
        Some(path) => (path, "/finalize"),
        None => (url, ""),
    };
    let (rest, word) = path.rsplit_once('/').expect("a path");
    let mut octets = unb64(word).expect("an id in base64url");
    octets.iter_mut().for_each(|octet| *octet ^= 0x5a);
    format!("{rest}/{}{finalize}", b64(&octets))
}

/// Every URL of an account that has an order which is done and one which is not.
fn everything(account: &Account<'_>) -> Vec<String> {
    let issued = account.issue(&["a.test"]);
    let open = account.order(&["b.test"]);
    let mut urls = vec![account.url.clone(), issued.url.clone()];
    for order in [&issued.order, &open] {
        urls.push(order.url.clone());
        urls.push(order.finalize_url().to_owned());
        for url in order.authorizations() {
            let authorization = account.read(&url).json();
            let challenges = authorization["challenges"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            urls.push(url);
            urls.extend(
                challenges
                    .iter()
                    .filter_map(|c| c["url"].as_str().map(str::to_owned)),
            );
        }
    }
    urls
}

/// What can be sent to a URL; each is something that its owner might send.
fn payloads() -> [Option<Value>; 4] {
    let csr = b64(&csr_for(&new_key(), &["b.test"]));
    [
        None,
        Some(json!({})),
        Some(json!({ "status": "deactivated" })),
        Some(json!({ "csr": csr })),
    ]
}

fn as_account(
    client: &Client,
    key: &PrivateKey,
    kid: &str,
    url: &str,
    payload: Option<&Value>,
) -> Reply {
    client.post(url, client.sign(key, SignWith::Kid(kid), url, payload))
}

#[test]
fn b9_a_stranger_gets_one_answer_whether_something_exists_or_not() {
    let authority = Authority::start();
    let client = authority.client();
    let owner = client.register();
    let stranger = client.register();
    let urls = everything(&owner);
    assert!(urls.len() >= 10, "{urls:?}");
    let calm = authority.calm();
    let mut tried = 0;
    for url in &urls {
        for payload in payloads() {
            let ask = |url: &str| {
                as_account(&client, &stranger.key, &stranger.url, url, payload.as_ref())
            };
            let (existing, absent) = (ask(url), ask(&missing(url)));
            assert_eq!(told(&existing), told(&absent), "{url} with {payload:?}");
            assert!(
                ["403 unauthorized", "404 malformed", "400 malformed"]
                    .contains(&existing.in_short().as_str()),
                "{url} with {payload:?}: {}",
                existing.text()
            );
            tried += 2;
        }
    }
    calm.holds_and_counted(&authority, tried);
    // Nothing happened to what was tried.
    assert_eq!(owner.read(&owner.url).json()["status"], "valid");
    for url in urls.iter().filter(|url| url.contains("/authz/")) {
        assert_ne!(owner.read(url).json()["status"], "deactivated", "{url}");
    }
}

#[test]
fn b9_a_deactivated_account_gets_one_answer_for_everything() {
    let authority = Authority::start();
    let client = authority.client();
    let owner = client.register();
    let mut urls = everything(&owner);
    urls.push(client.url("newOrder"));
    urls.push(client.url("revokeCert"));
    owner.deactivate();
    let calm = authority.calm();
    let mut answers = Vec::new();
    for url in &urls {
        let fixed = url.contains("/new-") || url.contains("/revoke-");
        let others = [url.clone(), if fixed { url.clone() } else { missing(url) }];
        for url in others {
            for payload in payloads() {
                let reply = as_account(&client, &owner.key, &owner.url, &url, payload.as_ref());
                assert_eq!(
                    reply.in_short(),
                    "401 unauthorized",
                    "{url}: {}",
                    reply.text()
                );
                answers.push(told(&reply));
            }
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // RFC 8555 §7.3.6: the key does not come back as the same account either.
    let url = client.url("newAccount");
    let body = client.sign(&owner.key, SignWith::Jwk, &url, Some(&json!({})));
    assert_eq!(client.post(&url, body).in_short(), "401 unauthorized");
    calm.holds(&authority);
}

#[test]
fn b9_without_an_account_there_is_nothing_to_see() {
    let authority = Authority::start();
    let client = authority.client();
    let owner = client.register();
    let urls = everything(&owner);
    let calm = authority.calm();
    let nobody = new_key();
    for url in &urls {
        let absent = missing(url);
        let by_key = |url: &str| {
            let body = client.sign(&nobody, SignWith::Jwk, url, None);
            client.post(url, body)
        };
        assert_eq!(
            told(&by_key(url)),
            told(&by_key(&absent)),
            "{url} by a bare key"
        );
        let by_missing_account =
            |url: &str| as_account(&client, &nobody, &missing(&owner.url), url, None);
        assert_eq!(
            told(&by_missing_account(url)),
            told(&by_missing_account(&absent))
        );
        assert_eq!(
            by_missing_account(url).in_short(),
            "400 accountDoesNotExist"
        );
        let unsigned = |url: &str| client.post(url, "{}");
        assert_eq!(
            told(&unsigned(url)),
            told(&unsigned(&absent)),
            "{url} without a signature"
        );
        let read = |url: &str| told(&client.http.get(url));
        assert_eq!(read(url), read(&absent), "{url} by GET");
        // The owner's URL in the owner's name, signed by somebody else.
        let nonce = client.nonce();
        let forged = sign(&nobody, url, Some(&nonce), SignWith::Kid(&owner.url), None);
        assert_eq!(
            client.post(url, forged.expect("a key signs")).in_short(),
            "400 malformed"
        );
    }
    calm.holds_and_counted(&authority, 6 * urls.len());
}

#[test]
fn b9_words_that_are_no_ids_are_not_told_apart_either() {
    let authority = Authority::start();
    let client = authority.client();
    let account = client.register();
    let calm = authority.calm();
    let order = account.order(&["a.test"]);
    let rest = order.url.rsplit_once('/').expect("a path").0.to_owned();
    let expected = told(&account.read(&missing(&order.url)));
    for word in [
        "1",
        "0",
        "-1",
        "AAAA",
        &"A".repeat(22),
        &"A".repeat(5000),
        "null",
        "a.b",
    ] {
        assert_eq!(
            told(&account.read(&format!("{rest}/{word}"))),
            expected,
            "{word}"
        );
    }
    // An id of one kind is none of another.
    let word = order.url.rsplit_once('/').expect("a path").1;
    for kind in ["authz", "cert", "challenge"] {
        let url = format!("{}/{word}", rest.replace("/order", &format!("/{kind}")));
        assert_eq!(account.read(&url).in_short(), "403 unauthorized", "{url}");
    }
    calm.holds_and_counted(&authority, 11);
}
