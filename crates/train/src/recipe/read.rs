//! The sections of a recipe, read from their tables.

use std::path::PathBuf;

use gptneo_text::shards::Amount;
use toml::Value;

use super::section::Section;
use super::{
    AdapterRecipe, BatchRecipe, CheckpointRecipe, DataRecipe, EpochsRecipe, EvaluationRecipe, Initialisation, Kind,
    ModelRecipe, OptimizerRecipe, Part, RecipeError, SampleRecipe, Start,
};
use crate::batch::Ramp;
use crate::guard::{Guard, Policy};
use crate::schedule::{Schedule, Shape};

pub(super) fn model(mut s: Section<'_>) -> Result<ModelRecipe, RecipeError> {
    let from: Option<String> = s.optional("from")?;
    let shape: Option<String> = s.optional("shape")?;
    let config = match s.raw("config") {
        None => None,
        Some(Value::String(file)) => Some(Start::ConfigFile(file.into())),
        Some(Value::Table(table)) => {
            let json = serde_json::to_string(table)
                .map_err(|e| RecipeError::Conflict(format!("`model.config` cannot be said in JSON: {e}")))?;
            Some(Start::Config(json))
        }
        Some(other) => {
            return Err(RecipeError::WrongType {
                field: "model.config".into(),
                wanted: "the name of a config.json, or a table with its keys",
                found: other.to_string(),
            });
        }
    };
    let mut given: Vec<Start> =
        [from.map(Start::Weights), shape.map(Start::Shape), config].into_iter().flatten().collect();
    let (Some(start), true) = (given.pop(), given.is_empty()) else {
        return Err(RecipeError::Conflict("`model` needs exactly one of `from`, `shape` and `config`".into()));
    };
    let recipe = ModelRecipe {
        start,
        init: s.choice(
            "init",
            Initialisation::Original,
            &[("original", Initialisation::Original), ("transformers", Initialisation::Transformers)],
        )?,
        tokenizer: s.optional("tokenizer")?,
        labels: s.or("labels", Vec::new())?,
        dropout: s.number("dropout", 0.0, 0.0..1.0, "from 0 to below 1")? as f32,
        recompute: s.or("recompute", false)?,
    };
    s.finish()?;
    Ok(recipe)
}

pub(super) fn data(mut s: Section<'_>) -> Result<DataRecipe, RecipeError> {
    let recipe = DataRecipe {
        train: parts(&mut s)?,
        held_out: s.or::<Vec<String>>("held_out", Vec::new())?.into_iter().map(PathBuf::from).collect(),
        sources: s.or("sources", Vec::new())?,
        examples: s.or("examples", Vec::new())?,
        template: s.optional("template")?,
        held_out_fraction: s.number("held_out_fraction", 0.0, 0.0..1.0, "from 0 to below 1")?,
        vocab: s.optional("vocab")?,
        sequence: usize::try_from(s.count("sequence", 2048, 2)?)
            .map_err(|_| RecipeError::Conflict("`data.sequence` is beyond this machine".into()))?,
        across_documents: s.or("across_documents", true)?,
    };
    s.finish()?;
    Ok(recipe)
}

fn parts(s: &mut Section<'_>) -> Result<Vec<Part>, RecipeError> {
    let field = s.path_of("train");
    let list = match s.raw("train") {
        None => return Ok(Vec::new()),
        Some(Value::String(path)) => return Ok(vec![Part { path: path.into(), amount: ONCE }]),
        Some(Value::Array(list)) => list,
        Some(other) => {
            let wanted = "a folder, or a list of folders or of {path, weight}";
            return Err(RecipeError::WrongType { field, wanted, found: other.to_string() });
        }
    };
    let part = |(index, value): (usize, &Value)| match value {
        Value::String(path) => Ok(Part { path: path.into(), amount: ONCE }),
        other => {
            let mut s = Section::of(format!("{field}[{index}]"), other)?;
            let path = s.required::<String>("path")?.into();
            let amount = (amount(&mut s, "weight", 1e6)?, amount(&mut s, "epochs", 1e3)?);
            s.finish()?;
            let amount = match amount {
                (None, None) => ONCE,
                (Some(weight), None) => Amount::Weight(weight),
                (None, Some(epochs)) => Amount::Epochs(epochs),
                (Some(_), Some(_)) => {
                    return Err(RecipeError::Conflict(format!("`{field}[{index}]` has a weight and epochs: keep one")));
                }
            };
            Ok(Part { path, amount })
        }
    };
    list.iter().enumerate().map(part).collect()
}

