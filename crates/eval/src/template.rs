//! Prompts as Jinja templates over a document, as the reference harness renders them: strict about names, a newline at the end kept,
//! Python's text methods, values printed as Python prints them, and its filter `regex_replace`.
//!
//! Templates may come from strangers: steps, depth and output are bounded, and they reach nothing but the document.

use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State, UndefinedBehavior, Value};

use crate::document::Document;
use crate::python;

const NAME: &str = "template";
/// Instructions of one rendering.
const STEPS: u64 = 2_000_000;
const DEPTH: usize = 50;
/// The longest text that a template may print, in bytes.
const LONGEST: usize = 16 << 20;

/// A compiled template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    environment: Arc<Environment<'static>>,
    /// What stands between `{{` and `}}`, where that is all there is.
    expression: Option<String>,
    source: String,
}

impl Template {
    /// Compiles it. The error says what is wrong with it.
    pub(crate) fn new(source: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.map_err(|error| fault(&error))?);
        environment.set_recursion_limit(DEPTH);
        environment.set_fuel(Some(STEPS));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment.set_unknown_method_callback(method);
        environment.add_filter("regex_replace", regex_replace);
        environment.set_formatter(|out, _, value| {
            let text = match value.as_str() {
                Some(text) => text.to_owned(),
                None => python::display(
                    &serde_json::to_value(value)
                        .map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?,
                ),
            };
            if value.is_undefined() {
                return Err(Error::from(ErrorKind::UndefinedError));
            }
            out.write_str(&text).map_err(|_| Error::new(ErrorKind::WriteFailure, "the output is too long"))
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| fault(&error))?;
        let expression = source.trim().strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"));
        let expression = expression.filter(|inner| !inner.contains("{{") && !inner.contains("}}"));
        let expression = expression.filter(|inner| environment.compile_expression(inner).is_ok());
        Ok(Self {
            expression: expression.map(str::to_owned),
            source: source.to_owned(),
            environment: Arc::new(environment),
        })
    }

    /// The text of it.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// What it prints for a document.
    pub(crate) fn render(&self, document: &Document) -> Result<String, String> {
        let template = self.environment.get_template(NAME).map_err(|error| fault(&error))?;
        let text = template.render(Value::from(Serde(document))).map_err(|error| fault(&error))?;
        if text.len() > LONGEST {
            return Err(format!("the template prints {} bytes; {LONGEST} are the most", text.len()));
        }
        Ok(text)
    }

    /// The value of it: of a lone expression what that is; else what it prints, read as a Python literal.
    pub(crate) fn evaluate(&self, document: &Document) -> Result<serde_json::Value, String> {
        if let Some(expression) = &self.expression {
            let compiled = self.environment.compile_expression(expression).map_err(|error| fault(&error))?;
            let value = compiled.eval(Value::from(Serde(document))).map_err(|error| fault(&error))?;
            let value = serde_json::to_value(value).map_err(|error| error.to_string())?;
            if !value.is_string() {
                return Ok(value);
            }
        }
        let text = self.render(document)?;
        python::literal(&text).ok_or_else(|| format!("it prints {text:?}, which is no Python literal"))
    }
}

/// Methods of Python's: those that the library has, and `index` of lists.
fn method(state: &mut State<'_, '_>, value: &Value, name: &str, arguments: &[Value]) -> Result<Value, Error> {
    if name == "index" && value.kind() == ValueKind::Seq {
        let wanted = arguments.first().ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
        let place = value.try_iter()?.position(|item| item == *wanted);
        let missing = || Error::new(ErrorKind::InvalidOperation, format!("{wanted} is not in the list {value}"));
        return place.map(Value::from).ok_or_else(missing);
    }
    minijinja_contrib::pycompat::unknown_method_callback(state, value, name, arguments)
}

fn regex_replace(text: &str, pattern: &str, replacement: &str, count: Option<usize>) -> Result<String, Error> {
    let wrong = |error: regex::Error| Error::new(ErrorKind::InvalidOperation, format!("regex_replace: {error}"));
    let regex = regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().map_err(wrong)?;
    // Python writes groups `\1`; here they are `${1}`.
    let groups = regex::Regex::new(r"\\(\d+)|\\g<(\w+)>").expect("a constant");
    let replacement = replacement.replace('$', "$$");
    let replacement = groups.replace_all(&replacement, "$${$1$2}");
    Ok(regex.replacen(text, count.unwrap_or(0), replacement.as_ref()).into_owned())
}

fn fault(error: &Error) -> String {
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        why = format!("{why}: {inner}");
        cause = inner.source();
    }
    why
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn document(value: Value) -> Document {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn prints_as_jinja2_under_python_does() {
        let document = document(json!({
            "text": "a b c", "flag": true, "none": null, "n": 3, "x": 1.0, "list": ["it's", 1], "map": {"text": ["p", "q"]},
        }));
        let check = |source: &str, wanted: &str| {
            assert_eq!(Template::new(source).unwrap().render(&document).unwrap(), wanted, "{source}");
        };
        check("{{text.split(' ')[:-1]|join(' ')}}", "a b");
        check("{{' '+text.split(' ')[-1]}}", " c");
        check("{{flag}} {{none}} {{n}} {{x}} {{list}}\n", "True None 3 1.0 [\"it's\", 1]\n");
        check("{{text.strip()[:-1] + ' because'}}|{{text|trim|upper}}", "a b  because|A B C");
        check("{{ map.text[1] }}{% for item in list %}<{{item}}>{% endfor %}", "q<it's><1>");
        check("{{text|regex_replace('(b) ', '[\\\\1]$')}}", "a [b]$c");
        check("{{text.replace('a', '<&>')}}", "<&> b c");
    }

    #[test]
    fn lists_stay_lists() {
        let document = document(json!({"a": "it's", "b": "x\ny", "label": 1, "map": {"text": ["p", "q"]}}));
        let check = |source: &str, wanted: Value| {
            assert_eq!(Template::new(source).unwrap().evaluate(&document).unwrap(), wanted, "{source}");
        };
        check("{{[a, b]}}", json!(["it's", "x\ny"]));
        check("{{map.text}}", json!(["p", "q"]));
        check("['no', 'yes']", json!(["no", "yes"]));
        check("{{label}}", json!(1));
        check("{{map.text.index('q')}}", json!(1));
        check("{% if label == 1 %}['x']{% else %}['y']{% endif %}", json!(["x"]));
    }

    #[test]
    fn refuses_in_words() {
        let document = document(json!({"a": "x"}));
        let check = |source: &str, part: &str| {
            let fault = Template::new(source).and_then(|template| template.render(&document)).unwrap_err();
            assert!(fault.contains(part), "{source}: {fault}");
        };
        check("{{ b }}", "undefined");
        check("{{ a.missing }}", "undefined");
        check("{{ ['p'].index(a) }}", "not in the list");
        check("{% if %}", "syntax");
        check("{{ a|nofilter }}", "nofilter");
        check("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", "fuel");
        check("{{ a|regex_replace('(', '') }}", "regex");
        assert!(Template::new("{{ a }}").unwrap().evaluate(&document).unwrap_err().contains("literal"));
    }
}
