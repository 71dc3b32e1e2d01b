//! Tokenizers: broken files are refused when text is asked for, and by name.

use std::path::Path;

use serde_json::json;

use super::Table;
use super::runner::Program;

pub(super) fn add(table: &mut Table) {
    let mut with = |name: &str, change: &dyn Fn(&Path), says| {
        let dir = table.changed(&format!("tokenizer-{}", table.cases.len()), |dir| change(dir));
        table.add(format!("tokenizer {name}"), Program::new(["run", "-n", "2", "-p", "a", "-m"]).arg(dir), 4, says);
    };
    let vocab = |text: &'static str| move |dir: &Path| std::fs::write(dir.join("vocab.json"), text).unwrap();
    with("vocab empty", &vocab(""), "vocab.json");
    with("vocab a list", &vocab("[1]"), "vocab.json");
    with("vocab with a negative id", &vocab("{\"a\": -1}"), "vocab.json");
    with("vocab with a huge id", &vocab("{\"a\": 4294967296}"), "vocab.json");
    with("vocab with an id twice", &vocab("{\"a\": 1, \"b\": 1}"), "id 1 is claimed by both");
    with("vocab nested", &|dir| std::fs::write(dir.join("vocab.json"), "[".repeat(200_000)).unwrap(), "vocab.json");
    with("merges missing", &|dir| std::fs::remove_file(dir.join("merges.txt")).unwrap(), "merges.txt");
    with("merge of unknown tokens", &|dir| std::fs::write(dir.join("merges.txt"), "q qqq\n").unwrap(), "merge");
    with("merge of three", &|dir| std::fs::write(dir.join("merges.txt"), "a b c\n").unwrap(), "merges.txt");
    with("merges not UTF-8", &|dir| std::fs::write(dir.join("merges.txt"), b"a \xff\n").unwrap(), "merges.txt");
    let whole = |text: String| move |dir: &Path| std::fs::write(dir.join("tokenizer.json"), &text).unwrap();
    with("json empty", &whole(String::new()), "tokenizer.json");
    with("json cut", &whole("{\"model\": {\"type\": \"BPE\"".into()), "tokenizer.json");
    with("json without model", &whole("{}".into()), "tokenizer.json");
    with(
        "json of another kind",
        &whole(json!({"model": {"type": "Unigram", "vocab": []}}).to_string()),
        "tokenizer.json",
    );
    with("json nested", &whole("{\"a\":".repeat(100_000)), "tokenizer.json");

    let mut tokenize = |name: &str, args: &[&str], stdin: &[u8], code, says| {
        let program = Program::new(["tokenize", "-m"]).arg(table.model()).stdin(stdin);
        let program = args.iter().fold(program, |program, arg| program.arg(*arg));
        table.add(format!("tokenize {name}"), program, code, says);
    };
    tokenize("text that is no UTF-8", &[], b"ab\xff", 4, "standard input is not UTF-8 text: the byte at offset 2");
    tokenize("a byte without token", &[], "é".as_bytes(), 2, "the vocabulary has no token for byte");
    tokenize("an id without token", &["--decode"], b"1 110", 2, "id 110 has no token");
    tokenize("a huge id", &["--decode"], b"4294967296", 2, "is not a token id");
    tokenize("words for ids", &["--decode"], b"hello", 2, "`hello` is not a token id");
    tokenize("a fraction for an id", &["--decode"], b"[1.5]", 2, "is not a token id");
    tokenize("JSON without tokens", &["--decode"], b"{\"text\": \"a\"}", 2, "tokens");
    let bare = super::runner::golden("gpt_neo");
    table.add(
        "tokenize without tokenizer",
        Program::new(["tokenize", "-m"]).arg(bare).stdin("a"),
        4,
        "no tokenizer in",
    );
    table.add("tokenize random", Program::new(["tokenize", "-m", "random:gpt2"]).stdin("a"), 2, "has no tokenizer");
}
