//! The page's part on one task: what it is, where its data came from, how its documents came out, and some of them to read.

use serde_json::Value;

use super::digest::{Digest, Shown};
use super::html::Html;
use super::plot::{bars, shown};
use super::{at, description, words};
use crate::aggregate::mean;

/// Letters of a definition that are shown.
const DEFINITION: usize = 20_000;

pub(super) fn section(html: &mut Html, results: &Value, name: &str, place: usize, digest: Option<&Digest>) {
    let id = format!("task-{place}");
    let heading = format!("{id}-heading");
    html.within("section", &[("class", "task"), ("id", &id), ("aria-labelledby", &heading)], |html| {
        html.element("h3", &[("id", &heading), ("class", "name")], name);
        let notes = at(results, &["notes", name]).and_then(Value::as_array).into_iter().flatten();
        for note in notes {
            html.element("p", &[("class", "note")], &format!("Note: {}", words(note)));
        }
        description(html, &facts(results, name, digest));
        definition(html, results, name);
        if let Some(digest) = digest {
            drawings(html, digest);
            samples(html, digest);
        }
    });
}

fn facts(results: &Value, name: &str, digest: Option<&Digest>) -> Vec<(&'static str, String)> {
    let of = |path: &[&str]| at(results, path).map(words).unwrap_or_default();
    let config = |field: &str| of(&["configs", name, field]);
    let set = [config("dataset_path"), config("dataset_name")];
    let set: Vec<&str> = set.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let count = |field: &str| at(results, &["n-samples", name, field]).and_then(Value::as_u64);
    let documents = match (count("effective"), count("original")) {
        (Some(measured), Some(all)) if measured < all => format!("the first {measured} of {all}"),
        (_, Some(all)) => all.to_string(),
        _ => String::new(),
    };
    let judged = at(results, &["results", name, "judged_by"]);
    let chances = digest.map(|digest| digest.chances.as_slice()).filter(|chances| !chances.is_empty());
    vec![
        ("Asked for", config("output_type").replace('_', " ")),
        ("Protocol", of(&["results", name, "protocol"])),
        ("Judged by", judged.map(said).unwrap_or_default()),
        ("Version", of(&["versions", name])),
        ("Examples", of(&["n-shot", name])),
        ("Documents", documents),
        ("Data", set.join(", ")),
        ("Split", of(&["dataset", name, "split"])),
        ("Files", of(&["dataset", name, "files"])),
        ("Revision", of(&["dataset", name, "revision"])),
        ("SHA-256", of(&["dataset", name, "sha256"])),
        (
            "Guessing has right",
            chances.map(|chances| format!("{} on average", shown(mean(chances)))).unwrap_or_default(),
        ),
    ]
}

/// Names with what is said of each.
fn said(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!("{name}: {}", said(value))).collect::<Vec<_>>().join("; ")
        }
        other => words(other),
    }
}

fn definition(html: &mut Html, results: &Value, name: &str) {
    let Some(config) = at(results, &["configs", name]) else { return };
    html.within("details", &[], |html| {
        html.element("summary", &[], "Definition");
        let named = |field: &'static str| (field, at(config, &[field]).map(words).unwrap_or_default());
        description(
            html,
            &["doc_to_text", "doc_to_target", "doc_to_choice", "process_docs", "process_results"].map(named),
        );
        let whole = serde_json::to_string_pretty(config).unwrap_or_default();
        let shown: String = whole.chars().take(DEFINITION).collect();
        html.element("pre", &[], &shown);
        if shown.len() < whole.len() {
            html.element("p", &[("class", "soft")], "The definition goes on; the results file has all of it.");
        }
    });
}

fn drawings(html: &mut Html, digest: &Digest) {
    html.within("div", &[("class", "figures")], |html| {
        if !digest.margins.is_empty() {
            let title = "The right choice's log-likelihood less the best wrong one's, in nats";
            bars(html, title, "nats", &digest.margins);
        }
        if digest.without_margin > 0 {
            let said = format!("Of {} documents the samples do not tell which choice is right.", digest.without_margin);
            html.element("p", &[("class", "soft")], &said);
        }
        if !digest.bits.is_empty() {
            bars(html, "Bits per byte of what was scored, document by document", "bits", &digest.bits);
        }
        if let Some(metric) = digest.metric.as_deref().filter(|_| !digest.is_right_or_wrong()) {
            bars(html, &format!("{metric}, document by document"), "", &digest.scores);
        }
        if !digest.lengths.is_empty() {
            bars(html, "Length of the generated answers", "characters", &digest.lengths);
        }
    });
}

fn samples(html: &mut Html, digest: &Digest) {
    let kinds = [("right", &digest.right), ("wrong", &digest.wrong), ("neither right nor wrong", &digest.first)];
    for (kind, shown) in kinds.into_iter().filter(|(_, shown)| !shown.is_empty()) {
        html.within("details", &[("class", "samples")], |html| {
            let of = digest.metric.as_deref().filter(|_| kind != "neither right nor wrong");
            let title = match of {
                Some(metric) => format!("The first {} that are {kind} by {metric}", shown.len()),
                None => format!("The first {}", shown.len()),
            };
            html.element("summary", &[], &title);
            shown.iter().for_each(|sample| one(html, sample));
        });
    }
    if digest.other_filters > 0 {
        let said = format!("{} samples under other filters are in the file of samples alone.", digest.other_filters);
        html.element("p", &[("class", "soft")], &said);
    }
}

fn one(html: &mut Html, sample: &Shown) {
    html.within("article", &[], |html| {
        html.element("h4", &[], &format!("Document {}", sample.document));
        part(html, "Prompt", &sample.prompt);
        if sample.choices.is_empty() {
            part(html, "Wanted", &sample.target);
            sample.answers.iter().for_each(|(what, text)| part(html, capital(what), text));
        } else {
            html.within("table", &[("class", "choices")], |html| {
                html.within("tbody", &[], |html| {
                    for choice in &sample.choices {
                        html.within("tr", &[], |html| {
                            let mark = match (choice.right, choice.chosen) {
                                (true, true) => "right, chosen",
                                (true, false) => "right",
                                (false, true) => "chosen",
                                (false, false) => "",
                            };
                            html.element("td", &[("class", "mark")], mark);
                            html.element("td", &[("class", "text"), ("dir", "auto")], &choice.text);
                            html.element("td", &[("class", "number")], &format!("{:.2}", choice.logprob));
                        });
                    }
                });
            });
            if sample.more_choices > 0 {
                html.element("p", &[("class", "soft")], &format!("{} more choices.", sample.more_choices));
            }
        }
        let measures: Vec<String> = sample.measures.iter().map(|(name, value)| format!("{name} {value}")).collect();
        html.element("p", &[("class", "soft measures")], &measures.join(" · "));
    });
}

fn capital(what: &str) -> &str {
    match what {
        "scored" => "Scored",
        "after filters" => "After filters",
        _ => "Answer",
    }
}

fn part(html: &mut Html, title: &str, text: &str) {
    if !text.is_empty() {
        html.element("h5", &[], title);
        html.element("div", &[("class", "text"), ("dir", "auto")], text);
    }
}
