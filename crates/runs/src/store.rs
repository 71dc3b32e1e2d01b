//! The store of runs: one SQLite file that several processes may use at once.
//!
//! Write-ahead logging lets readers go on while one process writes; a writer waits its turn (10 seconds at most). A
//! process that is killed at any moment leaves a whole store behind; a machine that loses power may lose the last
//! moments, never what came before. `tests/store.rs` holds this by killing a writer.

mod delivery;
mod feedback;
mod read;
mod schema;
mod write;

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

pub(crate) use delivery::Delivery;
pub use delivery::Pending;
pub(crate) use write::Timed;

use crate::error::RunsError;
use crate::event::State;
use crate::record::{NewRun, Note, Run, RunId, now};

/// How long a process waits for another one's write.
const PATIENCE: Duration = Duration::from_secs(10);

/// An open store. For use by one thread; other threads open the same path again.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store at `path`, makes it and its folder if they are missing, and brings an older one up to date.
    ///
    /// # Errors
    /// [`RunsError::Foreign`], [`RunsError::Damaged`] and [`RunsError::Newer`] for a file that is no store for this
    /// program; it is left as it is. [`RunsError::Io`] where nothing can be written.
    pub fn open(path: &Path) -> Result<Store, RunsError> {
        let io = |error: std::io::Error| RunsError::Io { path: path.to_owned(), why: error.to_string() };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        Store::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// The same for a store that must exist: `None` where there is no file.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_existing(path: &Path) -> Result<Option<Store>, RunsError> {
        if !path.exists() {
            return Ok(None);
        }
        Store::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map(Some)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Store, RunsError> {
        let begun = Instant::now();
        loop {
            match Store::connect_once(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX) {
                // SQLite does not wait by itself while two processes switch a new file to write-ahead logging.
                Err(RunsError::Busy { .. }) if begun.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
                other => return other,
            }
        }
    }

    fn connect_once(path: &Path, flags: OpenFlags) -> Result<Store, RunsError> {
        let sqlite = |error| RunsError::sqlite(path, error);
        let mut connection = Connection::open_with_flags(path, flags).map_err(sqlite)?;
        connection.busy_timeout(PATIENCE).map_err(sqlite)?;
        schema::migrate(&mut connection, path)?;
        // Where the file system cannot share memory the mode stays another one, which is slower and as safe.
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).map_err(sqlite)?;
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(sqlite)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(sqlite)?;
        Ok(Store { connection, path: path.to_owned() })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the same file again, for another thread.
    pub(crate) fn again(&self) -> Result<Store, RunsError> {
        Store::connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    /// Enters a new run, which counts as running from now on.
    ///
    /// # Errors
    /// [`RunsError::BadValue`] for an empty name, or a `uid` that is already there (see [`Store::resume`]).
    pub fn begin(&mut self, new: &NewRun) -> Result<Run, RunsError> {
        let wrong = |what: &str, why: &str| RunsError::BadValue { what: what.to_owned(), why: why.to_owned() };
        if new.name.trim().is_empty() {
            return Err(wrong("a run without a name", "it could not be found again"));
        }
        let uid = new.uid.clone().unwrap_or_else(random_uid);
        let path = self.path.clone();
        let sqlite = |error| RunsError::sqlite(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let taken = |sql: &str, value: &str| transaction.prepare_cached(sql)?.exists([value]);
        if taken("SELECT 1 FROM runs WHERE uid = ?", &uid).map_err(sqlite)? {
            return Err(wrong(&format!("run {uid}"), "the store has it already; resume it"));
        }
        let mut name = new.name.trim().to_owned();
        let mut number = 2;
        while taken("SELECT 1 FROM runs WHERE name = ?", &name).map_err(sqlite)? {
            name = format!("{}-{number}", new.name.trim());
            number += 1;
        }
        let time = now();
        let origin = &new.origin;
        transaction
            .prepare_cached(
                "INSERT INTO runs (uid, name, kind, state, started, seen, steps, recipe, code, data_hash, \
                 tokenizer_hash, host, device, ranks, folder) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            )
            .and_then(|mut insert| {
                insert.insert(params![
                    uid,
                    name,
                    new.kind,
                    State::Running.name(),
                    time,
                    new.steps.map(write::step).transpose()?,
                    new.recipe,
                    origin.code,
                    origin.data_hash,
                    origin.tokenizer_hash,
                    origin.host,
                    origin.device,
                    origin.ranks,
                    origin.folder,
                ])
            })
            .map_err(sqlite)?;
        let id = RunId(transaction.last_insert_rowid());
        for (key, value) in &new.settings {
            transaction
                .prepare_cached("INSERT OR REPLACE INTO settings (run, key, value) VALUES (?, ?, ?)")
                .and_then(|mut insert| insert.execute(params![id.0, key, value]))
                .map_err(sqlite)?;
        }
        transaction.commit().map_err(sqlite)?;
        self.run(id)
    }

    /// Goes on with the run `uid` after step `after`: what was recorded beyond it is superseded and taken out, and the run
    /// counts as running again. `None` if the store does not have the run (it was moved, or another one was used).
    ///
    /// # Errors
    /// As every write.
    pub fn resume(&mut self, uid: &str, after: u64) -> Result<Option<Run>, RunsError> {
        let path = self.path.clone();
        let sqlite = |error| RunsError::sqlite(&path, error);
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sqlite)?;
        let found = transaction
            .query_row("SELECT id FROM runs WHERE uid = ?", [uid], |row| row.get::<_, i64>(0))
            .optional()
            .map_err(sqlite)?;
        let Some(id) = found else { return Ok(None) };
        let step = write::step(after).map_err(sqlite)?;
        let mut superseded = 0;
        for table in ["metrics", "texts", "artifacts"] {
            superseded += transaction
                .execute(&format!("DELETE FROM {table} WHERE run = ? AND step > ?"), [id, step])
                .map_err(sqlite)?;
        }
        let state = State::Running.name();
        transaction
            .execute("UPDATE runs SET state = ?, ended = NULL, seen = ? WHERE id = ?", params![state, now(), id])
            .and_then(|_| {
                let sql =
                    "UPDATE deliveries SET closed = 0, superseded = min(coalesce(superseded, ?1), ?1) WHERE run = ?2";
                transaction.execute(sql, [step + 1, id])
            })
            .and_then(|_| {
                let note = format!("resumed after step {after}; {superseded} entries beyond it were superseded");
                transaction.execute("INSERT INTO notes (run, time, body) VALUES (?, ?, ?)", params![id, now(), note])
            })
            .map_err(sqlite)?;
        transaction.commit().map_err(sqlite)?;
        self.run(RunId(id)).map(Some)
    }

    /// Says how a run has ended (or, with [`State::Running`], that it has not).
    ///
    /// # Errors
    /// As every write.
    pub fn set_state(&mut self, run: RunId, state: State) -> Result<(), RunsError> {
        let time = now();
        let ended = (state != State::Running).then_some(time);
        self.connection
            .execute(
                "UPDATE runs SET state = ?, ended = ?, seen = ? WHERE id = ?",
                params![state.name(), ended, time, run.0],
            )
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    /// Adds what came to be known of a run after it had begun: the hash of its data, further settings.
    ///
    /// # Errors
    /// As every write.
    pub fn learned(
        &mut self,
        run: RunId,
        data_hash: Option<&str>,
        settings: &[(String, String)],
    ) -> Result<(), RunsError> {
        let path = self.path.clone();
        let mut write = || -> Result<(), rusqlite::Error> {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            if let Some(hash) = data_hash {
                transaction.execute("UPDATE runs SET data_hash = ? WHERE id = ?", params![hash, run.0])?;
            }
            for (key, value) in settings {
                transaction
                    .prepare_cached("INSERT OR REPLACE INTO settings (run, key, value) VALUES (?, ?, ?)")?
                    .execute(params![run.0, key, value])?;
            }
            transaction.commit()
        };
        write().map_err(|error| RunsError::sqlite(&path, error))
    }

    /// Adds a note to a run.
    ///
    /// # Errors
    /// As every write.
    pub fn note(&mut self, run: RunId, body: &str) -> Result<(), RunsError> {
        self.connection
            .execute("INSERT INTO notes (run, time, body) VALUES (?, ?, ?)", params![run.0, now(), body])
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    /// The notes of a run, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub fn notes(&self, run: RunId) -> Result<Vec<Note>, RunsError> {
        self.rows("SELECT time, body FROM notes WHERE run = ? ORDER BY id", [run.0], |row| {
            Ok(Note { time: row.get(0)?, body: row.get(1)? })
        })
    }

    /// Takes a run out, with all it has recorded. Its files stay.
    ///
    /// # Errors
    /// As every write.
    pub fn remove(&mut self, run: RunId) -> Result<(), RunsError> {
        self.connection.execute("DELETE FROM runs WHERE id = ?", [run.0]).map_err(|error| self.error(error))?;
        Ok(())
    }

    pub(crate) fn error(&self, error: rusqlite::Error) -> RunsError {
        RunsError::sqlite(&self.path, error)
    }
}

/// 32 hexadecimal digits. The standard library's hash seeds are random; names of runs need no better source.
fn random_uid() -> String {
    let half = || {
        let mut hasher = RandomState::new().build_hasher();
        hasher.write_u64(now().to_bits());
        hasher.write_u32(std::process::id());
        hasher.finish()
    };
    format!("{:016x}{:016x}", half(), half())
}
