//! `gptneo eval report`: the page of an evaluation, from its files.

use gptneo_eval::{Page, Saved};

use super::output::write_whole;
use crate::args::ReportEvalArgs;
use crate::failure::{Failure, Kind};
use crate::terminal;

pub(super) fn run(args: &ReportEvalArgs) -> Result<(), Failure> {
    let saved = Saved::open(&args.results)?;
    let saved = if args.samples.is_empty() { saved } else { saved.with_samples(&args.samples)? };
    let at = args.output.display();
    let same =
        |path: &std::path::Path| path.canonicalize().ok().is_some_and(|p| args.output.canonicalize().ok() == Some(p));
    if same(&saved.path) || saved.tasks().filter_map(|task| saved.samples_file(task)).any(same) {
        return Err(Failure::usage(format!("{at} is read here, and cannot be the page")));
    }
    if args.output.exists() && !args.force {
        return Err(Failure::new(Kind::Io, format!("{at} exists already")).hint("--force replaces it"));
    }
    let mut page = Page::new(&saved.results);
    let mut without = Vec::new();
    for task in saved.tasks().filter(|task| !saved.is_group(task)) {
        if saved.samples_file(task).is_none() {
            without.push(task);
        }
        saved.samples(task, &mut |sample| {
            page.take(task, sample);
            Ok(())
        })?;
    }
    if !without.is_empty() {
        terminal::warn(&format!("no samples of {}: the page has scores alone of them", without.join(", ")));
    }
    write_whole(&args.output, &mut |out| out.write_all(page.html().as_bytes()))?;
    terminal::line(&format!("{at}"))
}
