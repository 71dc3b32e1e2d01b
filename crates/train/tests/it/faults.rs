//! Settings that a model or a machine cannot do.

use std::sync::Arc;

use gptneo_device::Single;
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::{Classifier, Config, shapes};
use gptneo_train::files::Disk;
use gptneo_train::recipe::Initialisation;
use gptneo_train::{Data, First, Parts, Resume, TrainError, Trainer, plan, what_fits};

use crate::world::{CONFIG, Notes, World};

#[test]
fn a_sequence_beyond_the_positions_is_refused() {
    let world = World::new();
    let error = world.run(&world.recipe("long", &["data.sequence=25"]), Resume::Never).ended.unwrap_err();
    assert!(matches!(error, TrainError::Impossible(_)), "{error}");
    assert!(error.to_string().contains("25") && error.to_string().contains("24 positions"), "{error}");
}

#[test]
fn a_classifier_learns_nothing_from_text() {
    let world = World::new();
    let recipe = world.recipe("labels", &[]);
    let cpu = || Ok(Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap());
    let parts = Parts {
        device: cpu().unwrap(),
        ranks: Box::new(Single),
        examples: Box::new(Data::open(&recipe.data, recipe.seed).unwrap()),
        files: Arc::new(Disk),
        tokenizer: None,
        extra: Vec::new(),
        another_device: &mut || cpu(),
        scores: None,
        observer: &mut Notes::default(),
        peak: None,
    };
    let config = Config::from_json(CONFIG.as_bytes()).unwrap().classifying(Classifier::unnamed(3).unwrap());
    let first = First::Random(Initialisation::Transformers);
    let error = Trainer::new(recipe, config, first, Resume::Never, parts).err().unwrap();
    assert!(matches!(error, TrainError::Impossible(_)), "{error}");
    assert!(error.to_string().contains("the model is a classifier"), "{error}");
}

#[test]
fn the_plan_counts_state_and_copies_and_names_what_fits() {
    let world = World::new();
    let cpu = Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap();
    let config = shapes::config("gpt-neo-125m").unwrap();
    let set = ["data.sequence=256", "batch.sequences=16", "batch.micro=16"];
    let recipe = world.recipe("plan", &set);
    let whole = plan(&cpu, &config, &recipe, 1).unwrap();
    let weights = 4 * config.parameters();
    assert_eq!((whole.network.weights, whole.network.gradients, whole.optimizer), (weights, weights, 2 * weights));
    assert!(whole.copies >= 3 * weights, "{}", whole.copies);
    let sharded = plan(&cpu, &config, &recipe, 4).unwrap();
    assert!(sharded.optimizer.abs_diff(weights / 2) < 1024, "{}", sharded.optimizer);

    let (settings, bytes) = what_fits(&cpu, &config, &recipe, 1, whole.total() - 1).unwrap().unwrap();
    assert_eq!(settings, ["checkpoint.background=false"]);
    assert!(bytes < whole.total());
    let (settings, bytes) = what_fits(&cpu, &config, &recipe, 1, 5 * weights).unwrap().unwrap();
    assert!(settings.iter().any(|s| s.starts_with("batch.micro=")), "{settings:?}");
    let set: Vec<&str> = set.iter().copied().chain(settings.iter().map(String::as_str)).collect();
    assert_eq!(plan(&cpu, &config, &world.recipe("plan", &set), 1).unwrap().total(), bytes);
    assert_eq!(what_fits(&cpu, &config, &recipe, 1, weights).unwrap(), None);
    let tiny = Config::from_json(CONFIG.as_bytes()).unwrap();
    assert!(plan(&cpu, &tiny, &world.recipe("tiny", &[]), 1).unwrap().total() < 64 << 20);
}
