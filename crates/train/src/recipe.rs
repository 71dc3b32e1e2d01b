//! The recipe of a run: a TOML file whose every field is a field here, and nothing else.
//!
//! Text becomes a table, overrides edit the table, and [`Recipe`] is read from it key by key: an unknown field is an
//! error that names the nearest known one. `recipes/README.md` describes the fields for people; a test holds it
//! complete.

mod edit;
mod eval;
mod read;
mod section;

use std::path::PathBuf;

use gptneo_text::shards::Amount;
use toml::{Table, Value};

use crate::batch::Ramp;
use crate::guard::{Guard, Policy};
use crate::schedule::{Schedule, Shape};
pub use eval::EvalRecipe;
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
    /// `labels` of a classifier that is made of the model; none for a language model.
    pub labels: Vec<String>,
    /// `dropout` of embedding, attention and residual.
    pub dropout: f32,
    /// `recompute`: keep only the input of each layer, and compute the rest again on the way back.
    pub recompute: bool,
}

/// `[adapter]`: low-rank adapters to train (LoRA: Hu et al., 2021), the model itself frozen.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterRecipe {
    /// `rank`.
    pub rank: usize,
    /// `alpha`: the scale's numerator.
    pub alpha: f32,
    /// `rank_stabilised`: scale by `alpha / sqrt(rank)` (Kalajdzievski, 2023) in place of `alpha / rank`.
    pub rank_stabilised: bool,
    /// `dropout` of what the adapters read.
    pub dropout: f32,
    /// `targets`: matrices by PEFT's names, or `all-linear`.
    pub targets: Vec<String>,
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
    /// `examples`: lines of JSON with prompts and responses, conversations or texts, in place of `train` or `sources`.
    pub examples: Vec<String>,
    /// `template`: the form of conversations: a name, `model` for the tokenizer's own, or a file.
    pub template: Option<String>,
    /// `held_out_fraction` of the documents of `sources`, or of `examples`.
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

/// A schedule that is counted in passes over the data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochsRecipe {
    /// `epochs`.
    pub epochs: f64,
    /// `warmup`, in steps.
    pub warmup: Option<u64>,
    /// `warmup_ratio`, of the steps.
    pub warmup_ratio: f64,
    /// `decay`, in steps.
    pub decay: Option<u64>,
}

