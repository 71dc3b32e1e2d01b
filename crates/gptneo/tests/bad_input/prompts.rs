//! Prompts: too long, empty, of unknown ids, not text.

use super::Table;
use super::runner::{Program, golden};

pub(super) fn add(table: &mut Table) {
    let model = table.model();
    let bare = golden("gpt_neo");
    let many = |n: usize| vec!["1"; n].join(",");
    let run = |args: &[&str]| args.iter().fold(Program::new(["run", "-n", "2", "-m"]).arg(&model), |p, a| p.arg(*a));

    table.add("ids beyond the context", run(&["--tokens", &many(64)]), 2, "the prompt has 64 tokens");
    table.add("many ids", run(&["--tokens", &many(20_000)]), 2, "the prompt has 20000 tokens");
    table.add("text beyond the context", run(&["-p", &"x".repeat(100)]), 2, "the prompt has 100 tokens");
    table.add(
        "text beyond the context, by stdin",
        run(&[]).stdin("x".repeat(1 << 20)),
        2,
        "the prompt has 1048576 tokens",
    );
    table.add("text beyond -c", run(&["-c", "8", "-p", &"x".repeat(20)]), 2, "20 tokens");
    table.add("an id outside the vocabulary", run(&["--tokens", "1,112"]), 2, "names token id 112");
    table.add("the largest id", run(&["--tokens", "4294967295"]), 2, "names token id 4294967295");
    table.add("no ids", run(&["--tokens", ""]), 2, "--tokens names no token ids");
    table.add("ids that are none", run(&["--tokens", "[1,2"]), 2, "is not a token id");
    table.add("a byte without token", run(&["-p", "caf\u{e9}"]), 2, "no token for byte");
    table.add("stdin that is no text", run(&[]).stdin([0xC3, 0x28]), 4, "standard input is not UTF-8");
    let latin = table.write("latin1.txt", b"caf\xe9");
    table.add("file that is no text", run(&["-f"]).arg(latin), 4, "the byte at offset 3");
    let binary = table.write("binary.bin", [0u8, 159, 146, 150]);
    table.add("file of binary", run(&["-f"]).arg(binary), 4, "not UTF-8");
    table.add("file nowhere", run(&["-f", "./nowhere.txt"]), 3, "cannot read ./nowhere.txt: no such file");
    table.add("file is a directory", run(&["-f", "."]), 3, "it is a directory");
    let bare_run = |args: &[&str]| args.iter().fold(Program::new(["run", "-m"]).arg(&bare), |p, a| p.arg(*a));
    table.add("text without tokenizer", bare_run(&["-p", "a"]), 2, "needs a tokenizer");
    table.add("stop without tokenizer", bare_run(&["--tokens", "1", "--stop", "a"]), 2, "needs a tokenizer");
    table.add(
        "random model with text",
        Program::new(["run", "-p", "a", "-m", "random:pythia-14m"]),
        2,
        "needs a tokenizer",
    );

    let score = |args: &[&str]| args.iter().fold(Program::new(["score", "-m"]).arg(&model), |p, a| p.arg(*a));
    table.add("score ids beyond the context", score(&["--tokens", &many(65)]), 2, "65");
    table.add("score an id outside", score(&["--tokens", "1,112"]), 2, "112");
    table.add("score no ids", score(&["--tokens", ""]), 2, "--tokens names no token ids");
    table.add("score empty text", score(&["--text", ""]), 2, "empty");
    table.add("score a directory", score(&["--file", "."]), 3, "it is a directory");
    table.add("score a file nowhere", score(&["--file", "./nowhere"]), 3, "cannot read ./nowhere");
    let latin = table.write("latin1-score.txt", b"caf\xe9");
    table.add("score what is no text", score(&["--file"]).arg(latin), 4, "the byte at offset 3");
    let plain = Program::new(["score", "--text", "a", "-m"]).arg(&bare);
    table.add("score text without tokenizer", plain, 2, "needs a tokenizer");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let broken = std::ffi::OsString::from_vec(vec![b'a', 0xff]);
        table.add("argument that is no text", run(&["-p"]).arg(broken.clone()), 2, "invalid UTF-8");
        table.add("prompt that is no text", run(&[]).arg(broken.clone()), 2, "invalid UTF-8");
        table.add("model that is no text", Program::new(["run", "-p", "a", "-m"]).arg(broken), 2, "invalid UTF-8");
    }
    // Too large for any machine this runs on: refused before anything is made.
    let bench = |model: &str, more: &[&str]| more.iter().fold(Program::new(["bench", "-m", model]), |p, a| p.arg(*a));
    table.add("a context that no memory holds", bench("random:pythia-12b", &["--batch", "4096"]), 5, "memory");
    table.add("bench beyond the context", bench("random:pythia-14m", &["--prompt", "2048"]), 2, "2048");
    table.add("bench beyond -c", bench("random:pythia-14m", &["--prompt", "100", "-c", "100"]), 2, "context");
    let long = Program::new(["run", "-c", "65", "-n", "1", "--tokens", "1", "-m"]).arg(&model);
    table.add("-c beyond the model", long, 2, "64");
}
