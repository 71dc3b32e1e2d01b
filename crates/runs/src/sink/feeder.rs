//! Brings a sink what the store has and the sink has not, with patience.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Sink, SinkError};
use crate::error::RunsError;
use crate::event::State;
use crate::record::RunId;
use crate::recorder::Say;
use crate::store::{Delivery, Pending, Store};

/// Values and texts read from the store at once.
const BATCH: usize = 1_000;
/// The first wait after a failure; each next one is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait of our own choice.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that the other side may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// The thread that serves one sink while a run is recorded.
pub(crate) struct Feeder {
    signal: Arc<Signal>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Signal {
    state: Mutex<Wanted>,
    changed: Condvar,
}

#[derive(Default, Clone, Copy)]
struct Wanted {
    /// There is something new in the store.
    fresh: bool,
    /// The run is over; deliver what is left until then.
    deadline: Option<Instant>,
}

impl Signal {
    fn lock(&self) -> MutexGuard<'_, Wanted> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, change: impl FnOnce(&mut Wanted)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits for news, at most so long; with `patient` only the end is news.
    fn wait(&self, longest: Duration, patient: bool) -> Wanted {
        let end = Instant::now() + longest;
        let mut state = self.lock();
        while state.deadline.is_none() && (patient || !state.fresh) {
            let Some(left) = end.checked_duration_since(Instant::now()) else { break };
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.fresh = false;
        *state
    }
}

impl Feeder {
    /// Serves `sink` with what `store` has about `run`, until closed.
    pub(crate) fn start(mut store: Store, run: RunId, mut sink: Box<dyn Sink>, say: Say) -> io::Result<Feeder> {
        let signal = Arc::new(Signal::default());
        let theirs = Arc::clone(&signal);
        let thread = thread::Builder::new()
            .name(format!("runs-{}", sink.kind()))
            .spawn(move || serve(&mut store, run, sink.as_mut(), &theirs, &say))?;
        Ok(Feeder { signal, thread })
    }

    /// Something that says there is news.
    pub(crate) fn waker(&self) -> Box<dyn Fn() + Send> {
        let signal = Arc::clone(&self.signal);
        Box::new(move || signal.tell(|wanted| wanted.fresh = true))
    }

    /// The run is over: deliver what is left before `deadline`.
    pub(crate) fn close(&self, deadline: Instant) {
        self.signal.tell(|wanted| wanted.deadline = Some(deadline));
    }

