//! From headers to a model on a device: the plan of its memory first, then the weights.

use std::time::{Duration, Instant};

use gptneo_device::{CacheType, DType, Device};
use gptneo_kernels::{Cpu, CpuError, CpuOptions, Isa};
use gptneo_model::family::{Role, roles};
use gptneo_model::{
    Adapter, CacheOptions, Config, Fallback, LanguageModel, LoadOptions, Memory, Storage, TensorSource, default_cache,
    load, memory,
};

use crate::args::{MachineArgs, ModelArgs};
use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::interrupt::Interrupt;
use crate::memory as machine;
use crate::open::{Opened, Watched};
use crate::progress::{Progress, Unit};
use crate::terminal;

/// What the program itself takes: code, tokenizer, buffers.
const OVERHEAD: u64 = 100_000_000;

/// The processor, as flags and environment describe it.
///
/// # Errors
/// Exit code 2 for values that make no sense.
pub(crate) fn cpu(args: &MachineArgs, environment: Environment) -> Result<Cpu, Failure> {
    let threads = threads(args.threads, environment)?;
    let isa: Option<Isa> = match environment.lookup("GPTNEO_ISA") {
        None => None,
        Some(name) => Some(name.parse().map_err(|e| Failure::because(Kind::Usage, &e).within("GPTNEO_ISA"))?),
    };
    Cpu::new(CpuOptions { threads, isa }).map_err(|error| match error {
        CpuError::Spawn { .. } => Failure::because(Kind::Io, &error),
        _ => Failure::because(Kind::Usage, &error),
    })
}

/// How many threads the flag or else the environment asks for.
///
/// # Errors
/// Exit code 2 if `GPTNEO_THREADS` is no number of threads.
pub(crate) fn threads(flag: Option<usize>, environment: Environment) -> Result<Option<usize>, Failure> {
    match (flag, environment.lookup("GPTNEO_THREADS")) {
        (Some(threads), _) => Ok(Some(threads)),
        (None, None) => Ok(None),
        (None, Some(text)) => match text.trim().parse() {
            Ok(threads @ 1..=1024) => Ok(Some(threads)),
            _ => Err(Failure::usage("GPTNEO_THREADS must be a whole number of threads from 1 to 1024")),
        },
    }
}

/// How a model is to be held.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Types to convert to.
    storage: Option<Storage>,
    /// The longest sequence that will be held.
    pub(crate) context: usize,
    cache: CacheOptions,
    /// What it will take.
    pub(crate) memory: Memory,
    /// Beside the model, while it is loaded.
    passing: u64,
}

impl Plan {
    /// Holds `opened` as the flags say, with room for the sequences that `room` asks for, given the context.
    ///
    /// # Errors
    /// Exit code 2 for a context that the model does not have.
    pub(crate) fn new(opened: &Opened, args: &ModelArgs, room: impl FnOnce(usize) -> usize) -> Result<Self, Failure> {
        let config = opened.config();
        let context = args.ctx_size.unwrap_or(config.positions);
        if context > config.positions {
            return Err(Failure::usage(format!(
                "-c {context} is more than the model has: its context ends at {} tokens",
                config.positions
            )));
        }
        let storage = args.quant.map(Storage::new).transpose()?;
        let exact = storage.map_or_else(|| stored_exactly(opened), |s| s.layers == DType::F32);
        let kind = if exact { CacheType::F32 } else { default_cache(DType::Q8_0) };
        let cache = CacheOptions {
            positions: room(context),
            key: args.cache_type_k.unwrap_or(kind),
            value: args.cache_type_v.unwrap_or(kind),
        };
        let memory = planned(opened, storage, cache);
        let passing = passing(opened, storage);
        Ok(Self { storage, context, cache, memory, passing })
    }

    /// With an adapter beside it, which is held by the device and, while it is added, by the program.
    pub(crate) fn beside(mut self, adapter: Option<&Adapter>) -> Self {
        self.passing += adapter.map_or(0, |adapter| 8 * adapter.parameters());
        self
    }

    /// All that will be held at once.
    pub(crate) fn bytes(&self) -> u64 {
        self.memory.total() + self.passing + OVERHEAD
    }

    /// Says no before anything is loaded that would not fit, and what would.
    ///
    /// # Errors
    /// Exit code 5.
    pub(crate) fn check(&self, opened: &Opened) -> Result<(), Failure> {
        let Some(available) = machine::available() else { return Ok(()) };
        if self.bytes() <= available {
            return Ok(());
        }
        let Memory { weights, cache, work } = self.memory;
        let mut failure = Failure::new(
            Kind::Memory,
            format!(
                "{} would not fit in memory: it needs {} (weights {}, cache {}, work {}), and {} are available",
                opened.name,
                terminal::size(self.bytes()),
                terminal::size(weights),
                terminal::size(cache),
                terminal::size(work + self.passing + OVERHEAD),
                terminal::size(available),
            ),
        );
        for hint in self.what_fits(opened, available) {
            failure = failure.hint(hint);
        }
        Err(failure)
    }