/// All of a part, again and again.
const ONCE: Amount = Amount::Epochs(1000);

/// An amount in whole units of `1 / unit`.
fn amount(s: &mut Section<'_>, key: &'static str, unit: f64) -> Result<Option<u64>, RecipeError> {
    let least = 1.0 / unit;
    let value = s.number(key, 0.0, 0.0..=1e9, "a number above 0, at most 1e9")?;
    if value == 0.0 && !s.has(key) {
        return Ok(None);
    }
    if value < least {
        let wanted = format!("{least} or more");
        return Err(RecipeError::OutOfRange { field: s.path_of(key), found: value.to_string(), wanted });
    }
    Ok(Some((value * unit).round() as u64))
}

pub(super) fn batch(mut s: Section<'_>) -> Result<BatchRecipe, RecipeError> {
    let sequences = s.count("sequences", 1, 1)?;
    let micro = s.count("micro", 1, 1)?;
    let from: Option<u64> = s.optional("ramp_from")?;
    let steps: Option<u64> = s.optional("ramp_steps")?;
    s.finish()?;
    let ramp = match (from, steps) {
        (None, None) => None,
        (Some(from), Some(steps)) if (1..=sequences).contains(&from) && steps > 0 => Some(Ramp { from, steps }),
        _ => {
            return Err(RecipeError::Conflict(
                "a ramp of the batch needs `batch.ramp_from` (from 1 to `batch.sequences`) and `batch.ramp_steps` (1 or more)"
                    .into(),
            ));
        }
    };
    if ramp.is_none() && micro > sequences {
        return Err(RecipeError::Conflict(format!(
            "`batch.micro` is {micro}, more than the {sequences} sequences of a step"
        )));
    }
    Ok(BatchRecipe { sequences, micro, ramp })
}

pub(super) fn schedule(mut s: Section<'_>) -> Result<(Schedule, Option<EpochsRecipe>), RecipeError> {
    let shape = s.choice(
        "kind",
        Shape::Cosine,
        &[
            ("cosine", Shape::Cosine),
            ("linear", Shape::Linear),
            ("constant", Shape::Constant),
            ("warmup-stable-decay", Shape::StableThenDecay),
        ],
    )?;
    let epochs = s.number("epochs", 0.0, 0.0..=1e6, "a number above 0, at most 1e6")?;
    let steps: Option<u64> = s.optional("steps")?;
    let warmup: Option<u64> = s.optional("warmup")?;
    let warmup_ratio = s.number("warmup_ratio", 0.0, 0.0..1.0, "from 0 to below 1: a share of the steps")?;
    let decay: Option<u64> = s.optional("decay")?;
    let floor = s.number("floor", 0.1, 0.0..=1.0, "from 0 to 1: a share of the peak")?;
    let both_warmups = warmup.is_some() && s.has("warmup_ratio");
    s.finish()?;
    if both_warmups {
        return Err(RecipeError::Conflict("`schedule` has a `warmup` and a `warmup_ratio`: keep one".into()));
    }
    let lengths = EpochsRecipe { epochs, warmup, warmup_ratio, decay };
    let schedule = Schedule { shape, steps: 0, warmup: 0, decay: 0, floor };
    match (steps, epochs > 0.0) {
        (Some(steps), false) => Ok((lengths.schedule(schedule, steps)?, None)),
        (None, true) => Ok((schedule, Some(lengths))),
        (None, false) => Err(RecipeError::Missing {
            field: "schedule.steps".into(),
            wanted: "a whole number, or `schedule.epochs` a number above 0",
        }),
        (Some(_), true) => Err(RecipeError::Conflict("`schedule` has `steps` and `epochs`: keep one".into())),
    }
}

