//! The draw: an exponential race among tokens.
//!
//! Runner `i` arrives after `E_i / weight_i`, where `E_i` is standard exponential noise; the first to arrive is token
//! `i` with probability `weight_i / sum(weights)`. The noise depends on the seed, the sample, the step and `i` alone.
//!
//! Loops over a vocabulary work on sixteen numbers side by side, so that they vectorise on any machine, and their
//! exponential is our own, so that it is the same on every machine.

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::error::SamplingError;

/// Numbers side by side.
const LANES: usize = 16;

/// Names one draw: the same numbers come out wherever and whenever it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// The request's seed.
    pub seed: u64,
    /// Which of its samples.
    pub sample: usize,
    /// How many tokens the sample has generated before.
    pub step: usize,
}

impl Draw {
    /// The noise of this draw, from the ChaCha8 keystream of (seed, sample) at block `step`.
    pub(crate) fn noise(self) -> Noise {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed);
        stream.set_stream(self.sample as u64);
        stream.set_word_pos(16 * self.step as u128);
        Noise(stream.next_u64())
    }
}

/// Standard exponential noise for every id, from a draw's key.
#[derive(Clone, Copy)]
pub(crate) struct Noise(u64);

impl Noise {
    /// Uniform over `(0, 1]`: SplitMix64 seeded with the key, at position `id`.
    pub(crate) fn uniform(self, id: u32) -> f64 {
        let mut z = self.0.wrapping_add((u64::from(id) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// A token that may be chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: u32,
    /// Logit over temperature, less the largest.
    pub(crate) score: f32,
}

pub(crate) fn most_probable_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

impl Candidate {
    pub(crate) fn weight(&self) -> f64 {
        f64::from(exp(self.score))
    }

    /// The score where it counts: a weight of 0 times minus infinity would be NaN.
    pub(crate) fn nats(&self) -> f64 {
        f64::from(self.score.max(-1e30))
    }
}

/// How logits become scores, of which the largest is 0.
#[derive(Clone, Copy)]
pub(crate) struct Scale {
    max: f32,
    rate: f32,
}

impl Scale {
    pub(crate) fn new(max: f32, temperature: f32) -> Self {
        // Finite, so that the largest times it is 0 at any temperature.
        Self { max, rate: (1.0 / temperature).min(f32::MAX) }
    }

    pub(crate) fn score(self, logit: f32) -> f32 {
        (logit - self.max) * self.rate
    }
}

/// Shows `visit` the logits in blocks, each with the id of its first; the last is filled up with minus infinity.
#[inline(always)]
fn each_block(logits: &[f32], mut visit: impl FnMut(u32, &[f32; LANES])) {
    let (whole, rest) = logits.as_chunks::<LANES>();
    for (block, logits) in whole.iter().enumerate() {
        visit((block * LANES) as u32, logits);
    }
    if !rest.is_empty() {
        let mut last = [f32::NEG_INFINITY; LANES];
        last[..rest.len()].copy_from_slice(rest);
        visit((whole.len() * LANES) as u32, &last);
    }
}

/// The largest logit and the lowest id that has it.
///
/// # Errors
/// A logit that is NaN or plus infinity.
pub(crate) fn largest(logits: &[f32]) -> Result<(u32, f32), SamplingError> {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let mut wrong = [0u32; LANES];
    each_block(logits, |_, block| {
        for ((max, wrong), &logit) in maxima.iter_mut().zip(&mut wrong).zip(block) {
            // Not `f32::max`: a NaN must be noticed, not skipped.
            *wrong |= u32::from(logit.is_nan() | (logit == f32::INFINITY));
            *max = if logit > *max { logit } else { *max };
        }
    });
    if wrong != [0; LANES] {
        check(logits)?;
    }
    let max = maxima.into_iter().fold(f32::NEG_INFINITY, f32::max);
    // Whole blocks are compared without stopping, which vectorises; only the one that has it is searched.
    let has = |block: &[f32]| block.iter().map(|&logit| u32::from(logit == max)).sum::<u32>() > 0;
    let block = logits.chunks(4 * LANES).position(has).unwrap_or(0) * 4 * LANES;
    let at = logits[block..].iter().position(|&logit| logit == max).unwrap_or(0);
    Ok(((block + at) as u32, max))
}

/// Refuses logits that are NaN or plus infinity, by name.
///
/// # Errors
/// The first of them.
pub(crate) fn check(logits: &[f32]) -> Result<(), SamplingError> {
    match (0..).zip(logits).find(|(_, logit)| logit.is_nan() || **logit == f32::INFINITY) {
        Some((id, &value)) => Err(SamplingError::NotFinite { id, value }),
        None => Ok(()),
    }
}

/// Sums in f32 side by side, taken into an f64 before they grow long.
#[derive(Clone, Copy, Default)]
struct Sum {
    lanes: [f32; LANES],
    added: usize,
    total: f64,
}

impl Sum {
    #[inline(always)]
    fn add(&mut self, block: &[f32; LANES]) {
        for (sum, value) in self.lanes.iter_mut().zip(block) {
            *sum += value;
        }
        self.added += 1;
        if self.added == LANES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.total += self.lanes.iter().map(|&sum| f64::from(sum)).sum::<f64>();
        (self.lanes, self.added) = ([0.0; LANES], 0);
    }

    fn total(mut self) -> f64 {
        self.flush();
        self.total
    }
}

/// Sum of all weights, and of all weights times their scores.
pub(crate) fn total_mass(logits: &[f32], scale: Scale) -> (f64, f64) {
    let (mut weights, mut products) = (Sum::default(), Sum::default());
    each_block(logits, |_, block| {
        let scores = block.map(|logit| scale.score(logit)).map(|score| if score > -1e30 { score } else { -1e30 });
        let weight = scores.map(exp);
        let mut product = weight;
        product.iter_mut().zip(scores).for_each(|(product, score)| *product *= score);
        weights.add(&weight);
        products.add(&product);
    });
    (weights.total(), products.total())
}

/// The winner of the race among `candidates`.
pub(crate) fn race(candidates: &[Candidate], noise: Noise) -> Option<u32> {
    let mut winner: Option<(f64, u32)> = None;
    for candidate in candidates {
        let time = arrival(noise.uniform(candidate.id), candidate.weight());
        let before = |(best, id): (f64, u32)| time < best || (time == best && candidate.id < id);
        if time < f64::INFINITY && winner.is_none_or(before) {
            winner = Some((time, candidate.id));
        }
    }
    winner.map(|(_, id)| id)
}

/// The winner of the race among all tokens whose score is at least `floor`; `best` is the most probable one.
///
/// The first arrival of many runners is that of one runner with their summed rate, so the many improbable tokens race
/// as one, with noise of their own; only if they win is it settled among them who did. That changes no probability.
pub(crate) fn race_all(logits: &[f32], scale: Scale, floor: f32, best: u32, noise: Noise) -> u32 {
    /// Less than this times as probable as the most probable token: one of the many.
    const FEW: f32 = 1.0 / 131_072.0;
    /// The noise of the many: no token has this id.
    const MANY: u32 = u32::MAX;
    let weights = |block: &[f32; LANES]| {
        block.map(|logit| {
            let score = scale.score(logit);
            let weight = exp(score);
            if score >= floor { weight } else { 0.0 }
        })
    };
    let mut winner = (f64::INFINITY, best);
    let mut many = Sum::default();
    each_block(logits, |first, block| {
        let weights = weights(block);
        many.add(&weights.map(|w| if w < FEW { w } else { 0.0 }));
        if weights.map(|w| u32::from(w >= FEW)).iter().sum::<u32>() > 0 {
            run(&mut winner, noise, (first..).zip(&weights).filter(|(_, w)| **w >= FEW));
        }
    });
    if arrival(noise.uniform(MANY), many.total()) < winner.0 {
        winner = (f64::INFINITY, best);
        each_block(logits, |first, block| {
            run(&mut winner, noise, (first..).zip(&weights(block)).filter(|(_, w)| **w < FEW && **w > 0.0));
        });
    }
    winner.1
}

/// Lets these runners race against the winner so far.
fn run<'a>(winner: &mut (f64, u32), noise: Noise, runners: impl Iterator<Item = (u32, &'a f32)>) {
    for (id, &weight) in runners {
        let (uniform, weight) = (noise.uniform(id), f64::from(weight));
        // `-ln(1 - u) >= u`: hardly any token needs its logarithm.
        if uniform < winner.0 * weight {
            let time = arrival(uniform, weight);
            if time < winner.0 {
                *winner = (time, id);
            }
        }
    }
}

/// When a runner of this rate arrives.
fn arrival(uniform: f64, rate: f64) -> f64 {
    if rate > 0.0 { -(-uniform).ln_1p() / rate } else { f64::INFINITY }
}

/// `e^x` for `x <= 0`, relative error below 2e-7, 0 below -87. The same on every machine (no call into its mathematical
/// library), and without branches, so that loops over it vectorise.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it rounds to an integer, which then stands in the lowest bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < -87.0 { -87.0 } else { x };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let r = clamped - whole * LN_2_HIGH - whole * LN_2_LOW;
    // The Taylor series: |r| <= ln(2) / 2, so its ninth term is below 2e-9.
    let series = 1.0 / 5040.0;
    let series = series * r + 1.0 / 720.0;
    let series = series * r + 1.0 / 120.0;
    let series = series * r + 1.0 / 24.0;
    let series = series * r + 1.0 / 6.0;
    let series = series * r + 0.5;
    let series = series * r + 1.0;
    let series = series * r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    if x < -87.0 { 0.0 } else { series * power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_its_bound() {
        for i in 0..200_000 {
            let x = -87.0 * i as f32 / 200_000.0;
            let wanted = f64::from(x).exp();
            let error = (f64::from(exp(x)) - wanted).abs() / wanted;
            assert!(error < 2e-7, "exp({x}): {error}");
        }
        assert_eq!((exp(0.0), exp(-88.0), exp(f32::NEG_INFINITY)), (1.0, 0.0, 0.0));
    }

    #[test]
    fn blocks_cover_every_length() {
        for len in [0, 1, 15, 16, 17, 255, 256, 257, 1000] {
            let logits: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32 / 10.0).collect();
            let found = total_mass(&logits, Scale::new(10.1, 1.0));
            let scores = logits.iter().map(|&l| f64::from(l) - f64::from(10.1f32));
            let wanted = scores.clone().map(f64::exp).sum::<f64>();
            let weighed = scores.map(|s| s * s.exp()).sum::<f64>();
            assert!((found.0 - wanted).abs() <= 1e-5 * wanted, "{len}: {found:?} {wanted}");
            assert!((found.1 - weighed).abs() <= 1e-5 * weighed.abs(), "{len}: {found:?} {weighed}");
            if let Ok((id, max)) = largest(&logits) {
                assert!(logits.iter().all(|&l| l <= max) && (len == 0 || logits[id as usize] == max));
            }
        }
    }
}
