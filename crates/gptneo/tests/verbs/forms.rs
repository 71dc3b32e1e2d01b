//! `--json-schema` and `--grammar`: what comes out has the form.

use serde_json::Value;

use super::runner::{Outcome, Program, gptneo};
use super::schema::{SCHEMAS, admits};

fn asked(flag: &str, form: &str, more: &[&str]) -> Outcome {
    gptneo(["run", "Once upon a time", "--temp", "1", "--json", flag, form].iter().chain(more).copied())
}

#[test]
fn two_hundred_sampled_texts_are_valid() {
    let (mut ended, mut all) = (0, 0);
    for (seed, source) in SCHEMAS.iter().enumerate() {
        let seed = seed.to_string();
        let report = asked("--json-schema", source, &["-N", "40", "-n", "200", "--seed", &seed]).json();
        let schema: Value = serde_json::from_str(source).unwrap();
        for sample in report["samples"].as_array().unwrap() {
            all += 1;
            if sample["finish_reason"] != "stop" {
                continue;
            }
            ended += 1;
            let text = sample["text"].as_str().unwrap();
            let value: Value = serde_json::from_str(text).unwrap_or_else(|why| panic!("{why}: {text}"));
            assert!(admits(&schema, &value, &schema), "{source} does not admit {text}");
        }
    }
    assert!(all == 240 && ended > 180, "{ended} of {all} came to their end");
}

#[test]
fn guessing_ahead_and_company_change_no_token() {
    for (seed, source) in SCHEMAS.iter().enumerate() {
        let seed = seed.to_string();
        let with = |more: &[&str]| {
            let report = asked("--json-schema", source, &[&["-n", "80", "--seed", &seed], more].concat()).json();
            (report["tokens"].clone(), report["finish_reason"].clone())
        };
        let plain = with(&[]);
        assert_eq!(with(&["--lookup"]), plain, "{source}");
        assert_eq!(with(&["--draft-model", "pocket"]), plain, "{source}");
        assert_eq!(with(&["-N", "4"]), plain, "the first of four is the one alone: {source}");
    }
}

#[test]
fn grammars_and_files_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let (grammar, schema) = (dir.path().join("list.gbnf"), dir.path().join("schema.json"));
    std::fs::write(&grammar, "# a list\nroot ::= item{3}\nitem ::= \"- \" [a-z]{2,8} \"\\n\"\n").unwrap();
    std::fs::write(&schema, r#"{"enum": ["red", "green"]}"#).unwrap();
    let text = |flag: &str, form: &str| asked(flag, form, &["--seed", "5"]).json()["text"].as_str().unwrap().to_owned();
    let listed = text("--grammar-file", grammar.to_str().unwrap());
    let items: Vec<&str> = listed.lines().collect();
    assert!(items.len() == 3 && items.iter().all(|item| item.starts_with("- ") && item.len() <= 10), "{listed:?}");
    assert!(["yes", "no"].contains(&text("--grammar", "root ::= \"yes\" | \"no\"").as_str()));
    let colour = ["\"red\"", "\"green\""];
    assert!(colour.contains(&text("--json-schema-file", schema.to_str().unwrap()).as_str()));
    assert!(colour.contains(&text("--json-schema", &format!("@{}", schema.display())).as_str()));
}

#[test]
fn a_text_that_is_cut_is_told() {
    let cut = gptneo(["run", "Once", "--grammar", "root ::= [a-z]{90}", "-n", "5", "--seed", "1"]);
    assert_eq!(cut.code, Some(0));
    assert!(cut.stderr.contains("may be only the beginning of its form"), "{}", cut.stderr);
    let whole = gptneo(["run", "Once", "--grammar", "root ::= [a-z]{9}", "-n", "50", "--seed", "1"]);
    assert_eq!((whole.stderr.as_str(), whole.text().trim_end().len()), ("", 9));
}

#[test]
fn a_conversation_may_have_a_form() {
    let chat =
        Program::new(["chat", "--chat-template", "plain", "--grammar", "root ::= \"yes\" | \"no\"", "--seed", "2"]);
    let said = chat.stdin("Is it raining?\n").run();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(["yes\n", "no\n"].contains(&said.text()), "{}", said.text());
}
