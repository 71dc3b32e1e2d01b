//! Names of columns.

use std::collections::HashSet;

/// The first name that comes a second time. Files may have any number of them.
pub fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    let mut names = names;
    names.find(|name| !seen.insert(*name))
}
