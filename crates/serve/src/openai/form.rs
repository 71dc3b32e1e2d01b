//! What an answer must be: OpenAI's `response_format`, and the names that other local servers have for the same.

use gptneo_engine::Form;
use serde_json::Value;

use crate::fields::{Fields, wrong};
use crate::problem::Problem;

/// Takes the form that a request asks for, under any of its names; one at most. It is checked as far as that can be done without a model.
pub(crate) fn take(fields: &mut Fields) -> Result<Option<Form>, Problem> {
    let mut found: Option<(&str, Form)> = None;
    let mut note = |name: &'static str, form: Option<Form>| match (form, &found) {
        (None, _) => Ok(()),
        (Some(_), Some((other, _))) => {
            Err(Problem::field(name, format!("`{name}` does not go with `{other}`: give one of them")))
        }
        (Some(form), None) => {
            found = Some((name, form));
            Ok(())
        }
    };
    note("response_format", response_format(fields)?)?;
    for name in ["json_schema", "guided_json"] {
        note(name, fields.take(name).map(|schema| schema_of(name, schema)).transpose()?)?;
    }
    for name in ["grammar", "guided_grammar"] {
        note(name, fields.string(name)?.filter(|grammar| !grammar.is_empty()).map(Form::Grammar))?;
    }
    for name in ["regex", "guided_regex"] {
        note(name, fields.string(name)?.map(Form::Regex))?;
    }
    let Some((name, form)) = found else { return Ok(None) };
    form.check().map_err(|error| Problem::field(name, error.to_string()))?;
    Ok(Some(form))
}

/// `{"type": "text" | "json_object" | "json_schema", "json_schema": {"name", "schema"}}`.
fn response_format(fields: &mut Fields) -> Result<Option<Form>, Problem> {
    let Some(mut format) = fields.object("response_format")? else { return Ok(None) };
    let kind = format.required("type")?;
    let form = match kind.as_str() {
        "text" => None,
        "json_object" => Some(Form::JsonObject),
        "json_schema" => {
            let mut described = format.object("json_schema")?.ok_or_else(|| format.missing("json_schema"))?;
            let at = described.at("schema");
            let schema = described.take("schema").ok_or_else(|| described.missing("schema"))?;
            described.ignore(&["name", "description", "strict"]);
            described.finish()?;
            Some(schema_of(&at, schema)?)
        }
        _ => {
            let at = format.at("type");
            return Err(Problem::field(at.clone(), format!("`{at}` must be text, json_object or json_schema")));
        }
    };
    format.finish()?;
    Ok(form)
}

/// A schema, as JSON or as a text of it.
pub(crate) fn schema_of(at: &str, schema: Value) -> Result<Form, Problem> {
    match schema {
        Value::String(text) => Ok(Form::JsonSchema(text)),
        schema @ (Value::Object(_) | Value::Bool(_)) => Ok(Form::JsonSchema(schema.to_string())),
        other => Err(wrong(at, &other, "a JSON schema")),
    }
}
