//! The statistics of a report, one function each.
//!
//! Each is a function of how often a prompt counts: once for the number itself, as often as it was drawn for a resample.

use std::collections::BTreeSet;

use super::agreement::{self, Coincidences, Metric};
use super::error::{Result, ReviewError};
use super::judgement::{Preference, Scale};
use super::report::{Agreement, Measured, Outcomes, PairReport, Strength, Tally};
use super::resample::{Bootstrap, Estimate, binomial};
use super::strength;
use super::verdict::{Outcome, Verdict, Verdicts};

/// Orders of games that an online Elo rating is the mean of, for the number itself and for each resample.
const ORDERS: usize = 100;
const ORDERS_OF_RESAMPLE: usize = 10;

/// The same statistics of all answers once and of all resamples; `n` belongs to each.
fn estimates(
    verdicts: &Verdicts,
    bootstrap: Bootstrap,
    n: &[usize],
    statistics: impl Fn(&[u32]) -> Vec<Option<f64>>,
) -> Vec<Option<Estimate>> {
    let values = statistics(&vec![1; verdicts.prompts]);
    let intervals = bootstrap.intervals(verdicts.prompts, |_, weights| statistics(weights));
    let of = |((value, interval), n): ((Option<f64>, _), &usize)| Some(Estimate { value: value?, interval, n: *n });
    values.into_iter().zip(intervals).zip(n).map(of).collect()
}

fn ratio(sum: f64, of: f64) -> Option<f64> {
    (of > 0.0).then(|| sum / of)
}

/// How many verdicts there are on each source.
fn counts(sources: usize, verdicts: &Verdicts) -> Vec<usize> {
    let mut counts = vec![0; sources];
    verdicts.list.iter().flat_map(|verdict| verdict.sources).for_each(|source| counts[source] += 1);
    counts
}

/// Of each source the mean on each scale.
pub(crate) fn means(sources: usize, verdicts: &Verdicts, bootstrap: Bootstrap) -> Vec<Vec<Option<Estimate>>> {
    let scales = Scale::ALL.len();
    let statistics = |weights: &[u32]| {
        let mut sums = vec![(0.0, 0.0); sources * scales];
        for verdict in &verdicts.list {
            let weight = f64::from(weights[verdict.prompt]);
            for (source, scores) in verdict.sources.into_iter().zip(verdict.scores) {
                for (scale, sum) in Scale::ALL.into_iter().zip(&mut sums[source * scales..]) {
                    sum.0 += weight * f64::from(scores.on(scale));
                    sum.1 += weight;
                }
            }
        }
        sums.into_iter().map(|(sum, of)| ratio(sum, of)).collect()
    };
    let n: Vec<usize> = counts(sources, verdicts).into_iter().flat_map(|n| [n; 3]).collect();
    estimates(verdicts, bootstrap, &n, statistics).chunks_exact(scales).map(<[_]>::to_vec).collect()
}

/// How comparisons ended for each source, and for each two that met.
pub(crate) fn outcomes(
    names: &[String],
    verdicts: &Verdicts,
    bootstrap: Bootstrap,
) -> (Vec<Option<Outcomes>>, Vec<PairReport>) {
    // One group of comparisons for each source, then one for each two.
    let met: BTreeSet<[usize; 2]> = verdicts.list.iter().map(|verdict| sorted(verdict.sources)).collect();
    let met: Vec<[usize; 2]> = met.into_iter().collect();
    let groups = names.len() + met.len();
    let pair = |sources| names.len() + met.binary_search(&sorted(sources)).expect("all that met are listed");
    let tallies = |weights: &[u32]| {
        let mut sums = vec![[0_u64; 4]; groups];
        for Verdict { sources, outcome, prompt, .. } in &verdicts.list {
            let weight = u64::from(weights[*prompt]);
            let [first, second] = *sources;
            let (one, other) = match outcome {
                Outcome::First => (0, 3),
                Outcome::Second => (3, 0),
                Outcome::Tie => (1, 1),
                Outcome::BothBad => (2, 2),
            };
            sums[first][one] += weight;
            sums[second][other] += weight;
            sums[pair(*sources)][if first < second { one } else { other }] += weight;
        }
        sums
    };
    let statistics = |weights: &[u32]| -> Vec<Option<f64>> {
        let of_group = |sum: [u64; 4]| {
            let n = sum.iter().sum::<u64>() as f64;
            let [won, tied, bad, lost] = sum.map(|sum| sum as f64);
            [won, tied, bad, lost, won + (tied + bad) / 2.0].map(|sum| ratio(sum, n))
        };
        tallies(weights).into_iter().flat_map(of_group).collect()
    };
    let all = tallies(&vec![1; verdicts.prompts]);
    let n: Vec<usize> = all.iter().flat_map(|sum| [sum.iter().sum::<u64>() as usize; 5]).collect();
    let shares = estimates(verdicts, bootstrap, &n, statistics);
    let mut found = shares.chunks_exact(5).zip(all).map(|(shares, counts)| {
        let tally = |at: usize| Some(Tally { count: counts[at] as usize, share: shares[at]? });
        Some(Outcomes { won: tally(0)?, tied: tally(1)?, both_bad: tally(2)?, lost: tally(3)?, points: shares[4]? })
    });
    let of_sources: Vec<_> = found.by_ref().take(names.len()).collect();
    let named = |(outcomes, sources): (Option<Outcomes>, &[usize; 2])| {
        Some(PairReport { sources: sources.map(|at| names[at].clone()), outcomes: outcomes? })
    };
    (of_sources, found.zip(&met).filter_map(named).collect())
}

