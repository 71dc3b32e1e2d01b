//! Strengths from comparisons: the model of Bradley and Terry, and Elo ratings as games come in.
//!
//! Bradley-Terry: source `i` beats `j` with probability `1 / (1 + exp(s_j - s_i))`. A tie counts as half a win for either.
//! Davidson's extension would estimate one more number, how prone judges are to tie; where there are no ties it has no
//! finite maximum, and only the strengths are wanted here. The price of half wins is that differences come out a little
//! smaller than his when ties are many.
//!
//! The likelihood has one finite maximum exactly where the sources cannot be split in two so that none of one part ever won
//! or tied against the other part (Ford). It is found by Newton's method, strengths with mean zero. Without such a maximum
//! [`bradley_terry`] refuses. In a resample of the bootstrap that must not happen, since leaving the extreme ones out would
//! narrow the interval: there, each pair that was ever compared gets half a win more on both sides, which keeps the
//! strengths finite and far apart.
//!
//! On the scale of Elo a strength is `1000 + 400 * s / ln 10`.
//!
//! Bradley and Terry, Biometrika 39, 1952; Ford, American Mathematical Monthly 64, 1957; Davidson, JASA 65, 1970; Elo, "The
//! rating of chessplayers", 1978.

use super::draw::Draws;
use super::error::{Result, ReviewError, setting};
use super::sheet::MOST_SOURCES;
use super::verdict::Verdict;

/// What a rating moves by at most in one game.
const K: f64 = 32.0;

/// The mean of all ratings.
const MEAN: f64 = 1000.0;

/// Strengths (natural logarithms, mean zero) from `wins[i][j]`, how often `i` beat `j`, half a win for each tie.
///
/// # Errors
/// [`ReviewError::Refused`] where the maximum of the likelihood is not finite, [`ReviewError::Setting`] where `wins` is no square table of
/// 2 to 32 sources with finite numbers from 0 on, or the number of names is another.
pub fn bradley_terry(names: &[String], wins: &[Vec<f64>]) -> Result<Vec<f64>> {
    let n = names.len();
    let square = wins.len() == n && wins.iter().all(|row| row.len() == n);
    if !(2..=MOST_SOURCES).contains(&n) || !square {
        return Err(setting(format!("wins must be a square table of 2 to {MOST_SOURCES} sources, each with its name")));
    }
    if wins.iter().flatten().any(|wins| !(0.0..=1e12).contains(wins)) {
        return Err(setting("wins must be finite and not negative"));
    }
    if let Some(why) = unbounded(names, wins) {
        return Err(ReviewError::Refused { why });
    }
    maximum(wins).ok_or_else(|| ReviewError::Refused { why: "the strengths could not be found: too far apart".into() })
}

/// The same for a resample: half a win more for both sides of each pair in `compared` where it is needed, and whether it was.
pub(crate) fn of_resample(wins: &[Vec<f64>], compared: &[Vec<f64>]) -> (Option<Vec<f64>>, bool) {
    if bounded(wins) {
        return (maximum(wins), false);
    }
    let ever = |i: usize, j: usize| compared[i][j] + compared[j][i] > 0.0;
    let half = |i: usize, j: usize| if ever(i, j) { 0.5 } else { 0.0 };
    let n = wins.len();
    let more: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| wins[i][j] + half(i, j)).collect()).collect();
    (maximum(&more), true)
}

/// A strength on the scale of Elo.
pub(crate) fn elo_scaled(strength: f64) -> f64 {
    MEAN + 400.0 * strength / std::f64::consts::LN_10
}

/// The table of wins of these verdicts, each as often as its prompt was drawn.
pub(crate) fn wins(sources: usize, verdicts: &[Verdict], weights: &[u32]) -> Vec<Vec<f64>> {
    let mut wins = vec![vec![0.0; sources]; sources];
    for Verdict { sources: [first, second], outcome, prompt, .. } in verdicts {
        let weight = f64::from(weights[*prompt]);
        wins[*first][*second] += weight * outcome.points();
        wins[*second][*first] += weight * (1.0 - outcome.points());
    }
    wins
}

/// Who can be reached from `from` over pairs for which `edge` holds.
fn reached(n: usize, from: usize, edge: impl Fn(usize, usize) -> bool) -> Vec<bool> {
    let mut seen = vec![false; n];
    let mut open = vec![from];
    seen[from] = true;
    while let Some(i) = open.pop() {
        for (j, seen) in seen.iter_mut().enumerate().filter(|(j, seen)| !**seen && edge(i, *j)) {
            *seen = true;
            open.push(j);
        }
    }
    seen
}

fn bounded(wins: &[Vec<f64>]) -> bool {
    let all = |seen: Vec<bool>| seen.into_iter().all(|seen| seen);
    all(reached(wins.len(), 0, |i, j| wins[i][j] > 0.0)) && all(reached(wins.len(), 0, |i, j| wins[j][i] > 0.0))
}

