//! A tokenizer written out again: as `tokenizer.json` with `tokenizer_config.json`, or as the keys of a GGUF file.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::alphabet;
use crate::error::{Result, TextError};
use crate::normal::NormalForm;
use crate::pieces::{AddedToken, Pieces};
use crate::read::gguf::{CONTROL, GgufParts, NORMAL, UNUSED, USER_DEFINED};
use crate::vocabulary::Vocabulary;

#[derive(Serialize)]
struct File<'a> {
    version: &'static str,
    truncation: Option<()>,
    padding: Option<()>,
    added_tokens: Vec<Added<'a>>,
    normalizer: Option<Normalizer>,
    pre_tokenizer: ByteLevel,
    post_processor: ByteLevel,
    decoder: ByteLevel,
    model: Model<'a>,
}

#[derive(Serialize)]
struct Added<'a> {
    id: u32,
    content: &'a str,
    single_word: bool,
    lstrip: bool,
    rstrip: bool,
    normalized: bool,
    special: bool,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Normalizer {
    #[serde(rename = "NFC")]
    Nfc,
    Sequence {
        normalizers: Vec<Form>,
    },
}

#[derive(Serialize)]
struct Form {
    r#type: &'static str,
}

#[derive(Serialize)]
struct ByteLevel {
    r#type: &'static str,
    add_prefix_space: bool,
    trim_offsets: bool,
    use_regex: bool,
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    dropout: Option<f32>,
    unk_token: Option<&'a str>,
    continuing_subword_prefix: Option<&'a str>,
    end_of_word_suffix: Option<&'a str>,
    fuse_unk: bool,
    byte_fallback: bool,
    ignore_merges: bool,
    vocab: Entries<'a>,
    merges: Merges<'a>,
}

struct Entries<'a>(&'a [(String, u32)]);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (token, id) in self.0 {
            map.serialize_entry(token, id)?;
        }
        map.end()
    }
}

/// As `"left right"`, which every reader knows, unless a token is empty or has a space in it.
struct Merges<'a>(&'a [(String, String)]);

impl Serialize for Merges<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let unclear = |token: &str| token.is_empty() || token.contains(' ');
        if self.0.iter().any(|(left, right)| unclear(left) || unclear(right)) {
            return self.0.serialize(serializer);
        }
        serializer.collect_seq(self.0.iter().map(|(left, right)| format!("{left} {right}")))
    }
}

pub(crate) fn tokenizer_json(pieces: &Pieces) -> String {
    let byte_level =
        |add_prefix_space| ByteLevel { r#type: "ByteLevel", add_prefix_space, trim_offsets: true, use_regex: true };
    let normalizer = match &pieces.normal_forms[..] {
        [] => None,
        forms => {
            let normalizers = forms.iter().map(|form| Form { r#type: form.name() }).collect();
            Some(if forms == [NormalForm::Nfc] { Normalizer::Nfc } else { Normalizer::Sequence { normalizers } })
        }
    };
    let added = pieces.added.iter().map(|token| {
        let AddedToken { id, content, special, normalized, single_word, lstrip, rstrip } = token;
        Added {
            id: *id,
            content,
            single_word: *single_word,
            lstrip: *lstrip,
            rstrip: *rstrip,
            normalized: *normalized,
            special: *special,
        }
    });
    let mut added_tokens: Vec<_> = added.collect();
    // The reference gives ids to added tokens in the order they are listed.
    added_tokens.sort_by_key(|token| token.id);
    let file = File {
        version: "1.0",
        truncation: None,
        padding: None,
        added_tokens,
        normalizer,
        pre_tokenizer: byte_level(pieces.prefix_space),
        post_processor: byte_level(true),
        decoder: byte_level(true),
        model: Model {
            r#type: "BPE",
            dropout: None,
            unk_token: pieces.unknown.as_deref(),
            continuing_subword_prefix: None,
            end_of_word_suffix: None,
            fuse_unk: pieces.fuse_unknown,
            byte_fallback: false,
            ignore_merges: pieces.ignore_merges,
            vocab: Entries(&pieces.vocab),
            merges: Merges(&pieces.merges),
        },
    };
    serde_json::to_string(&file).expect("strings, numbers and flags can be written")
}

#[derive(Serialize)]
struct Config<'a> {
    tokenizer_class: &'static str,
    add_prefix_space: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    bos_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eos_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unk_token: Option<&'a str>,
    clean_up_tokenization_spaces: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_template: Option<&'a str>,
}

/// `tokenizer_config.json`; `roles` are the names of bos, eos and unk.
pub(crate) fn config_json(pieces: &Pieces, roles: [Option<&str>; 3]) -> String {
    let [bos_token, eos_token, unk_token] = roles;
    let config = Config {
        tokenizer_class: "PreTrainedTokenizerFast",
        add_prefix_space: pieces.prefix_space,
        bos_token,
        eos_token,
        unk_token,
        clean_up_tokenization_spaces: false,
        chat_template: pieces.chat_template.as_deref(),
    };
    serde_json::to_string_pretty(&config).expect("strings and flags can be written")
}

/// The parts of a GGUF file; `roles` are the ids of bos, eos and unk.
pub(crate) fn gguf(pieces: &Pieces, vocabulary: &Vocabulary, roles: [Option<u32>; 3]) -> Result<GgufParts> {
    let unsupported = |what: &str| Err(TextError::Unsupported { file: "GGUF tokenizer", what: what.into() });
    let pre = match &pieces.normal_forms[..] {
        [] => "gpt-2",
        [NormalForm::Nfc] => "olmo",
        _ => return unsupported("a normalizer other than NFC"),
    };
    if pieces.ignore_merges {
        return unsupported("ignore_merges");
    }
    if pieces.added.iter().any(|token| token.single_word || token.lstrip || token.rstrip) {
        return unsupported("an added token with single_word, lstrip or rstrip");
    }
    let size = vocabulary.size();
    let mut tokens: Vec<String> = (0..size).map(|id| format!("[PAD{id}]")).collect();
    let mut token_types = vec![UNUSED; size];
    for (id, name) in vocabulary.iter() {
        tokens[id as usize] = name.into();
        token_types[id as usize] = NORMAL;
    }
    for token in &pieces.added {
        token_types[token.id as usize] = if token.special { CONTROL } else { USER_DEFINED };
    }
    // A merge of nothing, or with anything but byte-level characters, can never apply and could not be written.
    let spelled = |token: &str| alphabet::bytes_of(token).is_some_and(|bytes| !bytes.is_empty());
    let merges = pieces.merges.iter().filter(|(left, right)| spelled(left) && spelled(right));
    let [bos, eos, unk] = roles;
    Ok(GgufParts {
        model: "gpt2",
        pre,
        tokens,
        merges: merges.map(|(left, right)| format!("{left} {right}")).collect(),
        token_types,
        bos,
        eos,
        unk,
        add_space_prefix: pieces.prefix_space,
        chat_template: pieces.chat_template.clone(),
    })
}
