//! From what `-m` names to tensors and a tokenizer: headers are read, nothing is loaded.

use std::io;
use std::path::{Path, PathBuf};

use gptneo_checkpoint::{Checkpoint, TensorInfo};
use gptneo_device::{Bytes, DType, Matrix};
use gptneo_engine::{ModelName, gguf_tokenizer};
use gptneo_hub::{ModelId, PullOptions};
use gptneo_model::family::Role;
use gptneo_model::{CheckpointSource, Config, LoadError, RandomSource, TensorSource};
use gptneo_text::{TextError, Tokenizer};

use crate::args::HubArgs;
use crate::environment::Environment;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::pocket;
use crate::pulling;
use crate::source::{self, Place};

/// What lies beside weights, and changes what a model says.
const BESIDE: [&str; 5] = ["config.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "vocab.json"];
/// Weights of random models are the same everywhere.
const RANDOM_SEED: u64 = 0;

/// A model whose headers were read and found sound.
#[derive(Debug)]
pub(crate) struct Opened {
    /// As the user named it.
    pub(crate) name: String,
    tensors: Tensors,
}

#[derive(Debug)]
enum Tensors {
    /// A checkpoint, and where it lies: nowhere but in this program, if it is the one that is built in.
    Checkpoint {
        path: Option<PathBuf>,
        source: Box<CheckpointSource>,
    },
    Random(RandomSource),
}

/// Finds a model, downloading it if it must, and reads its headers.
pub(crate) fn open(
    name: Option<&str>,
    hub: &HubArgs,
    environment: Environment,
    interrupt: &Interrupt,
) -> Result<Opened, Failure> {
    let tensors = match source::place(name, hub.revision.as_deref())? {
        Place::Pocket => Tensors::Checkpoint { path: None, source: Box::new(pocket::open()?) },
        Place::Named(ModelName::Path(path)) => checkpoint(path)?,
        Place::Named(ModelName::Hub(id)) => checkpoint(fetched(&id, hub, environment, interrupt)?)?,
        Place::Named(ModelName::Random(config)) => Tensors::Random(RandomSource::new(*config, RANDOM_SEED)),
    };
    Ok(Opened { name: name.unwrap_or(pocket::NAME).to_owned(), tensors })
}

/// Finds a model that is here already.
pub(crate) fn open_here(name: Option<&str>, environment: Environment) -> Result<Opened, Failure> {
    let hub = HubArgs { offline: true, ..HubArgs::default() };
    open(name, &hub, environment, &Interrupt::default())
}

/// The folder or file of a model of the hub, downloaded if it is not here.
fn fetched(id: &ModelId, hub: &HubArgs, environment: Environment, interrupt: &Interrupt) -> Result<PathBuf, Failure> {
    let _heeded = interrupt.heed();
    let options = PullOptions { cancel: Some(interrupt.flag()), ..PullOptions::default() };
    Ok(source::hub(hub, environment)?.open(id, &options, &pulling::Bars::new())?)
}

fn checkpoint(path: PathBuf) -> Result<Tensors, Failure> {
    let source = Box::new(gptneo_model::open(&path)?);
    Ok(Tensors::Checkpoint { path: Some(path), source })
}

impl Opened {
    /// The tensors.
    pub(crate) fn source(&self) -> &dyn TensorSource {
        match &self.tensors {
            Tensors::Checkpoint { source, .. } => source.as_ref(),
            Tensors::Random(source) => source,
        }
    }

    /// The architecture.
    pub(crate) fn config(&self) -> &Config {
        self.source().config()
    }

    /// Refuses a classifier where a language model is wanted.
    ///
    /// # Errors
    /// Exit code 2, and what a classifier is for.
    pub(crate) fn language_model(&self) -> Result<(), Failure> {
        match &self.config().classifier {
            None => Ok(()),
            Some(_) => Err(Failure::usage(format!(
                "{} is a classifier: it tells labels of a text, and writes none",
                self.name
            ))
            .hint(format!("gptneo score -m {} --text \"...\"", self.name))),
        }
    }

    /// Where it lies, if it lies anywhere.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.tensors {
            Tensors::Checkpoint { path, .. } => path.as_deref(),
            Tensors::Random(_) => None,
        }
    }

    /// The directory it lies in, if it lies anywhere.
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.path().map(folder)
    }

    /// Whether its weights are random.
    pub(crate) fn is_random(&self) -> bool {
        matches!(self.tensors, Tensors::Random(_))
    }

    /// The files it is read from: weights, configuration and tokenizer, by name.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let Tensors::Checkpoint { path: Some(path), source } = &self.tensors else { return Vec::new() };
        let checkpoint = source.checkpoint();
        let weights = checkpoint.tensors().iter().map(|tensor| checkpoint.path_of(tensor).to_owned());
        let beside = BESIDE.iter().map(|name| folder(path).join(name)).filter(|path| path.is_file());
        let mut files: Vec<PathBuf> = weights.chain(beside).collect();
        files.sort();
        files.dedup();
        files
    }

    /// Bytes of its weights on disk.
    pub(crate) fn stored_bytes(&self) -> Option<u64> {
        match &self.tensors {
            Tensors::Checkpoint { source, .. } => {
                let bytes = |t: &TensorInfo| t.dtype.bytes_for(t.shape.iter().product()).unwrap_or(0) as u64;
                Some(source.checkpoint().tensors().iter().map(bytes).sum())
            }
            Tensors::Random(_) => None,
        }
    }

    /// The tokenizer that came with it, if one did.
    ///
    /// # Errors
    /// If one did and is broken.
    pub(crate) fn tokenizer(&self) -> Result<Option<Tokenizer>, Failure> {
        let Tensors::Checkpoint { path, source } = &self.tensors else { return Ok(None) };
        match (source.checkpoint().gguf(), path) {
            (Some(metadata), _) => Ok(gguf_tokenizer(metadata)?),
            (None, None) => Ok(None),
            (None, Some(path)) => match Tokenizer::open(folder(path)) {
                Ok(tokenizer) => Ok(Some(tokenizer)),
                Err(TextError::NoTokenizer { .. }) => half_a_tokenizer(folder(path)).map_or(Ok(None), Err),
                Err(error) => Err(Failure::from(error).within(&folder(path).display().to_string())),
            },
        }
    }
}

