//! The groups that an answer of BBQ is of, as the reference harness reads them out of the set's labels.
//!
//! Labels were written by hand: `F-Black`, `lowSES-African`, `nonObese`, `M_man`. What comes out is lower case and without marks, so
//! that it can be compared with the stereotyped groups of a document.

use serde_json::Value;

use crate::document::Document;
use crate::functions::text;

/// Of the answer in a column; in the order of the labels.
pub(super) fn of_answer(document: &Document, answer: &str) -> Result<Vec<String>, String> {
    let labels = document.get("answer_info").and_then(|info| info.get(answer)).and_then(Value::as_array);
    let labels = labels.ok_or_else(|| format!("there is no list `answer_info.{answer}`"))?;
    let labels: Vec<&str> = labels.iter().filter_map(Value::as_str).collect();
    if labels.iter().any(|label| !label.is_empty()) {
        return Ok(of_labels(&labels.join("_")));
    }
    // Rows of women from Latin America lack their labels.
    if text(document, answer)?.contains("Latina") {
        return Ok(of_labels("Latino"));
    }
    Err(format!("`answer_info.{answer}` says no group"))
}

fn of_labels(labels: &str) -> Vec<String> {
    let mut labels = labels.to_owned();
    // An order of replacements, each over what the one before left. A hyphen between two groups becomes the mark that parts them;
    // others, as in names of countries, stay.
    for (from, to) in [
        ("M-", "M_"),
        ("F-", "F_"),
        ("lowSES-", "lowSES_"),
        ("highSES-", "highSES_"),
        ("lowSES", "low SES"),
        ("highSES", "high SES"),
        ("nonObese", "non Obese"),
        ("nonDisabled", "non Disabled"),
        ("nonTrans", "non Trans"),
    ] {
        labels = labels.replace(from, to);
    }
    // Stereotyped groups are F and M. "woman" has "man" in it, and so have "Romanian" and "Ottoman": as there, so here.
    labels = if labels.contains("woman") { labels.replace("woman", "F_woman") } else { labels.replace("man", "M_man") };
    labels = labels.replace("girl", "F_girl").replace("boy", "M_boy");
    labels.to_lowercase().split('_').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_become_groups() {
        for (labels, wanted) in [
            ("F-Black", &["f", "black"][..]),
            ("lowSES-M-truck driver", &["low ses", "m", "truck driver"]),
            ("woman_old", &["f", "woman", "old"]),
            ("grandman", &["grandm", "man"]),
            ("girl_boy", &["f", "girl", "m", "boy"]),
            ("nonTrans_M", &["non trans", "m"]),
            ("South-American_x", &["south-american", "x"]),
        ] {
            assert_eq!(of_labels(labels), wanted, "{labels}");
        }
    }

    #[test]
    fn a_missing_label_is_told() {
        let mut row = json!({"ans0": "The Latina guest", "answer_info": {"ans0": ["", ""]}});
        assert_eq!(of_answer(row.as_object().unwrap(), "ans0").unwrap(), ["latino"]);
        row["ans0"] = "The guest".into();
        assert!(of_answer(row.as_object().unwrap(), "ans0").is_err());
        assert!(of_answer(row.as_object().unwrap(), "ans1").is_err());
    }
}