fn sorted([one, other]: [usize; 2]) -> [usize; 2] {
    [one.min(other), one.max(other)]
}

/// Bradley-Terry strengths.
pub(crate) fn strengths(
    names: &[String],
    verdicts: &Verdicts,
    bootstrap: Bootstrap,
    notes: &mut Vec<String>,
) -> Result<Measured<Vec<Strength>>> {
    let table = |weights: &[u32]| strength::wins(names.len(), &verdicts.list, weights);
    let all = table(&vec![1; verdicts.prompts]);
    let values = match strength::bradley_terry(names, &all) {
        Ok(values) => values,
        Err(ReviewError::Refused { why }) => return Ok(Measured::Refused(why)),
        Err(error) => return Err(error),
    };
    let mut helped = 0;
    let intervals = bootstrap.intervals(verdicts.prompts, |_, weights| {
        let (strengths, with_help) = strength::of_resample(&table(weights), &all);
        helped += usize::from(with_help);
        strengths.map_or(vec![None; names.len()], |strengths| strengths.into_iter().map(Some).collect())
    });
    if helped > 0 {
        notes.push(format!(
            "in {helped} of {} resamples a source never lost or pairs were missing; half a win was added there to both sides \
             of each pair, so the intervals of strengths are rough",
            bootstrap.resamples
        ));
    }
    let n = counts(names.len(), verdicts);
    let of = |(((name, value), interval), n): (((&String, f64), _), usize)| {
        let strength = Estimate { value, interval, n };
        let elo = scaled(strength, strength::elo_scaled);
        Strength { source: name.clone(), strength, elo }
    };
    Ok(Measured::Known(names.iter().zip(values).zip(intervals).zip(n).map(of).collect()))
}

/// An estimate on another scale that rises with its own.
fn scaled(estimate: Estimate, scale: impl Fn(f64) -> f64) -> Estimate {
    let mut scaled = Estimate { value: scale(estimate.value), ..estimate };
    if let Some(interval) = &mut scaled.interval {
        (interval.low, interval.high) = (scale(interval.low), scale(interval.high));
    }
    scaled
}

/// Elo ratings of each source.
pub(crate) fn online_elo(sources: usize, verdicts: &Verdicts, bootstrap: Bootstrap) -> Vec<Option<Estimate>> {
    let ratings = |weights: &[u32], orders: usize, seed: &str| {
        strength::online_elo(sources, &verdicts.list, weights, orders, seed)
    };
    let seed = bootstrap.seed.to_string();
    let values = ratings(&vec![1; verdicts.prompts], ORDERS, &seed);
    let intervals = bootstrap.intervals(verdicts.prompts, |resample, weights| {
        let ratings = ratings(weights, ORDERS_OF_RESAMPLE, &format!("{seed}\n{resample}"));
        ratings.into_iter().map(Some).collect()
    });
    let n = counts(sources, verdicts);
    let of = |((value, interval), n)| (n > 0).then_some(Estimate { value, interval, n });
    values.into_iter().zip(intervals).zip(n).map(of).collect()
}

