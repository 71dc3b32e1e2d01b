//! The one thread that steps models: requests go in, events come out.
//!
//! All models share it, so that they never compete for the cores: each that has work makes a step in turn. A request waits in a fair
//! queue ([`queue`]) until the scheduler has begun all before it, so that order among clients is decided as late as it can be. Requests
//! in the room are counted by [`Place`]s; where there is none left, the answer is no, at once.

pub(crate) mod queue;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gptneo_engine::{EngineError, Event, Request, Scheduler, Ticket};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use self::queue::FairQueue;

/// Names a model in the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Seat(pub(crate) u64);

/// One request of the engine.
pub(crate) struct Job {
    pub(crate) seat: Seat,
    pub(crate) client: Arc<str>,
    pub(crate) request: Request,
    /// Tokens that it may use up.
    pub(crate) cost: u64,
    /// Its number among those that share `told`.
    pub(crate) index: usize,
    pub(crate) told: UnboundedSender<(usize, Event)>,
    /// Set when nobody waits for it any more.
    pub(crate) called_off: Arc<AtomicBool>,
}

type Work = Box<dyn FnOnce(&mut Scheduler) + Send>;

enum Order {
    Install(Seat, Box<Scheduler>),
    Remove(Seat, oneshot::Sender<()>),
    Generate(Box<Job>),
    Work(Seat, Work),
    Sweep,
    Close,
}

/// How full the room is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fullness {
    /// Requests that wait for their first step.
    pub(crate) waiting: usize,
    /// Requests being served.
    pub(crate) live: usize,
    /// Sequences that wait for memory.
    pub(crate) parked: usize,
    /// Kept beginnings.
    pub(crate) retained: usize,
    /// Pages of the caches in use.
    pub(crate) pages_used: usize,
    /// Pages of the caches.
    pub(crate) pages: usize,
}

#[derive(Debug, Default)]
struct Shared {
    places: AtomicUsize,
    fullness: Mutex<Fullness>,
    /// Steps made.
    steps: AtomicUsize,
}

/// The door of the room.
#[derive(Debug)]
pub(crate) struct Room {
    orders: Mutex<Sender<Order>>,
    shared: Arc<Shared>,
    limit: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The right to have some requests in the room; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    shared: Arc<Shared>,
    count: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.places.fetch_sub(self.count, Ordering::AcqRel);
    }
}

/// The room's thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Closed;

impl Room {
    /// Opens a room for `limit` requests at once, waiting ones included.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn open(limit: usize) -> std::io::Result<Self> {
        let (orders, received) = channel();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("models".to_owned())
            .spawn(move || Floor { orders: received, shared: of_thread, tables: Vec::new() }.work())?;
        Ok(Self { orders: Mutex::new(orders), shared, limit, thread: Mutex::new(Some(thread)) })
    }

    /// Takes places for `count` requests, if there are so many.
    pub(crate) fn place(&self, count: usize) -> Option<Place> {
        let take = |taken: usize| taken.checked_add(count).filter(|&taken| taken <= self.limit);
        let taken = self.shared.places.fetch_update(Ordering::AcqRel, Ordering::Acquire, take);
        taken.ok().map(|_| Place { shared: Arc::clone(&self.shared), count })
    }

    /// Requests that hold places.
    pub(crate) fn taken(&self) -> usize {
        self.shared.places.load(Ordering::Acquire)
    }

    /// How full the room was after its last step.
    pub(crate) fn fullness(&self) -> Fullness {
        *self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps made since the beginning.
    pub(crate) fn steps(&self) -> usize {
        self.shared.steps.load(Ordering::Relaxed)
    }

    fn order(&self, order: Order) -> Result<(), Closed> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner).send(order).map_err(|_| Closed)
    }

    /// Brings a model in.
    pub(crate) fn install(&self, seat: Seat, scheduler: Scheduler) -> Result<(), Closed> {
        self.order(Order::Install(seat, Box::new(scheduler)))
    }

    /// Takes a model out and frees its memory; what it still has to do fails.
    pub(crate) async fn remove(&self, seat: Seat) -> Result<(), Closed> {
        let (done, removed) = oneshot::channel();
        self.order(Order::Remove(seat, done))?;
        removed.await.map_err(|_| Closed)
    }

    /// Asks for a generation.
    pub(crate) fn generate(&self, job: Job) -> Result<(), Closed> {
        self.order(Order::Generate(Box::new(job)))
    }

    /// Jobs may have been called off: those that wait are looked through.
    pub(crate) fn sweep(&self) {
        // A room that is closed has nothing to look through.
        let _ = self.order(Order::Sweep);
    }

    /// Has the model do something else between two steps; nobody waits for it.
    pub(crate) fn order_work(&self, seat: Seat, work: impl FnOnce(&mut Scheduler) + Send + 'static) {
        // A room that is closed holds nothing.
        let _ = self.order(Order::Work(seat, Box::new(work)));
    }

    /// Lets the model do something else between two steps.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        seat: Seat,
        work: impl FnOnce(&mut Scheduler) -> T + Send + 'static,
    ) -> Result<T, Closed> {
        let (done, found) = oneshot::channel();
        // Nobody may be waiting for the answer any more.
        self.order(Order::Work(seat, Box::new(move |scheduler| drop(done.send(work(scheduler))))))?;
        found.await.map_err(|_| Closed)
    }

    /// Ends the thread and drops the models.
    pub(crate) fn close(&self) {
        let _ = self.order(Order::Close);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A panic of the thread was told where it happened.
            let _ = thread.join();
        }
    }
}

