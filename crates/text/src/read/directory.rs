//! A model directory in the Hugging Face layout.
//!
//! `tokenizer.json` wins over `vocab.json` and `merges.txt`. The roles come from `tokenizer_config.json`, or else from
//! `special_tokens_map.json`; a role's token is special. Tokens of other roles (padding, ...) are special if they are in
//! the vocabulary and ignored if they are not: no model of this line has a row for them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::Deserialize;

use super::{FILE_LIMIT, bpe_files, check_size, malformed, tokenizer_json};
use crate::error::{Result, TextError};
use crate::pieces::{AddedToken, Pieces, Roles};

const CONFIG: &str = "tokenizer_config.json";
const SPECIAL: &str = "special_tokens_map.json";
const ADDED: &str = "added_tokens.json";
const TEMPLATE: &str = "chat_template.jinja";

/// What the two configuration files say about tokens. `special_tokens_map.json` is a subset.
#[derive(Default, Deserialize)]
struct Config {
    bos_token: Option<Named>,
    eos_token: Option<Named>,
    unk_token: Option<Named>,
    pad_token: Option<Named>,
    #[serde(default)]
    additional_special_tokens: Option<Vec<Named>>,
    #[serde(default)]
    added_tokens_decoder: Option<BTreeMap<u32, Flags>>,
    add_prefix_space: Option<bool>,
    chat_template: Option<Templates>,
}

/// A token by its name, or with its flags.
#[derive(Deserialize)]
#[serde(untagged)]
enum Named {
    Name(String),
    Token(Flags),
}

impl Named {
    fn into_name(self) -> String {
        match self {
            Self::Name(name) => name,
            Self::Token(flags) => flags.content,
        }
    }
}

#[derive(Clone, Deserialize)]
struct Flags {
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    #[serde(default)]
    normalized: bool,
    #[serde(default)]
    special: bool,
}

impl Flags {
    fn into_added(self, id: u32) -> AddedToken {
        let Self { content, single_word, lstrip, rstrip, normalized, special } = self;
        AddedToken { id, content, special, normalized, single_word, lstrip, rstrip }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Templates {
    One(String),
    Several(Vec<NamedTemplate>),
}

#[derive(Deserialize)]
struct NamedTemplate {
    name: String,
    template: String,
}

pub(crate) fn pieces(dir: &Path) -> Result<Pieces> {
    let mut config: Config = parse(dir, CONFIG)?.unwrap_or_default();
    let mut pieces = match read(dir, "tokenizer.json")? {
        Some(bytes) => tokenizer_json::pieces(&bytes)?,
        None => from_bpe_files(dir, &mut config)?,
    };
    let special: Config = parse(dir, SPECIAL)?.unwrap_or_default();
    let either = |first: Option<Named>, second: Option<Named>| first.or(second).map(Named::into_name);
    pieces.roles = Roles {
        bos: either(config.bos_token, special.bos_token),
        eos: either(config.eos_token, special.eos_token),
        unk: either(config.unk_token, special.unk_token),
    };
    let others = [config.additional_special_tokens, special.additional_special_tokens].into_iter().flatten().flatten();
    let others = others.chain(config.pad_token).chain(special.pad_token).map(Named::into_name);
    let roles = [&pieces.roles.bos, &pieces.roles.eos, &pieces.roles.unk];
    let names: Vec<String> = roles.into_iter().flatten().cloned().chain(others).collect();
    for name in names {
        bpe_files::add_end_of_text(&mut pieces, &name);
    }
    let template = config.chat_template.and_then(|templates| match templates {
        Templates::One(template) => Some(template),
        Templates::Several(list) => list.into_iter().find(|one| one.name == "default").map(|one| one.template),
    });
    pieces.chat_template = match read(dir, TEMPLATE)? {
        Some(bytes) => Some(String::from_utf8(bytes).map_err(|error| malformed(TEMPLATE, error))?),
        None => template,
    };
    Ok(pieces)
}

fn from_bpe_files(dir: &Path, config: &mut Config) -> Result<Pieces> {
    let (Some(vocab), Some(merges)) = (read(dir, "vocab.json")?, read(dir, "merges.txt")?) else {
        return Err(TextError::NoTokenizer { dir: dir.into() });
    };
    let mut pieces = bpe_files::pieces(&vocab, &merges)?;
    pieces.prefix_space = config.add_prefix_space.unwrap_or(false);
    let known = config.added_tokens_decoder.take().unwrap_or_default();
    pieces.added.extend(known.into_iter().map(|(id, flags)| flags.into_added(id)));
    if let Some(bytes) = read(dir, ADDED)? {
        for (content, id) in bpe_files::ids(ADDED, &bytes)? {
            if pieces.added.iter().all(|added| added.content != content) {
                pieces.added.push(AddedToken { id, content, normalized: true, ..AddedToken::default() });
            }
        }
    }
    bpe_files::add_end_of_text(&mut pieces, "<|endoftext|>");
    Ok(pieces)
}

fn parse(dir: &Path, name: &'static str) -> Result<Option<Config>> {
    let Some(bytes) = read(dir, name)? else { return Ok(None) };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| malformed(name, error))
}

/// A whole file, or `None` if there is none; never more than [`FILE_LIMIT`] bytes, whatever its metadata says.
fn read(dir: &Path, name: &'static str) -> Result<Option<Vec<u8>>> {
    let path = dir.join(name);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(TextError::Read { path, source }),
    };
    let mut bytes = Vec::new();
    file.take(FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(|source| TextError::Read { path, source })?;
    check_size(name, bytes.len() as u64)?;
    Ok(Some(bytes))
}
