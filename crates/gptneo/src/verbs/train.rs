//! `gptneo train`: a recipe becomes a plan, the plan is told, and the run is made.

mod ingredients;
mod room;
mod watcher;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use gptneo_device::Single;
use gptneo_kernels::measure;
use gptneo_train::files::Disk;
use gptneo_train::{Data, Ended, Parts, Recipe, RecipeError, TrainError, Trainer};
use serde::Serialize;

use crate::args::TrainArgs;
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
    seconds: f64,
    planned_bytes: u64,
    peak_rss_bytes: Option<u64>,
}

pub(crate) fn run(args: &TrainArgs, world: &World) -> Result<(), Failure> {
    let recipe = recipe(&args.recipe, &args.set)?;
    let ingredients = Ingredients::gather(recipe, args, world)?;
    let Ingredients { recipe, config, model, tokenizer, extra } = &ingredients;
    let device = cpu(&args.machine, world.environment)?;
    let plan = gptneo_train::plan(&device, config, recipe, 1)?;
    room::tell(recipe, config, &plan, args.plan)?;
    if args.plan {
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
        examples: Box::new(Data::open(&recipe.data, recipe.seed)?),
        files: Arc::new(Disk),
        tokenizer: tokenizer.clone(),
        extra: extra.clone(),
        another_device: &mut || {
            cpu(&args.machine, world.environment)
                .map_err(|failure| TrainError::Impossible(failure.message().to_owned()))
        },
        scores: None,
        observer: &mut watcher,
        peak: Some(peak),
    };
    let mut trainer = Trainer::new(recipe.clone(), config.clone(), model.first(), args.resume.into(), parts)?;
    let ended = trainer.run(&world.interrupt.flag());
    let (step, tokens) = (trainer.state().step, trainer.state().tokens);
    drop(trainer);
    watcher.finish();
    let checkpoint = match ended? {
        Ended::Finished { checkpoint } => checkpoint,
        Ended::Stopped { step } => {
            let again = format!("gptneo train {} --resume auto", args.recipe.display());
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
        seconds: begun.elapsed().as_secs_f64(),
        planned_bytes: plan.total(),
        peak_rss_bytes: machine::peak(),
    };
    if args.json { terminal::json(&report) } else { page(&report, &watcher) }
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
        Some(path) => terminal::line(&format!("try: gptneo run -m {path} \"Once upon a time\"")),
        None => Ok(()),
    }
}
