//! The page's scores: as a table, beside those that were published, and as dots with whiskers.

use std::collections::BTreeMap;

use serde_json::Value;

use super::html::Html;
use super::plot::{Dot, intervals, shown};
use super::{at, text, words};
use crate::compare::Z95;
use crate::saved::{SavedScore, scores};

/// A score, and whose.
pub(super) struct Row {
    name: String,
    group: bool,
    score: SavedScore,
}

/// Names of tasks, groups left out, in the order of the results.
pub(super) fn tasks(results: &Value) -> Vec<&str> {
    let names = at(results, &["results"]).and_then(Value::as_object).into_iter().flatten();
    names.map(|(name, _)| name.as_str()).filter(|name| !is_group(results, name)).collect()
}

fn is_group(results: &Value, name: &str) -> bool {
    at(results, &["group_subtasks", name]).and_then(Value::as_array).is_some_and(|members| !members.is_empty())
}

/// All scores, in the order of the results.
pub(super) fn collect(results: &Value) -> Vec<Row> {
    let names = at(results, &["results"]).and_then(Value::as_object).into_iter().flatten();
    let of = |name: &String| {
        let group = is_group(results, name);
        scores(results, name).into_iter().map(move |score| (group, score)).collect::<Vec<_>>()
    };
    names
        .flat_map(|(name, _)| of(name).into_iter().map(|(group, score)| Row { name: name.clone(), group, score }))
        .collect()
}

fn interval(score: &SavedScore) -> Option<[f64; 2]> {
    score.standard_error.map(|error| [score.value - Z95 * error, score.value + Z95 * error])
}

pub(super) fn table(html: &mut Html, results: &Value, rows: &[Row]) {
    let tasks = tasks(results);
    html.within("section", &[("aria-labelledby", "scores-heading")], |html| {
        html.element("h2", &[("id", "scores-heading")], "Scores");
        scrolled(html, "Scores", |html| {
            html.within("table", &[("id", "scores")], |html| {
                heading(html, &["Task", "Examples", "Filter", "Score", "Value", "±", "95 %", "n"]);
                html.within("tbody", &[], |html| {
                    for row in rows {
                        let score = &row.score;
                        html.within("tr", &[], |html| {
                            html.within("th", &[("scope", "row")], |html| {
                                match tasks.iter().position(|task| *task == row.name) {
                                    Some(place) => {
                                        html.element("a", &[("href", &format!("#task-{place}"))], &row.name);
                                    }
                                    None => html.text(&row.name),
                                }
                                if row.group {
                                    html.text(" (group)");
                                }
                            });
                            let shots = at(results, &["n-shot", &row.name]).map(words).unwrap_or_default();
                            html.element("td", &[("class", "number")], &shots);
                            html.element("td", &[], if score.filter == "none" { "" } else { &score.filter });
                            html.within("td", &[], |html| {
                                html.text(&score.metric);
                                let (mark, said) = match score.higher_is_better {
                                    Some(true) => (" ↑", "more is better"),
                                    Some(false) => (" ↓", "less is better"),
                                    None => return,
                                };
                                html.element("span", &[("title", said)], mark);
                            });
                            number(html, Some(score.value));
                            number(html, score.standard_error);
                            let both = interval(score).map(|[low, high]| format!("{} to {}", shown(low), shown(high)));
                            html.element("td", &[("class", "number")], &both.unwrap_or_else(|| "–".to_owned()));
                            let count = score.count.map(|count| count.to_string()).unwrap_or_default();
                            html.element("td", &[("class", "number")], &count);
                        });
                    }
                });
            });
        });
    });
}

fn number(html: &mut Html, value: Option<f64>) {
    html.element("td", &[("class", "number")], &value.map_or_else(|| "–".to_owned(), shown));
}

fn heading(html: &mut Html, names: &[&str]) {
    html.within("thead", &[], |html| {
        html.within("tr", &[], |html| names.iter().for_each(|name| html.element("th", &[("scope", "col")], name)));
    });
}

/// A table that is moved sideways where it is too wide, with the keyboard too.
fn scrolled(html: &mut Html, label: &str, inside: impl FnOnce(&mut Html)) {
    html.within("div", &[("class", "scroll"), ("tabindex", "0"), ("role", "region"), ("aria-label", label)], inside);
}

