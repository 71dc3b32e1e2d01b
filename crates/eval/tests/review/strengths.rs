//! Strengths and agreement against `fits.json`, which `fits.py` makes in other ways, and against what is known.

use gptneo_eval::review::{Measured, Metric, Preference, Report, alpha, bradley_terry};
use serde_json::Value;

use crate::world::{Dice, even, lines, report, sheet};

fn fits() -> Value {
    serde_json::from_str(include_str!("fits.json")).unwrap()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn table(fit: &Value) -> Vec<Vec<f64>> {
    fit["wins"].as_array().unwrap().iter().map(numbers).collect()
}

fn names(n: usize) -> Vec<String> {
    (0..n).map(|at| format!("s{at}")).collect()
}

#[track_caller]
fn near(found: &[f64], wanted: &[f64], within: f64) {
    assert_eq!(found.len(), wanted.len());
    assert!(found.iter().zip(wanted).all(|(f, w)| (f - w).abs() <= within), "{found:?} {wanted:?}");
}

#[test]
fn agrees_with_another_fit() {
    for fit in fits()["bradley_terry"].as_array().unwrap() {
        let wins = table(fit);
        near(&bradley_terry(&names(wins.len()), &wins).unwrap(), &numbers(&fit["strengths"]), 1e-9);
    }
}

#[test]
fn the_names_and_the_order_of_sources_do_not_matter() {
    let fit = &fits()["bradley_terry"][3];
    let (wins, wanted) = (table(fit), numbers(&fit["strengths"]));
    let n = wins.len();
    let turned: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| wins[n - 1 - i][n - 1 - j]).collect()).collect();
    let reversed: Vec<f64> = wanted.iter().rev().copied().collect();
    near(&bradley_terry(&names(n), &turned).unwrap(), &reversed, 1e-9);
    let lost: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| wins[j][i]).collect()).collect();
    let negated: Vec<f64> = wanted.iter().map(|s| -s).collect();
    near(&bradley_terry(&names(n), &lost).unwrap(), &negated, 1e-9);
}

#[test]
fn survives_strengths_that_are_far_apart() {
    let wins = vec![vec![0.0, 1e9, 0.0], vec![1.0, 0.0, 1e9], vec![0.0, 1.0, 0.0]];
    let gap = 1e9_f64.ln();
    near(&bradley_terry(&names(3), &wins).unwrap(), &[gap, 0.0, -gap], 1e-6);
}

#[test]
fn refuses_in_words_what_has_no_finite_strength() {
    let refused = |wins: &[&[f64]], wanted: &str| {
        let wins: Vec<Vec<f64>> = wins.iter().map(|row| row.to_vec()).collect();
        let error = bradley_terry(&names(wins.len()), &wins).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    };
    refused(&[&[0.0, 3.0], &[0.0, 0.0]], "`s0` never lost or tied against the others");
    refused(&[&[0.0, 0.0], &[0.0, 0.0]], "nothing compares `s0` with `s1`");
    let apart: [&[f64]; 4] =
        [&[0.0, 1.0, 0.0, 0.0], &[1.0, 0.0, 0.0, 0.0], &[0.0, 0.0, 0.0, 2.0], &[0.0, 0.0, 2.0, 0.0]];
    refused(&apart, "nothing compares `s0`, `s1` with `s2`, `s3`");
    refused(&[&[0.0, 0.0, 0.0], &[1.0, 0.0, 2.0], &[1.0, 2.0, 0.0]], "`s1`, `s2` never lost or tied");
    refused(&[&[0.0, f64::NAN], &[1.0, 0.0]], "finite and not negative");
    refused(&[&[0.0, -1.0], &[1.0, 0.0]], "finite and not negative");
    refused(&[&[0.0, 1.0], &[1.0]], "a square table");
    refused(&[&[0.0]], "a square table");
}

