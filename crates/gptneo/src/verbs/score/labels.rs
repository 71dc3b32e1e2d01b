//! `gptneo score` of a classifier: its labels for a text, with their probabilities.

use gptneo_device::PAGE;
use gptneo_engine::Classification;
use gptneo_kernels::Cpu;
use gptneo_model::{Adapter, Classifier, Config};
use gptneo_text::Tokenizer;
use serde::Serialize;

use super::{Input, SHOWN};
use crate::args::ScoreArgs;
use crate::failure::Failure;
use crate::head::{self, Parts};
use crate::open::Opened;
use crate::terminal;
use crate::verbs::World;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    model: &'a str,
    tokens: &'a [u32],
    labels: &'a [String],
    logits: &'a [f32],
    /// Null where the one logit is a value.
    probs: Option<&'a [f64]>,
    /// The likeliest; null likewise.
    label: Option<&'a str>,
    /// Of a regression.
    value: Option<f32>,
}

/// What classifies: a model, its processor, and an adapter that it has or that makes it a classifier.
pub(super) struct Subject<'a> {
    pub(super) opened: &'a Opened,
    pub(super) cpu: Cpu,
    pub(super) adapter: Option<&'a Adapter>,
}

pub(super) fn run(
    args: &ScoreArgs,
    subject: Subject<'_>,
    input: &Input,
    tokenizer: Option<Tokenizer>,
    world: &World,
) -> Result<(), Failure> {
    let Subject { opened, cpu, adapter } = subject;
    if args.top.is_some() {
        return Err(Failure::usage(format!("--top asks for likely tokens, and {} has labels alone", opened.name)));
    }
    let count = match (input, &tokenizer) {
        (Input::Tokens(ids), _) => ids.len(),
        (Input::Text(_), None) => return Err(gptneo_engine::ScoreError::NoTokenizer.into()),
        (Input::Text(text), Some(tokenizer)) => tokenizer.encode(text)?.len(),
    };
    if count == 0 {
        return Err(Failure::usage("the text is empty: there is nothing to classify"));
    }
    let parts = Parts { opened, adapter, model: &args.model, machine: &args.machine };
    let (mut engine, beside) = head::engine(&parts, cpu, tokenizer, |context| count.min(context) + PAGE, world)?;
    let mut scorer = engine.scorer(beside)?;
    let found = match input {
        Input::Text(text) => scorer.classify_text(text)?,
        Input::Tokens(ids) => scorer.classify_tokens(ids)?,
    };
    let classifier = engine.spec().classifier.as_ref().expect("what classified is a classifier");
    if args.json { terminal::json(&report(&opened.name, classifier, &found)) } else { table(classifier, &found) }
}

/// Whether labels are what the model tells, with this adapter.
pub(super) fn has_labels(config: &Config, adapter: Option<&Adapter>) -> bool {
    config.classifier.is_some() || adapter.is_some_and(|adapter| adapter.score().is_some())
}

fn report<'a>(model: &'a str, classifier: &'a Classifier, found: &'a Classification) -> Report<'a> {
    Report {
        model,
        tokens: &found.tokens,
        labels: classifier.labels(),
        logits: &found.logits,
        probs: found.probabilities.as_deref(),
        label: found.label().map(|label| classifier.labels()[label].as_str()),
        value: found.probabilities.is_none().then(|| found.logits[0]),
    }
}

/// The likeliest label first.
fn table(classifier: &Classifier, found: &Classification) -> Result<(), Failure> {
    let labels = classifier.labels();
    let Some(probabilities) = &found.probabilities else {
        return terminal::line(&format!("{}  {:.4}", labels[0], found.logits[0]));
    };
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|&a, &b| found.logits[b].total_cmp(&found.logits[a]));
    let mut rows = vec![["label", "probability", "logit"].map(str::to_owned).to_vec()];
    rows.extend(order.iter().take(SHOWN).map(|&label| {
        vec![labels[label].clone(), format!("{:.4}", probabilities[label]), format!("{:.4}", found.logits[label])]
    }));
    terminal::line(&terminal::columns(&rows, &[false, true, true]))?;
    match labels.len().checked_sub(SHOWN) {
        Some(more @ 1..) => terminal::line(&format!("... {more} more; --json has them all")),
        _ => Ok(()),
    }
}
