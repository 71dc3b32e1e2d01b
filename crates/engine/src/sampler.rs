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
//! 5. Rails alter the logits. Then tokens that may not follow in the form asked for are forbidden, whatever raised them.
//! 6. Temperature 0 takes the largest logit, of equal ones the lowest id. Otherwise logits are divided by it, and the
//!    rest filters as transformers' warpers do, in their order: `top_k` (exactly `k`: of equal logits the lower ids
//!    stay), `top_p` (the smallest set of most probable tokens whose mass reaches it), `min_p` (those at least so many
//!    times as probable as the most probable), `typical` (arXiv 2202.00666: the smallest set with the least
//!    `|-log p - H|` whose mass reaches it, `H` the entropy of what the filters before left). Probabilities are
//!    renormalised after each; at least one token stays.
//! 7. The draw is an exponential race: the token with the least `E_i / p_i` wins, where `E_i` is exponential noise
//!    that depends on the seed, the sample, the step and the id `i` alone (very improbable tokens race as one first).
//!    So a token depends on its own sequence alone, and two models that nearly agree draw the same token nearly
//!    always: speculation lives on that.
//!
//! Weights `exp(logit / temperature - max)` are f32 (relative error below 2e-7), sums and the race f64. Nothing is
//! sorted but the tokens that stay. A draw from 50,257 logits takes 0.05 ms with `top_k` 40, 0.15 ms from all or with
//! `top_p` alone, 0.35 ms with `typical` alone or from a nearly flat distribution (2 cores of an AMD EPYC, busy;
//! `cargo bench -p gptneo-engine`).

use crate::error::SamplingError;
use crate::race::{Candidate, Draw, Scale, largest, most_probable_first, race, race_all, total_mass};
use crate::rail::{History, Rail};
use crate::request::Sampling;

/// Tokens looked at first where a filter needs the most probable ones but not how many.
const FIRST_GUESS: usize = 256;
/// How much wider each further look is.
const WIDEN: usize = 8;

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
    /// Change the logits.
    pub rails: &'a [std::sync::Arc<dyn Rail>],
    /// If there is one, only tokens with their bit set may be chosen: id `i` has bit `i % 32` of word `i / 32`.
    pub allowed: Option<&'a [u32]>,
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
        if let Some(allowed) = choice.allowed {
            keep(allowed, logits);
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
        let scale = Scale::new(max, sampling.temperature);
        let noise = draw.noise();
        let top_k = if sampling.top_k == 0 { logits.len() } else { sampling.top_k.min(logits.len()) };
        let floor = if sampling.min_p > 0.0 { sampling.min_p.ln() } else { f32::NEG_INFINITY };
        let (all, typical) = (top_k == logits.len() && sampling.top_p == 1.0, sampling.typical < 1.0);
        if all && !typical {
            // `min_p` compares with the largest alone, so no token need be set aside.
            return Ok(race_all(logits, scale, floor, best, noise));
        }
        if all && sampling.min_p == 0.0 {
            self.typical_of_all(logits, scale, f64::from(sampling.typical));
            return Ok(race(&self.candidates, noise).unwrap_or(best));
        }
        if all {
            self.above(logits, scale, floor);
        } else if top_k < logits.len() {
            self.most_probable(logits, scale, top_k);
        } else {
            self.nucleus(logits, scale, f64::from(sampling.top_p));
        }
        if top_k < logits.len() && sampling.top_p < 1.0 {
            let total = mass(&self.candidates);
            self.candidates.sort_unstable_by(most_probable_first);
            let kept = reaching(&self.candidates, f64::from(sampling.top_p) * total);
            self.candidates.truncate(kept.unwrap_or(self.candidates.len()));
        }
        self.candidates.retain(|c| c.score >= floor);
        if typical {
            let total = mass(&self.candidates);
            let mean = self.candidates.iter().map(|c| c.weight() * c.nats()).sum::<f64>() / total;
            self.keep_typical(mean, f64::from(sampling.typical) * total);
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
        let wanted = share * total_mass(logits, scale).0;
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

    /// Leaves the tokens whose score is at least `floor`.
    fn above(&mut self, logits: &[f32], scale: Scale, floor: f32) {
        let scored = (0..).zip(logits).map(|(id, &logit)| Candidate { id, score: scale.score(logit) });
        self.candidates.clear();
        self.candidates.extend(scored.filter(|c| c.score >= floor && c.score > f32::NEG_INFINITY));
    }

    /// Leaves the smallest set of most typical tokens of all whose mass reaches `share` of the whole.
    fn typical_of_all(&mut self, logits: &[f32], scale: Scale, share: f64) {
        let (total, weighed) = total_mass(logits, scale);
        let mean = weighed / total;
        // The most probable token's shift is `-mean`. What scores less than `2 * mean` has a greater shift than all
        // that score more, so it comes last, and is hardly ever needed.
        let floor = (2.0 * mean - 1.0).min(-20.0) as f32;
        for floor in [floor, f32::NEG_INFINITY] {
            self.above(logits, scale, floor);
            if self.keep_typical(mean, share * total) {
                return;
            }
        }
    }

    /// Keeps the smallest set of most typical candidates whose mass reaches `wanted`, or all; returns whether it was
    /// reached. `mean` is the mean score of what the entropy is taken over.
    fn keep_typical(&mut self, mean: f64, wanted: f64) -> bool {
        // -log p - H = (log Z - score) - (log Z - mean) = mean - score.
        self.typical.clear();
        self.typical.extend(self.candidates.iter().map(|c| ((mean - c.nats()).abs(), *c)));
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
            match reaching(&self.candidates, wanted) {
                Some(enough) => {
                    self.candidates.truncate(enough);
                    return true;
                }
                None if kept == self.typical.len() => return false,
                None => count *= WIDEN,
            }
        }
    }
}

