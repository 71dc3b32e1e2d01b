//! Answers on disk, so that a run that was stopped goes on where it was.
//!
//! A file of lines: what it belongs to (the model and how it is asked), then an answer each. A line that was cut short
//! by a crash is dropped; a file of another model is refused. Log-likelihoods are kept in as many digits as read back to the same bits.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::answer::Answer;
use crate::error::EvalError;
use crate::python;

const FORMAT: &str = "gptneo-eval-answers";
/// The longest file that is read, in bytes.
const LONGEST: u64 = 8 << 30;

/// Answers by the keys of their requests.
pub(crate) struct Cache {
    answers: HashMap<String, Answer>,
    file: Option<(PathBuf, File)>,
}

impl Cache {
    /// One that is forgotten with the run.
    pub(crate) fn in_memory() -> Self {
        Self { answers: HashMap::new(), file: None }
    }

    /// The one at `path`, made if it is missing, of a model that `fingerprint` names.
    pub(crate) fn open(path: &Path, fingerprint: &str) -> Result<Self, EvalError> {
        let io = |error: std::io::Error| EvalError::Io { path: path.to_owned(), why: error.to_string() };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        if file.metadata().map_err(io)?.len() > LONGEST {
            return Err(EvalError::Cache { path: path.to_owned(), why: "it is longer than 8 GiB".to_owned() });
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let text = std::str::from_utf8(&bytes[..whole])
            .map_err(|_| EvalError::Cache { path: path.to_owned(), why: "it is no text".to_owned() })?;
        let mut lines = text.lines().enumerate();
        let wrong = |line: usize, why: &str| EvalError::Cache {
            path: path.to_owned(),
            why: format!("line {}: {why}; remove the file to ask again", line + 1),
        };
        let header = json!({"format": FORMAT, "version": 1, "model": fingerprint});
        match lines.next() {
            None => {
                file.set_len(0).map_err(io)?;
                file.seek(SeekFrom::Start(0)).map_err(io)?;
                writeln!(file, "{header}").map_err(io)?;
            }
            Some((_, first)) if serde_json::from_str::<Value>(first).is_ok_and(|found| found == header) => {
                file.set_len(whole as u64).map_err(io)?;
                file.seek(SeekFrom::End(0)).map_err(io)?;
            }
            Some((line, first)) if first.contains(FORMAT) => {
                return Err(wrong(line, "it holds answers of another model, or of one asked in another precision"));
            }
            Some((line, _)) => return Err(wrong(line, "it is no file of answers")),
        }
        let mut answers = HashMap::new();
        for (at, line) in lines {
            let (key, answer) = read(line).ok_or_else(|| wrong(at, "it is no answer"))?;
            answers.insert(key, answer);
        }
        Ok(Self { answers, file: Some((path.to_owned(), file)) })
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Answer> {
        self.answers.get(key)
    }

    /// Keeps an answer, on disk too where there is a file.
    pub(crate) fn keep(&mut self, key: &str, answer: Answer) -> Result<(), EvalError> {
        if let Some((path, file)) = &mut self.file {
            let line = match &answer {
                Answer::Likelihood { logprob, greedy } => json!([key, python::float_repr(*logprob), greedy]),
                Answer::Rolling(logprob) => json!([key, python::float_repr(*logprob)]),
                Answer::Sentence { logprob, tokens } => json!([key, python::float_repr(*logprob), tokens]),
                Answer::Text(text) => json!([key, {"text": text}]),
                Answer::Logits(logits) => json!([key, {"logits": logits}]),
            };
            let io = |error: std::io::Error| EvalError::Io { path: path.clone(), why: error.to_string() };
            file.write_all(format!("{line}\n").as_bytes()).map_err(io)?;
        }
        self.answers.insert(key.to_owned(), answer);
        Ok(())
    }
}

fn read(line: &str) -> Option<(String, Answer)> {
    let Value::Array(parts) = serde_json::from_str(line).ok()? else { return None };
    let key = parts.first()?.as_str()?.to_owned();
    let answer = match &parts[1..] {
        [Value::String(logprob), Value::Bool(greedy)] => {
            Answer::Likelihood { logprob: logprob.parse().ok()?, greedy: *greedy }
        }
        [Value::String(logprob)] => Answer::Rolling(logprob.parse().ok()?),
        [Value::String(logprob), Value::Number(tokens)] => {
            let tokens = usize::try_from(tokens.as_u64()?).ok().filter(|&tokens| tokens > 0)?;
            Answer::Sentence { logprob: logprob.parse().ok()?, tokens }
        }
        [Value::Object(fields)] => match fields.get("logits") {
            // An f32 is written as the f64 that is the same number.
            Some(Value::Array(logits)) => {
                Answer::Logits(logits.iter().map(|logit| logit.as_f64().map(|l| l as f32)).collect::<Option<_>>()?)
            }
            _ => Answer::Text(fields.get("text")?.as_str()?.to_owned()),
        },
        _ => return None,
    };
    Some((key, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/answers.jsonl");
        let answers = [
            Answer::Likelihood { logprob: -0.1 - 0.2, greedy: true },
            Answer::Rolling(-1_234.000_000_000_1),
            Answer::Sentence { logprob: -0.7 / 3.0, tokens: 12 },
            Answer::Text("a\n\"b\"\u{1F600}".to_owned()),
            Answer::Logits(vec![0.1, -3.4e-38, 16_777_217.0]),
        ];
        let mut cache = Cache::open(&path, "m").unwrap();
        for (at, answer) in answers.iter().enumerate() {
            cache.keep(&at.to_string(), answer.clone()).unwrap();
        }
        drop(cache);
        let whole = std::fs::read(&path).unwrap();
        // Cut anywhere, what is whole is there and the rest can be kept again.
        for cut in 0..=whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut cache = Cache::open(&path, "m").unwrap();
            for (at, answer) in answers.iter().enumerate() {
                match cache.find(&at.to_string()) {
                    Some(found) => assert_eq!(found, answer),
                    None => cache.keep(&at.to_string(), answer.clone()).unwrap(),
                }
            }
            drop(cache);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
    }

    #[test]
    fn another_models_answers_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        drop(Cache::open(&path, "one").unwrap());
        assert!(matches!(Cache::open(&path, "two"), Err(EvalError::Cache { .. })));
        let header = "{\"format\":\"gptneo-eval-answers\",\"version\":1,\"model\":\"m\"}\n";
        let (word, no_tokens) = (format!("{header}x\n"), format!("{header}[\"key\",\"-1.5\",0]\n"));
        for text in ["{}\n", "hello\n", &word, &no_tokens] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(Cache::open(&path, "m"), Err(EvalError::Cache { .. })), "{text}");
        }
    }
}
