//! Everything that can be wrong with a tokenizer, a text, an id or a chat template.

use std::io;
use std::path::PathBuf;

/// The one error of this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TextError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory without token shards.
    #[error("no token shards in {}: there is no manifest.json; `gptneo data tokenize` makes them", dir.display())]
    NoShards {
        /// The directory.
        dir: PathBuf,
    },
    /// A token shard or its manifest is damaged, or is something else.
    #[error("{}: {detail}", path.display())]
    Shard {
        /// The file.
        path: PathBuf,
        /// What was wrong and where.
        detail: String,
    },
    /// Datasets that cannot be trained on together.
    #[error("the mixture of datasets: {detail}")]
    Mixture {
        /// What was wrong and what to do.
        detail: String,
    },
    /// A vocabulary that cannot be learned in this size.
    #[error("a vocabulary of {found} tokens cannot be learned: from {least} (the bytes and end-of-text) to {most}")]
    VocabSize {
        /// The size asked for.
        found: u32,
        /// The smallest.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// A directory without tokenizer files.
    #[error("no tokenizer in {}: wanted tokenizer.json, or vocab.json with merges.txt", dir.display())]
    NoTokenizer {
        /// The directory.
        dir: PathBuf,
    },
    /// Something is larger than this crate is willing to hold.
    #[error("{what}: {found}, but at most {limit} can be used here")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        found: u64,
        /// How much is allowed.
        limit: u64,
    },
    /// A file that is not what its name says: broken JSON, a wrong type, a missing part.
    #[error("{file}: {detail}")]
    Malformed {
        /// The file, by its usual name.
        file: &'static str,
        /// What was wrong and where.
        detail: String,
    },
    /// A tokenizer this crate would get wrong, so it does not try.
    #[error("{file}: {what} is not supported; gptneo reads the byte-level BPE tokenizers of GPT-2 and GPT-NeoX")]
    Unsupported {
        /// The file, by its usual name.
        file: &'static str,
        /// The part that is not supported.
        what: String,
    },
    /// A merge names a token, or makes one, that the vocabulary lacks.
    #[error("merge {index} needs the token {token:?}, which is not in the vocabulary")]
    MergeOutsideVocabulary {
        /// Position in the list of merges, from 0.
        index: usize,
        /// The missing token.
        token: String,
    },
    /// Two tokens claim one id.
    #[error("id {id} is claimed by both {first:?} and {second:?}")]
    DuplicateId {
        /// The id.
        id: u32,
        /// Who had it.
        first: String,
        /// Who wanted it too.
        second: String,
    },
    /// One token claims two ids.
    #[error("token {token:?} is listed with id {first} and again with id {second}")]
    DuplicateToken {
        /// The token.
        token: String,
        /// Its first id.
        first: u32,
        /// Its second id.
        second: u32,
    },
    /// A role (`bos_token`, ...) is given to a token that does not exist.
    #[error("{role} is {token:?}, which is not in the vocabulary")]
    RoleOutsideVocabulary {
        /// `bos_token`, `eos_token` or `unk_token`.
        role: &'static str,
        /// The missing token, or its id.
        token: String,
    },
    /// An id with no token.
    #[error("id {id} has no token: the vocabulary has {vocab_size} ids")]
    UnknownId {
        /// The id.
        id: u32,
        /// One more than the largest id.
        vocab_size: usize,
    },
    /// The vocabulary has no token for a byte of the text, and no unknown token either.
    #[error("the vocabulary has no token for byte {byte:#04x} (in {word:?})")]
    Unencodable {
        /// The byte.
        byte: u8,
        /// The start of the word it stands in.
        word: String,
    },
    /// A single word (a run without a break) beyond what is merged at once.
    #[error("a run of more than {limit} bytes without a word boundary, at byte {at} of its segment")]
    WordTooLong {
        /// Where the word starts, in bytes from the start of the text between two added tokens.
        at: usize,
        /// The longest run that is accepted, in bytes.
        limit: usize,
    },
    /// A chat template was asked for by a name that does not exist.
    #[error("no chat template is called {name:?}; there are {known}")]
    UnknownTemplate {
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A chat template does not compile, refuses the messages, or runs away.
    #[error("chat template {template}: {detail}")]
    Template {
        /// Which template.
        template: String,
        /// What went wrong, with the line where known.
        detail: String,
    },
    /// Text that makes no example for fine-tuning.
    #[error("{detail}")]
    Example {
        /// What is wrong, and what to do.
        detail: String,
    },
    /// A role that no chat format has.
    #[error("role {role:?} is not one of system, user, assistant")]
    UnknownRole {
        /// The role.
        role: String,
    },
    /// A message whose role or place the template has no form for.
    #[error("message {index} has role {role:?}: {wanted}")]
    Role {
        /// Position in the conversation, from 0.
        index: usize,
        /// The role found.
        role: String,
        /// What is accepted there.
        wanted: String,
    },
}

pub(crate) type Result<T> = std::result::Result<T, TextError>;

/// `text` as an error shows it: what comes from a file may be megabytes long.
pub(crate) fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}
