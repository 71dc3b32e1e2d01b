//! The store of runs: what was trained or measured, with which recipe, on which data, and how it went.
//!
//! - A [`Store`] is one SQLite file, safe for several processes. [`Store::begin`] enters a run, [`Store::resume`] goes on
//!   with one, the rest answers questions.
//! - A [`curve`] is a metric prepared for the eye, a [`plot`] draws curves as SVG or PNG.
//! - [`Feedback`] is what people said of what models wrote; it becomes lines to fine-tune on.
//! - Work reports [`Event`]s to [`Observer`]s. A [`Recorder`] is the one that writes them into the store, on its own
//!   thread, and hands them on to [`Sink`](sink::Sink)s (TensorBoard, MLflow, Comet).
//!
//! ```
//! use gptneo_runs::{Event, NewRun, Observer, Recorder, State, StepMetrics, Store};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("runs.sqlite");
//! let mut store = Store::open(&path)?;
//! let run = store.begin(&NewRun { name: "pocket".into(), kind: "train".into(), ..NewRun::default() })?;
//! let mut recorder = Recorder::start(&store, run.id, Vec::new(), |words: &str| panic!("{words}"))?;
//! recorder.observe(&Event::Step(StepMetrics { step: 1, loss: 2.5, ..StepMetrics::default() }));
//! let outcome = recorder.finish(State::Finished);
//! assert_eq!(outcome.lost, 0);
//! assert_eq!(store.series(run.id, "loss")?[0].value, 2.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod compare;
pub mod curve;
mod error;
mod event;
pub mod export;
mod feedback;
mod follow;
mod moment;
pub mod plot;
mod record;
mod recorder;
mod score;
pub mod sink;
mod store;

pub use compare::{Comparison, Row};
pub use error::RunsError;
pub use event::{
    Artifact, CLOCK_METRICS, Evaluation, Event, Level, Message, Observer, Sample, Started, State, StepMetrics,
};
pub use feedback::{
    Asked, FEEDBACK_BYTES, FEEDBACK_SHARES, Feedback, FeedbackForm, FeedbackKind, FeedbackPage, LONGEST_FEEDBACK,
    MOST_FEEDBACK, NewFeedback, Rating, Turn,
};
pub use follow::Followed;
pub use moment::rfc3339;
pub use record::{
    Filter, Metric, NewRun, Note, Origin, Point, Run, RunId, SILENCE, StoredArtifact, Summary, Text, TextKind, Time,
    now, settings,
};
pub use recorder::{Outcome, Recorder, Undelivered};
pub use score::{EVALUATION, Score};
pub use store::{Pending, Store};
