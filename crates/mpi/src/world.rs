//! The thread that talks to MPI, and the process's side of it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};

use crate::ranks::Ranks;

/// Values of one call: counts are `int` in MPI.
const CHUNK: usize = 1 << 28;
/// How long calls under way may hold up the end of all ranks.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the ranks could not come together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MpiError {
    /// The system gave no thread.
    #[error("no thread for MPI: {0}")]
    Thread(#[from] std::io::Error),
    /// MPI was begun before in this process.
    #[error("MPI was begun before in this process")]
    Twice,
    /// The library cannot be called from any thread but the first.
    #[error("this MPI library gives thread level {0}, and FUNNELED is needed: build or choose another")]
    Level(String),
    /// The thread has ended before it said who it is.
    #[error("MPI could not begin")]
    Ended,
}

/// What the thread is asked to do.
pub(crate) enum Order {
    /// Sum over all; the sum comes back.
    AllReduce(Vec<f32>, Sender<Vec<f32>>),
    /// Sum over all to `root`; it comes back there, and nothing elsewhere.
    Reduce { values: Vec<f32>, root: usize, reply: Sender<Vec<f32>> },
    /// What `root` has comes back; the others give room.
    Broadcast { values: Vec<f32>, root: usize, reply: Sender<Vec<f32>> },
    /// Everybody's values come back, by rank.
    Gather(Vec<f64>, Sender<Vec<f64>>),
    /// Comes back when all ranks are there.
    Barrier(Sender<()>),
    /// Ends all ranks at once.
    Abort(i32),
}

/// The ranks that were started together, as this process sees them. Dropped, it waits for the others and ends MPI; while
/// panicking it ends all of them, since they would wait forever.
#[derive(Debug)]
pub struct World {
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
    about: About,
}

#[derive(Clone, Copy, Debug)]
struct About {
    rank: usize,
    size: usize,
    here: usize,
}

impl World {
    /// Begins MPI.
    ///
    /// # Errors
    /// If it cannot be begun, or not so that a thread of its own may call it.
    pub fn join() -> Result<Self, MpiError> {
        let (orders, incoming) = channel();
        let (tell, told) = channel();
        let work = move || {
            let Some((universe, level)) = mpi::initialize_with_threading(Threading::Funneled) else {
                drop(tell.send(Err(MpiError::Twice)));
                return;
            };
            if level < Threading::Funneled {
                drop(tell.send(Err(MpiError::Level(format!("{level:?}")))));
                return;
            }
            let world = universe.world();
            let here = world.split_shared(world.rank()).size() as usize;
            let about = About { rank: world.rank() as usize, size: world.size() as usize, here };
            if tell.send(Ok(about)).is_ok() {
                obey(&world, about, &incoming);
            }
        };
        let thread = thread::Builder::new().name("mpi".to_owned()).spawn(work)?;
        let about = told.recv().map_err(|_| MpiError::Ended)??;
        Ok(Self { orders: Some(orders), thread: Some(thread), about })
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.about.rank
    }

    /// Ranks in all.
    pub fn size(&self) -> usize {
        self.about.size
    }

    /// Ranks on this machine, this one included.
    pub fn here(&self) -> usize {
        self.about.here
    }

    /// The operations they share.
    pub fn ranks(&self) -> Ranks {
        Ranks::new(self.orders.clone(), self.about.rank, self.about.size)
    }

    /// Ends all ranks with this exit code. Returns if the thread is held up in a call that the others do not answer; then the
    /// process must end by itself, which makes the launcher end the others.
    pub fn abort(&mut self, code: i32) {
        if self.orders.take().is_some_and(|orders| orders.send(Order::Abort(code)).is_ok()) {
            thread::sleep(PATIENCE);
        }
        // Not waited for: it may never end.
        self.thread = None;
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            self.abort(1);
        }
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Does what it is told until nobody is left to tell.
fn obey(world: &SimpleCommunicator, about: About, orders: &Receiver<Order>) {
    // An answer that nobody waits for any more is dropped.
    while let Ok(order) = orders.recv() {
        match order {
            Order::AllReduce(values, reply) => {
                let mut sums = vec![0.0f32; values.len()];
                for (values, sums) in values.chunks(CHUNK).zip(sums.chunks_mut(CHUNK)) {
                    world.all_reduce_into(values, sums, SystemOperation::sum());
                }
                drop(reply.send(sums));
            }
            Order::Reduce { values, root, reply } => {
                let process = world.process_at_rank(root as i32);
                let mut sums = Vec::new();
                if root == about.rank {
                    sums.resize(values.len(), 0.0f32);
                    for (values, sums) in values.chunks(CHUNK).zip(sums.chunks_mut(CHUNK)) {
                        process.reduce_into_root(values, sums, SystemOperation::sum());
                    }
                } else {
                    values.chunks(CHUNK).for_each(|values| process.reduce_into(values, SystemOperation::sum()));
                }
                drop(reply.send(sums));
            }
            Order::Broadcast { mut values, root, reply } => {
                let process = world.process_at_rank(root as i32);
                values.chunks_mut(CHUNK).for_each(|values| process.broadcast_into(values));
                drop(reply.send(values));
            }
            Order::Gather(values, reply) => {
                let mut all = vec![0.0f64; values.len() * about.size];
                world.all_gather_into(&values[..], &mut all[..]);
                drop(reply.send(all));
            }
            Order::Barrier(reply) => {
                world.barrier();
                let _ = reply.send(());
            }
            Order::Abort(code) => world.abort(code),
        }
    }
}
