//! Where a task's data are, of its YAML: a set at a hub, or files that the definition names as the `datasets` library's own builders
//! (`json`, `csv`, `parquet`, `arrow`, `text`) take them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::read::{Fields, Read};
use super::yaml::Node;
use crate::data::{Dataset, Format, Named, Reading};

/// The names under which files are read, in place of a set at a hub.
const BUILDERS: [(&str, Format); 5] = [
    ("json", Format::Json),
    ("csv", Format::Csv),
    ("parquet", Format::Parquet),
    ("arrow", Format::Arrow),
    ("text", Format::Text),
];

/// The split of files for which none is named.
const ONLY_SPLIT: &str = "train";

pub(super) fn dataset(fields: &Fields<'_>) -> Read<Dataset> {
    let mut found = Map::new();
    for name in ["dataset_path", "dataset_name", "revision", "local"] {
        if let Some(node) = fields.find(name) {
            found.insert(name.to_owned(), node.json()?);
        }
    }
    let given = fields.find("dataset_kwargs");
    let fault = |why: String| given.map_or(fields.fault(&why), |node| node.fault(why.clone()));
    let kwargs = match given.map(Node::json).transpose()? {
        None => Map::new(),
        Some(Value::Object(kwargs)) => kwargs,
        Some(_) => return Err(fault("`dataset_kwargs` is a mapping".to_owned())),
    };
    if let Some(revision) = kwargs.get("revision") {
        found.insert("revision".to_owned(), revision.clone());
    }
    let builder = match found.get("dataset_path") {
        Some(Value::String(path)) => BUILDERS.into_iter().find(|(name, _)| name == path),
        _ => None,
    };
    for name in kwargs.keys() {
        match name.as_str() {
            // The last three change how the harness's library loads it, and no document.
            "revision" | "trust_remote_code" | "streaming" | "num_proc" => {}
            "data_files" | "data_dir" | "field" | "sep" | "delimiter" if builder.is_some() => {}
            "data_files" | "data_dir" => {
                return Err(fault(format!(
                    "`{name}` is followed where `dataset_path` is {}; a set at a hub is found by its splits' names",
                    BUILDERS.map(|(name, _)| name).join(", ")
                )));
            }
            other => return Err(fault(format!("`dataset_kwargs` has `{other}`, which is not known"))),
        }
    }
    let mut dataset: Dataset = serde_json::from_value(Value::Object(found)).map_err(|error| {
        let node = fields.find("local").or(fields.find("dataset_path"));
        let why = format!("the data set is not described: {error}");
        node.map_or(fields.fault(&why), |node| node.fault(why.clone()))
    })?;
    if let Some((name, format)) = builder {
        dataset.named = Some(named(name, format, &kwargs).map_err(fault)?);
    }
    Ok(dataset)
}

fn named(builder: &str, format: Format, kwargs: &Map<String, Value>) -> Result<Named, String> {
    let text = |name: &str| match kwargs.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("`{name}` is a text")),
    };
    let folder = text("data_dir")?;
    let mut splits = BTreeMap::new();
    match kwargs.get("data_files") {
        None | Some(Value::Null) if folder.is_none() => {
            return Err(format!(
                "with `dataset_path: {builder}`, `dataset_kwargs` names the files: `data_files: FILE`, `data_files: {{SPLIT: \
                 FILE}}` or `data_dir: FOLDER`"
            ));
        }
        None | Some(Value::Null) => {}
        Some(Value::Object(given)) if given.is_empty() => return Err("`data_files` is empty".to_owned()),
        Some(Value::Object(given)) => {
            for (split, given) in given {
                splits.insert(split.clone(), files(given)?);
            }
        }
        Some(given) => drop(splits.insert(ONLY_SPLIT.to_owned(), files(given)?)),
    }
    if folder.as_ref().is_some_and(|folder| folder.contains("://")) {
        return Err(remote(folder.as_deref().unwrap_or_default()));
    }
    let at = text("field")?;
    if at.is_some() && format != Format::Json {
        return Err("`field` goes with `dataset_path: json`".to_owned());
    }
    let separator = text("sep")?.or(text("delimiter")?);
    if separator.is_some() && format != Format::Csv {
        return Err("`sep` and `delimiter` go with `dataset_path: csv`".to_owned());
    }
    let said = match separator.as_deref() {
        None => at.is_some().then_some(format),
        Some(",") => Some(Format::Csv),
        Some("\t") => Some(Format::Tsv),
        Some(other) => return Err(format!("columns stand between commas or tabs, not {other:?}")),
    };
    let reading = Reading { format: said, at, ..Reading::default() };
    Ok(Named { splits, folder, base: PathBuf::new(), format, reading })
}

/// A path, or a list of them.
fn files(given: &Value) -> Result<Vec<String>, String> {
    let file = |value: &Value| match value {
        Value::String(path) if path.contains("://") => Err(remote(path)),
        Value::String(path) if !path.is_empty() => Ok(path.clone()),
        _ => Err("`data_files` is a path, a list of paths, or these by split".to_owned()),
    };
    match given {
        Value::Array(items) if !items.is_empty() => items.iter().map(file).collect(),
        other => Ok(vec![file(other)?]),
    }
}

fn remote(path: &str) -> String {
    format!("{path:?} is an address: fetch the file, and name it as it lies here")
}
