//! Generated texts, from our own files or the evaluation harness's.

use std::collections::HashMap;
use std::io::BufRead;

use serde::Deserialize;
use serde_json::Value;

use super::error::{Result, shown};
use super::lines::Lines;

/// The longest line of a samples file, in bytes: the harness keeps a whole document in each.
const LONGEST_LINE: usize = 16 << 20;

/// The most samples of one source.
const MOST_SAMPLES: usize = 1_000_000;

/// One generated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Names the prompt: samples of other sources with this id answer the same.
    pub id: String,
    /// What the model was given.
    pub prompt: String,
    /// What it wrote.
    pub text: String,
}

/// Samples of one model with one prompt template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// How reports call it. Judges never see it.
    pub name: String,
    /// In any order.
    pub samples: Vec<Sample>,
}

/// Reads jsonl samples. `name` is for errors.
///
/// A line is one of ours, `{"id", "prompt", "text"}` with an id that is a string or a whole number (more fields are
/// passed over), or one of the harness's `samples_*.jsonl` for a task whose output is `generate_until`: the id is
/// `doc_id`, the prompt the first of `arguments`, the text the first of `resps` as the model gave it, before any filter.
/// The harness repeats a document for each of its filters; that is read once.
///
/// # Errors
/// A line that is neither, an id that comes twice with other content, and lines or files that are too long (16 MiB a line,
/// 1,000,000 samples).
pub fn read_samples(name: &str, reader: impl BufRead) -> Result<Vec<Sample>> {
    let mut lines = Lines::new(name, reader, LONGEST_LINE);
    let mut samples: Vec<Sample> = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    while let Some(line) = lines.next()? {
        let (sample, repeats) = sample(&line.text).map_err(|detail| lines.flaw(line.number, detail))?;
        if let Some(&at) = seen.get(&sample.id) {
            if repeats && samples[at] == sample {
                continue;
            }
            let detail = format!("the id `{}` stands in an earlier line too", shown(&sample.id));
            return Err(lines.flaw(line.number, detail));
        }
        if samples.len() == MOST_SAMPLES {
            return Err(lines.flaw(line.number, format!("there are more than {MOST_SAMPLES} samples")));
        }
        seen.insert(sample.id.clone(), samples.len());
        samples.push(sample);
    }
    Ok(samples)
}

/// The fields that matter, of either kind of line.
#[derive(Deserialize)]
struct Fields {
    id: Option<Value>,
    prompt: Option<Value>,
    text: Option<Value>,
    doc_id: Option<Value>,
    arguments: Option<Value>,
    resps: Option<Value>,
}

/// The sample, and whether its kind of file may repeat it.
fn sample(line: &str) -> std::result::Result<(Sample, bool), String> {
    let fields: Fields =
        serde_json::from_str(line).map_err(|error| format!("no sample: {}", shown(&error.to_string())))?;
    if let (Some(arguments), Some(resps)) = (&fields.arguments, &fields.resps) {
        let id = fields.doc_id.as_ref().ok_or("it has no `doc_id`")?;
        let sample = Sample { id: id_of("doc_id", id)?, prompt: prompt_of(arguments)?, text: text_of(resps)? };
        return Ok((sample, true));
    }
    let string = |name: &str, value: Option<Value>| match value {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("`{name}` is no string")),
        None => Err(format!(
            "it has no `{name}`; a line holds `id`, `prompt` and `text`, or the harness's `doc_id`, `arguments` and `resps`"
        )),
    };
    let prompt = string("prompt", fields.prompt)?;
    let text = string("text", fields.text)?;
    let id = id_of("id", fields.id.as_ref().ok_or("it has no `id`")?)?;
    Ok((Sample { id, prompt, text }, false))
}

fn id_of(name: &str, id: &Value) -> std::result::Result<String, String> {
    match id {
        Value::String(text) if text.len() > 1000 => Err(format!("`{name}` is longer than 1000 bytes")),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if !number.is_f64() => Ok(number.to_string()),
        _ => Err(format!("`{name}` is neither a string nor a whole number")),
    }
}

const NOT_GENERATED: &str = "it is not of a task whose output is `generate_until`";

