//! `kill -9` at any moment (law 8): what was answered is there, and of what was not there is all or nothing.

use std::collections::HashMap;
use std::env;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chancery_authority::change::Record;
use chancery_authority::order::OrderState;
use chancery_authority::store::{CertificateFilter, Page};
use chancery_authority::world::{World, names};
use chancery_authority::{
    AccountId, AuthorizationId, CertificateId, Change, IdSource, OrderId, Outcome, Store,
};
use chancery_crypto::{Curve, KeyKind, PrivateKey};
use chancery_store::sqlite::{SqliteOptions, SqliteStore};
use chancery_testkit::process::Program;
use chancery_testkit::{SeededEntropy, TempDir};
use rusqlite::Connection;
use tokio::task::JoinSet;

use crate::trail::{blocks, counted};
use crate::{assert_sound, child};

const SOON: Duration = Duration::from_secs(60);

/// Writers at a time in the child.
const WRITERS: u64 = 8;

/// Numbers of records count milliseconds from here: 2020-01-01.
const EPOCH_SECS: i64 = 1_577_836_800;

/// Rounds in one store; then a new one, so that looking through it all stays quick.
const ROUNDS_PER_STORE: u64 = 25;

/// The child is killed when it has said so many lines, or a little later.
const LINES_MAX: u64 = 300;

/// The child: writes whole orders and revocations, several at a time, and says each change that was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_writes() {
    let Some(folder) = child::folder() else {
        return;
    };
    let options = SqliteOptions::new(folder.join("chancery.db"));
    let store = Arc::new(SqliteStore::open(options).expect("opens"));
    let highest = store.health().await.expect("answers").highest_id;
    child::say("ready");
    let said = Arc::new(AtomicU64::new(0));
    let mut running = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, said) = (Arc::clone(&store), Arc::clone(&said));
        running.spawn(async move {
            let mut world = World::new(u64::try_from(highest).unwrap_or(0) ^ writer);
            let node = u8::try_from(writer).expect("few writers");
            world.ids = IdSource::new(node, highest);
            // Later than whatever an earlier round wrote, so that no number comes again.
            let millis = (highest >> 22) + EPOCH_SECS * 1000;
            world.now.0 = world.now.0.max(millis / 1000 + 1);
            let key = PrivateKey::generate(KeyKind::Ec(Curve::P256)).expect("generates");
            loop {
                for change in next_changes(&mut world, &key) {
                    let line = spelled(&change);
                    assert_eq!(store.apply(change).await, Ok(Outcome::Applied), "{line}");
                    child::say(&format!(
                        "{} {line}",
                        said.fetch_add(1, Ordering::SeqCst) + 1
                    ));
                }
            }
        });
    }
    running.join_all().await;
}

/// An account, an order of two names from its placing to its certificate, and the revocation of that.
fn next_changes(world: &mut World, key: &PrivateKey) -> Vec<Change> {
    let (change, account) = world.account();
    let mut changes = vec![change];
    let issued = world.issue_with_key(
        key,
        account.id,
        names(&["a.test", "*.b.test"]).expect("names"),
    );
    changes.extend(issued.changes);
    changes.push(world.revocation(&issued.certificate, world.now).0);
    changes
}

/// `Kind object table:id:version…`
fn spelled(change: &Change) -> String {
    let mut line = format!("{:?} {}", change.kind(), change.audit().object);
    for write in change.writes() {
        let (table, id, version) = match &write.record {
            Record::Account(it) => ("account", it.id.0, it.version),
            Record::Order(it) => ("order", it.id.0, it.version),
            Record::Authorization(it) => ("authorization", it.id.0, it.version),
            Record::Certificate(it) => ("certificate", it.id.0, it.version),
            Record::Issuer(_) | Record::Crl(_) | Record::Setting(_) | Record::Binding(_) => {
                continue;
            }
        };
        line += &format!(" {table}:{id}:{version}");
    }
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn law8_what_was_answered_before_a_kill_is_there_after_it() {
    let long = env::var_os("CHANCERY_LONG").is_some();
    let rounds = if long { 500 } else { 20 };
    let chance = SeededEntropy::new(8);
    let mut said = HashMap::new();
    let mut folder = TempDir::new("store-kills").expect("a folder");
    for round in 0..rounds {
        if round % ROUNDS_PER_STORE == 0 {
            folder = TempDir::new("store-kills").expect("a folder");
            said.clear();
        }
        let lines = kill_at_some_moment(folder.path(), &chance);
        assert!(!lines.is_empty(), "round {round}: the child had begun");
        let store = SqliteStore::open(SqliteOptions::new(folder.path().join("chancery.db")));
        let store = store.expect("opens after a kill");
        check_answered(&store, &lines, &mut said).await;
        check_wholeness(&store).await;
        drop(store);
        assert_sound(&Connection::open(folder.path().join("chancery.db")).expect("opens"));
    }
}

/// Runs the child, kills it, and gives back what it said.
fn kill_at_some_moment(folder: &Path, chance: &SeededEntropy) -> Vec<String> {
    let program = Program::spawn(child::of_test("kills::child_writes", folder)).expect("starts");
    let wanted = format!("{} ", 1 + chance.number() % LINES_MAX);
    program
        .wait_for_line(|line| line.starts_with(&wanted), SOON)
        .expect("it writes");
    // Not always right behind an answer.
    for _ in 0..chance.number() % 2_000_000 {
        std::hint::spin_loop();
    }
    program.kill9_all().expect("killed");
    // Until both ends of its output are read.
    program
        .wait_for_line(|_| false, SOON)
        .expect_err("it says nothing more");
    let numbered = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        number.parse::<u64>().ok().map(|_| rest.to_owned())
    };
    program
        .lines()
        .iter()
        .filter_map(|line| numbered(&line.text))
        .collect()
}

