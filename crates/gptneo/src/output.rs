//! Files that a verb is about to write: refused while nothing is lost.

use std::path::Path;

use gptneo_checkpoint::gguf::Metadata;
use gptneo_text::{GgufParts, Tokenizer};

use crate::failure::{Failure, Kind};
use crate::open::Opened;

/// Whether a file may be written at `path`.
///
/// # Errors
/// Exit code 3 if something is there (unless `force`, and it is a plain file), 2 if it is the model itself.
pub(crate) fn check_file(path: &Path, force: bool, opened: &Opened) -> Result<(), Failure> {
    let Ok(metadata) = std::fs::metadata(path) else { return Ok(()) };
    let at = path.display();
    if metadata.is_dir() {
        return Err(Failure::new(Kind::Io, format!("{at} is a directory: name a file")));
    }
    if !metadata.is_file() {
        return Err(Failure::new(Kind::Io, format!("{at} is no plain file, and would be replaced by one")));
    }
    let same = |other: &Path| other.canonicalize().ok() == path.canonicalize().ok();
    let inside = |model: &Path| {
        model.is_dir() && path.parent().is_some_and(|p| p.canonicalize().ok() == model.canonicalize().ok())
    };
    if let Some(model) = opened.path().filter(|model| same(model) || inside(model)) {
        return Err(Failure::usage(format!("{at} is a part of the model {} that is being read", model.display())));
    }
    if force { Ok(()) } else { Err(exists(path)) }
}

/// Whether a directory may be filled at `path`.
///
/// # Errors
/// Exit code 3 if there is a file, or a directory that is not empty (unless `force`), 2 if it is the model itself.
pub(crate) fn check_directory(path: &Path, force: bool, opened: &Opened) -> Result<(), Failure> {
    if !path.exists() {
        return Ok(());
    }
    if !path.is_dir() {
        return Err(exists(path).hint("a name that ends in .gguf writes a GGUF file, any other a directory"));
    }
    if opened.path().is_some_and(|model| model.canonicalize().ok() == path.canonicalize().ok()) {
        return Err(Failure::usage(format!("{} is the model that is being read", path.display())));
    }
    let empty = path.read_dir().map_err(|error| Failure::io("cannot read", path, &error))?.next().is_none();
    if empty || force { Ok(()) } else { Err(exists(path)) }
}

fn exists(path: &Path) -> Failure {
    Failure::new(Kind::Io, format!("{} exists already", path.display())).hint("--force replaces it")
}

/// The keys that a tokenizer adds to a GGUF file of a model with `vocab` rows of output.
///
/// # Errors
/// A tokenizer that those keys cannot say.
pub(crate) fn tokenizer_keys(tokenizer: &Tokenizer, vocab: usize) -> Result<Metadata, Failure> {
    const UNUSED: i32 = 5;
    let GgufParts { model, pre, mut tokens, merges, mut token_types, bos, eos, unk, add_space_prefix, chat_template } =
        tokenizer.gguf()?;
    // Readers want a token for each row of the output matrix, which is often padded.
    for id in tokens.len()..vocab {
        tokens.push(format!("[PAD{id}]"));
        token_types.push(UNUSED);
    }
    let mut keys = Metadata::new();
    keys.set("tokenizer.ggml.model", model.to_owned());
    keys.set("tokenizer.ggml.pre", pre.to_owned());
    keys.set("tokenizer.ggml.tokens", tokens);
    keys.set("tokenizer.ggml.token_type", token_types);
    keys.set("tokenizer.ggml.merges", merges);
    for (key, id) in [("bos_token_id", bos), ("eos_token_id", eos), ("unknown_token_id", unk)] {
        if let Some(id) = id {
            keys.set(format!("tokenizer.ggml.{key}"), id);
        }
    }
    keys.set("tokenizer.ggml.add_space_prefix", add_space_prefix);
    if let Some(template) = chat_template {
        keys.set("tokenizer.chat_template", template);
    }
    Ok(keys)
}