/// One judge who prefers by strength alone, with ties.
fn judged(strengths: &[f64], prompts: usize, dice: &mut Dice) -> Report {
    let letters = ["a", "b", "c", "d"];
    let sheet = sheet(&letters[..strengths.len()], prompts);
    let strength = |text: &str| strengths[usize::from(text.as_bytes()[0] - b'a')];
    let lines = lines(&sheet, "ann", |shown| {
        let a_wins = 1.0 / (1.0 + (strength(shown.b) - strength(shown.a)).exp());
        even(3, if dice.roll() < a_wins { Preference::A } else { Preference::B })
    });
    report(&sheet, &lines)
}

#[test]
fn known_strengths_are_found_again_within_their_intervals() {
    let true_ones = [0.9, 0.3, -0.2, -1.0];
    let (mut covered, mut total) = (0, 0);
    for seed in 1..=20 {
        let report = judged(&true_ones, 150, &mut Dice(seed * 7919));
        let Measured::Known(found) = &report.strengths else { panic!("{:?}", report.strengths) };
        for (found, wanted) in found.iter().zip(true_ones) {
            assert!((found.strength.value - wanted).abs() < 0.4, "{found:?} {wanted}");
            let interval = found.strength.interval.unwrap();
            covered += usize::from(interval.low <= wanted && wanted <= interval.high);
            total += 1;
            let elo = 1000.0 + 400.0 / std::f64::consts::LN_10 * found.strength.value;
            assert!((found.elo.value - elo).abs() < 1e-9 && found.elo.n == 450);
        }
        let mean: f64 = found.iter().map(|found| found.elo.value).sum::<f64>() / 4.0;
        assert!((mean - 1000.0).abs() < 1e-6);
        // The online ratings have the same order and mean, and noise of their own.
        let online: Vec<f64> = report.sources.iter().map(|source| source.online_elo.unwrap().value).collect();
        assert!(online.windows(2).all(|two| two[0] > two[1]), "{online:?}");
        assert!((online.iter().sum::<f64>() - 4000.0).abs() < 1e-6);
    }
    // 95 % of 80, less what chance may take.
    assert!((68..=80).contains(&covered) && total == 80, "{covered} of {total}");
}

#[test]
fn one_game_moves_elo_as_the_formula_says() {
    let sheet = sheet(&["a", "b"], 1);
    let lines =
        lines(&sheet, "ann", |shown| even(3, if shown.a.starts_with('a') { Preference::A } else { Preference::B }));
    let report = report(&sheet, &lines);
    assert_eq!([0, 1].map(|at| report.sources[at].online_elo.unwrap().value.round()), [1016.0, 984.0]);
    assert!(matches!(&report.strengths, Measured::Refused(why) if why.contains("`model-a` never lost or tied")));
    assert!(report.sources[0].online_elo.unwrap().interval.is_none(), "one prompt has no interval");
}

/// The units of a matrix of observers by units, with values from 1 to 5.
fn units(fit: &Value) -> Vec<Vec<usize>> {
    let observers = fit["observers"].as_array().unwrap();
    let of_unit = |at: usize| observers.iter().filter_map(|row| row[at].as_u64()).map(|v| v as usize - 1).collect();
    (0..observers[0].as_array().unwrap().len()).map(of_unit).collect()
}

#[test]
fn alpha_is_krippendorffs_published_one() {
    let units = units(&fits()["alpha"][0]);
    assert_eq!(units.len(), 12);
    for (metric, wanted) in [(Metric::Nominal, 0.743), (Metric::Ordinal, 0.815), (Metric::Interval, 0.849)] {
        near(&[alpha(&units, 5, metric).unwrap()], &[wanted], 0.0005);
    }
}

#[test]
fn alpha_agrees_with_another_computation_where_values_are_missing() {
    for fit in fits()["alpha"].as_array().unwrap() {
        for metric in [Metric::Nominal, Metric::Ordinal, Metric::Interval] {
            near(&[alpha(&units(fit), 5, metric).unwrap()], &[fit[metric.name()].as_f64().unwrap()], 1e-12);
        }
    }
}
