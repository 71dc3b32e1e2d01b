//! `gptneo runs plot`: curves in the terminal, or as a file.

use std::path::Path;

use gptneo_runs::curve::{Axis, Place, smooth};
use gptneo_runs::plot::{Chart, Line};
use gptneo_runs::{Point, Run, Store};

use crate::args::{Against, PlotRunsArgs};
use crate::failure::{Failure, Kind};
use crate::terminal;
use crate::watch::curves;

/// Pixels of a file.
const PIXELS: (u32, u32) = (1_200, 700);
/// Lines of letters in a terminal.
const LINES: u16 = 24;

pub(super) fn run(args: &PlotRunsArgs, store: &Store) -> Result<(), Failure> {
    let chart = chart(args, store)?;
    let left_out = chart.left_out();
    if left_out > 0 {
        terminal::warn(&format!("{left_out} values are not drawn: not finite, or not positive on a logarithmic axis"));
    }
    let Some(path) = &args.output else {
        let (columns, _) = terminal::extent().unwrap_or((100, LINES));
        let narrow = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
        let width = args.width.map_or(columns, narrow).clamp(20, 400);
        let height = args.height.map_or(LINES, narrow).clamp(8, 200);
        return terminal::line(&curves::text(&chart, width, height, terminal::coloured_output()));
    };
    let (width, height) = (args.width.unwrap_or(PIXELS.0), args.height.unwrap_or(PIXELS.1));
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    let bytes = match extension.as_deref() {
        Some("svg") => chart.svg(width, height)?.into_bytes(),
        Some("png") => chart.png(width, height)?,
        _ => return Err(Failure::usage(format!("{}: name a file that ends in .svg or .png", path.display()))),
    };
    write(path, &bytes, args.force)?;
    terminal::line(&format!("{} ({})", path.display(), terminal::size(bytes.len() as u64)))
}

/// Writes a file that nobody else has; `force` replaces one.
pub(super) fn write(path: &Path, bytes: &[u8], force: bool) -> Result<(), Failure> {
    if path.exists() && !force {
        return Err(Failure::new(Kind::Io, format!("{} exists already", path.display())).hint("--force replaces it"));
    }
    std::fs::write(path, bytes).map_err(|error| Failure::io("cannot write", path, &error))
}

fn chart(args: &PlotRunsArgs, store: &Store) -> Result<Chart, Failure> {
    let mut lines = Vec::new();
    let runs = args.runs.iter().map(|wanted| store.find(wanted)).collect::<Result<Vec<_>, _>>()?;
    for run in &runs {
        for metric in &args.metric {
            let raw = places(args.against, store, run, store.series(run.id, metric)?)?;
            let label = match (runs.len(), args.metric.len()) {
                (_, 1) => run.name.clone(),
                (1, _) => metric.clone(),
                _ => format!("{} {metric}", run.name),
            };
            let smoothed = args.smooth > 0.0;
            let (points, behind) = if smoothed { (smooth(&raw, args.smooth), raw) } else { (raw, Vec::new()) };
            lines.push(Line { label, points, behind });
        }
    }
    let names = args.metric.join(", ");
    let title = match &runs[..] {
        [run] if args.metric.len() == 1 => format!("{}: {names}", run.name),
        [run] => run.name.clone(),
        _ => names.clone(),
    };
    let along = match args.against {
        Against::Step => "step",
        Against::Tokens => "tokens",
        Against::Time => "hours",
    };
    let axis = |label: &str, log| Axis { label: label.to_owned(), log };
    Ok(Chart { title, x: axis(along, args.log_x), y: axis(&names, args.log_y), lines })
}

/// The points of a metric on the axes.
fn places(against: Against, store: &Store, run: &Run, points: Vec<Point>) -> Result<Vec<Place>, Failure> {
    Ok(match against {
        Against::Step => points.iter().map(|point| (point.step as f64, point.value)).collect(),
        Against::Time => points.iter().map(|point| ((point.time - run.started) / 3_600.0, point.value)).collect(),
        Against::Tokens => {
            let tokens = store.series(run.id, "tokens")?;
            let at = |step: u64| {
                let after = tokens.partition_point(|point| point.step <= step);
                after.checked_sub(1).map(|index| tokens[index].value)
            };
            points.iter().filter_map(|point| Some((at(point.step)?, point.value))).collect()
        }
    })
}
