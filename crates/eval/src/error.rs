//! What can be wrong with an evaluation.

use std::path::PathBuf;

use gptneo_engine::EngineError;

use crate::data::DataError;
use crate::judges::Judge;

/// Why an evaluation, or a part of it, cannot be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// No task of that name.
    #[error("there is no task, group or tag `{name}`{}", suggested(near))]
    UnknownTask {
        /// The name.
        name: String,
        /// Names that are like it.
        near: Vec<String>,
    },
    /// A definition that cannot be used.
    #[error("{file}, line {line}: {why}")]
    Definition {
        /// Which.
        file: String,
        /// From 1.
        line: usize,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A name that two definitions have.
    #[error("`{name}` is defined twice: in {first} and in {second}")]
    DefinedTwice {
        /// The name.
        name: String,
        /// Where.
        first: String,
        /// And where.
        second: String,
    },
    /// A group that holds itself.
    #[error("the group `{name}` holds itself")]
    Circular {
        /// Which.
        name: String,
    },
    /// The data.
    #[error("task `{task}`: {error}")]
    Data {
        /// Whose.
        task: String,
        /// What is wrong.
        #[source]
        error: DataError,
    },
    /// A task whose scores somebody must give, and nobody is there.
    #[error("task `{task}` needs a judge of {}, and none is chosen", judge.name())]
    NoJudge {
        /// Whose.
        task: String,
        /// Of what.
        judge: Judge,
    },
    /// A document that the definition does not fit.
    #[error("task `{task}`, document {document} of {split}: {why}")]
    Document {
        /// Whose.
        task: String,
        /// The split.
        split: String,
        /// From 0.
        document: usize,
        /// What is wrong.
        why: String,
    },
    /// A task with settings that do not fit it.
    #[error("task `{task}`: {why}")]
    Task {
        /// Which.
        task: String,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A model without a tokenizer.
    #[error("the model has no tokenizer, and tasks are text: name a model that has one")]
    NoTokenizer,
    /// Text that cannot be encoded.
    #[error("a text cannot be encoded: {0}")]
    Encoding(String),
    /// Neither BOS nor EOS.
    #[error("the model names no beginning-of-sequence token for a text to follow")]
    NoBeginning,
    /// A continuation without tokens.
    #[error("the continuation {text:?} has no tokens to score")]
    NoTokens {
        /// The continuation.
        text: String,
    },
    /// No room for a prompt.
    #[error(
        "{wanted} tokens are to be generated, and the model's context of {positions} leaves no room for a prompt: ask \
         for fewer with --gen-kwargs max_gen_toks=N"
    )]
    NoRoom {
        /// Tokens to be generated.
        wanted: usize,
        /// The context.
        positions: usize,
    },
    /// The file of answers.
    #[error("{}: {why}", path.display())]
    Cache {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A result that cannot be read.
    #[error("{}: {why}", path.display())]
    Results {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A model of which nothing published is known.
    #[error("no published scores of `{id}` are known here; there are some of {}", known.join(", "))]
    NotPublished {
        /// Which.
        id: String,
        /// Those of which some are.
        known: Vec<&'static str>,
    },
    /// A file.
    #[error("{}: {why}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// The model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Called off.
    #[error("interrupted: what was answered is kept, and the same command goes on from there")]
    Interrupted,
}

fn suggested(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; near are {}", names.join(", ")) }
}
