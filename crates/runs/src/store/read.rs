//! Questions that a store answers.

use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Params, Row};

use super::Store;
use crate::error::RunsError;
use crate::event::{Artifact, State};
use crate::record::{Filter, Metric, Origin, Point, Run, RunId, StoredArtifact, Summary, Text, TextKind, now};

const RUN: &str = "SELECT id, uid, name, kind, state, started, ended, seen, steps, recipe, code, data_hash, \
                   tokenizer_hash, host, device, ranks, folder, \
                   (SELECT max(step) FROM metrics WHERE metrics.run = runs.id) FROM runs";

/// How many names an error lists.
const NEAREST: usize = 5;

impl Store {
    /// The run with this number.
    ///
    /// # Errors
    /// [`RunsError::UnknownRun`] if there is none (any more).
    pub fn run(&self, id: RunId) -> Result<Run, RunsError> {
        let sql = format!("{RUN} WHERE id = ?");
        let found = self.connection.query_row(&sql, [id.0], run).optional().map_err(|error| self.error(error))?;
        found.ok_or_else(|| RunsError::UnknownRun { wanted: id.to_string(), known: Vec::new() })
    }

    /// The run that a person means: its name, its number, `latest`, or the beginning of one name alone.
    ///
    /// # Errors
    /// [`RunsError::UnknownRun`] with the nearest names, [`RunsError::ManyRuns`] if several names begin so.
    pub fn find(&self, wanted: &str) -> Result<Run, RunsError> {
        let runs = self.runs(&Filter::default())?;
        let mut exact = runs.iter().filter(|run| run.name == wanted || run.uid == wanted);
        if let Some(run) = exact.next() {
            return Ok(run.clone());
        }
        if wanted == "latest" && !runs.is_empty() {
            return Ok(runs[0].clone());
        }
        if let Some(run) = runs.iter().find(|run| run.id.to_string() == wanted) {
            return Ok(run.clone());
        }
        let begin: Vec<&Run> = runs.iter().filter(|run| !wanted.is_empty() && run.name.starts_with(wanted)).collect();
        match begin[..] {
            [run] => Ok(run.clone()),
            [] => {
                let mut names: Vec<String> = runs.into_iter().map(|run| run.name).collect();
                names.sort_by_cached_key(|name| distance(name, wanted));
                names.truncate(NEAREST);
                Err(RunsError::UnknownRun { wanted: wanted.to_owned(), known: names })
            }
            _ => {
                let names = begin.into_iter().take(NEAREST).map(|run| run.name.clone()).collect();
                Err(RunsError::ManyRuns { wanted: wanted.to_owned(), names })
            }
        }
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// As every read.
    pub fn runs(&self, filter: &Filter) -> Result<Vec<Run>, RunsError> {
        let time = now();
        let mut runs = self.rows(&format!("{RUN} ORDER BY started DESC, id DESC"), [], run)?;
        runs.retain(|run| {
            filter.state.as_ref().is_none_or(|state| run.standing(time) == state)
                && filter.kind.as_ref().is_none_or(|kind| &run.kind == kind)
                && filter.name.as_ref().is_none_or(|name| run.name.contains(name.as_str()))
        });
        runs.truncate(filter.limit.unwrap_or(usize::MAX));
        Ok(runs)
    }

    /// The settings of a run by their dotted names, in order.
    ///
    /// # Errors
    /// As every read.
    pub fn settings(&self, run: RunId) -> Result<Vec<(String, String)>, RunsError> {
        self.rows("SELECT key, value FROM settings WHERE run = ? ORDER BY key", [run.0], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
    }

    /// Every metric of a run in brief, by name.
    ///
    /// # Errors
    /// As every read.
    pub fn summaries(&self, run: RunId) -> Result<Vec<Summary>, RunsError> {
        // SQLite gives the bare column `value` of the row that has the maximum; infinities are left out of the range.
        let sql = "SELECT n.name, count(*), max(m.step), m.value, \
                   (SELECT min(value) FROM metrics r WHERE r.run = m.run AND r.name = m.name AND abs(value) < 9e999), \
                   (SELECT max(value) FROM metrics r WHERE r.run = m.run AND r.name = m.name AND abs(value) < 9e999) \
                   FROM metrics m JOIN names n ON n.id = m.name WHERE m.run = ? GROUP BY m.name ORDER BY n.name";
        self.rows(sql, [run.0], |row| {
            Ok(Summary {
                name: row.get(0)?,
                count: unsigned(row, 1)?,
                last_step: unsigned(row, 2)?,
                last: number(row, 3)?,
                min: row.get(4)?,
                max: row.get(5)?,
            })
        })
    }

    /// The values of one metric, by step.
    ///
    /// # Errors
    /// [`RunsError::UnknownMetric`] if the run has none of that name.
    pub fn series(&self, run: RunId, name: &str) -> Result<Vec<Point>, RunsError> {
        let points = self.series_after(run, name, None)?;
        if points.is_empty() {
            let known = self.summaries(run)?.into_iter().map(|summary| summary.name).collect();
            return Err(RunsError::UnknownMetric { run: self.run(run)?.name, wanted: name.to_owned(), known });
        }
        Ok(points)
    }

    /// The values of one metric at later steps than `after`, by step; none if there are none.
    ///
    /// # Errors
    /// As every read.
    pub fn series_after(&self, run: RunId, name: &str, after: Option<u64>) -> Result<Vec<Point>, RunsError> {
        let after = after.map_or(-1, |step| i64::try_from(step).unwrap_or(i64::MAX));
        let sql = "SELECT step, time, value FROM metrics \
                   WHERE run = ?1 AND name = (SELECT id FROM names WHERE name = ?2) AND step > ?3 ORDER BY step";
        self.rows(sql, (run.0, name, after), |row| {
            Ok(Point { step: unsigned(row, 0)?, time: row.get(1)?, value: number(row, 2)? })
        })
    }

    /// The last value of one metric; `None` if the run has none of that name.
    ///
    /// # Errors
    /// As every read.
    pub fn last_value(&self, run: RunId, name: &str) -> Result<Option<f64>, RunsError> {
        let sql = "SELECT value FROM metrics WHERE run = ?1 AND name = (SELECT id FROM names WHERE name = ?2) \
                   ORDER BY step DESC LIMIT 1";
        Ok(self.rows(sql, (run.0, name), |row| number(row, 0))?.into_iter().next())
    }

    /// The names of a run's metrics, in order.
    ///
    /// # Errors
    /// As every read.
    pub fn metric_names(&self, run: RunId) -> Result<Vec<String>, RunsError> {
        let sql = "SELECT name FROM names WHERE EXISTS (SELECT 1 FROM metrics WHERE run = ? AND metrics.name = names.id) \
                   ORDER BY name";
        self.rows(sql, [run.0], |row| row.get(0))
    }

    /// Every value of every metric of a run, by step and name.
    ///
    /// # Errors
    /// As every read.
    pub fn metrics(&self, run: RunId) -> Result<Vec<Metric>, RunsError> {
        let sql = "SELECT n.name, m.step, m.time, m.value FROM metrics m JOIN names n ON n.id = m.name \
                   WHERE m.run = ? ORDER BY m.step, n.name";
        self.rows(sql, [run.0], |row| {
            Ok(Metric { name: row.get(0)?, step: unsigned(row, 1)?, time: row.get(2)?, value: number(row, 3)? })
        })
    }

    /// Texts of a run, oldest first: the newest `limit` of a kind.
    ///
    /// # Errors
    /// As every read.
    pub fn texts(&self, run: RunId, kind: TextKind, limit: usize) -> Result<Vec<Text>, RunsError> {
        let sql = "SELECT kind, step, time, title, body FROM texts WHERE run = ? AND kind = ? ORDER BY id DESC LIMIT ?";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut texts = self.rows(sql, (run.0, kind.name(), limit), text)?;
        texts.reverse();
        Ok(texts)
    }

    /// The files and folders that a run has recorded, oldest first.
    ///
    /// # Errors
    /// As every read.
    pub fn artifacts(&self, run: RunId) -> Result<Vec<StoredArtifact>, RunsError> {
        let sql = "SELECT time, step, name, path, bytes, sha256 FROM artifacts WHERE run = ? ORDER BY id";
        self.rows(sql, [run.0], |row| {
            let step = row.get::<_, Option<i64>>(1)?.map(|_| unsigned(row, 1)).transpose()?;
            let (name, path, bytes, sha256) = (row.get(2)?, row.get(3)?, unsigned(row, 4)?, row.get(5)?);
            Ok(StoredArtifact { time: row.get(0)?, artifact: Artifact { step, name, path, bytes, sha256 } })
        })
    }

    pub(super) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<T>, RunsError> {
        let mut statement = self.connection.prepare_cached(sql).map_err(|error| self.error(error))?;
        let rows = statement.query_map(params, read).map_err(|error| self.error(error))?;
        rows.collect::<Result<_, _>>().map_err(|error| self.error(error))
    }
}

fn run(row: &Row<'_>) -> Result<Run, rusqlite::Error> {
    let state: String = row.get(4)?;
    let state = State::of(&state).ok_or_else(|| unreadable(4, format!("the state `{state}` is unknown")))?;
    let optional = |index| row.get::<_, Option<i64>>(index)?.map(|_| unsigned(row, index)).transpose();
    Ok(Run {
        id: RunId(row.get(0)?),
        uid: row.get(1)?,
        name: row.get(2)?,
        kind: row.get(3)?,
        state,
        started: row.get(5)?,
        ended: row.get(6)?,
        seen: row.get(7)?,
        steps: optional(8)?,
        last_step: optional(17)?,
        recipe: row.get(9)?,
        origin: Origin {
            code: row.get(10)?,
            data_hash: row.get(11)?,
            tokenizer_hash: row.get(12)?,
            host: row.get(13)?,
            device: row.get(14)?,
            ranks: row.get(15)?,
            folder: row.get(16)?,
        },
    })
}

pub(super) fn text(row: &Row<'_>) -> Result<Text, rusqlite::Error> {
    let kind: String = row.get(0)?;
    let kind = [TextKind::Sample, TextKind::Message].into_iter().find(|known| known.name() == kind);
    let step = row.get::<_, Option<i64>>(1)?.map(|_| unsigned(row, 1)).transpose()?;
    Ok(Text {
        kind: kind.ok_or_else(|| unreadable(0, "a text of unknown kind".to_owned()))?,
        step,
        time: row.get(2)?,
        title: row.get(3)?,
        body: row.get(4)?,
    })
}

/// A count; a negative one is damage.
pub(super) fn unsigned(row: &Row<'_>, index: usize) -> Result<u64, rusqlite::Error> {
    let value: i64 = row.get(index)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(index, value))
}

/// A value, where NULL is NaN.
pub(super) fn number(row: &Row<'_>, index: usize) -> Result<f64, rusqlite::Error> {
    Ok(row.get::<_, Option<f64>>(index)?.unwrap_or(f64::NAN))
}

fn unreadable(index: usize, why: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, why.into())
}

/// How many letters must be changed, added or left out to get from one name to the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}
