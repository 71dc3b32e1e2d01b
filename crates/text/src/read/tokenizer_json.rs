//! `tokenizer.json`, format 1.0: one file with everything but the roles.

use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{check_size, malformed};
use crate::error::{Result, TextError, shown};
use crate::normal::NormalForm;
use crate::pieces::{AddedToken, Pieces};

const FILE: &str = "tokenizer.json";

/// Normal forms in a row; real files have one.
const FORMS_LIMIT: usize = 8;

#[derive(Deserialize)]
struct File {
    version: Option<String>,
    added_tokens: Option<Vec<Added>>,
    normalizer: Option<Component>,
    pre_tokenizer: Option<Component>,
    decoder: Option<Component>,
    model: Model,
}

#[derive(Deserialize)]
struct Added {
    id: u32,
    content: String,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
    normalized: Option<bool>,
    #[serde(default)]
    special: bool,
}

/// A normaliser, pre-tokenizer or decoder, with the fields that change what it does.
#[derive(Deserialize)]
struct Component {
    r#type: String,
    add_prefix_space: Option<bool>,
    use_regex: Option<bool>,
    #[serde(default)]
    normalizers: Vec<Component>,
    #[serde(default)]
    pretokenizers: Vec<Component>,
    #[serde(default)]
    decoders: Vec<Component>,
}

#[derive(Deserialize)]
struct Model {
    r#type: Option<String>,
    vocab: Entries,
    #[serde(default)]
    merges: Option<Vec<Merge>>,
    dropout: Option<f32>,
    unk_token: Option<String>,
    continuing_subword_prefix: Option<String>,
    end_of_word_suffix: Option<String>,
    #[serde(default)]
    fuse_unk: Option<bool>,
    #[serde(default)]
    byte_fallback: Option<bool>,
    #[serde(default)]
    ignore_merges: Option<bool>,
}

/// `{"token": id}` in file order, with repetitions; or the list of scored tokens that another kind of model has.
pub(super) enum Entries {
    Ids(Vec<(String, u32)>),
    Scores,
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Entries;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of tokens and their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries::Ids(entries))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Entries, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Entries::Scores)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

/// `"left right"`, or `["left", "right"]` as newer files have it.
struct Merge(String, String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Merge;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a merge: two tokens with one space between them, or a list of two tokens")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Merge, E> {
                let two = super::two_tokens(text);
                let (left, right) = two.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))?;
                Ok(Merge(left.into(), right.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Merge, A::Error> {
                let left = list.next_element()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let right = list.next_element()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                match list.next_element::<IgnoredAny>()? {
                    None => Ok(Merge(left, right)),
                    Some(_) => Err(de::Error::invalid_length(3, &self)),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

pub(crate) fn pieces(bytes: &[u8]) -> Result<Pieces> {
    check_size(FILE, bytes.len() as u64)?;
    let file: File = serde_json::from_slice(bytes).map_err(|error| malformed(FILE, error))?;
    if let Some(version) = file.version.filter(|version| version != "1.0") {
        return Err(unsupported(format!("format version {version:?}")));
    }
    let model = file.model;
    let kind = model.r#type.as_deref().unwrap_or("BPE");
    let (Entries::Ids(vocab), "BPE") = (model.vocab, kind) else {
        return Err(unsupported(format!("a {kind} model, or one with scores,")));
    };
    if model.dropout.is_some_and(|dropout| dropout != 0.0) {
        return Err(unsupported("merge dropout"));
    }
    for (name, affix) in [
        ("continuing_subword_prefix", model.continuing_subword_prefix),
        ("end_of_word_suffix", model.end_of_word_suffix),
    ] {
        if affix.is_some_and(|affix| !affix.is_empty()) {
            return Err(unsupported(format!("a {name}")));
        }
    }
    if model.byte_fallback == Some(true) {
        return Err(unsupported("byte_fallback"));
    }
    let Some(merges) = model.merges else {
        return Err(malformed(FILE, "the model has no merges"));
    };
    let prefix_space = pre_tokenizer(file.pre_tokenizer.as_ref())?;
    if let Some(decoder) = &file.decoder {
        check_decoder(decoder)?;
    }
    let mut normal_forms = Vec::new();
    if let Some(normalizer) = &file.normalizer {
        collect_forms(normalizer, &mut normal_forms)?;
    }
    let added = file.added_tokens.unwrap_or_default().into_iter().map(|token| AddedToken {
        id: token.id,
        special: token.special,
        normalized: token.normalized.unwrap_or(!token.special),
        single_word: token.single_word,
        lstrip: token.lstrip,
        rstrip: token.rstrip,
        content: token.content,
    });
    Ok(Pieces {
        vocab,
        merges: merges.into_iter().map(|Merge(left, right)| (left, right)).collect(),
        added: added.collect(),
        normal_forms,
        prefix_space,
        ignore_merges: model.ignore_merges.unwrap_or(false),
        unknown: model.unk_token,
        fuse_unknown: model.fuse_unk.unwrap_or(false),
        ..Pieces::default()
    })
}

/// Only the pre-tokenizer of GPT-2 will do; whether it puts a space before the text.
fn pre_tokenizer(component: Option<&Component>) -> Result<bool> {
    let Some(component) = component else {
        return Err(unsupported("a model without a ByteLevel pre-tokenizer"));
    };
    match (component.r#type.as_str(), &component.pretokenizers[..]) {
        ("Sequence", [only]) => pre_tokenizer(Some(only)),
        ("ByteLevel", _) if component.use_regex == Some(false) => {
            Err(unsupported("a ByteLevel pre-tokenizer that does not split (`use_regex` false)"))
        }
        // The reference's default for the missing field is true.
        ("ByteLevel", _) => Ok(component.add_prefix_space.unwrap_or(true)),
        (other, _) => Err(unsupported(format!("the pre-tokenizer {other}"))),
    }
}

fn check_decoder(component: &Component) -> Result<()> {
    match (component.r#type.as_str(), &component.decoders[..]) {
        ("ByteLevel", _) => Ok(()),
        ("Sequence", [only]) => check_decoder(only),
        (other, _) => Err(unsupported(format!("the decoder {other}"))),
    }
}

fn collect_forms(component: &Component, forms: &mut Vec<NormalForm>) -> Result<()> {
    if component.r#type == "Sequence" {
        return component.normalizers.iter().try_for_each(|inner| collect_forms(inner, forms));
    }
    let form = NormalForm::named(&component.r#type)
        .ok_or_else(|| unsupported(format!("the normalizer {}", component.r#type)))?;
    if forms.len() == FORMS_LIMIT {
        let (found, limit) = (FORMS_LIMIT as u64 + 1, FORMS_LIMIT as u64);
        return Err(TextError::TooLarge { what: "normalizers in a row", found, limit });
    }
    forms.push(form);
    Ok(())
}

fn unsupported(what: impl Into<String>) -> TextError {
    TextError::Unsupported { file: FILE, what: shown(&what.into()) }
}
