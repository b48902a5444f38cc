//! One change as rows. A write that finds anything else than it expects makes the whole change a conflict.

use chancery_authority::Change;
use chancery_authority::authorization::{Authorization, AuthorizationState, ChallengeState};
use chancery_authority::certificate::{Certificate, CertificateStatus};
use chancery_authority::change::{Expect, Need, Record, Write};
use chancery_authority::order::{Order, OrderState};
use chancery_pki::RevocationReason;
use rusqlite::{Connection, ToSql, ffi, params};

use crate::record::encode;

/// Whether the writes of a change took place.
pub(super) enum Written {
    All,
    Conflict,
}

/// Executes every write of a change, inside the caller's transaction.
pub(super) fn change(
    connection: &Connection,
    node: u8,
    change: &Change,
) -> rusqlite::Result<Written> {
    for need in change.needs() {
        if !holds(connection, *need)? {
            return Ok(Written::Conflict);
        }
    }
    // A lone write that conflicts has changed nothing; only several need a savepoint to undo.
    let guarded = change.writes().len() > 1;
    if guarded {
        connection
            .prepare_cached("savepoint one_change")?
            .execute([])?;
    }
    for write in change.writes() {
        if !one(connection, node, write)? {
            if guarded {
                connection
                    .prepare_cached("rollback to one_change")?
                    .execute([])?;
                connection
                    .prepare_cached("release one_change")?
                    .execute([])?;
            }
            return Ok(Written::Conflict);
        }
    }
    if guarded {
        connection
            .prepare_cached("release one_change")?
            .execute([])?;
    }
    Ok(Written::All)
}

fn holds(connection: &Connection, need: Need) -> rusqlite::Result<bool> {
    match need {
        Need::Account { id, version } => connection
            .prepare_cached("select 1 from account where id = ?1 and version = ?2")?
            .exists(params![id.0, version]),
        Need::NoAccountWith(tag) => Ok(!connection
            .prepare_cached("select 1 from account where key_tag = ?1")?
            .exists([tag.0])?),
        Need::BindingHolds(id) => connection
            .prepare_cached("select 1 from binding where id = ?1 and withdrawn is null")?
            .exists([id.0]),
    }
}

fn one(connection: &Connection, node: u8, write: &Write) -> rusqlite::Result<bool> {
    let expect = write.expect;
    match &write.record {
        Record::Account(account) => {
            let body = encode(account);
            match expect {
                Expect::Absent => insert(
                    connection,
                    "insert into account (id, version, node, epoch, key_tag, body) values (?1, ?2, ?3, 0, ?4, ?5)",
                    params![account.id.0, account.version, node, account.key_tag.0, body],
                ),
                Expect::Version(from) => update(
                    connection,
                    "update account set version = ?3, key_tag = ?4, body = ?5 where id = ?1 and version = ?2",
                    params![account.id.0, from, account.version, account.key_tag.0, body],
                ),
            }
        }
        Record::Order(record) => order(connection, node, expect, record),
        Record::Authorization(record) => authorization(connection, node, expect, record),
        Record::Certificate(record) => certificate(connection, node, expect, record),
        Record::Issuer(issuer) => {
            let body = encode(issuer);
            match expect {
                Expect::Absent => insert(
                    connection,
                    "insert into issuer (id, version, node, epoch, body) values (?1, ?2, ?3, 0, ?4)",
                    params![issuer.id.0, issuer.version, node, body],
                ),
                Expect::Version(from) => update(
                    connection,
                    "update issuer set version = ?3, body = ?4 where id = ?1 and version = ?2",
                    params![issuer.id.0, from, issuer.version, body],
                ),
            }
        }
        Record::Crl(crl) => {
            let body = encode(crl);
            match expect {
                Expect::Absent => insert(
                    connection,
                    "insert into crl (issuer, shard, version, node, epoch, body) values (?1, ?2, ?3, ?4, 0, ?5)",
                    params![crl.issuer.0, crl.shard, crl.version, node, body],
                ),
                Expect::Version(from) => update(
                    connection,
                    "update crl set version = ?4, body = ?5 where issuer = ?1 and shard = ?2 and version = ?3",
                    params![crl.issuer.0, crl.shard, from, crl.version, body],
                ),
            }
        }
        Record::Binding(binding) => {
            let body = encode(binding);
            let withdrawn = binding.withdrawn.map(|at| at.0);
            match expect {
                Expect::Absent => insert(
                    connection,
                    "insert into binding (id, version, node, epoch, withdrawn, body) values (?1, ?2, ?3, 0, ?4, ?5)",
                    params![binding.id.0, binding.version, node, withdrawn, body],
                ),
                Expect::Version(from) => update(
                    connection,
                    "update binding set version = ?3, withdrawn = ?4, body = ?5 where id = ?1 and version = ?2",
                    params![binding.id.0, from, binding.version, withdrawn, body],
                ),
            }
        }
        Record::Setting(setting) => {
            let name = super::load::setting_key(setting.name);
            let body = encode(setting);
            match expect {
                Expect::Absent => insert(
                    connection,
                    "insert into setting (name, version, node, epoch, body) values (?1, ?2, ?3, 0, ?4)",
                    params![name, setting.version, node, body],
                ),
                Expect::Version(from) => update(
                    connection,
                    "update setting set version = ?3, body = ?4 where name = ?1 and version = ?2",
                    params![name, from, setting.version, body],
                ),
            }
        }
    }
}

