//! `gptneo eval`: tasks of the field, by the reference harness's definitions.

mod compare;
mod contamination;
mod judging;
mod lines;
mod list;
mod memorisation;
mod models;
mod output;
mod programs;
mod recording;
mod report;
mod review;
mod shards;
mod stereoset;

use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use gptneo_eval::data::{Library, Limits, Remote};
use gptneo_eval::{
    About, Answers, Catalog, Chosen, Judges, Options, Outcome, Prepared, PublishedModel, Subject, prepare,
};
use gptneo_hub::{Hub, PullOptions};
use gptneo_model::Spec;
use gptneo_runs::State;
use gptneo_text::Tokenizer;
use serde_json::{Map, Value, json};

use crate::args::{EvalArgs, EvalVerb, HubArgs, LoraArgs, MeasureArgs};
use crate::failure::{Failure, Kind};
use crate::open::Opened;
use crate::pulling;
use crate::source;
use crate::terminal;
use crate::verbs::World;
use shards::Bars;

/// Where models are put to tasks.
const DEVICE: &str = "cpu";

/// Positions for which the cache has room, of all sequences in a batch together.
const ROOM: usize = 4096;

pub(crate) fn run(args: &EvalArgs, world: &World) -> Result<(), Failure> {
    match &args.verb {
        Some(EvalVerb::Tasks(args)) => list::run(args),
        Some(EvalVerb::Lines(args)) => lines::run(args, world),
        Some(EvalVerb::Report(args)) => report::run(args),
        Some(EvalVerb::Compare(args)) => compare::run(args),
        Some(EvalVerb::Review(args)) => review::run(args),
        Some(EvalVerb::Stereoset(args)) => stereoset::run(args),
        Some(EvalVerb::Contamination(args)) => contamination::run(args, world),
        Some(EvalVerb::Memorisation(args)) => memorisation::run(args, world),
        None => measure(&args.measure, world),
    }
}

pub(super) fn catalog(include: &[std::path::PathBuf]) -> Result<Catalog, Failure> {
    let mut catalog = Catalog::shipped()?;
    for path in include {
        catalog.include(path)?;
    }
    Ok(catalog)
}

fn no_tasks() -> Failure {
    Failure::usage("no task is named")
        .hint("--tasks lambada_openai,hellaswag")
        .hint("gptneo eval tasks, which lists them")
}

fn measure(args: &MeasureArgs, world: &World) -> Result<(), Failure> {
    if args.tasks.is_empty() {
        return Err(no_tasks());
    }
    // What is wrong with names and definitions is told before a model is loaded.
    let mut chosen = catalog(&args.include_path)?.choose(&args.tasks)?;
    for chosen in &mut chosen {
        if let Chosen::Task(task) = chosen {
            task.measure_split(args.split.as_deref(), args.fewshot_split.as_deref());
        }
    }
    let mut options = options(args)?;
    let published = published(args)?;
    let mut judges = judging::judges(args, &chosen, world)?;
    let models = models::find(args, &chosen, world)?;
    if let Some(first) = models.first() {
        let other = args.decontaminate_tokenizer.as_deref();
        options.decontamination =
            shards::decontamination(&args.decontaminate, other, &first.tokenizer, args.machine.threads, world)?;
    }
    let hub = source::hub(&args.hub, world.environment)?;
    let pulled = pulling::Bars::new();
    let library = library(&args.data, &hub, &pulled, world);
    let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64());
    let clock = Instant::now();
    let prepared = {
        let _heeded = world.interrupt.heed();
        let mut bar = Bars::new("looking through", "", &world.interrupt);
        prepare(chosen, &library, &options, &judges, &mut bar)?
    };
    let name = models.first().map_or_else(String::new, |model| model.opened.name.clone());
    let mut recording = recording::begin(args, &name, settings(args, &options), world);
    let measured = put(&prepared, &models, args, &mut judges, world);
    let (outcome, first, model_details) = measured.inspect_err(|failure| {
        recording.finish(if failure.kind() == Kind::Interrupted { State::Stopped } else { State::Failed });
    })?;
    let about = About {
        model: first.name,
        model_details,
        options: settings(args, &options),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        began,
        seconds: clock.elapsed().as_secs_f64(),
        tokenizer: first.marks,
    };
    let found = output::results(&outcome, &about, published.as_ref());
    let written = output::write(args, &outcome, &about, &found);
    recording.tell(&outcome, &about, &found["published"], written.as_deref().unwrap_or_default());
    recording.finish(State::Finished);
    written?;
    output::tell(args, &outcome, &about, &found)
}

