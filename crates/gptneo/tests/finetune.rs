//! `gptneo finetune` as a user runs it: a base model is trained, then taught something else.
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on says so by its panic")]

mod runner;

use std::fs;
use std::path::PathBuf;

use runner::{Outcome, Program, gptneo};
use tempfile::TempDir;

/// A folder with a small model of hens and eggs.
struct World {
    folder: TempDir,
    base: String,
}

impl World {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let line = |i: u32| format!("{{\"text\": \"the {} hen laid {} eggs\"}}\n", i % 7, i % 5);
        fs::write(folder.path().join("hens.jsonl"), (0..200).map(line).collect::<String>()).unwrap();
        let recipe = format!(
            "name = \"base\"\nseed = 3\noutput = {:?}\n[model.config]\nmodel_type = \"gpt_neo\"\nvocab_size = 280\n\
             hidden_size = 32\nnum_layers = 2\nnum_heads = 2\nattention_types = [[[\"global\", \"local\"], 1]]\nwindow_size = 8\n\
             max_position_embeddings = 48\n[data]\nsources = [{:?}]\nvocab = 280\nsequence = 32\n\
             [batch]\nsequences = 8\nmicro = 8\n[schedule]\nsteps = 100\nwarmup = 5\n[optimizer]\nlr = 0.005\n",
            folder.path().join("base"),
            folder.path().join("hens.jsonl")
        );
        let path = folder.path().join("recipe.toml");
        fs::write(&path, recipe).unwrap();
        let report = gptneo(["train", path.to_str().unwrap(), "--json"]).json();
        let base = report["checkpoint"].as_str().unwrap().to_owned();
        Self { folder, base }
    }

    /// A file beside the model.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Questions about eggs, and an answer in words that the model has seen but not in this order.
    fn questions(&self) -> PathBuf {
        let line = |i: u32| {
            format!("{{\"prompt\": \"day {}: the {} hen laid\", \"response\": \" eggs the hen\"}}\n", i % 40, i % 7)
        };
        self.file("questions.jsonl", &(0..280).map(line).collect::<String>())
    }

    fn finetune(&self, data: &PathBuf, name: &str) -> Program {
        let output = self.folder.path().join(name);
        Program::new(["finetune", "-m", &self.base, "--seed", "1", "-o"]).arg(output).arg(data)
    }
}

fn with(program: Program, flags: &[&str]) -> Program {
    flags.iter().fold(program, |program, flag| program.arg(*flag))
}

fn answers(model: &[&str]) -> usize {
    let right = |i: u32| {
        let prompt = format!("day 9: the {i} hen laid");
        let flags = [&["run", prompt.as_str(), "--temp", "0", "-n", "8"][..], model].concat();
        let outcome = gptneo(flags);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.text().trim().starts_with("eggs the hen")
    };
    (0..7).filter(|i| right(*i)).count()
}

#[test]
fn an_adapter_learns_answers_and_leaves_the_model_as_it_is() {
    let world = World::new();
    let before = fs::read(PathBuf::from(&world.base).join("model.safetensors")).unwrap();
    let flags = ["--lora=8", "--epochs", "12", "--lr", "0.006", "--batch", "16", "--seq", "48", "--json"];
    let outcome = with(world.finetune(&world.questions(), "adapted"), &flags).run();
    let report = outcome.json();
    let adapter = report["checkpoint"].as_str().unwrap();
    assert_eq!(report["base"].as_str(), Some(world.base.as_str()));
    assert!(PathBuf::from(adapter).join("adapter_model.safetensors").exists());
    let log = fs::read_to_string(world.folder.path().join("adapted/log.jsonl")).unwrap();
    let evaluations: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|line| line["event"] == "evaluation")
        .map(|line| line["bits_per_byte"].as_f64().unwrap())
        .collect();
    let (first, last) = (evaluations[0], *evaluations.last().unwrap());
    assert!(last < 0.7 * first, "held-out bits per byte {first} before, {last} after");
    assert_eq!(answers(&["-m", &world.base]), 0);
    let right = answers(&["-m", &world.base, "--lora", adapter]);
    assert!(right >= 6, "{right} of 7 are right");
    assert_eq!(before, fs::read(PathBuf::from(&world.base).join("model.safetensors")).unwrap());
    let stderr = with(world.finetune(&world.questions(), "adapted"), &flags).run().stderr;
    assert!(stderr.contains("--resume auto"), "{stderr}");
}

#[test]
fn whole_models_learn_conversations_and_text() {
    let world = World::new();
    let turns = |i: u32| {
        format!(
            "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{}, hen {}?\"}}, {{\"role\": \"assistant\", \"content\": \"{} eggs\"}}]}}\n",
            i % 40,
            i % 7,
            i % 7
        )
    };
    let chats = world.file("chats.jsonl", &(0..280).map(turns).collect::<String>());
    let flags = ["--chat-template", "plain", "--epochs", "8", "--lr", "0.005", "--seq", "48", "--json"];
    let report = with(world.finetune(&chats, "chat"), &flags).run().json();
    let model = report["checkpoint"].as_str().unwrap();
    let program = Program::new(["chat", "-m", model, "--chat-template", "plain", "--temp", "0", "-n", "8"]);
    let said = program.stdin("9, hen 3?\n").run();
    assert_eq!(said.text().trim(), "3 eggs", "{}", said.stderr);

    let tale = world.file("tale.txt", &"figs grow on the old tree. ".repeat(60));
    let flags = ["--epochs", "60", "--lr", "0.005", "--seq", "32", "--json"];
    let report = with(world.finetune(&tale, "tale"), &flags).run().json();
    let model = report["checkpoint"].as_str().unwrap();
    let said = gptneo(["run", "-m", model, "figs grow on", "--temp", "0", "-n", "12"]);
    assert!(said.text().contains("the old tree"), "{}", said.text());
}

