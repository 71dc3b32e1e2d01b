//! The recipe of a run: a TOML file whose every field is a field here, and nothing else.
//!
//! Text becomes a table, overrides edit the table, and [`Recipe`] is read from it key by key: an unknown field is an
//! error that names the nearest known one. `recipes/README.md` describes the fields for people; a test holds it
//! complete.

mod edit;
mod section;

use std::path::PathBuf;

use gptneo_text::shards::Amount;
use toml::{Table, Value};

use crate::batch::Ramp;
use crate::guard::{Guard, Policy};
use crate::schedule::{Schedule, Shape};
use section::Section;

/// Why a recipe is none.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The text is no TOML.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// A field that recipes do not have.
    #[error("`{field}` is no field of a recipe{}; here are: {known}", nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default())]
    UnknownField {
        /// The field.
        field: String,
        /// The known name most like it, if one is.
        nearest: Option<String>,
        /// The names known at that place.
        known: String,
    },
    /// A field that must be there.
    #[error("`{field}` is missing: it must be {wanted}")]
    Missing {
        /// The field.
        field: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// A field of another type.
    #[error("`{field}` is {found}, but must be {wanted}")]
    WrongType {
        /// The field.
        field: String,
        /// What it must be.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// A value that a field may not have.
    #[error("`{field}` is {found}, but must be {wanted}")]
    OutOfRange {
        /// The field.
        field: String,
        /// What stands there.
        found: String,
        /// What it must be.
        wanted: String,
    },
    /// Fields that do not go together.
    #[error("{0}")]
    Conflict(String),
    /// An override that cannot be made.
    #[error("`--set {text}` cannot be done: {why} (it is written FIELD=VALUE, such as optimizer.lr=1e-4)")]
    Override {
        /// What was given.
        text: String,
        /// Why not.
        why: String,
    },
}

/// Where a model begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// The weights of a directory in Hugging Face layout, or a hub id.
    Weights(String),
    /// Random weights of a published shape, such as `gpt-neo-125m`.
    Shape(String),
    /// Random weights of the architecture in a `config.json`.
    ConfigFile(PathBuf),
    /// Random weights of an architecture, as the text of a `config.json`.
    Config(String),
}

/// How random weights are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialisation {
    /// As the original GPT-Neo program did: deviations by width, so that unscaled scores begin small.
    Original,
    /// As transformers does: deviation 0.02 for every matrix.
    Transformers,
}

/// `[model]`.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRecipe {
    /// `from`, `shape` or `config`.
    pub start: Start,
    /// `init`: how random weights are drawn.
    pub init: Initialisation,
    /// `tokenizer`: a directory, a `tokenizer.json` or a hub id; that of `from` where absent.
    pub tokenizer: Option<String>,
    /// `dropout` of embedding, attention and residual.
    pub dropout: f32,
    /// `recompute`: keep only the input of each layer, and compute the rest again on the way back.
    pub recompute: bool,
}

/// One part of the training mixture.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// `path`: a folder of token shards.
    pub path: PathBuf,
    /// `weight` or `epochs`.
    pub amount: Amount,
}

/// `[data]`.
#[derive(Clone, Debug, PartialEq)]
pub struct DataRecipe {
    /// `train`: folders of token shards, and how much of each.
    pub train: Vec<Part>,
    /// `held_out`: folders of token shards that are only evaluated on.
    pub held_out: Vec<PathBuf>,
    /// `sources`: texts that are tokenised beside the run first, in place of `train` and `held_out`.
    pub sources: Vec<String>,
    /// `held_out_fraction` of the documents of `sources`.
    pub held_out_fraction: f64,
    /// `vocab`: ids of the tokenizer that is trained on `sources`, if none is named.
    pub vocab: Option<u64>,
    /// `sequence`: T, tokens in a sequence.
    pub sequence: usize,
    /// `across_documents`: whether a token sees documents packed before its own.
    pub across_documents: bool,
}

/// `[batch]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRecipe {
    /// `sequences` of a step, over all ranks.
    pub sequences: u64,
    /// `micro`: sequences that one rank computes at once.
    pub micro: u64,
    /// `ramp_from` and `ramp_steps`.
    pub ramp: Option<Ramp>,
}

/// `optimizer.kind`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Adam with decoupled decay and bias correction (Loshchilov and Hutter, 2019).
    AdamW,
    /// Factored second moments (Shazeer and Stern, 2018).
    Adafactor,
    /// Orthogonalised momentum for matrices (Jordan and others, 2024), AdamW for the rest.
    Muon {
        /// `momentum`.
        momentum: f32,
    },
}

