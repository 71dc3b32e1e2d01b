//! What can go wrong, and what to do about it.

use std::sync::Arc;

use gptneo_model::ModelError;

/// A request that cannot be served as it stands.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A field outside its range.
    #[error("`{field}` is {value}, but must be {allowed}")]
    OutOfRange {
        /// Which field.
        field: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        allowed: &'static str,
    },
    /// A field names an id that the model does not have.
    #[error("`{field}` names token id {id}, but the model's ids are 0 to {}", vocab.saturating_sub(1))]
    UnknownToken {
        /// Which field.
        field: &'static str,
        /// The id.
        id: u32,
        /// V.
        vocab: usize,
    },
    /// Two fields that cannot be had together.
    #[error("`{field}` does not go with `{with}`: {why}")]
    Conflict {
        /// One field.
        field: &'static str,
        /// The other.
        with: &'static str,
        /// Why, and what to do.
        why: &'static str,
    },
    /// Text of a classifier.
    #[error("the model is a classifier: it tells labels of a text, and writes none")]
    Classifier,
    /// No room for the prompt and one more token.
    #[error(
        "the prompt has {prompt} tokens, but the model's context ends at {positions} and generating takes at least one \
         more: shorten the prompt by {} tokens",
        (prompt + 1).saturating_sub(*positions)
    )]
    PromptTooLong {
        /// Tokens in the prompt.
        prompt: usize,
        /// The model's limit.
        positions: usize,
    },
    /// An empty prompt, and no token to begin with.
    #[error("the prompt is empty, and the model names no beginning-of-sequence token to start from")]
    EmptyPrompt,
    /// Something needs text, but the model came without a tokenizer.
    #[error("{what} needs a tokenizer, and this model has none: give token ids, or a model with its tokenizer")]
    NoTokenizer {
        /// What needs it.
        what: &'static str,
    },
    /// The tokenizer could not encode the text.
    #[error("the prompt cannot be encoded: {0}")]
    Encoding(String),
    /// No adapter of this name.
    #[error("there is no adapter `{name}`; there are: {known}")]
    UnknownAdapter {
        /// The name.
        name: String,
        /// Those there are.
        known: String,
    },
    /// No draft model.
    #[error("speculation with a draft model was asked for, but the engine has none: load one, or use prompt lookup")]
    NoDraftModel,
    /// A form that is none, or too large.
    #[error("the {form} cannot be kept to: {why}")]
    Form {
        /// `JSON schema`, `grammar` or `regular expression`.
        form: &'static str,
        /// What is wrong, and where.
        why: String,
    },
    /// A rail refused the prompt.
    #[error("the prompt was refused by {rail}: {reason}")]
    Refused {
        /// Which rail.
        rail: String,
        /// Its reason.
        reason: String,
    },
    /// The queue is full.
    #[error("{waiting} requests are waiting already, which is the limit: try again later")]
    QueueFull {
        /// Requests waiting.
        waiting: usize,
    },
    /// It could never run: not even with the whole cache to itself.
    #[error(
        "the request needs room for {tokens} tokens at once, more than the whole key-value cache holds: shorten the \
         prompt, ask for fewer samples or beams, or give the cache more memory"
    )]
    TooLargeForCache {
        /// Tokens to be held at once.
        tokens: usize,
    },
}

/// Logits that no token can be chosen from.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// Not a number, or plus infinity.
    #[error("the model's logit of token {id} is {value}: the weights, or the type they were quantised to, are damaged")]
    NotFinite {
        /// The token.
        id: u32,
        /// NaN or plus infinity.
        value: f32,
    },
    /// Bias, rails, minimum length and form together forbid every token.
    #[error("no token is left to choose from: logit bias, rails, min_tokens and the form asked for forbid them all")]
    AllForbidden,
    /// No token of the tokenizer goes on with a text that is not yet one of the form.
    #[error("no token goes on in the form asked for: the tokenizer lacks what must follow")]
    NoWayOn,
    /// What may follow cannot be told.
    #[error("what may follow in the form asked for cannot be told: {why}")]
    Form {
        /// Why.
        why: String,
    },
}

/// What went wrong in the engine.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The logits.
    #[error(transparent)]
    Sampling(#[from] SamplingError),
    /// The model.
    #[error(transparent)]
    Model(Arc<ModelError>),
    /// What was to be scored.
    #[error(transparent)]
    Score(#[from] crate::score::ScoreError),
    /// The name of an adapter is in use.
    #[error("there is an adapter `{0}` already: remove it first, or give this one another name")]
    AdapterNameTaken(String),
    /// The adapter cannot be removed.
    #[error("adapter `{name}` serves {requests} request(s): let them end, or cancel them, before it is removed")]
    AdapterBusy {
        /// Its name.
        name: String,
        /// How many name it.
        requests: usize,
    },
    /// The draft model does not fit the model.
    #[error("the draft model cannot serve this model: {0}")]
    Draft(String),
}

impl From<ModelError> for EngineError {
    fn from(error: ModelError) -> Self {
        Self::Model(Arc::new(error))
    }
}
