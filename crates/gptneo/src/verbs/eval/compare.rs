//! `gptneo eval compare`: two evaluations beside each other.

use gptneo_eval::{Basis, Compared, Comparison, Saved, Side};

use super::output::shown;
use crate::args::CompareEvalArgs;
use crate::failure::Failure;
use crate::terminal;

pub(super) fn run(args: &CompareEvalArgs) -> Result<(), Failure> {
    let (a, b) = (Saved::open(&args.a)?, Saved::open(&args.b)?);
    let found = Comparison::of(&a, &b, args.resamples)?;
    if args.json {
        return terminal::json(&found);
    }
    if found.scores.is_empty() {
        terminal::warn("they have no score in common");
    }
    terminal::line(&terminal::harmless(&text(&found)))
}

fn text(found: &Comparison) -> String {
    let heading =
        ["task", "metric", "", "A", "B", "difference", "95 %", "p", "McNemar", "better", "same", "worse", "n"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(found.scores.iter().map(row));
    let right = [false, false, false, true, true, true, true, true, true, true, true, true, true];
    let mut text = terminal::columns(&rows, &right);
    let side = |name: &str, side: &Side| format!("\n{name}: {} ({})", side.model.as_deref().unwrap_or("?"), side.path);
    text += &side("A", &found.a);
    text += &side("B", &found.b);
    let paired = found.scores.iter().any(|score| matches!(score.basis, Basis::Paired(_)));
    if paired {
        text += &format!(
            "\nthe same documents of both: intervals and p by {} resamples; better, same, worse: B beside A, document by document",
            found.resamples
        );
    }
    let mut why: Vec<String> = Vec::new();
    for score in &found.scores {
        if let Basis::Unpaired(unpaired) = &score.basis {
            let said = format!("{}: not paired, from standard errors alone: {}", score.task, unpaired.why);
            if !why.contains(&said) {
                why.push(said);
            }
        }
    }
    for only in [("A", &found.only_a), ("B", &found.only_b)] {
        if !only.1.is_empty() {
            why.push(format!("only in {}: {}", only.0, only.1.join(", ")));
        }
    }
    why.iter().chain(&found.notes).for_each(|line| text += &format!("\n{line}"));
    text
}

fn row(score: &Compared) -> Vec<String> {
    let better = match score.higher_is_better {
        Some(true) => "↑",
        Some(false) => "↓",
        None => "",
    };
    let metric =
        if score.filter == "none" { score.metric.clone() } else { format!("{},{}", score.metric, score.filter) };
    let mut row = vec![score.task.clone(), metric, better.to_owned()];
    let none = || "-".to_owned();
    let range = |[low, high]: [f64; 2]| format!("{} to {}", signed(low), signed(high));
    match &score.basis {
        Basis::Paired(paired) => {
            row.extend([shown(paired.paired_a), shown(paired.paired_b), signed(paired.difference)]);
            row.extend([range(paired.interval), probability(paired.p)]);
            row.push(paired.mcnemar.as_ref().map_or_else(none, |test| probability(test.p)));
            row.extend([paired.wins, paired.ties, paired.losses, paired.count].map(|count| count.to_string()));
        }
        Basis::Unpaired(unpaired) => {
            row.extend([shown(score.a), shown(score.b), signed(unpaired.difference)]);
            row.push(unpaired.interval.map_or_else(none, range));
            row.push(unpaired.p.map_or_else(none, probability));
            row.extend(std::iter::repeat_with(none).take(5));
        }
    }
    row
}

fn signed(value: f64) -> String {
    if value.abs() < 1e6 { format!("{value:+.4}") } else { format!("{value:+.3e}") }
}

fn probability(p: f64) -> String {
    if p >= 0.001 { format!("{p:.3}") } else { format!("{p:.1e}") }
}
