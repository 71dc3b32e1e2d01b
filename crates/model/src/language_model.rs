//! The door of this crate: a model that appends tokens to sequences and answers with logits.
//!
//! [`crate::Decoder`] implements [`LanguageModel`] for any device; the engine holds it as a trait object, and tests
//! of the engine bring a model of their own with known answers.

use std::fmt;

use gptneo_device::{CacheType, DType, DeviceError};

use crate::adapter::{Adapter, AdapterError};
use crate::classifier::Classifier;
use crate::family::Family;
use crate::probe::Probe;

/// Names one sequence held by a model: the tokens it has seen and their keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SequenceId(u32);

impl SequenceId {
    /// The sequence in slot `index`. Only a model hands these out.
    pub fn new(index: u32) -> Self {
        Self(index)
    }

    /// The slot.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Names an adapter held by a model; no two adapters of a model ever have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdapterId(u32);

impl AdapterId {
    /// The adapter that was added as number `index`. Only a model hands these out.
    pub fn new(index: u32) -> Self {
        Self(index)
    }
}

impl fmt::Display for AdapterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// What is appended to a sequence.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Token ids, `[T]`.
    Tokens(&'a [u32]),
    /// Embeddings in place of ids, `[T, C]`; position embeddings are still added.
    Embeddings(&'a [f32]),
}

/// After which of the appended tokens logits are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// None: the tokens only fill the cache.
    Nothing,
    /// The last.
    Last,
    /// So many at the end.
    Tail(usize),
    /// Every one.
    All,
}

impl Want {
    /// After how many tokens at the end of a run of `len` logits are wanted.
    pub fn rows(self, len: usize) -> usize {
        match self {
            Want::Nothing => 0,
            Want::Last => len.min(1),
            Want::Tail(rows) => len.min(rows),
            Want::All => len,
        }
    }
}

/// Tokens appended to one sequence in one step.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// Which sequence; at most one run each in a step.
    pub sequence: SequenceId,
    /// What is appended.
    pub input: Input<'a>,
    /// Which logits are wanted.
    pub want: Want,
}

impl<'a> Run<'a> {
    /// Appends `tokens`.
    pub fn tokens(sequence: SequenceId, tokens: &'a [u32], want: Want) -> Self {
        Self { sequence, input: Input::Tokens(tokens), want }
    }
}

/// What a model is, for reports and for plans.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Architecture.
    pub family: Family,
    /// V: rows of the embedding, and of a language model's output matrix; the tokenizer may know fewer.
    pub vocab: usize,
    /// What the logits tell in place of the next token, where they do.
    pub classifier: Option<Classifier>,
    /// Longest sequence, in tokens.
    pub positions: usize,
    /// L.
    pub layers: usize,
    /// C.
    pub width: usize,
    /// H.
    pub heads: usize,
    /// Width inside the MLP.
    pub inner: usize,
    /// Trained numbers, tied ones once.
    pub parameters: u64,
    /// Beginning-of-sequence token, from the configuration.
    pub bos: Option<u32>,
    /// End-of-sequence token, from the configuration.
    pub eos: Option<u32>,
    /// Type of the layers' matrices.
    pub weights: DType,
    /// Type of the output matrix.
    pub output: DType,
    /// Type of cached keys.
    pub key: CacheType,
    /// Type of cached values.
    pub value: CacheType,
}

