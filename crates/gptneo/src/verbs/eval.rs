//! `gptneo eval`: tasks of the field, by the reference harness's definitions.

mod compare;
mod list;
mod output;
mod recording;
mod report;
mod review;

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gptneo_device::DType;
use gptneo_eval::data::{Library, Limits, Remote};
use gptneo_eval::{
    About, Answers, Catalog, Chosen, EvalError, Judges, Options, PublishedModel, Subject, Watch, evaluate,
};
use gptneo_hub::PullOptions;
use gptneo_model::Spec;
use gptneo_runs::State;
use gptneo_text::Tokenizer;
use serde_json::{Map, Value, json};

use crate::args::{EvalArgs, EvalVerb, MeasureArgs, ModelArgs};
use crate::failure::Failure;
use crate::generator::{Flags, engine};
use crate::interrupt::Interrupt;
use crate::load::layer_type;
use crate::lora;
use crate::open::{Opened, open};
use crate::progress::{Progress, Unit};
use crate::pulling::Bars;
use crate::source;
use crate::terminal;
use crate::verbs::World;

/// Positions for which the cache has room, of all sequences in a batch together.
const ROOM: usize = 4096;

pub(crate) fn run(args: &EvalArgs, world: &World) -> Result<(), Failure> {
    match &args.verb {
        Some(EvalVerb::Tasks(args)) => list::run(args),
        Some(EvalVerb::Report(args)) => report::run(args),
        Some(EvalVerb::Compare(args)) => compare::run(args),
        Some(EvalVerb::Review(args)) => review::run(args),
        None => measure(&args.measure, world),
    }
}

fn catalog(include: &[std::path::PathBuf]) -> Result<Catalog, Failure> {
    let mut catalog = Catalog::shipped()?;
    for path in include {
        catalog.include(path)?;
    }
    Ok(catalog)
}

fn measure(args: &MeasureArgs, world: &World) -> Result<(), Failure> {
    if args.tasks.is_empty() {
        return Err(Failure::usage("no task is named")
            .hint("--tasks lambada_openai,hellaswag")
            .hint("gptneo eval tasks, which lists them"));
    }
    // What is wrong with names and definitions is told before a model is loaded.
    let mut chosen = catalog(&args.include_path)?.choose(&args.tasks)?;
    for chosen in &mut chosen {
        if let Chosen::Task(task) = chosen {
            task.measure_split(args.split.as_deref(), args.fewshot_split.as_deref());
        }
    }
    let options = options(args)?;
    let published = published(args)?;
    let opened = open(args.model.model.as_deref(), &args.hub, world.environment, &world.interrupt)?;
    opened.language_model()?;
    let tokenizer = tokenizer(args, &opened)?;
    let model = exact(&args.model, &opened);
    let flags = Flags { model: &model, machine: &args.machine, hub: &args.hub, draft: None };
    let mut engine = engine(&opened, Some(tokenizer), flags, world, |context| context.max(ROOM))?;
    let spec = engine.spec().clone();

    let hub = source::hub(&args.hub, world.environment)?;
    let bars = Bars::new();
    let pull = PullOptions { cancel: Some(world.interrupt.flag()), ..PullOptions::default() };
    let library = Library {
        folders: args.data.clone(),
        hub: Some(Remote { hub: &hub, options: pull, progress: &bars }),
        limits: Limits::default(),
    };
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let clock = Instant::now();
    let fingerprint = fingerprint(&opened, &spec, args);
    let answers = match &args.use_cache {
        None => Answers::InMemory,
        Some(path) => Answers::Kept { path, fingerprint: &fingerprint },
    };
    let mut subject = Subject { engine: &mut engine, adapter: lora::name(&args.model.lora).map(str::to_owned) };
    let mut judges = Judges::default();
    let mut recording = recording::begin(args, &opened, details(&opened, &spec, args), settings(args, &options), world);
    let _heeded = world.interrupt.heed();
    let mut bar = Bar { bar: Progress::new("evaluating", 0, Unit::Requests), interrupt: &world.interrupt };
    let evaluated = evaluate(chosen, &library, &mut subject, &options, answers, &mut judges, &mut bar);
    drop(bar);
    let outcome = evaluated.inspect_err(|error| {
        recording.finish(if matches!(error, EvalError::Interrupted) { State::Stopped } else { State::Failed });
    })?;
    let about = About {
        model: opened.name.clone(),
        model_details: details(&opened, &spec, args),
        options: settings(args, &options),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began,
        seconds: clock.elapsed().as_secs_f64(),
        tokenizer: marks(&spec, engine.tokenizer()),
    };
    let found = output::results(&outcome, &about, published.as_ref());
    let written = output::write(args, &outcome, &about, &found);
    recording.tell(&outcome, written.as_deref().unwrap_or_default());
    recording.finish(State::Finished);
    written?;
    output::tell(args, &outcome, &about, &found)
}

/// Whose published scores are set beside ours.
fn published(args: &MeasureArgs) -> Result<Option<PublishedModel>, Failure> {
    let named = args.model.model.as_deref().filter(|_| args.published);
    match args.published_as.as_deref().or(named) {
        Some(id) => Ok(Some(PublishedModel::named(id)?)),
        None if args.published => Err(Failure::usage("--published needs a model of which something is published")
            .hint("-m with its name at the hub, or --published-as with it")),
        None => Ok(None),
    }
}

