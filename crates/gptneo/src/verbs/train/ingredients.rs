//! What a recipe names: the first weights, the tokenizer, and the shards, which are made here where it names texts.

use gptneo_corpus::{Job, Learning, Source};
use gptneo_model::{Classifier, Config, FreshHead, shapes};
use gptneo_text::Tokenizer;
use gptneo_text::shards::{Amount, write_whole};
use gptneo_train::recipe::{Part, Start};
use gptneo_train::{Data, Examples, First, Recipe};

use crate::args::RunFlags;
use crate::failure::Failure;
use crate::open::{self, Opened};
use crate::terminal;
use crate::verbs::World;
use crate::verbs::data::{self, Bar};

use super::responses;

/// Tokens in a shard that is made here.
const SHARD_TOKENS: u64 = 100_000_000;

/// Everything a run needs beside the machine.
pub(super) struct Ingredients {
    /// With the folders of the shards.
    pub(super) recipe: Recipe,
    pub(super) config: Config,
    pub(super) model: Model,
    pub(super) examples: Box<dyn Examples>,
    pub(super) tokenizer: Option<Tokenizer>,
    /// The tokenizer's files.
    pub(super) extra: Vec<(String, Vec<u8>)>,
}

/// The first weights.
pub(super) enum Model {
    Random(First<'static>),
    Given(Box<Opened>),
}

impl Model {
    /// The body under a new head, where the recipe names labels.
    pub(super) fn under_head<'a>(&'a self, recipe: &Recipe, config: &Config) -> Option<FreshHead<'a>> {
        let classifier = config.classifier.clone().filter(|_| !recipe.model.labels.is_empty())?;
        match self {
            Model::Random(_) => None,
            Model::Given(opened) => Some(FreshHead::new(opened.source(), classifier, recipe.seed)),
        }
    }

    /// The weights that a run begins with; `head` is [`Model::under_head`].
    pub(super) fn first<'a>(&'a self, head: Option<&'a FreshHead<'a>>) -> First<'a> {
        match (self, head) {
            (_, Some(head)) => First::Weights(head),
            (Model::Random(First::Random(how)), None) => First::Random(*how),
            (Model::Random(First::Weights(source)), None) => First::Weights(*source),
            (Model::Given(opened), None) => First::Weights(opened.source()),
        }
    }
}

impl Ingredients {
    /// Finds or makes them.
    pub(super) fn gather(mut recipe: Recipe, flags: &RunFlags, world: &World) -> Result<Self, Failure> {
        let random = || Model::Random(First::Random(recipe.model.init));
        let (config, model) = match &recipe.model.start {
            Start::Weights(name) => {
                let opened = open::open(Some(name), &flags.hub, world.environment, &world.interrupt)?;
                (opened.config().clone(), Model::Given(Box::new(opened)))
            }
            Start::Shape(name) => {
                let names = || shapes::names().collect::<Vec<_>>().join(", ");
                let unknown = || Failure::bad_file(format!("`model.shape` is {name}; known are {}", names()));
                (shapes::config(name).ok_or_else(unknown)?, random())
            }
            Start::ConfigFile(path) => (gptneo_model::read_config(path)?, random()),
            Start::Config(json) => {
                let bad = |error| Failure::bad_file(format!("`model.config`: {error}"));
                (Config::from_json(json.as_bytes()).map_err(bad)?, random())
            }
        };
        let config = if recipe.model.labels.is_empty() {
            config
        } else {
            let bad = |error| Failure::bad_file(format!("`model.labels`: {error}"));
            config.classifying(Classifier::classes(recipe.model.labels.clone()).map_err(bad)?)
        };
        let tokenizer = match (&recipe.model.tokenizer, &model) {
            (Some(name), _) => Some(open::tokenizer(Some(name), &flags.hub, world.environment, &world.interrupt)?),
            (None, Model::Given(opened)) => opened.tokenizer()?,
            (None, Model::Random(_)) => None,
        };
        let mut tokenizer = tokenizer;
        if !recipe.data.sources.is_empty() {
            tokenizer = Some(shards(&mut recipe, tokenizer, flags, world)?);
        }
        let (examples, vocab): (Box<dyn Examples>, usize) = if recipe.data.examples.is_empty() {
            let data = Data::open(&recipe.data, recipe.seed)?;
            let vocab = data.vocab_size();
            (Box::new(data), vocab)
        } else {
            let Some(tokenizer) = &tokenizer else {
                return Err(
                    Failure::usage("`data.examples` needs a tokenizer").hint("set model.tokenizer to its folder")
                );
            };
            (
                {
                    let labels = config.classifier.as_ref().map_or(&[][..], Classifier::labels);
                    Box::new(responses::read(&recipe, labels, tokenizer, flags, world)?)
                },
                tokenizer.vocab_size(),
            )
        };
        if vocab > config.vocab {
            return Err(Failure::usage(format!(
                "the text has ids up to {}, but the model knows {} tokens",
                vocab - 1,
                config.vocab
            ))
            .hint("tokenize with the model's tokenizer, or set the vocabulary in `model.config`"));
        }
        recipe.count_steps(examples.pass()).map_err(|error| Failure::usage(error.to_string()))?;
        if recipe.sample.every > 0 && tokenizer.is_none() {
            return Err(Failure::usage("`sample.every` needs a tokenizer").hint("set model.tokenizer to its folder"));
        }
        let extra = tokenizer.as_ref().map_or_else(Vec::new, |tokenizer| {
            let file = |name: &str, text: String| (name.to_owned(), text.into_bytes());
            vec![file("tokenizer.json", tokenizer.json()), file("tokenizer_config.json", tokenizer.config_json())]
        });
        Ok(Self { recipe, config, model, examples, tokenizer, extra })
    }
}

