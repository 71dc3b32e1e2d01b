//! The directory of a zip archive whose entries are stored as they are.
//!
//! Central directory and local headers must tell the same story, entries lie apart from each other and before the
//! directory, and nothing is compressed, encrypted or linked: an archive that two readers could understand in two
//! ways is refused. Zip64 is read. Check sums are not compared (that would read every weight).

use std::collections::HashSet;
use std::io::{Read, Seek};

use crate::error::{Fault, printable};
use crate::source::Source;

/// Most entries; a checkpoint has one for each tensor and a few more.
const MAX_ENTRIES: u64 = 1 << 16;

/// Longest directory, in bytes.
const MAX_DIRECTORY_BYTES: u64 = 32 << 20;

const END_BYTES: u64 = 22;
const END_64_BYTES: u64 = 56;
const LOCATOR_BYTES: u64 = 20;
const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: u64 = 30;

/// Bits of the flags: sizes stand after the data; names are UTF-8.
const SIZES_FOLLOW: u16 = 1 << 3;
const UTF_8: u16 = 1 << 11;

/// One file in the archive.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: String,
    /// First byte in the archive.
    pub(super) offset: u64,
    pub(super) len: u64,
}

/// The entries of an archive, in the order of their bytes.
pub(super) fn read<R: Read + Seek>(source: &mut Source<R>) -> Result<Vec<Entry>, Fault> {
    let end = end(source)?;
    if end.entries > MAX_ENTRIES {
        return Err(Fault::structure("zip archive", format_args!("at most {MAX_ENTRIES} entries"), end.entries));
    }
    if end.directory_bytes > MAX_DIRECTORY_BYTES {
        let wanted = format_args!("at most {MAX_DIRECTORY_BYTES} bytes").to_string();
        return Err(Fault::structure("zip directory", wanted, end.directory_bytes));
    }
    if end.directory_start.checked_add(end.directory_bytes) != Some(end.directory_end) {
        let found = format_args!("{} bytes at {}", end.directory_bytes, end.directory_start).to_string();
        return Err(Fault::structure("zip directory", format_args!("an end at byte {}", end.directory_end), found));
    }
    let directory = source.read_at(end.directory_start, end.directory_bytes, "zip directory")?;
    let mut records = Vec::with_capacity((end.entries as usize).min(directory.len() / CENTRAL_BYTES));
    let mut rest = directory.as_slice();
    for _ in 0..end.entries {
        records.push(Record::parse(&mut rest)?);
    }
    if !rest.is_empty() {
        return Err(Fault::structure("zip directory", format_args!("{} entries", end.entries), "more bytes"));
    }
    records.sort_unstable_by_key(|record| record.start);
    let mut names = HashSet::with_capacity(records.len());
    let mut entries = Vec::with_capacity(records.len());
    for (i, record) in records.iter().enumerate() {
        let limit = records.get(i + 1).map_or(end.directory_start, |next| next.start);
        if !names.insert(record.name) {
            return Err(entry_fault(record.name, "one entry of this name", "two"));
        }
        entries.push(record.locate(source, limit)?);
    }
    Ok(entries)
}

fn entry_fault(name: &str, wanted: impl std::fmt::Display, found: impl std::fmt::Display) -> Fault {
    Fault::structure(format_args!("zip entry `{}`", printable(name)), wanted, found)
}

/// What the end of the archive says of its directory.
struct End {
    entries: u64,
    directory_bytes: u64,
    directory_start: u64,
    /// Where the first record after the directory starts.
    directory_end: u64,
}

fn end<R: Read + Seek>(source: &mut Source<R>) -> Result<End, Fault> {
    let tail_bytes = source.len().min(END_BYTES + u64::from(u16::MAX));
    let tail_start = source.len() - tail_bytes;
    let tail = source.read_at(tail_start, tail_bytes, "zip archive")?;
    // The record whose comment reaches exactly to the end of the file; the last one, were there several.
    let found = tail.windows(END_BYTES as usize).enumerate().rev().find(|(at, window)| {
        window.starts_with(b"PK\x05\x06") && at + END_BYTES as usize + usize::from(u16_at(window, 20)) == tail.len()
    });
    let Some((at, record)) = found else {
        return Err(Fault::structure(
            "zip archive",
            "its directory at the end",
            "none: the file is cut off, or no zip",
        ));
    };
    let at = tail_start + at as u64;
    let (disk, directory_disk) = (u16_at(record, 4), u16_at(record, 6));
    let (entries_here, entries) = (u16_at(record, 8), u16_at(record, 10));
    let short = End {
        entries: entries.into(),
        directory_bytes: u32_at(record, 12).into(),
        directory_start: u32_at(record, 16).into(),
        directory_end: at,
    };
    let locator = match at.checked_sub(LOCATOR_BYTES) {
        Some(start) => Some(source.read_at(start, LOCATOR_BYTES, "zip64 locator")?),
        None => None,
    };
    match locator {
        Some(locator) if locator.starts_with(b"PK\x06\x07") => end_64(source, at - LOCATOR_BYTES, &locator, &short),
        _ if disk != 0 || directory_disk != 0 || entries_here != entries => {
            Err(Fault::structure("zip archive", "one part", "one of several"))
        }
        _ => Ok(short),
    }
}