fn options(args: &MeasureArgs) -> Result<Options, Failure> {
    let mut options = Options {
        num_fewshot: args.num_fewshot,
        limit: args.limit,
        fewshot_seed: args.seed,
        seed: args.seed,
        bootstrap_iterations: args.bootstrap_iters,
        max_gen_toks: None,
    };
    for pair in &args.gen_kwargs {
        match pair.split_once('=') {
            Some(("max_gen_toks", count)) => {
                let count: usize = count.parse().ok().filter(|&count| count > 0).ok_or_else(|| {
                    Failure::usage(format!("--gen-kwargs max_gen_toks={count}: a whole number of tokens is wanted"))
                })?;
                options.max_gen_toks = Some(count);
            }
            _ => return Err(Failure::usage(format!("--gen-kwargs {pair}: only max_gen_toks=N can be set"))),
        }
    }
    Ok(options)
}

fn tokenizer(args: &MeasureArgs, opened: &Opened) -> Result<Tokenizer, Failure> {
    if let Some(folder) = &args.tokenizer {
        let within = |error| Failure::from(error).within(&folder.display().to_string());
        return Tokenizer::open(folder).map_err(within);
    }
    opened.tokenizer()?.ok_or_else(|| {
        Failure::usage(format!("{} has no tokenizer, and tasks are text", opened.name))
            .hint("--tokenizer DIR, a folder with a tokenizer.json, or a vocab.json and a merges.txt")
    })
}

/// Weights in f32 with their cache in f32, unless the user or the file has them otherwise.
fn exact(args: &ModelArgs, opened: &Opened) -> ModelArgs {
    let half = matches!(layer_type(opened.source()), DType::F16 | DType::BF16);
    let cache = gptneo_device::CacheType::F32;
    ModelArgs {
        quant: args.quant.or(half.then_some(DType::F32)),
        cache_type_k: args.cache_type_k.or(Some(cache)),
        cache_type_v: args.cache_type_v.or(Some(cache)),
        ..args.clone()
    }
}

/// What tells this model, asked in this way, from others.
fn fingerprint(opened: &Opened, spec: &Spec, args: &MeasureArgs) -> String {
    let file = opened.path().map(|path| {
        let changed = std::fs::metadata(path).and_then(|about| about.modified()).ok();
        let seconds = changed.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| since.as_secs());
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        format!("{} changed {seconds} bytes {}", path.display(), opened.stored_bytes().unwrap_or(0))
    });
    format!(
        "{} {} weights {} output {} cache {:?} {:?} positions {} adapter {:?} tokenizer {:?}",
        opened.name,
        file.unwrap_or_default(),
        spec.weights,
        spec.output,
        spec.key,
        spec.value,
        spec.positions,
        args.model.lora,
        args.tokenizer,
    )
}

fn details(opened: &Opened, spec: &Spec, args: &MeasureArgs) -> Map<String, Value> {
    let mut found = Map::from_iter([
        ("model_num_parameters".to_owned(), json!(spec.parameters)),
        ("model_dtype".to_owned(), json!(spec.weights.to_string())),
        ("model_output_dtype".to_owned(), json!(spec.output.to_string())),
        ("cache_dtype_k".to_owned(), json!(terminal::cache_name(spec.key))),
        ("cache_dtype_v".to_owned(), json!(terminal::cache_name(spec.value))),
        ("model_revision".to_owned(), json!(args.hub.revision.as_deref().unwrap_or("main"))),
        ("model_family".to_owned(), json!(spec.family.to_string())),
        ("device".to_owned(), json!("cpu")),
    ]);
    if let Some(folder) = &args.model.lora.lora {
        found.insert("lora".to_owned(), json!(folder.display().to_string()));
    }
    if opened.is_random() {
        found.insert("random_weights".to_owned(), json!(true));
    }
    found
}

fn settings(args: &MeasureArgs, options: &Options) -> Map<String, Value> {
    let limit = match options.limit {
        None => Value::Null,
        Some(gptneo_eval::Limit::Count(count)) => json!(count),
        Some(gptneo_eval::Limit::Share(share)) => json!(share),
    };
    Map::from_iter([
        ("batch_size".to_owned(), json!("auto")),
        ("use_cache".to_owned(), json!(args.use_cache.as_ref().map(|path| path.display().to_string()))),
        ("limit".to_owned(), limit),
        ("bootstrap_iters".to_owned(), json!(options.bootstrap_iterations)),
        (
            "gen_kwargs".to_owned(),
            if args.gen_kwargs.is_empty() { Value::Null } else { json!(args.gen_kwargs.join(",")) },
        ),
        ("random_seed".to_owned(), json!(options.seed)),
        ("fewshot_seed".to_owned(), json!(options.fewshot_seed)),
        ("split".to_owned(), json!(args.split)),
        ("fewshot_split".to_owned(), json!(args.fewshot_split)),
    ])
}

fn marks(spec: &Spec, tokenizer: Option<&Tokenizer>) -> Map<String, Value> {
    let mark = |id: Option<u32>| {
        let bytes = id.and_then(|id| tokenizer.and_then(|tokenizer| tokenizer.token_bytes(id)));
        let text = bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        json!([text, id.map(|id| id.to_string())])
    };
    let eos = spec.eos.or(tokenizer.and_then(Tokenizer::eos));
    let bos = spec.bos.or(tokenizer.and_then(Tokenizer::bos));
    Map::from_iter([
        ("tokenizer_eos_token".to_owned(), mark(eos)),
        ("tokenizer_bos_token".to_owned(), mark(bos)),
        ("eot_token_id".to_owned(), json!(eos)),
        ("max_length".to_owned(), json!(spec.positions)),
    ])
}

/// A bar, and Ctrl-C.
struct Bar<'a> {
    bar: Progress,
    interrupt: &'a Interrupt,
}

impl Watch for Bar<'_> {
    fn answered(&mut self, done: usize, total: usize) {
        self.bar.of(total as u64);
        self.bar.at(done as u64);
    }

    fn stopped(&self) -> bool {
        self.interrupt.pressed()
    }
}
