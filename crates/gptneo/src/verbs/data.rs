//! `gptneo data`: text to what training reads.

mod bpe;
mod tokenize;

use std::num::NonZero;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;

use gptneo_corpus::{Format, Found, Remote, Source, Status, Watch, looks_like_dataset};
use gptneo_hub::PullOptions;

pub(crate) use tokenize::read_tokenizer;

use crate::args::{DataArgs, DataVerb, HubArgs, SourceArgs};
use crate::failure::Failure;
use crate::load;
use crate::progress::{Progress, Unit};
use crate::pulling::Bars;
use crate::source;
use crate::terminal;
use crate::verbs::World;

pub(crate) fn run(args: &DataArgs, world: &World) -> Result<(), Failure> {
    match &args.verb {
        DataVerb::Tokenize(args) => tokenize::run(args, world),
        DataVerb::Bpe(args) => bpe::run(args, world),
    }
}

/// Where text comes from, and how many threads work on it.
struct Plan {
    sources: Vec<Source>,
    format: Option<Format>,
    workers: usize,
}

/// Finds the sources, downloading data sets, and says how many threads may work on them.
fn plan(args: &SourceArgs, hub: &HubArgs, world: &World) -> Result<Plan, Failure> {
    let format = args.format.map(Format::from);
    let sources = find(&args.sources, format, hub, world)?;
    Ok(Plan { sources, format, workers: workers(args.workers, world)? })
}

/// Threads that tokenize.
pub(crate) fn workers(flag: Option<usize>, world: &World) -> Result<usize, Failure> {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    Ok(load::threads(flag, world.environment)?.unwrap_or_else(cores))
}

/// Finds the files that names stand for, downloading data sets.
pub(crate) fn find(
    names: &[String],
    format: Option<Format>,
    hub: &HubArgs,
    world: &World,
) -> Result<Vec<Source>, Failure> {
    let remote = names.iter().any(|name| looks_like_dataset(name).is_some());
    let hub = remote.then(|| source::hub(hub, world.environment)).transpose()?;
    let bars = Bars::new();
    let _heeded = hub.as_ref().map(|_| world.interrupt.heed());
    let options = PullOptions { cancel: Some(world.interrupt.flag()), ..PullOptions::default() };
    let remote = hub.as_ref().map(|hub| Remote { hub, options, progress: &bars });
    let Found { sources, notes } = gptneo_corpus::find(names, format, remote.as_ref())?;
    notes.iter().for_each(|note| terminal::warn(note));
    Ok(sources)
}

/// A bar over the bytes of the sources.
pub(crate) struct Bar(Mutex<Progress>);

impl Bar {
    pub(crate) fn new(what: &str, sources: &[Source]) -> Self {
        let bytes = sources.iter().map(|source| source.bytes).sum();
        Self(Mutex::new(Progress::new(what, bytes, Unit::Bytes)))
    }
}

impl Watch for Bar {
    fn resumed(&self, status: &Status) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).begin_at(status.bytes);
    }

    fn at(&self, status: &Status) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).at(status.bytes);
    }
}
