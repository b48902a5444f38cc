//! What every backend must keep, as one suite: each rule runs on a fresh store, and a backend's test runs them all.
//!
//! The records are made by the domain's own constructors; nothing here knows which backend it looks at.

mod rules;
mod world;

use std::pin::Pin;
use std::sync::Arc;

use chancery_authority::Store;

/// A store under test, and how to close it and open it again.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);

/// One rule: panics where it does not hold.
pub type Rule = for<'a> fn(Open<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// All rules, by what they say.
pub const RULES: &[(&str, Rule)] = &[
    ("what was applied is loaded back equal", |open| {
        Box::pin(rules::records_come_back(open))
    }),
    (
        "a second account with one key conflicts and leaves nothing",
        |open| Box::pin(rules::one_account_for_a_key(open)),
    ),
    (
        "a stale version conflicts and nothing of the change remains",
        |open| Box::pin(rules::all_or_nothing(open)),
    ),
    ("A18: of many claims of one order one is applied", |open| {
        Box::pin(rules::one_claim_wins(open))
    }),
    (
        "A7: a serial and an order's certificate exist once",
        |open| Box::pin(rules::certificates_are_unique(open)),
    ),
    (
        "D4: revoked certificates are listed until their time is over",
        |open| Box::pin(rules::revoked_are_listed(open)),
    ),
    ("open work is exactly what is under way", |open| {
        Box::pin(rules::open_work_is_what_is_under_way(open))
    }),
    ("pages ascend without gaps or repeats", |open| {
        Box::pin(rules::pages_ascend(open))
    }),
    (
        "every applied change has one audit record, a conflict none, and the chain goes on after a restart",
        |open| Box::pin(rules::audit_is_whole(open)),
    ),
    ("settings move by their version", |open| {
        Box::pin(rules::settings_move(open))
    }),
];
