//! `gptneo runs feedback`: what people said of answers, as the owner of the store sees it.

use std::io::{BufWriter, Write};
use std::path::Path;

use gptneo_runs::{Asked, Feedback, FeedbackForm, Store, now};

use super::ago;
use crate::args::FeedbackRunsArgs;
use crate::failure::{Failure, Kind};
use crate::terminal;

/// Entries read at once.
const AT_ONCE: usize = 64;
/// Characters of a text in the table.
const SHOWN: usize = 48;

/// The same for a store that is not there yet.
pub(super) fn nothing(args: &FeedbackRunsArgs, path: &Path) -> Result<(), Failure> {
    match args.json {
        true => terminal::json(&Vec::<Feedback>::new()),
        false => terminal::line(&format!("no feedback yet in {}", path.display())),
    }
}

pub(super) fn run(args: &FeedbackRunsArgs, store: &mut Store) -> Result<(), Failure> {
    if let Some(path) = &args.export {
        export(store, path, args.form(), args.force)?;
    }
    if let Some(id) = args.delete {
        if !store.delete_feedback(None, id)? {
            return Err(Failure::usage(format!("there is no feedback {id}")));
        }
        return terminal::line(&format!("deleted feedback {id}"));
    }
    if args.clear {
        let deleted = store.clear_feedback(None)?;
        return terminal::line(&format!("deleted all feedback: {deleted} entries"));
    }
    if args.export.is_some() { Ok(()) } else { list(args, store) }
}

/// Writes every entry that has a line of this form, and says how many.
fn export(store: &Store, path: &Path, form: FeedbackForm, force: bool) -> Result<(), Failure> {
    if path.exists() && !force {
        return Err(Failure::new(Kind::Io, format!("{} exists already", path.display())).hint("--force replaces it"));
    }
    let failed = |error: std::io::Error| Failure::io("cannot write", path, &error);
    let mut file = BufWriter::new(std::fs::File::create(path).map_err(failed)?);
    let (mut after, mut entries, mut lines) = (0, 0, 0);
    loop {
        let page = store.feedback_after(None, after, AT_ONCE)?;
        for entry in &page.items {
            (after, entries) = (entry.id, entries + 1);
            if let Some(line) = entry.line(form) {
                writeln!(file, "{line}").map_err(failed)?;
                lines += 1;
            }
        }
        if !page.more {
            break;
        }
    }
    file.flush().map_err(failed)?;
    terminal::line(&format!("{}: {lines} lines of {entries} entries", path.display()))
}

fn list(args: &FeedbackRunsArgs, store: &Store) -> Result<(), Failure> {
    let mut items: Vec<Feedback> = Vec::new();
    while items.len() < args.limit {
        let before = items.last().map(|entry| entry.id);
        let page = store.feedback_before(None, before, args.limit - items.len())?;
        items.extend(page.items);
        if !page.more {
            break;
        }
    }
    if args.json {
        return terminal::json(&items);
    }
    if items.is_empty() {
        return terminal::line("no feedback");
    }
    let now = now();
    let mut rows =
        vec![["id", "when", "from", "kind", "model", "prompt", "response", "said"].map(str::to_owned).to_vec()];
    rows.extend(items.iter().map(|entry| row(entry, now)));
    terminal::line(&terminal::columns(&rows, &[true, true, false, false, false, false, false, false]))
}

fn row(entry: &Feedback, now: f64) -> Vec<String> {
    let said = &entry.said;
    let prompt = match &said.asked {
        Asked::Prompt(prompt) => prompt.as_str(),
        Asked::Messages(turns) => turns.last().map_or("", |turn| turn.content.as_str()),
    };
    let rating = said.rating.map(|rating| if i8::from(rating) > 0 { "good" } else { "bad" });
    let all = [rating, said.reason.as_deref(), said.better.as_deref(), said.note.as_deref()];
    let all: Vec<&str> = all.into_iter().flatten().collect();
    vec![
        entry.id.to_string(),
        ago(entry.when, now),
        short(said.client.as_deref().unwrap_or("-")),
        said.kind.name().to_owned(),
        short(&said.model),
        short(prompt),
        short(&said.response),
        short(&all.join("; ")),
    ]
}

/// A text in one short line.
fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut: String = line.chars().take(SHOWN).collect();
    terminal::harmless(&if cut.len() < line.len() { format!("{cut}…") } else { cut })
}
