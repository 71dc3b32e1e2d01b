//! What a load came to, in figures.

use std::time::Duration;

use serde::Serialize;

use super::Observed;

/// What was promised: a request is good if it keeps both.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Level {
    /// Milliseconds to the first token.
    pub first_token_ms: f64,
    /// Milliseconds a token after it, on average.
    pub per_token_ms: f64,
}

/// Of many values the middle, the bad and the worst.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub count: usize,
    /// Mean.
    pub mean: f64,
    /// Half are no larger.
    pub p50: f64,
    /// Nine in ten are no larger.
    pub p90: f64,
    /// 99 in 100 are no larger.
    pub p99: f64,
    /// None is larger.
    pub max: f64,
}

/// What a load came to. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Requests that were answered to the end.
    pub completed: usize,
    /// Requests that the server refused because it was full.
    pub refused: usize,
    /// Requests that failed in another way.
    pub failed: usize,
    /// The first words of what went wrong, if anything did.
    pub failures: Vec<String>,
    /// From the first request to the last answer, in seconds.
    pub seconds: f64,
    /// Answered requests a second.
    pub requests_per_s: f64,
    /// Generated tokens a second.
    pub tokens_per_s: f64,
    /// Tokens of prompts a second.
    pub prompt_tokens_per_s: f64,
    /// To the first token.
    pub time_to_first_token: Option<Spread>,
    /// A token after the first, mean of each request.
    pub time_per_output_token: Option<Spread>,
    /// Between two parts of an answer.
    pub inter_token_latency: Option<Spread>,
    /// To the end of an answer.
    pub end_to_end: Option<Spread>,
    /// To the end of a refusal.
    pub refusal: Option<Spread>,
    /// What was promised.
    pub level: Level,
    /// Requests a second that kept it.
    pub goodput_per_s: f64,
    /// Their share of all that were sent.
    pub good_share: f64,
}

impl Spread {
    /// Of these values; `None` if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        // The value below which the share lies, as it was observed.
        let at = |share: f64| values.get(((values.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
        Some(Self {
            count: values.len(),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            max: values.last().copied()?,
        })
    }
}

impl Figures {
    /// What became of all requests of a load.
    pub fn of(observed: &[Observed], level: Level) -> Self {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let done: Vec<&Observed> = observed.iter().filter(|one| one.failed.is_none()).collect();
        let refused = observed.iter().filter(|one| one.refused).count();
        let first = observed.iter().filter_map(|one| one.due).min();
        let last = observed.iter().filter_map(|one| Some(one.due? + one.ended)).max();
        let seconds = first.zip(last).map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let rate = |count: usize| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let per_token = |one: &Observed| {
            let (first, last) = (one.first?, one.parts.last()?);
            (one.tokens > 1).then(|| ms(last.saturating_sub(first)) / (one.tokens - 1) as f64)
        };
        let keeps = |one: &&&Observed| {
            one.first.is_some_and(|first| ms(first) <= level.first_token_ms)
                && per_token(one).is_none_or(|time| time <= level.per_token_ms)
        };
        let good = done.iter().filter(keeps).count();
        let mut failures: Vec<String> =
            observed.iter().filter(|one| !one.refused).filter_map(|one| one.failed.clone()).collect();
        let failed = failures.len();
        failures.sort();
        failures.dedup();
        failures.truncate(5);
        let gaps = |one: &&Observed| one.parts.windows(2).map(|pair| ms(pair[1] - pair[0])).collect::<Vec<_>>();
        Self {
            completed: done.len(),
            refused,
            failed,
            failures,
            seconds,
            requests_per_s: rate(done.len()),
            tokens_per_s: rate(done.iter().map(|one| one.tokens).sum()),
            prompt_tokens_per_s: rate(done.iter().map(|one| one.prompt_tokens).sum()),
            time_to_first_token: Spread::of(done.iter().filter_map(|one| one.first.map(ms)).collect()),
            time_per_output_token: Spread::of(done.iter().filter_map(|one| per_token(one)).collect()),
            inter_token_latency: Spread::of(done.iter().flat_map(gaps).collect()),
            end_to_end: Spread::of(done.iter().map(|one| ms(one.ended)).collect()),
            refusal: Spread::of(observed.iter().filter(|one| one.refused).map(|one| ms(one.ended)).collect()),
            level,
            goodput_per_s: rate(good),
            good_share: if observed.is_empty() { 0.0 } else { good as f64 / observed.len() as f64 },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn percentiles_are_observed_values() {
        let spread = Spread::of((1..=200).rev().map(f64::from).collect()).unwrap();
        assert_eq!((spread.p50, spread.p90, spread.p99, spread.max, spread.mean), (100.0, 180.0, 198.0, 200.0, 100.5));
        assert_eq!(Spread::of(Vec::new()), None);
        assert_eq!(Spread::of(vec![3.0]).unwrap().p99, 3.0);
    }

    #[test]
    fn goodput_is_what_keeps_both_promises() {
        let due = Instant::now();
        let one = |first: u64, gap: u64| Observed {
            due: Some(due),
            first: Some(Duration::from_millis(first)),
            parts: (0..5).map(|part| Duration::from_millis(first + part * gap)).collect(),
            ended: Duration::from_millis(2000),
            prompt_tokens: 3,
            tokens: 5,
            failed: None,
            refused: false,
        };
        let refused = Observed {
            failed: Some("answered 429".into()),
            refused: true,
            ended: Duration::from_millis(7),
            ..one(0, 0)
        };
        let level = Level { first_token_ms: 500.0, per_token_ms: 50.0 };
        let figures = Figures::of(&[one(100, 40), one(600, 40), one(100, 60), refused], level);
        assert_eq!((figures.completed, figures.refused, figures.failed), (3, 1, 0));
        assert_eq!((figures.good_share, figures.goodput_per_s), (0.25, 0.5));
        assert_eq!((figures.tokens_per_s, figures.time_per_output_token.unwrap().max), (7.5, 60.0));
        assert_eq!(figures.refusal.map(|spread| (spread.count, spread.max)), Some((1, 7.0)));
    }
}
