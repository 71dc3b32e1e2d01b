//! `tokenize`: there and back.

use super::runner::{Program, shared, with_tokenizer};

#[test]
fn ids_come_back_as_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt2", dir.path());
    let text = "the hat\nin a thin<|endoftext|> can \n";
    let encoded = Program::new(["tokenize", "-m"]).arg(&model).stdin(text).run();
    assert_eq!(encoded.code, Some(0), "{}", encoded.stderr);
    assert!(encoded.text().contains(" 111 "), "{}", encoded.text());
    let decode = Program::new(["tokenize", "--decode", "-m"]).arg(&model);
    assert_eq!(decode.clone().stdin(encoded.stdout).run().text(), text);
    let json = Program::new(["tokenize", "--json", "-m"]).arg(&model).stdin(text).run();
    assert_eq!(decode.clone().stdin(json.stdout.clone()).run().text(), text);
    assert_eq!(decode.arg("--json").stdin(json.stdout).run().json()["text"], text);
}

#[test]
fn special_tokens_can_be_plain_text() {
    let dir = tempfile::tempdir().unwrap();
    let model = with_tokenizer("gpt2", dir.path());
    let report =
        Program::new(["tokenize", "--json", "--no-special", "-m"]).arg(&model).stdin("<|endoftext|>").run().json();
    assert_eq!(report["count"].as_u64().unwrap(), report["tokens"].as_array().unwrap().len() as u64);
    assert!(report["count"].as_u64().unwrap() > 5);
}

#[test]
fn a_tokenizer_needs_no_weights() {
    let Some(dir) = shared("tokenizer/gpt2") else { return };
    let encoded = Program::new(["tokenize", "-m"]).arg(dir).stdin("Hello world").run();
    assert_eq!(encoded.text(), "15496 995\n");
}