#[test]
fn lines_with_labels_make_a_classifier() {
    let world = World::new();
    let line = |i: u32| {
        let (what, label) = if i.is_multiple_of(2) { ("eggs", "food") } else { ("the hen", "bird") };
        format!("{{\"text\": \"day {}: {what}\", \"label\": \"{label}\"}}\n", i / 2)
    };
    let data = world.file("labels.jsonl", &(0..240).map(line).collect::<String>());
    let flags = ["--epochs", "6", "--lr", "0.003", "--batch", "16", "--seq", "32", "--json"];
    let report = with(world.finetune(&data, "classes"), &flags).run().json();
    assert!(report["held_out_accuracy"].as_f64().unwrap() > 0.9, "{report}");
    let model = report["checkpoint"].as_str().unwrap();
    let label = |text: &str, more: &[&str]| {
        gptneo([&["score", "--text", text, "--json"][..], more].concat()).json()["label"].clone()
    };
    assert_eq!(label("day 7: eggs", &["-m", model]), "food");
    assert_eq!(label("day 7: the hen", &["-m", model]), "bird");
    let refused = gptneo(["run", "-m", model, "day"]);
    assert_ne!(refused.code, Some(0), "a classifier writes no text");

    let flags = ["--lora=4", "--epochs", "12", "--lr", "0.01", "--batch", "16", "--seq", "32", "--json"];
    let report = with(world.finetune(&data, "adapter"), &flags).run().json();
    assert!(report["held_out_accuracy"].as_f64().unwrap() > 0.9, "{report}");
    let adapter = report["checkpoint"].as_str().unwrap();
    // PEFT's layout has no place for names; the first in order is `bird`.
    assert_eq!(label("day 7: the hen", &["-m", &world.base, "--lora", adapter]), "LABEL_0");
    let again = with(world.finetune(&data, "adapter"), &[&flags[..], &["--resume", "auto"]].concat()).run();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}

#[test]
fn the_flags_make_a_recipe_that_train_takes() {
    let world = World::new();
    let questions = world.questions();
    let flags = ["--lora", "--lora-targets", "q_proj,v_proj", "--epochs", "2", "--print-recipe"];
    let printed = with(world.finetune(&questions, "by-recipe"), &flags).run();
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    for line in ["rank = 8", "targets = [\"q_proj\", \"v_proj\"]", "epochs = 2.0", "held_out_fraction = 0.05"] {
        assert!(printed.text().contains(line), "{line} is not in {}", printed.text());
    }
    let recipe = world.file("printed.toml", printed.text());
    let report = Program::new(["train"]).arg(&recipe).arg("--json").run().json();
    assert_eq!(report["name"], "finetune");
    let again = Program::new(["train"]).arg(&recipe).arg("--resume").arg("auto").run();
    assert_eq!(again.code, Some(0), "{}", again.stderr);
}

#[test]
fn what_cannot_be_learned_is_refused_with_its_code() {
    let world = World::new();
    let questions = world.questions();
    let refused = |data: &PathBuf, flags: &[&str], code: i32, words: &str| {
        let Outcome { code: found, stderr, .. } = with(world.finetune(data, "refused"), flags).run();
        assert_eq!(found, Some(code), "{flags:?}: {stderr}");
        assert!(stderr.contains(words), "{flags:?}: {stderr}");
    };
    refused(&questions, &["--lora", "--lora-targets", "c_attn"], 2, "q_proj");
    refused(&questions, &["--lora-alpha", "3"], 2, "--lora");
    refused(&questions, &["--lora=0"], 2, "adapter.rank");
    refused(&questions, &["--chat-template", "pigeon"], 2, "chatml");
    refused(&questions, &["--held-out", "1.5"], 2, "held_out_fraction");
    refused(&questions, &["--seq", "4096"], 2, "48 positions");
    refused(&questions, &["--seq", "2"], 2, "data.sequence");
    refused(&questions, &["--epochs", "0"], 2, "epochs");
    refused(&questions, &["--set", "adapter.ran=1"], 2, "adapter.rank");
    let chat = world.file("chat.jsonl", "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}\n");
    refused(&chat, &[], 4, "chat template");
    let few = world.file("few.jsonl", "{\"prompt\": \"a\", \"response\": \"b\"}\n");
    refused(&few, &[], 2, "held out");
    let broken = world.file("broken.jsonl", "{\"prompt\": \"a\", \"response\": \"b\"}\n{\"prompt\": \"a\"}\n");
    refused(&broken, &["--held-out", "0"], 4, "line 2");
    let text = world.file("text.txt", "words");
    refused(&text, &[questions.to_str().unwrap()], 2, "together");
    refused(&world.folder.path().join("nowhere.jsonl"), &[], 3, "nowhere.jsonl");
}
