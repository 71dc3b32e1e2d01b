//! Forms: what is generated is certainly of one.
//!
//! A [`Form`] is a JSON schema, a grammar or a regular expression. It is compiled when its request is submitted, before
//! anything is computed; in every step it tells which tokens may follow ([`guide`]), and the sampler forbids the others
//! after all else has altered the logits. The end-of-sequence token and stop ids may follow where the text is a whole one
//! of the form, and nowhere else; where nothing but them may follow, the generation ends ([`Cause::FormComplete`]).
//! A generation that ends for another reason (`max_tokens`, a stop string, a rail, a full context) has the beginning of a
//! text of the form.
//!
//! The compiler and the parser of tokens are `llguidance`'s. What is given to them is hostile: its size and nesting are
//! bounded here, their work by limits that count and do not measure time ([`compile`]), so the same request always has the
//! same answer.
//!
//! [`Cause::FormComplete`]: crate::Cause::FormComplete

mod compile;
mod forms;
mod gbnf;
mod guide;
mod vocabulary;

use crate::error::RequestError;

pub use forms::{CompiledForm, Forms};
pub(crate) use guide::Guide;
use vocabulary::Vocabulary;

/// What a generated text must be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// A JSON object.
    JsonObject,
    /// A JSON value that this schema admits, given as JSON. Keywords that cannot be kept to (`not`, `uniqueItems`,
    /// `oneOf` of choices that may overlap, references to other documents) are refused. Properties come in the order of
    /// the schema.
    JsonSchema(String),
    /// A text of this grammar in GBNF, the notation of llama.cpp's users, from its rule `root`. Without recursion it is
    /// kept exactly; with it, what has no recursion in it takes the longest text that it can.
    Grammar(String),
    /// A text of this grammar in Lark's notation as llguidance reads it, from its rule `start`.
    Lark(String),
    /// A text that this regular expression matches as a whole, in the syntax of Rust's `regex`, without lookaround.
    Regex(String),
}

impl Form {
    /// Whether it is one, as far as that can be told without a tokenizer.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), RequestError> {
        compile::check(self).map_err(|why| RequestError::Form { form: self.name(), why })
    }

    /// What to call it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::JsonObject | Self::JsonSchema(_) => "JSON schema",
            Self::Grammar(_) | Self::Lark(_) => "grammar",
            Self::Regex(_) => "regular expression",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::{Duration, Instant};

    use gptneo_text::Tokenizer;

    use super::*;

    const PERSON: &str = r#"{"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer",
        "minimum": 0}, "email": {"type": "string", "format": "email"}, "tags": {"type": "array", "items": {"enum":
        ["new", "old", "lost"]}}, "address": {"type": "object", "properties": {"street": {"type": "string"}, "zip":
        {"type": "string", "pattern": "^[0-9]{5}$"}}, "required": ["street"]}}, "required": ["name", "age", "tags"]}"#;
    const SAID: &str = "{\"name\": \"Lily of the valley, who was \\\"small\\\" and fond of trees\", \"age\": 7, \
        \"email\": \"lily@example.org\", \"tags\": [\"new\", \"lost\"], \"address\": {\"street\": \"Long Lane 7\", \
        \"zip\": \"12345\"}}";
    const LIST: &str = "root ::= item+\nitem ::= \"- \" [^\\n]{1,80} \"\\n\" (\"  \" item)?";

    fn median(mut times: Vec<Duration>) -> (Duration, Duration) {
        times.sort_unstable();
        (times[times.len() / 2], times[times.len() - 1])
    }

    #[test]
    #[ignore = "measures: `cargo test --release -p gptneo-engine costs -- --ignored --nocapture`"]
    fn what_a_form_costs() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tokenizer/gpt2");
        let tokenizer = Tokenizer::open(&dir).unwrap();
        let begun = Instant::now();
        let compiler = Forms::new(Some(tokenizer.clone()), tokenizer.vocab_size());
        compiler.compile(&Form::JsonObject).unwrap();
        println!("a vocabulary of {} and its first form in {:?}", tokenizer.vocab_size(), begun.elapsed());
        let forms = [
            ("any object", Form::JsonObject, SAID),
            ("a person", Form::JsonSchema(PERSON.to_owned()), SAID),
            ("a list (GBNF)", Form::Grammar(LIST.to_owned()), "- milk and honey\n  - and bread\n- a long walk home\n"),
            ("words (regex)", Form::Regex("([A-Z][a-z]+ ?)+".to_owned()), "Lily Went Home Alone"),
        ];
        for (name, form, text) in forms {
            let compiling = (0..21).map(|_| {
                let begun = Instant::now();
                drop(compiler.compile(&form).unwrap());
                begun.elapsed()
            });
            let (compiled, _) = median(compiling.collect());
            let ids = tokenizer.encode(text).unwrap();
            let follow = |guide: &mut Guide| {
                let step = |&id: &u32| {
                    let begun = Instant::now();
                    assert!(guide.next().unwrap().is_some());
                    let told = begun.elapsed();
                    guide.take(id).unwrap();
                    told
                };
                median(ids.iter().map(step).collect())
            };
            let mut guide = compiler.guide(&form, None, &[50256]).unwrap();
            let mut again = guide.clone();
            let (first, most) = follow(&mut guide);
            let (warm, _) = follow(&mut again);
            println!("{name:14} compiled in {compiled:?}; a token {first:?}, at most {most:?}; once known {warm:?}");
        }
    }
}