    /// Other ways to hold it that need no more than `available`.
    fn what_fits(&self, opened: &Opened, available: u64) -> Vec<String> {
        let total = |storage: Option<Storage>, positions: usize| {
            let cache = CacheOptions { positions, ..self.cache };
            planned(opened, storage, cache).total() + passing(opened, storage) + OVERHEAD
        };
        let mut hints = Vec::new();
        for dtype in [DType::F16, DType::Q8_0, DType::Q6_K, DType::Q4_K, DType::Q4_0] {
            let Ok(storage) = Storage::new(dtype) else { continue };
            let needs = total(Some(storage), self.cache.positions);
            if needs <= available {
                hints.push(format!("--quant {dtype}, which needs {}", terminal::size(needs)));
                break;
            }
        }
        let mut positions = self.cache.positions;
        while positions > 128 {
            positions /= 2;
            let needs = total(self.storage, positions);
            if needs <= available {
                hints.push(format!(
                    "a cache of {positions} tokens in place of {} (smaller -c or -n, fewer sequences), which needs {}",
                    self.cache.positions,
                    terminal::size(needs)
                ));
                break;
            }
        }
        if hints.is_empty() {
            let least = Storage::new(DType::Q4_0).map_or(0, |storage| total(Some(storage), 128));
            hints.push(format!(
                "a smaller model, or a machine with more memory: with --quant q4_0 and -c 128 it needs {}",
                terminal::size(least)
            ));
        }
        hints
    }

    /// Loads the weights, with a bar if that takes long. The processor becomes the model's.
    ///
    /// # Errors
    /// A damaged checkpoint, too little memory, Ctrl-C.
    pub(crate) fn load(self, opened: &Opened, cpu: Cpu, interrupt: &Interrupt) -> Result<Loaded, Failure> {
        self.load_from(opened.source(), opened, cpu, interrupt)
    }

    /// The same with other values for the tensors of `opened`.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn load_from(
        self,
        source: &dyn TensorSource,
        opened: &Opened,
        cpu: Cpu,
        interrupt: &Interrupt,
    ) -> Result<Loaded, Failure> {
        self.check(opened)?;
        interrupt.check()?;
        let _heeded = interrupt.heed();
        let begun = Instant::now();
        let device = cpu.describe();
        let options = LoadOptions {
            storage: self.storage,
            context: Some(self.context),
            cache_positions: Some(self.cache.positions),
            key: Some(self.cache.key),
            value: Some(self.cache.value),
        };
        let what = if self.storage.is_some() { "quantising" } else { "loading" };
        let mut bar = Progress::new(what, opened.config().parameters(), Unit::Parameters);
        let source = Watched { source, interrupt };
        let loaded = load(cpu, &source, &options, &mut |progress| bar.at(progress.done));
        drop(bar);
        interrupt.check()?;
        let loaded = loaded?;
        tell_fallbacks(&loaded.fallbacks);
        Ok(Loaded { model: Box::new(loaded.decoder), device, took: begun.elapsed() })
    }
}

/// A model in memory.
pub(crate) struct Loaded {
    /// The model.
    pub(crate) model: Box<dyn LanguageModel>,
    /// What it runs on, in words.
    pub(crate) device: String,
    /// How long loading took.
    pub(crate) took: Duration,
}

/// Says which tensors did not get the type asked for: a line for each kind, since a deep model has hundreds.
pub(crate) fn tell_fallbacks(fallbacks: &[Fallback]) {
    let same = |a: &Fallback, b: &Fallback| (a.cols, a.wanted, a.used) == (b.cols, b.wanted, b.used);
    for (index, fallback) in fallbacks.iter().enumerate() {
        if fallbacks[..index].iter().any(|earlier| same(earlier, fallback)) {
            continue;
        }
        let more = fallbacks[index..].iter().filter(|other| same(other, fallback)).count() - 1;
        let others = if more > 0 { format!(" (and of {more} tensors more)") } else { String::new() };
        terminal::warn(&format!("{fallback}{others}"));
    }
}

/// The type that a matrix of this role gets in a model of this width, fallbacks included.
pub(crate) fn given(storage: Storage, role: Role, config: &Config) -> DType {
    match role.shape(config) {
        (_, Some(cols)) => storage.of(role, cols),
        (_, None) => DType::F32,
    }
}

/// Whether the layers' matrices are f32 as they are stored.
fn stored_exactly(opened: &Opened) -> bool {
    layer_type(opened.source()) == DType::F32
}

/// The type of the layers' matrices, as stored.
pub(crate) fn layer_type(source: &dyn TensorSource) -> DType {
    source.dtype(Role::Inner, Some(0))
}

/// What a model takes, converted to `storage` or as it is stored.
pub(crate) fn planned(opened: &Opened, storage: Option<Storage>, cache: CacheOptions) -> Memory {
    let config = opened.config();
    match storage {
        Some(storage) => memory(config, storage, cache),
        None => {
            let like = Storage { layers: DType::F32, output: DType::F32 };
            Memory { weights: stored(opened.source(), config), ..memory(config, like, cache) }
        }
    }
}

/// Bytes of the weights in the types they are stored in.
fn stored(source: &dyn TensorSource, config: &Config) -> u64 {
    roles(config)
        .map(|(role, layer)| match role.shape(config) {
            (len, None) => len as u64 * 4,
            (rows, Some(cols)) => {
                let dtype = held_as(source.dtype(role, layer));
                (rows as f64 * cols as f64 * dtype.bits() / 8.0).ceil() as u64
            }
        })
        .sum()
}

/// The type in which the CPU holds a stored type.
fn held_as(stored: DType) -> DType {
    if crate::args::values::COMPUTED.contains(&stored) { stored } else { DType::F16 }
}

/// Bytes of the largest tensor that stands beside the model while it is converted.
fn passing(opened: &Opened, storage: Option<Storage>) -> u64 {
    let made = opened.is_random() || storage.is_some();
    let config = opened.config();
    let largest = roles(config)
        .filter_map(|(role, _)| match role.shape(config) {
            (rows, Some(cols)) => Some(rows as u64 * cols as u64 * 4),
            _ => None,
        })
        .max();
    // What is stored is mapped: its pages can be dropped. What is random must be made.
    match (made, opened.is_random()) {
        (true, true) if storage.is_some_and(|s| s.layers != DType::F32) => largest.unwrap_or(0),
        _ => 0,
    }
}
