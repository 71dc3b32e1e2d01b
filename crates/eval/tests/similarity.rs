//! Text similarity against `sacrebleu` 2.6 and `rouge-score` 0.1.2, on the answers that `fixtures/text_metrics.py` recorded; and what
//! holds of any texts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

use std::path::Path;

use gptneo_eval::similarity::{
    Bleu, BleuOptions, Chrf, ChrfVariant, CorpusMetric, Rouge, RougeKind, RougeScore, SimilarityError, Smoothing, Ter,
    Tokenizer,
};
use proptest::prelude::*;
use serde::Deserialize;

/// What a recorded fraction is a multiple of.
const UNIT: f64 = 1e-7;
const TOLERANCE: f64 = 1e-6;
const KINDS: [RougeKind; 4] = [RougeKind::One, RougeKind::Two, RougeKind::L, RougeKind::LSum];

#[derive(Deserialize)]
struct Recorded {
    options: Options,
    pairs: Vec<Pair>,
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Options {
    words: Vec<(String, bool)>,
    bleu: Vec<(String, bool, String, f64, bool)>,
    chrf: Vec<(u8, bool, bool, bool)>,
    ter: Vec<[bool; 4]>,
    rouge: Vec<String>,
}

#[derive(Deserialize)]
struct Pair {
    text: String,
    references: Vec<Option<String>>,
    bleu: Vec<i64>,
    bleu_counts: Vec<[u64; 10]>,
    chrf: Vec<i64>,
    ter: Vec<(i64, u64)>,
    rouge: Vec<[i64; 3]>,
}

#[derive(Deserialize)]
struct Group {
    from: usize,
    to: usize,
    bleu: Vec<[i64; 6]>,
    chrf: Vec<i64>,
    ter: Vec<(i64, u64, i64)>,
}

impl Pair {
    /// The references that are there.
    fn references(&self) -> Vec<&str> {
        self.references.iter().flatten().map(String::as_str).collect()
    }
}

impl Options {
    fn bleu(&self) -> impl Iterator<Item = Bleu> {
        self.bleu.iter().map(|(tokenizer, lowercase, smoothing, value, effective_order)| {
            bleu(tokenizer, *lowercase, named(smoothing, *value), *effective_order)
        })
    }

    fn chrf(&self) -> impl Iterator<Item = Chrf> {
        self.chrf.iter().map(|(word_order, lowercase, whitespace, epsilon_smoothing)| Chrf {
            variant: if *word_order == 0 { ChrfVariant::Characters } else { ChrfVariant::PlusPlus },
            lowercase: *lowercase,
            whitespace: *whitespace,
            epsilon_smoothing: *epsilon_smoothing,
        })
    }

