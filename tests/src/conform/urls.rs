//! URLs (§6.4, §10.5).

use http::Method;
use serde_json::{Value, json};

use super::Target;
use super::judge::{hold, refused_as, text};
use super::subscriber::first_authorization;
use super::verdict::{Check, Outcome, Short};

/// 64 bits in base64url.
const UNGUESSABLE_LEN: usize = 11;

pub(super) const CHECKS: &[Check] = &[
    Check::must(
        25,
        "§6.4",
        "A url header that is not the request's URL is unauthorized",
        another_url_is_unauthorized,
    ),
    Check::should(
        27,
        "§6.4",
        "The server's URLs follow from its configuration, not from a request's headers",
        headers_do_not_change_urls,
    ),
    Check::should(
        121,
        "§10.5",
        "URLs of objects have a part that nobody can guess",
        urls_cannot_be_guessed,
    ),
];

fn another_url_is_unauthorized(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let url = &account.url;
    let others = [
        target.url("newOrder")?,
        format!("{url}?conform=1"),
        format!("{url}/"),
        url.replacen("https://", "http://", 1),
        "https://elsewhere.test/account".to_owned(),
    ];
    for other in others {
        let reply = account.draft(url, None).with("url", json!(other)).send()?;
        let what = format!("the account with {other:?} as url");
        refused_as(&reply, &what, &[401, 403], &["unauthorized"])?;
    }
    Ok(())
}

fn headers_do_not_change_urls(target: &Target) -> Outcome {
    const ELSEWHERE: &str = "elsewhere.test";
    let spoofs: [&[(&str, &str)]; 4] = [
        &[("host", ELSEWHERE)],
        &[
            ("x-forwarded-host", ELSEWHERE),
            ("x-forwarded-proto", "http"),
        ],
        &[("forwarded", "host=elsewhere.test;proto=http")],
        &[("x-original-url", "https://elsewhere.test/")],
    ];
    for spoof in spoofs {
        let reply = target.ask_with(Method::GET, target.directory_url(), spoof)?;
        // To know no such host is right too.
        if reply.status >= 400 {
            continue;
        }
        let directory = reply.json();
        let urls = ["newNonce", "newAccount", "newOrder", "revokeCert"];
        let changed = urls
            .iter()
            .find(|url| directory.get(**url) != Some(target.directory(url)));
        if let Some(changed) = changed {
            let url = &directory[*changed];
            return Err(format!("{spoof:?} makes {changed} {url}").into());
        }
    }
    Ok(())
}

fn urls_cannot_be_guessed(target: &Target) -> Outcome {
    let account = target.subscriber()?;
    let mut all = Vec::new();
    for _ in 0..2 {
        let order = account.order(&[&target.name()])?;
        let authorization = first_authorization(&order)?;
        let object = account.look(&authorization)?.json();
        let challenge = object["challenges"][0]["url"].clone();
        all.push([json!(order.url), json!(authorization), challenge]);
    }
    let [first, second] = all.as_slice() else {
        return Err(Short::Fails("two orders were made".to_owned()));
    };
    let kinds = ["order", "authorization", "challenge"];
    for (kind, (a, b)) in kinds.iter().zip(first.iter().zip(second)) {
        hold(differ_unguessably(a, b), || {
            format!("{kind} URLs can be guessed: {a} and {b}")
        })?;
    }
    Ok(())
}

fn differ_unguessably(a: &Value, b: &Value) -> bool {
    let segments = text(a)
        .split(['/', '?', '='])
        .zip(text(b).split(['/', '?', '=']));
    segments.into_iter().any(|(a, b)| {
        let counted = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        let changed = a.chars().zip(b.chars()).filter(|(a, b)| a != b).count();
        let long = a.len() >= UNGUESSABLE_LEN && changed * 2 > UNGUESSABLE_LEN;
        long && !(counted(a) && counted(b) && a.len() < 2 * UNGUESSABLE_LEN)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_can_be_guessed_and_randomness_cannot() {
        let differ = |a: &str, b: &str| differ_unguessably(&json!(a), &json!(b));
        assert!(!differ("https://a.test/o/1", "https://a.test/o/2"));
        assert!(!differ(
            "https://a.test/o/10000000000001",
            "https://a.test/o/10000000000002"
        ));
        assert!(differ(
            "https://a.test/o/Ow7cVYdVTFuh41ZcZ5OCYg",
            "https://a.test/o/8pYF1ZbLFAFwFA3Q2ZKcjg"
        ));
    }
}
