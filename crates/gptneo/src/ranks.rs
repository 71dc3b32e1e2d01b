//! The processes that train together, as the launcher (`mpirun`, `srun`) has started them; most often this one alone.
//!
//! Rank 0 speaks for all: it finds and tokenizes data first, and it alone writes, records and reports.

use gptneo_device::{Collective, Single};
use gptneo_kernels::Cpu;

use crate::args::MachineArgs;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::load;

/// This process among those that train together.
pub(crate) struct Ranks {
    rank: usize,
    size: usize,
    /// On this machine.
    here: usize,
    #[cfg(feature = "mpi")]
    world: Option<gptneo_mpi::World>,
}

/// How many processes a launcher has started, if one has: by the variables that Open MPI, MPICH and Slurm set.
fn launched(environment: Environment) -> usize {
    let number = |name: &str| environment.lookup(name).and_then(|text| text.trim().parse::<usize>().ok());
    let slurm = || number("PMIX_RANK").or_else(|| number("SLURM_STEP_ID")).and(number("SLURM_STEP_NUM_TASKS"));
    number("OMPI_COMM_WORLD_SIZE").or_else(|| number("PMI_SIZE")).or_else(slurm).unwrap_or(1)
}

impl Ranks {
    /// Meets the others.
    ///
    /// # Errors
    /// If there are others and this program cannot talk to them.
    #[cfg(feature = "mpi")]
    pub(crate) fn join(environment: Environment) -> Result<Self, Failure> {
        use crate::failure::Kind;

        if launched(environment) <= 1 {
            return Ok(Self { rank: 0, size: 1, here: 1, world: None });
        }
        let world = gptneo_mpi::World::join().map_err(|error| Failure::because(Kind::Io, &error))?;
        if world.rank() > 0 {
            crate::terminal::hush();
        }
        Ok(Self { rank: world.rank(), size: world.size(), here: world.here(), world: Some(world) })
    }

    /// Meets nobody.
    ///
    /// # Errors
    /// If others were started: each would train the same, into one folder.
    #[cfg(not(feature = "mpi"))]
    pub(crate) fn join(environment: Environment) -> Result<Self, Failure> {
        match launched(environment) {
            0 | 1 => Ok(Self { rank: 0, size: 1, here: 1 }),
            many => Err(Failure::usage(format!(
                "{many} processes were started together, and this gptneo was built without MPI: each would train alone"
            ))
            .hint("cargo build --release --features mpi   (needs an MPI library and libclang)")),
        }
    }

    /// This rank, from 0.
    pub(crate) fn rank(&self) -> usize {
        self.rank
    }

    /// Ranks in all.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Ranks on this machine.
    pub(crate) fn here(&self) -> usize {
        self.here
    }

    /// The operations they share.
    pub(crate) fn collective(&self) -> Box<dyn Collective<Cpu>> {
        #[cfg(feature = "mpi")]
        if let Some(world) = &self.world {
            return Box::new(world.ranks());
        }
        Box::new(Single)
    }

    /// Does `work` on rank 0 first, then on the others: what it makes is there for them.
    ///
    /// # Errors
    /// Those of `work`.
    pub(crate) fn first_alone<T>(&self, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut ranks = self.collective();
        if self.rank() > 0 {
            ranks.barrier().map_err(gptneo_train::TrainError::from)?;
        }
        let done = work()?;
        if self.rank() == 0 {
            ranks.barrier().map_err(gptneo_train::TrainError::from)?;
        }
        Ok(done)
    }

    /// The sum of a number over all ranks.
    ///
    /// # Errors
    /// If the others are gone.
    pub(crate) fn sum(&self, number: f64) -> Result<f64, Failure> {
        let mut numbers = [number];
        self.collective().sum(&mut numbers).map_err(gptneo_train::TrainError::from)?;
        Ok(numbers[0])
    }

    /// The machine's part of this rank: where no flag says how many threads, the ranks here share the cores, unless the
    /// launcher has bound each to its own.
    ///
    /// # Errors
    /// Exit code 2 for a variable that makes no sense.
    pub(crate) fn machine(&self, args: &MachineArgs, environment: Environment) -> Result<MachineArgs, Failure> {
        let mut args = args.clone();
        args.threads = load::threads(args.threads, environment)?;
        if args.threads.is_none() && self.here() > 1 {
            let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
            let bound = online().is_some_and(|online| allowed < online);
            args.threads = Some(if bound { allowed } else { (allowed / self.here()).max(1) });
        }
        Ok(args)
    }

    /// Ends as `outcome` says. A failure is told here, and ends the others too: they would wait for this one forever.
    pub(crate) fn end(self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        #[cfg(feature = "mpi")]
        if let (Some(mut world), Err(failure)) = (self.world, &outcome) {
            use crate::failure::Kind;

            // A run that was asked to stop has stopped on every rank.
            if failure.kind() == Kind::Interrupted {
                return if world.rank() == 0 { outcome } else { Ok(()) };
            }
            crate::terminal::speak();
            let _ = failure.within_rank(world.rank()).report();
            world.abort(i32::from(failure.kind().code()));
        }
        outcome
    }
}

/// Cores of the machine that are online, on Linux.
fn online() -> Option<usize> {
    let list = std::fs::read_to_string("/sys/devices/system/cpu/online").ok()?;
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(last.parse::<usize>().ok()? + 1 - first.parse::<usize>().ok()?)
    };
    list.trim().split(',').map(count).sum()
}
