//! The page of an evaluation: well formed, whole without a network, and shut to whatever a model or a set may say.

use gptneo_eval::Page;
use serde_json::{Map, Value, json};

/// What a text would do if it were taken for markup.
const HOSTILE: &str = "</script></style><script>alert(1)</script><img src=x onerror=\"a()\">'\"&\u{202E}";

fn results(name: &str) -> Value {
    json!({
        "model_name": name,
        "config": {"model": "gptneo", "model_dtype": "f32", "cache_dtype_k": "f32", "cache_dtype_v": "q8_0", name: name},
        "date": 1_795_875_675.0, "total_evaluation_time_seconds": "75.5", "gptneo_version": name,
        "results": {
            name: {"alias": name, format!("{name},none"): 0.5, format!("{name}_stderr,none"): 0.1, "protocol": name,
                   "judged_by": {name: {name: name}}},
            "lambada": {"perplexity,none": 12.5, "perplexity_stderr,none": 0.5, "acc,none": 0.0, "acc_stderr,none": 0.0},
            "pile": {"bits_per_byte,none": 0.9, "bits_per_byte_stderr,none": "N/A"},
            "told": {"bleu,strict": 30.0, "bleu_stderr,strict": 2.0, "mcc,none": -0.1, "other,none": 1e300},
            "group": {"acc,none": 0.25},
        },
        "groups": {"group": {"acc,none": 0.25}},
        "group_subtasks": {"group": ["lambada", name], "pile": []},
        "configs": {name: {"output_type": "multiple_choice", "doc_to_text": name, name: [name]},
                    "lambada": {"output_type": "loglikelihood"}},
        "n-samples": {name: {"original": 10, "effective": 4}},
        "dataset": {name: {"split": name, "files": [name, name], "revision": null, "sha256": "00"}},
        "notes": {name: [name, 7]},
        "higher_is_better": {"lambada": {"perplexity": false}},
        "published": {"model": name, "scores": [{
            "task": "lambada", "metric": "perplexity", "ours": 12.5, "printed": "12.4", "published": 12.4, "difference": 0.1,
            "standard_error": 0.5, "words": name, "source": name,
        }]},
    })
}

fn sample(name: &str, right: usize, acc: f64) -> Map<String, Value> {
    let value = json!({
        "doc_id": name, "target": right.to_string(), "filter": "none", "metrics": ["acc", name], "acc": acc, name: name,
        "arguments": {"gen_args_0": {"arg_0": name, "arg_1": name}, "gen_args_1": {"arg_0": name, "arg_1": " b"}},
        "resps": [[["-1.5", "False"]], [["-3.0", "True"]]],
    });
    value.as_object().unwrap().clone()
}

fn page(name: &str) -> String {
    let results = results(name);
    let mut page = Page::new(&results);
    for at in 0..40 {
        page.take(name, &sample(name, at % 2, f64::from(u8::from(at % 2 == 0))));
    }
    let scored = json!({"doc_id": 1, "target": name, "metrics": ["perplexity", "acc"], "perplexity": -2.0, "acc": 0.0,
                        "arguments": {"gen_args_0": {"arg_0": name, "arg_1": name}}, "resps": [[["-2.0", "False"]]]});
    page.take("lambada", scored.as_object().unwrap());
    page.html()
}

/// The elements of a page in order, and that each is closed where it was opened. Text between is handed to `text`.
fn elements(page: &str, text: &mut dyn FnMut(&str)) -> Vec<(String, String)> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut rest = page.strip_prefix("<!doctype html>").unwrap();
    while let Some(at) = rest.find('<') {
        text(&rest[..at]);
        let inner = &rest[at + 1..];
        let end = inner.find('>').unwrap();
        let tag = &inner[..end];
        rest = &inner[end + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed and not open");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric()), "{tag}");
        found.push((name.to_owned(), attributes.trim_end_matches('/').to_owned()));
        if !tag.ends_with('/') {
            open.push(name.to_owned());
        }
        if matches!(name, "script" | "style") {
            rest = &rest[rest.find(&format!("</{name}>")).unwrap()..];
        }
    }
    assert!(open.is_empty(), "{open:?} are open at the end");
    found
}

