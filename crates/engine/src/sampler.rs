//! From logits to a token.
//!
//! In this order, each on what the one before it left:
//! 1. `logit_bias` is added.
//! 2. `repeat_penalty` divides the logit of every token among the last `repeat_last_n` (prompt included) if it is
//!    positive, and multiplies it otherwise (CTRL, arXiv 1909.05858; transformers' `RepetitionPenaltyLogitsProcessor`
//!    with llama.cpp's range).
//! 3. `frequency_penalty` times the number of times that a token was generated, and once `presence_penalty`, are
//!    subtracted (the OpenAI interface; the prompt does not count).
//! 4. Before `min_tokens`, tokens that would end the generation are forbidden.
//! 5. Rails alter the logits.
//! 6. Temperature 0 takes the largest logit, of equal ones the lowest id. Otherwise logits are divided by it, and the
//!    rest filters as transformers' warpers do, in their order: `top_k` (exactly `k`: of equal logits the lower ids
//!    stay), `top_p` (the smallest set of most probable tokens whose mass reaches it), `min_p` (those at least so many
//!    times as probable as the most probable), `typical` (arXiv 2202.00666: the smallest set with the least
//!    `|-log p - H|` whose mass reaches it, `H` the entropy of what the filters before left). Probabilities are
//!    renormalised after each; at least one token stays.
//! 7. The draw is an exponential race: the token with the least `E_i / p_i` wins, where `E_i` is exponential noise
//!    that depends on the seed, the sample, the step and the id `i` alone. So a token depends on its own sequence
//!    alone, and two models that nearly agree draw the same token nearly always: speculation lives on that.
//!
//! Weights `exp(logit / temperature - max)` are f32 (relative error below 2e-7), sums and the race f64. Nothing is
//! sorted but the tokens that stay: 50,257 logits cost about 0.1 ms (`cargo test -p gptneo-engine --release -- timing
//! --ignored --nocapture`).

use std::cmp::Ordering;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

use crate::error::SamplingError;
use crate::rail::{History, Rail};
use crate::request::Sampling;

/// Tokens looked at first where a filter needs the most probable ones but not how many.
const FIRST_GUESS: usize = 256;
/// How much wider each further look is.
const WIDEN: usize = 8;

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
    /// 64 random bits of this draw, from the ChaCha8 keystream of (seed, sample) at block `step`.
    fn key(self) -> u64 {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed);
        stream.set_stream(self.sample as u64);
        stream.set_word_pos(16 * self.step as u128);
        stream.next_u64()
    }
}

/// Standard exponential noise for every id, from a draw's key.
#[derive(Clone, Copy)]
struct Noise(u64);

impl Noise {
    /// Uniform over `(0, 1]`: SplitMix64 seeded with the key, at position `id`.
    fn uniform(self, id: u32) -> f64 {
        let mut z = self.0.wrapping_add((u64::from(id) + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        ((z >> 11) + 1) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

/// A token that may be chosen.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    id: u32,
    /// Logit over temperature, less the largest.
    score: f32,
}

fn most_probable_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal).then(a.id.cmp(&b.id))
}

/// What changes logits before a token is chosen, and how it is chosen. Holds scratch memory, no state.
#[derive(Debug, Default)]
pub struct Sampler {
    candidates: Vec<Candidate>,
    typical: Vec<(f64, Candidate)>,
    seen: Vec<u32>,
}

/// Everything beside the settings that a choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// The request's settings.
    pub sampling: &'a Sampling,
    /// Tokens so far.
    pub history: History<'a>,
    /// Tokens that may not be chosen.
    pub forbidden: &'a [u32],
    /// Change the logits last.
    pub rails: &'a [std::sync::Arc<dyn Rail>],
    /// Which sample of the request.
    pub sample: usize,
}

impl Sampler {
    /// Applies steps 1 to 5 of the [module](self) to `logits: [V]`.
    pub fn alter(&mut self, choice: &Choice<'_>, logits: &mut [f32]) {
        let Choice { sampling, history, .. } = choice;
        for &(id, bias) in &sampling.logit_bias {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit += bias;
            }
        }
        if sampling.repeat_penalty != 1.0 {
            let back = sampling.repeat_last_n.unwrap_or(usize::MAX).min(history.tokens.len());
            self.count(&history.tokens[history.tokens.len() - back..], logits, |logit, _| match logit > 0.0 {
                true => logit / sampling.repeat_penalty,
                false => logit * sampling.repeat_penalty,
            });
        }
        let (presence, frequency) = (sampling.presence_penalty, sampling.frequency_penalty);
        if presence != 0.0 || frequency != 0.0 {
            self.count(history.generated(), logits, |logit, times| logit - frequency * times as f32 - presence);
        }
        for &id in choice.forbidden {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        for rail in choice.rails {
            rail.alter_logits(*history, logits);
        }
    }