/// What others have published, where it was asked for.
pub(super) fn published(html: &mut Html, results: &Value) {
    let Some(found) = at(results, &["published"]) else { return };
    let rows: Vec<&Value> = at(found, &["scores"]).and_then(Value::as_array).into_iter().flatten().collect();
    html.within("section", &[("aria-labelledby", "published-heading")], |html| {
        html.within("h2", &[("id", "published-heading")], |html| {
            html.text("Beside what is published of ");
            html.element("span", &[("class", "name")], text(found, &["model"]).unwrap_or("the model"));
        });
        if rows.is_empty() {
            html.element("p", &[], "Nothing that is published of it was measured.");
            return;
        }
        scrolled(html, "Published scores", |html| {
            html.within("table", &[], |html| {
                heading(html, &["Task", "Score", "Ours", "Published", "Difference", "±", "Verdict", "Source"]);
                html.within("tbody", &[], |html| {
                    for row in &rows {
                        html.within("tr", &[], |html| {
                            html.element("th", &[("scope", "row")], text(row, &["task"]).unwrap_or_default());
                            html.element("td", &[], text(row, &["metric"]).unwrap_or_default());
                            number(html, at(row, &["ours"]).and_then(Value::as_f64));
                            html.element("td", &[("class", "number")], text(row, &["printed"]).unwrap_or_default());
                            number(html, at(row, &["difference"]).and_then(Value::as_f64));
                            number(html, at(row, &["standard_error"]).and_then(Value::as_f64));
                            html.element("td", &[("class", "words")], text(row, &["words"]).unwrap_or_default());
                            let source = ["source", "measured", "note"].map(|name| text(row, &[name]));
                            let source: Vec<&str> = source.into_iter().flatten().collect();
                            html.element("td", &[("class", "words soft")], &source.join("; "));
                        });
                    }
                });
            });
        });
    });
}

/// Scores that can share an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Family {
    Shares,
    Perplexities,
    BitsPerByte,
    Percents,
    Others,
}

impl Family {
    fn of(score: &SavedScore) -> Self {
        match score.metric.as_str() {
            name if name.ends_with("perplexity") || name == "ppl" => Self::Perplexities,
            "bits_per_byte" => Self::BitsPerByte,
            "bleu" | "chrf" | "chrf++" | "ter" => Self::Percents,
            "mcc" => Self::Others,
            _ if (0.0..=1.0).contains(&score.value) => Self::Shares,
            _ => Self::Others,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Shares => "Shares, from 0 to 1",
            Self::Perplexities => "Perplexities, less is better",
            Self::BitsPerByte => "Bits per byte, less is better",
            Self::Percents => "Similarities of texts, from 0 to 100",
            Self::Others => "Other scores",
        }
    }
}

pub(super) fn plots(html: &mut Html, results: &Value, rows: &[Row]) {
    let mut families: BTreeMap<Family, Vec<Dot>> = BTreeMap::new();
    let known = at(results, &["published", "scores"]).and_then(Value::as_array);
    for Row { name, score, group } in rows.iter().filter(|row| row.score.value.is_finite()) {
        let same = |row: &&Value| text(row, &["task"]) == Some(name) && text(row, &["metric"]) == Some(&score.metric);
        let published = known.into_iter().flatten().filter(same).filter_map(|row| at(row, &["published"])?.as_f64());
        let filter = if score.filter == "none" { String::new() } else { format!(", {}", score.filter) };
        families.entry(Family::of(score)).or_default().push(Dot {
            label: format!(
                "{name}{}: {}{filter} {}",
                if *group { " (group)" } else { "" },
                score.metric,
                shown(score.value)
            ),
            value: score.value,
            interval: interval(score),
            published: published.collect(),
        });
    }
    if families.is_empty() {
        return;
    }
    html.within("section", &[("aria-labelledby", "plots-heading")], |html| {
        html.element("h2", &[("id", "plots-heading")], "Scores with their intervals");
        let marked = families.values().flatten().any(|dot| !dot.published.is_empty());
        let said = "A dot is a score, the line through it its interval of 95 %.";
        let more = if marked { " An upright line is what was published." } else { "" };
        html.element("p", &[("class", "soft")], &format!("{said}{more}"));
        for (family, dots) in &families {
            html.within("figure", &[], |html| {
                html.element("figcaption", &[], family.title());
                let bounds = match family {
                    Family::Shares => Some((0.0, 1.0)),
                    Family::Perplexities => Some((1.0, f64::MAX)),
                    Family::BitsPerByte | Family::Percents => Some((0.0, f64::MAX)),
                    Family::Others => None,
                };
                intervals(html, family.title(), dots, *family == Family::Perplexities, bounds);
            });
        }
    });
}

pub(super) fn groups(html: &mut Html, results: &Value) {
    let all = at(results, &["group_subtasks"]).and_then(Value::as_object).into_iter().flatten();
    let all: Vec<(&String, &Value)> = all.filter(|(name, _)| is_group(results, name)).collect();
    if all.is_empty() {
        return;
    }
    html.within("section", &[("aria-labelledby", "groups-heading")], |html| {
        html.element("h2", &[("id", "groups-heading")], "Groups");
        html.within("dl", &[], |html| {
            for (name, members) in all {
                html.element("dt", &[], name);
                html.element("dd", &[], &words(members));
            }
        });
    });
}