/// Each answered change is there: its records at its version or a later one, and one audit record for each time.
async fn check_answered(
    store: &dyn Store,
    lines: &[String],
    said: &mut HashMap<(String, i64), u32>,
) {
    for line in lines {
        let mut words = line.split(' ');
        let (Some(kind), Some(object)) = (words.next(), words.next()) else {
            panic!("{line}")
        };
        let object: i64 = object.parse().expect("a number");
        *said.entry((kind.to_owned(), object)).or_default() += 1;
        for word in words {
            let mut parts = word.split(':');
            let (Some(table), Some(id), Some(version)) = (parts.next(), parts.next(), parts.next())
            else {
                panic!("{line}")
            };
            let (id, version) = (
                id.parse().expect("a number"),
                version.parse().expect("a number"),
            );
            let found = version_of(store, table, id).await;
            assert!(
                found >= Some(version),
                "{table} {id} is at {found:?}, said was {version}"
            );
        }
    }
    let audited = counted(&blocks(store).await);
    for (change, times) in said {
        let found = audited.get(change).copied().unwrap_or(0);
        assert!(
            found >= *times,
            "{change:?} was answered {times} times and audited {found} times"
        );
    }
}

async fn version_of(store: &dyn Store, table: &str, id: i64) -> Option<u32> {
    let fine = "the store answers";
    match table {
        "account" => store
            .account(AccountId(id))
            .await
            .expect(fine)
            .map(|it| it.version),
        "order" => store
            .order(OrderId(id))
            .await
            .expect(fine)
            .map(|it| it.version),
        "authorization" => store
            .authorization(AuthorizationId(id))
            .await
            .expect(fine)
            .map(|it| it.version),
        _ => store
            .certificate(CertificateId(id))
            .await
            .expect(fine)
            .map(|it| it.version),
    }
}

/// No change is there by half: an order has all its authorizations, and a certificate exactly when it is valid.
async fn check_wholeness(store: &dyn Store) {
    let mut page = Page {
        after: 0,
        limit: 1000,
    };
    let mut valid = 0;
    loop {
        let orders = store.orders(page).await.expect("answers");
        let Some(last) = orders.last() else { break };
        page.after = last.id.0;
        for order in &orders {
            let parts = order
                .parts
                .iter()
                .map(|part| part.authorization)
                .collect::<Vec<_>>();
            let found = store.authorizations(parts.clone()).await.expect("answers");
            assert_eq!(found.len(), parts.len(), "order {}", order.id);
            let proven = order.parts.iter().zip(&found);
            for (part, authorization) in proven {
                let evidence = authorization.evidence_at(order.created).is_some();
                assert_eq!(evidence, part.satisfied, "order {}", order.id);
            }
            let is_valid = matches!(order.state, OrderState::Valid { .. });
            let certificate = store.certificate(CertificateId::of(order.id)).await;
            assert_eq!(
                certificate.map(|it| it.is_some()),
                Ok(is_valid),
                "order {}",
                order.id
            );
            valid += usize::from(is_valid);
        }
    }
    let mut page = Page {
        after: 0,
        limit: 1000,
    };
    let mut certificates = 0;
    loop {
        let found = store
            .certificates(page, CertificateFilter::default())
            .await
            .expect("answers");
        let Some(last) = found.last() else { break };
        page.after = last.id.0;
        certificates += found.len();
    }
    assert_eq!(certificates, valid);
    let open = store.open_work().await.expect("answers");
    for order in open.orders {
        assert!(matches!(order.state, OrderState::Processing { .. }));
    }
}