    /// Changes the logit of every distinct token, given how often it occurs.
    fn count(&mut self, tokens: &[u32], logits: &mut [f32], change: impl Fn(f32, usize) -> f32) {
        self.seen.clear();
        self.seen.extend_from_slice(tokens);
        self.seen.sort_unstable();
        for same in self.seen.chunk_by(|a, b| a == b) {
            if let Some(logit) = logits.get_mut(same[0] as usize) {
                *logit = change(*logit, same.len());
            }
        }
    }

    /// The next token: all the steps of the [module](self); `logits: [V]` are changed on the way.
    ///
    /// # Errors
    /// Logits that are NaN or plus infinity before step 1, or if no token is left.
    pub fn choose(&mut self, choice: &Choice<'_>, logits: &mut [f32]) -> Result<u32, SamplingError> {
        largest(logits)?;
        self.alter(choice, logits);
        let draw = Draw { seed: choice.sampling.seed, sample: choice.sample, step: choice.history.generated().len() };
        self.draw(choice.sampling, draw, logits)
    }

    /// Steps 6 and 7 of the [module](self).
    ///
    /// # Errors
    /// Logits that are NaN or plus infinity, or if no token is left.
    pub fn draw(&mut self, sampling: &Sampling, draw: Draw, logits: &[f32]) -> Result<u32, SamplingError> {
        let (best, max) = largest(logits)?;
        if max == f32::NEG_INFINITY {
            return Err(SamplingError::AllForbidden);
        }
        if sampling.greedy() {
            return Ok(best);
        }
        let scale = Scale { max, temperature: sampling.temperature };
        let noise = Noise(draw.key());
        let top_k = if sampling.top_k == 0 { logits.len() } else { sampling.top_k.min(logits.len()) };
        if top_k == logits.len() && sampling.top_p == 1.0 && sampling.typical == 1.0 {
            // `min_p` compares with the largest alone, so no token need be set aside.
            let floor = if sampling.min_p > 0.0 { sampling.min_p.ln() } else { f32::NEG_INFINITY };
            return Ok(race_all(logits, scale, floor, best, noise));
        }
        if top_k < logits.len() {
            self.most_probable(logits, scale, top_k);
        } else if sampling.top_p < 1.0 {
            self.nucleus(logits, scale, f64::from(sampling.top_p));
        } else {
            self.most_probable(logits, scale, logits.len());
        }
        if top_k < logits.len() && sampling.top_p < 1.0 {
            let total = mass(&self.candidates);
            self.candidates.sort_unstable_by(most_probable_first);
            let kept = reaching(&self.candidates, f64::from(sampling.top_p) * total);
            self.candidates.truncate(kept.unwrap_or(self.candidates.len()));
        }
        if sampling.min_p > 0.0 {
            let floor = sampling.min_p.ln();
            self.candidates.retain(|c| c.score >= floor);
        }
        if sampling.typical < 1.0 {
            self.keep_typical(f64::from(sampling.typical));
        }
        Ok(race(&self.candidates, noise).unwrap_or(best))
    }

    /// Leaves the `count` most probable tokens in `candidates`, in no order.
    fn most_probable(&mut self, logits: &[f32], scale: Scale, count: usize) {
        let found = &mut self.candidates;
        found.clear();
        let room = (2 * count).max(count.saturating_add(FIRST_GUESS));
        let mut floor = f32::NEG_INFINITY;
        for (id, &logit) in (0..).zip(logits) {
            // An equal logit further on has a higher id, so it loses against those already found.
            if logit > floor {
                found.push(Candidate { id, score: logit });
                if found.len() == room {
                    found.select_nth_unstable_by(count - 1, most_probable_first);
                    found.truncate(count);
                    floor = found[count - 1].score;
                }
            }
        }
        if found.len() > count {
            found.select_nth_unstable_by(count - 1, most_probable_first);
            found.truncate(count);
        }
        found.iter_mut().for_each(|c| c.score = scale.score(c.score));
    }

    /// Leaves the smallest set of most probable tokens whose mass reaches `share` of the whole.
    fn nucleus(&mut self, logits: &[f32], scale: Scale, share: f64) {
        let wanted = share * total_mass(logits, scale);
        let mut count = FIRST_GUESS;
        loop {
            let count_now = count.min(logits.len());
            self.most_probable(logits, scale, count_now);
            self.candidates.sort_unstable_by(most_probable_first);
            match reaching(&self.candidates, wanted) {
                Some(kept) => return self.candidates.truncate(kept),
                None if count_now == logits.len() => return,
                None => count *= WIDEN,
            }
        }
    }

