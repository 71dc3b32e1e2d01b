//! What an evaluation leaves: a table, JSON, files.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use gptneo_eval::{About, Outcome, Page, PublishedModel, Score, file_name, samples};
use gptneo_runs::rfc3339;
use serde_json::{Value, json};

use super::shards::{speed, told};
use crate::args::MeasureArgs;
use crate::failure::Failure;
use crate::terminal;

/// A file that was written, and what it is.
pub(super) struct Written {
    pub(super) what: &'static str,
    pub(super) path: PathBuf,
}

/// The results, with what is published beside them where that was asked for.
pub(super) fn results(outcome: &Outcome, about: &About, published: Option<&PublishedModel>) -> Value {
    let mut found = gptneo_eval::results(outcome, about);
    if let Some(model) = published {
        found["published"] = json!(model.beside(outcome, about));
    }
    found
}

/// Writes the results, their page and, where they are wanted, samples.
pub(super) fn write(
    args: &MeasureArgs,
    outcome: &Outcome,
    about: &About,
    found: &Value,
) -> Result<Vec<Written>, Failure> {
    let Some(folder) = &args.output_path else { return Ok(Vec::new()) };
    let folder = folder.join(file_name(&about.model));
    fs::create_dir_all(&folder).map_err(|error| Failure::io("cannot make", &folder, &error))?;
    let stamp = stamp(about.began);
    let mut written = vec![
        Written { what: "results", path: folder.join(format!("results_{stamp}.json")) },
        Written { what: "report", path: folder.join(format!("report_{stamp}.html")) },
    ];
    write_whole(&written[0].path, &mut |out| {
        serde_json::to_writer_pretty(&mut *out, found)?;
        out.write_all(b"\n")
    })?;
    let mut page = Page::new(found);
    for task in &outcome.tasks {
        for sample in samples(task) {
            page.take(task.task.name(), sample.as_object().expect("a sample is an object"));
        }
    }
    write_whole(&written[1].path, &mut |out| out.write_all(page.html().as_bytes()))?;
    for task in outcome.tasks.iter().filter(|_| args.log_samples) {
        let path = folder.join(format!("samples_{}_{stamp}.jsonl", file_name(task.task.name())));
        write_whole(&path, &mut |out| samples(task).try_for_each(|sample| writeln!(out, "{sample}")))?;
        written.push(Written { what: "samples", path });
    }
    for file in written.iter().filter(|file| file.what != "samples") {
        terminal::say(&format!("{}", file.path.display()));
    }
    Ok(written)
}

pub(super) fn tell(args: &MeasureArgs, outcome: &Outcome, about: &About, found: &Value) -> Result<(), Failure> {
    for task in &outcome.tasks {
        for note in &task.notes {
            terminal::warn(&format!("{}: {note}", task.task.name()));
        }
    }
    if args.json {
        return terminal::json(found);
    }
    terminal::line(&table(outcome, about))?;
    match found.get("published") {
        Some(published) => terminal::line(&beside(published)),
        None => Ok(()),
    }
}

/// Published scores beside ours.
fn beside(published: &Value) -> String {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let rows = published["scores"].as_array().into_iter().flatten();
    let mut shown_rows =
        vec![["task", "metric", "ours", "published", "difference", "±", ""].map(str::to_owned).to_vec()];
    let number = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), shown);
    let mut sources = Vec::new();
    for row in rows {
        let source = format!("{}: {}, {}", text(row, "table"), text(row, "source"), text(row, "measured"));
        if !sources.contains(&source) {
            sources.push(source);
        }
        shown_rows.push(vec![
            text(row, "task"),
            text(row, "metric"),
            number(&row["ours"]),
            text(row, "printed"),
            number(&row["difference"]),
            number(&row["standard_error"]),
            format!("{} ({})", text(row, "words"), text(row, "table")),
        ]);
    }
    if shown_rows.len() == 1 {
        return format!("\nnothing that is published of {} was measured", text(published, "model"));
    }
    let table = terminal::columns(&shown_rows, &[false, false, true, true, true, true, false]);
    format!("\npublished of {}\n{table}\n{}", text(published, "model"), sources.join("\n"))
}

