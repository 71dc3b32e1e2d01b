//! StereoSet's scores of a file of predictions.
//!
//! GPT-2's published predictions need the authors' own `dev.json` beside them, whose ids tell which sentence is which; no copy of it is here
//! (what is under the data folder has no ids). With one named by `STEREOSET_GOLD`, the published scores are held.

use std::fs;

use gptneo_eval::stereoset::{Gold, Predictions, Scored, evaluate};
use serde_json::{Value, json};

use super::shared;

/// By hand: of the term `a` one triple of two is stereotyped and three of four sentences are likelier than the unrelated one; of `b` one
/// of one, and both.
#[test]
fn scores_are_those_of_the_definition() {
    let dir = tempfile::tempdir().unwrap();
    let (gold, predictions) = (dir.path().join("gold.json"), dir.path().join("predictions.json"));
    let cluster = |at: usize, target: &str, domain: &str| {
        let sentence = |label: &str| json!({"id": format!("{at} {label}"), "gold_label": label});
        let sentences: Vec<Value> = ["anti-stereotype", "unrelated", "stereotype"].map(sentence).to_vec();
        json!({"id": at.to_string(), "target": target, "bias_type": domain, "sentences": sentences})
    };
    let clusters = [cluster(0, "a", "race"), cluster(1, "a", "race"), cluster(2, "b", "gender")];
    let set = json!({"version": "dev", "data": {"intrasentence": clusters, "intersentence": []}});
    fs::write(&gold, set.to_string()).unwrap();
    let scores = [[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [0.3, 0.2, 0.1]];
    let predicted: Vec<Value> = (0..3)
        .flat_map(|at| {
            ["stereotype", "anti-stereotype", "unrelated"]
                .into_iter()
                .zip(scores[at])
                .map(move |(label, score)| json!({"id": format!("{at} {label}"), "score": score}))
        })
        .collect();
    fs::write(&predictions, json!({"intrasentence": predicted, "intersentence": []}).to_string()).unwrap();
    let found = evaluate(&Gold::read(&gold).unwrap(), &Predictions::read(&predictions).unwrap(), 1000).unwrap();
    let row = |domain: &str| found.rows.iter().find(|row| row.domain == domain).unwrap();
    let values = |domain: &str| [row(domain).ss.value, row(domain).lms.value, row(domain).icat.value];
    assert_eq!(values("race"), [50.0, 75.0, 75.0]);
    assert_eq!(values("gender"), [100.0, 100.0, 0.0]);
    assert_eq!(values("overall"), [75.0, 87.5, 43.75]);
    assert_eq!((row("overall").terms, row("overall").triples), (2, 3));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a file that only its user can bring")]
fn gpt_2_scores_as_published() {
    let Some(folder) = shared().map(|shared| shared.join("bias/stereoset")) else { return };
    let Some(gold) = std::env::var_os("STEREOSET_GOLD") else {
        eprintln!("NOT RUN: STEREOSET_GOLD does not name the authors' dev.json");
        return;
    };
    let predicted = folder.join("predictions_gpt2_ModelNSP_GPT2LM.json");
    let gold = Gold::read(std::path::Path::new(&gold)).unwrap();
    let found = evaluate(&gold, &Predictions::read(&predicted).unwrap(), 1000).unwrap();
    let published = [
        ("gender", 255, 62.667_774_254_730_77, 93.277_908_243_125_64, 69.645_438_551_577_51),
        ("profession", 810, 63.974_686_473_508_02, 92.289_353_934_677_14, 66.495_058_213_082_6),
        ("race", 962, 60.350_000_891_165_78, 89.756_707_207_502_3, 71.177_067_215_787_2),
        ("religion", 79, 58.022_988_505_747_13, 88.459_770_114_942_51, 74.265_535_737_878_17),
        ("overall", 2106, 61.931_485_244_958_985, 91.114_942_661_854_2, 69.372_210_782_550_25),
    ];
    let rows: Vec<_> = found.rows.iter().filter(|row| row.kind == "intrasentence").collect();
    assert_eq!(rows.len(), published.len());
    for (row, (domain, triples, ss, lms, icat)) in rows.iter().zip(published) {
        assert_eq!((row.domain.as_str(), row.triples), (domain, triples));
        for (found, wanted) in [(row.ss, ss), (row.lms, lms), (row.icat, icat)] {
            assert!((found.value - wanted).abs() < 1e-9, "{domain}: {} for {wanted}", found.value);
        }
        let Scored { standard_error: Some(error), .. } = row.ss else { panic!("no error") };
        assert!(error > 0.5 && error < 20.0, "{domain}: {error}");
    }
}

#[test]
fn files_that_are_none_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.json");
    for text in [
        "",
        "[]",
        "{\"data\": 3}",
        "{\"data\": {\"intrasentence\": [{\"id\": 1}]}}",
        "{\"intrasentence\": [{\"id\": \"a\"}]}",
    ] {
        fs::write(&path, text).unwrap();
        let (gold, predictions) = (Gold::read(&path).map(drop), Predictions::read(&path).map(drop));
        for why in [gold, predictions].map(|found| found.unwrap_err().to_string()) {
            assert!(why.contains("x.json") && why.contains("wanted are"), "{text}: {why}");
        }
    }
    assert!(Gold::read(&dir.path().join("missing")).is_err());
}