/// `{"gen_args_0": {"arg_0": prompt, "arg_1": settings}}`, or `[[prompt, settings]]` in older files.
fn prompt_of(arguments: &Value) -> std::result::Result<String, String> {
    let (requests, first, settings) = match arguments {
        Value::Object(map) => {
            let request = map.get("gen_args_0");
            (
                map.len(),
                request.and_then(|request| request.get("arg_0")),
                request.and_then(|request| request.get("arg_1")),
            )
        }
        Value::Array(list) => {
            let request = list.first();
            (list.len(), request.and_then(|request| request.get(0)), request.and_then(|request| request.get(1)))
        }
        _ => return Err("`arguments` is neither an object nor a list".to_owned()),
    };
    match (requests, first, settings) {
        // Tasks that score continuations have several requests a document, or a continuation where settings stand.
        (1, Some(Value::String(prompt)), Some(Value::Object(_))) => Ok(prompt.clone()),
        _ => Err(format!("{NOT_GENERATED}: `arguments` does not hold one prompt with its settings")),
    }
}

/// `[[text, repeats...]]`.
fn text_of(resps: &Value) -> std::result::Result<String, String> {
    match resps.get(0).and_then(|repeats| repeats.get(0)) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("{NOT_GENERATED}: `resps` does not hold a text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Sample>> {
        read_samples("s.jsonl", text.as_bytes())
    }

    fn good(text: &str, wanted: &[[&str; 3]]) {
        let of = |[id, prompt, text]: &[&str; 3]| Sample {
            id: (*id).to_owned(),
            prompt: (*prompt).to_owned(),
            text: (*text).to_owned(),
        };
        assert_eq!(read(text).unwrap(), wanted.iter().map(of).collect::<Vec<_>>());
    }

    fn bad(text: &str, wanted: &str) {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }

    #[test]
    fn reads_our_lines() {
        let lines =
            "{\"id\":\"a\",\"prompt\":\"p\",\"text\":\"t\",\"seed\":1}\n\n{\"text\":\"\",\"prompt\":\"é\",\"id\":7}";
        good(lines, &[["a", "p", "t"], ["7", "é", ""]]);
    }

    const HARNESS: &str = r#"{"doc_id":3,"doc":{"x":[1]},"target":"t","arguments":{"gen_args_0":{"arg_0":"Q:","arg_1":{"until":["\n"]}}},"resps":[[" an answer"]],"filtered_resps":["an"],"filter":"none"}"#;

    #[test]
    fn reads_the_lines_of_the_harness_once_for_all_filters() {
        let twice = format!("{HARNESS}\n{}", HARNESS.replace("none", "strict"));
        good(&twice, &[["3", "Q:", " an answer"]]);
        let older = HARNESS
            .replace(r#"{"gen_args_0":{"arg_0":"Q:","arg_1":{"until":["\n"]}}}"#, r#"[["Q:",{"until":["\n"]}]]"#);
        good(&older, &[["3", "Q:", " an answer"]]);
        bad(&format!("{HARNESS}\n{}", HARNESS.replace("Q:", "R:")), "line 2: the id `3` stands in an earlier line too");
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let ours = |id: &str, prompt: &str, text: &str| format!("{{\"id\":{id},\"prompt\":{prompt},\"text\":{text}}}");
        bad(
            &format!("{0}\n{0}", ours("1", "\"p\"", "\"t\"")),
            "s.jsonl, line 2: the id `1` stands in an earlier line too",
        );
        bad(&ours("1.5", "\"p\"", "\"t\""), "`id` is neither a string nor a whole number");
        bad(&ours("null", "\"p\"", "\"t\""), "it has no `id`");
        bad(&ours("1", "[]", "\"t\""), "`prompt` is no string");
        bad(&ours("1", "\"p\"", "{}"), "`text` is no string");
        bad(&ours("1", "\"p\"", "\"\\ud83e\""), "no sample");
        bad("{\"id\":1}", "it has no `prompt`; a line holds");
        bad("[1]", "no sample");
        bad("{\"id\":", "no sample");
        bad(&"[".repeat(1 << 20), "no sample");
        bad(&ours(&format!("\"{}\"", "x".repeat(1001)), "\"p\"", "\"t\""), "longer than 1000 bytes");
        bad(&"x".repeat(LONGEST_LINE + 1), "longer than 16777216 bytes");
        bad(&HARNESS.replace(r#""doc_id":3,"#, ""), "it has no `doc_id`");
        bad(&HARNESS.replace(r#"{"until":["\n"]}"#, "\" yes\""), "not of a task whose output is `generate_until`");
        bad(&HARNESS.replace(r#"[[" an answer"]]"#, r#"[[["-1.5","False"]]]"#), "`resps` does not hold a text");
        bad(&HARNESS.replace(r#"[[" an answer"]]"#, "[]"), "`resps` does not hold a text");
        bad(&HARNESS.replace(r#"{"gen_args_0""#, r#"{"gen_args_1":{},"gen_args_0""#), "one prompt with its settings");
    }
}