/// The zip64 record, which overrides what the short one cannot hold and agrees with the rest.
fn end_64<R: Read + Seek>(source: &mut Source<R>, at: u64, locator: &[u8], short: &End) -> Result<End, Fault> {
    let start = u64_at(locator, 8);
    if start.checked_add(END_64_BYTES) != Some(at) {
        return Err(Fault::structure(
            "zip64 record",
            format_args!("an end at byte {at}"),
            format_args!("a start at {start}"),
        ));
    }
    let record = source.read_at(start, END_64_BYTES, "zip64 record")?;
    if !record.starts_with(b"PK\x06\x06") || u64_at(&record, 4) != END_64_BYTES - 12 {
        return Err(Fault::structure("zip64 record", "its signature and length", "others"));
    }
    let long = End {
        entries: u64_at(&record, 32),
        directory_bytes: u64_at(&record, 40),
        directory_start: u64_at(&record, 48),
        directory_end: start,
    };
    if u32_at(&record, 16) != 0 || u32_at(&record, 20) != 0 || u64_at(&record, 24) != long.entries {
        return Err(Fault::structure("zip archive", "one part", "one of several"));
    }
    let agree = |short: u64, long: u64, unset: u64| short == long || short == unset;
    if agree(short.entries, long.entries, u16::MAX.into())
        && agree(short.directory_bytes, long.directory_bytes, u32::MAX.into())
        && agree(short.directory_start, long.directory_start, u32::MAX.into())
    {
        Ok(long)
    } else {
        Err(Fault::structure("zip archive", "one directory", "two records that disagree"))
    }
}

/// One entry as the central directory tells it.
struct Record<'a> {
    name: &'a str,
    flags: u16,
    crc: u32,
    len: u64,
    /// Start of the local header.
    start: u64,
}

impl<'a> Record<'a> {
    fn parse(rest: &mut &'a [u8]) -> Result<Self, Fault> {
        let short = || Fault::structure("zip directory", "a whole entry", "its end");
        let (fixed, after) = rest.split_at_checked(CENTRAL_BYTES).ok_or_else(short)?;
        if !fixed.starts_with(b"PK\x01\x02") {
            return Err(Fault::structure("zip directory", "an entry, `PK\\x01\\x02`", fixed[..4].escape_ascii()));
        }
        let (name, after) = after.split_at_checked(u16_at(fixed, 28).into()).ok_or_else(short)?;
        let (extra, after) = after.split_at_checked(u16_at(fixed, 30).into()).ok_or_else(short)?;
        let (_comment, after) = after.split_at_checked(u16_at(fixed, 32).into()).ok_or_else(short)?;
        *rest = after;

        let name = std::str::from_utf8(name)
            .map_err(|_| entry_fault(&String::from_utf8_lossy(name), "a name in UTF-8", "other bytes"))?;
        check_name(name)?;
        let flags = u16_at(fixed, 8);
        check_storage(name, flags, u16_at(fixed, 10))?;
        let unix_mode = u32_at(fixed, 38) >> 16;
        if unix_mode & 0o170_000 == 0o120_000 {
            return Err(entry_fault(name, "a plain file", "a symbolic link"));
        }
        let mut long = Zip64::find(name, extra)?;
        let len = long.replace(u32_at(fixed, 24))?;
        let stored = long.replace(u32_at(fixed, 20))?;
        let start = long.replace(u32_at(fixed, 42))?;
        if stored != len {
            return Err(entry_fault(name, format_args!("{len} bytes, stored as they are"), stored));
        }
        if u16_at(fixed, 34) != 0 {
            return Err(entry_fault(name, "an archive in one part", "one of several"));
        }
        Ok(Self { name, flags, crc: u32_at(fixed, 16), len, start })
    }