/// What results say of a model.
struct Told {
    name: String,
    details: Map<String, Value>,
    marks: Map<String, Value>,
}

/// Puts the tasks to their models, one model after the other; what is told of the first of these, and the details of all.
fn put(
    prepared: &Prepared,
    models: &[models::Model],
    args: &MeasureArgs,
    judges: &mut Judges<'_>,
    world: &World,
) -> Result<(Outcome, Told, Map<String, Value>), Failure> {
    let mut tasks = Vec::new();
    let mut told: Vec<Told> = Vec::new();
    for model in models {
        let (mut engine, adapter) = model.load(args, world)?;
        let spec = engine.spec().clone();
        let fingerprint = fingerprint(&model.opened, &spec, args);
        let answers = match &args.use_cache {
            None => Answers::InMemory,
            Some(path) => Answers::Kept { path, fingerprint: &fingerprint },
        };
        let mut subject = Subject { engine: &mut engine, adapter: adapter.map(str::to_owned) };
        let _heeded = world.interrupt.heed();
        let mut bar = Bars::new("", "evaluating", &world.interrupt);
        let mut found = prepared.measure(&|task| model.has(task), &mut subject, answers, judges, &mut bar)?;
        drop(bar);
        for task in &mut found {
            task.head.clone_from(&model.head);
        }
        tasks.extend(found);
        told.push(Told {
            name: model.head.clone().unwrap_or_else(|| model.opened.name.clone()),
            details: details(&model.opened, &spec, &args.hub, &model.args.lora),
            marks: marks(&spec, engine.tokenizer()),
        });
    }
    let mut told = told.into_iter();
    let mut first = told.next().expect("a task was chosen, and has a model");
    let mut model_details = std::mem::take(&mut first.details);
    let others: Map<String, Value> = told.map(|other| (other.name, other.details.into())).collect();
    if !others.is_empty() {
        model_details.insert("other_models".to_owned(), others.into());
    }
    Ok((prepared.outcome(tasks)?, first, model_details))
}

/// The folders that are searched for data, then the hub.
pub(super) fn library<'a>(folders: &[PathBuf], hub: &'a Hub, bars: &'a pulling::Bars, world: &World) -> Library<'a> {
    let pull = PullOptions { cancel: Some(world.interrupt.flag()), ..PullOptions::default() };
    Library {
        folders: folders.to_vec(),
        hub: Some(Remote { hub, options: pull, progress: bars }),
        limits: Limits::default(),
    }
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
        decontamination: None,
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

fn details(opened: &Opened, spec: &Spec, hub: &HubArgs, adapter: &LoraArgs) -> Map<String, Value> {
    let mut found = Map::from_iter([
        ("model_num_parameters".to_owned(), json!(spec.parameters)),
        ("model_dtype".to_owned(), json!(spec.weights.to_string())),
        ("model_output_dtype".to_owned(), json!(spec.output.to_string())),
        ("cache_dtype_k".to_owned(), json!(terminal::cache_name(spec.key))),
        ("cache_dtype_v".to_owned(), json!(terminal::cache_name(spec.value))),
        ("model_revision".to_owned(), json!(hub.revision.as_deref().unwrap_or("main"))),
        ("model_family".to_owned(), json!(spec.family.to_string())),
        ("device".to_owned(), json!(DEVICE)),
    ]);
    if let Some(folder) = &adapter.lora {
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
        ("decontaminate".to_owned(), json!(args.decontaminate)),
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
