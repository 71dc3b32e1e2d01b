//! What is wrong with some bytes, before it is known which file they are of.

use std::fmt;

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// A line of text.
    Line(usize),
    /// A row of a table.
    Row(usize),
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Where::Line(number) => write!(f, "line {number}"),
            Where::Row(number) => write!(f, "row {number}"),
        }
    }
}

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The bytes are not what they should be.
    Damaged,
    /// They are in order, of a kind that is not read here.
    Unsupported,
    /// They want more than [`Limits`](crate::Limits) allow.
    Limit,
    /// The system refused to read them.
    Read,
}

/// Why bytes could not be read.
#[derive(Debug)]
pub struct Flaw {
    /// Whose fault it is.
    pub cause: Cause,
    /// The line or row, where one can be named.
    pub at: Option<Where>,
    /// What was found.
    pub detail: String,
}

/// The result of reading bytes.
pub type Said<T> = Result<T, Flaw>;

/// The bytes are not what they should be.
pub fn damaged(detail: impl Into<String>) -> Flaw {
    Flaw { cause: Cause::Damaged, at: None, detail: detail.into() }
}

/// They are in order, of a kind that is not read here.
pub fn unsupported(detail: impl Into<String>) -> Flaw {
    Flaw { cause: Cause::Unsupported, at: None, detail: detail.into() }
}

/// They want more than is allowed.
pub fn limit(detail: impl Into<String>) -> Flaw {
    Flaw { cause: Cause::Limit, at: None, detail: detail.into() }
}

impl Flaw {
    /// Adds a place, unless a nearer one is known.
    #[must_use]
    pub fn at(mut self, at: Where) -> Flaw {
        self.at.get_or_insert(at);
        self
    }

    /// Adds the name of a column.
    #[must_use]
    pub fn of_column(mut self, name: &str) -> Flaw {
        self.detail = format!("column {:?}: {}", shown(name), self.detail);
        self
    }
}

/// `text` as an error shows it: what comes from a file may be megabytes long.
pub fn shown(text: &str) -> &str {
    const LONGEST: usize = 80;
    &text[..text.floor_char_boundary(LONGEST)]
}
