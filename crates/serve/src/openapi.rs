//! What the server answers, for programs (`/openapi.json`) and for people (`/docs`): both are made from one table.

mod table;

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::app::App;
use table::{Field, OPERATIONS, Operation};

/// Its routes.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new().route("/openapi.json", get(document)).route("/docs", get(page)).route("/docs/style.css", get(style))
}

async fn document(State(app): State<Arc<App>>) -> Json<Value> {
    let mut paths: Map<String, Value> = Map::new();
    for operation in OPERATIONS {
        let entry = paths.entry(operation.path).or_insert_with(|| json!({}));
        entry[operation.method.to_lowercase()] = described(operation);
    }
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "gptneo",
            "version": app.version,
            "description": "Language models of the GPT-Neo line over the protocols of OpenAI, Ollama and the Open Inference Protocol.",
            "license": {"name": "MIT OR Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "browser": {"type": "http", "scheme": "basic"},
            },
        },
        "security": if app.keys.is_empty() { json!([]) } else { json!([{"key": []}, {"browser": []}]) },
    }))
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "summary": operation.summary,
        "tags": [operation.group],
        "operationId": format!("{}{}", operation.method.to_lowercase(), operation.path.replace(|c: char| !c.is_ascii_alphanumeric(), "_")),
        "responses": {
            "200": {"description": operation.answer, "content": {"application/json": {}}},
            "default": {"description": "What is wrong, in words, with the field that it is about", "content": {"application/json": {}}},
        },
    });
    let parameters: Vec<Value> = operation
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    if !parameters.is_empty() {
        described["parameters"] = json!(parameters);
    }
    if !operation.fields.is_empty() {
        let properties: Map<String, Value> =
            operation.fields.iter().map(|field| (field.name.to_owned(), schema(field))).collect();
        let required: Vec<&str> =
            operation.fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        let schema =
            json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
        described["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if operation.path == crate::guard::OPEN {
        described["security"] = json!([]);
    }
    described
}

fn schema(field: &Field) -> Value {
    let kinds: Vec<&str> = field.kind.split('|').collect();
    json!({"type": if kinds.len() == 1 { json!(kinds[0]) } else { json!(kinds) }, "description": field.meaning})
}

async fn page(State(app): State<Arc<App>>) -> Response {
    let mut html = String::from(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>gptneo: the server's API</title><link rel=\"stylesheet\" href=\"/docs/style.css\"></head><body><main>\
         <h1>The server's API</h1><p>The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>",
    );
    let mut group = "";
    // Writing into a string cannot fail. Everything in the table is our own text.
    for operation in OPERATIONS {
        if operation.group != group {
            group = operation.group;
            let _ = write!(html, "<h2>{group}</h2>");
        }
        let Operation { method, path, summary, answer, fields, .. } = operation;
        let _ = write!(html, "<section><h3><code>{method} {path}</code></h3><p>{summary}. {answer}.</p>");
        if !fields.is_empty() {
            html.push_str("<table><thead><tr><th scope=\"col\">field</th><th scope=\"col\">type</th><th scope=\"col\">meaning</th></tr></thead><tbody>");
            for Field { name, kind, required, meaning } in *fields {
                let must = if *required { " (required)" } else { "" };
                let kind = kind.replace('|', " or ");
                let _ = write!(html, "<tr><td><code>{name}</code></td><td>{kind}{must}</td><td>{meaning}</td></tr>");
            }
            html.push_str("</tbody></table>");
        }
        html.push_str("</section>");
    }
    let _ = write!(html, "<footer>gptneo {}</footer></main></body></html>", app.version);
    ([(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], html).into_response()
}

async fn style() -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("text/css"))], include_str!("openapi/style.css")).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_is_described_twice_and_kinds_are_those_of_json() {
        let mut seen = BTreeSet::new();
        for operation in OPERATIONS {
            assert!(seen.insert((operation.method, operation.path)), "{} {}", operation.method, operation.path);
            let mut fields = BTreeSet::new();
            for field in operation.fields {
                assert!(fields.insert(field.name), "{} {}", operation.path, field.name);
                for kind in field.kind.split('|') {
                    assert!(["string", "integer", "number", "boolean", "array", "object"].contains(&kind), "{kind}");
                }
                assert!(!field.meaning.contains(['<', '&']));
            }
        }
    }
}
