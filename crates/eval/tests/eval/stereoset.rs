//! StereoSet's scores against those that its authors published of GPT-2's predictions (code/predictions.txt of their repository).
//!
//! The set that lies under the data folder has no ids. The published predictions stand in its order, three sentences a triple, each triple in an order of
//! its own: `stereoset_orders.txt` tells it, a digit a triple, being the place among the six orders of (stereotype, anti-stereotype,
//! unrelated). It was read off the ids and labels of the full set; of the sentences themselves nothing is in it.

use std::fs;

use gptneo_eval::stereoset::{Gold, Predictions, Scored, evaluate};
use serde_json::{Value, json};

use super::shared;

const ORDERS: &str = include_str!("stereoset_orders.txt");
const SIX: [[&str; 3]; 6] = [
    ["stereotype", "anti-stereotype", "unrelated"],
    ["stereotype", "unrelated", "anti-stereotype"],
    ["anti-stereotype", "stereotype", "unrelated"],
    ["anti-stereotype", "unrelated", "stereotype"],
    ["unrelated", "stereotype", "anti-stereotype"],
    ["unrelated", "anti-stereotype", "stereotype"],
];

/// The triples of the set with the ids of the predictions.
fn gold(set: &str, ids: &[Value]) -> Value {
    let rows: Vec<Value> = set.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let rows = rows.iter().filter(|row| row["type"] == "intrasentence");
    let orders = ORDERS.bytes().filter(u8::is_ascii_digit).map(|digit| SIX[usize::from(digit - b'0')]);
    let clusters: Vec<Value> = rows
        .zip(orders)
        .zip(ids.chunks(3))
        .map(|((row, order), ids)| {
            let sentence = |(label, prediction): (&&str, &Value)| json!({"id": prediction["id"], "gold_label": label});
            let sentences: Vec<Value> = order.iter().zip(ids).map(sentence).collect();
            json!({"id": ids[0]["id"], "target": row["target"], "bias_type": row["bias_type"], "sentences": sentences})
        })
        .collect();
    assert_eq!(clusters.len(), 2106);
    json!({"version": "dev", "data": {"intrasentence": clusters, "intersentence": []}})
}

#[test]
fn gpt_2_scores_as_published() {
    let Some(folder) = shared().map(|shared| shared.join("bias/stereoset")) else { return };
    let predicted = folder.join("predictions_gpt2_ModelNSP_GPT2LM.json");
    let all: Value = serde_json::from_slice(&fs::read(&predicted).unwrap()).unwrap();
    let set = fs::read_to_string(folder.join("dev.jsonl")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gold.json");
    fs::write(&path, gold(&set, all["intrasentence"].as_array().unwrap()).to_string()).unwrap();
    let found = evaluate(&Gold::read(&path).unwrap(), &Predictions::read(&predicted).unwrap(), 1000).unwrap();
    let published = [
        ("gender", 255, 62.667_774_254_730_77, 93.277_908_243_125_64, 69.645_438_551_577_51),
        ("profession", 810, 63.974_686_473_508_02, 92.289_353_934_677_14, 66.495_058_213_082_6),
        ("race", 962, 60.350_000_891_165_78, 89.756_707_207_502_3, 71.177_067_215_787_2),
        ("religion", 79, 58.022_988_505_747_13, 88.459_770_114_942_51, 74.265_535_737_878_17),
        ("overall", 2106, 61.931_485_244_958_985, 91.114_942_661_854_2, 69.372_210_782_550_25),
    ];
    assert_eq!(found.rows.len(), published.len());
    for (row, (domain, triples, ss, lms, icat)) in found.rows.iter().zip(published) {
        assert_eq!((row.kind.as_str(), row.domain.as_str(), row.triples), ("intrasentence", domain, triples));
        for (found, wanted) in [(row.ss, ss), (row.lms, lms), (row.icat, icat)] {
            assert!((found.value - wanted).abs() < 1e-9, "{domain}: {} for {wanted}", found.value);
        }
        let Scored { standard_error: Some(error), .. } = row.ss else { panic!("no error") };
        assert!(error > 0.5 && error < 20.0, "{domain}: {error}");
    }
    let [all] = [&found.rows[4]];
    assert_eq!([all.lms, all.ss, all.icat].map(|score| format!("{:.2}", score.value)), ["91.11", "61.93", "69.37"]);
    assert_eq!(all.terms, 79);
    // The predictions of the other kind have no triples here, and that is told.
    assert!(found.notes.iter().any(|note| note.contains("6369 predictions")), "{:?}", found.notes);
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
