//! Rows into documents.

use serde_json::{Value, json};

use super::text;
use crate::document::Document;

/// A function over the rows of a split, by its name.
pub(super) type Named = (&'static str, fn(Vec<Document>) -> Result<Vec<Document>, String>);

pub(super) const NAMES: &[Named] = &[
    ("hellaswag", hellaswag),
    ("record", record),
    ("wikitext_pages", wikitext_pages),
    ("from_requests", from_requests),
    ("arithmetic", arithmetic),
    ("boolq", boolq),
    ("cb", cb),
    ("entailment", entailment),
    ("truth_values", truth_values),
    ("detokenized", detokenized),
    ("mbpp_problems", mbpp_problems),
    ("mbpp_examples", mbpp_examples),
];

/// HellaSwag: activity and context joined, the marks of WikiHow taken out.
fn hellaswag(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    from_requests(rows)?
        .into_iter()
        .map(|mut row| {
            if row.contains_key("query") && row.contains_key("choices") {
                return Ok(row);
            }
            let context = format!("{} {}", text(&row, "ctx_a")?, capitalised(text(&row, "ctx_b")?));
            let query = tidy(&format!("{}: {context}", text(&row, "activity_label")?));
            let endings = row.get("endings").and_then(Value::as_array).ok_or("there is no list `endings`")?;
            let choices: Vec<String> = endings.iter().filter_map(Value::as_str).map(tidy).collect();
            let gold: i64 = match row.get("label") {
                Some(Value::String(label)) => {
                    label.trim().parse().map_err(|_| format!("the label {label:?} is no number"))?
                }
                Some(Value::Number(label)) => label.as_i64().ok_or("the label is no whole number")?,
                _ => return Err("there is no column `label`".to_owned()),
            };
            row.insert("query".to_owned(), query.into());
            row.insert("choices".to_owned(), json!(choices));
            row.insert("gold".to_owned(), gold.into());
            Ok(row)
        })
        .collect()
}

/// Python's `str.capitalize`: the first letter large, all others small.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    let first: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
    first + &chars.as_str().to_lowercase()
}

fn tidy(text: &str) -> String {
    let text = text.trim().replace(" [title]", ". ");
    let marks = regex::Regex::new(r"\[.*?\]").expect("a constant");
    marks.replace_all(&text, "").replace("  ", " ")
}

/// ReCoRD: entities and answers once each, in order.
fn record(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    rows.into_iter()
        .map(|mut row| {
            for column in ["entities", "answers"] {
                let items = row.get(column).and_then(Value::as_array).ok_or(format!("there is no list `{column}`"))?;
                let mut texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                texts.sort();
                texts.dedup();
                row.insert(column.to_owned(), json!(texts));
            }
            Ok(row)
        })
        .collect()
}

/// WikiText in lines to articles, as the harness's document-level set has them: an article begins at a heading of the first level.
fn wikitext_pages(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    if rows.iter().all(|row| row.contains_key("page")) {
        return Ok(rows);
    }
    let heading = regex::Regex::new(r"^ = [^=]*[^= ] = $").expect("a constant");
    let mut pages: Vec<String> = Vec::new();
    for row in &rows {
        let line = text(row, "text")?.trim_end_matches('\n');
        if heading.is_match(line) || (pages.is_empty() && !line.trim().is_empty()) {
            pages.push(String::new());
        }
        if let Some(page) = pages.last_mut() {
            page.push_str(line);
            page.push('\n');
        }
    }
    Ok(pages.into_iter().map(|page| Document::from_iter([("page".to_owned(), page.into())])).collect())
}

/// Requests that somebody made of documents, one a choice, back into the documents: those of multiple-choice questions get the
/// columns that the set itself has. Rows that are none stay as they are.
fn from_requests(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    if !rows.first().is_some_and(|row| row.contains_key("request") && row.contains_key("doc")) {
        return Ok(rows);
    }
    let mut seen = std::collections::HashSet::new();
    let mut found = Vec::new();
    for mut row in rows {
        let place = row.get("doc_id").and_then(Value::as_i64).ok_or("a request has no number `doc_id`")?;
        // Requests without a prompt, for comparison, count on from a million.
        if place >= 1_000_000 || !seen.insert(place) {
            continue;
        }
        let Some(Value::Object(mut document)) = row.remove("doc") else {
            return Err("a request has no `doc`".to_owned());
        };
        if let (Some(query), Some(Value::Array(choices)), Some(gold)) = (
            document.get("query").and_then(Value::as_str),
            document.get("choices"),
            document.get("gold").and_then(Value::as_u64),
        ) {
            let question = query.strip_prefix("Question: ").and_then(|rest| rest.strip_suffix("\nAnswer:"));
            if let Some(question) = question.map(str::to_owned) {
                let labels: Vec<String> = (1..=choices.len()).map(|label| label.to_string()).collect();
                let choices = json!({"text": choices, "label": labels});
                document.insert("question".to_owned(), question.into());
                document.insert("choices".to_owned(), choices);
                document.insert("answerKey".to_owned(), (gold + 1).to_string().into());
            }
        }
        found.push(document);
    }
    Ok(found)
}

/// GPT-3's sums, as the harness words them.
fn arithmetic(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    let reworded = |mut row: Document| {
        let context = text(&row, "context")?.trim().replace("\n\n", "\n");
        let context = context.replace("Q:", "Question:").replace("A:", "Answer:");
        row.insert("context".to_owned(), context.into());
        Ok(row)
    };
    rows.into_iter().map(reworded).collect()
}