/// `[optimizer]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerRecipe {
    /// `kind`.
    pub kind: Kind,
    /// `lr`: peak learning rate.
    pub lr: f64,
    /// `beta1`.
    pub beta1: f32,
    /// `beta2`.
    pub beta2: f32,
    /// `eps`.
    pub eps: f32,
    /// `weight_decay`, decoupled: each step multiplies decayed weights by `1 - lr * weight_decay`.
    pub weight_decay: f32,
    /// `decay_all`: decay norms, biases and embeddings too.
    pub decay_all: bool,
    /// `clip`: the largest global norm of a gradient; 0 for no clipping.
    pub clip: f32,
    /// `shard`: each rank keeps the state of its part alone (ZeRO-1).
    pub shard: bool,
}

/// `[checkpoint]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointRecipe {
    /// `every` so many steps.
    pub every: u64,
    /// `keep` so many of the newest.
    pub keep: u64,
    /// `keep_best`: and the one with the fewest held-out bits per byte.
    pub keep_best: bool,
    /// `background`: write from a copy in memory while training goes on.
    pub background: bool,
}

/// `[evaluation]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvaluationRecipe {
    /// `every` so many steps; 0 for never.
    pub every: u64,
    /// `sequences`: the most that are evaluated; 0 for all.
    pub sequences: u64,
}

/// `[sample]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRecipe {
    /// `every` so many steps; 0 for never.
    pub every: u64,
    /// `prompts`.
    pub prompts: Vec<String>,
    /// `tokens` of each sample.
    pub tokens: usize,
    /// `temperature`; 0 takes the likeliest.
    pub temperature: f32,
}

/// A whole recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// `name` of the run.
    pub name: String,
    /// `seed` of weights, order and dropout.
    pub seed: u64,
    /// `output`: the folder of the run.
    pub output: PathBuf,
    /// `[model]`.
    pub model: ModelRecipe,
    /// `[data]`.
    pub data: DataRecipe,
    /// `[batch]`.
    pub batch: BatchRecipe,
    /// `[schedule]`.
    pub schedule: Schedule,
    /// `[optimizer]`.
    pub optimizer: OptimizerRecipe,
    /// `z_loss`: what `log(Z)^2` is multiplied with; 0 for none.
    pub z_loss: f32,
    /// `[guard]`.
    pub guard: Guard,
    /// `[checkpoint]`.
    pub checkpoint: CheckpointRecipe,
    /// `[evaluation]`.
    pub evaluation: EvaluationRecipe,
    /// `[sample]`.
    pub sample: SampleRecipe,
    /// The recipe as TOML, overrides included.
    pub text: String,
}

impl Recipe {
    /// Reads a recipe, after setting each of `overrides` (`optimizer.lr=1e-4`).
    ///
    /// # Errors
    /// What is wrong with which field.
    pub fn parse(text: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut table: Table = text.parse().map_err(|e: toml::de::Error| RecipeError::Syntax(e.to_string()))?;
        for assignment in overrides {
            edit::set(&mut table, assignment)?;
        }
        let text = table.to_string();
        let mut top = Section::top(&table);
        let name: String = top.required("name")?;
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.') {
            return Err(RecipeError::OutOfRange {
                field: "name".into(),
                found: format!("\"{name}\""),
                wanted: "a name for the run, without slashes".into(),
            });
        }
        let output = top.optional::<String>("output")?.map_or_else(|| PathBuf::from("runs").join(&name), PathBuf::from);
        let recipe = Self {
            seed: top.or("seed", 0)?,
            output,
            model: model(top.section("model")?)?,
            data: data(top.section("data")?)?,
            batch: batch(top.section("batch")?)?,
            schedule: schedule(top.section("schedule")?)?,
            optimizer: optimizer(top.section("optimizer")?)?,
            z_loss: top.number("z_loss", 0.0, 0.0..=1.0, "from 0 to 1")? as f32,
            guard: guard(top.section("guard")?)?,
            checkpoint: checkpoint(top.section("checkpoint")?)?,
            evaluation: evaluation(top.section("evaluation")?)?,
            sample: sample(top.section("sample")?)?,
            name,
            text,
        };
        top.finish()?;
        recipe.check()
    }

    fn check(self) -> Result<Self, RecipeError> {
        let conflict = |text: &str| Err(RecipeError::Conflict(text.to_owned()));
        if self.data.sources.is_empty() == self.data.train.is_empty() {
            return conflict(
                "`data` needs either `train` (folders of token shards) or `sources` (texts), and not both",
            );
        }
        if !self.data.sources.is_empty() && !self.data.held_out.is_empty() {
            return conflict(
                "with `data.sources` held-out text is cut off by `data.held_out_fraction`, not `data.held_out`",
            );
        }
        let none_held_out = self.data.held_out.is_empty() && self.data.held_out_fraction == 0.0;
        if none_held_out && (self.evaluation.every > 0 || self.checkpoint.keep_best) {
            return conflict(
                "`evaluation.every` and `checkpoint.keep_best` need held-out data: set `data.held_out`, or turn them off",
            );
        }
        if self.sample.every > 0 && self.sample.prompts.is_empty() {
            return conflict("`sample.every` needs `sample.prompts`");
        }
        if self.guard.policy == Policy::RollBack && self.checkpoint.every == 0 {
            return conflict("`guard.policy = \"roll-back\"` needs `checkpoint.every`");
        }
        Ok(self)
    }

    /// The fields that decide what a run computes, without those that may change when it is resumed: where it lies,
    /// how often it is looked at, and how its work is cut into pieces.
    pub fn essence(&self) -> Result<String, RecipeError> {
        let mut table: Table = self.text.parse().map_err(|e: toml::de::Error| RecipeError::Syntax(e.to_string()))?;
        for key in ["name", "output", "sample"] {
            table.remove(key);
        }
        for (section, key) in [
            ("batch", "micro"),
            ("model", "recompute"),
            ("optimizer", "shard"),
            ("checkpoint", "keep"),
            ("checkpoint", "background"),
        ] {
            if let Some(Value::Table(inner)) = table.get_mut(section) {
                inner.remove(key);
                if inner.is_empty() {
                    table.remove(section);
                }
            }
        }
        Ok(table.to_string())
    }
}