/// The section is there, or adapters are not trained.
pub(super) fn adapter(top: &mut Section<'_>) -> Result<Option<AdapterRecipe>, RecipeError> {
    let given = top.has("adapter");
    let mut s = top.section("adapter")?;
    let rank = s.count("rank", 8, 1)?;
    let recipe = AdapterRecipe {
        rank: usize::try_from(rank).unwrap_or(usize::MAX),
        alpha: s.number("alpha", 2.0 * rank as f64, 0.0..=1e6, "from 0 to 1e6")? as f32,
        rank_stabilised: s.or("rank_stabilised", false)?,
        dropout: s.number("dropout", 0.0, 0.0..1.0, "from 0 to below 1")? as f32,
        targets: s.or("targets", vec![gptneo_model::adapter::ALL_LINEAR.to_owned()])?,
    };
    s.finish()?;
    if recipe.targets.is_empty() {
        return Err(RecipeError::Conflict("`adapter.targets` names no matrix".into()));
    }
    Ok(given.then_some(recipe))
}

pub(super) fn optimizer(mut s: Section<'_>) -> Result<OptimizerRecipe, RecipeError> {
    let lr = s.number("lr", 6e-4, 0.0..=100.0, "from 0 to 100")?;
    let momentum = s.number("momentum", 0.95, 0.0..1.0, "from 0 to below 1")? as f32;
    let names = [("adamw", Kind::AdamW), ("adafactor", Kind::Adafactor), ("muon", Kind::Muon { momentum })];
    let recipe = OptimizerRecipe {
        kind: s.choice("kind", Kind::AdamW, &names)?,
        lr,
        beta1: s.number("beta1", 0.9, 0.0..1.0, "from 0 to below 1")? as f32,
        beta2: s.number("beta2", 0.95, 0.0..1.0, "from 0 to below 1")? as f32,
        eps: s.number("eps", 1e-8, f64::MIN_POSITIVE..=1.0, "above 0, at most 1")? as f32,
        weight_decay: s.number("weight_decay", 0.1, 0.0..=10.0, "from 0 to 10")? as f32,
        decay_all: s.or("decay_all", false)?,
        clip: s.number("clip", 1.0, 0.0..=1e9, "0 or more")? as f32,
        shard: s.or("shard", true)?,
    };
    s.finish()?;
    Ok(recipe)
}

pub(super) fn guard(mut s: Section<'_>) -> Result<Guard, RecipeError> {
    let guard = Guard {
        policy: s.choice(
            "policy",
            Policy::Skip,
            &[("skip", Policy::Skip), ("roll-back", Policy::RollBack), ("stop", Policy::Stop)],
        )?,
        window: s.count("window", 100, 8)? as usize,
        deviations: s.number("deviations", 8.0, 0.0..=1e6, "0 or more")?,
        limit: s.count("limit", 10, 1)?,
        skip_batches: s.count("skip_batches", 200, 1)?,
    };
    s.finish()?;
    Ok(guard)
}

pub(super) fn checkpoint(mut s: Section<'_>) -> Result<CheckpointRecipe, RecipeError> {
    let recipe = CheckpointRecipe {
        every: s.or("every", 1000)?,
        keep: s.count("keep", 2, 1)?,
        keep_best: s.or("keep_best", false)?,
        background: s.or("background", true)?,
    };
    s.finish()?;
    Ok(recipe)
}

pub(super) fn evaluation(mut s: Section<'_>) -> Result<EvaluationRecipe, RecipeError> {
    let recipe = EvaluationRecipe {
        every: s.or("every", 0)?,
        sequences: s.or("sequences", 0)?,
        at_start: s.or("at_start", false)?,
    };
    s.finish()?;
    Ok(recipe)
}

pub(super) fn sample(mut s: Section<'_>) -> Result<SampleRecipe, RecipeError> {
    let recipe = SampleRecipe {
        every: s.or("every", 0)?,
        prompts: s.or("prompts", Vec::new())?,
        tokens: s.count("tokens", 64, 1)? as usize,
        temperature: s.number("temperature", 0.8, 0.0..=10.0, "from 0 to 10")? as f32,
    };
    s.finish()?;
    Ok(recipe)
}
