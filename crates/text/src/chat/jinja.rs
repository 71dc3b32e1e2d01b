//! Chat templates in Jinja, as the reference runs them: blocks trimmed, Python's string methods, loop controls.
//!
//! A template comes with a model from a stranger, so steps, depth and output are bounded, and it can reach no file, no
//! clock and no environment. What is not bounded is a single string that a template builds in its own variables: use
//! templates from where you would take a model.

use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, Value, context};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::Message;
use crate::error::{Result, TextError, shown};

const NAME: &str = "chat";

/// The longest source, in bytes; the longest in use is about 20 kB.
const SOURCE_LIMIT: usize = 1 << 20;
/// The longest prompt, in bytes.
const OUTPUT_LIMIT: usize = 64 << 20;
/// Instructions of the template engine.
const STEPS: u64 = 200_000;
const STEPS_PER_MESSAGE: u64 = 10_000;
/// Nested calls, includes and loops.
const DEPTH: usize = 100;

#[derive(Clone, Debug)]
pub(super) struct Jinja {
    environment: Environment<'static>,
    /// Whether its source speaks of tools.
    pub(super) takes_tools: bool,
}

impl Jinja {
    pub(super) fn new(source: &str) -> Result<Self> {
        if source.len() > SOURCE_LIMIT {
            let (found, limit) = (source.len() as u64, SOURCE_LIMIT as u64);
            return Err(TextError::TooLarge { what: "bytes of a chat template", found, limit });
        }
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| fault(&error))?);
        environment.set_recursion_limit(DEPTH);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> std::result::Result<Value, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_filter("tojson", to_json);
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| fault(&error))?;
        Ok(Self { environment, takes_tools: source.contains("tools") })
    }

    pub(super) fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
        bos_token: &str,
        eos_token: &str,
    ) -> Result<String> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role.name(), content => message.content.as_str() })
            .collect();
        self.write(messages.len(), context! { messages, add_generation_prompt, bos_token, eos_token })
    }

    /// The same of messages and tools as JSON.
    pub(super) fn render_json(
        &self,
        messages: &[serde_json::Value],
        tools: &[serde_json::Value],
        bos_token: &str,
        eos_token: &str,
    ) -> Result<String> {
        let count = messages.len() + tools.len();
        let (messages, tools) = (Value::from(Serde(messages)), Value::from(Serde(tools)));
        self.write(count, context! { messages, tools, add_generation_prompt => true, bos_token, eos_token })
    }

    fn write(&self, count: usize, values: Value) -> Result<String> {
        let mut environment = self.environment.clone();
        environment.set_fuel(Some(STEPS.saturating_add(STEPS_PER_MESSAGE.saturating_mul(count as u64))));
        let template = environment.get_template(NAME).map_err(|error| fault(&error))?;
        let mut output = Bounded(Vec::new());
        template.render_captured_to(values, &mut output).map_err(|error| fault(&error))?;
        String::from_utf8(output.0)
            .map_err(|error| TextError::Template { template: NAME.into(), detail: error.to_string() })
    }
}

fn fault(error: &Error) -> TextError {
    let mut detail = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        detail = format!("{detail}: {inner}");
        cause = inner.source();
    }
    TextError::Template { template: NAME.into(), detail: shown(&detail) }
}

/// Collects output up to [`OUTPUT_LIMIT`].
struct Bounded(Vec<u8>);

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > OUTPUT_LIMIT {
            return Err(io::Error::other(format!("the prompt is longer than {OUTPUT_LIMIT} bytes")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As Python's `json.dumps` writes it, which is what models were trained on: a space after `,` and `:`.
fn to_json(value: Value) -> std::result::Result<Value, Error> {
    let mut out = Vec::new();
    let failed = |error: serde_json::Error| Error::new(ErrorKind::BadSerialization, error.to_string());
    value.serialize(&mut Serializer::with_formatter(&mut out, Spaced)).map_err(failed)?;
    let text = String::from_utf8(out).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))?;
    Ok(Value::from(text))
}

struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { out.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ChatTemplate, Message, Role};
    use crate::error::TextError;

    fn render(source: &str, prompt: bool) -> Result<String, TextError> {
        let mut template = ChatTemplate::jinja(source)?;
        (template.bos, template.eos) = ("<s>".into(), "</s>".into());
        template.render(&[Message::new(Role::User, " Hi <b> ")], prompt)
    }

    fn fails(source: &str, wanted: &str) {
        let error = render(source, true).unwrap_err().to_string();
        assert!(error.contains(wanted), "{source}: {error}");
    }

    #[test]
    fn tools_go_where_a_template_has_a_place_for_them() {
        let source = "{% for tool in tools %}{{ tool.function.name }};{% endfor %}{% for m in messages %}{{ m.role }}={{ m.content }}{% if m.tool_calls %}!{% endif %} {% endfor %}";
        let template = ChatTemplate::jinja(source).unwrap();
        let messages = [
            serde_json::json!({"role": "user", "content": "Hi"}),
            serde_json::json!({"role": "tool", "content": "9", "tool_calls": [1]}),
        ];
        let tools = [serde_json::json!({"type": "function", "function": {"name": "clock"}})];
        assert!(template.takes_tools());
        assert_eq!(template.render_with_tools(&messages, &tools).unwrap(), "clock;user=Hi tool=9! ");
        let without = ChatTemplate::jinja("{{ messages }}").unwrap();
        assert!(!without.takes_tools() && without.render_with_tools(&messages, &tools).is_err());
        assert!(!ChatTemplate::named("plain").unwrap().takes_tools());
    }

    #[test]
    fn runs_a_template_as_models_carry_it() {
        let source = "{{ bos_token }}\n{% for message in messages %}\n    {%- if message['role'] == 'user' %}\n\
            [{{ message['content'].strip() }}]\n    {% else %}\n{{ message.content | trim }}\n    {% endif %}\n\
            {% endfor %}\n{% if add_generation_prompt %}go{{ eos_token }}{% endif %}\n";
        assert_eq!(render(source, true).unwrap(), "<s>\n[Hi <b>]\ngo</s>");
        assert_eq!(render(source, false).unwrap(), "<s>\n[Hi <b>]\n");
    }

    #[test]
    fn writes_json_as_python_does() {
        let found = render("{{ {'a': [1, 'é<'], 'b': none} | tojson }}", true).unwrap();
        assert_eq!(found, r#"{"a": [1, "é<"], "b": null}"#);
    }

    #[test]
    fn refuses_when_the_template_does() {
        fails("{{ raise_exception('no system role') }}", "no system role");
        fails("a\nb {% if %}", "chat:2");
        fails("{{ strftime_now('%Y') }}", "strftime_now");
        fails("{% include '/etc/passwd' %}", "template");
        fails(&"x".repeat(super::SOURCE_LIMIT + 1), "bytes of a chat template");
    }

    #[test]
    fn stops_a_template_that_runs_away() {
        fails("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}", "fuel");
        fails("{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}", "recursion");
        let long = "x".repeat(1000);
        fails(
            &format!("{{% set x = '{long}' * 1000 %}}{{% for i in range(100) %}}{{{{ x }}}}{{% endfor %}}"),
            "longer",
        );
        fails(&format!("{{{{ {}1{} }}}}", "(".repeat(100_000), ")".repeat(100_000)), "");
    }
}
