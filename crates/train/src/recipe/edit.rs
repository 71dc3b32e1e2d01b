//! Overrides from the command line: `optimizer.lr=1e-4` changes one value of a recipe before it is read.

use toml::{Table, Value};

use super::RecipeError;

/// Sets `a.b = value` in the table. The value is TOML, or text where it is none (`name=trial` needs no quotes).
pub(super) fn set(table: &mut Table, assignment: &str) -> Result<(), RecipeError> {
    let bad = |why: &str| RecipeError::Override { text: assignment.to_owned(), why: why.to_owned() };
    let (path, value) = assignment.split_once('=').ok_or_else(|| bad("it has no `=`"))?;
    let value = parse(value.trim());
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().filter(|key| !key.is_empty()).ok_or_else(|| bad("it names no field"))?;
    let mut at = table;
    for key in keys {
        if key.is_empty() {
            return Err(bad("it names no field"));
        }
        let inner = at.entry(key).or_insert_with(|| Value::Table(Table::new()));
        at = inner.as_table_mut().ok_or_else(|| bad(&format!("`{key}` is no table in the recipe")))?;
    }
    at.insert(last.to_owned(), value);
    Ok(())
}

fn parse(text: &str) -> Value {
    let wrapped: Result<Table, _> = format!("value = {text}").parse();
    match wrapped {
        Ok(mut table) if table.len() == 1 => table.remove("value").unwrap_or_else(|| Value::String(text.to_owned())),
        _ => Value::String(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(recipe: &str, assignment: &str) -> Result<String, RecipeError> {
        let mut table: Table = recipe.parse().unwrap();
        set(&mut table, assignment)?;
        Ok(table.to_string())
    }

    #[test]
    fn replaces_and_adds_values() {
        assert_eq!(after("[a]\nb = 1\n", "a.b=2.5").unwrap(), "[a]\nb = 2.5\n");
        assert_eq!(after("", "a.b=true").unwrap(), "[a]\nb = true\n");
        assert_eq!(after("", "name=first trial").unwrap(), "name = \"first trial\"\n");
        assert_eq!(after("", "name=\"1\"").unwrap(), "name = \"1\"\n");
        assert_eq!(after("", "list=[1, 2]").unwrap(), "list = [1, 2]\n");
    }

    #[test]
    fn a_value_cannot_bring_more_fields() {
        let mut table = Table::new();
        set(&mut table, "a=1\nb=2").unwrap();
        assert_eq!(table.len(), 1);
        assert_eq!(table["a"].as_str(), Some("1\nb=2"));
    }

    #[test]
    fn nonsense_is_refused() {
        for wrong in ["lr", "=1", "a..b=1", "a.=1", "name.x=1"] {
            assert!(matches!(after("name = \"x\"", wrong), Err(RecipeError::Override { .. })), "{wrong}");
        }
    }
}
