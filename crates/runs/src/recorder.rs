//! Writes a run into the store while it goes on, and never keeps it waiting.
//!
//! Events go through a bounded queue to a thread of their own, which writes them in batches. If the disk refuses, the
//! thread keeps what it has and tries again; only when the queue is full is anything lost, and then it is counted and
//! said. Each sink has a thread too, which reads from the store what has not been delivered yet.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::error::RunsError;
use crate::event::{Event, Observer, State};
use crate::record::{RunId, now};
use crate::sink::{Feeder, Sink};
use crate::store::{Pending, Store, Timed};

/// Events that may wait; about two minutes of a very fast run.
const QUEUE: usize = 16_384;
/// Events in one transaction at most.
const BATCH: usize = 4_096;
/// How long the first event of a batch waits for others.
const GATHER: Duration = Duration::from_millis(200);
/// How often a sign of life is written.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How soon a failed write is tried again.
const AGAIN: Duration = Duration::from_millis(500);
/// How long a store that refuses is waited for at the end.
const GRACE: Duration = Duration::from_secs(5);
/// How long sinks may take at the end.
const FAREWELL: Duration = Duration::from_secs(20);

/// Takes words for a person, from any thread.
pub(crate) type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// The observer that writes into the store. See the front page of this crate for its use.
///
/// If it is dropped without [`Recorder::finish`], what was queued is still written, and the run stays marked as running
/// until it counts as lost.
pub struct Recorder {
    run: RunId,
    queue: Option<SyncSender<Command>>,
    writer: Option<JoinHandle<Option<Store>>>,
    feeders: Vec<Feeder>,
    status: Arc<Status>,
    say: Say,
}

enum Command {
    Event(Timed),
    Flush(mpsc::Sender<()>),
}

/// What the writer and its owner tell each other.
#[derive(Default)]
struct Status {
    /// Events that found no room or could not be written.
    lost: AtomicU64,
    /// Whether the loss has been said.
    said: AtomicBool,
    /// The owner waits for the end.
    closing: AtomicBool,
}

/// How a recording has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Events that are not in the store.
    pub lost: u64,
    /// What sinks have not taken; it stays in the store and can be delivered later.
    pub undelivered: Vec<Undelivered>,
}

/// What one sink has not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The kind of sink.
    pub kind: String,
    /// Where it delivers to.
    pub target: String,
    /// How much is left.
    pub pending: Pending,
}

impl Recorder {
    /// Begins to record `run`. Troubles are told to `say`, once each, from other threads.
    ///
    /// # Errors
    /// [`RunsError::Io`] and the like, if the store cannot be opened again for the threads.
    pub fn start(
        store: &Store,
        run: RunId,
        sinks: Vec<Box<dyn Sink>>,
        say: impl Fn(&str) + Send + Sync + 'static,
    ) -> Result<Recorder, RunsError> {
        let say: Say = Arc::new(say);
        let status = Arc::new(Status::default());
        let thread_failed = |error: std::io::Error| RunsError::Io {
            path: store.path().to_owned(),
            why: format!("no thread to write with: {error}"),
        };
        let mut feeders = Vec::new();
        for sink in sinks {
            let feeder = Feeder::start(store.again()?, run, sink, Arc::clone(&say)).map_err(thread_failed)?;
            feeders.push(feeder);
        }
        let (queue, commands) = sync_channel(QUEUE);
        let mut writer = Writer {
            store: store.again()?,
            run,
            pending: Vec::new(),
            status: Arc::clone(&status),
            say: Arc::clone(&say),
            wake: feeders.iter().map(Feeder::waker).collect(),
        };
        let writer = thread::Builder::new()
            .name("runs-writer".to_owned())
            .spawn(move || {
                writer.work(&commands);
                Some(writer.store)
            })
            .map_err(thread_failed)?;
        Ok(Recorder { run, queue: Some(queue), writer: Some(writer), feeders, status, say })
    }

