//! Loads: point reads run where they are asked for (microseconds); listings on a blocking thread.

use std::future::ready;
use std::sync::Arc;

use chancery_authority::account::{Account, KeyTag};
use chancery_authority::audit::Block;
use chancery_authority::authorization::{Authorization, ReuseTag};
use chancery_authority::binding::Binding;
use chancery_authority::certificate::Certificate;
use chancery_authority::crl::CrlState;
use chancery_authority::issuer::Issuer;
use chancery_authority::order::Order;
use chancery_authority::setting::{Setting, SettingName};
use chancery_authority::store::{Answer, CertificateFilter, Health, OnlyRevoked, OpenWork, Page};
use chancery_authority::{
    AccountId, AuthorizationId, BindingId, CertificateId, Change, IssuerId, OrderId, Outcome,
    Store, StoreError,
};
use chancery_pki::{RevocationReason, RevokedEntry, Serial, UnixTime};
use minicbor::Decode;
use rusqlite::{Connection, OptionalExtension, Params, params};

use super::{Readers, SqliteStore, unavailable};
use crate::record::decode;

pub(super) fn setting_key(name: SettingName) -> i64 {
    match name {
        SettingName::UrlKey => 1,
        SettingName::JournalMark => 2,
    }
}

/// Where a block of the audit trail lies.
pub(super) fn audit_position(node: u8, sequence: i64) -> i64 {
    (i64::from(node) << SEQUENCE_BITS) | sequence.clamp(0, (1 << SEQUENCE_BITS) - 1)
}

/// Blocks of one node: at ten thousand a second they last for centuries.
const SEQUENCE_BITS: u32 = 48;

/// An order; its body lies elsewhere while its signature is under way.
const ORDER: &str = "select id, case open when 0 then body \
                     else (select claim.body from order_claim claim where claim.id = orders.id) end from orders";

/// The newest few: whoever proves one name again and again does not make every order longer.
const REUSABLE: &str =
    "select id, body from authorization where reuse_tag = ?1 order by id desc limit 10";

/// What a CRL lists, read from an index alone.
const REVOKED: &str = "select serial, revoked_at, revocation_reason from certificate indexed by certificate_revoked \
                       where issuer = ?1 and shard = ?2 and not_after >= ?3 and revoked_at is not null order by serial";

fn revoked_entry(
    serial: [u8; 20],
    at: i64,
    reason: Option<i64>,
) -> Result<RevokedEntry, StoreError> {
    let damaged = || StoreError::Damaged {
        what: "the entry of a revoked certificate".to_owned(),
    };
    let reason = match reason {
        None => None,
        Some(code) => Some(RevocationReason::from_code(code).ok_or_else(damaged)?),
    };
    Ok(RevokedEntry {
        serial: Serial::from_bytes(&serial).map_err(|_| damaged())?,
        at: UnixTime(at),
        reason,
    })
}

fn find<T: for<'b> Decode<'b, ()>>(
    connection: &Connection,
    table: &str,
    sql: &str,
    key: impl Params,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| unavailable(&error))?;
    statement
        .query_row(key, |row| {
            Ok((row.get::<_, i64>(0)?, decode_row(table, row)))
        })
        .optional()
        .map_err(|error| unavailable(&error))?
        .map(|(_, decoded)| decoded)
        .transpose()
}

fn list<T: for<'b> Decode<'b, ()>>(
    connection: &Connection,
    table: &str,
    sql: &str,
    values: impl Params,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection
        .prepare_cached(sql)
        .map_err(|error| unavailable(&error))?;
    let rows = statement
        .query_map(values, |row| Ok(decode_row(table, row)))
        .map_err(|error| unavailable(&error))?;
    rows.map(|row| row.map_err(|error| unavailable(&error))?)
        .collect()
}

/// Column 0 is the key, column 1 the blob.
fn decode_row<T: for<'b> Decode<'b, ()>>(
    table: &str,
    row: &rusqlite::Row<'_>,
) -> Result<T, StoreError> {
    let key: i64 = row.get(0).map_err(|error| unavailable(&error))?;
    let blob = row
        .get_ref(1)
        .map_err(|error| unavailable(&error))?
        .as_blob()
        .map_err(|_| StoreError::Damaged {
            what: format!("{table} {key}"),
        })?;
    decode(table, key, blob)
}

