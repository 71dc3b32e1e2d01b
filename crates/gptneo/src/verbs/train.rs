//! `gptneo train`: a recipe becomes a plan, the plan is told, and the run is made.

mod ingredients;
mod responses;
mod room;
mod watcher;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gptneo_device::Single;
use gptneo_kernels::measure;
use gptneo_train::files::Disk;
use gptneo_train::recipe::Start;
use gptneo_train::{Ended, Parts, Recipe, RecipeError, TrainError, Trainer};
use serde::Serialize;

use crate::args::{RunFlags, TrainArgs};
use crate::failure::{Failure, Kind};
use crate::load::cpu;
use crate::memory as machine;
use crate::terminal;
use crate::verbs::World;
use ingredients::Ingredients;
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
    /// The model beside which the checkpoint's adapter stands.
    base: Option<String>,
    seconds: f64,
    planned_bytes: u64,
    peak_rss_bytes: Option<u64>,
}

pub(crate) fn run(args: &TrainArgs, world: &World) -> Result<(), Failure> {
    let recipe = recipe(&args.recipe, &args.run.set)?;
    make(recipe, &args.run, &format!("gptneo train {} --resume auto", args.recipe.display()), world)
}

/// Makes the run that a recipe describes; `again` is the command that goes on with one that was stopped.
pub(crate) fn make(recipe: Recipe, flags: &RunFlags, again: &str, world: &World) -> Result<(), Failure> {
    let Ingredients { recipe, config, model, examples, tokenizer, extra } = Ingredients::gather(recipe, flags, world)?;
    let (recipe, config) = (&recipe, &config);
    let device = cpu(&flags.machine, world.environment)?;
    let plan = gptneo_train::plan(&device, config, recipe, 1)?;
    room::tell(recipe, config, &plan, flags.plan)?;
    if flags.plan {
        return Ok(());
    }
    room::check(&device, config, recipe, &plan)?;
    let peak = measure::f32_gflop_per_s(&device) * 1e9;
    machine::forget_peak();

    let begun = Instant::now();
    let _heeded = world.interrupt.heed();
    let mut watcher = Watcher::new();
    let parts = Parts {
        device,
        ranks: Box::new(Single),
        examples,
        files: Arc::new(Disk),
        tokenizer,
        extra,
        another_device: &mut || {
            cpu(&flags.machine, world.environment)
                .map_err(|failure| TrainError::Impossible(failure.message().to_owned()))
        },
        scores: None,
        observer: &mut watcher,
        peak: Some(peak),
    };
    let mut trainer = Trainer::new(recipe.clone(), config.clone(), model.first(), flags.resume.into(), parts)?;
    let ended = trainer.run(&world.interrupt.flag());
    let (step, tokens) = (trainer.state().step, trainer.state().tokens);
    drop(trainer);
    watcher.finish();
    let checkpoint = match ended? {
        Ended::Finished { checkpoint } => checkpoint,
        Ended::Stopped { step } => {
            let text = format!("stopped and saved after step {step}");
            return Err(Failure::new(Kind::Interrupted, text).hint(again));
        }
    };
    let report = Report {
        name: recipe.name.clone(),
        output: recipe.output.display().to_string(),
        steps: step,
        tokens,
        loss: watcher.last_loss(),
        held_out_bits_per_byte: watcher.last_bits_per_byte(),
        checkpoint: checkpoint.map(|path| path.display().to_string()),
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
    words.extend(report.peak_rss_bytes.map(|bytes| {
        format!("peak memory {} (planned {})", terminal::size(bytes), terminal::size(report.planned_bytes))
    }));
    words.push(format!("{:.0} s", report.seconds));
    terminal::line(&words.join(", "))?;
    match &report.checkpoint {
        Some(path) => {
            let model = match &report.base {
                Some(base) => format!("{base} --lora {path}"),
                None => path.clone(),
            };
            terminal::line(&format!("try: gptneo run -m {model} \"Once upon a time\""))
        }
        None => Ok(()),
    }
}
