//! Model directories: which file wins, where the roles and the chat template come from.

use std::fs;
use std::path::Path;

use gptneo_text::{ChatTemplate, Message, Role, TextError, Tokenizer};
use serde_json::json;

use crate::small;

/// A directory with these files.
fn dir(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn open(files: &[(&str, &str)]) -> Result<Tokenizer, TextError> {
    Tokenizer::open(dir(files).path())
}

const VOCAB: (&str, &str) =
    ("vocab.json", r#"{"a": 0, "b": 1, "ab": 2, "<e>": 3, "<|endoftext|>": 4, "Ġ": 5, "Ġa": 6}"#);
const MERGES: (&str, &str) = ("merges.txt", "#version: 0.2\na b\nĠ a\n");

#[test]
fn says_when_there_is_no_tokenizer() {
    assert!(matches!(open(&[]), Err(TextError::NoTokenizer { .. })));
    assert!(matches!(open(&[VOCAB]), Err(TextError::NoTokenizer { .. })));
    assert!(matches!(open(&[MERGES, ("tokenizer_config.json", "{}")]), Err(TextError::NoTokenizer { .. })));
    assert!(matches!(Tokenizer::open(Path::new("/no/such/dir")), Err(TextError::NoTokenizer { .. })));
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("tokenizer.json")).unwrap();
    assert!(matches!(Tokenizer::open(dir.path()), Err(TextError::Read { .. })));
}

#[test]
fn tokenizer_json_wins() {
    let json = small::json_value().to_string();
    let tokenizer = open(&[VOCAB, MERGES, ("tokenizer.json", &json)]).unwrap();
    assert_eq!(tokenizer.vocab_size(), 272);
}

#[test]
fn end_of_text_plays_all_roles_by_default() {
    let tokenizer = open(&[VOCAB, MERGES]).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.unk()), (Some(4), Some(4), Some(4)));
    assert_eq!(tokenizer.encode("ab<|endoftext|>a").unwrap(), [2, 4, 0]);
}

#[test]
fn roles_come_from_the_configuration() {
    let config = ("tokenizer_config.json", r#"{"bos_token": null, "eos_token": {"content": "<e>", "lstrip": false}}"#);
    let map = ("special_tokens_map.json", r#"{"bos_token": "b", "eos_token": "a", "pad_token": "[PAD]"}"#);
    let tokenizer = open(&[VOCAB, MERGES, config, map]).unwrap();
    assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.unk()), (Some(1), Some(3), Some(4)));
    assert_eq!(tokenizer.encode("a<e>").unwrap(), [0, 3]);
    assert!(tokenizer.is_special(3) && tokenizer.is_special(1) && tokenizer.is_special(4) && !tokenizer.is_special(0));
    let wrong = ("tokenizer_config.json", r#"{"eos_token": "</s>"}"#);
    assert!(matches!(open(&[VOCAB, MERGES, wrong]), Err(TextError::RoleOutsideVocabulary { role: "eos_token", .. })));
}

#[test]
fn added_tokens_come_from_both_files() {
    let added = ("added_tokens.json", r#"{"<x>": 7, "<y>": 9}"#);
    let config = ("tokenizer_config.json", r#"{"added_tokens_decoder": {"9": {"content": "<y>", "special": true}}}"#);
    let tokenizer = open(&[VOCAB, MERGES, added, config]).unwrap();
    assert_eq!(tokenizer.encode("<x>a<y>").unwrap(), [7, 0, 9]);
    assert!(tokenizer.is_special(9) && !tokenizer.is_special(7));
    assert_eq!((tokenizer.vocab_size(), tokenizer.token(8)), (10, None));
}

#[test]
fn a_prefix_space_is_put_where_the_configuration_says() {
    let config = ("tokenizer_config.json", r#"{"add_prefix_space": true}"#);
    let tokenizer = open(&[VOCAB, MERGES, config]).unwrap();
    assert_eq!(tokenizer.encode("ab").unwrap(), [5, 2]);
    assert_eq!(tokenizer.encode(" a<|endoftext|>a").unwrap(), [6, 4, 6]);
}

#[test]
fn the_chat_template_is_offered_and_not_applied() {
    let template = "{% for m in messages %}{{ m.role }}={{ m.content }}{{ eos_token }}{% endfor %}";
    let one = json!({"chat_template": template}).to_string();
    let several =
        [("a", "x"), ("default", template)].map(|(name, template)| json!({"name": name, "template": template}));
    let several = json!({"chat_template": several}).to_string();
    for files in [
        vec![("tokenizer_config.json", one.as_str())],
        vec![("tokenizer_config.json", several.as_str())],
        vec![("tokenizer_config.json", "{}"), ("chat_template.jinja", template)],
    ] {
        let tokenizer = open(&[vec![VOCAB, MERGES], files].concat()).unwrap();
        assert_eq!(tokenizer.chat_template(), Some(template));
        let chat = ChatTemplate::of_tokenizer(&tokenizer).unwrap().unwrap();
        assert_eq!(chat.render(&[Message::new(Role::User, "a")], true).unwrap(), "user=a<|endoftext|>");
        let written =
            open(&[("tokenizer.json", &tokenizer.json()), ("tokenizer_config.json", &tokenizer.config_json())]);
        assert_eq!(written.unwrap().chat_template(), Some(template));
    }
    assert!(ChatTemplate::of_tokenizer(&open(&[VOCAB, MERGES]).unwrap()).unwrap().is_none());
}

#[test]
fn what_is_written_reads_the_same() {
    let config = ("tokenizer_config.json", r#"{"eos_token": "<e>", "add_prefix_space": true}"#);
    let added = ("added_tokens.json", r#"{"  ": 9}"#);
    let first = open(&[VOCAB, MERGES, config, added]).unwrap();
    let second = open(&[("tokenizer.json", &first.json()), ("tokenizer_config.json", &first.config_json())]).unwrap();
    let third = Tokenizer::from_gguf(&first.gguf().unwrap().view()).unwrap();
    for tokenizer in [&second, &third] {
        assert_eq!(
            tokenizer.encode("ab  a<e>a <|endoftext|>").unwrap(),
            first.encode("ab  a<e>a <|endoftext|>").unwrap()
        );
        assert_eq!((tokenizer.bos(), tokenizer.eos(), tokenizer.unk()), (first.bos(), first.eos(), first.unk()));
        assert_eq!((tokenizer.vocab_size(), tokenizer.token_count()), (first.vocab_size(), first.token_count()));
        assert!((0..10).all(|id| tokenizer.is_special(id) == first.is_special(id)));
    }
    let parts = first.gguf().unwrap();
    assert_eq!((parts.tokens[8].as_str(), parts.token_types[8], parts.token_types[9]), ("[PAD8]", 5, 4));
}
