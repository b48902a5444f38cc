//! External account binding (RFC 8555 §7.3.4): who may have an account, and what that account may ask for.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use chancery_tests::{Account, Authority, ExternalAccount, Setup, csr_for, new_key};
use serde_json::{Value, json};

const REQUIRED: &str = "gateway.server.external_account_required";

fn authority() -> Authority {
    Authority::start_with(Setup::new().set(REQUIRED, true))
}

fn listed(authority: &Authority, kid: &str) -> Value {
    let all = authority.told(&["eab", "list"]);
    let found = all.into_iter().find(|line| line["kid"] == kid);
    found.unwrap_or_else(|| panic!("{kid} is listed"))
}

fn ask_for(account: &Account<'_>, more: Value) -> String {
    let mut asked = json!({ "identifiers": [{ "type": "dns", "value": "a.test" }] });
    for (name, value) in more.as_object().expect("an object") {
        asked[name] = value.clone();
    }
    account
        .send(&account.client.url("newOrder"), &asked)
        .in_short()
}

#[test]
fn an_account_needs_a_binding_and_the_answer_says_so() {
    let authority = authority();
    let client = authority.client();
    let directory = client.http.get(authority.directory()).json();
    assert_eq!(directory["meta"]["externalAccountRequired"], true);
    let refused = client.ask_account(&new_key(), None);
    assert_eq!(refused.in_short(), "403 externalAccountRequired");
    assert!(refused.detail().contains("ask the operator"));

    let given = authority.eab(&[]);
    let account = client.register_bound(&given);
    let _ = account.issue(&["a.test"]);
    assert_eq!(listed(&authority, &given.kid)["accounts"], 1);
    // Found again by its key alone, whatever the gateway asks of new ones.
    let found = client.ask_account(&account.key, None);
    assert_eq!(found.in_short(), "200");
    assert_eq!(
        found.json()["externalAccountBinding"],
        given_as_repeated(&found.json())
    );
    authority.check_invariants();
}

/// What is repeated is a whole message.
fn given_as_repeated(account: &Value) -> Value {
    let repeated = &account["externalAccountBinding"];
    let members: Vec<_> = repeated.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["payload", "protected", "signature"]);
    repeated.clone()
}

#[test]
fn a_binding_for_one_use_makes_one_account_of_a_hundred_that_ask_at_once() {
    const CLIENTS: usize = 100;
    let authority = authority();
    let client = authority.client();
    let given = authority.eab(&["--single-use"]);
    let start = Barrier::new(CLIENTS);
    let answers: Vec<String> = std::thread::scope(|scope| {
        let ask = || {
            let key = new_key();
            let binding = given.vouch(&key, &client.url("newAccount"));
            start.wait();
            client.ask_account(&key, Some(binding)).in_short()
        };
        let threads: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(ask)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|answer| answer.expect("no panic")).collect()
    });
    let made = answers.iter().filter(|it| it.as_str() == "201").count();
    let refused = answers
        .iter()
        .filter(|it| it.as_str() == "403 unauthorized")
        .count();
    assert_eq!((made, refused), (1, CLIENTS - 1), "{answers:?}");
    let line = listed(&authority, &given.kid);
    assert_eq!(
        (&line["status"], &line["accounts"]),
        (&json!("spent"), &json!(1))
    );
}

#[test]
fn a_lost_answer_is_no_lost_account() {
    let authority = authority();
    let client = authority.client();
    let given = authority.eab(&["--single-use"]);
    let key = new_key();
    let binding = || Some(given.vouch(&key, &client.url("newAccount")));
    let first = client.ask_account(&key, binding());
    assert_eq!(first.status, 201);
    let again = client.ask_account(&key, binding());
    assert_eq!(again.status, 200);
    assert_eq!(again.header("location"), first.header("location"));
}

