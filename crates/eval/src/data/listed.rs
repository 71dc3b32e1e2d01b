//! The rows that another file lists by their names, in its order: a split that its authors publish as a list beside the whole set.

use std::collections::HashMap;

use serde_json::Value;

use crate::data::reading::Row;
use gptneo_tables::shown;

/// Of `rows` those that are in `list`, by the field `key` of both. The error says which is there twice, or missing.
pub(crate) fn chosen(rows: Vec<Row>, list: &[Row], key: &str) -> Result<Vec<Row>, String> {
    let name = |row: &Row| match row.get(key) {
        Some(Value::String(name)) => Ok(name.clone()),
        Some(other) => Ok(other.to_string()),
        None => Err(format!("a row has no field {:?}", shown(key))),
    };
    let mut named = HashMap::with_capacity(rows.len());
    for row in rows {
        let name = name(&row)?;
        if named.insert(name.clone(), row).is_some() {
            return Err(format!("{:?} stands twice in the set", shown(&name)));
        }
    }
    let mut found = Vec::with_capacity(list.len());
    for listed in list {
        let name = name(listed)?;
        let row = named.remove(&name);
        found.push(row.ok_or_else(|| format!("it lists {:?} twice, or the set does not have it", shown(&name)))?);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(names: &[&str]) -> Vec<Row> {
        names.iter().map(|name| json!({"id": name}).as_object().unwrap().clone()).collect()
    }

    #[test]
    fn the_list_says_which_and_in_what_order() {
        assert_eq!(chosen(rows(&["a", "b", "c"]), &rows(&["c", "a"]), "id").unwrap(), rows(&["c", "a"]));
        for (set, list, why) in [
            (&["a", "a"][..], &["a"][..], "stands twice"),
            (&["a"], &["a", "a"], "twice, or"),
            (&["a"], &["b"], "does not have it"),
        ] {
            let said = chosen(rows(set), &rows(list), "id").unwrap_err();
            assert!(said.contains(why), "{said}");
        }
        assert!(chosen(rows(&["a"]), &rows(&["a"]), "key").unwrap_err().contains("no field"));
    }
}
