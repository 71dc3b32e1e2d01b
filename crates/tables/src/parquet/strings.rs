//! One column of texts, row after row, from the disk.

use std::fs::File;
use std::sync::Arc;

use crate::flaw::{Said, Where, damaged, limit, shown, unsupported};
use crate::limits::{Budget, Limits};
use crate::parquet::cursor::Cursor;
use crate::parquet::decode::Scalar;
use crate::parquet::footer::{Element, Footer, Repetition, RowGroup};
use crate::parquet::schema::{DEEPEST, Leaf, Meaning, Stored};
use crate::parquet::source::Source;
use crate::parquet::{MAGIC, footer_of};

/// Bytes of a footer.
const LONGEST_FOOTER: u64 = 1 << 28;

/// Column names that an error lists.
const LISTED: usize = 20;

/// One column of a file that may be larger than the memory: a page of it is held at a time.
pub struct Strings {
    file: Arc<File>,
    groups: std::vec::IntoIter<RowGroup>,
    /// Which of a group's columns.
    column: usize,
    leaf: Leaf,
    limits: Limits,
    /// The group that is read.
    group: Option<Group>,
    /// Rows that were given or passed over.
    row: u64,
    rows: u64,
}

/// A group of rows, as it is read.
struct Group {
    cursor: Cursor<Arc<File>>,
    left: usize,
}

impl Strings {
    /// Opens a file and finds the column by its name (`a.b` for a field within a group). Limits hold for each page.
    ///
    /// # Errors
    /// What is wrong with the file, or with the column: it is not there, holds other than bytes, or lists.
    pub fn open(file: File, column: &str, limits: Limits) -> Said<Self> {
        let file = Arc::new(file);
        let footer = read_footer(&file)?;
        let (column, leaf) = find(&footer.schema, column)?;
        let rows = footer.rows;
        let groups = footer.groups.into_iter();
        Ok(Self { file, groups, column, leaf, limits, group: None, row: 0, rows })
    }

    /// Rows of the file, as it declares.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows that were given or passed over.
    pub fn row(&self) -> u64 {
        self.row
    }

    /// Passes over groups of rows that end at or before row `past`, counted from 1, without reading them.
    ///
    /// # Errors
    /// If a group that is opened does not have the column.
    pub fn pass(&mut self, past: u64) -> Said<()> {
        while self.group.is_none() {
            let Some(next) = self.groups.as_slice().first() else { return Ok(()) };
            let end = self.row.saturating_add(next.rows as u64);
            if end > past {
                return self.open_group();
            }
            self.groups.next();
            self.row = end;
        }
        Ok(())
    }

    /// The next row's bytes to `take`, or `None` where it has no value. `false` after the last row.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn next(&mut self, take: impl FnOnce(Option<&[u8]>)) -> Said<bool> {
        let row = Where::Row(usize::try_from(self.row.saturating_add(1)).unwrap_or(usize::MAX));
        self.step(take).map_err(|flaw| flaw.at(row))
    }

    fn step(&mut self, take: impl FnOnce(Option<&[u8]>)) -> Said<bool> {
        let group = loop {
            match &mut self.group {
                Some(group) if group.left > 0 => break group,
                Some(group) => {
                    if group.cursor.peek(&mut Budget::new(&self.limits))?.is_some() {
                        return Err(damaged("its column has more values than there are rows"));
                    }
                    self.group = None;
                }
                None if self.groups.len() > 0 => self.open_group()?,
                None if self.row == self.rows => return Ok(false),
                None => {
                    let (found, declared) = (self.row, self.rows);
                    return Err(damaged(format!("it has {found} rows and declares {declared}")));
                }
            }
        };
        let mut budget = Budget::new(&self.limits);
        match group.cursor.peek(&mut budget)? {
            None => return Err(damaged("its column has fewer values than there are rows")),
            Some((_, defined)) if defined == self.leaf.defined => {
                let Scalar::Bytes(text) = group.cursor.scalar(&mut budget)? else {
                    return Err(damaged("its column has no strings"));
                };
                let most = self.limits.text_bytes;
                if text.len() > most {
                    return Err(limit(format!("a text of {} bytes; {most} are allowed", text.len())));
                }
                take(Some(text));
            }
            Some(_) => {
                group.cursor.skip();
                take(None);
            }
        }
        group.left -= 1;
        self.row += 1;
        Ok(true)
    }

    fn open_group(&mut self) -> Said<()> {
        let Some(group) = self.groups.next() else { return Ok(()) };
        let chunk = group.chunks.get(self.column);
        let chunk = chunk.ok_or_else(|| damaged("a group of rows has fewer columns than the table"))?;
        let cursor = Cursor::new(Arc::clone(&self.file), chunk, self.leaf);
        self.group = Some(Group { cursor, left: group.rows });
        Ok(())
    }
}

