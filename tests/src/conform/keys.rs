//! Accounts and their keys (§11.1).

use std::sync::Barrier;

use serde_json::json;

use super::Target;
use super::judge::{answered, hold};
use super::verdict::{Check, Outcome};
use crate::new_key;

pub(super) const CHECKS: &[Check] = &[Check::must(
    124,
    "§11.1",
    "A key has one account, however many requests make it at once",
    a_key_has_one_account,
)];

fn a_key_has_one_account(target: &Target) -> Outcome {
    let key = new_key();
    let start = Barrier::new(2);
    let send = || {
        start.wait();
        target.register(&key, json!({}))
    };
    let replies = std::thread::scope(|scope| {
        [scope.spawn(send), scope.spawn(send)].map(|thread| thread.join())
    });
    let mut urls = Vec::new();
    for reply in replies {
        let reply = reply.map_err(|_| "a thread ended".to_owned())??;
        answered(&reply, "newAccount", &[200, 201])?;
        urls.push(reply.header("location").to_owned());
    }
    hold(urls.first() == urls.last(), || {
        format!("one key has {urls:?}")
    })
}
