//! The model that is built in.

use super::runner::{Program, gptneo};

#[test]
fn a_story_is_told_without_any_model_on_the_machine() {
    let told = Program::new(["run", "Once upon a time", "--seed", "1", "-n", "60", "--json"])
        .env("HOME", "/nowhere")
        .env("HF_HOME", "/nowhere")
        .run();
    let said = told.json();
    let text = said["text"].as_str().unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(words.len() >= 25, "{text}");
    // A story has persons and names them more than once; noise does not.
    let common = ["the", "a", "was", "to", "and", "he", "she", "they", "named", "little", "her", "his"];
    let known = words.iter().filter(|word| common.contains(&word.trim_matches(',').to_lowercase().as_str())).count();
    assert!(known * 5 >= words.len(), "{text}");
    let named = gptneo(["run", "-m", "pocket", "Once upon a time", "--seed", "1", "-n", "60", "--json"]).json();
    assert_eq!(named["tokens"], said["tokens"]);
}

#[test]
fn it_is_small_and_knows_its_stories() {
    let shown = gptneo(["show", "pocket", "--json"]).json();
    assert_eq!(shown["family"], "gpt_neo");
    assert!(shown["stored_bytes"].as_u64().unwrap() <= 8_000_000, "{shown}");
    let text =
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park with her friends.";
    let score = |text: &str| {
        let said = gptneo(["score", "--text", text, "--json"]).json();
        said["bits_per_byte"].as_f64().unwrap()
    };
    let (story, noise) = (score(text), score("Quarterly depreciation schedules supersede amortisation tables."));
    assert!(story < 0.6 && noise > 2.0 * story, "{story} bits per byte of a story, {noise} of something else");
}

#[test]
fn it_can_be_written_down_and_taught() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pocket.gguf");
    let written = Program::new(["convert", "-o"]).arg(&file).run();
    assert_eq!(written.code, Some(0), "{}", written.stderr);
    let tokens = |model: &str| {
        gptneo(["run", "-m", model, "The cat", "--temp", "0", "-n", "12", "--json"]).json()["tokens"].clone()
    };
    assert_eq!(tokens(file.to_str().unwrap()), tokens("pocket"));

    let data = folder.path().join("cats.jsonl");
    let lines = (0..8).map(|i| format!("{{\"prompt\": \"Cat {i}?\", \"response\": \" Meow.\"}}\n"));
    std::fs::write(&data, lines.collect::<String>()).unwrap();
    let flags =
        ["finetune", "-m", "pocket", "--lora=2", "--held-out", "0", "--epochs", "1", "--seq", "16", "--json", "-o"];
    let report = Program::new(flags).arg(folder.path().join("run")).arg(&data).run().json();
    let adapter = report["checkpoint"].as_str().unwrap();
    let said = gptneo(["run", "--lora", adapter, "Cat 3?", "-n", "4", "--json"]).json();
    assert!(said["completion_tokens"].as_u64().unwrap() > 0);
}
