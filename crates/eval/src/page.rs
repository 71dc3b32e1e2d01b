//! The page of an evaluation: one HTML file that needs nothing else and reaches for no network.
//!
//! It is made of the results as a file has them, and of samples, so that it can be made again later. Both are taken as hostile: what is
//! shown is escaped where it enters the page ([`html`]), and a content security policy allows the page's own script and style by their
//! hashes and no request at all. Without the script everything is there; it adds sorting and a filter.

mod digest;
mod facts;
mod html;
mod plot;
mod scores;
mod tasks;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use digest::Digest;
use html::Html;

use crate::policy_hash;

const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// A page about to be written.
///
/// ```
/// let results = serde_json::json!({"model_name": "<b>mine</b>", "results": {"piqa": {"acc,none": 0.5}}});
/// let page = gptneo_eval::Page::new(&results).html();
/// assert!(page.contains("&lt;b&gt;mine&lt;/b&gt;") && page.contains("piqa"));
/// ```
#[derive(Debug)]
pub struct Page<'r> {
    results: &'r Value,
    digests: BTreeMap<String, Digest>,
}

impl<'r> Page<'r> {
    /// Of results as [`results`](crate::results()) writes them, or the reference harness.
    pub fn new(results: &'r Value) -> Self {
        Self { results, digests: BTreeMap::new() }
    }

    /// Takes notice of a sample of a task.
    pub fn take(&mut self, task: &str, sample: &Map<String, Value>) {
        let output = text(self.results, &["configs", task, "output_type"]).unwrap_or_default();
        self.digests.entry(task.to_owned()).or_default().take(output, sample);
    }

    /// The page.
    pub fn html(&self) -> String {
        let mut html = Html::default();
        let model = text(self.results, &["model_name"]).unwrap_or("a model");
        html.constant("<!doctype html>\n");
        html.within("html", &[("lang", "en")], |html| {
            html.within("head", &[], |html| {
                html.void("meta", &[("charset", "utf-8")]);
                let policy = format!(
                    "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
                    policy_hash(STYLE),
                    policy_hash(SCRIPT)
                );
                html.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", &policy)]);
                html.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
                html.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
                html.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
                html.element("title", &[], &format!("Evaluation of {model}"));
                html.within("style", &[], |html| html.constant(STYLE));
            });
            html.within("body", &[], |html| self.body(html, model));
        });
        html.constant("\n");
        html.into_text()
    }

    fn body(&self, html: &mut Html, model: &str) {
        html.within("header", &[], |html| {
            html.within("h1", &[], |html| {
                html.text("Evaluation of ");
                html.element("span", &[("class", "name")], model);
            });
            facts::of_run(html, self.results);
        });
        html.within("main", &[], |html| {
            let all = scores::collect(self.results);
            scores::table(html, self.results, &all);
            scores::published(html, self.results);
            scores::plots(html, self.results, &all);
            scores::groups(html, self.results);
            html.within("section", &[("id", "tasks"), ("aria-labelledby", "tasks-heading")], |html| {
                html.element("h2", &[("id", "tasks-heading")], "Tasks");
                html.within("div", &[("id", "controls"), ("hidden", "hidden")], |html| {
                    html.element("label", &[("for", "filter")], "Only tasks whose name has");
                    html.void("input", &[("id", "filter"), ("type", "search"), ("autocomplete", "off")]);
                    html.element("button", &[("id", "open"), ("type", "button")], "Open all");
                    html.element("button", &[("id", "close"), ("type", "button")], "Close all");
                    html.element("span", &[("id", "matching"), ("role", "status")], "");
                });
                for (at, name) in scores::tasks(self.results).into_iter().enumerate() {
                    tasks::section(html, self.results, name, at, self.digests.get(name));
                }
            });
        });
        html.within("footer", &[], |html| {
            html.text(
                "Intervals of 95 % reach 1.96 standard errors to either side. They tell how far another draw of documents might move a \
                 score; not whether the task measures what its name says.",
            );
        });
        html.within("script", &[], |html| html.constant(SCRIPT));
    }
}

/// What stands at a path of names.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key)).filter(|value| !value.is_null())
}

/// The text that stands there.
fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path).and_then(Value::as_str)
}

/// Whatever stands there, as text.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// A description: terms, and what is said of each.
fn description(html: &mut Html, facts: &[(&str, String)]) {
    html.within("dl", &[], |html| {
        for (term, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
            html.element("dt", &[], term);
            html.element("dd", &[], fact);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_cannot_end_their_elements() {
        for part in [STYLE, SCRIPT] {
            assert!(!part.contains("</") && !part.contains("<!--") && !part.contains('\r'));
            assert!(!part.contains("http") && !part.contains("url(") && !part.contains("@import"));
        }
    }
}