    fn ter(&self) -> impl Iterator<Item = Ter> {
        self.ter.iter().map(|[normalized, no_punctuation, asian_support, case_sensitive]| Ter {
            normalized: *normalized,
            no_punctuation: *no_punctuation,
            asian_support: *asian_support,
            case_sensitive: *case_sensitive,
        })
    }
}

fn recorded() -> Recorded {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/text_metrics.json.gz");
    let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_reader(std::io::BufReader::new(flate2::read::GzDecoder::new(file))).unwrap()
}

fn named(smoothing: &str, value: f64) -> Smoothing {
    match smoothing {
        "none" => Smoothing::None,
        "floor" => Smoothing::Floor(value),
        "add-k" => Smoothing::AddK(value),
        "exp" => Smoothing::Exponential,
        other => panic!("no smoothing is called {other}"),
    }
}

fn bleu(tokenizer: &str, lowercase: bool, smoothing: Smoothing, effective_order: bool) -> Bleu {
    let tokenizer = match tokenizer {
        "none" => Tokenizer::None,
        "13a" => Tokenizer::Mteval13a,
        "intl" => Tokenizer::International,
        "char" => Tokenizer::Character,
        "zh" => Tokenizer::Chinese,
        other => panic!("no tokenizer is called {other}"),
    };
    Bleu::new(BleuOptions { tokenizer, lowercase, smoothing, effective_order }).unwrap()
}

fn check(ours: f64, recorded: i64, what: impl Fn() -> String) {
    let theirs = recorded as f64 * UNIT;
    assert!((ours - theirs).abs() <= TOLERANCE, "{ours} for {theirs}: {}", what());
}

/// The sum of what documents give.
fn summed<M: CorpusMetric>(metric: &M, documents: &[Pair]) -> M::Statistics {
    let mut sum = M::Statistics::default();
    for pair in documents {
        sum += metric.statistics(&pair.text, &pair.references()).unwrap();
    }
    sum
}

#[test]
fn the_record_is_whole() {
    let Recorded { options, pairs, groups } = recorded();
    assert_eq!((pairs.len(), options.words.len(), options.bleu.len()), (1000, 10, 86));
    assert_eq!((options.chrf.len(), options.ter.len()), (16, 16));
    assert_eq!(options.rouge, ["rouge1", "rouge2", "rougeL", "rougeLsum"]);
    assert_eq!(groups.iter().map(|group| group.to - group.from).sum::<usize>(), pairs.len());
    for pair in &pairs {
        assert_eq!((pair.bleu.len(), pair.bleu_counts.len(), pair.chrf.len()), (86, 10, 16), "{:?}", pair.text);
        assert_eq!((pair.ter.len(), pair.rouge.len()), (16, 16), "{:?}", pair.text);
    }
}

#[test]
fn bleu_of_each_pair_is_that_of_sacrebleu() {
    let Recorded { options, pairs, .. } = recorded();
    for pair in &pairs {
        let references = pair.references();
        for ((tokenizer, lowercase), recorded) in options.words.iter().zip(&pair.bleu_counts) {
            let ours = bleu(tokenizer, *lowercase, Smoothing::None, false).statistics(&pair.text, &references).unwrap();
            let mut counts = vec![ours.hypothesis_len, ours.reference_len];
            counts.extend(ours.matches.iter().chain(&ours.totals));
            assert_eq!(counts, recorded, "{tokenizer} {lowercase} {:?} {references:?}", pair.text);
        }
        for (metric, recorded) in options.bleu().zip(&pair.bleu) {
            let ours = metric.score(&metric.statistics(&pair.text, &references).unwrap());
            check(ours, *recorded, || format!("{metric:?} {:?} {references:?}", pair.text));
        }
    }
}

#[test]
fn bleu_of_a_corpus_is_that_of_sacrebleu() {
    let Recorded { options, pairs, groups, .. } = recorded();
    for group in &groups {
        for (metric, recorded) in options.bleu().zip(&group.bleu) {
            let ours = metric.detail(&summed(&metric, &pairs[group.from..group.to]));
            let [p1, p2, p3, p4] = ours.precisions;
            for (ours, recorded) in [ours.score, ours.brevity_penalty, p1, p2, p3, p4].into_iter().zip(recorded) {
                check(ours, *recorded, || format!("{metric:?} {}..{}", group.from, group.to));
            }
        }
    }
}

#[test]
fn chrf_of_each_pair_is_that_of_sacrebleu() {
    let Recorded { options, pairs, .. } = recorded();
    for pair in &pairs {
        let references = pair.references();
        for (metric, recorded) in options.chrf().zip(&pair.chrf) {
            let ours = metric.score(&metric.statistics(&pair.text, &references).unwrap());
            check(ours, *recorded, || format!("{metric:?} {:?} {references:?}", pair.text));
        }
    }
}

#[test]
fn chrf_of_a_corpus_is_that_of_sacrebleu() {
    let Recorded { options, pairs, groups, .. } = recorded();
    for group in &groups {
        for (metric, recorded) in options.chrf().zip(&group.chrf) {
            let ours = metric.score(&summed(&metric, &pairs[group.from..group.to]));
            check(ours, *recorded, || format!("{metric:?} {}..{}", group.from, group.to));
        }
    }
}

#[test]
fn ter_of_each_pair_is_that_of_sacrebleu() {
    let Recorded { options, pairs, .. } = recorded();
    for pair in &pairs {
        let references = pair.references();
        for (metric, (score, edits)) in options.ter().zip(&pair.ter) {
            let ours = metric.statistics(&pair.text, &references).unwrap();
            assert_eq!(ours.edits, *edits, "{metric:?} {:?} {references:?}", pair.text);
            check(metric.score(&ours), *score, || format!("{metric:?} {:?} {references:?}", pair.text));
        }
    }
}

#[test]
fn ter_of_a_corpus_is_that_of_sacrebleu() {
    let Recorded { options, pairs, groups, .. } = recorded();
    for group in &groups {
        for (metric, (score, edits, reference_len)) in options.ter().zip(&group.ter) {
            let ours = summed(&metric, &pairs[group.from..group.to]);
            let what = || format!("{metric:?} {}..{}", group.from, group.to);
            assert_eq!(ours.edits, *edits, "{}", what());
            check(ours.reference_len, *reference_len, what);
            check(metric.score(&ours), *score, what);
        }
    }
}

#[test]
fn rouge_of_each_pair_is_that_of_rouge_score() {
    for pair in &recorded().pairs {
        let references = pair.references();
        let mut ours = Vec::new();
        for stemmed in [false, true] {
            let rouge = Rouge { stemmed };
            ours.extend(rouge.score(&KINDS, references[0], &pair.text).unwrap());
            ours.extend(rouge.score_best(&KINDS, &references, &pair.text).unwrap());
        }
        assert_eq!(ours.len(), pair.rouge.len());
        for (at, (ours, recorded)) in ours.into_iter().zip(&pair.rouge).enumerate() {
            let RougeScore { precision, recall, f_measure } = ours;
            for (ours, recorded) in [precision, recall, f_measure].into_iter().zip(recorded) {
                check(ours, *recorded, || format!("answer {at} of {:?} {references:?}", pair.text));
            }
        }
    }
}

#[test]
fn texts_beyond_the_bound_are_refused() {
    let long = "a".repeat(gptneo_eval::similarity::LONGEST_TEXT);
    let refused = bleu("13a", false, Smoothing::None, false).statistics(&long, &["a"]).unwrap_err();
    assert!(matches!(refused, SimilarityError::TooLong { .. }));
    assert_eq!(Chrf::default().statistics(&long, &["a"]).unwrap_err(), refused);
    assert_eq!(Ter::default().statistics("a", &[&long]).unwrap_err(), refused);
}

/// Texts of few words and of any character, so that some of it matches.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["([abc]{1,2}[ .,\n-]){0,12}", ".{0,12}", "(&quot;|'s |[0-9.,-]|<skipped>|[ab]){0,12}"]
}