/// The tokenizer of a model alone: there need be no weights.
///
/// # Errors
/// Also if there is none.
pub(crate) fn tokenizer(
    name: Option<&str>,
    hub: &HubArgs,
    environment: Environment,
    interrupt: &Interrupt,
) -> Result<Tokenizer, Failure> {
    let path = match source::place(name, hub.revision.as_deref())? {
        Place::Pocket => {
            let pocket = open(Some(pocket::NAME), hub, environment, interrupt)?;
            return pocket.tokenizer()?.ok_or_else(|| Failure::bad_file("the built-in model has no tokenizer"));
        }
        Place::Named(ModelName::Path(path)) => path,
        Place::Named(ModelName::Hub(id)) => fetched(&id, hub, environment, interrupt)?,
        Place::Named(ModelName::Random(_)) => {
            let name = name.unwrap_or_default();
            return Err(Failure::usage(format!("{name} has no tokenizer: its weights are random")));
        }
    };
    if path.is_dir() {
        return Tokenizer::open(&path).map_err(|error| Failure::from(error).within(&path.display().to_string()));
    }
    let file = Checkpoint::open(&path)?;
    let found = file.gguf().map(gguf_tokenizer).transpose()?.flatten();
    found.ok_or_else(|| Failure::bad_file(format!("there is no tokenizer in {}", path.display())))
}

/// What to say of a directory that has one of the two files of a tokenizer.
fn half_a_tokenizer(dir: &Path) -> Option<Failure> {
    let (vocab, merges) = (dir.join("vocab.json").exists(), dir.join("merges.txt").exists());
    let (there, missing) = match (vocab, merges) {
        (true, false) => ("vocab.json", "merges.txt"),
        (false, true) => ("merges.txt", "vocab.json"),
        _ => return None,
    };
    Some(Failure::bad_file(format!("{} has {there} but no {missing}: a tokenizer needs both", dir.display())))
}

/// A source that has nothing more to give once Ctrl-C was pressed, so that long works on tensors end between two of
/// them. Whoever uses it looks at the interrupt before at the error.
pub(crate) struct Watched<'a> {
    pub(crate) source: &'a dyn TensorSource,
    pub(crate) interrupt: &'a Interrupt,
}

impl Watched<'_> {
    fn check(&self) -> Result<(), LoadError> {
        match self.interrupt.pressed() {
            true => Err(LoadError::Read { file: PathBuf::new(), error: io::ErrorKind::Interrupted.into() }),
            false => Ok(()),
        }
    }
}

impl TensorSource for Watched<'_> {
    fn config(&self) -> &Config {
        self.source.config()
    }

    fn dtype(&self, role: Role, layer: Option<usize>) -> DType {
        self.source.dtype(role, layer)
    }

    fn matrix(&self, role: Role, layer: Option<usize>) -> Result<Matrix, LoadError> {
        self.check()?;
        self.source.matrix(role, layer)
    }

    fn vector(&self, role: Role, layer: Option<usize>) -> Result<(DType, Bytes), LoadError> {
        self.check()?;
        self.source.vector(role, layer)
    }

    fn name(&self, role: Role, layer: Option<usize>) -> String {
        self.source.name(role, layer)
    }
}

/// The directory that a model lies in: itself, or that of its file.
fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !path.is_dir() => parent,
        _ => path,
    }
}
