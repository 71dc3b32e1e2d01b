//! The thread team: a few threads that live as long as the device and share each job with its caller.
//!
//! [`Team::run`] gives one closure to every worker; the caller is worker 0. Between jobs workers spin for a while
//! ([`SPIN`]), since the next operation of a decoder follows within microseconds, then park and cost nothing. Inside a
//! job, [`Worker::barrier`] waits for the others and [`Worker::claim`] hands out chunks of work. A fork, one barrier
//! and the join cost about a microsecond on two cores (`benches/cpu.rs`).
//!
//! A panic in any worker ends the job and continues in the caller; workers that wait at a barrier are released. Where
//! there are more threads than cores, waiting threads yield at once instead of spinning.

use std::any::Any;
use std::cell::UnsafeCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How long an idle worker spins before it parks.
const SPIN: Duration = Duration::from_micros(100);

/// How long a thread spins at a barrier, or for the join, before it offers its core to others.
const WAIT: Duration = Duration::from_micros(100);

/// A job: called once by every worker. The lifetime is erased while it runs.
type Job = *const (dyn Fn(&Worker<'_>) + Sync);

/// One cache line, so that counters of different use do not share one.
#[repr(align(128))]
#[derive(Default)]
struct Line<T>(T);

struct Core {
    threads: usize,
    /// More threads than cores: spinning would keep the one waited for from running.
    crowded: bool,
    /// Rises by one for every job, and once more to end.
    epoch: Line<AtomicU32>,
    /// Workers that have not yet finished the current job, the caller excluded.
    pending: Line<AtomicUsize>,
    /// Workers that wait at the barrier.
    arrived: Line<AtomicUsize>,
    /// Barriers passed.
    generation: Line<AtomicU32>,
    job: UnsafeCell<Option<Job>>,
    sleeping: Vec<Line<AtomicBool>>,
    /// A worker panicked in the current job: nobody waits for it at a barrier.
    broken: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    ending: AtomicBool,
}

// SAFETY: `job` is written by the caller before it raises `epoch` (release) and read by workers after they saw it rise
// (acquire); the next write comes after every worker has lowered `pending`. The job itself is Sync.
unsafe impl Sync for Core {}
// SAFETY: as above; the pointer is only followed while the caller keeps the job alive.
unsafe impl Send for Core {}

/// The panic of a worker released from a barrier that another worker will never reach.
struct Released;

/// See the module.
pub(crate) struct Team {
    core: Arc<Core>,
    /// One job at a time, whoever asks.
    turn: Mutex<()>,
    handles: Vec<JoinHandle<()>>,
    sleepers: Vec<Thread>,
}

/// One participant of a job.
pub(crate) struct Worker<'a> {
    core: &'a Core,
    index: usize,
}

impl Team {
    /// A team of `threads` (at least 1), the caller of [`Team::run`] among them.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let threads = threads.max(1);
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let core = Arc::new(Core {
            threads,
            crowded: threads > cores,
            epoch: Line::default(),
            pending: Line::default(),
            arrived: Line::default(),
            generation: Line::default(),
            job: UnsafeCell::new(None),
            sleeping: (0..threads).map(|_| Line::default()).collect(),
            broken: AtomicBool::new(false),
            panic: Mutex::new(None),
            ending: AtomicBool::new(false),
        });
        let mut team = Self { core, turn: Mutex::new(()), handles: Vec::new(), sleepers: Vec::new() };
        for index in 1..threads {
            let core = Arc::clone(&team.core);
            let handle = thread::Builder::new().name(format!("kernels-{index}")).spawn(move || core.serve(index))?;
            team.sleepers.push(handle.thread().clone());
            team.handles.push(handle);
        }
        Ok(team)
    }

    /// Number of workers.
    pub(crate) fn threads(&self) -> usize {
        self.core.threads
    }

    /// Runs `job` on every worker and returns when all are done. A job must not run another on the same team.
    ///
    /// # Panics
    /// With the panic of the first worker that panicked.
    pub(crate) fn run(&self, job: impl Fn(&Worker<'_>) + Sync) {
        let core = &*self.core;
        let turn = lock(&self.turn);
        let caller = Worker { core, index: 0 };
        if core.threads == 1 {
            job(&caller);
            return;
        }
        let short: &(dyn Fn(&Worker<'_>) + Sync) = &job;
        // SAFETY: only the lifetime changes; this function does not return, by value or by panic, before every worker
        // has finished with the job.
        let erased: Job = unsafe { std::mem::transmute(short) };
        // SAFETY: no job is running (`turn`, and the last one was joined), so no worker reads it now.
        unsafe { *core.job.get() = Some(erased) };
        core.pending.0.store(core.threads - 1, Ordering::Relaxed);
        // SeqCst on both sides: a worker that goes to sleep either sees the new epoch, or is seen sleeping.
        core.epoch.0.fetch_add(1, Ordering::SeqCst);
        self.wake();
        core.work(&caller, short);
        core.wait_until(|| core.pending.0.load(Ordering::Acquire) == 0);

        if core.broken.swap(false, Ordering::Relaxed) {
            core.arrived.0.store(0, Ordering::Relaxed);
            let panic = lock(&core.panic).take();
            drop(turn);
            resume_unwind(panic.unwrap_or_else(|| Box::new("a worker panicked")));
        }
    }

    /// Calls `task(i)` for every `i < count`, shared among the workers.
    pub(crate) fn for_each(&self, count: usize, task: impl Fn(usize) + Sync) {
        let next = AtomicUsize::new(0);
        self.run(|worker| {
            while let Some(i) = worker.claim(&next, count) {
                task(i);
            }
        });
    }

    fn wake(&self) {
        for (sleeping, thread) in self.core.sleeping[1..].iter().zip(&self.sleepers) {
            if sleeping.0.load(Ordering::SeqCst) {
                thread.unpark();
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.core.ending.store(true, Ordering::SeqCst);
        self.core.epoch.0.fetch_add(1, Ordering::SeqCst);
        self.wake();
        for handle in self.handles.drain(..) {
            // A worker catches the panics of its jobs, so that it ends in no other way than by returning.
            let _ended = handle.join();
        }
    }
}

impl std::fmt::Debug for Team {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Team({} threads)", self.core.threads)
    }
}

impl Core {
    /// The life of worker `index`.
    fn serve(&self, index: usize) {
        let worker = Worker { core: self, index };
        let mut seen = 0;
        loop {
            seen = self.next_epoch(index, seen);
            if self.ending.load(Ordering::SeqCst) {
                return;
            }
            // SAFETY: the epoch rose, so the job was written before and stays until `pending` falls.
            if let Some(job) = unsafe { *self.job.get() } {
                // SAFETY: as above; `run` keeps the closure alive.
                self.work(&worker, unsafe { &*job });
            }
            self.pending.0.fetch_sub(1, Ordering::Release);
        }
    }

    /// Waits for a job after `seen`: spins, then parks.
    fn next_epoch(&self, index: usize, seen: u32) -> u32 {
        let started = Instant::now();
        loop {
            for _ in 0..64 {
                let now = self.epoch.0.load(Ordering::Acquire);
                if now != seen {
                    return now;
                }
                std::hint::spin_loop();
            }
            if self.crowded {
                thread::yield_now();
            }
            if started.elapsed() > SPIN {
                break;
            }
        }
        let sleeping = &self.sleeping[index].0;
        loop {
            sleeping.store(true, Ordering::SeqCst);
            let now = self.epoch.0.load(Ordering::SeqCst);
            if now != seen {
                sleeping.store(false, Ordering::Relaxed);
                return now;
            }
            thread::park();
        }
    }

    fn work(&self, worker: &Worker<'_>, job: &(dyn Fn(&Worker<'_>) + Sync)) {
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(worker))) else { return };
        if !panic.is::<Released>() {
            lock(&self.panic).get_or_insert(panic);
        }
        self.broken.store(true, Ordering::Release);
    }

    /// Spins for a while, then offers the core to others between looks.
    fn wait_until(&self, done: impl Fn() -> bool) {
        let mut started = None;
        loop {
            for _ in 0..if self.crowded { 8 } else { 64 } {
                if done() {
                    return;
                }
                std::hint::spin_loop();
            }
            if self.crowded || started.get_or_insert_with(Instant::now).elapsed() > WAIT {
                thread::yield_now();
            }
        }
    }
}