fn permutation_changes_nothing<M: CorpusMetric>(metric: &M, documents: &[(String, String)], turn: usize) {
    let score = |documents: &mut dyn Iterator<Item = &(String, String)>| {
        let mut sum = M::Statistics::default();
        for (text, reference) in documents {
            sum += metric.statistics(text, &[reference]).unwrap();
        }
        metric.score(&sum)
    };
    let (before, after) = documents.split_at(turn % (documents.len() + 1));
    let here = score(&mut documents.iter());
    let there = score(&mut after.iter().rev().chain(before));
    assert!((here - there).abs() < 1e-9, "{here} {there}");
    assert!(here >= 0.0 && here.is_finite(), "{here}");
}

proptest! {
    #[test]
    fn the_order_of_documents_changes_nothing(
        documents in prop::collection::vec((any_text(), any_text()), 0..8),
        turn in any::<usize>(),
    ) {
        for tokenizer in ["none", "13a", "intl", "char", "zh"] {
            permutation_changes_nothing(&bleu(tokenizer, true, Smoothing::Exponential, false), &documents, turn);
        }
        let plus_plus = Chrf { variant: ChrfVariant::PlusPlus, whitespace: true, ..Chrf::default() };
        permutation_changes_nothing(&plus_plus, &documents, turn);
        let ter = Ter { normalized: true, no_punctuation: true, asian_support: true, case_sensitive: false };
        permutation_changes_nothing(&ter, &documents, turn);
    }

    #[test]
    fn a_text_is_like_itself(text in any_text()) {
        let itself = [text.as_str()];
        prop_assert_eq!(Ter::default().statistics(&text, &itself).unwrap().edits, 0);
        let counts = bleu("13a", false, Smoothing::None, false).statistics(&text, &itself).unwrap();
        prop_assert_eq!(counts.matches, counts.totals);
        for score in (Rouge { stemmed: true }).score(&KINDS, &text, &text).unwrap() {
            prop_assert!(score.f_measure == 1.0 || score == RougeScore::default());
        }
    }

    #[test]
    fn rouge_is_a_share(target in any_text(), prediction in any_text()) {
        for score in Rouge::default().score(&KINDS, &target, &prediction).unwrap() {
            for share in [score.precision, score.recall, score.f_measure] {
                prop_assert!((0.0..=1.0).contains(&share));
            }
        }
    }
}
