//! The examples that a recipe names, read and tokenized.

use gptneo_corpus::{ExampleJob, ExampleSet, Placed};
use gptneo_text::{ChatTemplate, Tokenizer};
use gptneo_train::{Cut, Named, Recipe, Responses};

use crate::args::RunFlags;
use crate::failure::Failure;
use crate::input;
use crate::terminal;
use crate::verbs::World;
use crate::verbs::data::{self, Bar};

/// Reads them, and says aloud what was too long.
///
/// # Errors
/// Files that cannot be read, lines that are no examples, a template that is none.
pub(super) fn read(
    recipe: &Recipe,
    labels: &[String],
    tokenizer: &Tokenizer,
    flags: &RunFlags,
    world: &World,
) -> Result<Responses, Failure> {
    let sources = data::find(&recipe.data.examples, None, &flags.hub, world)?;
    let _heeded = world.interrupt.heed();
    let bar = Bar::new("tokenizing", &sources);
    let job = ExampleJob {
        sources,
        tokenizer: tokenizer.clone(),
        template: recipe.data.template.as_deref().map(|name| template(name, tokenizer)).transpose()?,
        labels: labels.to_vec(),
        held_out_ppm: (recipe.data.held_out_fraction * 1e6).round() as u32,
        workers: data::workers(flags.machine.threads, world)?,
        cancel: Some(world.interrupt.flag()),
    };
    let set = gptneo_corpus::examples(&job, &bar)?;
    drop(bar);
    let fingerprint = set.fingerprint();
    let ExampleSet { train, held_out, sources } = set;
    let named = |placed: Vec<Placed>| -> Vec<Named> {
        placed.into_iter().map(|p| (p.example, format!("{}:{}", sources[p.source], p.line))).collect()
    };
    let length = recipe.data.sequence;
    let (responses, cut) = Responses::new(named(train), named(held_out), length, recipe.seed, fingerprint)?;
    let Cut { shortened, dropped } = cut;
    let [train, held_out] = responses.counts();
    if shortened > 0 {
        terminal::warn(&format!("{shortened} examples are longer than {length} tokens and lose their end"));
    }
    if dropped > 0 {
        terminal::warn(&format!(
            "{dropped} examples have nothing to learn in their first {length} tokens and are left out"
        ));
    }
    if held_out == 0 && recipe.data.held_out_fraction > 0.0 {
        return Err(Failure::usage(format!(
            "of {train} examples none is held out to measure on, at a fraction of {}",
            recipe.data.held_out_fraction
        ))
        .hint("a larger held-out fraction, or 0 for none"));
    }
    terminal::say(&format!("{train} examples to learn from, {held_out} held out"));
    Ok(responses)
}

/// The form that a recipe names.
fn template(name: &str, tokenizer: &Tokenizer) -> Result<ChatTemplate, Failure> {
    if name == "model" {
        return ChatTemplate::of_tokenizer(tokenizer)?.ok_or_else(|| {
            Failure::usage("the tokenizer came without a chat template")
                .hint(format!("one of {}", ChatTemplate::names().collect::<Vec<_>>().join(", ")))
        });
    }
    let path = std::path::Path::new(name);
    let template = if ChatTemplate::names().all(|known| known != name) && path.exists() {
        let source = input::file(path)?;
        ChatTemplate::jinja(&source).map_err(|error| Failure::from(error).within(name))?
    } else {
        ChatTemplate::named(name)?
    };
    Ok(template.with_tokens_of(tokenizer))
}