impl Worker<'_> {
    /// 0 for the caller, below [`Worker::count`].
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Workers in the team.
    pub(crate) fn count(&self) -> usize {
        self.core.threads
    }

    /// Waits until every worker of the job has come here: what each wrote before, all see after.
    ///
    /// # Panics
    /// If another worker panicked and will not come.
    pub(crate) fn barrier(&self) {
        let core = self.core;
        if core.threads == 1 {
            return;
        }
        let generation = core.generation.0.load(Ordering::Relaxed);
        if core.arrived.0.fetch_add(1, Ordering::AcqRel) + 1 == core.threads {
            core.arrived.0.store(0, Ordering::Relaxed);
            core.generation.0.store(generation.wrapping_add(1), Ordering::Release);
            return;
        }
        let passed = || core.generation.0.load(Ordering::Acquire) != generation;
        core.wait_until(|| passed() || core.broken.load(Ordering::Acquire));
        if !passed() {
            // `resume_unwind` does not run the panic hook: the first panic has reported itself.
            resume_unwind(Box::new(Released));
        }
    }

    /// The next number below `count` that no worker has had, or `None` when all are gone.
    pub(crate) fn claim(&self, next: &AtomicUsize, count: usize) -> Option<usize> {
        let i = next.fetch_add(1, Ordering::Relaxed);
        (i < count).then_some(i)
    }

    /// The next run of `0..count` that no worker has had: large at first, so that memory is read in long runs, then ever
    /// smaller, so that all end together. Runs are multiples of `unit`, and at least `least`, but for the last.
    pub(crate) fn claim_run(
        &self,
        next: &AtomicUsize,
        count: usize,
        unit: usize,
        least: usize,
    ) -> Option<Range<usize>> {
        let mut start = next.load(Ordering::Relaxed);
        loop {
            if start >= count {
                return None;
            }
            // Three quarters of a fair share of what is left.
            let run = ((count - start) * 3 / (4 * self.count())).max(least).next_multiple_of(unit).min(count - start);
            match next.compare_exchange_weak(start, start + run, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(start..start + run),
                Err(now) => start = now,
            }
        }
    }

    /// This worker's fair share of `0..count`, in order.
    pub(crate) fn share(&self, count: usize) -> Range<usize> {
        let (workers, index) = (self.count(), self.index);
        count * index / workers..count * (index + 1) / workers
    }
}