    /// Waits for the thread.
    pub(crate) fn join(self) {
        let _ = self.thread.join();
    }
}

fn serve(store: &mut Store, run: RunId, sink: &mut dyn Sink, signal: &Signal, say: &Say) {
    let mut wanted = Wanted::default();
    let mut failures = 0u32;
    loop {
        let passed = |wanted: Wanted| wanted.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let pumped = pump(store, run, sink, &|| passed(*signal.lock()));
        match pumped {
            Ok(()) => {
                if failures > 0 {
                    say(&format!("{}: {} takes entries again", sink.kind(), sink.target()));
                }
                failures = 0;
                if wanted.deadline.is_some() {
                    return;
                }
                wanted = signal.wait(LONGEST_WAIT, false);
            }
            Err(error) => {
                if passed(*signal.lock()) {
                    // What is left over is told by the recorder.
                    return;
                }
                if failures == 0 {
                    let later = "; the run goes on, and what is not delivered stays in the store";
                    say(&format!("{}: {}: {error}{later}", sink.kind(), sink.target()));
                }
                failures += 1;
                if !error.transient {
                    return;
                }
                wanted = signal.wait(pause(failures, error.wait), true);
                if let Some(deadline) = wanted.deadline {
                    // The last attempts are short of time, not of patience.
                    let left = deadline.saturating_duration_since(Instant::now());
                    thread::sleep(left.min(FIRST_WAIT));
                }
            }
        }
    }
}

fn pause(failures: u32, asked: Option<Duration>) -> Duration {
    let own = FIRST_WAIT.saturating_mul(1 << (failures - 1).min(10)).min(LONGEST_WAIT);
    asked.map_or(own, |asked| asked.min(LONGEST_ASKED).max(own))
}

/// Delivers all that the store has about a run and the sink has not, and how the run ended, if it has.
///
/// # Errors
/// [`SinkError`]; what was taken before it stays taken.
pub fn deliver(store: &mut Store, run: RunId, sink: &mut dyn Sink) -> Result<(), SinkError> {
    pump(store, run, sink, &|| false)
}

/// Delivers until nothing is left, or `enough` says so after a batch.
fn pump(store: &mut Store, run: RunId, sink: &mut dyn Sink, enough: &dyn Fn() -> bool) -> Result<(), SinkError> {
    let (kind, target) = (sink.kind(), sink.target());
    let mut delivery = store.delivery(run, kind, &target).map_err(trouble)?;
    let about = store.run(run).map_err(trouble)?;
    let fresh = store.pending(run, &delivery).map_err(trouble)? != Pending::default();
    let over = about.state != State::Running;
    if over && !fresh && delivery.closed {
        return Ok(());
    }
    if !sink.is_open() {
        let remote = sink.open(&about, delivery.remote.as_deref())?;
        // If there is something to tell, the other side holds the run for open again.
        (delivery.remote, delivery.closed) = (Some(remote), false);
        store.delivered(run, kind, &target, &delivery).map_err(trouble)?;
    }
    if !delivery.described {
        sink.describe(&about, &store.settings(run).map_err(trouble)?)?;
        delivery.described = true;
        store.delivered(run, kind, &target, &delivery).map_err(trouble)?;
    }
    if let Some(from) = delivery.superseded {
        sink.supersede(from)?;
        delivery.superseded = None;
        store.delivered(run, kind, &target, &delivery).map_err(trouble)?;
    }
    while metrics(store, run, sink, &mut delivery)? | texts(store, run, sink, &mut delivery)? {
        if enough() {
            return Err(SinkError::transient("out of time"));
        }
    }
    let about = store.run(run).map_err(trouble)?;
    if about.state != State::Running && !delivery.closed {
        sink.close(&about)?;
        delivery.closed = true;
        store.delivered(run, kind, &target, &delivery).map_err(trouble)?;
    }
    Ok(())
}

/// One batch of metrics; whether there was any.
fn metrics(store: &mut Store, run: RunId, sink: &mut dyn Sink, delivery: &mut Delivery) -> Result<bool, SinkError> {
    let batch = store.metrics_after(run, delivery.metrics, BATCH).map_err(trouble)?;
    let (positions, metrics): (Vec<i64>, Vec<_>) = batch.into_iter().unzip();
    if metrics.is_empty() {
        return Ok(false);
    }
    let mut taken = 0;
    let told = sink.metrics(&metrics, &mut taken);
    if taken > 0 {
        delivery.metrics = positions[taken - 1];
        store.delivered(run, sink.kind(), &sink.target(), delivery).map_err(trouble)?;
    }
    told.map(|()| true)
}

/// One batch of texts; whether there was any.
fn texts(store: &mut Store, run: RunId, sink: &mut dyn Sink, delivery: &mut Delivery) -> Result<bool, SinkError> {
    let batch = store.texts_after(run, delivery.texts, BATCH).map_err(trouble)?;
    let (positions, texts): (Vec<i64>, Vec<_>) = batch.into_iter().unzip();
    if texts.is_empty() {
        return Ok(false);
    }
    let mut taken = 0;
    let told = sink.texts(&texts, &mut taken);
    if taken > 0 {
        delivery.texts = positions[taken - 1];
        store.delivered(run, sink.kind(), &sink.target(), delivery).map_err(trouble)?;
    }
    told.map(|()| true)
}

/// The store failed, not the sink.
fn trouble(error: RunsError) -> SinkError {
    let transient = error.is_transient();
    SinkError { what: error.to_string(), transient, wait: None }
}
