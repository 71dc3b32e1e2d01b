//! Adapters: what is saved is PEFT's directory and no model, what is resumed ends with the same bits, what is learned helps.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::{Adapter, Config};
use gptneo_runs::Event;
use gptneo_text::{Example, WordCounts};
use gptneo_train::files::Disk;
use gptneo_train::{Ended, Examples, Named, Responses, Resume};

use crate::world::{CONFIG, Outcome, World};

const ADAPTER: [&str; 6] = [
    "adapter.rank=2",
    "adapter.dropout=0.1",
    "adapter.targets=[\"q_proj\", \"c_fc\"]",
    "optimizer.lr=0.02",
    "schedule.steps=24",
    "evaluation.at_start=true",
];

/// Held-out bits per byte, by step.
fn bits(outcome: &Outcome) -> Vec<(u64, f64)> {
    let bits = |event: &Event| match event {
        Event::Evaluation(evaluation) => {
            let bits = evaluation.values.iter().find(|(name, _)| name == "bits_per_byte");
            bits.map(|(_, bits)| (evaluation.step, *bits))
        }
        _ => None,
    };
    outcome.events.iter().filter_map(bits).collect()
}

#[test]
fn an_adapter_is_saved_alone_and_resumed_to_the_same_bits() {
    let world = World::new();
    world.run(&world.recipe("base", &[]), Resume::Never).ended.unwrap();
    for background in ["checkpoint.background=true", "checkpoint.background=false"] {
        let set = [&ADAPTER[..], &[background]].concat();
        let whole = world.recipe_from("base", &format!("whole-{background}"), &set);
        let outcome = world.run(&whole, Resume::Never);
        outcome.ended.as_ref().unwrap();
        let found = bits(&outcome);
        assert_eq!(found.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [0, 6, 12, 18, 24]);
        assert!(found[4].1 < found[0].1, "it learns: {found:?}");

        let name = format!("cut-{background}");
        let recipe = world.recipe_from("base", &name, &set);
        let stop = AtomicBool::new(true);
        for _ in 0..2 {
            // Asked to stop before the first step, nothing is saved; the second time it runs to the end.
            let cut = world.run_with(&recipe, Resume::Auto, Arc::new(Disk), &stop, None);
            assert!(
                matches!(cut.ended, Ok(Ended::Stopped { step: 0 }) | Ok(Ended::Finished { .. })),
                "{:?}",
                cut.ended
            );
            stop.store(false, Ordering::SeqCst);
        }
        // The newest checkpoint is lost: the run goes back to the one before.
        std::fs::remove_dir_all(world.last_checkpoint(&name)).unwrap();
        world.run(&recipe, Resume::Auto).ended.unwrap();
        assert_eq!(world.log(&name), world.log(&format!("whole-{background}")));
        assert_eq!(world.last(&name), world.last(&format!("whole-{background}")));
    }
    let folder = world.last_checkpoint("whole-checkpoint.background=true");
    assert!(!folder.join("model.safetensors").exists() && !folder.join("config.json").exists());
    let device = Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap();
    let adapter = Adapter::open(&device, &folder, &Config::from_json(CONFIG.as_bytes()).unwrap()).unwrap();
    assert_eq!(adapter.iter().count(), 4, "two matrices in two layers");
    let base = adapter.settings().base.as_deref().unwrap();
    assert_eq!(base, world.last_checkpoint("base").to_str().unwrap());
}

/// Prompts that name a letter and responses that repeat it.
fn parrot(from: u8, count: u8) -> Vec<Named> {
    // Ids of bytes are below 256: the letters are shifted into the small vocabulary.
    let tokenizer = WordCounts::new().learn(257, 2).unwrap();
    let example = |n: u8| {
        let letter = char::from(b'!' + (from + n) % 6);
        Example::of_prompt(&tokenizer, &letter.to_string(), &letter.to_string().repeat(3)).unwrap()
    };
    (0..count).map(|n| (example(n), format!("line {n}"))).collect()
}

#[test]
fn responses_are_learned_and_a_run_goes_on_with_the_same_examples_alone() {
    let world = World::new();
    let config = CONFIG.replace("\"vocab_size\": 40", "\"vocab_size\": 257");
    let responses = |hash: &str| -> Box<dyn Examples> {
        Box::new(Responses::new(parrot(0, 60), parrot(3, 6), 12, 7, hash.to_owned()).unwrap().0)
    };
    let recipe = world.recipe("parrot", &["schedule.steps=60", "evaluation.every=60", "evaluation.at_start=true"]);
    let run = |examples, resume| {
        let stop = AtomicBool::new(false);
        world.run_config(&config, &recipe, resume, &stop, examples)
    };
    let outcome = run(responses("a"), Resume::Never);
    outcome.ended.as_ref().unwrap();
    let found = bits(&outcome);
    assert!(found[1].1 < 0.3 * found[0].1, "{found:?}");
    let error = run(responses("b"), Resume::Auto).ended.unwrap_err().to_string();
    assert!(error.contains("other data"), "{error}");
}