impl EpochsRecipe {
    /// `schedule` with so many steps.
    fn schedule(&self, schedule: Schedule, steps: u64) -> Result<Schedule, RecipeError> {
        let warmup = self.warmup.unwrap_or((self.warmup_ratio * steps as f64).round() as u64);
        let schedule = Schedule { steps, warmup, decay: self.decay.unwrap_or(steps / 5), ..schedule };
        if steps == 0 || schedule.warmup >= steps {
            return Err(RecipeError::Conflict(format!(
                "the run has {steps} steps, which must be more than the {warmup} of its warm-up: change `schedule`"
            )));
        }
        if schedule.shape == Shape::StableThenDecay && schedule.decay + schedule.warmup > steps {
            return Err(RecipeError::Conflict(format!(
                "warm-up ({warmup}) and decay ({}) are longer than the {steps} steps together: change `schedule`",
                schedule.decay
            )));
        }
        Ok(schedule)
    }
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
    /// `at_start`: also before the first step.
    pub at_start: bool,
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
    /// `[adapter]`: what is trained in place of the model's own weights.
    pub adapter: Option<AdapterRecipe>,
    /// `[data]`.
    pub data: DataRecipe,
    /// `[batch]`.
    pub batch: BatchRecipe,
    /// `[schedule]`. Without steps while `epochs` has not been counted.
    pub schedule: Schedule,
    /// `schedule.epochs`, until [`Recipe::count_steps`] has made steps of it.
    pub epochs: Option<EpochsRecipe>,
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
    /// `[eval]`.
    pub eval: EvalRecipe,
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
        let (schedule, epochs) = read::schedule(top.section("schedule")?)?;
        let recipe = Self {
            seed: top.or("seed", 0)?,
            output,
            model: read::model(top.section("model")?)?,
            adapter: read::adapter(&mut top)?,
            data: read::data(top.section("data")?)?,
            batch: read::batch(top.section("batch")?)?,
            schedule,
            epochs,
            optimizer: read::optimizer(top.section("optimizer")?)?,
            z_loss: top.number("z_loss", 0.0, 0.0..=1.0, "from 0 to 1")? as f32,
            guard: read::guard(top.section("guard")?)?,
            checkpoint: read::checkpoint(top.section("checkpoint")?)?,
            evaluation: read::evaluation(top.section("evaluation")?)?,
            eval: eval::eval(top.section("eval")?)?,
            sample: read::sample(top.section("sample")?)?,
            name,
            text,
        };
        top.finish()?;
        recipe.check()
    }

    fn check(self) -> Result<Self, RecipeError> {
        let conflict = |text: &str| Err(RecipeError::Conflict(text.to_owned()));
        let DataRecipe { train, sources, examples, held_out, template, held_out_fraction, .. } = &self.data;
        let given = [train.is_empty(), sources.is_empty(), examples.is_empty()].iter().filter(|empty| !**empty).count();
        if given != 1 {
            return conflict(
                "`data` needs exactly one of `train` (folders of token shards), `sources` (texts) and `examples` (prompts and responses)",
            );
        }
        if train.is_empty() && !held_out.is_empty() {
            return conflict(
                "with `data.sources` or `data.examples`, held-out text is cut off by `data.held_out_fraction`, not `data.held_out`",
            );
        }
        if !train.is_empty() && *held_out_fraction > 0.0 {
            return conflict(
                "`data.held_out_fraction` is of `sources` or `examples`; shards name their own in `data.held_out`",
            );
        }
        if template.is_some() && examples.is_empty() {
            return conflict("`data.template` is the form of `data.examples`, and there are none");
        }
        if self.adapter.is_some() && !matches!(self.model.start, Start::Weights(_)) {
            return conflict("`adapter` needs `model.from`: adapters stand beside the weights of a trained model");
        }
        if !self.model.labels.is_empty() {
            if examples.is_empty() || !matches!(self.model.start, Start::Weights(_)) {
                return conflict("`model.labels` needs `model.from` and `data.examples` with a `label` in each line");
            }
            if self.sample.every > 0 {
                return conflict("a classifier writes no text: leave `sample.every` out");
            }
        }
        if self.epochs.is_some() && self.batch.ramp.is_some() {
            return conflict("`schedule.epochs` cannot be counted while the batch grows: give `schedule.steps`");
        }
        let none_held_out = self.data.held_out.is_empty() && self.data.held_out_fraction == 0.0;
        if none_held_out && (self.evaluation.every > 0 || self.evaluation.at_start || self.checkpoint.keep_best) {
            return conflict(
                "`evaluation` and `checkpoint.keep_best` need held-out data: set `data.held_out` or `data.held_out_fraction`, or turn them off",
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

    /// Makes steps of epochs, if the schedule is counted in them; `pass` is how many sequences one pass over the data has.
    ///
    /// # Errors
    /// If it is not known how long a pass is, or there are no more steps than the warm-up has.
    pub fn count_steps(&mut self, pass: Option<u64>) -> Result<(), RecipeError> {
        let Some(epochs) = self.epochs else { return Ok(()) };
        let Some(pass) = pass else {
            return Err(RecipeError::Conflict(
                "`schedule.epochs` cannot be counted over parts with weights: give `schedule.steps`".into(),
            ));
        };
        let steps = (epochs.epochs * pass as f64 / self.batch.sequences as f64).ceil() as u64;
        self.schedule = epochs.schedule(self.schedule, steps)?;
        self.epochs = None;
        Ok(())
    }

    /// The fields that decide what a run computes, without those that may change when it is resumed: where it lies,
    /// how often it is looked at, and how its work is cut into pieces.
    pub fn essence(&self) -> Result<String, RecipeError> {
        let mut table: Table = self.text.parse().map_err(|e: toml::de::Error| RecipeError::Syntax(e.to_string()))?;
        for key in ["name", "output", "eval", "sample"] {
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

    /// Whether a run of the recipe with the essence `saved`, `done` steps old, can go on by this one. Everything must be the same,
    /// but that the schedule may have another end: the rates of the steps done must be what this one would have made them.
    ///
    /// # Errors
    /// If `saved` is no recipe's essence.
    pub fn continues(&self, saved: &str, done: u64) -> Result<bool, RecipeError> {
        let essence = self.essence()?;
        if essence == saved {
            return Ok(true);
        }
        let table = |text: &str| text.parse::<Table>().map_err(|e| RecipeError::Syntax(e.to_string()));
        let (mut saved, mut given) = (table(saved)?, table(&essence)?);
        let (then, epochs) = read::schedule(Section::top(&saved).section("schedule")?)?;
        saved.remove("schedule");
        given.remove("schedule");
        let as_it_was = |step| then.factor(step) == self.schedule.factor(step);
        Ok(saved == given && epochs.is_none() && self.epochs.is_none() && (0..done).all(as_it_was))
    }
}

#[cfg(test)]
mod tests;