/// Fills a file.
type Fill<'a> = dyn FnMut(&mut dyn Write) -> std::io::Result<()> + 'a;

/// Writes a file beside its place and moves it there when it is whole.
pub(super) fn write_whole(path: &Path, fill: &mut Fill<'_>) -> Result<(), Failure> {
    let beside = PathBuf::from(format!("{}.part", path.display()));
    let failed = |error: std::io::Error| Failure::io("cannot write", path, &error);
    let mut out = BufWriter::new(fs::File::create(&beside).map_err(failed)?);
    fill(&mut out).map_err(failed)?;
    let file = out.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    fs::rename(&beside, path).map_err(failed)
}

/// The table that people read.
fn table(outcome: &Outcome, about: &About) -> String {
    let heading = ["task", "n-shot", "filter", "metric", "", "value", "±", "n"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    let row = |name: String, shots: String, score: &Score| {
        let better = if score.higher_is_better { "↑" } else { "↓" }.to_owned();
        let error = score.standard_error.map_or_else(|| "-".to_owned(), shown);
        vec![
            name,
            shots,
            score.filter.clone(),
            score.metric.clone(),
            better,
            shown(score.value),
            error,
            score.count.to_string(),
        ]
    };
    for group in &outcome.groups {
        rows.extend(
            group.scores.iter().map(|score| row(format!("{} (group)", group.group.name()), String::new(), score)),
        );
    }
    for task in &outcome.tasks {
        for (at, score) in task.scores.iter().enumerate() {
            let first = |text: String| if at == 0 { text } else { String::new() };
            rows.push(row(first(task.task.name().to_owned()), first(task.num_fewshot.to_string()), score));
            let same = |clean: &&Score| clean.metric == score.metric && clean.filter == score.filter;
            if let Some(clean) = task.contamination.iter().flat_map(|found| &found.clean).find(same) {
                let named = Score { metric: format!("{} (clean)", clean.metric), ..clean.clone() };
                rows.push(row(String::new(), String::new(), &named));
            }
        }
    }
    let mut text = terminal::columns(&rows, &[false, true, false, false, false, true, true, true]);
    let detail = |name: &str| about.model_details.get(name).and_then(|value| value.as_str()).unwrap_or("?");
    text += &format!(
        "\n{}: weights {}, cache {}; {:.1} s",
        about.model,
        detail("model_dtype"),
        detail("cache_dtype_k"),
        about.seconds
    );
    for task in &outcome.tasks {
        let source = &task.source;
        let part =
            if task.measured < task.documents { format!("the first {} of ", task.measured) } else { String::new() };
        text += &format!("\n{}: {part}{} documents of {}", task.task.name(), task.documents, source.split);
        if let Some(head) = &task.head {
            text += &format!("; by {head}");
        }
        if let Some(protocol) = task.task.protocol() {
            text += &format!("; {protocol}");
        }
        for (what, judge) in &task.judged {
            let told = |name: &str| judge.get(name).and_then(|value| value.as_str());
            let name = told("file").or(told("model")).unwrap_or_default();
            let label = told("label").map_or_else(String::new, |label| format!("#{label}"));
            let (kind, gives) = (told("kind").unwrap_or("?"), told("gives").unwrap_or("?"));
            text += &format!("; {what} by {kind} {name}{label} ({gives})");
        }
        if let Some(found) = &task.contamination {
            text += &format!("; {}; looked for: {}", told(found), found.query);
        }
    }
    if let Some(scanned) = &outcome.scanned {
        text += &format!(
            "\nclean: without documents that stand in the shards; {}; {} of text, {}",
            scanned.settings.protocol(),
            terminal::size(scanned.text_bytes),
            speed(scanned.speed())
        );
    }
    text
}

/// A number of a score as the table has it.
pub(super) fn shown(value: f64) -> String {
    if value.abs() < 1e6 { format!("{value:.4}") } else { format!("{value:.3e}") }
}

/// A moment as file names have it: 2026-11-27T20-00-00.
fn stamp(seconds: f64) -> String {
    rfc3339(seconds).trim_end_matches('Z').replace(':', "-")
}