fn order(
    connection: &Connection,
    node: u8,
    expect: Expect,
    order: &Order,
) -> rusqlite::Result<bool> {
    let body = encode(order);
    let (open, profile_hash) = match &order.state {
        OrderState::Processing { claim } => (true, Some(claim.profile_hash)),
        OrderState::Pending
        | OrderState::Ready
        | OrderState::Valid { .. }
        | OrderState::Invalid { .. }
        | OrderState::Cancelled => (false, None),
    };
    let written = match expect {
        Expect::Absent => insert(
            connection,
            "insert into orders (id, version, node, epoch, account, open, verdict, profile_hash, body) \
             values (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8)",
            params![
                order.id.0,
                order.version,
                node,
                order.account.0,
                open,
                order.verdict.policy,
                profile_hash,
                body
            ],
        ),
        // The hash stays when the claim has become a certificate, and the body while there is a claim.
        Expect::Version(from) => update(
            connection,
            "update orders set version = ?3, open = ?4, verdict = ?5, profile_hash = coalesce(?6, profile_hash), \
             body = case ?4 when 0 then ?7 else body end where id = ?1 and version = ?2",
            params![
                order.id.0,
                from,
                order.version,
                open,
                order.verdict.policy,
                profile_hash,
                body
            ],
        ),
    }?;
    if written {
        let claim = "insert or replace into order_claim (id, body) values (?1, ?2)";
        let no_claim = "delete from order_claim where id = ?1";
        match (open, expect) {
            (true, _) => connection
                .prepare_cached(claim)?
                .execute(params![order.id.0, body])?,
            (false, Expect::Version(_)) => {
                connection.prepare_cached(no_claim)?.execute([order.id.0])?
            }
            (false, Expect::Absent) => 0,
        };
    }
    Ok(written)
}

fn authorization(
    connection: &Connection,
    node: u8,
    expect: Expect,
    authorization: &Authorization,
) -> rusqlite::Result<bool> {
    let body = encode(authorization);
    let open = matches!(authorization.state, AuthorizationState::Pending)
        && authorization
            .challenges
            .iter()
            .any(|challenge| matches!(challenge.state, ChallengeState::Processing { .. }));
    let reuse_tag = authorization.reuse_tag().map(|tag| tag.0);
    match expect {
        Expect::Absent => insert(
            connection,
            "insert into authorization (id, version, node, epoch, open, body, reuse_tag) values (?1, ?2, ?3, 0, ?4, ?5, ?6)",
            params![
                authorization.id.0,
                authorization.version,
                node,
                open,
                body,
                reuse_tag
            ],
        ),
        Expect::Version(from) => update(
            connection,
            "update authorization set version = ?3, open = ?4, body = ?5, reuse_tag = ?6 where id = ?1 and version = ?2",
            params![
                authorization.id.0,
                from,
                authorization.version,
                open,
                body,
                reuse_tag
            ],
        ),
    }
}

fn certificate(
    connection: &Connection,
    node: u8,
    expect: Expect,
    certificate: &Certificate,
) -> rusqlite::Result<bool> {
    let body = encode(certificate);
    let status = match certificate.status {
        CertificateStatus::Good => 0,
        CertificateStatus::Revoked { .. } => 1,
        CertificateStatus::Orphaned { .. } => 2,
    };
    // Beside the body, so that a CRL is read from an index alone.
    let entry = certificate.crl_entry();
    let revoked_at = entry.map(|entry| entry.at.0);
    let reason = entry
        .and_then(|entry| entry.reason)
        .map(RevocationReason::code);
    match expect {
        Expect::Absent => insert(
            connection,
            "insert into certificate (id, version, node, epoch, issuer, serial, shard, status, not_after, \
             revoked_at, revocation_reason, profile_hash, body) \
             values (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            params![
                certificate.id.0,
                certificate.version,
                node,
                certificate.issuer.0,
                certificate.serial.as_bytes(),
                certificate.shard,
                status,
                certificate.not_after.0,
                revoked_at,
                reason,
                certificate.profile_hash,
                body
            ],
        ),
        // Serial, issuer and shard never change.
        Expect::Version(from) => update(
            connection,
            "update certificate set version = ?3, status = ?4, revoked_at = ?5, revocation_reason = ?6, body = ?7 \
             where id = ?1 and version = ?2",
            params![
                certificate.id.0,
                from,
                certificate.version,
                status,
                revoked_at,
                reason,
                body
            ],
        ),
    }
}

/// An insert that meets an existing key is a conflict, not an error.
fn insert(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> rusqlite::Result<bool> {
    execute(connection, sql, values).map(|rows| rows.is_some())
}

/// So is an update that would give a record another's unique key.
fn update(connection: &Connection, sql: &str, values: &[&dyn ToSql]) -> rusqlite::Result<bool> {
    execute(connection, sql, values).map(|rows| rows == Some(1))
}

/// Rows written; `None` where a unique key is taken. Any other broken constraint is a fault of ours, and an error.
fn execute(
    connection: &Connection,
    sql: &str,
    values: &[&dyn ToSql],
) -> rusqlite::Result<Option<usize>> {
    const TAKEN: [i32; 3] = [
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
        ffi::SQLITE_CONSTRAINT_ROWID,
        ffi::SQLITE_CONSTRAINT_UNIQUE,
    ];
    match connection.prepare_cached(sql)?.execute(values) {
        Ok(rows) => Ok(Some(rows)),
        Err(rusqlite::Error::SqliteFailure(error, _)) if TAKEN.contains(&error.extended_code) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
