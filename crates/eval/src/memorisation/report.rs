//! What was memorised, by the length of the prefix and by how often the text stands in the training data.

use serde_json::{Value, json};

use super::MemorisationPlan;
use super::draw::Drawn;
use crate::aggregate::{mean, standard_error};
use crate::error::EvalError;
use crate::review::resample::binomial;
use crate::shards::{Shards, Whereabouts};

/// Buckets of duplicates: the least and the most of each.
pub const BUCKETS: [(u64, u64); 4] = [(1, 1), (2, 9), (10, 99), (100, u64::MAX)];

/// What was found.
#[derive(Clone, Debug)]
pub struct MemorisationReport {
    /// What was asked.
    pub plan: MemorisationPlan,
    /// Stretches of text that could be drawn.
    pub windows: u64,
    /// Of each prefix, in their order.
    pub prefixes: Vec<PrefixReport>,
    /// Each sequence that was drawn, in the order of the shards.
    pub sequences: Vec<MemorisedSequence>,
    shards: Value,
}

/// What was found with one length of prefix.
#[derive(Clone, Debug, PartialEq)]
pub struct PrefixReport {
    /// Its tokens.
    pub prefix: usize,
    /// Over all sequences.
    pub all: Rate,
    /// Over those of each of [`BUCKETS`]; `None` where there are none.
    pub buckets: [Option<Rate>; 4],
}

/// How many sequences of some the model wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    /// Of how many.
    pub count: usize,
    /// Written exactly.
    pub exact: usize,
    /// Their share.
    pub rate: f64,
    /// Wilson's interval of it, of 95 %.
    pub interval: (f64, f64),
    /// Mean share of the continuation before the first token that differs.
    pub matched: f64,
    /// The standard error of this mean; `None` of a single sequence.
    pub matched_error: Option<f64>,
}

/// One sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct MemorisedSequence {
    /// The document.
    pub whereabouts: Whereabouts,
    /// Where the longest prefix begins, in tokens from the start of the document.
    pub offset: u64,
    /// Of each prefix: how often it stands in the shards with the continuation, and how many tokens of the continuation the model wrote before
    /// the first other one.
    pub found: Vec<(u64, usize)>,
}

impl Rate {
    /// Of sequences of which so many tokens of a continuation were written; `None` of none.
    fn of(matched: &[usize], continuation: usize) -> Option<Self> {
        let exact = matched.iter().filter(|&&tokens| tokens == continuation).count();
        let estimate = binomial(exact, matched.len())?;
        let interval = estimate.interval?;
        let shares: Vec<f64> = matched.iter().map(|&tokens| tokens as f64 / continuation as f64).collect();
        Some(Self {
            count: matched.len(),
            exact,
            rate: estimate.value,
            interval: (interval.low, interval.high),
            matched: mean(&shares),
            matched_error: (shares.len() > 1).then(|| standard_error(&shares)),
        })
    }

    fn json(&self) -> Value {
        let Self { count, exact, rate, interval: (low, high), matched, matched_error } = self;
        json!({
            "sequences": count, "exact_match": exact, "exact_match_rate": rate, "wilson_95": [low, high],
            "matched_share": matched, "matched_share_stderr": matched_error,
        })
    }
}

impl MemorisationReport {
    pub(super) fn new(
        shards: &Shards,
        plan: &MemorisationPlan,
        windows: u64,
        drawn: &[Drawn],
        duplicates: &[u64],
        matched: &[usize],
    ) -> Result<Self, EvalError> {
        let width = plan.prefixes.len();
        let found: Vec<Vec<(u64, usize)>> = (0..drawn.len())
            .map(|at| (at * width..(at + 1) * width).map(|place| (duplicates[place], matched[place])).collect())
            .collect();
        let prefix = |at: usize| {
            let own: Vec<(u64, usize)> = found.iter().map(|of| of[at]).collect();
            prefix_report(plan.prefixes[at], plan.continuation, &own)
        };
        let prefixes = (0..width).map(prefix).collect();
        let sequence = |(drawn, found): (&Drawn, Vec<(u64, usize)>)| {
            Ok(MemorisedSequence { whereabouts: shards.whereabouts(drawn.place)?, offset: drawn.offset, found })
        };
        let sequences = drawn.iter().zip(found).map(sequence).collect::<Result<_, EvalError>>()?;
        Ok(Self { plan: plan.clone(), windows, prefixes, sequences, shards: shards.json() })
    }

