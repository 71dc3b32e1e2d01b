//! Examples of a task's YAML.

use serde_json::Value;

use super::read::{Fields, Read};
use super::yaml::{Content, Node};
use super::{Examples, Sampler};
use crate::document::Document;

/// How a task's examples are chosen and written.
pub(super) fn examples(fields: &Fields<'_>) -> Read<Examples> {
    let empty = Node { line: fields.line(), content: Content::Map(Vec::new()) };
    let config = Fields::new(fields.find("fewshot_config").unwrap_or(&empty))?;
    config.only(&[
        "sampler",
        "split",
        "samples",
        "process_docs",
        "doc_to_text",
        "doc_to_target",
        "doc_to_choice",
        "target_delimiter",
        "fewshot_delimiter",
        "gen_prefix",
        "fewshot_indices",
    ])?;
    if let Some(node) = config.find("fewshot_indices") {
        return Err(node.fault("`fewshot_indices` is not supported: list the examples as `samples`"));
    }
    let sampler = match config.text("sampler")?.as_deref() {
        None | Some("default") => Sampler::Random,
        Some("first_n") => Sampler::FirstN,
        Some(other) => {
            let node = config.wanted("sampler")?;
            return Err(node.fault(format!("`sampler` is default or first_n, found `{other}`")));
        }
    };
    let samples = match config.find("samples") {
        None => None,
        Some(node) => match &node.content {
            Content::List(items) => Some(items.iter().map(document).collect::<Read<_>>()?),
            _ => return Err(node.fault("`samples` is a list of examples")),
        },
    };
    Ok(Examples {
        sampler,
        split: config.text("split")?.or(fields.text("fewshot_split")?),
        samples,
        process_docs: config.documents_function("process_docs")?.or(fields.documents_function("process_docs")?),
        doc_to_text: config.field("doc_to_text")?,
        doc_to_target: config.field("doc_to_target")?,
        doc_to_choice: config.field("doc_to_choice")?,
        target_delimiter: config.text("target_delimiter")?,
        fewshot_delimiter: config.text("fewshot_delimiter")?,
    })
}

fn document(node: &Node) -> Read<Document> {
    match node.json()? {
        Value::Object(document) => Ok(document),
        _ => Err(node.fault("an example is a mapping of columns")),
    }
}
