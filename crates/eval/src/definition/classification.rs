//! What is particular to a task that asks for labels, or for a value: `output_type: classification`.

use super::read::{Fields, Read};
use super::yaml::{Content, Node};
use super::{Output, Task};

/// The names of labels; none where the list is of something else, or there is none.
pub(super) fn labels(fields: &Fields<'_>, output: Output) -> Vec<String> {
    match fields.find("doc_to_choice").map(|node| &node.content) {
        Some(Content::List(items)) if output == Output::Classification => {
            let name = |item: &Node| if let Content::Text(name) = &item.content { Some(name.clone()) } else { None };
            items.iter().map(name).collect::<Option<_>>().unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// What a classification must have, and must not.
pub(super) fn complete(task: &Task, fields: &Fields<'_>) -> Read<()> {
    if task.output != Output::Classification {
        let pair = fields.find("doc_to_pair").map(|node| node.fault("`doc_to_pair` goes with `classification`"));
        return pair.map_or(Ok(()), Err);
    }
    for name in ["description", "gen_prefix", "num_fewshot", "fewshot_config", "fewshot_split"] {
        if let Some(node) = fields.find(name) {
            return Err(
                node.fault(format!("`{name}` has no meaning for a classification: a head reads the text alone"))
            );
        }
    }
    let names = task.labels();
    let distinct = (1..names.len()).all(|at| !names[..at].contains(&names[at]));
    match fields.find("doc_to_choice") {
        Some(node) if names.len() < 2 || !distinct => Err(node.fault(
            "`doc_to_choice` of a classification is the list of its labels in the data's order, two or more; a value has \
             none",
        )),
        _ => Ok(()),
    }
}
