//! One table of a recipe, read key by key: what nobody asked for is refused, with the nearest known name.

use toml::{Table, Value};

use super::RecipeError;

/// A table under reading. Every key must be asked for before [`Section::finish`].
#[derive(Debug)]
pub(crate) struct Section<'a> {
    /// `optimizer`, or empty at the top.
    path: String,
    table: Option<&'a Table>,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The whole recipe.
    pub(crate) fn top(table: &'a Table) -> Self {
        Self { path: String::new(), table: Some(table), known: Vec::new() }
    }

    /// One of an array of tables.
    pub(crate) fn of(path: String, value: &'a Value) -> Result<Self, RecipeError> {
        let table = value.as_table().ok_or_else(|| wrong(&path, "a table", value))?;
        Ok(Self { path, table: Some(table), known: Vec::new() })
    }

    /// The table `key`, or an empty one where it is absent.
    pub(crate) fn section(&mut self, key: &'static str) -> Result<Section<'a>, RecipeError> {
        let path = self.path_of(key);
        let table = match self.raw(key) {
            None => None,
            Some(value) => Some(value.as_table().ok_or_else(|| wrong(&path, "a table", value))?),
        };
        Ok(Section { path, table, known: Vec::new() })
    }

    /// The value of `key`, if it is there.
    pub(crate) fn optional<T: FromToml>(&mut self, key: &'static str) -> Result<Option<T>, RecipeError> {
        match self.raw(key) {
            None => Ok(None),
            Some(value) => T::read(value).map(Some).ok_or_else(|| wrong(&self.path_of(key), T::WANTED, value)),
        }
    }

    /// The value of `key`, or `default`.
    pub(crate) fn or<T: FromToml>(&mut self, key: &'static str, default: T) -> Result<T, RecipeError> {
        Ok(self.optional(key)?.unwrap_or(default))
    }

    /// The value of `key`.
    pub(crate) fn required<T: FromToml>(&mut self, key: &'static str) -> Result<T, RecipeError> {
        self.optional(key)?.ok_or_else(|| RecipeError::Missing { field: self.path_of(key), wanted: T::WANTED })
    }

    /// A number within `range`, or `default`.
    pub(crate) fn number(
        &mut self,
        key: &'static str,
        default: f64,
        range: impl std::ops::RangeBounds<f64>,
        words: &'static str,
    ) -> Result<f64, RecipeError> {
        let value = self.or(key, default)?;
        if value.is_finite() && range.contains(&value) {
            return Ok(value);
        }
        Err(RecipeError::OutOfRange { field: self.path_of(key), found: value.to_string(), wanted: words.to_owned() })
    }

    /// A whole number of at least `least`, or `default`.
    pub(crate) fn count(&mut self, key: &'static str, default: u64, least: u64) -> Result<u64, RecipeError> {
        let value = self.or(key, default)?;
        if value >= least {
            return Ok(value);
        }
        Err(RecipeError::OutOfRange {
            field: self.path_of(key),
            found: value.to_string(),
            wanted: format!("{least} or more"),
        })
    }

    /// One of several names, or `default`.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        names: &[(&'static str, T)],
    ) -> Result<T, RecipeError> {
        let Some(name) = self.optional::<String>(key)? else { return Ok(default) };
        names.iter().find(|(known, _)| *known == name).map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            RecipeError::OutOfRange {
                field: self.path_of(key),
                found: format!("\"{name}\""),
                wanted: format!("one of {}", names.join(", ")),
            }
        })
    }

    /// Whether `key` is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// The value of `key` as it stands.
    pub(crate) fn raw(&mut self, key: &'static str) -> Option<&'a Value> {
        self.known.push(key);
        self.table.and_then(|table| table.get(key))
    }

    /// The full name of one of this table's keys.
    pub(crate) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Refuses keys that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), RecipeError> {
        let Some(table) = self.table else { return Ok(()) };
        let unknown = table.keys().find(|key| !self.known.contains(&key.as_str()));
        let Some(key) = unknown else { return Ok(()) };
        let nearest = self.known.iter().min_by_key(|known| distance(known, key)).copied();
        let nearest = nearest.filter(|known| distance(known, key) <= known.len().max(key.len()) / 2);
        Err(RecipeError::UnknownField {
            field: self.path_of(key),
            nearest: nearest.map(|name| self.path_of(name)),
            known: self.known.join(", "),
        })
    }
}

fn wrong(field: &str, wanted: &'static str, found: &Value) -> RecipeError {
    RecipeError::WrongType { field: field.to_owned(), wanted, found: found.to_string() }
}

/// Values that a recipe may hold.
pub(crate) trait FromToml: Sized {
    /// What is wanted, for people.
    const WANTED: &'static str;
    /// Reads it, if it is of this kind.
    fn read(value: &Value) -> Option<Self>;
}

impl FromToml for String {
    const WANTED: &'static str = "text in quotes";
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl FromToml for bool {
    const WANTED: &'static str = "true or false";
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl FromToml for f64 {
    const WANTED: &'static str = "a number";
    fn read(value: &Value) -> Option<Self> {
        // A whole number is a number too; those of a recipe are far below 2^53.
        value.as_float().or_else(|| value.as_integer().map(|whole| whole as f64))
    }
}

impl FromToml for u64 {
    const WANTED: &'static str = "a whole number, not negative";
    fn read(value: &Value) -> Option<Self> {
        value.as_integer().and_then(|whole| u64::try_from(whole).ok())
    }
}

impl FromToml for Vec<String> {
    const WANTED: &'static str = "a list of texts";
    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::String(one) => Some(vec![one.clone()]),
            Value::Array(list) => list.iter().map(String::read).collect(),
            _ => None,
        }
    }
}

/// Edits (insert, delete, replace) that make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits() {
        assert_eq!(distance("warmup", "warm_up"), 1);
        assert_eq!(distance("lr", "rl"), 2);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }
}
