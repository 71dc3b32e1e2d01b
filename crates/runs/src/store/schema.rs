//! The tables, and how an older store becomes a newer one.
//!
//! `application_id` says whose file it is, `user_version` which tables it has. A migration is a script from one version
//! to the next; all that are missing run in one transaction, so a store is never between two versions.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use crate::error::RunsError;

/// "gptn", as a number.
const APPLICATION: i64 = 0x6770_746e;

/// The version that this program writes.
pub(crate) const VERSION: i64 = MIGRATIONS.len() as i64;

/// `MIGRATIONS[n]` leads from version `n` to `n + 1`.
const MIGRATIONS: [&str; 2] = [
    // A value of NULL in `metrics` is NaN, which SQLite cannot store. `id` grows with each write and is never used
    // twice: deliveries to sinks go by it.
    "
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uid TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL,
        seen REAL NOT NULL,
        steps INTEGER,
        recipe TEXT NOT NULL,
        code TEXT NOT NULL,
        data_hash TEXT,
        tokenizer_hash TEXT,
        host TEXT NOT NULL,
        device TEXT NOT NULL,
        ranks INTEGER NOT NULL,
        folder TEXT
    );
    CREATE TABLE settings (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (run, key)
    ) WITHOUT ROWID;
    CREATE TABLE names (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE
    );
    CREATE TABLE metrics (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        name INTEGER NOT NULL REFERENCES names (id),
        step INTEGER NOT NULL,
        time REAL NOT NULL,
        value REAL,
        UNIQUE (run, name, step)
    );
    CREATE TABLE texts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        step INTEGER,
        time REAL NOT NULL,
        title TEXT NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX texts_of_run ON texts (run, id);
    CREATE TABLE artifacts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        step INTEGER,
        time REAL NOT NULL,
        name TEXT NOT NULL,
        path TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        sha256 TEXT
    );
    CREATE INDEX artifacts_of_run ON artifacts (run, id);
    CREATE TABLE notes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        time REAL NOT NULL,
        body TEXT NOT NULL
    );
    CREATE INDEX notes_of_run ON notes (run, id);
    CREATE TABLE deliveries (
        run INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        target TEXT NOT NULL,
        remote TEXT,
        described INTEGER NOT NULL DEFAULT 0,
        metrics INTEGER NOT NULL DEFAULT 0,
        texts INTEGER NOT NULL DEFAULT 0,
        superseded INTEGER,
        closed INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (run, kind, target)
    ) WITHOUT ROWID;
    ",
    // Either `prompt` or `messages` (JSON) is there. How much there is is told by the first index alone, without reading entries.
    "
    CREATE TABLE feedback (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        time REAL NOT NULL,
        bytes INTEGER NOT NULL,
        client TEXT,
        kind TEXT NOT NULL,
        model TEXT NOT NULL,
        rating INTEGER,
        prompt TEXT,
        messages TEXT,
        response TEXT NOT NULL,
        better TEXT,
        reason TEXT,
        note TEXT
    );
    CREATE INDEX feedback_bytes ON feedback (bytes);
    CREATE INDEX feedback_of_client ON feedback (client, id);
    ",
];

/// Makes the database a store of the current [`VERSION`].
///
/// # Errors
/// [`RunsError::Foreign`] for another program's database, [`RunsError::Newer`] for a later version.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), RunsError> {
    let sqlite = |error| RunsError::sqlite(path, error);
    // One transaction for all that is read: another process may be making the file at this moment.
    let reading = connection.transaction().map_err(sqlite)?;
    if check(&reading, path)? == VERSION {
        return Ok(());
    }
    drop(reading);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
    // Another process may have done it while we waited.
    let version = check(&transaction, path)?;
    for script in &MIGRATIONS[version as usize..] {
        transaction.execute_batch(script).map_err(sqlite)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(sqlite)?;
    transaction.pragma_update(None, "user_version", VERSION).map_err(sqlite)?;
    transaction.commit().map_err(sqlite)
}

/// The version of the file, 0 for an empty one.
fn check(connection: &Connection, path: &Path) -> Result<i64, RunsError> {
    let sqlite = |error| RunsError::sqlite(path, error);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(sqlite);
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let empty = number("SELECT count(*) FROM sqlite_schema")? == 0;
    match (application, empty) {
        (0, true) if version == 0 => Ok(0),
        (APPLICATION, _) if version > VERSION => {
            Err(RunsError::Newer { path: path.to_owned(), found: version, known: VERSION })
        }
        (APPLICATION, _) if version >= 1 => Ok(version),
        _ => Err(RunsError::Foreign { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn a_store_of_every_older_version_is_brought_up_to_date_and_keeps_its_runs() {
        let folder = tempfile::tempdir().unwrap();
        for version in 1..VERSION {
            let path = folder.path().join(format!("{version}.sqlite"));
            let old = Connection::open(&path).unwrap();
            MIGRATIONS[..version as usize].iter().for_each(|script| old.execute_batch(script).unwrap());
            old.pragma_update(None, "application_id", APPLICATION).unwrap();
            old.pragma_update(None, "user_version", version).unwrap();
            let run = "INSERT INTO runs (uid, name, kind, state, started, seen, recipe, code, host, device, ranks) \
                       VALUES ('u', 'kept', 'train', 'finished', 1, 1, '', '', '', '', 1)";
            old.execute_batch(run).unwrap();
            drop(old);
            let store = Store::open_existing(&path).unwrap().unwrap();
            assert_eq!(store.find("kept").unwrap().started, 1.0);
            assert!(store.feedback_before(None, None, 1).unwrap().items.is_empty());
            drop(store);
            let connection = Connection::open(&path).unwrap();
            assert_eq!(check(&connection, &path).unwrap(), VERSION);
        }
    }
}
