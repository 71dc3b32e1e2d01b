//! Ids that other implementations gave: OpenAI's for r50k, llama.cpp's for GPT-2, transformers' for a pruned GPT-2
//! vocabulary, and the reference library's for our own sentences under both tokenizers of the line.

use std::fs;

use gptneo_text::{Special, Tokenizer};
use serde_json::Value;

use crate::data;

/// The text becomes these ids, and they the text again.
fn check(tokenizer: &Tokenizer, text: &str, ids: &[u32]) {
    assert_eq!(tokenizer.encode(text).unwrap(), ids, "{text:?}");
    assert_eq!(tokenizer.decode(ids, Special::Keep).unwrap(), text);
}

/// GPT-2's tokenizer by both of its file formats, and by a round trip through ours.
fn gpt2() -> Option<Vec<Tokenizer>> {
    let dir = data::path("tokenizer/gpt2")?;
    let json = Tokenizer::open(&dir).unwrap();
    let vocab = fs::read(dir.join("vocab.json")).unwrap();
    let merges = fs::read(dir.join("merges.txt")).unwrap();
    let files = Tokenizer::from_bpe(&vocab, &merges).unwrap();
    let written = Tokenizer::from_json(json.json().as_bytes()).unwrap();
    let gguf = Tokenizer::from_gguf(&files.gguf().unwrap().view()).unwrap();
    Some(vec![json, files, written, gguf])
}

fn neox() -> Option<Vec<Tokenizer>> {
    let json = Tokenizer::open(&data::path("tokenizer/neox")?).unwrap();
    let written = Tokenizer::from_json(json.json().as_bytes()).unwrap();
    let gguf = Tokenizer::from_gguf(&json.gguf().unwrap().view()).unwrap();
    Some(vec![json, written, gguf])
}

#[test]
fn agrees_with_openai_on_r50k() {
    let (Some(tokenizers), Some(path)) = (gpt2(), data::path("tokenizer/golden/r50k_testplans.txt")) else { return };
    let plans = fs::read_to_string(path).unwrap();
    let mut cases = 0;
    for plan in plans.split("EncodingName: ").filter_map(|plan| plan.strip_prefix("r50k_base\nSample: ")) {
        let (sample, encoded) = plan.split_once("\nEncoded: ").unwrap();
        let ids: Vec<u32> = serde_json::from_str(encoded.trim()).unwrap();
        tokenizers.iter().for_each(|tokenizer| check(tokenizer, sample, &ids));
        cases += 1;
    }
    assert_eq!(cases, 64);
}

#[test]
fn agrees_with_llama_cpp_on_gpt2() {
    let (Some(tokenizers), Some(dir)) = (gpt2(), data::path("tokenizer/golden")) else { return };
    let texts = fs::read_to_string(dir.join("gpt2.inp")).unwrap();
    let answers = fs::read_to_string(dir.join("gpt2.out")).unwrap();
    let cases: Vec<_> = texts.split("\n__ggml_vocab_test__\n").zip(answers.lines()).collect();
    assert_eq!(cases.len(), 46);
    for (text, answer) in cases {
        let ids: Vec<u32> = answer.split_whitespace().map(|id| id.parse().unwrap()).collect();
        tokenizers.iter().for_each(|tokenizer| check(tokenizer, text, &ids));
    }
}

#[test]
fn agrees_with_transformers_on_a_pruned_vocabulary() {
    let Some(dir) = data::path("weights/tinytalk-gptneo-hf") else { return };
    let tokenizer = Tokenizer::open(&dir).unwrap();
    assert_eq!((tokenizer.vocab_size(), tokenizer.eos()), (14_019, Some(14_018)));
    let golden: Value = serde_json::from_slice(&fs::read(dir.join("golden.json")).unwrap()).unwrap();
    let list = |value: &Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
    for case in golden["prompts"].as_array().unwrap() {
        check(&tokenizer, case["prompt"].as_str().unwrap(), &list(&case["ids"]));
        let greedy = tokenizer.decode(&list(&case["greedy_ids"]), Special::Keep).unwrap();
        assert_eq!(greedy, case["greedy_text"].as_str().unwrap());
    }
    // The count behind the golden NLL: every conversation with EOS before it, cut at 256, its first token not scored.
    let chats = fs::read_to_string(dir.join("chat_val_first200.txt")).unwrap();
    let scored = |chat: &str| tokenizer.encode(chat).unwrap().len().min(255);
    let tokens: usize = chats.split("\n\n").filter(|chat| !chat.trim().is_empty()).map(scored).sum();
    assert_eq!(Some(tokens as u64), golden["chat_val_first200"]["tokens"].as_u64());
}

#[test]
fn agrees_with_the_reference_on_our_sentences() {
    let golden: Value = serde_json::from_str(include_str!("golden.json")).unwrap();
    for (name, tokenizers) in [("gpt2", gpt2()), ("neox", neox())] {
        let cases = golden[name].as_array().unwrap();
        assert!(cases.len() >= 60, "{name} has {} cases", cases.len());
        for (at, tokenizer) in tokenizers.iter().flatten().enumerate() {
            for case in cases {
                let text = case["text"].as_str().unwrap();
                let list = |key: &str| -> Vec<u32> { serde_json::from_value(case[key].clone()).unwrap() };
                let ids = tokenizer.encode(text).unwrap();
                assert_eq!(ids, list("ids"), "{name} {at}: {text:?}");
                assert_eq!(tokenizer.encode_plain(text).unwrap(), list("plain"), "{name} {at}: {text:?}");
                assert_eq!(tokenizer.decode(&ids, Special::Keep).unwrap(), case["decoded"].as_str().unwrap());
                assert_eq!(tokenizer.decode(&ids, Special::Skip).unwrap(), case["skipped"].as_str().unwrap());
            }
        }
    }
}
