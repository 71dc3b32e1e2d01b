//! Where a task's data are, as its definition says it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::data::named::Named;
use crate::data::reading::{Format, Reading};

/// A set at a hub, and the places under a data folder where it may lie. The names of the first three fields are those of
/// the evaluation harness's task definitions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Dataset {
    /// `OWNER/NAME` at the hub.
    #[serde(default, rename = "dataset_path")]
    pub path: Option<String>,
    /// The configuration, where the set has several.
    #[serde(default, rename = "dataset_name")]
    pub name: Option<String>,
    /// A branch, a tag or a commit. Without one, the hub's conversion to Parquet may be used too.
    #[serde(default)]
    pub revision: Option<String>,
    /// For each split by its name, the places to look in, the best first.
    #[serde(default)]
    pub local: BTreeMap<String, Vec<Place>>,
    /// Files that are named in place of a set at a hub.
    #[serde(skip)]
    pub named: Option<Named>,
}

/// Files under a data folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// A path under the data folder, with `/` between its parts; `*` and `?` as in a shell. Several files are read in the
    /// order of their names.
    pub files: String,
    /// How to read them.
    pub reading: Reading,
    /// A file beside them that lists the rows of the split by their [`key`](Reading::key): only these, in its order.
    pub listed: Option<String>,
}

impl Place {
    /// Files whose names tell all that there is to know.
    pub fn new(files: impl Into<String>) -> Place {
        Place { files: files.into(), reading: Reading::default(), listed: None }
    }
}

/// A place with its options beside it, so that an option misspelt is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    files: String,
    format: Option<Format>,
    at: Option<String>,
    key: Option<String>,
    columns: Option<Vec<String>>,
    #[serde(default)]
    unquoted: bool,
    #[serde(default)]
    integers: Vec<String>,
    listed: Option<String>,
}

impl<'de> Deserialize<'de> for Place {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let Written { files, format, at, key, columns, unquoted, integers, listed } = Written::deserialize(reader)?;
        if listed.is_some() && key.is_none() {
            return Err(D::Error::custom("`listed` wants a `key`, the field by which rows are listed"));
        }
        Ok(Place { files, reading: Reading { format, at, key, columns, unquoted, integers }, listed })
    }
}

/// `super_glue (copa)`; the folder of the first place, where there is no hub id.
impl fmt::Display for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = || self.local.values().flatten().next().map_or("a set without a name", |place| &place.files);
        f.write_str(self.path.as_deref().unwrap_or_else(place))?;
        self.name.as_ref().map_or(Ok(()), |name| write!(f, " ({name})"))
    }
}