/// Makes shards of the recipe's texts in the folder of the run, or finds them there.
fn shards(
    recipe: &mut Recipe,
    tokenizer: Option<Tokenizer>,
    flags: &RunFlags,
    world: &World,
) -> Result<Tokenizer, Failure> {
    let sources = data::find(&recipe.data.sources, None, &flags.hub, world)?;
    let workers = data::workers(flags.machine.threads, world)?;
    let _heeded = world.interrupt.heed();
    let tokenizer = match tokenizer {
        Some(tokenizer) => tokenizer,
        None => learned(recipe, &sources, workers, world)?,
    };
    let folder = recipe.output.join("data");
    let held_out_ppm = (recipe.data.held_out_fraction * 1e6).round() as u32;
    let bar = Bar::new("tokenizing", &sources);
    let job = Job {
        sources,
        tokenizer: tokenizer.clone(),
        output: folder.clone(),
        format: None,
        field: "text".to_owned(),
        shard_tokens: SHARD_TOKENS,
        held_out_ppm,
        workers,
        resume: true,
        cancel: Some(world.interrupt.flag()),
    };
    gptneo_corpus::tokenize(&job, &bar)?;
    recipe.data.train = vec![Part { path: folder.clone(), amount: Amount::Epochs(1000) }];
    recipe.data.held_out = if held_out_ppm > 0 { vec![folder] } else { Vec::new() };
    Ok(tokenizer)
}

/// A vocabulary learned from the texts, kept in the folder of the run.
fn learned(recipe: &Recipe, sources: &[Source], workers: usize, world: &World) -> Result<Tokenizer, Failure> {
    let folder = recipe.output.join("tokenizer");
    let file = folder.join("tokenizer.json");
    if file.exists() {
        return Ok(Tokenizer::open(&folder)?);
    }
    let Some(vocab) = recipe.data.vocab else {
        return Err(Failure::usage("`data.sources` needs a tokenizer").hint(
            "set model.tokenizer to its folder, or data.vocab to the size of one that is learned from the texts",
        ));
    };
    let bar = Bar::new("counting words", sources);
    let learning = Learning {
        sources: sources.to_vec(),
        field: "text".to_owned(),
        vocab_size: u32::try_from(vocab).unwrap_or(u32::MAX),
        least: 2,
        workers,
        cancel: Some(world.interrupt.flag()),
    };
    let tokenizer = gptneo_corpus::learn(&learning, &bar)?.tokenizer;
    drop(bar);
    std::fs::create_dir_all(&folder)
        .map_err(|error| Failure::io("cannot create", &folder, &error).within("the tokenizer"))?;
    // The tokenizer's own file last: where it is, the other is too.
    write_whole(&folder.join("tokenizer_config.json"), tokenizer.config_json().as_bytes())?;
    write_whole(&file, tokenizer.json().as_bytes())?;
    let size = tokenizer.vocab_size();
    if (size as u64) < vocab {
        terminal::warn(&format!(
            "the vocabulary has only {size} tokens: the texts have no more pairs that stand twice"
        ));
    }
    Ok(tokenizer)
}
