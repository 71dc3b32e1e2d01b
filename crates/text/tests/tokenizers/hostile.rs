//! Files that lie. Each is refused in words, none panics, overflows the stack or takes its time.

use std::time::{Duration, Instant};

use gptneo_text::{GgufTokenizer, Special, TextError, Tokenizer};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{data, small};

fn refused(bytes: &[u8], wanted: &str) {
    let started = Instant::now();
    let error = Tokenizer::from_json(bytes).expect_err(wanted).to_string();
    assert!(error.contains(wanted), "wanted {wanted:?}, found {error:?}");
    assert!(error.len() < 600, "{} bytes of message", error.len());
    assert!(started.elapsed() < Duration::from_secs(5), "{wanted}: {:?}", started.elapsed());
}

/// The small tokenizer with one value replaced.
fn with(path: &str, value: Value) -> Vec<u8> {
    let mut json = small::json_value();
    *json.pointer_mut(path).unwrap_or_else(|| panic!("{path}")) = value;
    serde_json::to_vec(&json).unwrap()
}

#[test]
fn refuses_what_is_not_the_json_it_should_be() {
    for bytes in
        [&b""[..], b" ", b"null", b"[]", b"{}", b"7", b"\"x\"", b"{\"model\": null}", b"{\"model\": {}}", b"\xff"]
    {
        refused(bytes, "tokenizer.json");
    }
    refused(b"\xef\xbb\xbf{}", "line 1 column 1");
    refused(br#"{"model": {"type": "BPE", "vocab": {"a": NaN}, "merges": []}}"#, "line 1");
    refused(br#"{"model": {"type": "BPE", "vocab": {"\ud800": 0}, "merges": []}}"#, "hex escape");
    refused(br#"{"model": {"type": "BPE", "vocab": {"\udc00\ud800": 0}, "merges": []}}"#, "hex escape");
    refused(b"{\"model\": {\"type\": \"BPE\", \"vocab\": {\"\xc3\": 0}, \"merges\": []}}", "unicode");
    refused(br#"{"model": {"type": "BPE", "vocab": {}, "vocab": {}, "merges": []}}"#, "duplicate field");
}

#[test]
fn refuses_wrong_types_and_values() {
    for (path, value, wanted) in [
        ("/version", json!(1), "string"),
        ("/version", json!("2.0"), "version"),
        ("/added_tokens", json!({}), "sequence"),
        ("/added_tokens/0/id", json!(-1), "u32"),
        ("/added_tokens/0/id", json!(1.5), "u32"),
        ("/added_tokens/0/id", json!(4_294_967_296_u64), "u32"),
        ("/added_tokens/0/id", json!(4_294_967_295_u64), "token id"),
        ("/added_tokens/0/id", json!(3), "claimed by both"),
        ("/added_tokens/0/content", json!(""), "empty"),
        ("/added_tokens/0/content", json!("he"), "listed with id"),
        ("/added_tokens/0/special", json!("yes"), "bool"),
        ("/normalizer", json!({}), "type"),
        ("/normalizer", json!("NFC"), "Component"),
        ("/normalizer/type", json!("Lowercase"), "normalizer Lowercase"),
        ("/normalizer", json!({"type": "Sequence", "normalizers": vec![json!({"type": "NFC"}); 9]}), "in a row"),
        ("/pre_tokenizer", json!(null), "without a ByteLevel"),
        ("/pre_tokenizer/type", json!("Whitespace"), "pre-tokenizer Whitespace"),
        ("/pre_tokenizer", json!({"type": "Sequence", "pretokenizers": []}), "pre-tokenizer Sequence"),
        ("/pre_tokenizer", json!({"type": "ByteLevel", "use_regex": false}), "use_regex"),
        ("/decoder/type", json!("WordPiece"), "decoder WordPiece"),
        ("/model/type", json!("Unigram"), "Unigram"),
        ("/model/vocab", json!([["a", -1.5]]), "scores"),
        ("/model/vocab", json!(3), "object of tokens"),
        ("/model/vocab/h", json!(1e308), "u32"),
        ("/model/vocab/h", json!(2), "claimed by both"),
        ("/model/vocab/h", json!(4_194_304), "token id"),
        ("/model/merges", json!(null), "no merges"),
        ("/model/merges/0", json!("he"), "merge"),
        ("/model/merges/0", json!("h  e"), "merge"),
        ("/model/merges/0", json!("h e l"), "merge"),
        ("/model/merges/0", json!(["h"]), "merge"),
        ("/model/merges/0", json!(["h", "e", "l"]), "merge"),
        ("/model/merges/0", json!(7), "merge"),
        ("/model/merges/0", json!("h x"), "needs the token \"hx\""),
        ("/model/merges/0", json!(["hh", "e"]), "needs the token \"hh\""),
    ] {
        refused(&with(path, value), wanted);
    }
    for (field, value, wanted) in [
        ("dropout", json!(0.1), "dropout"),
        ("unk_token", json!("<unk>"), "unk_token is \"<unk>\""),
        ("continuing_subword_prefix", json!("##"), "continuing_subword_prefix"),
        ("end_of_word_suffix", json!("</w>"), "end_of_word_suffix"),
        ("byte_fallback", json!(true), "byte_fallback"),
    ] {
        let mut json = small::json_value();
        json["model"][field] = value;
        refused(&serde_json::to_vec(&json).unwrap(), wanted);
    }
}

#[test]
fn refuses_depth_and_repetition_in_good_time() {
    let million = 1_000_000;
    let inside = |field: &str, value: String| format!("{{\"{field}\": {value}}}");
    refused("[".repeat(million).as_bytes(), "tokenizer.json");
    refused(inside("model", "{\"vocab\":".repeat(million)).as_bytes(), "tokenizer.json");
    refused(inside("post_processor", "[".repeat(million)).as_bytes(), "tokenizer.json");
    let nested = "{\"type\":\"Sequence\",\"normalizers\":[".repeat(million);
    refused(inside("normalizer", nested).as_bytes(), "recursion");
    let twice =
        format!("{{\"model\":{{\"type\":\"BPE\",\"merges\":[],\"vocab\":{{{}\"b\":1}}}}}}", "\"a\":0,".repeat(million));
    refused(inside_model(&twice).as_bytes(), "listed with id 0 and again");
    let long = format!("\"{}\"", "x".repeat(10 * million));
    refused(inside("model", long).as_bytes(), "tokenizer.json");
    refused(&vec![b' '; (64 << 20) + 1], "at most");
    let added: Vec<Value> = (0..70_000).map(|id| json!({"id": 300 + id, "content": format!("<{id}>")})).collect();
    refused(&with("/added_tokens", json!(added)), "added tokens");
    refused(&with("/added_tokens/1/content", json!("y".repeat(2 << 20))), "bytes of added tokens");
}

/// The same with the pre-tokenizer that a model needs to be looked at.
fn inside_model(json: &str) -> String {
    json.replacen('{', r#"{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false}, "#, 1)
}

#[test]
fn refuses_a_file_cut_anywhere() {
    let whole = serde_json::to_vec(&small::json_value()).unwrap();
    assert!(Tokenizer::from_json(&whole).is_ok());
    (0..whole.len()).for_each(|cut| refused(&whole[..cut], "tokenizer.json"));
    let Some(path) = data::path("tokenizer/neox/tokenizer.json") else { return };
    let whole = std::fs::read(path).unwrap();
    (0..60).for_each(|at| refused(&whole[..whole.len() / 61 * at + at], "tokenizer.json"));
}

#[test]
fn sorts_the_named_seeds_of_the_fuzzer() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/tokenizer_json");
    let mut seen = [0, 0];
    for file in std::fs::read_dir(corpus).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let read = Tokenizer::from_json(&std::fs::read(&path).unwrap());
        if name.starts_with("valid-") {
            read.unwrap_or_else(|error| panic!("{name}: {error}"));
            seen[0] += 1;
        } else if name.starts_with("hostile-") {
            assert!(read.is_err(), "{name} is accepted");
            seen[1] += 1;
        }
    }
    assert!(seen[0] >= 5 && seen[1] >= 8, "{seen:?}");
}

#[test]
fn refuses_broken_merge_and_vocabulary_files() {
    let check = |vocab: &[u8], merges: &[u8], wanted: &str| {
        let error = Tokenizer::from_bpe(vocab, merges).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "wanted {wanted:?}, found {error:?}");
    };
    let vocab = br#"{"a": 0, "b": 1, "ab": 2}"#;
    check(b"[]", b"", "vocab.json: a list");
    check(b"{", b"", "vocab.json");
    check(vocab, b"a b\nb\n", "line 2");
    check(vocab, b"#version: 0.2\n\na b c\n", "line 3");
    check(vocab, b"a b\n ab\n", "line 2");
    check(vocab, b"a \xff\n", "merges.txt");
    check(vocab, b"b a\n", "merge 0 needs the token \"ba\"");
    let read = Tokenizer::from_bpe(vocab, b"#version: 0.2\r\na b\r\n").unwrap();
    assert_eq!(read.encode("aba").unwrap(), [2, 0]);
}

#[test]
fn refuses_gguf_parts_that_do_not_fit() {
    let tokens = ["a", "b", "ab", "<|e|>"];
    let good = GgufTokenizer {
        model: "gpt2",
        pre: Some("gpt-2"),
        tokens: &tokens[..],
        merges: &["a b"],
        token_types: Some(&[1, 1, 1, 3]),
        bos: Some(3),
        eos: Some(3),
        unk: None,
        add_space_prefix: false,
        chat_template: None,
    };
    let tokenizer = Tokenizer::from_gguf(&good).unwrap();
    assert_eq!(tokenizer.encode("ab<|e|>b").unwrap(), [2, 3, 1]);
    assert!(tokenizer.is_special(3));
    let check = |parts: GgufTokenizer<'_, &str>, wanted: &str| {
        let error = Tokenizer::from_gguf(&parts).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "wanted {wanted:?}, found {error:?}");
    };
    check(GgufTokenizer { model: "llama", ..good }, "model \"llama\"");
    check(GgufTokenizer { pre: Some("llama-bpe"), ..good }, "pre-tokenizer \"llama-bpe\"");
    check(GgufTokenizer { token_types: Some(&[1, 1]), ..good }, "4 tokens, but 2 token types");
    check(GgufTokenizer { merges: &["ab"], ..good }, "merge 0");
    check(GgufTokenizer { merges: &["b b"], ..good }, "needs the token");
    check(GgufTokenizer { eos: Some(4), ..good }, "eos_token is \"id 4\"");
    check(GgufTokenizer { tokens: &["a", "b", "ab", "a"], ..good }, "listed with id 0 and again");
    // Without types the ends of documents are still control tokens.
    let untyped = Tokenizer::from_gguf(&GgufTokenizer { token_types: None, pre: None, ..good }).unwrap();
    assert_eq!(untyped.encode("ab<|e|>b").unwrap(), [2, 3, 1]);
}

