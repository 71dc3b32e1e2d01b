//! One example of a data set.

use serde_json::{Map, Value};

/// Its columns by name.
pub type Document = Map<String, Value>;