fn model(mut s: Section<'_>) -> Result<ModelRecipe, RecipeError> {
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
        dropout: s.number("dropout", 0.0, 0.0..1.0, "from 0 to below 1")? as f32,
        recompute: s.or("recompute", false)?,
    };
    s.finish()?;
    Ok(recipe)
}

fn data(mut s: Section<'_>) -> Result<DataRecipe, RecipeError> {
    let recipe = DataRecipe {
        train: parts(&mut s)?,
        held_out: s.or::<Vec<String>>("held_out", Vec::new())?.into_iter().map(PathBuf::from).collect(),
        sources: s.or("sources", Vec::new())?,
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

fn batch(mut s: Section<'_>) -> Result<BatchRecipe, RecipeError> {
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

fn schedule(mut s: Section<'_>) -> Result<Schedule, RecipeError> {
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
    let steps = s.required("steps")?;
    let schedule = Schedule {
        shape,
        steps,
        warmup: s.or("warmup", 0)?,
        decay: s.or("decay", steps / 5)?,
        floor: s.number("floor", 0.1, 0.0..=1.0, "from 0 to 1: a share of the peak")?,
    };
    s.finish()?;
    if steps == 0 || schedule.warmup >= steps {
        return Err(RecipeError::Conflict(format!(
            "`schedule.steps` is {steps}, which must be more than the {} of `schedule.warmup`",
            schedule.warmup
        )));
    }
    if schedule.shape == Shape::StableThenDecay && schedule.decay + schedule.warmup > steps {
        return Err(RecipeError::Conflict(format!(
            "`schedule.warmup` ({}) and `schedule.decay` ({}) are longer than the {steps} steps together",
            schedule.warmup, schedule.decay
        )));
    }
    Ok(schedule)
}

fn optimizer(mut s: Section<'_>) -> Result<OptimizerRecipe, RecipeError> {
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

fn guard(mut s: Section<'_>) -> Result<Guard, RecipeError> {
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

fn checkpoint(mut s: Section<'_>) -> Result<CheckpointRecipe, RecipeError> {
    let recipe = CheckpointRecipe {
        every: s.or("every", 1000)?,
        keep: s.count("keep", 2, 1)?,
        keep_best: s.or("keep_best", false)?,
        background: s.or("background", true)?,
    };
    s.finish()?;
    Ok(recipe)
}

fn evaluation(mut s: Section<'_>) -> Result<EvaluationRecipe, RecipeError> {
    let recipe = EvaluationRecipe { every: s.or("every", 0)?, sequences: s.or("sequences", 0)? };
    s.finish()?;
    Ok(recipe)
}

fn sample(mut s: Section<'_>) -> Result<SampleRecipe, RecipeError> {
    let recipe = SampleRecipe {
        every: s.or("every", 0)?,
        prompts: s.or("prompts", Vec::new())?,
        tokens: s.count("tokens", 64, 1)? as usize,
        temperature: s.number("temperature", 0.8, 0.0..=10.0, "from 0 to 10")? as f32,
    };
    s.finish()?;
    Ok(recipe)
}

#[cfg(test)]
mod tests;
