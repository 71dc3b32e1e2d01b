//! What can be wrong with an evaluation.

use std::path::PathBuf;

use gptneo_engine::EngineError;
use gptneo_text::TextError;

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
    /// A measurement that has no meaning for the models that are measured here.
    #[error("`{name}` cannot be measured: {why}")]
    Refused {
        /// Its name.
        name: String,
        /// Why, and what to take instead.
        why: String,
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
    /// A lexicon that cannot be used.
    #[error("{}, line {line}: {why}", path.display())]
    Lexicon {
        /// Which.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// What is wrong, and what to do.
        why: String,
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
    /// A sentence that the model cannot see whole.
    #[error(
        "the sentence that begins with {text:?} takes {tokens} tokens with what goes before it, and the model can score {most}; a sentence that were cut \
         would have another score: take a model with a longer context"
    )]
    TooLong {
        /// The beginning of the sentence.
        text: String,
        /// Tokens, its context among them.
        tokens: usize,
        /// The most.
        most: usize,
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
    /// A file of predictions, or of what is right, that cannot be used.
    #[error("{}: {why}", path.display())]
    Predictions {
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
    /// Token shards that cannot be read, or text that tokens cannot be turned into.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Token shards that are not what is wanted.
    #[error("{}: {why}", folder.display())]
    Shards {
        /// Where they lie.
        folder: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A setting that does not go with the model or with the data.
    #[error("{why}")]
    Setting {
        /// What is wrong, and what to do.
        why: String,
    },
    /// The model.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Called off.
    #[error("interrupted: what was answered is kept, and the same command goes on from there")]
    Interrupted,
    /// Called off, and nothing was kept.
    #[error("interrupted")]
    Stopped,
}

fn suggested(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; near are {}", names.join(", ")) }
}
