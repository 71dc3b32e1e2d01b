//! `gptneo runs compare`.

use gptneo_runs::{Store, Summary};

use super::value;
use crate::args::CompareRunsArgs;
use crate::failure::Failure;
use crate::terminal;

/// Letters of a setting that are shown side by side.
const LONGEST: usize = 40;

pub(super) fn run(args: &CompareRunsArgs, store: &Store) -> Result<(), Failure> {
    let mut ids = Vec::new();
    for wanted in &args.runs {
        ids.push(store.find(wanted)?.id);
    }
    let comparison = store.compare(&ids)?;
    if args.json {
        return terminal::json(&comparison);
    }
    let right = |columns: usize| -> Vec<bool> { (0..=columns).map(|column| column > 0).collect() };
    let names = comparison.runs.iter().map(|run| terminal::harmless(&run.name));
    let head = |what: &str| -> Vec<String> { std::iter::once(what.to_owned()).chain(names.clone()).collect() };
    let absent = || "-".to_owned();

    let mut rows = vec![head("setting")];
    for row in &comparison.differences {
        let cells = row.values.iter().map(|cell| cell.as_deref().map_or_else(absent, shortened));
        rows.push(std::iter::once(row.name.clone()).chain(cells).collect());
    }
    if rows.len() == 1 {
        terminal::line("no setting is different")?;
    } else {
        terminal::line(&terminal::columns(&rows, &vec![false; ids.len() + 1]))?;
    }
    terminal::line(&format!("{} settings are the same", comparison.same))?;

    let mut rows = vec![head("last value")];
    let shown = |summary: &Summary| format!("{} (step {})", value(summary.last), terminal::grouped(summary.last_step));
    for row in &comparison.metrics {
        let cells = row.values.iter().map(|cell| cell.as_ref().map_or_else(absent, shown));
        rows.push(std::iter::once(row.name.clone()).chain(cells).collect());
    }
    terminal::line("")?;
    terminal::line(&terminal::columns(&rows, &right(ids.len())))
}

/// A setting on one line, cut where it is long; --json has the whole.
fn shortened(text: &str) -> String {
    let text = terminal::harmless(text).replace('\n', " ");
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST - 3).chain("...".chars()).collect()
}
