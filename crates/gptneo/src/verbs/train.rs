//! `gptneo train`: a recipe becomes a plan, the plan is told, and the run is made.

mod ingredients;
mod recording;
mod responses;
mod room;
mod tasks;
mod watcher;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use gptneo_device::Device;
use gptneo_kernels::measure;
use gptneo_model::training::Snapshot;
use gptneo_runs::{NewRun, Origin, State};
use gptneo_train::files::Disk;
use gptneo_train::recipe::Start;
use gptneo_train::{Ended, Parts, Recipe, RecipeError, Scores, TrainError, Trainer};
use serde::Serialize;

use crate::args::{Destination, RunFlags, SinkArgs, TrainArgs};
use crate::failure::{Failure, Kind};
use crate::load::cpu;
use crate::memory as machine;
use crate::ranks::Ranks;
use crate::terminal;
use crate::verbs::{World, runs};
use crate::watch::Tui;
use ingredients::Ingredients;
use recording::{Plan, Recording};
use tasks::Tasks;
use watcher::Watcher;

/// No recipe of a person is longer.
const MAX_RECIPE_BYTES: u64 = 1 << 20;

#[derive(Serialize)]
struct Report {
    name: String,
    output: String,
    steps: u64,
    tokens: u64,
    loss: Option<f64>,
    held_out_bits_per_byte: Option<f64>,
    checkpoint: Option<String>,
    /// Of a classifier the share of held-out labels that it tells.
    held_out_accuracy: Option<f64>,
    /// Of tasks of the field the last scores, by `TASK/METRIC`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    eval: BTreeMap<String, f64>,
    /// The model beside which the checkpoint's adapter stands.
    base: Option<String>,
    seconds: f64,
    planned_bytes: u64,
    peak_rss_bytes: Option<u64>,
}

pub(crate) fn run(args: &TrainArgs, world: &World) -> Result<(), Failure> {
    let recipe = recipe(&args.recipe, &args.run.changes())?;
    make(recipe, "train", &args.run, &format!("gptneo train {} --resume auto", args.recipe.display()), world)
}

/// Makes the run that a recipe describes; `kind` is what the store calls it, `again` the command that goes on with one that
/// was stopped.
pub(crate) fn make(recipe: Recipe, kind: &str, flags: &RunFlags, again: &str, world: &World) -> Result<(), Failure> {
    let ranks = Ranks::join(world.environment)?;
    let outcome = made(recipe, kind, flags, again, world, &ranks);
    ranks.end(outcome)
}