    /// Waits until everything observed so far is in the store; `false` if that took longer than `patience`.
    pub fn flush(&self, patience: Duration) -> bool {
        let (done, wait) = mpsc::channel();
        let begun = Instant::now();
        let mut command = Command::Flush(done);
        while let Some(queue) = &self.queue {
            match queue.try_send(command) {
                Ok(()) => return wait.recv_timeout(patience.saturating_sub(begun.elapsed())).is_ok(),
                Err(TrySendError::Full(back)) if begun.elapsed() < patience => command = back,
                Err(_) => return false,
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Ends the recording: writes what is queued and the state, gives sinks a last chance, and tells what is left over.
    pub fn finish(mut self, state: State) -> Outcome {
        self.observe(&Event::Ended(state));
        self.status.closing.store(true, Ordering::Release);
        drop(self.queue.take());
        let store = self.writer.take().and_then(|writer| writer.join().ok().flatten());
        let deadline = Instant::now() + FAREWELL;
        self.feeders.iter().for_each(|feeder| feeder.close(deadline));
        self.feeders.drain(..).for_each(Feeder::join);
        let sinks = store.and_then(|store| store.sinks(self.run).ok()).unwrap_or_default();
        let left = sinks.into_iter().filter(|(_, _, pending)| *pending != Pending::default());
        let undelivered = left.map(|(kind, target, pending)| Undelivered { kind, target, pending }).collect();
        Outcome { lost: self.status.lost.load(Ordering::Acquire), undelivered }
    }
}

impl Observer for Recorder {
    fn observe(&mut self, event: &Event) {
        let Some(queue) = &self.queue else { return };
        let timed = Timed { time: now(), event: event.clone() };
        if queue.try_send(Command::Event(timed)).is_err() {
            self.status.lost.fetch_add(1, Ordering::AcqRel);
            if !self.status.said.swap(true, Ordering::AcqRel) {
                (self.say)("the store of runs takes nothing in: what happens now is not recorded");
            }
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(writer) = self.writer.take() {
            self.status.closing.store(true, Ordering::Release);
            let _ = writer.join();
        }
        let deadline = Instant::now();
        self.feeders.iter().for_each(|feeder| feeder.close(deadline));
        self.feeders.drain(..).for_each(Feeder::join);
    }
}

struct Writer {
    store: Store,
    run: RunId,
    pending: Vec<Timed>,
    status: Arc<Status>,
    say: Say,
    wake: Vec<Box<dyn Fn() + Send>>,
}

impl Writer {
    /// Until the owner lets go of the queue.
    fn work(&mut self, commands: &Receiver<Command>) {
        loop {
            let mut flushed = Vec::new();
            let more = self.gather(commands, &mut flushed);
            self.commit();
            for done in flushed {
                let _ = done.send(());
            }
            self.wake.iter().for_each(|wake| wake());
            if !more {
                return;
            }
        }
    }

    /// Waits for an event and gathers those that follow it closely; `false` after the last one.
    fn gather(&mut self, commands: &Receiver<Command>, flushed: &mut Vec<mpsc::Sender<()>>) -> bool {
        let mut wait = HEARTBEAT;
        let mut end = Instant::now() + HEARTBEAT;
        loop {
            match commands.recv_timeout(wait) {
                Ok(Command::Event(timed)) => {
                    if self.pending.is_empty() {
                        end = Instant::now() + GATHER;
                    }
                    self.pending.push(timed);
                    if self.pending.len() >= BATCH {
                        return true;
                    }
                }
                Ok(Command::Flush(done)) => {
                    flushed.push(done);
                    return true;
                }
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
            wait = end.saturating_duration_since(Instant::now());
        }
    }

    /// Writes the batch, however long it takes, but not beyond the owner's patience at the end.
    fn commit(&mut self) {
        let mut refused: Option<Instant> = None;
        loop {
            let written = if self.pending.is_empty() {
                self.store.touch(self.run)
            } else {
                self.store.write(self.run, &self.pending)
            };
            let error = match written {
                Ok(()) => break,
                Err(error) => error,
            };
            let since = *refused.get_or_insert_with(|| {
                (self.say)(&format!("a run is not recorded: {error}"));
                Instant::now()
            });
            // A sign of life is worth no second attempt, and damage heals by no waiting.
            let closing = self.status.closing.load(Ordering::Acquire) && since.elapsed() > GRACE;
            if self.pending.is_empty() || !error.is_transient() || closing {
                self.status.lost.fetch_add(self.pending.len() as u64, Ordering::AcqRel);
                break;
            }
            thread::sleep(AGAIN);
        }
        self.pending.clear();
        if refused.is_some() && self.status.lost.load(Ordering::Acquire) == 0 {
            (self.say)("the store of runs takes entries again; nothing was lost");
        }
    }
}
