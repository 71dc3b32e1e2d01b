//! `gptneo eval stereoset`: scores of predictions that are in a file.

use gptneo_eval::stereoset::{Gold, PROTOCOL, Predictions, Scored, evaluate};

use crate::args::StereosetArgs;
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &StereosetArgs) -> Result<(), Failure> {
    let gold = Gold::read(&args.gold)?;
    let predictions = Predictions::read(&args.predictions)?;
    let found = evaluate(&gold, &predictions, args.bootstrap_iters)
        .map_err(|why| Failure::bad_file(format!("{}: {why}", args.predictions.display())))?;
    for note in &found.notes {
        terminal::warn(note);
    }
    if args.json {
        return terminal::json(&found.json());
    }
    let heading = ["", "domain", "terms", "triples", "ss", "±", "lms", "±", "icat", "±"].map(str::to_owned).to_vec();
    let mut rows = vec![heading];
    for row in &found.rows {
        let mut cells = vec![row.kind.clone(), row.domain.clone(), row.terms.to_string(), row.triples.to_string()];
        for Scored { value, standard_error } in [row.ss, row.lms, row.icat] {
            cells.push(format!("{value:.2}"));
            cells.push(standard_error.map_or_else(|| "-".to_owned(), |error| format!("{error:.2}")));
        }
        rows.push(cells);
    }
    let right = [false, false, true, true, true, true, true, true, true, true];
    terminal::line(&format!("{}\n{PROTOCOL}", terminal::columns(&rows, &right)))
}