impl SqliteStore {
    fn point<'a, T: Send + 'a>(
        &'a self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Answer<'a, T> {
        Box::pin(ready(read(&self.points.borrow())))
    }

    fn listing<'a, T: Send + 'static>(
        &'a self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<'a, T> {
        let readers: Arc<Readers> = Arc::clone(&self.lists);
        Box::pin(async move {
            tokio::task::spawn_blocking(move || read(&readers.borrow()))
                .await
                .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
        })
    }
}

impl Store for SqliteStore {
    fn apply(&self, change: Change) -> Answer<'_, Outcome> {
        let waiting = self.queue.push(change);
        Box::pin(async move {
            waiting?
                .await
                .unwrap_or_else(|_| Err(StoreError::Unavailable("its writer has ended".to_owned())))
        })
    }

    fn account(&self, id: AccountId) -> Answer<'_, Option<Account>> {
        self.point(|db| {
            find(
                db,
                "account",
                "select id, body from account where id = ?1",
                [id.0],
            )
        })
    }

    fn account_by_key(&self, tag: KeyTag) -> Answer<'_, Option<Account>> {
        let sql = "select id, body from account where key_tag = ?1";
        self.point(|db| find(db, "account", sql, [tag.0]))
    }

    fn order(&self, id: OrderId) -> Answer<'_, Option<Order>> {
        self.point(|db| find(db, "order", &format!("{ORDER} where id = ?1"), [id.0]))
    }

    fn orders_of(&self, account: AccountId, before: OrderId, limit: u16) -> Answer<'_, Vec<Order>> {
        let limit = limit.min(Page::LIMIT_MAX);
        self.listing(move |db| {
            list(
                db,
                "order",
                &orders_of(),
                params![account.0, before.0, limit],
            )
        })
    }

    fn orders(&self, page: Page) -> Answer<'_, Vec<Order>> {
        let sql = format!("{ORDER} where id > ?1 order by id limit ?2");
        self.listing(move |db| list(db, "order", &sql, params![page.after, limit(page)]))
    }

    fn authorization(&self, id: AuthorizationId) -> Answer<'_, Option<Authorization>> {
        let sql = "select id, body from authorization where id = ?1";
        self.point(|db| find(db, "authorization", sql, [id.0]))
    }

    fn authorizations(&self, ids: Vec<AuthorizationId>) -> Answer<'_, Vec<Authorization>> {
        let sql = "select id, body from authorization where id = ?1";
        self.point(|db| {
            ids.into_iter()
                .filter_map(|id| find(db, "authorization", sql, [id.0]).transpose())
                .collect()
        })
    }

    fn reusable(&self, tags: Vec<ReuseTag>) -> Answer<'_, Vec<Authorization>> {
        self.point(|db| {
            let mut found = Vec::new();
            for tag in tags {
                found.extend(list(db, "authorization", REUSABLE, [tag.0])?);
            }
            Ok(found)
        })
    }

    fn certificate(&self, id: CertificateId) -> Answer<'_, Option<Certificate>> {
        let sql = "select id, body from certificate where id = ?1";
        self.point(|db| find(db, "certificate", sql, [id.0]))
    }

    fn certificate_by_serial(
        &self,
        issuer: IssuerId,
        serial: Serial,
    ) -> Answer<'_, Option<Certificate>> {
        let sql = "select id, body from certificate where issuer = ?1 and serial = ?2";
        self.point(|db| find(db, "certificate", sql, params![issuer.0, serial.as_bytes()]))
    }

    fn certificates(&self, page: Page, filter: CertificateFilter) -> Answer<'_, Vec<Certificate>> {
        let before = filter.expires_before.map_or(i64::MAX, |time| time.0);
        let only_revoked = matches!(filter.only_revoked, OnlyRevoked::Yes);
        let sql = "select id, body from certificate \
                   where id > ?1 and not_after < ?2 and (status <> 0 or ?3 = 0) order by id limit ?4";
        self.listing(move |db| {
            list(
                db,
                "certificate",
                sql,
                params![page.after, before, only_revoked, limit(page)],
            )
        })
    }

    fn revoked(
        &self,
        issuer: IssuerId,
        shard: u16,
        listed_from: UnixTime,
    ) -> Answer<'_, Vec<RevokedEntry>> {
        self.listing(move |db| {
            let mut statement = db
                .prepare_cached(REVOKED)
                .map_err(|error| unavailable(&error))?;
            let rows = statement
                .query_map(params![issuer.0, shard, listed_from.0], |row| {
                    Ok(revoked_entry(row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .map_err(|error| unavailable(&error))?;
            rows.map(|row| row.map_err(|error| unavailable(&error))?)
                .collect()
        })
    }

    fn crls(&self, issuer: IssuerId) -> Answer<'_, Vec<CrlState>> {
        let sql = "select shard, body from crl where issuer = ?1 order by shard";
        self.listing(move |db| list(db, "CRL of shard", sql, [issuer.0]))
    }

    fn issuers(&self) -> Answer<'_, Vec<Issuer>> {
        self.point(|db| list(db, "issuer", "select id, body from issuer order by id", []))
    }

    fn binding(&self, id: BindingId) -> Answer<'_, Option<Binding>> {
        let sql = "select id, body from binding where id = ?1";
        self.point(|db| find(db, "binding", sql, [id.0]))
    }

    fn bindings(&self, page: Page) -> Answer<'_, Vec<Binding>> {
        let sql = "select id, body from binding where id > ?1 order by id limit ?2";
        self.listing(move |db| list(db, "binding", sql, params![page.after, limit(page)]))
    }

    fn setting(&self, name: SettingName) -> Answer<'_, Option<Setting>> {
        let sql = "select name, body from setting where name = ?1";
        self.point(|db| find(db, "setting", sql, [setting_key(name)]))
    }

    fn open_work(&self) -> Answer<'_, OpenWork> {
        self.listing(|db| {
            let orders = "select id, body from order_claim order by id";
            let authorizations = "select id, body from authorization where open = 1 order by id";
            Ok(OpenWork {
                orders: list(db, "order", orders, [])?,
                authorizations: list(db, "authorization", authorizations, [])?,
            })
        })
    }

    fn audit(&self, node: u8, after: i64, limit: u16) -> Answer<'_, Vec<Block>> {
        let sql = "select sequence, previous, body from audit \
                   where position > ?1 and position <= ?2 order by position limit ?3";
        let (above, last) = (audit_position(node, after), audit_position(node, i64::MAX));
        self.listing(move |db| {
            let mut statement = db
                .prepare_cached(sql)
                .map_err(|error| unavailable(&error))?;
            let rows = statement
                .query_map(params![above, last, limit], |row| {
                    let (sequence, previous, body) = (row.get(0)?, row.get(1)?, row.get(2)?);
                    Ok(Block {
                        node,
                        sequence,
                        previous,
                        body,
                    })
                })
                .map_err(|error| unavailable(&error))?;
            rows.collect::<rusqlite::Result<_>>()
                .map_err(|error| unavailable(&error))
        })
    }

    fn health(&self) -> Answer<'_, Health> {
        let sql = "select max(
            coalesce((select max(id) from account), 0),
            coalesce((select max(id) from orders), 0),
            coalesce((select max(id) from authorization), 0),
            coalesce((select max(id) from certificate), 0),
            coalesce((select max(id) from binding), 0))";
        let disk = self.disk.look();
        self.point(|db| {
            db.query_row(sql, [], |row| row.get(0))
                .map(|highest_id| Health { highest_id, disk })
                .map_err(|error| unavailable(&error))
        })
    }
}