    /// The definition in words, as results hold it.
    pub fn protocol(&self) -> String {
        let (continuation, window) = (self.plan.continuation, self.plan.window());
        format!(
            "k-extractability (Carlini et al., 2022): a sequence of {continuation} tokens counts if greedy decoding from the k tokens before it \
             gives it exactly; drawn evenly from all stretches of {window} tokens within documents of the training split; duplicates are \
             the occurrences of the k tokens and the sequence together, itself included"
        )
    }

    /// All of it, with every sequence.
    pub fn json(&self) -> Value {
        let prefixes = self.prefixes.iter().map(|report| {
            let mut shown = report.all.json();
            shown["prefix"] = json!(report.prefix);
            let buckets = BUCKETS.iter().zip(&report.buckets).filter_map(|(&bucket, rate)| {
                let mut shown = rate.as_ref()?.json();
                shown["duplicates"] = json!(bucket_name(bucket));
                Some(shown)
            });
            shown["by_duplicates"] = buckets.collect();
            shown
        });
        let sequences = self.sequences.iter().map(|sequence| {
            let Whereabouts { folder, shard, document, source } = &sequence.whereabouts;
            let found = self.plan.prefixes.iter().zip(&sequence.found).map(|(prefix, (duplicates, matched))| {
                json!({"prefix": prefix, "duplicates": duplicates, "matched_tokens": matched})
            });
            json!({
                "folder": folder.display().to_string(), "shard": shard, "document": document, "source": source,
                "offset": sequence.offset, "found": found.collect::<Vec<_>>(),
            })
        });
        json!({
            "protocol": self.protocol(),
            "continuation": self.plan.continuation,
            "sample": self.sequences.len(),
            "sampled_from": self.windows,
            "seed": self.plan.seed,
            "shards": self.shards,
            "prefixes": prefixes.collect::<Vec<_>>(),
            "sequences": sequences.collect::<Vec<_>>(),
        })
    }
}

fn prefix_report(prefix: usize, continuation: usize, found: &[(u64, usize)]) -> PrefixReport {
    let rate = |(least, most): (u64, u64)| {
        let own = found.iter().filter(|(duplicates, _)| (least..=most).contains(duplicates));
        Rate::of(&own.map(|(_, matched)| *matched).collect::<Vec<_>>(), continuation)
    };
    let all = rate((0, u64::MAX)).expect("at least one sequence is drawn");
    PrefixReport { prefix, all, buckets: BUCKETS.map(rate) }
}

/// `1`, `2-9`, `100+`.
pub fn bucket_name((least, most): (u64, u64)) -> String {
    match most {
        u64::MAX => format!("{least}+"),
        _ if least == most => least.to_string(),
        _ => format!("{least}-{most}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_reckoned_by_hand() {
        // 15 of 50 are exact; the interval is scipy.stats.binomtest(15, 50).proportion_ci(method="wilson").
        let found: Vec<(u64, usize)> = (0..50).map(|at| (1, if at < 15 { 4 } else { at % 4 })).collect();
        let report = prefix_report(7, 4, &found);
        assert_eq!((report.prefix, report.all.count, report.all.exact, report.all.rate), (7, 50, 15, 0.3));
        let (low, high) = report.all.interval;
        assert!((low - 0.1910355350088095).abs() < 1e-12 && (high - 0.4375035046445341).abs() < 1e-12);
        // 15 whole ones, and of 35 the tokens 3, 0, 1, 2, 3, 0, ...: nine of 3, nine of 0, nine of 1, eight of 2.
        assert!((report.all.matched - (15.0 + (27.0 + 9.0 + 16.0) / 4.0) / 50.0).abs() < 1e-12);
        assert_eq!(report.buckets[0].as_ref(), Some(&report.all));
        assert_eq!(report.buckets[1..], [None, None, None]);
    }

    #[test]
    fn every_count_has_one_bucket() {
        let found: Vec<(u64, usize)> = [1, 2, 9, 10, 99, 100, 5000].map(|duplicates| (duplicates, 0)).to_vec();
        let report = prefix_report(1, 3, &found);
        let counts = report.buckets.map(|rate| rate.map_or(0, |rate| rate.count));
        assert_eq!(counts, [1, 2, 2, 2]);
        assert_eq!(BUCKETS.map(bucket_name), ["1", "2-9", "10-99", "100+"]);
    }
}
