//! `gptneo data tokenize`: text to token shards.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Instant;

use gptneo_corpus::Job;
use gptneo_text::Tokenizer;
use gptneo_text::shards::{Manifest, Skipped, SplitEntry};
use serde::Serialize;

use super::{Bar, plan};
use crate::args::TokenizeDataArgs;
use crate::failure::{Failure, Kind};
use crate::open;
use crate::terminal;
use crate::verbs::World;

/// More than any `tokenizer.json` has that is accepted.
const LONGEST_TOKENIZER: u64 = 256 << 20;

#[derive(Serialize)]
struct Report<'a> {
    output: String,
    train: Counts,
    held_out: Counts,
    sources: usize,
    skipped: &'a Skipped,
    skipped_examples: &'a [String],
    tokens_per_byte: f64,
    vocab_size: u32,
    tokenizer_sha256: &'a str,
    resumed_tokens: u64,
    seconds: f64,
    text_bytes_per_s: f64,
    tokens_per_s: f64,
}

#[derive(Serialize)]
struct Counts {
    tokens: u64,
    documents: u64,
    text_bytes: u64,
    shards: usize,
}

impl From<&SplitEntry> for Counts {
    fn from(split: &SplitEntry) -> Self {
        let SplitEntry { tokens, documents, text_bytes, shards } = split;
        Self { tokens: *tokens, documents: *documents, text_bytes: *text_bytes, shards: shards.len() }
    }
}

pub(crate) fn run(args: &TokenizeDataArgs, world: &World) -> Result<(), Failure> {
    let tokenizer = match &args.tokenizer {
        Some(path) => read_tokenizer(path)?,
        None => open::tokenizer(args.model.as_deref(), &args.hub, world.environment, &world.interrupt)?,
    };
    let plan = plan(&args.source, &args.hub, world)?;
    let _heeded = world.interrupt.heed();
    let bar = Bar::new("tokenizing", &plan.sources);
    let job = Job {
        sources: plan.sources,
        tokenizer,
        output: args.output.clone(),
        format: plan.format,
        field: args.source.field.clone(),
        shard_tokens: args.shard_tokens,
        held_out_ppm: args.held_out,
        workers: plan.workers,
        resume: args.resume,
        cancel: Some(world.interrupt.flag()),
    };
    let begun = Instant::now();
    let report = gptneo_corpus::tokenize(&job, &bar).map_err(|error| {
        let failure = Failure::from(error);
        if failure.kind() == Kind::Interrupted {
            failure.hint("the same command with --resume goes on")
        } else {
            failure
        }
    })?;
    drop(bar);
    let seconds = begun.elapsed().as_secs_f64();
    let Manifest { train, held_out, skipped, .. } = &report.manifest;
    let tokens = train.tokens + held_out.tokens;
    let text_bytes = train.text_bytes + held_out.text_bytes;
    let tokens_per_byte = tokens as f64 / text_bytes.max(1) as f64;
    // What an earlier run had done does not count for the rate.
    let tokens_per_s = (tokens - report.resumed_tokens) as f64 / seconds.max(1e-9);
    let text_bytes_per_s = tokens_per_s / tokens_per_byte.max(1e-9);
    tell_skipped(skipped, &report.examples);
    if args.held_out > 0 && held_out.documents == 0 {
        terminal::warn("no document was held out: there are too few, or the fraction is too small");
    }
    if args.json {
        return terminal::json(&Report {
            output: args.output.display().to_string(),
            train: train.into(),
            held_out: held_out.into(),
            sources: report.manifest.sources.len(),
            skipped,
            skipped_examples: &report.examples,
            tokens_per_byte,
            vocab_size: report.manifest.tokenizer.vocab_size,
            tokenizer_sha256: &report.manifest.tokenizer.sha256,
            resumed_tokens: report.resumed_tokens,
            seconds,
            text_bytes_per_s,
            tokens_per_s,
        });
    }
    let heading = ["split", "tokens", "documents", "text", "shards"].map(str::to_owned).to_vec();
    let rows = [heading, row("train", train), row("held-out", held_out)];
    let speed = match report.resumed_tokens == tokens {
        true => "it was complete already".to_owned(),
        false => format!(
            "{}/s, {} tokens/s",
            terminal::size(text_bytes_per_s as u64),
            terminal::grouped(tokens_per_s as u64)
        ),
    };
    let table = terminal::columns(&rows, &[false, true, true, true, true]);
    let place = args.output.display();
    terminal::line(&format!("{table}\n{tokens_per_byte:.4} tokens a byte; {speed}\n{place}"))
}

fn row(name: &str, split: &SplitEntry) -> Vec<String> {
    let SplitEntry { tokens, documents, text_bytes, shards } = split;
    let count = |number: u64| terminal::grouped(number);
    vec![name.to_owned(), count(*tokens), count(*documents), terminal::size(*text_bytes), count(shards.len() as u64)]
}

fn tell_skipped(skipped: &Skipped, examples: &[String]) {
    if skipped.total() == 0 {
        return;
    }
    let reasons = skipped.by_reason().into_iter().filter(|(_, count)| *count > 0);
    let reasons: Vec<String> =
        reasons.map(|(reason, count)| format!("{} {reason}", terminal::grouped(count))).collect();
    let total = terminal::grouped(skipped.total());
    terminal::warn(&format!("{total} records were left out: {}", reasons.join(", ")));
    for example in examples {
        terminal::say(&format!("  {example}"));
    }
}

/// A `tokenizer.json`, or the tokenizer of a directory.
pub(crate) fn read_tokenizer(path: &Path) -> Result<Tokenizer, Failure> {
    let within = |failure: Failure| failure.within(&path.display().to_string());
    if path.is_dir() {
        return Tokenizer::open(path).map_err(|error| within(error.into()));
    }
    let mut bytes = Vec::new();
    // Longer ones are refused in words by the reader.
    let read = File::open(path).and_then(|file| file.take(LONGEST_TOKENIZER).read_to_end(&mut bytes));
    read.map_err(|error| Failure::io("cannot read", path, &error))?;
    Tokenizer::from_json(&bytes).map_err(|error| within(error.into()))
}