/// Where a running request's events go.
struct Listener {
    index: usize,
    told: UnboundedSender<(usize, Event)>,
}

/// A model and its requests.
struct Table {
    seat: Seat,
    scheduler: Box<Scheduler>,
    queue: FairQueue<Box<Job>>,
    listeners: HashMap<Ticket, Listener>,
}

/// The thread's side.
struct Floor {
    orders: Receiver<Order>,
    shared: Arc<Shared>,
    tables: Vec<Table>,
}

impl Floor {
    fn work(mut self) {
        loop {
            let busy = self.tables.iter().any(Table::busy);
            if !self.take_orders(busy) {
                return;
            }
            for table in self.tables.iter_mut().filter(|table| table.busy()) {
                table.step();
                self.shared.steps.fetch_add(1, Ordering::Relaxed);
            }
            self.tell();
        }
    }

    /// Takes what was ordered; waits for something where there is nothing else to do. Returns whether to go on.
    fn take_orders(&mut self, busy: bool) -> bool {
        let mut first = !busy;
        loop {
            let order = match std::mem::take(&mut first) {
                true => match self.orders.recv() {
                    Ok(order) => order,
                    Err(_) => return false,
                },
                false => match self.orders.try_recv() {
                    Ok(order) => order,
                    Err(TryRecvError::Empty) => return true,
                    Err(TryRecvError::Disconnected) => return false,
                },
            };
            if !self.follow(order) {
                return false;
            }
        }
    }

    fn table(&mut self, seat: Seat) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.seat == seat)
    }

    fn follow(&mut self, order: Order) -> bool {
        match order {
            Order::Install(seat, scheduler) => {
                self.tables.push(Table { seat, scheduler, queue: FairQueue::default(), listeners: HashMap::new() });
            }
            Order::Remove(seat, done) => {
                self.tables.retain(|table| table.seat != seat);
                let _ = done.send(());
            }
            // A job or a piece of work for a model that is gone is dropped, and whoever waits for it sees its channel close.
            Order::Generate(job) => {
                if let Some(table) = self.table(job.seat) {
                    table.queue.push(Arc::clone(&job.client), job.cost, job);
                }
            }
            Order::Work(seat, work) => {
                if let Some(table) = self.table(seat) {
                    work(&mut table.scheduler);
                }
            }
            Order::Sweep => {
                for table in &mut self.tables {
                    table.queue.retain(|job| !job.called_off.load(Ordering::Relaxed));
                }
            }
            Order::Close => return false,
        }
        true
    }

    fn tell(&self) {
        let mut all = Fullness::default();
        for table in &self.tables {
            let load = table.scheduler.load();
            let (used, pages) = table.scheduler.cache_pages();
            all.waiting += load.waiting + table.queue.len();
            all.live += load.live;
            all.parked += load.parked;
            all.retained += load.retained;
            all.pages_used += used;
            all.pages += pages;
        }
        *self.shared.fullness.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }
}

impl Table {
    fn busy(&self) -> bool {
        self.queue.len() > 0 || !self.scheduler.idle()
    }

    fn step(&mut self) {
        self.admit();
        for (ticket, event) in self.scheduler.step() {
            let last = matches!(event, Event::Done | Event::Failed(_));
            let Some(listener) = self.listeners.get(&ticket) else { continue };
            // Who has stopped listening has called the request off too; the scheduler sees it in the next step.
            let _ = listener.told.send((listener.index, event));
            if last {
                self.listeners.remove(&ticket);
            }
        }
    }

    /// Hands jobs to the scheduler, as many as it may begin at once, and none while one waits for memory.
    fn admit(&mut self) {
        let load = self.scheduler.load();
        let room = if load.waiting == 0 { self.scheduler.options().max_sequences.saturating_sub(load.live) } else { 0 };
        for _ in 0..room {
            let Some(job) = self.queue.pop() else { return };
            if job.called_off.load(Ordering::Relaxed) {
                continue;
            }
            match self.scheduler.submit(job.request) {
                Ok(ticket) => drop(self.listeners.insert(ticket, Listener { index: job.index, told: job.told })),
                Err(error) => drop(job.told.send((job.index, Event::Failed(EngineError::from(error))))),
            }
        }
    }
}

/// How long a full room will take to have places again, from what it finished lately.
#[derive(Debug)]
pub(crate) struct Pace {
    state: Mutex<(Instant, f64)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { state: Mutex::new((Instant::now(), 1.0)) }
    }
}

impl Pace {
    /// A request ended.
    pub(crate) fn ended(&self, now: Instant) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let apart = now.saturating_duration_since(state.0).as_secs_f64().min(60.0);
        // A moving mean of the time between ends.
        *state = (now, 0.9 * state.1 + 0.1 * apart);
    }

    /// When one of `waiting` requests that ask now may be served.
    pub(crate) fn wait(&self, waiting: usize) -> Duration {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Duration::from_secs_f64((state.1 * waiting as f64 / 2.0).clamp(1.0, 60.0))
    }
}
