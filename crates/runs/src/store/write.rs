//! Batches of events into the store, one transaction each.

use rusqlite::{ToSql, TransactionBehavior, params};

use super::Store;
use crate::error::RunsError;
use crate::event::{Artifact, Event, State};
use crate::record::{RunId, TextKind, Time};

/// An event and when it was observed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timed {
    pub(crate) time: Time,
    pub(crate) event: Event,
}

/// A step as SQLite counts.
pub(super) fn step(step: u64) -> Result<i64, rusqlite::Error> {
    i64::try_from(step).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

impl Store {
    /// Records one event now. For what comes often, use a [`Recorder`](crate::Recorder).
    ///
    /// # Errors
    /// As every write.
    pub fn record(&mut self, run: RunId, event: &Event) -> Result<(), RunsError> {
        self.write(run, &[Timed { time: crate::record::now(), event: event.clone() }])
    }

    /// Records all of them, or none. A value for a step that has one already replaces it.
    pub(crate) fn write(&mut self, run: RunId, events: &[Timed]) -> Result<(), RunsError> {
        self.write_all(run, events).map_err(|error| RunsError::sqlite(&self.path, error))
    }

    fn write_all(&mut self, run: RunId, events: &[Timed]) -> Result<(), rusqlite::Error> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for Timed { time, event } in events {
            let metric = |name: &str, at: u64, value: f64| -> Result<(), rusqlite::Error> {
                transaction.prepare_cached("INSERT OR IGNORE INTO names (name) VALUES (?)")?.execute([name])?;
                transaction
                    .prepare_cached(
                        "INSERT OR REPLACE INTO metrics (run, name, step, time, value) \
                         VALUES (?, (SELECT id FROM names WHERE name = ?), ?, ?, ?)",
                    )?
                    .execute(params![run.0, name, step(at)?, time, value])?;
                Ok(())
            };
            let text = |kind: TextKind, at: Option<u64>, title: &str, body: &str| -> Result<(), rusqlite::Error> {
                transaction
                    .prepare_cached("INSERT INTO texts (run, kind, step, time, title, body) VALUES (?, ?, ?, ?, ?, ?)")?
                    .execute(params![run.0, kind.name(), at.map(step).transpose()?, time, title, body])?;
                Ok(())
            };
            match event {
                Event::Step(metrics) => {
                    metrics.values().try_for_each(|(name, value)| metric(name, metrics.step, value))?;
                }
                Event::Evaluation(evaluation) => {
                    for (name, value) in &evaluation.values {
                        metric(&format!("{}/{name}", evaluation.on), evaluation.step, *value)?;
                    }
                }
                Event::Sample(sample) => text(TextKind::Sample, Some(sample.step), &sample.prompt, &sample.text)?,
                Event::Message(message) => {
                    text(TextKind::Message, message.step, message.level.name(), &message.text)?;
                }
                Event::Artifact(Artifact { step: at, name, path, bytes, sha256 }) => {
                    let values: [&dyn ToSql; 7] =
                        [&run.0, &at.map(step).transpose()?, time, name, path, &step(*bytes)?, sha256];
                    transaction
                        .prepare_cached(
                            "INSERT INTO artifacts (run, step, time, name, path, bytes, sha256) \
                             VALUES (?, ?, ?, ?, ?, ?, ?)",
                        )?
                        .execute(&values[..])?;
                }
                Event::Started(started) => {
                    if let Some(steps) = started.steps {
                        transaction.execute("UPDATE runs SET steps = ? WHERE id = ?", [step(steps)?, run.0])?;
                    }
                }
                Event::Ended(state) => {
                    let ended = (*state != State::Running).then_some(time);
                    transaction.execute(
                        "UPDATE runs SET state = ?, ended = ? WHERE id = ?",
                        params![state.name(), ended, run.0],
                    )?;
                }
            }
        }
        transaction.execute("UPDATE runs SET seen = ? WHERE id = ?", params![crate::record::now(), run.0])?;
        transaction.commit()
    }

    /// A sign of life.
    pub(crate) fn touch(&mut self, run: RunId) -> Result<(), RunsError> {
        self.write(run, &[])
    }
}