    /// Keeps the smallest set of most typical candidates whose mass reaches `share`.
    fn keep_typical(&mut self, share: f64) {
        let total = mass(&self.candidates);
        let log_total = total.ln();
        let mean: f64 = self.candidates.iter().map(|c| c.weight() * c.nats()).sum::<f64>() / total;
        // -log p - H = (log Z - s) - (log Z - mean) = mean - s.
        self.typical.clear();
        self.typical.extend(self.candidates.iter().map(|c| ((mean - c.nats()).abs(), *c)));
        debug_assert!(log_total.is_finite(), "the largest weight is one");
        let by_shift = |a: &(f64, Candidate), b: &(f64, Candidate)| a.0.total_cmp(&b.0).then(a.1.id.cmp(&b.1.id));
        let mut count = FIRST_GUESS;
        loop {
            let kept = count.min(self.typical.len());
            if kept < self.typical.len() {
                self.typical.select_nth_unstable_by(kept, by_shift);
            }
            self.typical[..kept].sort_unstable_by(by_shift);
            self.candidates.clear();
            self.candidates.extend(self.typical[..kept].iter().map(|(_, c)| *c));
            match reaching(&self.candidates, share * total) {
                Some(enough) => return self.candidates.truncate(enough),
                None if kept == self.typical.len() => return,
                None => count *= WIDEN,
            }
        }
    }
}

impl Candidate {
    fn weight(&self) -> f64 {
        f64::from(exp(self.score))
    }

    /// The score where it counts: a weight of 0 times minus infinity would be NaN.
    fn nats(&self) -> f64 {
        f64::from(self.score.max(-1e30))
    }
}

/// How logits become scores, of which the largest is 0.
#[derive(Clone, Copy)]
struct Scale {
    max: f32,
    temperature: f32,
}

impl Scale {
    fn score(self, logit: f32) -> f32 {
        (logit - self.max) / self.temperature
    }
}

/// The largest logit and the lowest id that has it.
fn largest(logits: &[f32]) -> Result<(u32, f32), SamplingError> {
    let mut max = f32::NEG_INFINITY;
    let mut wrong = false;
    for &logit in logits {
        // Not `f32::max`: a NaN must be noticed, not skipped.
        wrong |= !(logit < f32::INFINITY);
        max = if logit > max { logit } else { max };
    }
    if wrong {
        let (id, &value) = (0..).zip(logits).find(|(_, l)| !(**l < f32::INFINITY)).expect("one was seen");
        return Err(SamplingError::NotFinite { id, value });
    }
    let at = logits.iter().position(|&logit| logit == max).unwrap_or(0);
    Ok((at as u32, max))
}

fn mass(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(Candidate::weight).sum()
}

/// How many of the first candidates reach the mass `wanted`; at least one.
fn reaching(candidates: &[Candidate], wanted: f64) -> Option<usize> {
    let mut sum = 0.0;
    let enough = |c: &Candidate| {
        sum += c.weight();
        sum >= wanted
    };
    candidates.iter().position(enough).map(|last| last + 1)
}

/// Sum of all weights, in blocks so that f32 sums stay short.
fn total_mass(logits: &[f32], scale: Scale) -> f64 {
    let sum = |block: &[f32]| f64::from(block.iter().map(|&logit| exp(scale.score(logit))).sum::<f32>());
    logits.chunks(16).map(sum).sum()
}

/// The winner of the race among `candidates`.
fn race(candidates: &[Candidate], noise: Noise) -> Option<u32> {
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

/// The winner of the race among all tokens whose score is at least `floor`.
fn race_all(logits: &[f32], scale: Scale, floor: f32, best: u32, noise: Noise) -> u32 {
    const BLOCK: usize = 64;
    let mut winner = (f64::INFINITY, best);
    let mut weights = [0f32; BLOCK];
    for (block, logits) in logits.chunks(BLOCK).enumerate() {
        for (weight, &logit) in weights.iter_mut().zip(logits) {
            let score = scale.score(logit);
            *weight = if score >= floor { exp(score) } else { 0.0 };
        }
        for (id, &weight) in ((block * BLOCK) as u32..).zip(&weights[..logits.len()]) {
            let (uniform, weight) = (noise.uniform(id), f64::from(weight));
            // `-ln(1 - u) >= u`: hardly any token needs its logarithm.
            if uniform < winner.0 * weight {
                let time = arrival(uniform, weight);
                if time < winner.0 {
                    winner = (time, id);
                }
            }
        }
    }
    winner.1
}

/// When a runner of this rate arrives.
fn arrival(uniform: f64, rate: f64) -> f64 {
    if rate > 0.0 { -(-uniform).ln_1p() / rate } else { f64::INFINITY }
}

/// `e^x` for `x <= 0`, relative error below 2e-7, 0 below -87. The same on every machine (no call into its mathematical
/// library), and without branches, so that loops over it vectorise.
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