/// The footer alone: its length stands before the mark at the end.
fn read_footer(file: &Arc<File>) -> Said<Footer> {
    let length = file.metadata().map_or(0, |about| about.len());
    let mark = MAGIC.len() as u64;
    let end = file.bytes(length.saturating_sub(2 * mark), 2 * MAGIC.len())?;
    let declared = end.first_chunk::<4>().map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)));
    if declared > LONGEST_FOOTER {
        return Err(limit(format!("a footer of {declared} bytes; those of up to {LONGEST_FOOTER} are read")));
    }
    let wanted = declared.saturating_add(2 * mark);
    let tail = file.bytes(length.saturating_sub(wanted), usize::try_from(wanted).unwrap_or(usize::MAX))?;
    // As if nothing lay between the first mark and the footer.
    let bytes = [file.bytes(0, MAGIC.len())?.as_ref(), tail.as_ref()].concat();
    Footer::read(footer_of(&bytes)?)
}

/// A group whose parts are being walked through.
struct Walked {
    left: usize,
    /// Bytes of the path without its name.
    path: usize,
    defined: u16,
    listed: bool,
}

/// The place of a column among all that hold values, and how its values lie. Others may be of kinds that are not read.
fn find(schema: &[Element], column: &str) -> Said<(usize, Leaf)> {
    let mut elements = schema.iter();
    let root = elements.next().ok_or_else(|| damaged("it describes no columns"))?;
    let mut stack = vec![Walked { left: root.children, path: 0, defined: 0, listed: false }];
    let (mut path, mut names, mut leaves) = (String::new(), Vec::new(), 0);
    while let Some(above) = stack.last_mut() {
        path.truncate(above.path);
        if above.left == 0 {
            stack.pop();
            continue;
        }
        above.left -= 1;
        let element = elements.next().ok_or_else(|| damaged("it describes fewer columns than it has"))?;
        let defined = above.defined.saturating_add(u16::from(element.repetition != Repetition::Required));
        let listed = above.listed || element.repetition == Repetition::Repeated;
        let before = path.len();
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(shown(&element.name));
        if element.children > 0 {
            if stack.len() > DEEPEST {
                return Err(unsupported(format!("its columns lie more than {DEEPEST} deep")));
            }
            stack.push(Walked { left: element.children, path: path.len(), defined, listed });
            continue;
        }
        if path == column {
            // The numbers of `Type`: BYTE_ARRAY.
            if element.physical != Some(6) || listed {
                return Err(unsupported(format!("its column {column:?} has no strings, or lists of them")));
            }
            let leaf = Leaf { stored: Stored::Bytes, meaning: Meaning::AsStored, defined, repeats: 0 };
            return Ok((leaves, leaf));
        }
        leaves += 1;
        if names.len() <= LISTED {
            names.push(path.clone());
        }
        path.truncate(before);
    }
    let more = if names.len() > LISTED { ", …" } else { "" };
    names.truncate(LISTED);
    Err(unsupported(format!("it has no column {column:?}; it has {}{more}", names.join(", "))))
}