fn made(
    recipe: Recipe,
    kind: &str,
    flags: &RunFlags,
    again: &str,
    world: &World,
    ranks: &Ranks,
) -> Result<(), Failure> {
    let Ingredients { recipe, config, model, examples, tokenizer, extra } =
        ranks.first_alone(|| Ingredients::gather(recipe, flags, world))?;
    let (recipe, config) = (&recipe, &config);
    // Only rank 0 measures; what it cannot is told before anything is trained.
    let tasks = match ranks.rank() {
        0 => Tasks::read(recipe, config, tokenizer.as_ref(), flags, world)?,
        _ => None,
    };
    let machine_args = ranks.machine(&flags.machine, world.environment)?;
    let device = cpu(&machine_args, world.environment)?;
    let plan = gptneo_train::plan(&device, config, recipe, ranks.size())?;
    let leads = ranks.rank() == 0;
    if leads {
        room::tell(recipe, config, &plan, ranks.size(), flags.plan)?;
    }
    if flags.plan {
        return Ok(());
    }
    room::check(&device, config, recipe, &plan, ranks)?;
    let peak = ranks.sum(measure::f32_gflop_per_s(&device) * 1e9)?;
    machine::forget_peak();

    let begun = Instant::now();
    let _heeded = world.interrupt.heed();
    let hash = tokenizer.as_ref().map(|tokenizer| hex(&tokenizer.fingerprint()));
    let data = examples.fingerprint();
    let origin = Origin { device: device.describe(), ranks: ranks.size() as u32, ..Origin::default() };
    let origin = Origin { data_hash: Some(data), tokenizer_hash: hash, ..origin };
    let entry = || recording::entry(recipe, kind, origin, world.environment);
    let recording = Recording::new(if leads { recorded(recipe, flags, entry, world)? } else { None });
    let mut watcher = Watcher::new(if leads { dashboard(flags, world)? } else { None }, recording);
    let head = model.under_head(recipe, config);
    let first = model.first(head.as_ref());
    let another_cpu = || {
        cpu(&machine_args, world.environment).map_err(|failure| TrainError::Impossible(failure.message().to_owned()))
    };
    let mut measure = tasks.map(|tasks| move |weights: &Snapshot| tasks.measure(another_cpu()?, weights));
    let parts = Parts {
        device,
        ranks: ranks.collective(),
        examples,
        files: Arc::new(Disk),
        tokenizer,
        extra,
        another_device: &mut || another_cpu(),
        scores: measure.as_mut().map(|measure| measure as Scores<'_>),
        observer: &mut watcher,
        peak: Some(peak),
    };
    let trained = Trainer::new(recipe.clone(), config.clone(), first, flags.resume.into(), parts)
        .and_then(|mut trainer| Ok((trainer.run(&world.interrupt.flag())?, trainer.state().clone())));
    watcher.finish(match &trained {
        Ok((Ended::Finished { .. }, _)) => State::Finished,
        Ok((Ended::Stopped { .. }, _)) => State::Stopped,
        Err(_) => State::Failed,
    });
    let (ended, state) = trained?;
    let checkpoint = match ended {
        Ended::Finished { checkpoint } => checkpoint,
        Ended::Stopped { step } => {
            let text = format!("stopped and saved after step {step}");
            return Err(Failure::new(Kind::Interrupted, text).hint(again));
        }
    };
    if !leads {
        return Ok(());
    }
    let report = Report {
        name: recipe.name.clone(),
        output: recipe.output.display().to_string(),
        steps: state.step,
        tokens: state.tokens,
        loss: watcher.last_loss(),
        held_out_bits_per_byte: watcher.last_bits_per_byte(),
        checkpoint: checkpoint.map(|path| path.display().to_string()),
        held_out_accuracy: watcher.last_accuracy(),
        eval: watcher.last_tasks(),
        base: recipe.adapter.as_ref().and(match &recipe.model.start {
            Start::Weights(name) => Some(name.clone()),
            Start::Shape(_) | Start::ConfigFile(_) | Start::Config(_) => None,
        }),
        seconds: begun.elapsed().as_secs_f64(),
        planned_bytes: plan.total(),
        peak_rss_bytes: machine::peak(),
    };
    if flags.json { terminal::json(&report) } else { page(&report, &watcher) }
}

/// The dashboard, if it was asked for.
fn dashboard(flags: &RunFlags, world: &World) -> Result<Option<Tui>, Failure> {
    if !flags.tui {
        return Ok(None);
    }
    if !terminal::watched() {
        return Err(Failure::usage("a dashboard needs a terminal: leave --tui out"));
    }
    let pressed = world.interrupt.flag();
    let stop = move || pressed.store(true, Ordering::SeqCst);
    Tui::start(stop).map(Some).map_err(|error| Failure::new(Kind::Io, format!("cannot use the terminal: {error}")))
}

/// Where the run is recorded and told to, unless flags say nowhere.
fn recorded(
    recipe: &Recipe,
    flags: &RunFlags,
    entry: impl FnOnce() -> NewRun,
    world: &World,
) -> Result<Option<Plan>, Failure> {
    if flags.no_store {
        return Ok(None);
    }
    let address = |url: &String| (!url.is_empty()).then(|| url.clone());
    let asked = [
        (flags.tensorboard.is_some(), Destination::Tensorboard, None),
        (flags.mlflow.is_some(), Destination::Mlflow, flags.mlflow.as_ref().and_then(address)),
        (flags.comet.is_some(), Destination::Comet, flags.comet.as_ref().and_then(address)),
    ];
    let mut sinks = Vec::new();
    for (_, to, address) in asked.into_iter().filter(|(asked, ..)| *asked) {
        let args = SinkArgs { dir: flags.tensorboard.clone(), address, ..SinkArgs::default() };
        sinks.push(runs::sink(to, &args, world.environment)?);
    }
    let store = match runs::place(flags.store.as_ref(), world) {
        Ok(store) => store,
        Err(failure) if sinks.is_empty() => {
            terminal::warn(&format!("this run is not recorded: {}", failure.message()));
            return Ok(None);
        }
        Err(failure) => return Err(failure),
    };
    Ok(Some(Plan { store, run: entry(), sinks, folder: recipe.output.clone() }))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn recipe(path: &Path, overrides: &[String]) -> Result<Recipe, Failure> {
    let io = |error| Failure::io("cannot read", path, &error);
    let length = std::fs::metadata(path).map_err(io)?.len();
    if length > MAX_RECIPE_BYTES {
        return Err(Failure::bad_file(format!("{} has {length} bytes: no recipe is that long", path.display())));
    }
    let text = std::fs::read_to_string(path).map_err(io)?;
    Recipe::parse(&text, overrides).map_err(|error| match error {
        RecipeError::Override { .. } => Failure::usage(error.to_string()),
        _ => Failure::bad_file(format!("{}: {error}", path.display())),
    })
}

fn page(report: &Report, watcher: &Watcher) -> Result<(), Failure> {
    if let Some(curve) = watcher.curve() {
        terminal::line(&curve)?;
    }
    let mut words = vec![format!("{} steps, {} tokens", report.steps, terminal::grouped(report.tokens))];
    words.extend(report.loss.map(|loss| format!("loss {loss:.4}")));
    words.extend(report.held_out_bits_per_byte.map(|bits| format!("held-out bits per byte {bits:.4}")));
    words.extend(report.held_out_accuracy.map(|share| format!("held-out accuracy {:.1} %", 100.0 * share)));
    words.extend(report.peak_rss_bytes.map(|bytes| {
        format!("peak memory {} (planned {})", terminal::size(bytes), terminal::size(report.planned_bytes))
    }));
    words.extend(report.eval.iter().map(|(name, value)| format!("{name} {value:.4}")));
    words.push(format!("{:.0} s", report.seconds));
    terminal::line(&words.join(", "))?;
    match &report.checkpoint {
        Some(path) => {
            let model = match &report.base {
                Some(base) => format!("{base} --lora {path}"),
                None => path.clone(),
            };
            let verb = if report.held_out_accuracy.is_some() { "score" } else { "run" };
            let text = if verb == "score" { "--text \"...\"" } else { "\"Once upon a time\"" };
            terminal::line(&format!("try: gptneo {verb} -m {model} {text}"))
        }
        None => Ok(()),
    }
}
