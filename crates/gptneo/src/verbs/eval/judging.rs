//! The judges that flags name. Scorers of texts are frozen: local files, whose digests stand in results.

use gptneo_device::{CacheType, DType, PAGE};
use gptneo_engine::Engine;
use gptneo_eval::{Chosen, Judges, TextScorer, Vader, WordList};
use gptneo_text::shards::sha256_of;
use serde_json::{Map, Value, json};

use super::programs;
use crate::args::{HubArgs, LoraArgs, MeasureArgs, ModelArgs, SentimentScorer, ToxicityScorer};
use crate::failure::Failure;
use crate::head::{self, Parts};
use crate::load::cpu;
use crate::open::open;
use crate::verbs::World;

/// Reads what the flags name.
///
/// # Errors
/// A file that is none of its kind; a model that classifies nothing, or has no such label; programs that nothing can run.
pub(super) fn judges(args: &MeasureArgs, chosen: &[Chosen], world: &World) -> Result<Judges<'static>, Failure> {
    let mut judges = Judges::default();
    if let Some(runner) = programs::runner(args, chosen)? {
        judges.code = Some(Box::new(runner));
    }
    match &args.toxicity_scorer {
        None => {}
        Some(ToxicityScorer::Words(file)) => judges.toxicity = Some(Box::new(WordList::open(file)?)),
        Some(ToxicityScorer::Classifier { model, label }) => {
            let scorer = LabelScorer::open(model, label, args, world);
            judges.toxicity = Some(Box::new(scorer.map_err(|failure| failure.within("--toxicity-scorer"))?));
        }
    }
    if let Some(SentimentScorer::Vader(file)) = &args.sentiment_scorer {
        judges.sentiment = Some(Box::new(Vader::open(file)?));
    }
    Ok(judges)
}

/// A classifier in f32; a text's number is the probability of one label.
struct LabelScorer {
    engine: Engine,
    label: usize,
    described: Value,
}

impl LabelScorer {
    fn open(name: &str, label: &str, args: &MeasureArgs, world: &World) -> Result<Self, Failure> {
        // The revision is the measured model's.
        let hub = HubArgs { revision: None, ..args.hub.clone() };
        let opened = open(Some(name), &hub, world.environment, &world.interrupt)?;
        let Some(classifier) = &opened.config().classifier else {
            return Err(Failure::usage(format!("{name} is no classifier: it has no sequence classification head"))
                .hint("gptneo finetune on examples with labels, which makes one; or words:FILE"));
        };
        if classifier.is_value() {
            return Err(Failure::usage(format!("{name} tells a value of a text (regression), and no label")));
        }
        let labels = classifier.labels().to_vec();
        let place = labels.iter().position(|known| known == label).ok_or_else(|| {
            Failure::usage(format!("{name} has no label {label:?}; it has {}", labels.join(", ")))
                .hint(format!("classifier:{name}#{}", labels[0]))
        })?;
        let tokenizer = opened
            .tokenizer()?
            .ok_or_else(|| Failure::usage(format!("{name} has no tokenizer, and what it is to judge is text")))?;
        let mut files = Map::new();
        for path in opened.files() {
            let digest = std::fs::File::open(&path).and_then(|mut file| sha256_of(&mut file));
            let (digest, _) = digest.map_err(|error| Failure::io("cannot read", &path, &error))?;
            let file = path.file_name().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default();
            files.insert(file, json!(digest));
        }
        let described = json!({
            "kind": "classifier",
            "model": name,
            "label": label,
            "labels": labels,
            "dtype": "f32",
            "sha256": files,
            "gives": "the probability of the label",
        });
        let exact = ModelArgs {
            model: None,
            quant: Some(DType::F32),
            ctx_size: None,
            cache_type_k: Some(CacheType::F32),
            cache_type_v: Some(CacheType::F32),
            lora: LoraArgs::default(),
        };
        let parts = Parts { opened: &opened, adapter: None, model: &exact, machine: &args.machine };
        let device = cpu(&args.machine, world.environment)?;
        let (engine, _) = head::engine(&parts, device, Some(tokenizer), |context| context + PAGE, world)?;
        Ok(Self { engine, label: place, described })
    }
}

impl TextScorer for LabelScorer {
    fn described(&self) -> Value {
        self.described.clone()
    }

    /// A text beyond the classifier's context is an error, and never cut.
    fn score(&mut self, texts: &[&str]) -> Result<Vec<f64>, String> {
        let mut scorer = self.engine.scorer(None).map_err(|error| error.to_string())?;
        let mut probability = |text: &&str| {
            let found = scorer.classify_text(text).map_err(|error| error.to_string())?;
            let probabilities = found.probabilities.ok_or("it tells no label")?;
            probabilities.get(self.label).copied().ok_or_else(|| "it tells fewer labels than it has".to_owned())
        };
        texts.iter().map(&mut probability).collect()
    }
}
