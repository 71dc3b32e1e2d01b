//! `gptneo run --preset`.

use std::path::Path;

use super::runner::{Outcome, Program, gptneo};

const STORY: &str = r#"
title = "A story"
group = "Write"
description = "Goes on with a story."
template = "{{beginning}}{{name}} was {{how}}."
[settings]
temperature = 0.0
max_tokens = 7
stop = ["\n"]
[[fields]]
name = "name"
label = "Name"
kind = "line"
[[fields]]
name = "beginning"
label = "Beginning"
kind = "text"
[[fields]]
name = "how"
label = "How"
kind = "choice"
choices = ["happy", "sad"]
"#;

fn story(folder: &Path) -> Program {
    std::fs::write(folder.join("story.toml"), STORY).unwrap();
    Program::new(["run", "--json", "--preset", "story", "--presets"]).arg(folder)
}

fn refused(outcome: &Outcome, words: &str) {
    assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
    assert!(outcome.stderr.contains(words), "{}", outcome.stderr);
}

#[test]
fn tells_what_there_is() {
    let listed = gptneo(["run", "--preset", "list"]);
    for words in ["summary", "Summarise: Summarise a text", "text (PROMPT)", "tone (polite | friendly | brief | firm)"]
    {
        assert!(listed.text().contains(words), "{}", listed.text());
    }
    let folder = tempfile::tempdir().unwrap();
    story(folder.path());
    let more = Program::new(["run", "--preset", "list", "--presets"]).arg(folder.path()).run();
    assert!(more.text().contains("Write: A story") && more.text().contains("code-explain"), "{}", more.text());
}

#[test]
fn fills_the_text_and_brings_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let told = story(folder.path()).args(["Once upon a time ", "--set", "name=Lily", "--set", "how=sad"]).run().json();
    let plain = |text: &str, n: &str| gptneo(["run", text, "--temp", "0", "-n", n, "--stop", "\\n", "--json"]).json();
    assert_eq!(told["tokens"], plain("Once upon a time Lily was sad.", "7")["tokens"]);
    assert_eq!(told["completion_tokens"], 7);
    // Flags say more than the preset; a choice that is not made is the first; a prompt may come on standard input.
    let piped = story(folder.path()).args(["--set", "name=Tom", "-n", "3"]).stdin("One day {{name}}\n").run().json();
    assert_eq!(piped["tokens"], plain("One day {{name}}Tom was happy.", "3")["tokens"]);
    let set = story(folder.path()).args(["--set", "beginning=One day {{name}}", "--set", "name=Tom", "-n", "3"]);
    assert_eq!(set.stdin("not read").run().json()["tokens"], piped["tokens"]);
}

#[test]
fn says_what_is_missing_or_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let with = |args: &[&str]| story(folder.path()).args(args.iter().copied()).run();
    refused(&with(&["Once"]), "wants a value for `name` (Name)");
    refused(&with(&["--set", "name=x"]), "wants a value for `beginning`");
    refused(&with(&["Once", "--set", "name=x", "--set", "how=blue"]), "is one of: happy, sad");
    refused(&with(&["Once", "--set", "name=x", "--set", "colour=blue"]), "its fields are: name, beginning, how");
    refused(&with(&["Once", "--set", "beginning=x", "--set", "name=y"]), "no second value for `beginning`");
    refused(&with(&["Once", "--set", "name"]), "--set name names no field");
    refused(&gptneo(["run", "--preset", "sonnet", "x"]), "there is no preset `sonnet`");
    refused(&gptneo(["run", "x", "--set", "a=b"]), "--preset");
    std::fs::write(folder.path().join("bad.toml"), "title = 1").unwrap();
    let bad = with(&["Once", "--set", "name=x"]);
    assert_eq!(bad.code, Some(4), "{}", bad.stderr);
    assert!(bad.stderr.contains("bad.toml"), "{}", bad.stderr);
}

#[test]
fn the_card_of_a_model_is_shown() {
    let card = gptneo(["show", "pocket", "--card"]);
    assert!(card.text().starts_with("# Model card: pocket"), "{}", card.text());
    assert_eq!(gptneo(["show", "pocket", "--json"]).json()["card"], "built in (--card prints it)");
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model.gguf");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("pocket/pocket.gguf"), &model).unwrap();
    let none = Program::new(["show", "--card"]).arg(&model).run();
    assert!(none.code == Some(3) && none.stderr.contains("has no card"), "{}", none.stderr);
    std::fs::write(folder.path().join("README.md"), "# Mine\n").unwrap();
    assert_eq!(Program::new(["show", "--card"]).arg(&model).run().text(), "# Mine\n");
}