#[test]
fn a_bound_account_stays_within_names_profiles_and_challenges() {
    let configuration = "[gateway.server]\nprofiles = [\"server\", \"short\"]\n[profile.server]\nlifetime = \"47d\"\n\
                         [profile.short]\nlifetime = \"7d\"\n";
    let setup = Setup::new()
        .configuration(configuration)
        .set(REQUIRED, true);
    let authority = Authority::start_with(setup);
    let client = authority.client();
    let words = [
        "--name",
        "a.test",
        "--name",
        "*.a.test",
        "--name",
        "127.0.0.0/8",
        "--profile",
        "short",
        "--challenge",
        "http-01",
    ];
    let account = client.register_bound(&authority.eab(&words));
    let issued = account.issue(&["a.test", "www.a.test"]);
    let order = account.read(&issued.order.url).json();
    assert_eq!(order["profile"], "short", "the only one it may have");
    let authorization = account.read(&account.order(&["a.test"]).authorizations()[0]);
    let challenges = authorization.json()["challenges"].clone();
    assert_eq!(challenges.as_array().map(Vec::len), Some(1));
    assert_eq!(challenges[0]["type"], "http-01");

    let refused = account.ask_order(&["a.test", "b.test"]);
    assert_eq!(refused.in_short(), "400 rejectedIdentifier");
    let subproblems = refused.json()["subproblems"].clone();
    assert_eq!(subproblems.as_array().map(Vec::len), Some(1));
    assert_eq!(subproblems[0]["identifier"]["value"], "b.test");
    assert!(refused.text().contains("binding of this account"));
    assert_eq!(
        account.ask_order(&["*.a.test"]).in_short(),
        "400 rejectedIdentifier",
        "no challenge that it may answer proves a wildcard"
    );
    let profile = ask_for(&account, json!({ "profile": "server" }));
    assert_eq!(profile, "400 invalidProfile");
}

#[test]
fn a_revoked_binding_stops_new_accounts_orders_and_what_is_ready() {
    let authority = authority();
    let client = authority.client();
    let given = authority.eab(&["--note", "for the web team"]);
    let account = client.register_bound(&given);
    let issued = account.issue(&["a.test"]);
    let ready = account.ready_order(&["b.test"]);

    let plan = authority.operator(&["eab", "revoke", &given.kid]);
    assert!(plan.status.success() && plan.stdout.contains("would revoke"));
    assert_eq!(listed(&authority, &given.kid)["status"], "usable");
    let done = authority.operator(&["eab", "revoke", &given.kid, "--yes"]);
    assert!(done.status.success(), "{}", done.stderr);
    let line = listed(&authority, &given.kid);
    assert_eq!(line["status"], "revoked");
    assert_eq!(line["note"], "for the web team");
    let twice = authority.operator(&["eab", "revoke", &given.kid, "--yes"]);
    assert_eq!(twice.status.code(), Some(1));

    let key = new_key();
    let binding = given.vouch(&key, &client.url("newAccount"));
    let refused = client.ask_account(&key, Some(binding));
    assert_eq!(refused.in_short(), "403 unauthorized");
    let refused = account.ask_order(&["c.test"]);
    assert_eq!(refused.in_short(), "403 unauthorized");
    assert!(refused.detail().contains("revoked by the operator"));
    let key = new_key();
    let refused = account.finalize(&ready, &csr_for(&key, &["b.test"]));
    assert_eq!(refused.in_short(), "403 unauthorized");
    // What it has it can still give back.
    assert_eq!(account.revoke(&issued, None).status, 200);
    authority.check_invariants();
}

#[test]
fn certificates_are_counted_and_renewals_are_not() {
    let authority = authority();
    let client = authority.client();
    let given = authority.eab(&["--certificates", "2"]);
    let account = client.register_bound(&given);
    let first = account.issue(&["a.test"]);
    // Two are ready and one may still be had, whoever finalizes first.
    let orders = ["b.test", "c.test"].map(|name| (name, account.ready_order(&[name])));
    let start = Barrier::new(2);
    let answers = std::thread::scope(|scope| {
        let threads = orders.each_ref().map(|(name, order)| {
            let (start, account) = (&start, &account);
            scope.spawn(move || {
                let csr = csr_for(&new_key(), &[name]);
                start.wait();
                account.finalize(order, &csr).in_short()
            })
        });
        threads.map(|thread| thread.join().expect("no panic"))
    });
    let mut answers = answers;
    answers.sort();
    assert_eq!(answers, ["200", "403 unauthorized"]);
    assert_eq!(listed(&authority, &given.kid)["certificates"], 2);
    let full = account.ask_order(&["d.test"]);
    assert_eq!(full.in_short(), "403 unauthorized", "told before any proof");

    let renewal = json!({ "replaces": first.cert_id() });
    assert_eq!(ask_for(&account, renewal), "201");
    authority.check_invariants();
}

#[test]
fn h7_a_mac_key_is_told_once_and_written_nowhere() {
    let authority = authority();
    let client = authority.client();
    let given = authority.eab(&[]);
    let _ = client.register_bound(&given);
    let words: [&[&str]; 3] = [
        &["eab", "list", "--json"],
        &["eab", "show", &given.kid, "--json"],
        &["eab", "show", &given.kid],
    ];
    for words in words {
        let told = authority.operator(words);
        assert!(told.status.success() && told.stdout.contains(&given.kid));
        assert!(!told.stdout.contains(&given.hmac_key), "{words:?}");
    }
    assert!(!authority.output().contains(&given.hmac_key));
}

