//! A small tokenizer of the line: all bytes, a few merges, runs of spaces, a control token and two holes.

use serde_json::{Value, json};

pub(crate) fn byte_chars() -> Vec<char> {
    let prints = |byte: &u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let moved: Vec<u32> = (0..256).filter(|byte| !prints(byte)).collect();
    let code = |byte: u32| moved.iter().position(|&b| b == byte).map_or(byte, |at| 256 + at as u32);
    (0..256).map(|byte| char::from_u32(code(byte)).unwrap()).collect()
}

pub(crate) fn json_value() -> Value {
    let mut vocab: Vec<String> = byte_chars().into_iter().map(String::from).collect();
    let merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "Ġ Ġ", "ĠĠ ĠĠ", "Ã ©", "ð Ł", "Ċ Ċ", "' s"];
    vocab.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    let entries = vocab.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    json!({
        "version": "1.0",
        "added_tokens": [
            {"id": 270, "content": "<|endoftext|>", "special": true, "normalized": false},
            {"id": 271, "content": "     ", "special": false, "normalized": true},
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
        "post_processor": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": Value::Object(entries), "merges": merges},
    })
}