/// Labels that are texts or truth values as numbers.
fn numbered(rows: Vec<Document>, names: &[&str]) -> Result<Vec<Document>, String> {
    let number = |mut row: Document| {
        let label = match row.get("label") {
            Some(Value::Bool(label)) => i64::from(*label),
            Some(Value::String(label)) => {
                let place = names.iter().position(|name| name == label);
                place.ok_or_else(|| format!("the label is one of {}, found {label:?}", names.join(", ")))? as i64
            }
            Some(Value::Number(_)) => return Ok(row),
            _ => return Err("there is no column `label`".to_owned()),
        };
        row.insert("label".to_owned(), label.into());
        Ok(row)
    };
    rows.into_iter().map(number).collect()
}

/// BoolQ, also as requests, whose passages have their titles as SuperGLUE's do, and as its authors published it, with an `answer`.
fn boolq(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    let mut found = from_requests(rows)?;
    for row in &mut found {
        if let Some(answer) = row.get("answer").and_then(Value::as_bool).filter(|_| !row.contains_key("label")) {
            row.insert("label".to_owned(), answer.into());
        }
        let Some(query) = row.get("query").and_then(Value::as_str) else { continue };
        let parts = query.strip_suffix("\nAnswer:").and_then(|query| query.rsplit_once("\nQuestion: "));
        let (passage, question) = parts.ok_or("a query is no passage with a question")?;
        let (passage, question) = (passage.to_owned(), question.trim_end_matches('?').to_owned());
        // Its choices are yes and no, in this order.
        let gold = row.get("gold").and_then(Value::as_i64).ok_or("there is no number `gold`")?;
        row.insert("passage".to_owned(), passage.into());
        row.insert("question".to_owned(), question.into());
        row.insert("label".to_owned(), (1 - gold).into());
    }
    numbered(found, &[])
}

/// Every text without the spaces that a tokenizer set around marks.
fn detokenized(mut rows: Vec<Document>) -> Result<Vec<Document>, String> {
    for value in rows.iter_mut().flat_map(|row| row.values_mut()) {
        if let Value::String(text) = value {
            *text = super::fields::detokenized(text);
        }
    }
    Ok(rows)
}

fn cb(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    numbered(rows, &["entailment", "contradiction", "neutral"])
}

fn entailment(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    numbered(rows, &["entailment", "not_entailment"])
}

/// Labels that are true or false as 1 or 0.
fn truth_values(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    numbered(rows, &[])
}

/// MBPP: of the file with all its 974 problems those of the test split, 11 to 510; of a split alone all.
fn mbpp_problems(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    let numbers = numbers(&rows)?;
    let whole = numbers.iter().any(|number| *number < 11) && numbers.iter().any(|number| *number > 510);
    let kept = |number: i64| !whole || (11..=510).contains(&number);
    Ok(rows.into_iter().zip(numbers).filter(|(_, number)| kept(*number)).map(|(row, _)| row).collect())
}

/// MBPP: the three problems that its prompt shows, 2 to 4, told from those that are asked.
fn mbpp_examples(rows: Vec<Document>) -> Result<Vec<Document>, String> {
    let numbers = numbers(&rows)?;
    let shown = rows.into_iter().zip(numbers).filter(|(_, number)| (2..=4).contains(number));
    Ok(shown
        .map(|(mut row, _)| {
            row.insert("is_fewshot".to_owned(), json!(true));
            row
        })
        .collect())
}

fn numbers(rows: &[Document]) -> Result<Vec<i64>, String> {
    let number =
        |row: &Document| row.get("task_id").and_then(Value::as_i64).ok_or("there is no number `task_id`".into());
    rows.iter().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hellaswag_is_tidied() {
        let row = json!({
            "activity_label": "Removing ice", "ctx_a": "A man [header] sits.", "ctx_b": "he Then", "label": "2",
            "endings": ["one  two", " [title] three [step] x"],
        });
        let found = hellaswag(vec![row.as_object().unwrap().clone()]).unwrap().remove(0);
        assert_eq!(found["query"], "Removing ice: A man sits. He then");
        assert_eq!(found["choices"], json!(["one two", " three x"]));
        assert_eq!(found["gold"], 2);
    }

    #[test]
    fn articles_begin_at_headings() {
        let line = |text: &str| Document::from_iter([("text".to_owned(), text.into())]);
        let lines = ["", " = One = ", " text a = b ", " = = Part = = ", "", " = Two = ", " end "].map(line);
        let pages = wikitext_pages(lines.to_vec()).unwrap();
        let texts: Vec<&str> = pages.iter().map(|page| page["page"].as_str().unwrap()).collect();
        assert_eq!(texts, [" = One = \n text a = b \n = = Part = = \n\n", " = Two = \n end \n"]);
    }

    #[test]
    fn splits_of_mbpp_are_told_by_numbers() {
        let rows = |from: i64, to: i64| -> Vec<Document> {
            (from..=to).map(|number| Document::from_iter([("task_id".to_owned(), number.into())])).collect()
        };
        let ends =
            |rows: Vec<Document>| (rows.len(), rows[0]["task_id"].clone(), rows[rows.len() - 1]["task_id"].clone());
        assert_eq!(ends(mbpp_problems(rows(1, 974)).unwrap()), (500, 11.into(), 510.into()));
        assert_eq!(ends(mbpp_problems(rows(601, 974)).unwrap()), (374, 601.into(), 974.into()));
        assert_eq!(ends(mbpp_problems(rows(1, 10)).unwrap()), (10, 1.into(), 10.into()));
        assert_eq!(ends(mbpp_examples(rows(1, 974)).unwrap()), (3, 2.into(), 4.into()));
        assert!(mbpp_examples(rows(1, 10)).unwrap().iter().all(|row| row["is_fewshot"] == true));
        assert!(mbpp_problems(vec![Document::new()]).is_err());
    }
}