/// Why the strengths are not finite, if they are not.
fn unbounded(names: &[String], wins: &[Vec<f64>]) -> Option<String> {
    let n = wins.len();
    let list = |seen: &[bool], wanted: bool| {
        let named = names.iter().zip(seen).filter(|(_, seen)| **seen == wanted).map(|(name, _)| format!("`{name}`"));
        named.collect::<Vec<_>>().join(", ")
    };
    let met = reached(n, 0, |i, j| wins[i][j] + wins[j][i] > 0.0);
    if met.contains(&false) {
        let (one, other) = (list(&met, true), list(&met, false));
        return Some(format!(
            "nothing compares {one} with {other}: their strengths have no common scale; judge such pairs"
        ));
    }
    if bounded(wins) {
        return None;
    }
    // Those who can get to `i` by winning: nobody outside ever won against them. The fewest are the clearest to name.
    let above =
        (0..n).map(|i| reached(n, i, |i, j| wins[j][i] > 0.0)).min_by_key(|seen| seen.iter().filter(|s| **s).count());
    let top = list(&above?, true);
    Some(format!("{top} never lost or tied against the others: how much stronger cannot be told; judge more items"))
}

/// The maximum of the likelihood; `None` where Newton's method does not settle.
fn maximum(wins: &[Vec<f64>]) -> Option<Vec<f64>> {
    let mut s = vec![0.0; wins.len()];
    let mut likelihood = log_likelihood(wins, &s);
    for _ in 0..200 {
        let step = newton_step(wins, &s)?;
        let settled = step.iter().all(|step| step.abs() <= 1e-10);
        let mut length = 1.0;
        loop {
            let next: Vec<f64> = s.iter().zip(&step).map(|(s, step)| s + length * step).collect();
            let found = log_likelihood(wins, &next);
            // Near the maximum the likelihood is flat to rounding, while steps are still good.
            if found >= likelihood - 1e-10 * likelihood.abs() {
                (s, likelihood) = (next, found);
                break;
            }
            length /= 2.0;
            if length < 1e-9 {
                return None;
            }
        }
        if settled {
            return Some(s);
        }
    }
    None
}

/// The curvature's inverse times the gradient.
fn newton_step(wins: &[Vec<f64>], s: &[f64]) -> Option<Vec<f64>> {
    let n = wins.len();
    let mut gradient = vec![0.0; n];
    // The curvature has no say on the mean; a matrix of ones holds it at zero.
    let mut curvature = vec![vec![1.0; n]; n];
    for i in 0..n {
        for j in (0..n).filter(|&j| j != i) {
            // Both from their own exponential: one minus the other would lose all digits where sources are far apart.
            let (p, q) = (1.0 / (1.0 + (s[j] - s[i]).exp()), 1.0 / (1.0 + (s[i] - s[j]).exp()));
            gradient[i] += wins[i][j] * q - wins[j][i] * p;
            let bend = (wins[i][j] + wins[j][i]) * p * q;
            curvature[i][i] += bend;
            curvature[i][j] -= bend;
        }
    }
    solve(curvature, gradient)
}

fn log_likelihood(wins: &[Vec<f64>], s: &[f64]) -> f64 {
    let mut sum = 0.0;
    for (i, row) in wins.iter().enumerate() {
        for (j, wins) in row.iter().enumerate().filter(|(j, wins)| *j != i && **wins > 0.0) {
            // ln(1 + e^x) without overflow.
            let x = s[j] - s[i];
            sum -= wins * (x.max(0.0) + (-x.abs()).exp().ln_1p());
        }
    }
    sum
}

/// Solves `a x = b` by elimination with the largest pivot; `None` where `a` is singular.
fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for column in 0..n {
        let pivot = (column..n).max_by(|&i, &j| a[i][column].abs().total_cmp(&a[j][column].abs()))?;
        a.swap(column, pivot);
        b.swap(column, pivot);
        let (upper, lower) = a.split_at_mut(column + 1);
        let top = &upper[column];
        if top[column].abs() < f64::MIN_POSITIVE {
            return None;
        }
        for (row, offset) in lower.iter_mut().zip(1..) {
            let factor = row[column] / top[column];
            row.iter_mut().zip(top).skip(column).for_each(|(x, top)| *x -= factor * top);
            b[column + offset] -= factor * b[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|at| a[row][at] * b[at]).sum();
        b[row] = (b[row] - known) / a[row][row];
    }
    Some(b)
}

/// Elo ratings after all verdicts have come in as games, each as often as its prompt was drawn, the mean over `orders`
/// orders drawn with `seed`.
///
/// All begin at 1000; a game moves both ratings by 32 times what the result differs from the expected
/// `1 / (1 + 10^((other - own) / 400))`.
pub(crate) fn online_elo(sources: usize, verdicts: &[Verdict], weights: &[u32], orders: usize, seed: &str) -> Vec<f64> {
    let times = |verdict: &Verdict| weights[verdict.prompt] as usize;
    let mut games: Vec<&Verdict> =
        verdicts.iter().flat_map(|verdict| std::iter::repeat_n(verdict, times(verdict))).collect();
    let mut mean = vec![0.0; sources];
    let mut draws = Draws::new(&["elo", seed]);
    for _ in 0..orders {
        draws.shuffle(&mut games);
        let mut ratings = vec![MEAN; sources];
        for Verdict { sources: [first, second], outcome, .. } in &games {
            let expected = 1.0 / (1.0 + 10_f64.powf((ratings[*second] - ratings[*first]) / 400.0));
            let moved = K * (outcome.points() - expected);
            ratings[*first] += moved;
            ratings[*second] -= moved;
        }
        mean.iter_mut().zip(ratings).for_each(|(mean, rating)| *mean += rating / orders as f64);
    }
    mean
}
