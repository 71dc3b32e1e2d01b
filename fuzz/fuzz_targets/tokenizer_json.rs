//! Tokenizers: any tokenizer.json, and any vocab.json and merges.txt with a 0xff between them. What is accepted must
//! encode and decode without loss and survive being written and read again.
#![no_main]

use gptneo_text::{Special, Tokenizer};
use libfuzzer_sys::fuzz_target;

const TEXT: &str = "hello world's é\u{301} 12  <|endoftext|>   漢🦙\r\n\n";

fuzz_target!(|data: &[u8]| {
    if let Ok(tokenizer) = Tokenizer::from_json(data) {
        check(&tokenizer);
    }
    if let Some(at) = data.iter().position(|&byte| byte == 0xff)
        && let Ok(tokenizer) = Tokenizer::from_bpe(&data[..at], &data[at + 1..])
    {
        check(&tokenizer);
    }
});

fn check(tokenizer: &Tokenizer) {
    let again = Tokenizer::from_json(tokenizer.json().as_bytes()).expect("what was written is read");
    assert_eq!(again.vocab_size(), tokenizer.vocab_size());
    for text in [TEXT, "a", "hehehellollo"] {
        let Ok(ids) = tokenizer.encode(text) else { continue };
        assert_eq!(again.encode(text).expect("the same tokenizer"), ids);
        let mut stream = tokenizer.stream(Special::Keep);
        let mut sum = String::new();
        for &id in &ids {
            sum.push_str(stream.push(id).expect("an id that encoding gave"));
        }
        sum.push_str(stream.finish());
        assert_eq!(sum, tokenizer.decode(&ids, Special::Keep).expect("ids that encoding gave"));
        let _ = tokenizer.encode_plain(text);
    }
    if let Ok(parts) = tokenizer.gguf() {
        assert_eq!(parts.tokens.len(), tokenizer.vocab_size());
        let _ = Tokenizer::from_gguf(&parts.view());
    }
}
