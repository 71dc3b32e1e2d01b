//! Sinks: other places that a run is told to, beside the store.
//!
//! A [`Sink`] is a value that knows how to say things to one place. A feeder reads from the store what the sink has
//! not taken yet, on a thread of its own: a sink that is slow or away stops nothing and loses nothing, for the store is
//! its spool. [`deliver`] catches up later.

mod comet;
mod feeder;
mod http;
mod mlflow;
mod record_file;
mod tensorboard;

use std::time::Duration;

pub use comet::{Comet, CometSettings};
pub(crate) use feeder::Feeder;
pub use feeder::deliver;
pub use http::Secret;
pub use mlflow::{Login, MlFlow, MlFlowSettings};
pub use tensorboard::TensorBoard;

use crate::record::{Metric, Run, Text};

/// A place that runs are told to. Calls may block; they come from one thread.
///
/// A call that fails is made again later with the same values, so the other side may see some of them twice.
pub trait Sink: Send {
    /// Its kind, as on the command line: `tensorboard`, `mlflow`, `comet`.
    fn kind(&self) -> &'static str;

    /// Where it delivers to: enough to find the place again, and no secret.
    fn target(&self) -> String;

    /// Whether [`Sink::open`] has succeeded and still holds.
    fn is_open(&self) -> bool;

    /// Finds or makes the run at the other side, and says what it is called there. `remote` is what an earlier call said.
    ///
    /// # Errors
    /// [`SinkError`], as every call.
    fn open(&mut self, run: &Run, remote: Option<&str>) -> Result<String, SinkError>;

    /// Tells with which settings the run was begun; once, after the first [`Sink::open`].
    ///
    /// # Errors
    /// [`SinkError`].
    fn describe(&mut self, run: &Run, settings: &[(String, String)]) -> Result<(), SinkError>;

    /// What was told from step `from` on is superseded: the run was resumed before it. A place that cannot take
    /// anything back does nothing.
    ///
    /// # Errors
    /// [`SinkError`].
    fn supersede(&mut self, _from: u64) -> Result<(), SinkError> {
        Ok(())
    }

    /// Tells values of metrics. `taken` grows with what the other side has surely taken, also if the rest fails.
    ///
    /// # Errors
    /// [`SinkError`].
    fn metrics(&mut self, metrics: &[Metric], taken: &mut usize) -> Result<(), SinkError>;

    /// Tells samples and messages, in the same way.
    ///
    /// # Errors
    /// [`SinkError`].
    fn texts(&mut self, texts: &[Text], taken: &mut usize) -> Result<(), SinkError>;

    /// Tells how the run has ended, after everything else.
    ///
    /// # Errors
    /// [`SinkError`].
    fn close(&mut self, run: &Run) -> Result<(), SinkError>;
}

/// Why a sink could not take something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct SinkError {
    /// What went wrong, in words, without secrets.
    pub what: String,
    /// Whether it may work later.
    pub transient: bool,
    /// How long the other side asks us to wait.
    pub wait: Option<Duration>,
}

impl SinkError {
    /// Something that waiting does not heal.
    pub fn lasting(what: impl Into<String>) -> SinkError {
        SinkError { what: what.into(), transient: false, wait: None }
    }

    /// Something that may be better later.
    pub fn transient(what: impl Into<String>) -> SinkError {
        SinkError { what: what.into(), transient: true, wait: None }
    }
}