    /// Holds the entry against its local header; its last byte must lie before `limit`.
    fn locate<R: Read + Seek>(&self, source: &mut Source<R>, limit: u64) -> Result<Entry, Fault> {
        let Self { name, flags, crc, len, start } = *self;
        let overlap =
            |end: u64| entry_fault(name, format_args!("an end before byte {limit}, where the next part starts"), end);
        let fixed = source.read_at(start, LOCAL_BYTES, "local header of a zip entry")?;
        if !fixed.starts_with(b"PK\x03\x04") {
            return Err(entry_fault(name, "a local header, `PK\\x03\\x04`", fixed[..4].escape_ascii()));
        }
        let (name_bytes, extra_bytes) = (u64::from(u16_at(&fixed, 26)), u64::from(u16_at(&fixed, 28)));
        let variable = source.read_at(start + LOCAL_BYTES, name_bytes + extra_bytes, "local header of a zip entry")?;
        let (local_name, extra) = variable.split_at(name_bytes as usize);
        if local_name != name.as_bytes() {
            return Err(entry_fault(name, "the same name in its local header", local_name.escape_ascii()));
        }
        let local_flags = u16_at(&fixed, 6);
        check_storage(name, local_flags, u16_at(&fixed, 8))?;
        if local_flags != flags {
            return Err(entry_fault(
                name,
                format_args!("flags {flags:#x} in its local header"),
                format_args!("{local_flags:#x}"),
            ));
        }
        let mut long = Zip64::find(name, extra)?;
        let sizes = (long.replace(u32_at(&fixed, 22))?, long.replace(u32_at(&fixed, 18))?);
        let follow = flags & SIZES_FOLLOW != 0;
        if sizes != (len, len) && !(follow && sizes == (0, 0)) {
            let found = format_args!("{} and {}", sizes.0, sizes.1).to_string();
            return Err(entry_fault(name, format_args!("{len} bytes in its local header"), found));
        }
        let offset = start + LOCAL_BYTES + name_bytes + extra_bytes;
        let end =
            offset.checked_add(len).filter(|&end| end <= limit).ok_or_else(|| overlap(offset.saturating_add(len)))?;
        if follow {
            check_descriptor(source, name, end, limit, crc, len)?;
        }
        Ok(Entry { name: name.to_owned(), offset, len })
    }
}

/// The sizes that follow the data of an entry: `PK\x07\x08`, check sum, and two lengths of 4 or 8 bytes.
fn check_descriptor<R: Read + Seek>(
    source: &mut Source<R>,
    name: &str,
    end: u64,
    limit: u64,
    crc: u32,
    len: u64,
) -> Result<(), Fault> {
    let bytes = source.read_at(end, limit.saturating_sub(end).min(24), "sizes after a zip entry")?;
    let mut head = b"PK\x07\x08".to_vec();
    head.extend_from_slice(&crc.to_le_bytes());
    let long = len.to_le_bytes().repeat(2);
    let short = u32::try_from(len).ok().map(|len| len.to_le_bytes().repeat(2));
    let agrees = bytes
        .strip_prefix(head.as_slice())
        .is_some_and(|sizes| sizes.starts_with(&long) || short.is_some_and(|short| sizes.starts_with(&short)));
    if agrees { Ok(()) } else { Err(entry_fault(name, format_args!("{len} bytes in the record after it"), "another")) }
}

/// The 64-bit sizes of an entry: those that the short fields leave out, in order.
struct Zip64<'a> {
    name: &'a str,
    values: &'a [u8],
}

impl<'a> Zip64<'a> {
    fn find(name: &'a str, mut extra: &'a [u8]) -> Result<Self, Fault> {
        let mut values: &[u8] = &[];
        while let Some((head, rest)) = extra.split_first_chunk::<4>() {
            let (data, rest) = rest
                .split_at_checked(u16_at(head, 2).into())
                .ok_or_else(|| entry_fault(name, "extra fields within their header", "one that is longer"))?;
            if u16_at(head, 0) == 1 {
                if !values.is_empty() {
                    return Err(entry_fault(name, "one zip64 field", "two"));
                }
                values = data;
            }
            extra = rest;
        }
        Ok(Self { name, values })
    }

    fn replace(&mut self, short: u32) -> Result<u64, Fault> {
        if short != u32::MAX {
            return Ok(short.into());
        }
        let (value, rest) = self
            .values
            .split_first_chunk()
            .ok_or_else(|| entry_fault(self.name, "its length in a zip64 field", "none"))?;
        self.values = rest;
        Ok(u64::from_le_bytes(*value))
    }
}

fn check_name(name: &str) -> Result<(), Fault> {
    let sane = !name.is_empty()
        && !name.contains(|c: char| c == '\\' || c == ':' || c.is_control())
        && name.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if sane { Ok(()) } else { Err(entry_fault(name, "a relative name without `..`", "another")) }
}

fn check_storage(name: &str, flags: u16, method: u16) -> Result<(), Fault> {
    if method != 0 {
        // TorchScript archives have such entries.
        let found = format_args!("compression method {method}: save the state dict alone with torch.save").to_string();
        return Err(entry_fault(name, "method 0, stored as it is", found));
    }
    if flags & !(SIZES_FOLLOW | UTF_8) != 0 {
        return Err(entry_fault(name, "no encryption or patches", format_args!("flags {flags:#x}")));
    }
    Ok(())
}

// The callers have read at least as many bytes as they index.

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |&chunk| u16::from_le_bytes(chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |&chunk| u32::from_le_bytes(chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |&chunk| u64::from_le_bytes(chunk))
}
