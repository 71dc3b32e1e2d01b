//! Everything that the answers to a sheet say, each number with its count and its interval.

use serde::Serialize;

use super::agreement::Metric;
use super::answers::Answers;
use super::error::{Result, bad_answer};
use super::judgement::Scale;
use super::measure;
use super::resample::{Bootstrap, Estimate};
use super::sheet::Sheet;
use super::verdict::verdicts;

/// The statistics of a sheet.
///
/// [`Report::to_json`], [`Report::to_csv`] and [`Report::to_text`] write it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Of this layout: 1.
    pub version: u32,
    /// The sheet's hash.
    pub sheet: String,
    /// Answers that count.
    pub answers: usize,
    /// Items with an answer.
    pub items_answered: usize,
    /// Items of the sheet.
    pub items: usize,
    /// Prompts with an answer: what the bootstrap draws from.
    pub prompts: usize,
    /// Resamples of the bootstrap.
    pub resamples: usize,
    /// Its seed.
    pub seed: u64,
    /// In the order of the key.
    pub sources: Vec<SourceReport>,
    /// Every two sources that were compared.
    pub pairs: Vec<PairReport>,
    /// Bradley-Terry strengths in the order of the sources, or why there are none.
    pub strengths: Measured<Vec<Strength>>,
    /// Of preferences and of each scale.
    pub agreement: Vec<Agreement>,
    /// Share of A among the answers that chose A or B, with Wilson's interval: 0.5 without a bias for a position.
    pub chose_a: Option<Estimate>,
    /// Seconds for an answer, the median.
    pub seconds: Estimate,
    /// In the order of their names.
    pub judges: Vec<JudgeReport>,
    /// What a reader should know, in words.
    pub notes: Vec<String>,
}

/// A number, or in words why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measured<T> {
    /// The number.
    Known(T),
    /// Why there is none.
    Refused(String),
}

/// What was said of one source.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceReport {
    /// As the key has it.
    pub name: String,
    /// Of each scale the mean score, 1 to 5; `None` without answers.
    pub means: Vec<(Scale, Option<Estimate>)>,
    /// Against all others; `None` without answers.
    pub outcomes: Option<Outcomes>,
    /// Elo, K 32, 1000 at first, the mean over 100 orders drawn by chance (10 in each resample); `None` without answers.
    pub online_elo: Option<Estimate>,
}

/// What was said of two sources.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairReport {
    /// The names.
    pub sources: [String; 2],
    /// Of the first against the second.
    pub outcomes: Outcomes,
}

/// How comparisons ended, as shares of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Outcomes {
    /// Preferred.
    pub won: Tally,
    /// Equally good.
    pub tied: Tally,
    /// Neither good.
    pub both_bad: Tally,
    /// The other was preferred.
    pub lost: Tally,
    /// Share of points: 1 for a win, half for a tie or for both bad.
    pub points: Estimate,
}

/// How often something happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tally {
    /// Times.
    pub count: usize,
    /// Share of all.
    pub share: Estimate,
}

/// How strong a source is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Strength {
    /// The name.
    pub source: String,
    /// Natural logarithm; the mean of all sources is 0.
    pub strength: Estimate,
    /// `1000 + 400 * strength / ln 10`.
    pub elo: Estimate,
}

/// How far judges agree on something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Agreement {
    /// `preference`, or the name of a scale.
    pub about: &'static str,
    /// How differences are measured.
    pub metric: Metric,
    /// Krippendorff's alpha; `n` counts the values that judges share.
    pub alpha: Measured<Estimate>,
    /// Items (for scales: texts) that two judges or more have judged.
    pub units: usize,
    /// Judges who share an item with another.
    pub judges: usize,
}

/// What one judge did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JudgeReport {
    /// As the judge's answers say.
    pub name: String,
    /// How many count.
    pub answers: usize,
    /// See [`Report::chose_a`].
    pub chose_a: Option<Estimate>,
    /// See [`Report::seconds`].
    pub seconds: Estimate,
}

impl Report {
    /// Counts the answers.
    ///
    /// # Errors
    /// No answers, a sheet without its key, answers to another sheet, resamples that are fewer than 20 or more than
    /// 100,000.
    pub fn new(sheet: &Sheet, answers: &Answers, bootstrap: Bootstrap) -> Result<Self> {
        bootstrap.check()?;
        let names = sheet.sources()?;
        let verdicts = verdicts(sheet, answers)?;
        if verdicts.list.is_empty() {
            return Err(bad_answer("there are no answers yet"));
        }
        let mut notes = Vec::new();
        if answers.replaced() > 0 {
            let times = answers.replaced();
            notes.push(format!("{times} answers were given again by the same judge on the same item; the last counts"));
        }
        let means = measure::means(names.len(), &verdicts, bootstrap);
        let (of_sources, pairs) = measure::outcomes(names, &verdicts, bootstrap);
        let elo = measure::online_elo(names.len(), &verdicts, bootstrap);
        let sources = names.iter().zip(means).zip(of_sources).zip(elo);
        let sources = sources.map(|(((name, means), outcomes), online_elo)| SourceReport {
            name: name.clone(),
            means: Scale::ALL.into_iter().zip(means).collect(),
            outcomes,
            online_elo,
        });
        let strengths = measure::strengths(names, &verdicts, bootstrap, &mut notes)?;
        let (seconds, of_judges) = measure::seconds(&verdicts, bootstrap);
        let judges = verdicts.judges.iter().zip(of_judges).enumerate().map(|(at, (name, seconds))| JudgeReport {
            name: name.clone(),
            answers: seconds.n,
            chose_a: measure::chose_a(verdicts.list.iter().filter(|verdict| verdict.judge == at)),
            seconds,
        });
        let items_answered = verdicts.list.chunk_by(|one, next| one.item == next.item).count();
        if verdicts.prompts == 1 {
            notes.push("there are answers to one prompt only, so the bootstrap has no intervals".to_owned());
        }
        Ok(Self {
            version: 1,
            sheet: sheet.hash().to_owned(),
            answers: verdicts.list.len(),
            items_answered,
            items: sheet.items().len(),
            prompts: verdicts.prompts,
            resamples: bootstrap.resamples,
            seed: bootstrap.seed,
            sources: sources.collect(),
            pairs,
            strengths,
            agreement: measure::agreement(&verdicts, bootstrap)?,
            chose_a: measure::chose_a(verdicts.list.iter()),
            seconds,
            judges: judges.collect(),
            notes,
        })
    }

    /// All of it as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and finite numbers can be written") + "\n"
    }
}
