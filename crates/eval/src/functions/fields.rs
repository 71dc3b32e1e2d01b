//! Values of a document.

use regex::Regex;
use serde_json::{Value, json};

use super::text;
use crate::document::Document;

/// A function of one document, by its name.
pub(super) type Named = (&'static str, fn(&Document) -> Result<Value, String>);

pub(super) const NAMES: &[Named] = &[
    ("wikitext_detokenized", wikitext_detokenized),
    ("winogrande_text", winogrande_text),
    ("winogrande_target", winogrande_target),
    ("winogrande_choice", winogrande_choice),
    ("copa_text", copa_text),
    ("copa_choice", copa_choice),
    ("copa_choice_spaced", copa_choice_spaced),
    ("wsc_text", wsc_text),
    ("wsc_marked", wsc_marked),
    ("mathqa_choice", mathqa_choice),
    ("record_text", record_text),
    ("record_choice", record_choice),
    ("record_target", record_target),
    ("record_targets", record_targets),
];

/// WikiText as text that people write: spaces around marks taken out, marks of numbers put back.
fn wikitext_detokenized(document: &Document) -> Result<Value, String> {
    let mut text = text(document, "page")?.to_owned();
    // An order of replacements, each over what the one before left.
    for (from, to) in [
        ("s '", "s'"),
        (" @-@ ", "-"),
        (" @,@ ", ","),
        (" @.@ ", "."),
        (" : ", ": "),
        (" ; ", "; "),
        (" . ", ". "),
        (" ! ", "! "),
        (" ? ", "? "),
        (" , ", ", "),
    ] {
        text = text.replace(from, to);
    }
    for (pattern, to) in [
        (r"\(\s*([^\)]*?)\s*\)", "($1)"),
        (r"\[\s*([^\]]*?)\s*\]", "[$1]"),
        (r"\{\s*([^}]*?)\s*\}", "{$1}"),
        (r#""\s*([^"]*?)\s*""#, "\"$1\""),
        (r"'\s*([^']*?)\s*'", "'$1'"),
    ] {
        text = Regex::new(pattern).expect("a constant").replace_all(&text, to).into_owned();
    }
    for (from, to) in [
        ("= = = =", "===="),
        ("= = =", "==="),
        ("= =", "=="),
        (" \u{b0} ", "\u{b0}"),
        (" \n", "\n"),
        ("\n ", "\n"),
        (" N ", " 1 "),
        (" 's", "'s"),
    ] {
        text = text.replace(from, to);
    }
    Ok(text.into())
}

/// WinoGrande scores what follows the blank, given each way to fill it; so the "text" is the number of the right one.
fn winogrande_text(document: &Document) -> Result<Value, String> {
    match text(document, "answer")? {
        "1" => Ok(0.into()),
        "2" => Ok(1.into()),
        other => Err(format!("the answer is 1 or 2, found {other:?}")),
    }
}

fn blank(document: &Document) -> Result<(&str, &str), String> {
    text(document, "sentence")?.split_once('_').ok_or_else(|| "the sentence has no blank `_`".to_owned())
}

fn winogrande_target(document: &Document) -> Result<Value, String> {
    Ok(blank(document)?.1.trim().into())
}

fn winogrande_choice(document: &Document) -> Result<Value, String> {
    let (before, _) = blank(document)?;
    Ok(json!([before.to_owned() + text(document, "option1")?, before.to_owned() + text(document, "option2")?]))
}

/// COPA: the premise without its full stop, and the word that asks.
fn copa_text(document: &Document) -> Result<Value, String> {
    let premise = text(document, "premise")?.trim();
    let mut chars = premise.chars();
    chars.next_back();
    let word = match text(document, "question")? {
        "cause" => "because",
        "effect" => "therefore",
        other => return Err(format!("a question is of cause or effect, found {other:?}")),
    };
    Ok(format!("{} {word}", chars.as_str()).into())
}

/// COPA: the choices, their first letters small.
fn copa_choice(document: &Document) -> Result<Value, String> {
    let small = |column: &str| -> Result<String, String> {
        let mut chars = text(document, column)?.chars();
        let first: String = chars.next().into_iter().flat_map(char::to_lowercase).collect();
        Ok(first + chars.as_str())
    };
    Ok(json!([small("choice1")?, small("choice2")?]))
}

/// COPA as the harness has it: each choice with a space of its own, beside the one that joins it to the text.
fn copa_choice_spaced(document: &Document) -> Result<Value, String> {
    let choices = copa_choice(document)?;
    Ok(choices.as_array().into_iter().flatten().filter_map(Value::as_str).map(|choice| format!(" {choice}")).collect())
}

/// The Winograd schemas of SuperGLUE: the passage, and what is asked of it.
fn wsc_text(document: &Document) -> Result<Value, String> {
    let (noun, pronoun) = (text(document, "span1_text")?, text(document, "span2_text")?);
    let passage = marked(document)?;
    let question = format!("In the passage above, does the pronoun \"*{pronoun}*\" refer to \"*{noun}*\"?");
    Ok(format!("Passage: {passage}\nQuestion: {question}\nAnswer:").into())
}

fn wsc_marked(document: &Document) -> Result<Value, String> {
    Ok(marked(document)?.into())
}

/// A Winograd schema with the pronoun between stars.
fn marked(document: &Document) -> Result<String, String> {
    let (passage, pronoun) = (text(document, "text")?, text(document, "span2_text")?);
    let place = document.get("span2_index").and_then(Value::as_u64).ok_or("there is no number `span2_index`")? as usize;
    let before: Vec<&str> = passage.split_whitespace().take(place).collect();
    let before = before.join(" ");
    // The harness counts characters on from there, one for the space.
    let after: String = passage.chars().skip(before.chars().count() + pronoun.chars().count() + 1).collect();
    Ok(detokenized(&format!("{before} *{pronoun}*{after}")))
}

/// Spaces that a tokenizer set around marks, taken out as the harness does.
pub(super) fn detokenized(text: &str) -> String {
    let mut text = text.to_owned();
    for (from, to) in [(" n't", "n't"), (" )", ")"), ("( ", "("), ("\" ", "\""), (" \"", "\"")] {
        text = text.replace(from, to);
    }
    Regex::new(r" (['.,])").expect("a constant").replace_all(&text, "$1").into_owned()
}

/// MathQA: the options out of their one text.
fn mathqa_choice(document: &Document) -> Result<Value, String> {
    let options = text(document, "options")?;
    let option = Regex::new(r"[abcd] \) .*?, |e \) .*?$").expect("a constant");
    // The letter and its bracket are four characters.
    let bare = |found: regex::Match<'_>| {
        found.as_str().chars().skip(4).collect::<String>().trim_end_matches([' ', ',']).to_owned()
    };
    Ok(json!(option.find_iter(options).map(bare).collect::<Vec<_>>()))
}

/// ReCoRD: the passage, its highlights as a list.
fn record_text(document: &Document) -> Result<Value, String> {
    let mut parts = text(document, "passage")?.trim().split("\n@highlight\n");
    let mut found = parts.next().unwrap_or_default().to_owned() + "\n\n";
    for highlight in parts {
        found += &format!("  - {highlight}.\n");
    }
    Ok(found.into())
}

fn filled(document: &Document, column: &str) -> Result<Vec<String>, String> {
    let query = text(document, "query")?;
    let items = document.get(column).and_then(Value::as_array).ok_or(format!("there is no list `{column}`"))?;
    let entities = items.iter().filter_map(Value::as_str);
    Ok(entities.map(|entity| format!("  - {query}").replace("@placeholder", entity)).collect())
}

fn record_choice(document: &Document) -> Result<Value, String> {
    Ok(json!(filled(document, "entities")?))
}

fn record_target(document: &Document) -> Result<Value, String> {
    let answers = filled(document, "answers")?;
    Ok(answers.into_iter().next().ok_or("there is no answer")?.into())
}

/// All answers that are right, as the choices have them.
fn record_targets(document: &Document) -> Result<Value, String> {
    Ok(json!(filled(document, "answers")?))
}