/// Alpha of preferences (nominal) and of each scale (ordinal and interval).
pub(crate) fn agreement(verdicts: &Verdicts, bootstrap: Bootstrap) -> Result<Vec<Agreement>> {
    let mut all = vec![alpha_of(verdicts, bootstrap, "preference", Metric::Nominal, 4, |unit| {
        vec![unit.iter().map(|verdict| verdict.outcome as usize).collect()]
    })?];
    for scale in Scale::ALL {
        for metric in [Metric::Ordinal, Metric::Interval] {
            all.push(alpha_of(verdicts, bootstrap, scale.name(), metric, 5, |unit| {
                let side = |at: usize| unit.iter().map(|v| usize::from(v.scores[at].on(scale) - 1)).collect();
                vec![side(0), side(1)]
            })?);
        }
    }
    Ok(all)
}

/// `values` makes units of the verdicts on an item.
fn alpha_of(
    verdicts: &Verdicts,
    bootstrap: Bootstrap,
    about: &'static str,
    metric: Metric,
    categories: usize,
    values: impl Fn(&[Verdict]) -> Vec<Vec<usize>>,
) -> Result<Agreement> {
    let mut of_prompts = vec![Coincidences::new(categories); verdicts.prompts];
    let (mut units, mut n, mut judges) = (Vec::new(), 0, BTreeSet::new());
    for item in verdicts.list.chunk_by(|one, next| one.item == next.item).filter(|item| item.len() > 1) {
        judges.extend(item.iter().map(|verdict| verdict.judge));
        for unit in values(item) {
            of_prompts[item[0].prompt].add(&unit, 1.0);
            n += unit.len();
            units.push(unit);
        }
    }
    let alpha = match agreement::alpha(&units, categories, metric) {
        Ok(value) => {
            let intervals = bootstrap.intervals(verdicts.prompts, |_, weights| {
                let mut table = Coincidences::new(categories);
                let drawn = of_prompts.iter().zip(weights).filter(|(_, weight)| **weight > 0);
                drawn.for_each(|(of_prompt, &weight)| table.add_table(of_prompt, f64::from(weight)));
                vec![table.alpha(metric)]
            });
            Measured::Known(Estimate { value, interval: intervals[0], n })
        }
        Err(ReviewError::Refused { why }) => Measured::Refused(why),
        Err(error) => return Err(error),
    };
    Ok(Agreement { about, metric, alpha, units: units.len(), judges: judges.len() })
}

/// Share of A among answers that chose a side.
pub(crate) fn chose_a<'v>(verdicts: impl Iterator<Item = &'v Verdict>) -> Option<Estimate> {
    let (mut a, mut b) = (0, 0);
    for verdict in verdicts {
        match verdict.preference {
            Preference::A => a += 1,
            Preference::B => b += 1,
            Preference::Tie | Preference::BothBad => {}
        }
    }
    binomial(a, a + b)
}

/// Median seconds of all answers, and of each judge's.
pub(crate) fn seconds(verdicts: &Verdicts, bootstrap: Bootstrap) -> (Estimate, Vec<Estimate>) {
    let mut by_time: Vec<&Verdict> = verdicts.list.iter().collect();
    by_time.sort_by(|one, other| one.seconds.total_cmp(&other.seconds));
    let mut groups = vec![by_time.clone()];
    let of_judge = |judge| by_time.iter().copied().filter(|verdict| verdict.judge == judge).collect();
    groups.extend((0..verdicts.judges.len()).map(of_judge));
    let n: Vec<usize> = groups.iter().map(Vec::len).collect();
    let found =
        estimates(verdicts, bootstrap, &n, |weights| groups.iter().map(|group| median(group, weights)).collect());
    let mut found = found.into_iter().map(|estimate| estimate.expect("every group has an answer"));
    (found.next().expect("the first group holds all"), found.collect())
}

/// The median of seconds in ascending order, each as often as its prompt was drawn.
fn median(by_time: &[&Verdict], weights: &[u32]) -> Option<f64> {
    let weight = |verdict: &Verdict| u64::from(weights[verdict.prompt]);
    let total: u64 = by_time.iter().map(|verdict| weight(verdict)).sum();
    let at = |rank: u64| {
        let mut before = 0;
        let reaches = by_time.iter().find(|verdict| {
            before += weight(verdict);
            before > rank
        });
        reaches.map(|verdict| verdict.seconds)
    };
    let (low, high) = (at(total.checked_sub(1)? / 2)?, at(total / 2)?);
    Some(low / 2.0 + high / 2.0)
}
