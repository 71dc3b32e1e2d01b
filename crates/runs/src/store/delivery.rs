//! How far each sink has got with each run: the store is the spool.
//!
//! What a sink has not taken yet stays in the store and is found by position, so nothing is lost over a cut, a crash or a
//! sink that was away for a week.

use rusqlite::{OptionalExtension, params};

use super::Store;
use super::read::{number, text, unsigned};
use super::write::step;
use crate::error::RunsError;
use crate::record::{Metric, RunId, Text};

/// The state of one sink of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Delivery {
    /// What the other side calls the run, once it knows it.
    pub(crate) remote: Option<String>,
    /// Whether it knows the settings.
    pub(crate) described: bool,
    /// The last metric it took.
    pub(crate) metrics: i64,
    /// The last text it took.
    pub(crate) texts: i64,
    /// What it took from this step on was superseded, and it does not know yet.
    pub(crate) superseded: Option<u64>,
    /// Whether it was told that the run is over.
    pub(crate) closed: bool,
}

/// What a sink has not taken yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Pending {
    /// Values of metrics.
    pub metrics: u64,
    /// Samples and messages.
    pub texts: u64,
}

impl Store {
    /// Enters a sink of a run, if it is new, and gives its state.
    pub(crate) fn delivery(&mut self, run: RunId, kind: &str, target: &str) -> Result<Delivery, RunsError> {
        let read = |store: &Store| {
            store
                .connection
                .query_row(
                    "SELECT remote, metrics, texts, superseded, closed, described FROM deliveries \
                     WHERE run = ? AND kind = ? AND target = ?",
                    params![run.0, kind, target],
                    |row| {
                        let superseded = row.get::<_, Option<i64>>(3)?.map(|_| unsigned(row, 3)).transpose()?;
                        let (remote, metrics, texts) = (row.get(0)?, row.get(1)?, row.get(2)?);
                        let (closed, described) = (row.get(4)?, row.get(5)?);
                        Ok(Delivery { remote, described, metrics, texts, superseded, closed })
                    },
                )
                .optional()
                .map_err(|error| store.error(error))
        };
        if let Some(found) = read(self)? {
            return Ok(found);
        }
        self.connection
            .execute(
                "INSERT OR IGNORE INTO deliveries (run, kind, target) VALUES (?, ?, ?)",
                params![run.0, kind, target],
            )
            .map_err(|error| self.error(error))?;
        Ok(read(self)?.unwrap_or_default())
    }

    /// Keeps how far a sink has got.
    pub(crate) fn delivered(
        &mut self,
        run: RunId,
        kind: &str,
        target: &str,
        delivery: &Delivery,
    ) -> Result<(), RunsError> {
        let Delivery { remote, described, metrics, texts, superseded, closed } = delivery;
        let superseded = superseded.map(step).transpose().map_err(|error| self.error(error))?;
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET remote = ?, described = ?, metrics = ?, texts = ?, superseded = ?, closed = ? \
                 WHERE run = ? AND kind = ? AND target = ?",
            )
            .and_then(|mut update| {
                update.execute(params![remote, described, metrics, texts, superseded, closed, run.0, kind, target])
            })
            .map_err(|error| self.error(error))?;
        Ok(())
    }

    /// The sinks that a run has had: kind, target, and what they have not taken.
    ///
    /// # Errors
    /// As every read.
    pub fn sinks(&self, run: RunId) -> Result<Vec<(String, String, Pending)>, RunsError> {
        let sql = "SELECT kind, target, \
                   (SELECT count(*) FROM metrics m WHERE m.run = d.run AND m.id > d.metrics), \
                   (SELECT count(*) FROM texts t WHERE t.run = d.run AND t.id > d.texts) \
                   FROM deliveries d WHERE run = ? ORDER BY kind, target";
        self.rows(sql, [run.0], |row| {
            Ok((row.get(0)?, row.get(1)?, Pending { metrics: unsigned(row, 2)?, texts: unsigned(row, 3)? }))
        })
    }

    /// What is left to deliver.
    pub(crate) fn pending(&self, run: RunId, delivery: &Delivery) -> Result<Pending, RunsError> {
        let count = |table: &str, after: i64| {
            let sql = format!("SELECT count(*) FROM {table} WHERE run = ? AND id > ?");
            let counted = self.connection.query_row(&sql, [run.0, after], |row| unsigned(row, 0));
            counted.map_err(|error| self.error(error))
        };
        Ok(Pending { metrics: count("metrics", delivery.metrics)?, texts: count("texts", delivery.texts)? })
    }

    /// Metrics after a position, in the order they were written, each with its own position.
    pub(crate) fn metrics_after(&self, run: RunId, after: i64, most: usize) -> Result<Vec<(i64, Metric)>, RunsError> {
        let sql = "SELECT m.id, n.name, m.step, m.time, m.value FROM metrics m JOIN names n ON n.id = m.name \
                   WHERE m.run = ? AND m.id > ? ORDER BY m.id LIMIT ?";
        self.rows(sql, params![run.0, after, most as i64], |row| {
            let metric =
                Metric { name: row.get(1)?, step: unsigned(row, 2)?, time: row.get(3)?, value: number(row, 4)? };
            Ok((row.get(0)?, metric))
        })
    }

    /// The same for texts.
    pub(crate) fn texts_after(&self, run: RunId, after: i64, most: usize) -> Result<Vec<(i64, Text)>, RunsError> {
        let sql = "SELECT kind, step, time, title, body, id FROM texts WHERE run = ? AND id > ? ORDER BY id LIMIT ?";
        self.rows(sql, params![run.0, after, most as i64], |row| Ok((row.get(5)?, text(row)?)))
    }
}
