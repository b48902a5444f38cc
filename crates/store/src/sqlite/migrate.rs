//! Forward migrations: numbered SQL files, each run once in a transaction.

use std::path::Path;

use rusqlite::Connection;

use super::OpenError;

/// All migrations, oldest first. Never change one that was released; add the next.
const MIGRATIONS: [&str; 3] = [
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
];

/// Brings the file to the newest schema.
pub(super) fn to_newest(connection: &mut Connection, path: &Path) -> Result<(), OpenError> {
    run(connection, path, MIGRATIONS.len())
}

fn run(connection: &mut Connection, path: &Path, until: usize) -> Result<(), OpenError> {
    let failed = |source| OpenError::sqlite(path, source);
    let found: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(failed)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(OpenError::Newer {
            path: path.to_path_buf(),
            found,
            known,
        });
    }
    for (number, sql) in (1_u32..)
        .zip(MIGRATIONS)
        .take(until)
        .skip_while(|(n, _)| *n <= found)
    {
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute_batch(sql).map_err(failed)?;
        transaction
            .pragma_update(None, "user_version", number)
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(connection: &Connection) -> Vec<String> {
        connection
            .prepare("select sql from sqlite_schema where sql is not null order by name")
            .and_then(|mut statement| {
                statement
                    .query_map([], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()
            })
            .expect("the schema is readable")
    }

    #[test]
    fn every_earlier_schema_ends_at_the_newest() {
        let here = Path::new("memory");
        let mut fresh = Connection::open_in_memory().expect("opens");
        to_newest(&mut fresh, here).expect("migrates");
        for start in 0..MIGRATIONS.len() {
            let mut older = Connection::open_in_memory().expect("opens");
            run(&mut older, here, start).expect("migrates partly");
            to_newest(&mut older, here).expect("migrates");
            assert_eq!(schema(&older), schema(&fresh), "from schema {start}");
        }
        to_newest(&mut fresh, here).expect("a second run changes nothing");
    }

    #[test]
    fn a_newer_schema_is_refused_with_both_numbers() {
        let mut connection = Connection::open_in_memory().expect("opens");
        connection
            .pragma_update(None, "user_version", 99)
            .expect("sets");
        let error = to_newest(&mut connection, Path::new("x.db")).expect_err("refuses");
        assert!(error.to_string().contains("schema 99"), "{error}");
    }
}
