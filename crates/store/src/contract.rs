//! What every backend must keep, as one suite: each rule runs on a fresh store, and a backend's test runs them all.
//!
//! The records are made by the domain's own constructors ([`chancery_authority::world`]); nothing here knows which backend
//! it looks at. [`MemoryStore`] is the smallest store that keeps every rule, and the measure for the others under random changes.

mod memory;
mod rules;
mod steps;

use std::pin::Pin;
use std::sync::Arc;

use chancery_authority::Store;

pub use memory::MemoryStore;

use rules::{audit, certificates, changes, listings, random, records, revocations, through_time};

/// Opens the store under test as node 1: the same records at each call. A rule drops what it opened before it opens again.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);

/// One rule: panics where it does not hold.
pub type Rule = for<'a> fn(Open<'a>) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

macro_rules! rules {
    ($($says:literal: $rule:path;)*) => {
        /// All rules, by what they say.
        pub const RULES: &[(&str, Rule)] = &[$(($says, |open| Box::pin($rule(open))),)*];
    };
}

rules! {
    "an empty store answers with nothing": records::an_empty_store_answers_with_nothing;
    "every record comes back equal at each step of its life": records::every_record_comes_back_equal;
    "several authorizations come in the order asked for": records::several_authorizations_come_as_asked;
    "the highest number in use is known": records::the_highest_number_is_known;
    "a second account with one key conflicts and leaves nothing": changes::one_account_for_a_key;
    "a stale version conflicts and nothing of the change remains": changes::all_or_nothing;
    "what is there cannot be made again": changes::what_is_there_is_not_made_again;
    "what a change needs of other records holds, or it conflicts": changes::needs_hold_or_it_conflicts;
    "what a binding lets happen needs it to hold, and its count moves once": changes::bindings_hold_and_count;
    "a change without writes applies": changes::a_change_without_writes_applies;
    "settings and CRLs move by their version": changes::settings_and_crls_move_by_version;
    "A18: of a hundred claims of one order one is applied": changes::a18_one_claim_wins;
    "A7: a serial and an order's certificate exist once": certificates::a7_certificates_are_unique;
    "A9: what the journal restores takes its place": certificates::a9_restored_and_orphaned;
    "D2: the first revocation stays": revocations::d2_the_first_revocation_stays;
    "D4: revoked certificates are listed until their time is over": revocations::d4_listed_until_the_end;
    "each shard lists its own, orphans too, ascending": revocations::shards_list_their_own;
    "open work is exactly what is under way": listings::open_work_is_what_is_under_way;
    "pages ascend without gaps or repeats": listings::pages_ascend;
    "an account's orders come newest first, and nobody else's": listings::orders_of_an_account;
    "what later orders may rest on is found while it is valid": records::reusable_while_valid;
    "bindings are listed in their order": listings::bindings_ascend;
    "listings show what the filter says": listings::filters_select;
    "each applied change has one audit record and a conflict none": audit::one_record_for_each_change;
    "the audit chain goes on after a restart": audit::the_chain_goes_on;
    "what was answered before a restart is there after it": through_time::answered_is_kept;
    "a load sees what was answered before it began": through_time::loads_see_what_was_answered;
    "a change goes on when nobody waits for it": through_time::a_change_goes_on_alone;
    "random changes leave what they say": random::random_changes_leave_what_they_say;
}

/// Runs every rule, each on a store of its own that `fresh` makes; the opener it returns keeps what belongs to it.
///
/// # Panics
/// Where a rule does not hold, after its name was printed.
pub async fn keeps_every_rule<O>(fresh: impl Fn() -> O)
where
    O: Fn() -> Arc<dyn Store> + Sync,
{
    for (says, rule) in RULES {
        let broken = Named(says);
        rule(&fresh()).await;
        drop(broken);
    }
}

/// Says which rule it was when the rule panics.
struct Named(&'static str);

impl Drop for Named {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this rule does not hold: {}", self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_smallest_store_keeps_every_rule() {
        keeps_every_rule(|| {
            let store = MemoryStore::default();
            move || -> Arc<dyn Store> { Arc::new(store.clone()) }
        })
        .await;
    }
}
