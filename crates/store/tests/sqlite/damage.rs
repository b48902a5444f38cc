//! Damage and versions (failures G1, G2).

use chancery_authority::world::{World, names};
use chancery_authority::{AccountId, Store, StoreError};
use chancery_store::sqlite::SqliteStore;
use rusqlite::Connection;

use crate::{Ground, applied, assert_sound, note};

/// Every table with a body: what a load of the damaged record answers.
#[tokio::test]
async fn g1_a_bit_flipped_on_the_disk_is_damage_that_names_its_record() {
    let (ground, mut world) = (Ground::new("store-damage"), World::new(1));
    let store = ground.open();
    applied(&*store, world.initialised()).await;
    let (change, account) = world.account();
    applied(&*store, change).await;
    let issued = world.issue(account.id, names(&["a.test"]).expect("a name"));
    let (recorded, before) = issued.changes.split_last().expect("it was recorded");
    for change in before {
        applied(&*store, change.clone()).await;
    }
    let (published, crl) = world.crl(2, None, Vec::new());
    applied(&*store, published).await;
    let flip = |table: &str| flip_middle_bit(&ground.raw(), table);
    let damaged = |what: String| StoreError::Damaged { what };

    flip("order_claim");
    let order = damaged(format!("order {}", issued.order.id));
    assert_eq!(store.order(issued.order.id).await, Err(order.clone()));
    assert_eq!(store.open_work().await, Err(order));
    flip("order_claim");
    applied(&*store, recorded.clone()).await;
    flip("orders");
    let order = damaged(format!("order {}", issued.order.id));
    assert_eq!(store.order(issued.order.id).await, Err(order));
    flip("account");
    let answer = damaged(format!("account {}", account.id));
    assert_eq!(store.account(account.id).await, Err(answer.clone()));
    assert_eq!(store.account_by_key(account.key_tag).await, Err(answer));
    flip("authorization");
    let id = issued.authorizations[0].id;
    let answer = damaged(format!("authorization {id}"));
    assert_eq!(store.authorization(id).await, Err(answer.clone()));
    assert_eq!(store.authorizations(vec![id]).await, Err(answer));
    flip("certificate");
    let answer = damaged(format!("certificate {}", issued.certificate.id));
    assert_eq!(store.certificate(issued.certificate.id).await, Err(answer));
    flip("crl");
    assert_eq!(
        store.crls(crl.issuer).await,
        Err(damaged("CRL of shard 2".to_owned()))
    );
    flip("issuer");
    assert!(matches!(
        store.issuers().await,
        Err(StoreError::Damaged { .. })
    ));
    flip("setting");
    let setting = store
        .setting(chancery_authority::setting::SettingName::UrlKey)
        .await;
    assert_eq!(setting, Err(damaged("setting 1".to_owned())));
}

/// One bit in the middle of the first body, where the change may well be another sound record.
fn flip_middle_bit(connection: &Connection, table: &str) {
    let (row, mut body): (i64, Vec<u8>) = connection
        .query_row(
            &format!("select rowid, body from {table} limit 1"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .expect("there is one");
    let middle = body.len() / 2;
    body[middle] ^= 1;
    connection
        .execute(
            &format!("update {table} set body = ?2 where rowid = ?1"),
            (row, body),
        )
        .expect("it is written");
}

/// Failures G2: the writer-reset fault of SQLite is mended from 3.51.3 on, and no memory map, which made it worse.
#[tokio::test]
async fn g2_the_file_is_a_log_and_belongs_to_this_user_alone() {
    use std::os::unix::fs::PermissionsExt;

    let ground = Ground::new("store-pragmas");
    let store = ground.open();
    applied(&*store, note(&World::new(1), 1)).await;
    let connection = ground.raw();
    let read = |name: &str| -> String {
        let value: rusqlite::types::Value = connection
            .pragma_query_value(None, name, |row| row.get(0))
            .expect("readable");
        format!("{value:?}")
    };
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "{}",
        rusqlite::version()
    );
    assert_eq!(read("journal_mode"), "Text(\"wal\")");
    assert_eq!(read("page_size"), "Integer(2048)");
    assert_eq!(
        read("mmap_size"),
        "Integer(0)",
        "what is compiled in holds for every connection"
    );
    for end in ["", "-wal", "-shm"] {
        let file = format!("{}{end}", ground.path().display());
        let mode = std::fs::metadata(&file)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[tokio::test]
async fn opening_again_changes_nothing() {
    let (ground, mut world) = (Ground::new("store-again"), World::new(1));
    let (change, account) = world.account();
    applied(&*ground.open(), change).await;
    let before = std::fs::read(ground.path()).expect("readable");
    for _ in 0..2 {
        let store = ground.open();
        assert_eq!(store.account(account.id).await, Ok(Some(account.clone())));
    }
    assert_eq!(std::fs::read(ground.path()).expect("readable"), before);
    assert_sound(&ground.raw());
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let ground = Ground::new("store-foreign");
    let words = "this is a letter, and whoever wrote it wants it back\n".repeat(100);
    std::fs::write(ground.path(), &words).expect("written");
    let refused = SqliteStore::open(ground.options()).err().expect("refuses");
    assert!(refused.to_string().contains("chancery.db"), "{refused}");
    assert_eq!(
        std::fs::read_to_string(ground.path()).expect("readable"),
        words
    );
}

/// Another program may look into the file and even hold it for a while.
#[tokio::test]
async fn while_another_program_holds_the_file_the_store_is_busy_and_recovers() {
    let (ground, mut world) = (Ground::new("store-held"), World::new(1));
    let store = ground.open();
    let other = ground.raw();
    other.execute_batch("begin immediate").expect("begins");
    let (change, account) = world.account();
    assert_eq!(store.apply(change.clone()).await, Err(StoreError::Busy));
    assert_eq!(store.account(account.id).await, Ok(None), "reading goes on");
    other.execute_batch("rollback").expect("ends");
    applied(&*store, change).await;
    assert_eq!(
        store.account(AccountId(account.id.0)).await,
        Ok(Some(account))
    );
}