#[test]
fn it_is_well_formed_and_asks_for_nothing() {
    for name in ["plain", HOSTILE] {
        let page = page(name);
        let all = elements(&page, &mut |text| assert!(!text.contains('"') && !text.contains('\''), "{text}"));
        let mut ids = std::collections::HashSet::new();
        for (element, attributes) in &all {
            // Attributes are `name="value"`, with no quote within.
            let mut rest = attributes.trim();
            while !rest.is_empty() {
                let (key, after) = rest.split_once("=\"").unwrap();
                let (value, after) = after.split_once('"').unwrap();
                assert!(key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{attributes}");
                assert!(
                    !key.starts_with("on") && !["src", "style", "action", "data", "srcset"].contains(&key),
                    "{attributes}"
                );
                assert!(key != "href" || (element == "a" && value.starts_with("#task-")), "{attributes}");
                assert!(key != "id" || ids.insert(value.to_owned()), "{value} comes twice");
                rest = after.trim_start();
            }
            let known = !["img", "link", "iframe", "object", "embed", "base", "form", "video", "audio"]
                .contains(&element.as_str());
            assert!(known, "{element}");
        }
        for (element, count) in [("script", 1), ("style", 1), ("main", 1), ("h1", 1), ("title", 7)] {
            let found = all.iter().filter(|(name, _)| name == element).count();
            assert!(if element == "title" { found >= count } else { found == count }, "{element}: {found}");
        }
        assert!(page.contains("default-src &#39;none&#39;") && !page.contains('\u{202E}'));
        assert!(!page.contains("://"), "an address");
        assert!(!page.contains("<img") && !page.contains("alert(1)</script>"));
    }
}

#[test]
fn it_says_what_was_found() {
    let page = page("plain");
    for words in [
        "Evaluation of <span class=\"name\">plain</span>",
        "f32 and q8_0",
        "2026-11-28 14:21:15 UTC",
        "1 min 15 s",
        "the first 4 of 10",
        "0.3040 to 0.6960",
        "12.5000",
        "Note: plain",
        "group (group)",
        "lambada, plain",
        "plain: plain: plain",
        "Perplexities, less is better",
        "lambada: perplexity 12.5000: 12.5000, 95 % between 11.5200 and 13.4800, published 12.4000.",
        "pile: bits_per_byte 0.9000: 0.9000, without an interval.",
        "Guessing has right",
        "0.5000 on average",
        "40 documents: least -1.5000, a quarter below -1.5000, half below 0.0000, three quarters below 1.5000, most 1.5000 nats.",
        "The first 5 that are right by acc",
        "The first 5 that are wrong by acc",
        "right, chosen",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn whatever_results_hold_makes_a_page() {
    let strange = [
        json!({"results": {}}),
        json!({"results": {"a": 7, "b": {"acc,none": "x", ",": 1, "acc,": 2}}, "config": [], "date": "x", "notes": 7}),
        json!({"results": {"a": {"acc,none": 1e308, "acc_stderr,none": 1e308}}, "group_subtasks": {"a": {}}}),
        json!({"results": {"a": {"ppl,none": -1.0, "ppl_stderr,none": 3.0}}, "published": [], "configs": {"a": "b"}}),
        json!({"results": {"a": {"acc,none": 0.0, "acc_stderr,none": 0.0}}, "date": 1e300, "dataset": {"a": [[[]]]}}),
        json!({}),
    ];
    for results in strange {
        let mut page = Page::new(&results);
        page.take("a", &Map::new());
        let html = page.html();
        elements(&html, &mut |_| {});
        assert!(!html.contains("NaN%"), "{results}");
    }
}
