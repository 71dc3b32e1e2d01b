//! Token shards as `gptneo eval` looks through them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gptneo_eval::contamination::{Decontamination, Settings, TaskContamination};
use gptneo_eval::{Shards, Watch};
use gptneo_text::Tokenizer;

use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::{Progress, Unit};
use crate::terminal;
use crate::verbs::World;
use crate::verbs::data;

/// Opens folders of shards that this tokenizer made.
pub(super) fn open(
    folders: &[PathBuf],
    held_out: bool,
    tokenizer: Tokenizer,
    threads: Option<usize>,
    world: &World,
) -> Result<Shards, Failure> {
    Ok(Shards::open(folders, held_out, tokenizer, data::workers(threads, world)?)?)
}

/// Where documents of tasks are looked for, if that is asked for.
pub(super) fn decontamination(
    folders: &[PathBuf],
    tokenizer: Option<&Path>,
    own: &Tokenizer,
    threads: Option<usize>,
    world: &World,
) -> Result<Option<Decontamination>, Failure> {
    if folders.is_empty() {
        return Ok(None);
    }
    let tokenizer = tokenizer.map_or_else(|| Ok(own.clone()), data::read_tokenizer)?;
    let shards = open(folders, false, tokenizer, threads, world)?;
    Ok(Some(Decontamination { shards: Arc::new(shards), settings: Settings::default() }))
}

/// What was found of a task, in a line.
pub(super) fn told(found: &TaskContamination) -> String {
    let mut text = format!(
        "{} of {} documents stand in the shards ({:.1} %)",
        found.contaminated(),
        found.documents.len(),
        100.0 * found.share()
    );
    for (count, what) in [(found.too_short(), "too short to tell"), (found.only_common(), "with common words alone")] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

/// Bytes looked through a second.
pub(super) fn speed(bytes: f64) -> String {
    format!("{}/s", terminal::size(bytes as u64))
}

/// A bar over shards, then one over requests, and Ctrl-C.
pub(super) struct Bars<'a> {
    looking: &'static str,
    asking: &'static str,
    bar: Option<(&'static str, Progress)>,
    interrupt: &'a Interrupt,
}

impl<'a> Bars<'a> {
    pub(super) fn new(looking: &'static str, asking: &'static str, interrupt: &'a Interrupt) -> Self {
        Self { looking, asking, bar: None, interrupt }
    }

    fn at(&mut self, what: &'static str, unit: Unit, done: u64, total: u64) {
        if self.bar.as_ref().is_none_or(|(now, _)| *now != what) {
            self.bar = Some((what, Progress::new(what, total, unit)));
        }
        if let Some((_, bar)) = &mut self.bar {
            bar.of(total);
            bar.at(done);
        }
    }
}

impl Watch for Bars<'_> {
    fn answered(&mut self, done: usize, total: usize) {
        self.at(self.asking, Unit::Requests, done as u64, total as u64);
    }

    fn scanned(&mut self, bytes: u64, total: u64) {
        self.at(self.looking, Unit::Bytes, bytes, total);
    }

    fn stopped(&self) -> bool {
        self.interrupt.pressed()
    }
}