/// What went wrong in a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A sequence would grow past the last position the model has.
    #[error("{held} tokens held and {added} more make {}, but the model's context ends at {limit}", held + added)]
    PastLastPosition {
        /// Tokens in the sequence.
        held: usize,
        /// Tokens to be appended.
        added: usize,
        /// The model's limit.
        limit: usize,
    },
    /// An id that is no row of the embedding.
    #[error("token id {id} is outside the model's vocabulary of {vocab} (ids 0 to {})", vocab - 1)]
    UnknownToken {
        /// The id.
        id: u32,
        /// V.
        vocab: usize,
    },
    /// Embeddings whose length is not a multiple of C.
    #[error("{len} embedding values do not fill rows of {width}")]
    RaggedEmbeddings {
        /// Values given.
        len: usize,
        /// C.
        width: usize,
    },
    /// No pages left.
    #[error("the key-value cache is full: {wanted} pages of {page} positions wanted, {free} free")]
    CacheFull {
        /// Pages wanted.
        wanted: usize,
        /// Pages free.
        free: usize,
        /// Positions in a page.
        page: usize,
    },
    /// The handle was closed, or never opened.
    #[error("sequence {0} is not open")]
    UnknownSequence(SequenceId),
    /// One sequence appears twice in a step.
    #[error("sequence {0} appears twice in one step")]
    RepeatedSequence(SequenceId),
    /// The cut lies past the end, or before what a local layer still holds.
    #[error("a sequence of {held} tokens cannot be cut at {wanted}: {why}")]
    BadCut {
        /// Tokens in the sequence.
        held: usize,
        /// Where the cut was asked for.
        wanted: usize,
        /// Why not.
        why: &'static str,
    },
    /// The adapter was removed, or never added.
    #[error("the model holds no adapter {0}")]
    UnknownAdapter(AdapterId),
    /// The adapter cannot be removed.
    #[error("adapter {adapter} belongs to {sequences} open sequence(s): close them before it is removed")]
    AdapterInUse {
        /// Which.
        adapter: AdapterId,
        /// How many have it.
        sequences: usize,
    },
    /// The adapter does not fit the model.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// A classifier where the next token is asked for.
    #[error("the model is a classifier: it tells labels of a text, and no next token")]
    Classifier,
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// A model that appends tokens to sequences and answers with logits.
///
/// The logits of a token depend on its sequence, and the adapter that it was opened with, alone: not on what else is in the step, nor on how its tokens were cut
/// into steps (bit for bit, on a CPU).
pub trait LanguageModel: Send {
    /// What the model is.
    fn spec(&self) -> &Spec;

    /// Opens an empty sequence.
    fn open(&mut self) -> SequenceId;

    /// Takes an adapter in, for sequences that are opened with it.
    ///
    /// # Errors
    /// If it was made for matrices of other shapes, or there is no room for it.
    fn add_adapter(&mut self, adapter: &Adapter) -> Result<AdapterId, ModelError>;

    /// Forgets an adapter.
    ///
    /// # Errors
    /// If an open sequence has it.
    fn remove_adapter(&mut self, adapter: AdapterId) -> Result<(), ModelError>;

    /// Opens an empty sequence whose every token passes the adapter; its forks have it too.
    ///
    /// # Errors
    /// If the model holds no such adapter.
    fn open_adapted(&mut self, adapter: AdapterId) -> Result<SequenceId, ModelError>;

    /// Tokens in the sequence.
    fn len(&self, sequence: SequenceId) -> Result<usize, ModelError>;

    /// Opens a sequence that begins with the first `len` tokens of another, sharing their pages.
    fn fork(&mut self, sequence: SequenceId, len: usize) -> Result<SequenceId, ModelError>;

    /// Drops all but the first `len` tokens. Local layers hold at least [`gptneo_device::PAGE`] positions more than
    /// their window, so cutting back by so many always works.
    fn truncate(&mut self, sequence: SequenceId, len: usize) -> Result<(), ModelError>;

    /// Whether [`LanguageModel::fork`] and [`LanguageModel::truncate`] can cut here.
    fn can_cut(&self, sequence: SequenceId, len: usize) -> bool;

    /// Closes the sequence and frees its pages. Closing a closed sequence does nothing.
    fn close(&mut self, sequence: SequenceId);

    /// Whether the cache has room to append so many tokens to each of these sequences (`None`: a new one) at once.
    fn fits(&self, growth: &[(Option<SequenceId>, usize)]) -> bool;

    /// Pages of the cache in use, and all there are.
    fn cache_pages(&self) -> (usize, usize);

    /// Appends every run, and writes the wanted logits to `logits: [wanted, V]`, in the order of the runs; of a classifier
    /// (see [`Spec::classifier`]) they are `[wanted, labels]`.
    ///
    /// # Errors
    /// Before anything is changed: no sequence has grown.
    fn forward(&mut self, runs: &[Run<'_>], logits: &mut Vec<f32>) -> Result<(), ModelError>;

    /// As [`LanguageModel::forward`], with every named activation shown to `probe`, which may change it.
    fn forward_probed(
        &mut self,
        runs: &[Run<'_>],
        logits: &mut Vec<f32>,
        probe: &mut dyn Probe,
    ) -> Result<(), ModelError>;

    /// Bytes of weights and cache that decoding one token after `context` others must read.
    fn token_bytes(&self, context: usize) -> u64;

    /// Operations (a multiply and an add are two) that one token after `context` others needs; `logits`: with its
    /// logits. Without them the last layer has only its key and value to make.
    fn token_operations(&self, context: usize, logits: bool) -> u64;

    /// Bytes held by weights.
    fn weight_bytes(&self) -> u64;
}
