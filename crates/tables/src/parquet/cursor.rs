//! A column, at some place of some page.

use crate::flaw::{Flaw, Said, damaged};
use crate::limits::Budget;
use crate::parquet::decode::Scalar;
use crate::parquet::footer::Chunk;
use crate::parquet::page::{Page, Pages};
use crate::parquet::schema::Leaf;
use crate::parquet::source::Source;

/// Where a column of a group is being read.
pub(crate) struct Cursor<S> {
    pages: Pages<S>,
    pub(crate) leaf: Leaf,
    page: Option<Page>,
    place: usize,
    value: usize,
}

impl<S: Source> Cursor<S> {
    pub(crate) fn new(source: S, chunk: &Chunk, leaf: Leaf) -> Self {
        Self { pages: Pages::new(source, chunk, leaf), leaf, page: None, place: 0, value: 0 }
    }

    /// The list that the next place goes on with, and how deep it is defined; `None` after the last.
    pub(crate) fn peek(&mut self, budget: &mut Budget<'_>) -> Said<Option<(u16, u16)>> {
        if self.page.as_ref().is_none_or(|page| self.place >= page.len) {
            self.page = self.pages.next_page(budget)?;
            (self.place, self.value) = (0, 0);
        }
        Ok(self.page.as_ref().map(|page| {
            let level = |levels: &[u32], all: u16| levels.get(self.place).map_or(all, |&level| level as u16);
            (level(&page.repeats, 0), level(&page.defined, self.leaf.defined))
        }))
    }

    /// The value at the next place, which has one.
    pub(crate) fn scalar(&mut self, budget: &mut Budget<'_>) -> Said<Scalar<'_>> {
        match self.peek(budget)? {
            Some((_, defined)) if defined == self.leaf.defined => {}
            _ => return Err(disagree()),
        }
        let page = self.page.as_ref().ok_or_else(disagree)?;
        let scalar = page.values.at(self.value).ok_or_else(|| damaged("its dictionary is too short"))?;
        self.place += 1;
        self.value += 1;
        Ok(scalar)
    }

    /// Passes over the next place, which has no value.
    pub(crate) fn skip(&mut self) {
        self.place += 1;
    }
}

pub(crate) fn disagree() -> Flaw {
    damaged("its columns disagree on where lists and objects begin and end")
}
