//! `gptneo data bpe`: a vocabulary learned from text.

use std::path::{Path, PathBuf};
use std::time::Instant;

use gptneo_corpus::Learning;
use gptneo_text::shards::write_whole;
use serde::Serialize;

use super::{Bar, plan};
use crate::args::BpeArgs;
use crate::failure::{Failure, Kind};
use crate::terminal;
use crate::verbs::World;

#[derive(Serialize)]
struct Report {
    path: String,
    vocab_size: usize,
    documents: u64,
    text_bytes: u64,
    distinct_words: usize,
    skipped: u64,
    seconds: f64,
}

pub(crate) fn run(args: &BpeArgs, world: &World) -> Result<(), Failure> {
    let files = files(&args.output, args.force)?;
    let plan = plan(&args.source, &args.hub, world)?;
    let begun = Instant::now();
    let _heeded = world.interrupt.heed();
    let bar = Bar::new("counting words", &plan.sources);
    let learning = Learning {
        sources: plan.sources,
        field: args.source.field.clone(),
        vocab_size: args.vocab_size,
        least: args.min_count,
        workers: plan.workers,
        cancel: Some(world.interrupt.flag()),
    };
    let learned = gptneo_corpus::learn(&learning, &bar)?;
    drop(bar);
    let tokenizer = &learned.tokenizer;
    write_whole(&files.tokenizer, tokenizer.json().as_bytes())?;
    if let Some(config) = &files.config {
        write_whole(config, tokenizer.config_json().as_bytes())?;
    }
    let size = tokenizer.vocab_size();
    if size < args.vocab_size as usize {
        terminal::warn(&format!("only {size} tokens: no other pair stands {} times in the text", args.min_count));
    }
    if learned.skipped > 0 {
        let skipped = terminal::grouped(learned.skipped);
        terminal::warn(&format!("{skipped} records have no text; `gptneo data tokenize` tells which and why"));
    }
    let path = args.output.display().to_string();
    if args.json {
        return terminal::json(&Report {
            path,
            vocab_size: size,
            documents: learned.documents,
            text_bytes: learned.text_bytes,
            distinct_words: learned.words,
            skipped: learned.skipped,
            seconds: begun.elapsed().as_secs_f64(),
        });
    }
    let (words, bytes) = (terminal::grouped(learned.words as u64), terminal::size(learned.text_bytes));
    let documents = terminal::grouped(learned.documents);
    terminal::line(&format!("{size} tokens from {bytes} in {documents} documents, {words} distinct words\n{path}"))
}

/// What is written.
struct Files {
    tokenizer: PathBuf,
    config: Option<PathBuf>,
}

/// The files to write; refused while nothing is lost if they are there.
fn files(output: &Path, force: bool) -> Result<Files, Failure> {
    let is_file = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) && !output.is_dir();
    let files = match is_file {
        true => Files { tokenizer: output.to_owned(), config: None },
        false => {
            std::fs::create_dir_all(output).map_err(|error| Failure::io("cannot make", output, &error))?;
            Files { tokenizer: output.join("tokenizer.json"), config: Some(output.join("tokenizer_config.json")) }
        }
    };
    let there = [Some(&files.tokenizer), files.config.as_ref()].into_iter().flatten().find(|path| path.exists());
    match there {
        Some(path) if !force => {
            let message = format!("{} exists", path.display());
            Err(Failure::new(Kind::Io, message).hint("--force replaces it, or name another file with -o"))
        }
        _ => Ok(files),
    }
}
