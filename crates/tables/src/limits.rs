//! How much a file may ask for.

use crate::flaw::{Said, limit};

/// The most that one split may take. The defaults are several times what the largest sets in use need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file on the disk: 2 GiB.
    pub file_bytes: u64,
    /// Bytes after decompression, and bytes of text in rows: 2 GiB each.
    pub decoded_bytes: u64,
    /// Rows: 10 million.
    pub rows: usize,
    /// Values in rows, counting every element, field and null: 50 million. Parquet's are counted in
    /// its pages too.
    pub values: u64,
    /// Lists and objects within each other: 32.
    pub depth: usize,
    /// Bytes of one text: 64 MiB.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            file_bytes: 2 << 30,
            decoded_bytes: 2 << 30,
            rows: 10_000_000,
            values: 50_000_000,
            depth: 32,
            text_bytes: 64 << 20,
        }
    }
}

/// What is left of the limits while the files of a split are read.
#[derive(Debug)]
pub struct Budget<'a> {
    /// The limits.
    pub limits: &'a Limits,
    unpacked: u64,
    text: u64,
    values: u64,
    rows: usize,
}

impl<'a> Budget<'a> {
    /// All of them.
    pub fn new(limits: &'a Limits) -> Self {
        Budget {
            limits,
            unpacked: limits.decoded_bytes,
            text: limits.decoded_bytes,
            values: limits.values,
            rows: limits.rows,
        }
    }

    /// Bytes that may still come out of a decompressor.
    #[must_use]
    pub fn unpacked_left(&self) -> u64 {
        self.unpacked
    }

    /// `bytes` come out of a decompressor.
    pub fn unpack(&mut self, bytes: u64) -> Said<()> {
        let left = self.unpacked.checked_sub(bytes);
        let wanted = self.limits.decoded_bytes;
        self.unpacked = left.ok_or_else(|| limit(format!("it unpacks to more than {wanted} bytes (decoded_bytes)")))?;
        Ok(())
    }

    /// A text of `bytes` becomes part of a row.
    pub fn text(&mut self, bytes: usize) -> Said<()> {
        let longest = self.limits.text_bytes;
        if bytes > longest {
            return Err(limit(format!("a text of {bytes} bytes; {longest} are allowed (text_bytes)")));
        }
        let wanted = self.limits.decoded_bytes;
        let left = self.text.checked_sub(bytes as u64);
        self.text =
            left.ok_or_else(|| limit(format!("more than {wanted} bytes of text in its rows (decoded_bytes)")))?;
        Ok(())
    }

    /// So many values become part of a row.
    pub fn values(&mut self, count: u64) -> Said<()> {
        let wanted = self.limits.values;
        let left = self.values.checked_sub(count);
        self.values = left.ok_or_else(|| limit(format!("more than {wanted} values in its rows (values)")))?;
        Ok(())
    }

    /// One row more.
    pub fn row(&mut self) -> Said<()> {
        let wanted = self.limits.rows;
        self.rows = self.rows.checked_sub(1).ok_or_else(|| limit(format!("more than {wanted} rows (rows)")))?;
        Ok(())
    }

    /// Whether lists and objects may lie `depth` deep.
    pub fn depth(&self, depth: usize) -> Said<()> {
        let deepest = self.limits.depth;
        if depth > deepest {
            return Err(limit(format!("lists and objects lie more than {deepest} deep in each other (depth)")));
        }
        Ok(())
    }
}
