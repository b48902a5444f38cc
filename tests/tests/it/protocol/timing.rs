//! Failures B9: a stranger cannot tell by the answer whether something exists, nor by how long the answer takes.

use std::time::{Duration, Instant};

use chancery_jose::{b64, unb64};
use chancery_tests::{Account, Authority, Reply, csr_for, new_key};
use serde_json::{Value, json};

/// Answers of each of the two sorts in one series.
const SAMPLES: usize = 100;
/// A machine that does other things meanwhile spoils a series now and then, a difference in the server every one.
const SERIES_MAX: usize = 3;
/// Beyond this Welch's t says that two series differ; it is what assessments of leakage take (ISO/IEC 17825).
const T_MAX: f64 = 4.5;
/// Of the fastest samples this many per cent are looked at: what is slower was held up by something else.
const KEPT_PERCENT: usize = 80;

/// What a stranger asks for: something that exists, with what its owner might send.
struct Target {
    what: &'static str,
    url: String,
    payload: Option<Value>,
}

fn targets(owner: &Account<'_>) -> Vec<Target> {
    let issued = owner.issue(&["a.test"]);
    let open = owner.order(&["b.test"]);
    let authorization = open.authorizations().remove(0);
    let challenge = owner.challenge(&authorization, "http-01")["url"].clone();
    let csr = b64(&csr_for(&new_key(), &["b.test"]));
    let target = |what, url: &str, payload| Target {
        what,
        url: url.to_owned(),
        payload,
    };
    vec![
        target("account", &owner.url, None),
        target("order", &open.url, None),
        target("finalize", open.finalize_url(), Some(json!({ "csr": csr }))),
        target("authorization", &authorization, None),
        target(
            "challenge",
            challenge.as_str().expect("a URL"),
            Some(json!({})),
        ),
        target("certificate", &issued.url, None),
    ]
}

/// The URL of something else that does not exist, another each time.
fn missing(url: &str, number: u64) -> String {
    let (path, rest) = match url.strip_suffix("/finalize") {
        Some(path) => (path, "/finalize"),
        None => (url, ""),
    };
    let (front, word) = path.rsplit_once('/').expect("a path");
    let mut octets = unb64(word).expect("an id in base64url");
    for (octet, other) in octets.iter_mut().zip(number.to_le_bytes()) {
        *octet ^= other ^ 0x5a;
    }
    format!("{front}/{}{rest}", b64(&octets))
}

/// Everything that an answer says, besides what differs between any two.
fn told(reply: &Reply) -> (u16, http::HeaderMap, &[u8]) {
    let mut headers = reply.headers.clone();
    for differs in ["replay-nonce", "date"] {
        assert!(headers.remove(differs).is_some(), "{differs} is told");
    }
    (reply.status, headers, &reply.body)
}

fn timed(stranger: &Account<'_>, url: &str, payload: Option<&Value>) -> (Duration, Reply) {
    let body = stranger.sign(url, payload);
    let started = Instant::now();
    let reply = stranger.client.post(url, body);
    (started.elapsed(), reply)
}

/// Two series, interleaved: which of the two is asked first is as good as random.
fn series(stranger: &Account<'_>, target: &Target) -> (Vec<f64>, Vec<f64>) {
    let (mut existing, mut absent) = (Vec::new(), Vec::new());
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for number in 0..SAMPLES as u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let other = missing(&target.url, state);
        let payload = target.payload.as_ref();
        let first_exists = state >> 63 == number & 1;
        let (exists, lacks) = if first_exists {
            let exists = timed(stranger, &target.url, payload);
            (exists, timed(stranger, &other, payload))
        } else {
            let lacks = timed(stranger, &other, payload);
            (timed(stranger, &target.url, payload), lacks)
        };
        assert_eq!(told(&exists.1), told(&lacks.1), "{}", target.what);
        assert_eq!(exists.1.in_short(), "403 unauthorized", "{}", target.what);
        existing.push(exists.0.as_secs_f64());
        absent.push(lacks.0.as_secs_f64());
    }
    (existing, absent)
}

/// Welch's t of two series, their slowest samples left out by one bound for both.
fn welch(one: &[f64], other: &[f64]) -> f64 {
    let mut all: Vec<f64> = one.iter().chain(other).copied().collect();
    all.sort_by(f64::total_cmp);
    let bound = all[all.len() * KEPT_PERCENT / 100];
    let kept = |series: &[f64]| {
        let kept: Vec<f64> = series.iter().copied().filter(|s| *s <= bound).collect();
        let count = kept.len().max(2) as f64;
        let mean = kept.iter().sum::<f64>() / count;
        let squares = kept.iter().map(|sample| (sample - mean).powi(2));
        (mean, squares.sum::<f64>() / (count - 1.0) / count)
    };
    let ((mean, error), (other_mean, other_error)) = (kept(one), kept(other));
    (mean - other_mean) / (error + other_error).sqrt()
}

fn cannot_be_told(stranger: &Account<'_>, target: &Target) {
    let mut seen = Vec::new();
    let equal = (0..SERIES_MAX).any(|_| {
        let (existing, absent) = series(stranger, target);
        let t = welch(&existing, &absent);
        seen.push(t);
        t.abs() < T_MAX
    });
    assert!(equal, "{}: Welch's t is {seen:?}", target.what);
}

#[test]
fn b9_neither_octets_nor_time_tell_what_exists() {
    let mut authority = Authority::start();
    let client = authority.client();
    let targets = targets(&client.register());
    let stranger = client.register();
    let calm = authority.calm();
    for target in &targets {
        cannot_be_told(&stranger, target);
    }
    calm.holds_and_counted(&authority, 2 * SAMPLES * targets.len());
    // What is fresh is in memory. From now on it has to be read, and what does not exist need not be looked for.
    authority.restart();
    let client = authority.client();
    let stranger = client.register();
    for target in targets.iter().filter(|target| target.payload.is_none()) {
        cannot_be_told(&stranger, target);
    }
}

#[test]
fn the_statistic_sees_a_difference_and_only_that() {
    // As many as in a series, from 300 to 399 and some held up.
    let noise = |n: usize| 300.0 + (n * 37 % 100) as f64;
    let held_up = |n: usize| if n.is_multiple_of(10) { 5000.0 } else { 0.0 };
    let one: Vec<f64> = (0..SAMPLES).map(|n| noise(n) + held_up(n)).collect();
    let same: Vec<f64> = (0..SAMPLES).map(|n| noise(n + 31)).collect();
    let slower: Vec<f64> = (0..SAMPLES).map(|n| noise(n + 31) + 50.0).collect();
    assert!(welch(&one, &same).abs() < T_MAX);
    assert!(welch(&one, &slower).abs() > T_MAX);
}
