//! What the page says of the whole run: the model, its precision, the program, when, how long, and what was asked for.

use gptneo_tables::moment;
use serde_json::Value;

use super::html::Html;
use super::{at, description, text, words};

/// Settings that stand among the first facts, or say nothing by themselves.
const TOLD: [&str; 8] = [
    "model",
    "model_args",
    "model_num_parameters",
    "model_dtype",
    "model_output_dtype",
    "cache_dtype_k",
    "cache_dtype_v",
    "model_revision",
];

pub(super) fn of_run(html: &mut Html, results: &Value) {
    let config = |name: &str| at(results, &["config", name]).map(words).unwrap_or_default();
    let began = at(results, &["date"]).and_then(Value::as_f64).map(when).unwrap_or_default();
    let seconds = at(results, &["total_evaluation_time_seconds"]);
    let seconds = seconds.and_then(|value| value.as_f64().or_else(|| value.as_str()?.parse().ok()));
    let parameters = at(results, &["config", "model_num_parameters"]).and_then(Value::as_u64);
    let version = text(results, &["gptneo_version"]).map(|version| format!("gptneo {version}"));
    let harness = || text(results, &["lm_eval_version"]).map(|version| format!("lm-evaluation-harness {version}"));
    let cache = match (config("cache_dtype_k"), config("cache_dtype_v")) {
        (k, v) if k == v => k,
        (k, v) => format!("{k} and {v}"),
    };
    let facts = [
        ("Model", text(results, &["model_name"]).unwrap_or_default().to_owned()),
        ("Revision", config("model_revision")),
        ("Parameters", parameters.map(grouped).unwrap_or_default()),
        ("Weights", config("model_dtype")),
        ("Output layer", config("model_output_dtype")),
        ("Cache", cache),
        ("Measured by", version.or_else(harness).unwrap_or_default()),
        ("Began", began),
        ("Took", seconds.filter(|seconds| *seconds >= 0.0).map(lasting).unwrap_or_default()),
    ];
    description(html, &facts);
    let settings = at(results, &["config"]).and_then(Value::as_object).into_iter().flatten();
    let settings: Vec<(&str, String)> = settings
        .filter(|(name, value)| !TOLD.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name.as_str(), words(value)))
        .collect();
    if !settings.is_empty() {
        html.within("details", &[], |html| {
            html.element("summary", &[], "Options");
            description(html, &settings);
        });
    }
}

/// A moment, in seconds since 1970.
fn when(seconds: f64) -> String {
    let said = moment::timestamp(seconds.clamp(-1e12, 1e12) as i64, 1);
    said.map(|said| format!("{} UTC", said.replace('T', " "))).unwrap_or_default()
}

fn lasting(seconds: f64) -> String {
    let whole = seconds.min(1e12) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole / 60 % 60),
    }
}

/// `125,198,592`.
fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let parts = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    parts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_lengths_are_said() {
        assert_eq!(when(1_795_875_675.7), "2026-11-28 14:21:15 UTC");
        assert_eq!(when(f64::MAX), "");
        assert_eq!([3.25, 75.0, 7_322.0].map(lasting), ["3.2 s", "1 min 15 s", "2 h 2 min"]);
        assert_eq!([7, 125_198_592, 1_000].map(grouped), ["7", "125,198,592", "1,000"]);
    }
}
