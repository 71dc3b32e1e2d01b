//! A folder with shards, and runs in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use gptneo_device::{Collective, Single};
use gptneo_kernels::{Cpu, CpuOptions};
use gptneo_model::Config;
use gptneo_runs::{Event, Observer};
use gptneo_text::shards::{Manifest, Settings, ShardWriter, SourceEntry, Split, Stamp, TokenizerEntry};
use gptneo_train::files::{Disk, Files};
use gptneo_train::log::without_clock;
use gptneo_train::recipe::{Initialisation, Start};
use gptneo_train::{Data, Ended, Examples, First, Parts, Recipe, Resume, TrainError, Trainer};
use tempfile::TempDir;

pub(crate) const VOCAB: u32 = 40;

/// What the tests train.
pub(crate) const CONFIG: &str = r#"{"model_type": "gpt_neo", "vocab_size": 40, "hidden_size": 16, "num_layers": 2,
    "num_heads": 2, "max_position_embeddings": 24, "window_size": 4, "attention_types": [[["global", "local"], 1]],
    "intermediate_size": 32, "activation_function": "gelu_new"}"#;

/// A folder with shards of a language of few sentences.
pub(crate) struct World {
    pub(crate) folder: TempDir,
}

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Vec<Event>);

impl Observer for Notes {
    fn observe(&mut self, event: &Event) {
        self.0.push(event.clone());
    }
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) ended: Result<Ended, TrainError>,
    pub(crate) events: Vec<Event>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        shards(&folder.path().join("shards"));
        Self { folder }
    }

    pub(crate) fn output(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn recipe(&self, name: &str, overrides: &[&str]) -> Recipe {
        self.recipe_of("config = \"config.json\"", name, overrides)
    }

    /// A recipe that begins with the last checkpoint of a run.
    pub(crate) fn recipe_from(&self, base: &str, name: &str, overrides: &[&str]) -> Recipe {
        self.recipe_of(&format!("from = {:?}", self.last_checkpoint(base)), name, overrides)
    }

    fn recipe_of(&self, model: &str, name: &str, overrides: &[&str]) -> Recipe {
        let (shards, output) = (self.folder.path().join("shards"), self.output(name));
        let text = format!(
            "name = \"test\"\nseed = 7\noutput = {output:?}\n[model]\n{model}\n[data]\ntrain = [{shards:?}]\n\
             held_out = [{shards:?}]\nsequence = 12\n[batch]\nsequences = 6\nmicro = 2\n[schedule]\nsteps = 12\nwarmup = 2\n\
             [optimizer]\nlr = 0.01\n[checkpoint]\nevery = 4\nkeep = 2\n[evaluation]\nevery = 6\n"
        );
        let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
        Recipe::parse(&text, &overrides).unwrap()
    }

    pub(crate) fn run(&self, recipe: &Recipe, resume: Resume) -> Outcome {
        self.run_with(recipe, resume, Arc::new(Disk), &AtomicBool::new(false), None)
    }

    pub(crate) fn run_with(
        &self,
        recipe: &Recipe,
        resume: Resume,
        files: Arc<dyn Files>,
        stop: &AtomicBool,
        examples: Option<Box<dyn Examples>>,
    ) -> Outcome {
        let examples = examples.unwrap_or_else(|| Box::new(Data::open(&recipe.data, recipe.seed).unwrap()));
        let mut notes = Notes::default();
        let ended = run_rank(recipe, resume, files, stop, examples, Box::new(Single), &mut notes);
        Outcome { ended, events: notes.0 }
    }

    /// A run of another architecture on examples.
    pub(crate) fn run_config(
        &self,
        config: &str,
        recipe: &Recipe,
        resume: Resume,
        stop: &AtomicBool,
        examples: Box<dyn Examples>,
    ) -> Outcome {
        let mut notes = Notes::default();
        let ended = run_of(config, recipe, resume, Arc::new(Disk), stop, examples, Box::new(Single), &mut notes);
        Outcome { ended, events: notes.0 }
    }

    /// The log of a run without its clock.
    pub(crate) fn log(&self, name: &str) -> String {
        without_clock(&std::fs::read_to_string(self.output(name).join("log.jsonl")).unwrap()).unwrap()
    }

    pub(crate) fn last_checkpoint(&self, name: &str) -> PathBuf {
        let steps = std::fs::read_dir(self.output(name).join("checkpoints")).unwrap().map(|e| e.unwrap().path());
        steps.max().unwrap()
    }

    /// Digests of the last checkpoint's files but the manifest.
    pub(crate) fn last(&self, name: &str) -> BTreeMap<String, String> {
        let files = std::fs::read_dir(self.last_checkpoint(name)).unwrap().map(|entry| entry.unwrap().path());
        files
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, gptneo_train::store::sha256_of(&path).unwrap())
            })
            // The log's length is a part of the state, and clock fields have as many digits as they have.
            .filter(|(name, _)| name != "manifest.json" && name != "state.json")
            .collect()
    }
}

