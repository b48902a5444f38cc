//! `chancery order`: what clients asked for, and why it went as it went.

use serde_json::Value;

use crate::operator::{cell, every, get, items, list as listed, show, text};
use crate::{Exit, Server, say};

pub(crate) fn list(server: &Server) -> Result<(), Exit> {
    let columns = ["id", "status", "created", "account", "names"];
    every(server, "/api/v1/orders", "", &columns)
}

pub(crate) fn show_order(server: &Server, id: &str) -> Result<(), Exit> {
    let told = get(server, &format!("/api/v1/orders/{}", word(id)?))?;
    show(server, &told);
    Ok(())
}

pub(crate) fn why(server: &Server, id: &str) -> Result<(), Exit> {
    let told = get(server, &format!("/api/v1/orders/{}/why", word(id)?))?;
    if server.json {
        say(&told);
    } else {
        tell(&told);
    }
    Ok(())
}

/// What names an order: its number, or the word that an order's URL ends in, also where more follows it.
fn word(id: &str) -> Result<&str, Exit> {
    let path = id.trim_end_matches('/').trim_end_matches("/finalize");
    let word = path.rsplit('/').next().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !word.is_empty() && word.bytes().all(fits) {
        return Ok(word);
    }
    Err(Exit::usage(format!(
        "{id:?} is no order; `order list` shows their ids, and clients know their URLs"
    )))
}

fn tell(told: &Value) {
    say(format_args!(
        "order {} for {}: {}",
        text(&told["id"]),
        listed(&told["names"]),
        text(&told["status"])
    ));
    say(format_args!(
        "account {} at gateway {}, profile {}, policy {}",
        text(&told["account"]),
        text(&told["gateway"]),
        text(&told["profile"]),
        text(&told["policy"])
    ));
    for (name, what) in [
        ("replaces", "replaces"),
        ("serial", "certificate"),
        ("error", "error"),
    ] {
        if let Value::String(value) = &told[name] {
            say(format_args!("{what}: {value}"));
        }
    }
    say("");
    for event in items(&told["timeline"]) {
        let name = match &event["name"] {
            Value::Null => String::new(),
            name => format!("{}: ", cell(name)),
        };
        let detail = match &event["detail"] {
            Value::Null => String::new(),
            detail => format!(": {}", cell(detail)),
        };
        say(format_args!(
            "{}  {name}{}{detail} (by {})",
            text(&event["at"]),
            text(&event["what"]),
            text(&event["who"])
        ));
        for seen in items(&event["seen"]) {
            let after = match &seen["after_ms"] {
                Value::Null => String::new(),
                ms => format!("+{ms} ms"),
            };
            say(format_args!("    {after:>9}  {}", text(&seen["what"])));
        }
    }
    if told["cut_off"] == true {
        say("… the audit trail goes on; what comes later was not read");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_named_by_number_url_or_word() {
        let url = "https://ca.test/acme/server/order/AbC-_9";
        for (given, read) in [
            ("17", "17"),
            (url, "AbC-_9"),
            (&format!("{url}/finalize"), "AbC-_9"),
            (&format!("{url}/"), "AbC-_9"),
            ("AbC-_9", "AbC-_9"),
        ] {
            assert_eq!(word(given).ok(), Some(read), "{given}");
        }
        for odd in ["", "/", "a b", "../x y", "a?b"] {
            assert_eq!(word(odd).expect_err("no order").code, 2, "{odd:?}");
        }
    }
}
