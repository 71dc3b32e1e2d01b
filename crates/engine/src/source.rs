//! From a model's name to an engine.
//!
//! A name is a directory in Hugging Face layout, a `.gguf` file, an id of the hub (`OWNER/NAME`, from the cache or else
//! downloaded), or `random:SHAPE`. Text works where a tokenizer lies beside the weights, or in the GGUF file; ids
//! always do.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptneo_checkpoint::gguf::Metadata;
use gptneo_device::Device;
use gptneo_hub::{Hub, HubError, ModelId, PullOptions};
use gptneo_model::{Config, Fallback, LoadError, LoadOptions, Progress, RandomSource, TensorSource, load, shapes};
use gptneo_text::{GgufTokenizer, TextError, Tokenizer};

use crate::engine::Engine;
use crate::rail::Rail;
use crate::scheduler::SchedulerOptions;

/// Random weights are the same everywhere.
const RANDOM_SEED: u64 = 0;

/// Where a model is.
#[derive(Clone, Debug)]
pub enum ModelName {
    /// A directory or a file.
    Path(PathBuf),
    /// At the hub, or in its cache.
    Hub(ModelId),
    /// Nowhere: random weights of this shape, for benchmarks.
    Random(Box<Config>),
}

/// A model that cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The embedded model.
    #[error(
        "the model `pocket` is built into the program gptneo, and into it alone: name a directory, a .gguf file, a hub id such \
         as EleutherAI/gpt-neo-125m, or random:gpt-neo-125m"
    )]
    NoPocket,
    /// It looks like a path, but nothing is there.
    #[error("there is no file or directory {}", .0.display())]
    NoSuchPath(PathBuf),
    /// Not a shape that is known.
    #[error("there is no shape named `{name}`: use one of {known}")]
    UnknownShape {
        /// The name.
        name: String,
        /// All there are.
        known: String,
    },
    /// The hub.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The weights.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The tokenizer.
    #[error("the tokenizer of {} cannot be used: {error}", path.display())]
    Tokenizer {
        /// The directory or file.
        path: PathBuf,
        /// Why not.
        error: TextError,
    },
}

impl ModelName {
    /// Reads a name. What exists on disk is that; `random:` is a shape; what looks like a path must exist; the rest is
    /// an id of the hub.
    ///
    /// # Errors
    /// A path that does not exist, an unknown shape, no valid id.
    pub fn parse(name: &str) -> Result<Self, SourceError> {
        if let Some(shape) = name.strip_prefix("random:") {
            let unknown = || SourceError::UnknownShape {
                name: shape.to_owned(),
                known: shapes::names().collect::<Vec<_>>().join(", "),
            };
            return shapes::config(shape).map(|config| Self::Random(Box::new(config))).ok_or_else(unknown);
        }
        let path = Path::new(name);
        if !name.is_empty() && path.exists() {
            return Ok(Self::Path(path.to_owned()));
        }
        if name == "pocket" {
            return Err(SourceError::NoPocket);
        }
        let file = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")) && !name.contains(':');
        if file || name.starts_with(['.', '/', '~']) || name.matches('/').count() > 1 {
            return Err(SourceError::NoSuchPath(path.to_owned()));
        }
        Ok(Self::Hub(name.parse()?))
    }
}

/// How a model is opened.
pub struct Opening<'a> {
    /// Asked for models that are named by an id.
    pub hub: &'a Hub,
    /// Storage and cache.
    pub load: LoadOptions,
    /// Rails that every request passes.
    pub rails: Vec<Arc<dyn Rail>>,
    /// How much is done at once.
    pub scheduler: SchedulerOptions,
    /// Told of downloads.
    pub pulling: &'a dyn gptneo_hub::Progress,
    /// Told of loading.
    pub loading: &'a mut dyn FnMut(Progress),
}

/// An engine, and what had to be done differently.
pub struct Opened {
    /// The engine.
    pub engine: Engine,
    /// Tensors that could not have the type asked for.
    pub fallbacks: Vec<Fallback>,
}

/// Finds a model, downloading it if it must, and loads it onto `device`, with its tokenizer if it has one.
///
/// # Errors
/// Whatever keeps the model, or a tokenizer that is there but broken, from being used.
pub fn open<D: Device>(device: D, name: &ModelName, opening: Opening<'_>) -> Result<Opened, SourceError> {
    let path = match name {
        ModelName::Path(path) => path.clone(),
        ModelName::Hub(id) => opening.hub.open(id, &PullOptions::default(), opening.pulling)?,
        ModelName::Random(config) => {
            let source = RandomSource::new(config.as_ref().clone(), RANDOM_SEED);
            return finish(device, &source, None, opening);
        }
    };
    let source = gptneo_model::open(&path)?;
    let tokenizer = match source.checkpoint().gguf() {
        Some(metadata) => gguf_tokenizer(metadata),
        None => beside(&path),
    };
    let tokenizer = tokenizer.map_err(|error| SourceError::Tokenizer { path: path.clone(), error })?;
    finish(device, &source, tokenizer, opening)
}

fn finish<D: Device>(
    device: D,
    source: &dyn TensorSource,
    tokenizer: Option<Tokenizer>,
    opening: Opening<'_>,
) -> Result<Opened, SourceError> {
    let loaded = load(device, source, &opening.load, opening.loading)?;
    let engine = Engine::with_rails(Box::new(loaded.decoder), tokenizer, opening.rails, opening.scheduler);
    Ok(Opened { engine, fallbacks: loaded.fallbacks })
}

/// The tokenizer in a model's directory, if there is one.
fn beside(path: &Path) -> Result<Option<Tokenizer>, TextError> {
    let folder = if path.is_dir() { Some(path) } else { path.parent() };
    match folder.map(Tokenizer::open) {
        Some(Ok(tokenizer)) => Ok(Some(tokenizer)),
        Some(Err(TextError::NoTokenizer { .. })) | None => Ok(None),
        Some(Err(error)) => Err(error),
    }
}

/// The tokenizer in the keys of a GGUF file, if there is one.
///
/// # Errors
/// If there is one that cannot be used.
pub fn gguf_tokenizer(metadata: &Metadata) -> Result<Option<Tokenizer>, TextError> {
    let keys = (metadata.str("tokenizer.ggml.model"), metadata.strings("tokenizer.ggml.tokens"));
    let (Some(model), Some(tokens)) = keys else { return Ok(None) };
    let types = metadata.i64s("tokenizer.ggml.token_type");
    let types: Option<Vec<i32>> =
        types.map(|types| types.into_iter().map(|kind| i32::try_from(kind).unwrap_or(i32::MAX)).collect());
    let id =
        |role: &str| metadata.u64(&format!("tokenizer.ggml.{role}_token_id")).and_then(|id| u32::try_from(id).ok());
    let parts = GgufTokenizer {
        model,
        pre: metadata.str("tokenizer.ggml.pre"),
        tokens,
        merges: metadata.strings("tokenizer.ggml.merges").unwrap_or_default(),
        token_types: types.as_deref(),
        bos: id("bos"),
        eos: id("eos"),
        unk: id("unknown"),
        add_space_prefix: metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(false),
        chat_template: metadata.str("tokenizer.chat_template"),
    };
    Tokenizer::from_gguf(&parts).map(Some)
}