/// Forbids the tokens whose bit is not set.
fn keep(allowed: &[u32], logits: &mut [f32]) {
    let words = allowed.iter().copied().chain(std::iter::repeat(0));
    for (word, logits) in words.zip(logits.chunks_mut(32)).filter(|(word, _)| *word != u32::MAX) {
        for (bit, logit) in logits.iter_mut().enumerate() {
            if word >> bit & 1 == 0 {
                *logit = f32::NEG_INFINITY;
            }
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(vocab: usize, spread: f64, seed: u64) -> Vec<f32> {
        // Roughly normal: real logits have few large values.
        let noise = Draw { seed, sample: 0, step: 0 }.noise();
        let unit = |i: usize| noise.uniform(i as u32) - 0.5;
        (0..vocab).map(|i| ((0..6).map(|j| unit(6 * i + j)).sum::<f64>() * spread) as f32).collect()
    }

    /// Probabilities by the definitions of the module, plainly: sorted in f64, renormalised after each filter.
    fn reference(sampling: &Sampling, logits: &[f32]) -> Vec<f64> {
        let t = f64::from(sampling.temperature);
        let max = logits.iter().fold(f64::NEG_INFINITY, |m, &l| m.max(f64::from(l)));
        let mut kept: Vec<(usize, f64)> =
            logits.iter().map(|&l| ((f64::from(l) - max) / t).exp()).enumerate().filter(|(_, w)| *w > 0.0).collect();
        let normalise = |kept: &mut Vec<(usize, f64)>| {
            let sum: f64 = kept.iter().map(|(_, w)| w).sum();
            kept.iter_mut().for_each(|(_, w)| *w /= sum);
        };
        let reach = |kept: &mut Vec<(usize, f64)>, mass: f64| {
            let mut sum = 0.0;
            let enough = kept.iter().position(|(_, p)| {
                sum += p;
                sum >= mass
            });
            kept.truncate(enough.map_or(kept.len(), |at| at + 1));
        };
        kept.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        if sampling.top_k > 0 {
            kept.truncate(sampling.top_k);
        }
        normalise(&mut kept);
        if sampling.top_p < 1.0 {
            reach(&mut kept, f64::from(sampling.top_p));
            normalise(&mut kept);
        }
        let floor = kept[0].1 * f64::from(sampling.min_p);
        kept.retain(|(_, p)| *p >= floor);
        normalise(&mut kept);
        if sampling.typical < 1.0 {
            let entropy: f64 = kept.iter().map(|(_, p)| -p * p.ln()).sum();
            kept.sort_by(|a, b| {
                let shift = |p: f64| (-p.ln() - entropy).abs();
                shift(a.1).total_cmp(&shift(b.1)).then(a.0.cmp(&b.0))
            });
            reach(&mut kept, f64::from(sampling.typical));
            normalise(&mut kept);
        }
        let mut all = vec![0.0; logits.len()];
        kept.into_iter().for_each(|(id, p)| all[id] = p);
        all
    }

    /// Draws many times and compares with the reference by chi-square.
    fn check(change: impl Fn(&mut Sampling)) {
        const ROUNDS: usize = 30_000;
        let mut sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        change(&mut sampling);
        let logits = noisy(50, 4.0, 3);
        let wanted = reference(&sampling, &logits);
        let mut sampler = Sampler::default();
        let mut counts = vec![0usize; logits.len()];
        for step in 0..ROUNDS {
            let draw = Draw { seed: 17, sample: step % 3, step };
            counts[sampler.draw(&sampling, draw, &logits).unwrap() as usize] += 1;
        }
        let (mut chi_square, mut cells, mut rare) = (0.0, 0, (0.0, 0.0));
        for (&count, &p) in counts.iter().zip(&wanted) {
            assert!(p > 0.0 || count == 0, "{sampling:?} drew a token that is not there");
            let expected = p * ROUNDS as f64;
            if expected < 10.0 {
                rare = (rare.0 + count as f64, rare.1 + expected);
            } else {
                chi_square += (count as f64 - expected).powi(2) / expected;
                cells += 1;
            }
        }
        if rare.1 > 5.0 {
            chi_square += (rare.0 - rare.1).powi(2) / rare.1;
        }
        // Five standard deviations of a chi-square variable above its mean.
        let limit = f64::from(cells) + 5.0 * (2.0 * f64::from(cells)).sqrt() + 1.0;
        assert!(chi_square < limit, "{sampling:?}: {chi_square} of {cells} cells");
    }

    #[test]
    fn draws_from_the_distribution() {
        check(|_| {});
        check(|s| s.temperature = 0.6);
        check(|s| s.temperature = 3.0);
        check(|s| s.top_k = 1);
        check(|s| s.top_k = 7);
        check(|s| s.top_p = 0.8);
        check(|s| s.top_p = 0.05);
        check(|s| s.min_p = 0.1);
        check(|s| s.min_p = 1.0);
        check(|s| s.typical = 0.5);
        check(|s| s.typical = 0.95);
        check(|s| (s.top_k, s.top_p, s.min_p, s.typical) = (30, 0.9, 0.02, 0.9));
        check(|s| (s.top_p, s.min_p) = (0.9, 0.05));
        check(|s| (s.top_k, s.typical) = (20, 0.6));
        check(|s| (s.top_k, s.min_p) = (20, 0.2));
    }

    #[test]
    fn improbable_tokens_win_as_often_as_they_should() {
        // One token as probable as 200,000 others together.
        let mut logits = vec![0.0f32; 200_000];
        logits[7] = 200_000f32.ln();
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let mut sampler = Sampler::default();
        let mut tails = Vec::new();
        for step in 0..400 {
            let id = sampler.draw(&sampling, Draw { seed: 2, sample: 0, step }, &logits).unwrap();
            if id != 7 {
                tails.push(id);
            }
        }
        // Half of 400, within four standard deviations; and spread over all of them.
        assert!((160..=240).contains(&tails.len()), "{}", tails.len());
        let low = tails.iter().filter(|&&id| id < 100_000).count();
        assert!(low.abs_diff(tails.len() / 2) < 32, "{low} of {}", tails.len());
        tails.sort_unstable();
        tails.dedup();
        assert!(tails.len() > 150);
    }

    /// The set that the sampler would draw from.
    fn kept(sampling: &Sampling, logits: &[f32]) -> Vec<u32> {
        let mut sampler = Sampler::default();
        let mut found: Vec<u32> =
            (0..4000).map(|step| sampler.draw(sampling, Draw { seed: 1, sample: 0, step }, logits).unwrap()).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    #[test]
    fn of_equal_logits_the_lower_ids_stay() {
        let sampling = Sampling { temperature: 1.0, top_k: 2, ..Sampling::default() };
        assert_eq!(kept(&sampling, &[1.0, 2.0, 2.0, 2.0]), [1, 2]);
        let sampling = Sampling { temperature: 1.0, top_p: 0.5, ..Sampling::default() };
        assert_eq!(kept(&sampling, &[1.0; 4]), [0, 1]);
    }

    #[test]
    fn keeps_the_same_sets_in_a_large_vocabulary() {
        // Filters that must look further than their first guess.
        let logits = noisy(3000, 1.0, 5);
        for (top_p, typical) in [(0.6, 1.0), (0.99, 1.0), (1.0, 0.6), (1.0, 0.99), (0.9, 0.9)] {
            let sampling = Sampling { temperature: 1.0, top_p, typical, ..Sampling::default() };
            let mut sampler = Sampler::default();
            sampler.draw(&sampling, Draw { seed: 1, sample: 0, step: 0 }, &logits).unwrap();
            let wanted = reference(&sampling, &logits).iter().filter(|p| **p > 0.0).count();
            // Weights are f32: the border may lie one token further.
            assert!(sampler.candidates.len().abs_diff(wanted) <= 1, "{sampling:?}");
        }
    }

    #[test]
    fn greedy_takes_the_lowest_of_the_largest() {
        let draw = Draw { seed: 0, sample: 0, step: 0 };
        let choose = |logits: &[f32]| Sampler::default().draw(&Sampling::default(), draw, logits);
        assert_eq!(choose(&[0.0, 3.0, 3.0]), Ok(1));
        assert_eq!(choose(&[-0.0, 0.0]), Ok(0));
        assert_eq!(choose(&[f32::NEG_INFINITY, -5.0]), Ok(1));
        assert_eq!(choose(&[f32::NEG_INFINITY]), Err(SamplingError::AllForbidden));
        assert!(matches!(choose(&[0.0, f32::NAN]), Err(SamplingError::NotFinite { id: 1, .. })));
        assert_eq!(choose(&[0.0, f32::INFINITY]), Err(SamplingError::NotFinite { id: 1, value: f32::INFINITY }));
    }

    #[test]
    fn survives_extreme_temperatures_and_logits() {
        let draw = |step| Draw { seed: 4, sample: 0, step };
        for temperature in [f32::MIN_POSITIVE, 1e-30, 1e30, f32::MAX] {
            for logits in [[1.0, 2.0, -3.0], [f32::MAX, f32::MIN, 0.0], [f32::NEG_INFINITY, 1.0, f32::MIN]] {
                for (top_k, top_p, typical) in [(0, 1.0, 1.0), (2, 1.0, 1.0), (0, 0.5, 1.0), (0, 1.0, 0.5)] {
                    let sampling = Sampling { temperature, top_k, top_p, typical, ..Sampling::default() };
                    for step in 0..20 {
                        let id = Sampler::default().draw(&sampling, draw(step), &logits).unwrap();
                        assert!(logits[id as usize] > f32::NEG_INFINITY);
                    }
                }
            }
        }
    }

    #[test]
    fn noise_depends_on_seed_sample_and_step_alone() {
        let sampling = Sampling { temperature: 1.0, ..Sampling::default() };
        let logits = noisy(1000, 1.0, 8);
        let draw =
            |seed, sample, step| Sampler::default().draw(&sampling, Draw { seed, sample, step }, &logits).unwrap();
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        let all = [draw(1, 2, 3), draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(u64::MAX, 255, 2047)];
        let mut distinct = all.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert!(distinct.len() >= 4, "{all:?}");
    }

    fn altered(change: impl Fn(&mut Sampling), tokens: &[u32], prompt: usize, logits: &[f32]) -> Vec<f32> {
        let mut sampling = Sampling::default();
        change(&mut sampling);
        let history = History { tokens, prompt };
        let choice = Choice { sampling: &sampling, history, forbidden: &[], rails: &[], allowed: None, sample: 0 };
        let mut logits = logits.to_vec();
        Sampler::default().alter(&choice, &mut logits);
        logits
    }

    #[test]
    fn the_repetition_penalty_divides_or_multiplies_once() {
        let logits = [2.0, -2.0, 4.0, 1.0];
        let penalty = |s: &mut Sampling| (s.repeat_penalty, s.repeat_last_n) = (2.0, None);
        assert_eq!(altered(penalty, &[0, 1, 0, 0], 4, &logits), [1.0, -4.0, 4.0, 1.0]);
        let last = |s: &mut Sampling| (s.repeat_penalty, s.repeat_last_n) = (2.0, Some(1));
        assert_eq!(altered(last, &[0, 1, 2], 1, &logits), [2.0, -2.0, 2.0, 1.0]);
        let none = |s: &mut Sampling| (s.repeat_penalty, s.repeat_last_n) = (2.0, Some(0));
        assert_eq!(altered(none, &[0, 1, 2], 1, &logits), logits);
    }

    #[test]
    fn presence_and_frequency_count_what_was_generated() {
        let penalties = |s: &mut Sampling| (s.presence_penalty, s.frequency_penalty) = (0.5, 0.25);
        assert_eq!(altered(penalties, &[0, 1, 1, 2], 1, &[1.0; 4]), [1.0, 0.0, 0.25, 1.0]);
    }

    #[test]
    fn only_what_is_allowed_is_left_whatever_raised_the_rest() {
        let sampling = Sampling { logit_bias: vec![(1, 100.0)], ..Sampling::default() };
        let history = History { tokens: &[], prompt: 0 };
        let mut choice = Choice { sampling: &sampling, history, forbidden: &[], rails: &[], allowed: None, sample: 0 };
        let mut logits = vec![1.0; 70];
        choice.allowed = Some(&[!2, 1 << 3]);
        Sampler::default().alter(&choice, &mut logits);
        let left: Vec<usize> = (0..70).filter(|&id| logits[id] > f32::NEG_INFINITY).collect();
        let wanted: Vec<usize> = (0..32).filter(|&id| id != 1).chain([35]).collect();
        assert_eq!(left, wanted);
        choice.allowed = Some(&[2]);
        assert_eq!(Sampler::default().choose(&choice, &mut [0.0; 3]), Ok(1));
        choice.allowed = Some(&[]);
        assert_eq!(Sampler::default().choose(&choice, &mut [0.0; 3]), Err(SamplingError::AllForbidden));
    }

    #[test]
    fn bias_comes_before_penalties() {
        let change = |s: &mut Sampling| (s.logit_bias, s.repeat_penalty) = (vec![(0, 3.0)], 2.0);
        assert_eq!(altered(change, &[0], 1, &[1.0, 1.0]), [2.0, 1.0]);
    }
}