/// A lock whose poison carries no meaning here: what it guards is valid whenever it can be taken.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Physical cores this process may use: by default one thread for each.
pub(crate) fn physical_cores() -> usize {
    let logical = thread::available_parallelism().map_or(1, usize::from);
    let mut siblings = std::collections::BTreeSet::new();
    for cpu in 0..4096 {
        let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
        let Ok(list) = std::fs::read_to_string(path) else { break };
        siblings.insert(list);
    }
    if siblings.is_empty() { logical } else { logical.min(siblings.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_runs_every_job_once() {
        for threads in [1, 2, 4, 7] {
            let team = Team::new(threads).unwrap();
            let counts: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for _ in 0..500 {
                team.run(|worker| {
                    counts[worker.index()].fetch_add(1, Ordering::Relaxed);
                });
            }
            assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 500));
        }
    }

    #[test]
    fn a_barrier_shows_what_others_wrote_before_it() {
        for threads in [2, 4] {
            let team = Team::new(threads).unwrap();
            let cells: Vec<AtomicUsize> = (0..threads).map(|_| AtomicUsize::new(0)).collect();
            for round in 0..300 {
                team.run(|worker| {
                    for step in 1..=5 {
                        cells[worker.index()].store(round * 10 + step, Ordering::Relaxed);
                        worker.barrier();
                        assert!(cells.iter().all(|c| c.load(Ordering::Relaxed) == round * 10 + step));
                        worker.barrier();
                    }
                });
            }
        }
    }

    #[test]
    fn claims_cover_the_work_once_and_wake_sleepers() {
        for threads in [1, 2, 4] {
            let team = Team::new(threads).unwrap();
            for round in 0..20 {
                let seen: Vec<AtomicUsize> = (0..97).map(|_| AtomicUsize::new(0)).collect();
                team.for_each(97, |i| {
                    seen[i].fetch_add(1, Ordering::Relaxed);
                });
                assert!(seen.iter().all(|s| s.load(Ordering::Relaxed) == 1));
                if round % 5 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        }
    }

    #[test]
    fn runs_cover_the_work_once() {
        for threads in [1, 2, 4] {
            let team = Team::new(threads).unwrap();
            for count in [0, 1, 15, 16, 50, 1001] {
                let (next, seen) = (AtomicUsize::new(0), AtomicUsize::new(0));
                team.run(|worker| {
                    while let Some(run) = worker.claim_run(&next, count, 4, 8) {
                        assert!(run.start.is_multiple_of(4) && (run.len() >= 8 || run.end == count));
                        seen.fetch_add(run.len(), Ordering::Relaxed);
                    }
                });
                assert_eq!(seen.into_inner(), count);
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_lives_on() {
        for threads in [1, 2, 4] {
            let team = Team::new(threads).unwrap();
            for culprit in (0..threads).cycle().take(40) {
                let caught = catch_unwind(AssertUnwindSafe(|| {
                    team.run(|worker| {
                        if worker.index() == culprit {
                            resume_unwind(Box::new(culprit));
                        }
                        worker.barrier();
                    });
                }));
                assert_eq!(caught.unwrap_err().downcast_ref::<usize>(), Some(&culprit));
                team.run(|worker| worker.barrier());
            }
        }
    }

    #[test]
    fn callers_on_several_threads_take_turns() {
        let team = Team::new(2).unwrap();
        let total = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        team.for_each(10, |i| {
                            total.fetch_add(i, Ordering::Relaxed);
                        });
                    }
                });
            }
        });
        assert_eq!(total.into_inner(), 4 * 200 * 45);
    }

    #[test]
    fn more_threads_than_cores_get_through() {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let team = Team::new(2 * cores).unwrap();
        let rounds = AtomicUsize::new(0);
        for _ in 0..1000 {
            team.run(|worker| {
                worker.barrier();
                rounds.fetch_add(1, Ordering::Relaxed);
            });
        }
        assert_eq!(rounds.into_inner(), 1000 * 2 * cores);
    }

    #[test]
    fn shares_are_fair_and_cover_all() {
        let core = |threads| Team::new(threads).unwrap();
        let team = core(3);
        let sums = AtomicUsize::new(0);
        team.run(|worker| {
            let share = worker.share(10);
            assert!((3..=4).contains(&share.len()));
            sums.fetch_add(share.sum::<usize>(), Ordering::Relaxed);
        });
        assert_eq!(sums.into_inner(), 45);
    }
}
