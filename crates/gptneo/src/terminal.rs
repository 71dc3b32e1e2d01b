//! What is written where: results to standard output, everything else to standard error.
//!
//! The only place that prints. Colour is used on a terminal alone, and not when `NO_COLOR` is set.

#![allow(clippy::print_stderr, reason = "the binary's one door to standard error")]

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use gptneo_device::CacheType;
use serde::Serialize;

use crate::failure::Failure;

static COLOUR: OnceLock<bool> = OnceLock::new();
static COLOUR_WANTED: OnceLock<bool> = OnceLock::new();

/// Decides once whether standard error is coloured.
pub(crate) fn set_colour(no_color: bool) {
    let _ = COLOUR_WANTED.set(!no_color);
    let _ = COLOUR.set(!no_color && io::stderr().is_terminal());
}

/// Whether standard output may be coloured.
pub(crate) fn coloured_output() -> bool {
    io::stdout().is_terminal() && COLOUR_WANTED.get().copied().unwrap_or(false)
}

/// Columns and lines of the terminal behind standard output, if it is one.
pub(crate) fn extent() -> Option<(u16, u16)> {
    if io::stdout().is_terminal() { ratatui::crossterm::terminal::size().ok() } else { None }
}

fn styled(code: &str, text: &str) -> String {
    if COLOUR.get().copied().unwrap_or(false) { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
}

/// For the word that a failure begins with.
pub(crate) fn red(text: &str) -> String {
    styled("1;31", text)
}

/// For the word that a warning begins with.
pub(crate) fn yellow(text: &str) -> String {
    styled("1;33", text)
}

/// For what the eye should find first.
pub(crate) fn bold(text: &str) -> String {
    styled("1", text)
}

/// For what can be passed over.
pub(crate) fn dim(text: &str) -> String {
    styled("2", text)
}

/// Whether another process speaks for this one.
static HUSHED: AtomicBool = AtomicBool::new(false);

/// From now on nothing is said on standard error: rank 0 speaks for all.
#[cfg(feature = "mpi")]
pub(crate) fn hush() {
    HUSHED.store(true, Ordering::Relaxed);
}

/// Takes [`hush`] back: there is something that only this process knows.
#[cfg(feature = "mpi")]
pub(crate) fn speak() {
    HUSHED.store(false, Ordering::Relaxed);
}

/// A line on standard error. If that is closed, nobody is there to be told.
pub(crate) fn say(text: &str) {
    if HUSHED.load(Ordering::Relaxed) {
        return;
    }
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Something that the user should know but that stops nothing.
pub(crate) fn warn(text: &str) {
    say(&format!("{} {text}", yellow("note:")));
}

/// Whether a person reads standard error.
pub(crate) fn watched() -> bool {
    io::stderr().is_terminal() && !HUSHED.load(Ordering::Relaxed)
}

/// A line on standard output.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Bytes on standard output, as they are and at once.
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Text of a model on standard output, at once. A terminal is not given control characters, which could make it do
/// more than show text; a file or a pipe is given the text as it is.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    if io::stdout().is_terminal() { bytes(harmless(text).as_bytes()) } else { bytes(text.as_bytes()) }
}

/// The text with control characters other than line breaks and tabs shown as U+FFFD.
pub(crate) fn harmless(text: &str) -> String {
    let mark = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(mark).collect()
}

/// One JSON object on one line of standard output.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer(&mut out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Rows as columns: the first cell of each row on the left, numbers on the right, two spaces between.
pub(crate) fn columns(rows: &[Vec<String>], right: &[bool]) -> String {
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..right.len()).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
            let gap = if column == 0 { "" } else { "  " };
            line += &match right.get(column) {
                Some(true) => format!("{gap}{pad}{cell}"),
                _ => format!("{gap}{cell}{pad}"),
            };
        }
        out += line.trim_end();
        out.push('\n');
    }
    out.pop();
    out
}

/// Bytes for people: `1.2 GB`, in powers of 1000 as disks and the hub count.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 || value >= 99.95 {
        format!("{value:.0} {}", UNITS[unit])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// A cache type by the name it has on the command line.
pub(crate) fn cache_name(kind: CacheType) -> &'static str {
    match kind {
        CacheType::F32 => "f32",
        CacheType::F16 => "f16",
        CacheType::Q8_0 => "q8_0",
    }
}

/// Counts for people: `125,198,592`.
pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        let check = |bytes, text: &str| assert_eq!(size(bytes), text);
        check(0, "0 B");
        check(999, "999 B");
        check(1000, "1.0 kB");
        check(999_999, "1.0 MB");
        check(548_105_171, "548 MB");
        check(5_300_000_000, "5.3 GB");
    }

    #[test]
    fn a_model_cannot_command_a_terminal() {
        assert_eq!(harmless("a\tb\nc\u{1b}[2J\u{9b}d\r"), "a\tb\nc\u{fffd}[2J\u{fffd}d\u{fffd}");
        assert_eq!(harmless("naïve 猫"), "naïve 猫");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(grouped(125_198_592), "125,198,592");
        assert_eq!(grouped(12), "12");
    }

    #[test]
    fn columns_line_up() {
        let row = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
        assert_eq!(columns(&[row("a", "10"), row("bcd", "2")], &[false, true]), "a    10\nbcd   2");
    }
}
