//! Text and ids from outside: arguments, files, standard input. All text is UTF-8, and what is not is refused with the
//! place where it stops being so.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use crate::failure::{Failure, reason};

/// Longest text taken, in bytes: enough for any corpus file, little enough to hold.
const LONGEST: u64 = 4 << 30;

/// The text of a file.
///
/// # Errors
/// Exit code 3 if it cannot be read, 4 if it is not UTF-8.
pub(crate) fn file(path: &Path) -> Result<String, Failure> {
    let cannot = |error: &io::Error| match error.kind() {
        io::ErrorKind::IsADirectory => Failure::io("cannot read", path, &io::Error::other("it is a directory")),
        _ => Failure::io("cannot read", path, error),
    };
    let file = File::open(path).map_err(|error| cannot(&error))?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| cannot(&error))?;
    utf8(bytes, &path.display().to_string())
}

/// The text on standard input, whole, or `None` if that is a terminal.
///
/// # Errors
/// As [`file`].
pub(crate) fn standard() -> Result<Option<String>, Failure> {
    if io::stdin().is_terminal() { Ok(None) } else { standard_always().map(Some) }
}

/// The text on standard input, whole, typed or not.
///
/// # Errors
/// As [`file`].
pub(crate) fn standard_always() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(LONGEST + 1).read_to_end(&mut bytes);
    read.map_err(|e| Failure::new(crate::failure::Kind::Io, format!("cannot read standard input: {}", reason(&e))))?;
    utf8(bytes, "standard input")
}

fn utf8(bytes: Vec<u8>, place: &str) -> Result<String, Failure> {
    if bytes.len() as u64 > LONGEST {
        return Err(Failure::bad_file(format!("{place} is longer than 4 GiB")).hint("cut it into files"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Failure::bad_file(format!("{place} is not UTF-8 text: the byte at offset {at} fits no character"))
            .hint("convert it first, for example with iconv -t UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Kind;

    #[test]
    fn says_where_text_stops_being_text() {
        let failure = utf8(b"abc\xffdef".to_vec(), "x.txt").unwrap_err();
        assert_eq!(failure.kind(), Kind::BadFile);
        assert!(failure.message().contains("offset 3"), "{}", failure.message());
    }

    #[test]
    fn a_directory_is_no_text() {
        let dir = tempfile::tempdir().unwrap();
        let failure = file(dir.path()).unwrap_err();
        assert_eq!(failure.kind(), Kind::Io);
        assert!(failure.message().ends_with("it is a directory"), "{}", failure.message());
    }
}