#[test]
fn what_an_operator_gets_wrong_is_named() {
    let authority = authority();
    let cases: [(&[&str], i32, &str); 8] = [
        (&["create"], 2, "--gateway"),
        (&["create", "--gateway", "nowhere"], 1, "no such gateway"),
        (
            &["create", "--gateway", "server", "--accounts", "0"],
            2,
            "--accounts",
        ),
        (
            &["create", "--gateway", "server", "--name", "*.*"],
            1,
            "name pattern",
        ),
        (
            &["create", "--gateway", "server", "--profile", "x"],
            1,
            "no profile \"x\"",
        ),
        (
            &["create", "--gateway", "server", "--challenge", "tls-sni-01"],
            1,
            "tls-sni-01",
        ),
        (
            &["create", "--gateway", "server", "--valid-for", "soon"],
            2,
            "span of time",
        ),
        (
            &["revoke", "00112233445566778899aabbccddeeff"],
            1,
            "no such binding",
        ),
    ];
    for (words, code, says) in cases {
        let refused = authority.operator(&[&["eab"], words].concat());
        assert_eq!(refused.status.code(), Some(code), "{words:?}");
        assert!(
            refused.stderr.contains(says),
            "{words:?}: {}",
            refused.stderr
        );
    }
    let text = authority.operator(&["eab", "create", "--gateway", "server", "--single-use"]);
    for client in ["certbot certonly", "lego --server", "kind: ClusterIssuer"] {
        assert!(text.stdout.contains(client), "{client}: {}", text.stdout);
    }
}

#[test]
fn accounts_from_before_the_rule_order_nothing_more() {
    let mut authority = Authority::start_with(Setup::new());
    let client = authority.client();
    let account = client.register();
    let _ = account.issue(&["a.test"]);
    authority.set(REQUIRED, true);
    authority.restart();
    // The answer to a key that has an account is the account; nonces from before the restart are void.
    let client = authority.client();
    let account = client.register_with(account.key);
    let refused = account.ask_order(&["a.test"]);
    assert_eq!(refused.in_short(), "403 externalAccountRequired");
}

/// Failures B14: whether a key identifier exists, and how much of a MAC is right, cannot be learnt from the time of the
/// refusal.
#[test]
fn b14_a_refused_binding_takes_the_same_time_whatever_is_wrong_with_it() {
    const SAMPLES: usize = 400;
    let authority = authority();
    let client = authority.client();
    let known = authority.eab(&[]);
    let unknown = ExternalAccount {
        kid: "00112233445566778899aabbccddeeff".to_owned(),
        ..known.clone()
    };
    let key = new_key();
    let url = client.url("newAccount");
    let honest = known.vouch(&key, &url);
    let altered = |index: usize| {
        let mut binding = honest.clone();
        let mut tag = binding["signature"].as_str().expect("text").to_owned();
        let other = if tag.as_bytes()[index] == b'A' {
            "B"
        } else {
            "A"
        };
        tag.replace_range(index..=index, other);
        binding["signature"] = json!(tag);
        binding
    };
    let kinds = [unknown.vouch(&key, &url), altered(0), altered(40)];
    // Noise of the machine ends one series; a difference that is there shows in each.
    let quiet = (0..3).any(|_| {
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..SAMPLES {
            for (binding, times) in kinds.iter().zip(&mut times) {
                let begun = Instant::now();
                let refused = client.ask_account(&key, Some(binding.clone()));
                times.push(begun.elapsed());
                assert_eq!(refused.in_short(), "403 unauthorized");
            }
        }
        let [unknown, first, late] = times.map(|times| Sample::of(&times));
        unknown.differs_by(&first) < 4.5 && first.differs_by(&late) < 4.5
    });
    assert!(quiet, "the three refusals differ in time");
}

/// The middle of a series, without its slowest part, which is the machine's.
struct Sample {
    mean: f64,
    variance_of_mean: f64,
}

impl Sample {
    fn of(times: &[Duration]) -> Self {
        let mut micros: Vec<f64> = times.iter().map(|it| it.as_secs_f64() * 1e6).collect();
        micros.sort_by(f64::total_cmp);
        micros.truncate(micros.len() * 3 / 4);
        let count = f64::from(u32::try_from(micros.len()).expect("few"));
        let mean = micros.iter().sum::<f64>() / count;
        let squares = micros.iter().map(|it| (it - mean).powi(2)).sum::<f64>();
        Self {
            mean,
            variance_of_mean: squares / (count - 1.0) / count,
        }
    }

    /// Welch's t.
    fn differs_by(&self, other: &Self) -> f64 {
        let spread = (self.variance_of_mean + other.variance_of_mean).sqrt();
        (self.mean - other.mean).abs() / spread
    }
}
