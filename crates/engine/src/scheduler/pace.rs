//! Prompts in a step: how many tokens, so that nobody waits long for a step's end, and whose.

use std::time::Duration;

/// Steps of fewer tokens say nothing of what a token costs: they wait for memory.
const TELLING: usize = 16;

/// Tokens of the first step of all, when nothing is known.
const FIRST: usize = 128;

/// Tokens at least, and what numbers of them are multiples of: whole register tiles, and few passes over the weights.
const UNIT: usize = 16;

/// Share of a new observation in what is believed.
const NEWS: f64 = 0.25;

/// Learns what a token costs.
#[derive(Debug, Default)]
pub(super) struct Pace {
    seconds: Option<f64>,
}

impl Pace {
    /// A step over so many tokens took so long.
    pub(super) fn observe(&mut self, tokens: usize, took: Duration) {
        if tokens >= TELLING {
            let now = took.as_secs_f64() / tokens as f64;
            self.seconds = Some(self.seconds.map_or(now, |before| before + NEWS * (now - before)));
        }
    }

    /// Tokens that a step may have beside `others` to be over in `wanted`, at most `most`, at least one.
    pub(super) fn tokens(&self, wanted: Option<Duration>, others: usize, most: usize) -> usize {
        let Some(wanted) = wanted else { return most.max(1) };
        let fitting = self.seconds.map_or(FIRST, |each| (wanted.as_secs_f64() / each) as usize);
        (fitting.saturating_sub(others) / UNIT * UNIT).max(UNIT).min(most.max(1))
    }
}

/// Deals `budget` tokens to prompts of which so many tokens remain, oldest first. A quarter is the oldest's, so that it moves on whoever
/// comes; the rest goes to those that are soonest done, and what they leave to the oldest.
pub(super) fn deal(remaining: &[usize], budget: usize) -> Vec<usize> {
    let mut takes = vec![0; remaining.len()];
    let Some(&oldest) = remaining.first() else { return takes };
    takes[0] = oldest.min(budget.div_ceil(4));
    let mut rest = budget - takes[0];
    let mut shortest: Vec<usize> = (1..remaining.len()).collect();
    shortest.sort_by_key(|&i| remaining[i]);
    for i in shortest {
        takes[i] = remaining[i].min(rest);
        rest -= takes[i];
    }
    takes[0] += (oldest - takes[0]).min(rest);
    takes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_what_its_time_allows() {
        let mut pace = Pace::default();
        let wanted = Some(Duration::from_millis(100));
        assert_eq!((pace.tokens(None, 3, 512), pace.tokens(wanted, 0, 512), pace.tokens(wanted, 0, 0)), (512, 128, 1));
        // Five tokens tell nothing; at a millisecond a token it is 100 tokens, in whole units.
        pace.observe(5, Duration::from_secs(1));
        pace.observe(200, Duration::from_millis(200));
        assert_eq!(
            (pace.tokens(wanted, 0, 512), pace.tokens(wanted, 30, 512), pace.tokens(wanted, 0, 50)),
            (96, 64, 50)
        );
        for _ in 0..40 {
            pace.observe(100, Duration::from_secs(1));
        }
        assert_eq!(
            (pace.tokens(wanted, 0, 512), pace.tokens(wanted, 60, 512)),
            (16, 16),
            "slow, but never at a standstill"
        );
        for _ in 0..40 {
            pace.observe(100, Duration::from_millis(1));
        }
        assert_eq!(pace.tokens(wanted, 0, 512), 512);
    }

    #[test]
    fn the_oldest_moves_on_and_the_shortest_end_soon() {
        assert!(deal(&[], 10).is_empty());
        assert_eq!(deal(&[100], 10), [10]);
        assert_eq!(deal(&[3], 10), [3]);
        assert_eq!(deal(&[100, 5], 20), [15, 5]);
        assert_eq!(deal(&[100, 50, 5, 6], 20), [5, 4, 5, 6]);
        assert_eq!(deal(&[100, 9, 9], 20), [5, 9, 6], "of equals the older");
        assert_eq!(deal(&[2, 50, 5], 20), [2, 13, 5]);
        assert_eq!(deal(&[9, 9], 1), [1, 0]);
    }
}