#[test]
fn names_the_id_or_the_byte_that_has_no_token() {
    let tokenizer = Tokenizer::from_json(&serde_json::to_vec(&small::json_value()).unwrap()).unwrap();
    assert_eq!((tokenizer.vocab_size(), tokenizer.token_count()), (272, 269));
    for id in [267, 269, 272, u32::MAX] {
        let found = tokenizer.decode(&[104, id], Special::Keep);
        assert!(matches!(found, Err(TextError::UnknownId { id: at, vocab_size: 272 }) if at == id), "{found:?}");
        assert!(tokenizer.stream(Special::Keep).push(id).is_err());
        assert_eq!((tokenizer.token(id), tokenizer.token_bytes(id)), (None, None));
    }
    let pruned = Tokenizer::from_bpe(br#"{"a": 0, "b": 1}"#, b"").unwrap();
    assert!(matches!(pruned.encode("ab c"), Err(TextError::Unencodable { byte: b' ', .. })));
    assert_eq!(pruned.encode("abba").unwrap(), [0, 1, 1, 0]);
}

#[test]
fn an_unknown_token_stands_for_missing_bytes() {
    let model = |fuse: bool| {
        json!({
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},
            "model": {"vocab": {"a": 0, "?": 1}, "merges": [], "unk_token": "?", "fuse_unk": fuse},
        })
        .to_string()
    };
    let ids = |fuse| Tokenizer::from_json(model(fuse).as_bytes()).unwrap().encode("aéa").unwrap();
    assert_eq!(ids(false), [0, 1, 1, 0]);
    assert_eq!(ids(true), [0, 1, 0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn survives_any_few_bytes_changed(changes in prop::collection::vec((0usize..100_000, any::<u8>()), 1..4)) {
        let mut bytes = serde_json::to_vec(&small::json_value()).unwrap();
        for (at, byte) in changes {
            let at = at % bytes.len();
            bytes[at] = byte;
        }
        if let Ok(tokenizer) = Tokenizer::from_json(&bytes) {
            let text = "hello world's     é<|endoftext|>\n\n";
            if let Ok(ids) = tokenizer.encode(text) {
                prop_assert!(tokenizer.decode(&ids, Special::Keep).is_ok());
            }
        }
    }
}