fn orders_of() -> String {
    format!("{ORDER} where account = ?1 and id < ?2 order by id desc limit ?3")
}

fn limit(page: Page) -> u16 {
    page.limit.min(Page::LIMIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listing that sorts or scans is quick until there are a million.
    #[test]
    fn listings_walk_an_index_in_its_order() {
        let mut connection = Connection::open_in_memory().expect("opens");
        super::super::migrate::to_newest(&mut connection, std::path::Path::new("memory"))
            .expect("migrates");
        let plan = |sql: &str| -> String {
            let mut statement = connection
                .prepare(&format!("explain query plan {sql}"))
                .expect("a statement");
            let none = rusqlite::params_from_iter(vec![0; statement.parameter_count()]);
            let rows = statement
                .query_map(none, |row| row.get::<_, String>(3))
                .expect("a plan");
            rows.collect::<rusqlite::Result<Vec<_>>>()
                .expect("a plan")
                .join("; ")
        };
        let revoked = plan(REVOKED);
        assert!(
            revoked.contains("COVERING INDEX certificate_revoked"),
            "{revoked}"
        );
        let orders = plan(&format!("{ORDER} where id > ?1 order by id limit ?2"));
        assert!(
            orders.contains("SEARCH orders USING INTEGER PRIMARY KEY"),
            "{orders}"
        );
        let own = plan(&orders_of());
        assert!(own.contains("INDEX orders_account"), "{own}");
        let reusable = plan(REUSABLE);
        assert!(
            reusable.contains("INDEX authorization_reusable"),
            "{reusable}"
        );
        for listing in [&revoked, &orders, &own, &reusable] {
            assert!(!listing.contains("TEMP B-TREE"), "{listing}");
        }
    }
}
