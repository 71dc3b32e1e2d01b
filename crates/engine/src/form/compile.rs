//! From a form to a parser of tokens, within bounds.
//!
//! Compiling runs on a thread with a stack of its own size: llguidance walks from rule to rule by recursion, as deep as a
//! grammar of the allowed size can be. Its panics, should there be any, become errors.

use std::panic::AssertUnwindSafe;
use std::thread;

use llguidance::api::{GrammarInit, ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory, panic_utils};
use serde_json::Value;

use super::{Form, gbnf};

/// Most bytes of a schema.
const MAX_SCHEMA: usize = 128 * 1024;
/// Most bytes of a grammar.
const MAX_GRAMMAR: usize = 32 * 1024;
/// Most bytes of a regular expression.
const MAX_REGEX: usize = 4 * 1024;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;
/// Most fields of an object in a schema: what it takes to compile them grows with the square.
const MAX_FIELDS: usize = 512;
/// The stack that compiling has. Only what is used of it takes memory.
const STACK: usize = 256 * 1024 * 1024;
/// Longest message that is passed on, in characters.
const MAX_MESSAGE: usize = 300;

/// White space in JSON: none, a space, or a line break with an indentation; never without end.
const WHITE_SPACE: &str = r"\x20|\n[\x20\t]{0,64}";

/// Bounds of one form's work, by what llguidance counts: some 20 ms to compile, and 30 ms a step.
pub(super) fn limits() -> ParserLimits {
    ParserLimits {
        max_items_in_row: 2_000,
        initial_lexer_fuel: 1_000_000,
        step_lexer_fuel: 200_000,
        step_max_items: 250_000,
        max_lexer_states: 50_000,
        max_grammar_size: 50_000,
        precompute_large_lexemes: false,
        verbose_errors: false,
    }
}

/// A parser at the beginning of `form`.
///
/// # Errors
/// In words.
pub(super) fn matcher(factory: &ParserFactory, form: &Form) -> Result<Matcher, String> {
    apart(|| {
        let parser = factory.create_parser(grammar(form)?);
        parser.map(|parser| Matcher::new(Ok(parser))).map_err(|error| said(form, &error.to_string()))
    })
}

/// Whether `form` is one.
///
/// # Errors
/// In words.
pub(super) fn check(form: &Form) -> Result<(), String> {
    apart(|| {
        let grammar = GrammarInit::Serialized(grammar(form)?);
        let checked = panic_utils::catch_unwind(AssertUnwindSafe(|| Ok(grammar.validate(None, limits()))));
        match checked {
            Ok(found) => found.into_error().map_or(Ok(()), |why| Err(said(form, &why))),
            Err(error) => Err(said(form, &error.to_string())),
        }
    })
}

/// Does it on a thread with a stack of its own.
fn apart<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("form".to_owned()).stack_size(STACK);
        let thread = thread.spawn_scoped(scope, work);
        let thread = thread.map_err(|error| format!("there is no memory to compile it: {error}"))?;
        thread.join().unwrap_or_else(|_| Err("compiling it failed".to_owned()))
    })
}

fn grammar(form: &Form) -> Result<TopLevelGrammar, String> {
    match form {
        Form::JsonObject => schema(r#"{"type": "object"}"#),
        Form::JsonSchema(source) => schema(source),
        Form::Grammar(source) => {
            bounded(source, MAX_GRAMMAR)?;
            Ok(TopLevelGrammar::from_lark(gbnf::to_lark(source)?))
        }
        Form::Lark(source) => {
            bounded(source, MAX_GRAMMAR)?;
            source
                .lines()
                .zip(1..)
                .try_for_each(|(line, number)| shallow(line).map_err(|why| format!("line {number}: {why}")))?;
            Ok(TopLevelGrammar::from_lark(source.clone()))
        }
        Form::Regex(source) => {
            bounded(source, MAX_REGEX)?;
            shallow(source)?;
            if source.is_empty() {
                return Err("it is empty".to_owned());
            }
            if source.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1 {
                return Err("it ends in a backslash that escapes nothing".to_owned());
            }
            Ok(TopLevelGrammar::from_regex(source))
        }
    }
}

fn bounded(source: &str, most: usize) -> Result<(), String> {
    match source.len() {
        len if len > most => Err(format!("it has {len} bytes, and may have at most {most}")),
        _ => Ok(()),
    }
}

/// Refuses brackets that nest too deep, wherever they stand: quotes may only make it err on the safe side in one line.
fn shallow(line: &str) -> Result<(), String> {
    let mut depth: usize = 0;
    for byte in line.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Err(format!("brackets are nested deeper than {MAX_DEPTH}"));
        }
    }
    Ok(())
}

fn schema(source: &str) -> Result<TopLevelGrammar, String> {
    bounded(source, MAX_SCHEMA)?;
    let mut schema: Value = serde_json::from_str(source).map_err(|error| format!("it is not JSON: {error}"))?;
    if depth(&schema) > MAX_DEPTH {
        return Err(format!("it is nested deeper than {MAX_DEPTH}"));
    }
    let fields = most_fields(&schema);
    if fields > MAX_FIELDS {
        return Err(format!("an object in it has {fields} fields, and may have at most {MAX_FIELDS}"));
    }
    match &mut schema {
        Value::Bool(true) => schema = Value::Object(serde_json::Map::new()),
        Value::Bool(false) => return Err("it admits nothing".to_owned()),
        Value::Object(_) => {}
        _ => return Err("it must be an object, or true".to_owned()),
    }
    if let Value::Object(keys) = &mut schema {
        let ours = serde_json::json!({ "whitespace_pattern": WHITE_SPACE });
        if keys.insert("x-guidance".to_owned(), ours).is_some() {
            return Err("`x-guidance` is no keyword of JSON Schema".to_owned());
        }
    }
    Ok(TopLevelGrammar::from_json_schema(schema))
}

/// How deep a value is nested; JSON is read to a depth of 128 at most.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// How many fields the largest object has.
fn most_fields(value: &Value) -> usize {
    match value {
        Value::Array(values) => values.iter().map(most_fields).max().unwrap_or(0),
        Value::Object(values) => values.len().max(values.values().map(most_fields).max().unwrap_or(0)),
        _ => 0,
    }
}

/// A message about `form`. Only of Lark's notation is the text that its places are in the one that was given.
fn said(form: &Form, message: &str) -> String {
    let words = words(message);
    match (place(&words), form) {
        (Some((line, column, what)), Form::Lark(_)) => format!("line {line}, column {column}: {what}"),
        (Some((_, _, what)), _) => what.to_owned(),
        (None, _) => words,
    }
}

/// Line, column and the rest of `at 3(14): what is wrong`.
fn place(words: &str) -> Option<(usize, usize, &str)> {
    let (line, rest) = words.strip_prefix("at ").unwrap_or(words).split_once('(')?;
    let (column, what) = rest.split_once("): ")?;
    Some((line.parse().ok()?, column.parse().ok()?, what))
}

/// A message of llguidance in one line, without its picture of the place or the trace of a panic.
pub(super) fn words(message: &str) -> String {
    let mut lines = message.lines().map(str::trim);
    let mut said = lines.next().unwrap_or_default().to_owned();
    if let Some(panic) = said.strip_prefix("panic: ") {
        said = format!("its compiler failed: {panic}");
    }
    if said.ends_with("regex parse error:")
        && let Some(error) = lines.find_map(|line| line.strip_prefix("error: "))
    {
        said = format!("{said} {error}");
    }
    if said.chars().count() > MAX_MESSAGE {
        said = said.chars().take(MAX_MESSAGE).chain(['…']).collect();
    }
    said
}