pub(crate) fn run_rank(
    recipe: &Recipe,
    resume: Resume,
    files: Arc<dyn Files>,
    stop: &AtomicBool,
    examples: Box<dyn Examples>,
    ranks: Box<dyn Collective<Cpu>>,
    observer: &mut dyn Observer,
) -> Result<Ended, TrainError> {
    run_of(CONFIG, recipe, resume, files, stop, examples, ranks, observer)
}

#[expect(clippy::too_many_arguments, reason = "what a run is given")]
fn run_of(
    config: &str,
    recipe: &Recipe,
    resume: Resume,
    files: Arc<dyn Files>,
    stop: &AtomicBool,
    examples: Box<dyn Examples>,
    ranks: Box<dyn Collective<Cpu>>,
    observer: &mut dyn Observer,
) -> Result<Ended, TrainError> {
    let base = match &recipe.model.start {
        Start::Weights(folder) => Some(gptneo_model::open(Path::new(folder))?),
        _ => None,
    };
    let cpu = || Ok(Cpu::new(CpuOptions { threads: Some(1), isa: None }).unwrap());
    let parts = Parts {
        device: cpu()?,
        ranks,
        examples,
        files,
        tokenizer: None,
        extra: vec![("tokenizer_config.json".to_owned(), b"{}".to_vec())],
        another_device: &mut || cpu(),
        scores: None,
        observer,
        peak: None,
    };
    let first = base.as_ref().map_or(First::Random(Initialisation::Original), |source| First::Weights(source));
    Trainer::new(recipe.clone(), Config::from_json(config.as_bytes()).unwrap(), first, resume, parts)?.run(stop)
}

/// Sentences that count upwards in steps of one to three, which a small network learns soon.
fn shards(folder: &Path) {
    std::fs::create_dir_all(folder).unwrap();
    let hex = "07".repeat(32);
    let tokenizer = TokenizerEntry { sha256: hex, vocab_size: VOCAB, end_of_text: VOCAB - 1 };
    let settings = Settings { format: None, field: "text".into(), shard_tokens: 1000, held_out_ppm: 100_000 };
    let mut manifest = Manifest::new(tokenizer, settings);
    let sha256 = "0".repeat(64);
    let name = "counting.jsonl".to_owned();
    manifest.sources.push(SourceEntry { name, bytes: 0, sha256, documents: 0, text_bytes: 0, tokens: 0 });
    for (split, documents) in [(Split::Train, 60u32), (Split::HeldOut, 9)] {
        let mut writer = ShardWriter::create(&folder.join(split.shard(0)), VOCAB, [7; 32]).unwrap();
        for number in 0..documents {
            let stride = 1 + number % 3;
            let mut ids: Vec<u32> = (0..9 + number % 7).map(|i| (number + i * stride) % (VOCAB - 1)).collect();
            ids.push(VOCAB - 1);
            let text_bytes = 3 * ids.len() as u32;
            writer.push(&ids, Stamp { source: 0, record: u64::from(number) + 1, text_bytes }).unwrap();
        }
        let shard = writer.finish().unwrap();
        match split {
            Split::Train => manifest.train.push(shard),
            Split::HeldOut => manifest.held_out.push(shard),
        }
    }
    manifest.write(folder).unwrap();
}
